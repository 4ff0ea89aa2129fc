"""What curation decides of each row, and why: rows with where they came from, decisions, and the steps that make them."""

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from instruct_jax.text.conversation import Conversation

Advance = Callable[[int], object]


@dataclasses.dataclass(frozen=True)
class Row:
    """A conversation to keep or drop.

    Attributes:
      provenance: where it came from, as "file:line".
      fields: what else is known of it, such as {"ifd": 0.4} or {"task": "nli"}.
    """

    conversation: Conversation
    provenance: str
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)


@dataclasses.dataclass(frozen=True)
class Decision:
    """Whether a row stays.

    Attributes:
      reason: in words, what was found; "" for a row that stays without a remark.
      measure: the number that decided, where one did.
      about: what else a reader may want to check it by, such as the span that was found; JSON values.
    """

    keep: bool
    reason: str = ""
    measure: float | None = None
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)


KEPT = Decision(True)


def unwatched(count: int) -> None:
    """The progress of a step that nobody watches."""
    del count


class Step(abc.ABC):
    """One rule of a curation. It sees all rows that the steps before it kept, so that it may compare them.

    Attributes:
      rule: its name in decisions and reports.
    """

    @property
    @abc.abstractmethod
    def rule(self) -> str: ...

    @abc.abstractmethod
    def decide(self, rows: Sequence[Row], advance: Advance) -> list[Decision]:
        """A decision for each row, in order; `advance` is called with how many more rows are done.

        Raises:
          InputError: the rows lack what the step decides by.
        """


class Filter(Step):
    """A rule that looks at one conversation alone."""

    @abc.abstractmethod
    def __call__(self, conversation: Conversation) -> Decision:
        """Whether a conversation stays."""

    def decide(self, rows: Sequence[Row], advance: Advance) -> list[Decision]:
        decisions = []
        for row in rows:
            decisions.append(self(row.conversation))
            advance(1)
        return decisions


def record(row: Row, rule: str, decision: Decision) -> dict[str, Any]:
    """A decision as one line of decisions.jsonl.

    >>> from instruct_jax.text.conversation import conversation_of
    >>> row = Row(conversation_of([("user", "hi")]), "chats.jsonl:7")
    >>> record(row, "length", Decision(False, "1 words, fewer than 2", 1))
    {'row': 'chats.jsonl:7', 'rule': 'length', 'keep': False, 'reason': '1 words, fewer than 2', 'measure': 1}
    """
    line: dict[str, Any] = {"row": row.provenance, "rule": rule, "keep": decision.keep, "reason": decision.reason}
    if decision.measure is not None:
        line["measure"] = decision.measure
    return line | ({"about": dict(decision.about)} if decision.about else {})
