"""Rows for a curation from files of any format, with the fields that they carry, and the lines that they become again."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from instruct_jax.curation.decisions import Row
from instruct_jax.tasks.files.records import MalformedRow
from instruct_jax.tasks.files.samples import Sample
from instruct_jax.tasks.formats import Samples
from instruct_jax.text.conversation import Conversation, Message


@dataclasses.dataclass(frozen=True)
class SampleRow:
    """A sample as a row of a curation.

    Attributes:
      sample: what was read.
      row: what the rules see: the conversation (of a pair, the chosen one), and the fields that say nothing of it.
    """

    sample: Sample
    row: Row

    def line(self) -> dict[str, Any]:
        """The row as a line that `formats` reads as it was: OpenAI messages, a preference pair, a label, or a prompt with its
        answer; with "provenance" and the fields that it carried. An earlier provenance becomes "origin"."""
        carried = dict(self.row.fields)
        if "provenance" in carried:
            carried.setdefault("origin", carried["provenance"])
        return {**_said(self.sample), **carried, "provenance": self.row.provenance}


def sample_rows(samples: Samples) -> Iterator[SampleRow | MalformedRow]:
    """Every sample in order; in the place of a row that cannot be read, what is wrong with it."""
    for number in range(samples.records.size):
        try:
            fields = samples.records[number]
            read = samples.of_row(number)
        except MalformedRow as error:
            yield error
            continue
        for sample in read:
            said = {*_said(sample), *samples.form.reads(fields)}
            carried = {name: value for name, value in fields.items() if name not in said}
            yield SampleRow(sample, Row(sample.conversation, str(sample.provenance), carried))


def _said(sample: Sample) -> dict[str, Any]:
    if sample.rejected is not None:
        return {"chosen": _messages(sample.conversation), "rejected": _messages(sample.rejected)} | _tools(sample.conversation)
    messages = _messages(sample.conversation)
    if sample.label is not None:
        return {"prompt": messages[:-1], "completion": messages[-1:], "label": sample.label}
    if sample.answer is not None and sample.conversation.messages[-1].role != "assistant":
        return {"prompt": messages, "ground_truth": sample.answer}
    if sample.conversation.is_document():
        return {"text": "\n\n".join(message.text for message in sample.conversation.messages)}
    answer = {} if sample.answer is None else {"answer": sample.answer}
    return {"messages": messages} | _tools(sample.conversation) | answer


def _messages(conversation: Conversation) -> list[dict[str, Any]]:
    return [_message(message) for message in conversation.messages]


def _message(message: Message) -> dict[str, Any]:
    trained = {} if message.trained is None else {"trained": message.trained}
    return {"role": message.role, "content": message.text, **message.fields, **trained}


def _tools(conversation: Conversation) -> dict[str, Any]:
    return {"tools": [dict(tool) for tool in conversation.tools]} if conversation.tools else {}
