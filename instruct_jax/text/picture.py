"""What tokens look like to a reader: the text each one adds, with white space and bytes made visible, and what is trained."""

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from instruct_jax.text.pieces import Tokenizer

# A character takes at most four bytes, but the tokens of a byte-level vocabulary may begin and end inside of neighbours.
_MOST_TOKENS_OF_A_CHARACTER = 16
_BROKEN = "\ufffd"
_LINE_EDGES = re.compile(r"^ +| +$", re.MULTILINE)
_MARKS = {" ": "·", "\n": "↵\n", "\t": "⇥", "\r": "␍"}


@dataclasses.dataclass(frozen=True)
class Glyph:
    """One token as it is drawn.

    Attributes:
      token_id: its id.
      piece: the tokenizer's name for it.
      runs: (text, is_mark) pairs to draw; a mark stands for what cannot be seen, such as "↵" and a line break.
      octets: the token's bytes in hexadecimal where it is only part of a character, which then stands in the runs of the
        last of its tokens; "" for a token that is text by itself.
      control: whether it is a control token, which no text can produce; its run is its name.
      weight: its loss weight.
      position: its place in its segment, counted from 0.
    """

    token_id: int
    piece: str
    runs: tuple[tuple[str, bool], ...]
    octets: str
    control: bool
    weight: float
    position: int

    @property
    def trained(self) -> bool:
        return self.weight > 0

    @property
    def unfinished(self) -> bool:
        """Whether the character that this token is part of goes on in the next one."""
        return bool(self.octets) and not self.runs


@dataclasses.dataclass(frozen=True)
class Segment:
    """Tokens that attend to each other and to no others.

    Attributes:
      title: where it came from, such as its task.
      notes: more about that, such as its template and its source row.
      glyphs: its tokens, in order.
    """

    title: str
    notes: tuple[str, ...]
    glyphs: tuple[Glyph, ...]

    @property
    def supervised(self) -> int:
        """How many of its tokens are trained."""
        return sum(glyph.trained for glyph in self.glyphs)


@dataclasses.dataclass(frozen=True)
class Picture:
    """One row as the model sees it.

    Attributes:
      title, notes: of a row with several segments; "" and () where the one segment says it all.
      segments: in order.
    """

    title: str
    notes: tuple[str, ...]
    segments: tuple[Segment, ...]

    @property
    def tokens(self) -> int:
        return sum(len(segment.glyphs) for segment in self.segments)

    @property
    def supervised(self) -> int:
        return sum(segment.supervised for segment in self.segments)


def counts(tokens: int, supervised: int) -> str:
    """How much of a text is trained, in words.

    >>> counts(1200, 30)
    '1,200 tokens · 30 supervised · 2.5 %'
    """
    share = f" · {100 * supervised / tokens:.1f} %" if tokens else ""
    return f"{tokens:,} token{'s' * (tokens != 1)} · {supervised:,} supervised{share}"


def summary(pictures: Sequence[Picture]) -> str:
    """All pictures in one line."""
    sizes = [picture.tokens for picture in pictures]
    rows = f"{len(pictures):,} row{'s' * (len(pictures) != 1)}"
    total = counts(sum(sizes), sum(picture.supervised for picture in pictures))
    return f"{rows} · {total} · longest {max(sizes, default=0):,}"


def glyphs(tokens: np.ndarray, weights: np.ndarray, tokenizer: Tokenizer) -> tuple[Glyph, ...]:
    """The tokens of one segment as they are drawn.

    Args:
      tokens: i32[T].
      weights: f32[T].
      tokenizer: what made the tokens.

    >>> from instruct_jax.text.tokenizer import ByteTokenizer
    >>> drawn = glyphs(np.array([1, *ByteTokenizer().encode("é\\n"), 2]), np.array([0, 0, 0, 0, 1]), ByteTokenizer())
    >>> [(glyph.runs, glyph.octets) for glyph in drawn][:3]
    [((('<s>', False),), ''), ((), 'c3'), ((('é', False),), 'a9')]
    >>> drawn[3].runs, drawn[4].control, drawn[4].trained
    ((('↵\\n', True),), True, True)
    """
    reading = _Reading(tokenizer)
    ids = [int(token) for token in tokens]
    texts: list[str | None] = []  # None: a control token
    octets: list[str] = []
    while len(texts) < len(ids):
        found = reading.character(ids[len(texts) : len(texts) + _MOST_TOKENS_OF_A_CHARACTER])
        texts += [text for text, _ in found]
        octets += [part for _, part in found]
    # A control token ends a line for the eye: a space before or after it is an edge.
    whole = "".join("\n" if text is None else text for text in texts)
    edges = {place for match in _LINE_EDGES.finditer(whole) for place in range(*match.span())}
    drawn, start = [], 0
    for position, (token_id, text, part, weight) in enumerate(zip(ids, texts, octets, weights.tolist(), strict=True)):
        name = "".join(run for run, _ in visible(tokenizer.piece(token_id)))
        runs = ((name, False),) if text is None else visible(text, {place - start for place in edges})
        drawn.append(Glyph(token_id, name, runs, part, text is None, weight, position))
        start += 1 if text is None else len(text)
    return tuple(drawn)


def visible(text: str, marked_spaces: set[int] | frozenset[int] = frozenset()) -> tuple[tuple[str, bool], ...]:
    """A text in runs of what can be seen and of marks for what cannot.

    Args:
      text: any text.
      marked_spaces: places of the spaces that would be overlooked.

    >>> visible("a \\n", {1})
    (('a', False), ('·↵\\n', True))
    >>> visible("zero\\u200bwidth")
    (('zero', False), ('‹200b›', True), ('width', False))
    """
    runs: list[tuple[str, bool]] = []
    for place, character in enumerate(text):
        if character == " ":
            mark = place in marked_spaces
        else:
            mark = unicodedata.category(character) in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs")
        shown = _MARKS.get(character, f"‹{ord(character):x}›") if mark else character
        if runs and runs[-1][1] == mark:
            shown = runs.pop()[0] + shown
        runs.append((shown, mark))
    return tuple(runs)


class _Reading:
    """Tokens as text in context: what each adds after an ordinary letter, so that no decoder takes its space for an edge."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._before = tokenizer.encode("a")[-1:]
        self._letter = tokenizer.decode(self._before)
        self._single = functools.cache(lambda token_id: self._text([token_id]))

    def character(self, ids: Sequence[int]) -> list[tuple[str | None, str]]:
        """The first token as (text, octets), or as many as make up its last character, the text beside the last of them."""
        text = self._single(ids[0])
        if text == "":
            return [(None, "")]
        if _BROKEN not in text:
            return [(text, "")]
        for count in range(2, len(ids) + 1):
            text = self._text(ids[:count])
            if _BROKEN not in text:
                parts = [octets(self._tokenizer.piece(one)) for one in ids[:count]]
                return [*(("", part) for part in parts[:-1]), (text, parts[-1])]
        return [(self._single(ids[0]), octets(self._tokenizer.piece(ids[0])))]

    def _text(self, ids: Sequence[int]) -> str:
        text = self._tokenizer.decode([*self._before, *ids])
        # A decoder that joins words may rewrite the letter before them.
        return text.removeprefix(self._letter) if text.startswith(self._letter) else self._tokenizer.decode(ids)


def octets(piece: str) -> str:
    """The bytes behind the name of a token that is part of a character, in hexadecimal.

    >>> octets("<0xE5>"), octets(r"\\xe5"), octets("ðŁĺ")
    ('e5', 'e5', 'f09f98')
    """
    if named := re.fullmatch(r"<0x([0-9A-Fa-f]{2})>|\\x([0-9a-f]{2})", piece):
        return (named[1] or named[2]).lower()
    alphabet = _byte_alphabet()
    if all(character in alphabet for character in piece):
        return bytes(alphabet[character] for character in piece).hex()
    return piece.encode().hex()


@functools.cache
def _byte_alphabet() -> dict[str, int]:
    """The letters in which byte-level vocabularies write bytes (GPT-2's): printable ones stand for themselves."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + index): byte for index, byte in enumerate(others)}
