"""Samples: what one row of a file says, whatever form it came in, and where it stood."""

import dataclasses

from instruct_jax.text.conversation import Conversation


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where a sample was read.

    Attributes:
      file: path or URL.
      row: its line, or the number of its element or row; counted from 1.
      format: name of the row form that read it.

    >>> str(Provenance("chats.jsonl", 3, "alpaca"))
    'chats.jsonl:3'
    """

    file: str
    row: int
    format: str

    def __str__(self) -> str:
        return f"{self.file}:{self.row}"


@dataclasses.dataclass(frozen=True)
class Sample:
    """One row as a conversation, and what else it tells.

    Attributes:
      conversation: of a preference pair, the one that was chosen; of a prompt without a worked answer, the prompt alone.
      provenance: where it was read.
      rejected: the other conversation of a preference pair.
      label: of an unpaired label, whether the answer is desired.
      answer: what a right answer comes to, where that can be checked: text, or JSON text of what a checker is given.
    """

    conversation: Conversation
    provenance: Provenance
    rejected: Conversation | None = None
    label: bool | None = None
    answer: str | None = None
