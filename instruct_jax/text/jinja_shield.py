"""Control tokens come from the template alone: what a conversation says is written so that it can spell none.

A noncharacter, the shield, goes right after each character that begins some control token and right before each that ends
one. A control token in the written text that took its first or its last character from the conversation would hold a
shield, wherever the template cuts, joins, trims or changes the case of what it was given. One that took only characters
between them stands in a slot, such as '<|' + name + '|>'; words that fit the slots of the source are shielded within.
What templates look for in contents stays as it is where it can be no part of a control token, so '</think>' is still found.
"""

import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from instruct_jax.errors import InputError

# Code points that Unicode gives to no character; three that occur nowhere in a conversation do service while it is written.
_NONCHARACTERS = [chr(code) for code in range(0xFDD4, 0xFDF0)]
# Roles that a template may write into a control token, as in '<|' + role + '|>'; and any that the source names.
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_SEARCHES = ("split", "rsplit", "partition", "rpartition", "startswith", "endswith", "replace", "removeprefix", "removesuffix")
_LOOKED_FOR = 100  # characters that what a template looks for may have
_ANSWERED = ("content", "reasoning_content", "thinking", "reasoning")


class Shield:
    """What the texts of conversations must hold so that no control token is spelled by them.

    Args:
      source: a template that compiles.
      controls: the control tokens; none is empty.
      own: the texts that the template is given beside the conversation: bos, eos and its variables.
      ends: the control tokens that are never left as they are, whatever the template looks for: bos and eos.
    """

    def __init__(self, source: str, controls: Sequence[str], own: Sequence[str], ends: Sequence[str]):
        self._controls = sorted(controls, key=len, reverse=True)
        self.control = re.compile("|".join(map(re.escape, self._controls)) or "(?!)")
        folded = [one.lower() for one in self._controls]
        self._anywhere = re.compile("|".join(map(re.escape, folded)) or "(?!)")
        self._beginnings = {one[:size] for one in folded for size in range(1, len(one))}
        self._endings = {one[-size:] for one in folded for size in range(1, len(one))}
        self._first = {case for one in self._controls for case in (one[0].lower(), one[0].upper())}
        self._last = {case for one in self._controls for case in (one[-1].lower(), one[-1].upper())}
        edges = "".join(map(re.escape, sorted(self._first | self._last)))
        self._edges = re.compile(f"[{edges}]" if edges else "(?!)")
        written, literals, tested, names = _read(source)
        self._named = literals | names
        found = self._edges.search
        kept = {one for one in literals if 1 < len(one) < _LOOKED_FOR and found(one) and self._is_inert(one)}
        of_answers = {
            one
            for one in tested
            if self.control.search(one)
            and not any(end in one for end in ends)
            and self._is_inert(self.control.sub("\n", one).strip("\n"))
        }
        self._kept, self._kept_in_answers = _any_of(kept), _any_of(kept | of_answers)
        # What templates look for in contents, and take a text with it for something else than plain words.
        self._markers = _any_of({one for one in tested if len(one) > 2 and re.search(r"[^\w\s]", one)})
        self._slots = "\n".join(_slotted(folded, [one.lower() for one in (*written, *own)]))

    def _is_inert(self, text: str) -> bool:
        """Whether no control token can begin, end or lie in the text, whatever stands around it."""
        text = text.lower()
        if self._anywhere.search(text):
            return False
        places = range(len(text) + 1)
        return not any(text[place:] in self._beginnings or text[:place] in self._endings for place in places)

    def is_plain(self, text: str) -> bool:
        """Whether the text holds nothing that the template looks for in contents."""
        return self._markers is None or not self._markers.search(text)

    def turns(self, turns: Sequence[Mapping[str, Any]], mark: str) -> list[dict[str, Any]]:
        """Messages with all their texts and names shielded; what an answer says keeps the tokens that the template reads."""
        out = []
        for turn in turns:
            answers = turn["role"] == "assistant"
            shielded = {self._key(name, mark): self.value(one, mark, answers and name in _ANSWERED) for name, one in turn.items()}
            if turn["role"] in self._named or turn["role"] in _ROLES:
                shielded["role"] = turn["role"]
            out.append(shielded)
        return out

    def value(self, value: Any, mark: str, answers: bool = False) -> Any:
        """A JSON value with all its texts and names shielded."""
        if isinstance(value, str):
            return self._text(value, mark, answers)
        if isinstance(value, Mapping):
            return {self._key(name, mark): self.value(one, mark, answers) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(one, mark, answers) for one in value]
        return value

    def _key(self, name: Any, mark: str) -> Any:
        return self._text(name, mark, False) if isinstance(name, str) else name

    def _text(self, text: str, mark: str, answers: bool) -> str:
        if self._slots and text not in self._named:
            words = text.strip()
            if words and words.lower() in self._slots and "\n" not in words:
                place = len(text) - len(text.lstrip()) + 1
                return self._edged(text[:place], mark) + mark + self._edged(text[place:], mark)
        if not self._edges.search(text):
            return text
        if any(len(one) == 1 and one in text for one in self._controls):
            raise InputError(f"the text {text!r:.60} holds a control token of one character; drop the row")
        kept = self._kept_in_answers if answers else self._kept
        if kept is None:
            return self._edged(text, mark)
        parts, position = [], 0
        for match in kept.finditer(text):
            parts += [self._edged(text[position : match.start()], mark), match[0]]
            position = match.end()
        return "".join([*parts, self._edged(text[position:], mark)])

    def _edged(self, text: str, mark: str) -> str:
        def shielded(match: re.Match) -> str:
            one = match[0]
            return (mark if one in self._last else "") + one + (mark if one in self._first else "")

        return self._edges.sub(shielded, text)


@functools.lru_cache(maxsize=16)
def shield_of(source: str, controls: tuple[str, ...], own: tuple[str, ...], ends: tuple[str, ...]) -> Shield:
    """See `Shield`; made once for each template."""
    return Shield(source, controls, own, ends)


def free_marks(texts: Sequence[str]) -> tuple[str, str, str]:
    """Three noncharacters that occur in none of the texts, nor as the escapes that JSON has for them.

    Raises:
      InputError: the texts hold nearly all there are.
    """
    used = [text for text in texts if re.search(r"[\ufdd4-\ufdef]|\\u[fF][dD]", text)]
    free = [one for one in _NONCHARACTERS if not any(one in text or escaped(one) in text.lower() for text in used)]
    if len(free) < 3:
        raise InputError("a conversation uses nearly all of Unicode's noncharacters, which are no text; drop the row")
    return free[0], free[1], free[2]


def escaped(mark: str) -> str:
    """A noncharacter as JSON in ASCII writes it.

    >>> escaped(chr(0xFDD4))
    '\\\\ufdd4'
    """
    return json.dumps(mark)[1:-1]


def texts_of(value: Any) -> list[str]:
    """Every text within a JSON value, names included."""
    found, stack = [], [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, Mapping):
            stack += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            stack += one
    return found


def _any_of(texts: set[str]) -> re.Pattern | None:
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True)))) if texts else None


def _slotted(controls: Sequence[str], written: Sequence[str]) -> list[str]:
    """The control tokens of which the template writes a beginning and an end apart, so that something may come between."""
    longest = max(map(len, controls), default=0)
    before = {text.rstrip()[-size:] for text in written for size in range(1, longest)}
    after = {text.lstrip()[:size] for text in written for size in range(1, longest)}
    return [
        one[1:-1]
        for one in controls
        if any(one[:size] in before for size in range(1, len(one) - 1))
        and any(one[-size:] in after for size in range(1, len(one) - 1))
    ]


def _read(source: str) -> tuple[list[str], set[str], set[str], set[str]]:
    """What a template writes or quotes; its quoted texts; those that it looks for in other texts; its names."""
    written, literals, tested, names = [], set(), set(), set()
    before: list[str] = []  # the two last tokens
    last = None  # the quoted text that may turn out to be looked for
    for _, kind, value in jinja2.Environment().lex(source):
        if kind == "whitespace":
            continue
        if kind == "data":
            written.append(value)
        elif kind == "name":
            names.add(value)
            if last is not None and value == "in":
                tested.add(last)
            if value != "not":
                last = None
        elif kind == "string":
            last = value[1:-1].encode("ascii", "backslashreplace").decode("unicode-escape")
            written.append(last)
            literals.add(last)
            if before[-1:] == ["("] and before[-2:-1] and before[-2] in _SEARCHES:
                tested.add(last)
        else:
            last = None
        before = [*before[-1:], value]
    return written, literals, tested, names
