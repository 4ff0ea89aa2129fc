"""The meter of a foreign template: how long it has computed, how large a thing it may make, and how much in all."""

import contextlib
import contextvars
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jinja2
import jinja2.utils

SECONDS = 0.5  # of this thread's own computing, beyond what follows; public templates take less than a thousandth of it
SECONDS_A_VALUE = 5e-5  # for each value that a render is given: a message of two fields has five
SECONDS_A_CHARACTER = 1e-7  # for each character that a render is given
CHARACTERS = 1 << 18  # that any text or structure of a template may have, beyond eight times what it was given
BYTES = 1 << 26  # that all values made in one render may take together, beyond 64 for each character given
STEPS = 10**8  # of one search that compares every place of a text with every place of another: a tenth of a second
_SEQUENCES = (list, tuple, set, type({}.keys()), type({}.values()), type({}.items()))
_PLAIN = (str, int, float, tuple)
_TICKS = 64  # between two looks at the clock, which take longer than what most ticks stand for


class LimitError(jinja2.TemplateRuntimeError):
    """A template took more time, memory, text or nesting than any honest one needs."""


class Meter:
    """What the renders of one conversation have used, and may use.

    Time is counted over all renders on one meter: `SECONDS` once, and what an honest template needs for what each render is
    given. Text and memory are counted for each render anew. Who renders a conversation several times makes one meter for it
    and passes it to every `jinja_sandbox.Program.run`; a render without one has a meter of its own.

    Attributes:
      limit: characters and entries that any one thing may have, in the present render.
      marks: two characters that stand around what a template marks as generated.
    """

    def __init__(self):
        self.limit = CHARACTERS
        self.marks = ("", "")
        self._seconds, self._bytes = SECONDS, BYTES
        self._deadline, self._ticks = 0.0, 0

    @contextlib.contextmanager
    def render(self, given: Any) -> Iterator[None]:
        """Puts on this meter what runs within: one render, or one compilation.

        Args:
          given: what it works on: text, or plain values.
        """
        values, characters = _extent(given)
        self.limit = CHARACTERS + 8 * (values + characters)
        self._bytes = BYTES + 64 * (values + characters)
        self._seconds += SECONDS_A_VALUE * values + SECONDS_A_CHARACTER * characters
        self._deadline, self._ticks = time.thread_time() + self._seconds, 0
        token = METER.set(self)
        try:
            yield
        finally:
            METER.reset(token)
            self._seconds = self._deadline - time.thread_time()

    def tick(self, size: int = 0) -> None:
        """Something of this size is looked at, or made."""
        if size > self.limit:
            raise LimitError(f"it makes something of {size:,} characters; at most {self.limit:,} are allowed")
        self._ticks += 1 + size // _TICKS
        if self._ticks >= _TICKS:
            self._ticks = 0
            if time.thread_time() > self._deadline:
                raise LimitError(f"it computes for more than {SECONDS:g} s beyond what a conversation of this length needs")

    def charge(self, size: int) -> None:
        """So many bytes are taken, whether or not they are soon given back."""
        self._bytes -= size
        if self._bytes < 0:
            raise LimitError(f"it makes more than {BYTES:,} bytes of values beyond what a conversation of this length needs")

    def search(self, text: str, sought: str) -> None:
        """A search may take so many steps as the lengths of both texts multiplied."""
        if len(text) * len(sought) > STEPS:
            raise LimitError(f"it searches {len(text):,} characters for {len(sought):,}; at most {STEPS:,} steps are allowed")
        self.tick(len(text))

    def size_of(self, value: Any) -> int:
        """Characters and entries of a value, entries of entries included; stops at more than is allowed."""
        total, stack = 0, [value]
        while stack:
            one = stack.pop()
            total += 1
            if isinstance(one, str):
                total += len(one)
            elif isinstance(one, Mapping):
                stack += one.keys()
                stack += one.values()
            elif isinstance(one, _SEQUENCES):
                stack += one
            elif isinstance(one, jinja2.utils.Namespace):
                raise LimitError("a namespace cannot be printed, compared, nested or passed to a filter")
            if total + len(stack) > self.limit:
                self.tick(total + len(stack))
        return total

    def checked(self, value: Any) -> Any:
        """The value, if it is not too large."""
        self.tick(len(value) if isinstance(value, str) else self.size_of(value))
        return value

    def made(self, value: Any) -> Any:
        """A value that a template has just made, if it is not too large; what it takes is charged.

        What an iterator gives is gathered in a list: nothing is made behind the meter's back. Entries are charged where
        they are plain; lists and objects within were there before, or have been charged themselves.
        """
        if isinstance(value, Iterator):
            value = self._gathered(value)
        self.checked(value)
        self.charge(sys.getsizeof(value))
        if isinstance(value, list | tuple):
            self.charge(sum(sys.getsizeof(one) for one in value if isinstance(one, _PLAIN)))
        return value

    def moved(self, value: Any) -> Any:
        """As `made`, for a structure whose entries were there before: only its own room is charged."""
        self.checked(value)
        self.charge(sys.getsizeof(value))
        return value

    def written(self, value: Any) -> str:
        """The value as text, if neither is too large."""
        self.checked(value)
        return value if isinstance(value, str) else self.made(str(value))

    def _gathered(self, values: Iterable[Any]) -> list[Any]:
        found = []
        for value in values:
            found.append(value)
            self.tick()
            if len(found) > self.limit:
                self.tick(len(found))
        return found


def _extent(value: Any) -> tuple[int, int]:
    """How many plain values a value holds, itself included, and how many characters."""
    values, characters, stack = 0, 0, [value]
    while stack:
        one = stack.pop()
        values += 1
        if isinstance(one, str):
            characters += len(one)
        elif isinstance(one, Mapping):
            stack += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            stack += one
    return values, characters


METER: contextvars.ContextVar[Meter] = contextvars.ContextVar("meter")
