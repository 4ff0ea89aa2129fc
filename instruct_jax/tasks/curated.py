"""Curated: a preprocessor that makes a SeqIO task carry its own curation."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from instruct_jax.curation.decisions import Row, Step, record, unwatched
from instruct_jax.errors import InputError
from instruct_jax.tasks.instruct import plain
from instruct_jax.text.conversation import Conversation, Message


@dataclasses.dataclass(frozen=True)
class Fields:
    """A record's fields as a conversation.

    Attributes:
      prompt, response: names of the fields that hold what is asked and what is answered; None where there is none.
    """

    prompt: str | None = "inputs"
    response: str | None = "targets"

    def __call__(self, record: Mapping[str, Any]) -> Conversation:
        """The conversation of a record.

        Raises:
          InputError: a field is missing, or no text.
        """
        turns = []
        for role, name in (("user", self.prompt), ("assistant", self.response)):
            if name is not None:
                if not isinstance(record.get(name), str):
                    raise InputError(f"field {name!r} is no text; the record has: {', '.join(record)}")
                turns.append(Message(role, record[name]))
        return Conversation(tuple(turns))


@dataclasses.dataclass(frozen=True)
class Curated:
    """Drops records by the steps of a curation, before they wear a template.

    Stands among a task's preprocessors before `Instruct`; `prepare` runs it once and keeps what it leaves. The records are
    held in memory while the steps compare them.

    Attributes:
      steps: rules, in order; each sees what those before it left.
      conversation: what the rules look at, from a record of plain fields.
      decisions: a .jsonl to write what was dropped to, with the rule and the reason; None: it is not written.

    >>> from instruct_jax.curation.filters import Length
    >>> rows = tf.data.Dataset.from_tensor_slices({"inputs": ["Why?", "Who?"], "targets": ["Because it rains.", ""]})
    >>> [one["inputs"] for one in Curated((Length(least=2),))(rows).as_numpy_iterator()]
    [b'Why?']
    """

    steps: Sequence[Step]
    conversation: Callable[[Mapping[str, Any]], Conversation] = dataclasses.field(default_factory=Fields)
    decisions: str | None = None

    def __call__(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """The records that stay, in order."""
        return tf.data.Dataset.from_generator(lambda: self._kept(dataset), output_signature=dataset.element_spec)

    def _kept(self, dataset: tf.data.Dataset) -> Iterator[Any]:
        elements = list(dataset)
        fields = [plain(dict(element)) for element in dataset.as_numpy_iterator()]
        rows = [Row(self.conversation(one), f"record {place}", one) for place, one in enumerate(fields)]
        left, lines = list(range(len(rows))), []
        for step in self.steps:
            decisions = step.decide([rows[place] for place in left], unwatched)
            lines += [record(rows[place], step.rule, one) for place, one in zip(left, decisions, strict=True) if not one.keep]
            left = [place for place, one in zip(left, decisions, strict=True) if one.keep]
        if self.decisions is not None:
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            Path(self.decisions).write_text(text)
        for place in left:
            yield elements[place]
