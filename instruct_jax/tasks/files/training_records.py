"""The samples of files as records to train on: what was chosen, what is desired, what is worked out; nothing else."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from instruct_jax.tasks.files.records import MalformedRow, Records
from instruct_jax.tasks.formats import Samples
from instruct_jax.text.conversation import Message

VERSION = 1  # raise it when the same files would give other records


class TrainingRecords(Records):
    """Records of {"messages", "tools"}, or {"text"} for documents, in order of file and row.

    Of a preference pair the chosen conversation is kept, and of unpaired labels the rows whose answer is desired.

    Args:
      samples: of the files.
    """

    def __init__(self, samples: Samples):
        self._samples = samples

    @functools.cached_property
    def size(self) -> int:
        return len(self._samples) if self._desired is None else self._desired.size

    def __getitem__(self, index: int) -> dict[str, Any]:
        conversation = self._samples[self._place(index)].conversation
        if conversation.is_document() and len(conversation.messages) == 1:
            return {"text": conversation.messages[0].text}
        if not any(message.is_trained() for message in conversation.messages):
            roles = ", ".join(dict.fromkeys(message.role for message in conversation.messages))
            raise MalformedRow(
                f"{self.where(index)}: as {self._samples.form.title}: there is no answer to train on among the turns of {roles}; "
                "drop the row, give another format, or skip malformed rows"
            )
        record: dict[str, Any] = {"messages": [_entry(message) for message in conversation.messages]}
        if conversation.tools:
            record["tools"] = [dict(tool) for tool in conversation.tools]
        return record

    def where(self, index: int) -> str:
        return self._samples.where(self._place(index))

    def _place(self, index: int) -> int:
        if not 0 <= index < self.size:
            raise IndexError(index)
        return index if self._desired is None else int(self._desired[index])

    @functools.cached_property
    def _desired(self) -> np.ndarray | None:
        """Places of the samples to train on; None for all of them. A broken one is among them, so that it is told when read."""
        if self._samples.form.one_each:
            return None
        places = []
        for place in range(len(self._samples)):
            try:
                desired = self._samples[place].label is not False
            except MalformedRow:
                desired = True
            if desired:
                places.append(place)
        return np.array(places, np.int64)


def _entry(message: Message) -> Mapping[str, Any]:
    """A message as `conversation_of` reads it back."""
    trained = {} if message.trained is None else {"trained": message.trained}
    return {"role": message.role, "content": message.text, **trained, **message.fields}
