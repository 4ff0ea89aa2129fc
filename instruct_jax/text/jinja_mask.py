"""The loss mask of a conversation, derived from what its Jinja template writes.

No marker is searched for. The text with the generation prompt before a turn must be a beginning of the text with that
turn: what lies between is what the model is asked for. Where the turn's content lies is seen by writing the same
conversation with other contents; the first control token after it closes the turn, and is the last that is trained.

A template may insert constant text between prompt and content, such as an empty thought, and between content and end: the
model is served to write it, so it is trained. It may insert there neither the turn's role, for then the header has begun
and the generation prompt is too short, nor anything that depends on what other turns say.

A conversation of n turns takes two renders for each trained turn, at most seven where a template rewrites its history,
and one for each other answer; each is kept while the sheet lives. Time grows with n squared, as the length of the rows
does where the history is rewritten.
"""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.text.conversation import Span
from instruct_jax.text.jinja_sandbox import Text
from instruct_jax.text.jinja_sheet import REASONING, Sheet, Turn, calls_of
from instruct_jax.text.jinja_shield import Shield

_ENDING = 200  # characters of a content that are compared with what is written of them
_LAST_WORD = re.compile(r"([A-Za-z0-9]+)[^A-Za-z0-9]*\Z")  # also of a text that is quoted and escaped


@dataclasses.dataclass(frozen=True)
class Response:
    """One turn as it is served.

    Attributes:
      upto: the text up to and with the token that closes the turn.
      start: where the model begins to write, in characters.
      content: where the turn's content begins at the latest.
      closing: the control token that closes the turn.
    """

    upto: str
    start: int
    content: int
    closing: str


@dataclasses.dataclass(frozen=True)
class _Placed:
    """Where the last turn's content lies: before it what the template inserts, after it what ends the turn."""

    begin: int
    inserted: str
    tail: str


class Mask:
    """Which characters of a sheet are trained.

    Args:
      name: of the template, for errors.
      sheet: the conversation.
      trained: the turns whose loss counts.
      shield: of the template.
      marks_generated: whether the template marks what the model writes.
      asks: whether a generation prompt is known to follow a user's turn.
    """

    def __init__(self, name: str, sheet: Sheet, trained: Sequence[int], shield: Shield, marks_generated: bool, asks: bool):
        self._name, self._sheet, self._trained, self._shield = name, sheet, list(trained), shield
        self._marks_generated = marks_generated
        self._responses: dict[int, Response] = {}
        self._prompted: dict[str | None, bool] = {"user": True} if asks else {}

    def parts(self) -> list[tuple[int, list[int]]]:
        """Beginnings of the conversation, as numbers of turns, with those that read there as they do when served."""
        upto = {index: self.response(index).upto for index in self._trained}
        count = len(self._sheet.turns)
        if all(map(self._sheet.written(count, False).text.startswith, upto.values())):
            return [(count, self._trained)]
        parts: list[tuple[int, list[int]]] = []
        while upto:
            count = max(upto) + 1
            text = self._sheet.written(count, False).text
            parts.append((count, [index for index, one in upto.items() if text.startswith(one)]))
            upto = {index: one for index, one in upto.items() if index not in parts[-1][1]}
        return parts[::-1]

    def response(self, index: int) -> Response:
        """The turn as it is served: what the model is asked to write after the generation prompt.

        Raises:
          InputError: that cannot be told from the template's text; with the reason.
        """
        if index not in self._responses:
            self._responses[index] = self._response(index)
        return self._responses[index]

    def _response(self, index: int) -> Response:
        prompt = self._sheet.written(index, True).text
        asked = self._sheet.written(index + 1, False).text
        if not asked.startswith(prompt) or len(asked) <= len(prompt):
            raise self._refusal(index, "the text with the generation prompt is no beginning of the text with the turn")
        placed = self._placed_among_all(index, prompt, asked) or self._placed_alone(index, prompt, asked)
        closing = self._closing(index, placed.tail)
        if closing is None:
            raise self._refusal(index, "no control token closes the turn, so that generation would never stop")
        if placed.inserted.strip():
            role = self._sheet.turns[index]["role"]
            if not self._has_prompt(index):
                raise self._refusal(index, "the template has no generation prompt, so that the mask would begin in the header")
            if re.search(rf"\b{re.escape(role)}\b", placed.inserted, re.IGNORECASE):
                raise self._refusal(index, f"the generation prompt ends before the role {role!r}: the mask would begin there")
        end = len(asked) - len(placed.tail) + closing.end()
        return Response(asked[:end], len(prompt), placed.begin, closing[0])

    def closing(self, index: int) -> str | None:
        """The control token that closes a turn, also where the mask cannot be derived; None where it cannot be found."""
        try:
            return self.response(index).closing
        except InputError:
            closing = self._shield.control.search(self._after(index, self._sheet.turns[index]))
            return closing[0] if closing else None

    def _after(self, index: int, turn: Turn) -> str:
        """What is written after a turn's content where it is the last; nothing where the template cannot write it."""
        word = self._sheet.word(index)
        turns = [*self._sheet.turns[:index], _replaced(turn, word, self._sheet.word(index, "r"))]
        try:
            return self._sheet.write(turns, False).text.rpartition(word)[2]
        except InputError:
            return ""

    def _closing(self, index: int, tail: str) -> re.Match | None:
        """The control token that closes the turn: the first one; after calls the one that closes an answer, if it is there."""
        closings = list(self._shield.control.finditer(tail))
        turn = self._sheet.turns[index]
        if len(closings) > 1 and calls_of(turn):
            answer = {name: one for name, one in turn.items() if name != "tool_calls"}
            ended = self._shield.control.search(self._after(index, answer))
            closings = [one for one in closings if ended and one[0] == ended[0]] or closings
        return closings[0] if closings else None

    def _placed_among_all(self, index: int, prompt: str, asked: str) -> _Placed | None:
        """The place of a turn's content, where all simple contents are kept as they are and nothing else depends on them."""
        if self._sheet.neutral[index] is self._sheet.turns[index]:
            return None
        for count in (len(self._sheet.turns), index + 1):  # the whole conversation serves for all turns that it keeps
            begin, end = (self._sheet.contents(count, False) or {}).get(index, (-1, -1))
            if begin >= len(prompt) and asked.startswith(self._sheet.written(count, False).text[:end]):
                return _Placed(begin, asked[len(prompt) : begin], asked[end:])
        return None

    def _placed_alone(self, index: int, prompt: str, asked: str) -> _Placed:
        """The place of a turn's content, from one more render with another content for this turn alone."""
        word = self._sheet.word(index)
        turn = self._sheet.turns[index]
        other = self._sheet.write([*self._sheet.turns[:index], _replaced(turn, word, self._sheet.word(index, "r"))], False).text
        place = other.rfind(word)
        if place < 0:
            raise self._refusal(index, "the template does not write what the turn says")
        tail = other[place + len(word) :]
        if calls_of(turn):  # their last value may stand in other quotes
            tail = tail[len(tail) - _alike(reversed(tail), reversed(asked)) :]
        elif other.count(word) > 1:
            raise self._refusal(index, "the template writes what the turn says more than once")
        if not asked.endswith(tail) or len(asked) - len(tail) < len(prompt) or not other.startswith(prompt):
            raise self._refusal(index, "where the turn's content lies depends on what it says")
        inserted = other[len(prompt) : other.find(word)]
        if self._sheet.neutral[index] is not turn and not asked.startswith(inserted, len(prompt)):
            raise self._refusal(index, "what comes before the turn's content depends on what it says")
        content = turn.get("content")
        if isinstance(content, str) and not calls_of(turn):
            both = (content, asked[: len(asked) - len(tail)])
            said, written = (_LAST_WORD.search(self._sheet.plain(one)[-_ENDING:]) for one in both)
            if said and not (written and written[1].endswith(said[1])):
                raise self._refusal(index, "the template does not write what the turn says to its end")
        if index:
            self._check_alone(index, asked[len(prompt) :])
        return _Placed(len(prompt) + _alike(inserted, asked[len(prompt) :]), inserted, tail)

    def _check_alone(self, index: int, response: str) -> None:
        """Whether the response reads the same whatever the other turns say."""
        try:
            prompt = self._sheet.written(index, True, neutral=True).text
            other = self._sheet.write([*self._sheet.neutral[:index], self._sheet.turns[index]], False).text
        except InputError:
            prompt, other = "", None
        if other != prompt + response:
            raise self._refusal(index, "the text of the turn depends on what the other turns say")

    def _has_prompt(self, index: int) -> bool:
        """Whether anything is written for the generation prompt after such a turn as stands before this one."""
        before = self._sheet.turns[index - 1]["role"] if index else None
        if before not in self._prompted:
            without = self._sheet.written(index, False).text if index else ""
            self._prompted[before] = self._sheet.written(index, True).text != without
        return self._prompted[before]

    def _refusal(self, index: int, reason: str) -> InputError:
        return InputError(
            f"chat template {self._name!r}: the loss mask of turn {index} cannot be derived: {reason}; "
            "mark the turn as not trained, or choose another template"
        )

    def spans(self, count: int, generation: bool, trained: Sequence[int]) -> list[Span]:
        """The first turns as spans: cut at control tokens, where an answer begins, and where what may be shortened lies.

        An answer begins where the generation prompt before it ends, whether it is trained or read.
        """
        written = self._sheet.written(count, generation)
        responses = [self.response(index) for index in trained]
        ranges = [(one.start, len(one.upto)) for one in responses]
        if self._marks_generated:
            for index, one in zip(trained, responses, strict=True):
                self._check_marks(index, one, written)
        contents = (self._sheet.contents(count, generation) if trained else None) or {}
        trimmable = [one for index, one in contents.items() if self._sheet.turns[index]["role"] != "assistant"]
        seams = self._seams(count, written.text)
        return self._sheet.cut(written.text, ranges, trimmable, seams)

    def _check_marks(self, index: int, response: Response, written: Text) -> None:
        """That what the template marks holds the turn's content and its end; it may hold more of the header than is trained."""
        covered = response.content
        for start, stop in sorted(written.generated):
            covered = max(covered, stop) if start <= covered else covered
        if covered < len(response.upto):
            raise self._refusal(index, "the part that the template marks as generated is not the turn's content with its end")

    def _seams(self, count: int, text: str) -> set[int]:
        """Where the generation prompts before the answers end, as far as the text begins with them."""
        seams = set()
        for index in range(count):
            if self._sheet.turns[index]["role"] == "assistant":
                try:
                    prompt = self._sheet.written(index, True).text
                except InputError:  # an answer that nothing can ask for, which is only read
                    continue
                if text.startswith(prompt):
                    seams.add(len(prompt))
        return seams


def _alike(one: Iterable[str], other: Iterable[str]) -> int:
    """How many characters two texts share from where they begin."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _replaced(turn: Turn, word: str, thought: str) -> Turn:
    """The turn with other content and another thought, and with a call of other arguments where it calls any tool."""
    changed = {**turn, **{name: thought for name in REASONING if isinstance(turn.get(name), str) and turn[name].strip()}}
    if calls := calls_of(turn):
        return {**changed, "tool_calls": [*calls[:-1], _replaced_call(calls[-1], word)]}
    parts = turn.get("content")
    last = (
        max((i for i, part in enumerate(parts) if isinstance(part, Mapping) and part.get("text")), default=-1)
        if (isinstance(parts, list))
        else -1
    )
    content = [*parts[:last], {**parts[last], "text": word}, *parts[last + 1 :]] if last >= 0 else word
    return {**changed, "content": content}


def _replaced_call(call: Any, word: str) -> Any:
    """The call with other arguments, or with another name where it has none."""
    if not isinstance(call, Mapping):
        return call
    if isinstance(call.get("function"), Mapping):
        return {**call, "function": _replaced_call(call["function"], word)}
    arguments = call.get("arguments")
    if not arguments:
        return {**call, "name": word}
    return {**call, "arguments": word if isinstance(arguments, str) else {word: word}}
