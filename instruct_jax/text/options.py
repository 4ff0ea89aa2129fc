"""Option styles: how a prompt lists the alternatives, and whether the answer is one's words or its mark."""

import dataclasses
import hashlib
import string
from collections.abc import Sequence

import numpy as np

from instruct_jax.errors import InputError

_FIELDS = {"option", "letter", "number"}


@dataclasses.dataclass(frozen=True)
class OptionStyle:
    """How alternatives are listed, in wordings that list them; it has no bearing on others.

    Attributes:
      line: what stands for one alternative: "{option}" its words, "{letter}" A, B, …, Z, AA, …, "{number}" 1, 2, …
      answer: what the response says of the right one, in the same fields.
      shuffled: whether the alternatives are listed in an order drawn anew for each example, so that no place and no mark
        tells the answer; else in the order in which they are given.

    >>> OptionStyle("({letter}) {option}", answer="({letter})").listed(["no", "yes"])
    ('(A) no', '(B) yes')
    """

    line: str = "- {option}"
    answer: str = "{option}"
    shuffled: bool = False

    def __post_init__(self):
        for name, wording in (("line", self.line), ("answer", self.answer)):
            try:
                found = {field for _, field, _, _ in string.Formatter().parse(wording) if field is not None}
            except ValueError as error:
                raise InputError(f"OptionStyle.{name} is {wording!r} ({error}); double a brace that is meant literally") from None
            if not found or not found <= _FIELDS:
                raise InputError(
                    f"OptionStyle.{name} is {wording!r}; expected a wording with {{option}}, {{letter}} or {{number}} alone"
                )
        if "{option}" not in self.line:
            raise InputError(f"OptionStyle.line is {self.line!r}, which leaves out the alternative; put {{option}} into it")

    @property
    def marks(self) -> bool:
        """Whether the answer is a mark, which means nothing unless the alternatives are listed."""
        return "{option}" not in self.answer

    def order(self, count: int, key: str) -> list[int]:
        """The order in which to list so many alternatives: as they are, or drawn for this key and no other.

        >>> OptionStyle(shuffled=True).order(3, "one"), OptionStyle().order(3, "one")
        ([1, 0, 2], [0, 1, 2])
        """
        if not self.shuffled:
            return list(range(count))
        digest = hashlib.blake2b(f"options\0{key}".encode(), digest_size=16).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big"))).permutation(count).tolist()

    def listed(self, options: Sequence[str]) -> tuple[str, ...]:
        """A line for each alternative, in this order."""
        return tuple(self.line.format_map(_fields(place, option)) for place, option in enumerate(options))

    def answers(self, options: Sequence[str]) -> tuple[str, ...]:
        """What the response says of each alternative, were it the right one."""
        return tuple(self.answer.format_map(_fields(place, option)) for place, option in enumerate(options))


DASHES = OptionStyle()
LETTERS = OptionStyle("({letter}) {option}")
NUMBERS = OptionStyle("{number}. {option}")
PLAIN = OptionStyle("{option}")
LETTER_ANSWERS = OptionStyle("({letter}) {option}", answer="({letter})")
NUMBER_ANSWERS = OptionStyle("{number}. {option}", answer="{number}")
SHUFFLED_DASHES = OptionStyle(shuffled=True)
SHUFFLED_LETTERS = OptionStyle("({letter}) {option}", shuffled=True)
SHUFFLED_LETTER_ANSWERS = OptionStyle("({letter}) {option}", answer="({letter})", shuffled=True)


def letter(place: int) -> str:
    """The letter of a place counted from 0, as columns of a spreadsheet go on after Z.

    >>> letter(0), letter(25), letter(26), letter(27)
    ('A', 'Z', 'AA', 'AB')
    """
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = string.ascii_uppercase[rest] + letters
    return letters


def _fields(place: int, option: str) -> dict[str, str]:
    return {"option": option, "letter": letter(place), "number": str(place + 1)}
