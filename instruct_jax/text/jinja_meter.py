"""The meter of a foreign template: how long it has computed, and how large a thing it may make."""

import contextlib
import contextvars
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2
import jinja2.utils

SECONDS = 0.5  # of this thread's own computing, for one render; public templates take less than a thousandth of it
CHARACTERS = 1 << 18  # that any text or structure of a template may have, beyond eight times what it was given
_SEQUENCES = (list, tuple, type({}.keys()), type({}.values()), type({}.items()))


class LimitError(jinja2.TemplateRuntimeError):
    """A template took more time, text or nesting than any honest one needs."""


class Meter:
    """What one run has used, and may use."""

    def __init__(self, given: int):
        self.deadline = time.thread_time() + SECONDS
        self.limit = CHARACTERS + 8 * given
        self.marks = ("", "")

    def tick(self, size: int = 0) -> None:
        if size > self.limit:
            raise LimitError(f"it makes something of {size:,} characters; at most {self.limit:,} are allowed")
        if time.thread_time() > self.deadline:
            raise LimitError(f"it computes for more than {SECONDS:g} s")

    def size_of(self, value: Any, unlimited: bool = False) -> int:
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
                raise LimitError("a namespace cannot be printed, nested or passed to a filter")
            if total > self.limit and not unlimited:
                self.tick(total)
        return total

    def checked(self, value: Any) -> Any:
        """The value, if it is not too large."""
        if isinstance(value, str):
            self.tick(len(value))
        else:
            self.tick(self.size_of(value))
        return value


METER: contextvars.ContextVar[Meter] = contextvars.ContextVar("meter")


@contextlib.contextmanager
def metered(meter: Meter) -> Iterator[None]:
    token = METER.set(meter)
    try:
        yield
    finally:
        METER.reset(token)
