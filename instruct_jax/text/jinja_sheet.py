"""One conversation while a Jinja template writes it: its texts, and where the contents of its turns lie in them."""

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.text.conversation import Span
from instruct_jax.text.jinja_sandbox import Text
from instruct_jax.text.jinja_shield import Shield, escaped, texts_of

REASONING = ("reasoning_content", "thinking", "reasoning")

Turn = dict[str, Any]
Range = tuple[int, int]


class Sheet:
    """What a template writes of one conversation; each text is kept.

    Args:
      turns: the messages as the template gets them, shielded.
      shield: of the template.
      mark: the noncharacter that shields.
      write: writes turns, with the generation prompt or without.
      source: of the template.

    Attributes:
      turns: as given.
      neutral: the same, with a word of its own for each simple content: one that is all that its turn says, and holds
        nothing that the template looks for.
    """

    def __init__(
        self,
        turns: Sequence[Turn],
        shield: Shield,
        mark: str,
        write: Callable[[Sequence[Turn], bool], Text],
        source: str,
    ):
        self.turns, self.write = list(turns), write
        self._shield, self._mark = shield, mark
        self._kept: dict[tuple[bool, int, bool], Text] = {}
        self._ranges: dict[tuple[int, bool], dict[int, Range] | None] = {}
        # A word that no template looks for, and that no change of case or of space alters the place of.
        self._word = "zqxj"
        given = [text.lower() for text in (*texts_of(self.turns), source)]
        while any(self._word in text for text in given):
            self._word += "zqxj"
        self._words = re.compile(f"{self._word}([0-9]+)q")
        self.neutral = [self._neutralised(index, turn) for index, turn in enumerate(self.turns)]

    def word(self, index: int, kind: str = "q") -> str:
        """A word that stands for what a turn says; "r" as its kind: for what it thinks."""
        return f"{self._word}{index}{kind}"

    def plain(self, text: str) -> str:
        """The text without shields, also where the template has escaped them."""
        return text.replace(self._mark, "").replace(escaped(self._mark), "")

    def written(self, count: int, generation: bool, neutral: bool = False) -> Text:
        """What the template writes of the first turns, shields and all; with words of their own for contents if neutral."""
        key = (neutral, count, generation)
        if key not in self._kept:
            turns = self.neutral if neutral else self.turns
            self._kept[key] = self.write(turns[:count], generation)
        return self._kept[key]

    def contents(self, count: int, generation: bool) -> dict[int, Range] | None:
        """Where simple contents lie; None where the template does not keep each of them, whole and once, or cannot write others.

        All are replaced by words of their own; what stands between these words must then stand, in the same order, between
        the contents.
        """
        key = (count, generation)
        if key not in self._ranges:
            self._ranges[key] = self._located(count, generation)
        return self._ranges[key]

    def _located(self, count: int, generation: bool) -> dict[int, Range] | None:
        try:
            between = self._words.split(self.written(count, generation, neutral=True).text)
        except InputError:
            return None
        simple = [index for index in range(count) if self.neutral[index] is not self.turns[index]]
        if [int(one) for one in between[1::2]] != simple:
            return None
        whole = self.written(count, generation).text
        if not whole.startswith(between[0]):
            return None
        position, found = len(between[0]), {}
        for index, following in zip(simple, between[2::2], strict=True):
            said = self.turns[index]["content"]
            for content in (said, said.strip(), said.rstrip(), said.lstrip()):
                if whole.startswith(following, position + len(content)) and whole.startswith(content, position):
                    break
            else:
                return None
            found[index] = (position, position + len(content))
            position += len(content) + len(following)
        return found if position == len(whole) else None

    def cut(self, text: str, trained: Sequence[Range], trimmable: Sequence[Range], seams: set[int]) -> list[Span]:
        """A text as spans: cut at control tokens, at seams, and where ranges begin and end."""
        edges = sorted({0, len(text), *seams, *(edge for one in (*trained, *trimmable) for edge in one)})
        matches = [(one.start(), one.end()) for one in self._shield.control.finditer(text)]
        cuts = sorted({*edges, *(edge for one in matches for edge in one)})
        controls = dict(matches)
        is_trained, may_shorten = _Within(trained), _Within(trimmable)
        out, seam, stop = [], False, 0
        for begin, until in itertools.pairwise(cuts):
            seam = seam or begin in seams
            if begin < stop:  # within a control token
                continue
            if begin in controls:
                stop = controls[begin]
                out.append(Span("", text[begin:stop], is_trained(begin)))
                seam = False
            elif words := self.plain(text[begin:until]):
                out.append(Span(words, None, is_trained(begin), may_shorten(begin), seam=seam))
                seam = False
        return out

    def _is_simple(self, index: int) -> bool:
        """Whether all that a turn says is its content, and that a text of plain words."""
        turn = self.turns[index]
        content = turn.get("content")
        simple = isinstance(content, str) and bool(content.strip()) and self._shield.is_plain(content)
        return simple and not calls_of(turn) and all(turn.get(name) is None for name in REASONING)

    def _neutralised(self, index: int, turn: Turn) -> Turn:
        return {**turn, "content": self.word(index)} if self._is_simple(index) else turn


class _Within:
    """Whether a place lies in one of some ranges that do not overlap, asked for places in order."""

    def __init__(self, ranges: Sequence[Range]):
        self._ranges = sorted(ranges, reverse=True)

    def __call__(self, place: int) -> bool:
        while self._ranges and self._ranges[-1][1] <= place:
            self._ranges.pop()
        return bool(self._ranges) and self._ranges[-1][0] <= place


def calls_of(turn: Turn) -> list[Any]:
    """The calls of tools in a turn."""
    calls = turn.get("tool_calls")
    return calls if isinstance(calls, list) else []
