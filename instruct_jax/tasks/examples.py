"""A task's examples by index, ready to render, whatever kind of SeqIO task it is."""

import abc
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import seqio

from instruct_jax.errors import InputError
from instruct_jax.tasks.exemplars import Exemplars
from instruct_jax.tasks.files.records import MalformedRow, Records
from instruct_jax.tasks.instruct import Instruct
from instruct_jax.tasks.materialise import spill
from instruct_jax.tasks.prompted import Prompter, check_some_supported
from instruct_jax.tasks.prompts import PromptSettings, as_settings
from instruct_jax.tasks.sources import RecordSource
from instruct_jax.tasks.vocabulary import check_vocabulary
from instruct_jax.text.chat import Rendered
from instruct_jax.text.conversation import Conversation, Message
from instruct_jax.text.conversation_lines import line_conversation
from instruct_jax.text.tokenizer import Tokenizer

NO_TEMPLATE = -1
NO_SETTING = -1


@dataclasses.dataclass(frozen=True)
class Example:
    """One example on its way to the renderer.

    Attributes:
      content: turns or a document in words, or a task's own token ids.
      template: index of its wording; NO_TEMPLATE where there is none.
      document: whether it is a plain document.
      setting: index of its prompt setting; NO_SETTING where its task has no templates.
      shots: worked examples given before the question.
    """

    content: Conversation | Rendered
    template: int
    document: bool
    setting: int = NO_SETTING
    shots: int = 0


class Examples(abc.ABC):
    """The examples of one split of one task.

    Attributes:
      records: what they are made from.
    """

    records: Records

    @abc.abstractmethod
    def example(self, index: int, epoch: int) -> Example:
        """The example made from record `index` when it is used for the `epoch`-th time, counted from 0.

        Raises:
          MalformedRow: the record cannot be used.
        """


def instruct_of(task: seqio.Task) -> Instruct | None:
    """The task's Instruct, or None for a plain SeqIO task.

    Raises:
      InputError: Instruct is there, and not last.
    """
    places = [place for place, step in enumerate(task.preprocessors) if isinstance(step, Instruct)]
    if not places:
        return None
    if places != [len(task.preprocessors) - 1]:
        raise InputError(f"task {task.name}: Instruct must be the last preprocessor and the only one of its kind")
    return task.preprocessors[-1]


def open_examples(
    task: seqio.Task,
    split: str,
    tokenizer: Tokenizer,
    seed: int,
    prompts: PromptSettings | Sequence[PromptSettings],
    scratch: Path,
) -> Examples:
    """A task's examples, read by index where its source can, else put through its preprocessors once and kept on disk.

    Args:
      task: any SeqIO task.
      split: the split to read.
      tokenizer: what token ids are checked against, and exemplars counted with.
      seed: decides settings, templates and exemplars, and the preprocessors' random choices.
      prompts: how prompts are made: each example of an instruction task wears one of the settings.
      scratch: folder for what has to be kept on disk.

    Raises:
      InputError: the task cannot be read, or supports none of the settings.
    """
    instruct, records = instruct_of(task), open_records(task, split, seed, scratch)
    if instruct is not None:
        return InstructionExamples(records, instruct, seed, as_settings(prompts), tokenizer)
    first = _first_readable(records)
    if "messages" in first or {"prompt", "completion"} <= set(first):
        return ConversationExamples(records)
    if "targets" not in first and "text" not in first:
        raise InputError(
            f"task {task.name} ({records.where(0)}) gives {', '.join(sorted(first))}; expected 'messages', or 'targets' with or "
            "without 'inputs', or 'text' (or make it an instruction task: put Instruct last among its preprocessors)"
        )
    if isinstance(first.get("targets", first.get("text")), str):
        return TextExamples(records)
    check_vocabulary(task, tokenizer)
    return TokenExamples(records, tokenizer.vocab_size)


def open_records(task: seqio.Task, split: str, seed: int, scratch: Path) -> Records:
    """What a task's examples are made from, read by index where its source can, else kept on disk first.

    Args:
      task, split, seed, scratch: as for `open_examples`.

    Raises:
      InputError: there is no such split, or nothing in it.
    """
    instruct = instruct_of(task)
    if "[" not in split and split not in task.splits:
        raise InputError(f"task {task.name} has no split {split!r}; it has: {', '.join(task.splits)}")
    steps = list(task.preprocessors if instruct is None else task.preprocessors[:-1])
    if isinstance(task.source, RecordSource) and not steps:
        records = task.source.records(split)
    else:
        records = spill(task, steps, split, seed, scratch / f"{task.name}-{split}.jsonl".replace(":", "_"))
    if records.size == 0:
        raise InputError(f"task {task.name} has no examples in split {split!r}; check its source and its filters")
    return records


def _first_readable(records: Records) -> dict[str, Any]:
    """The first record that can be read: it tells the kind of all. A broken one is met, or skipped, when it is drawn.

    Raises:
      MalformedRow: none of the first thousand can be read.
    """
    last = min(1_000, records.size or 1_000) - 1
    for index in range(last):
        try:
            return records[index]
        except MalformedRow:
            continue
    return records[last]


class InstructionExamples(Examples):
    """Records in the words of templates, in the shape of one of several prompt settings; exemplars are of the same split."""

    def __init__(self, records: Records, instruct: Instruct, seed: int, prompts: Sequence[PromptSettings], tokenizer: Tokenizer):
        check_some_supported(prompts, instruct)
        self.records, self.instruct = records, instruct
        exemplars = Exemplars(records, instruct.template_field, instruct.source_field)
        self._prompter = Prompter(instruct, prompts, seed, exemplars, tokenizer)

    def example(self, index: int, epoch: int) -> Example:
        record = self.records[index]
        try:
            found = self._prompter.example(record, epoch)
        except InputError as error:
            if not self.instruct.trainable():  # no fault of the record's
                raise
            raise MalformedRow(f"{self.records.where(index)}: {error}") from None
        return Example(found.conversation, found.template, document=False, setting=found.setting, shots=found.shots)


class ConversationExamples(Examples):
    """Conversations of any number of turns, as `conversation_lines.line_conversation` reads them from JSON.

    `messages` and `tools` may also come as tf.data can hold them: as JSON text, or as lists by field
    ({"role": [...], "content": [...]}).
    """

    def __init__(self, records: Records):
        self.records = records

    def example(self, index: int, epoch: int) -> Example:
        del epoch
        record = dict(self.records[index])
        try:
            for name in {"messages", "tools"} & set(record):
                record[name] = _listed(name, record[name])
            conversation = line_conversation(record)
        except InputError as error:
            raise MalformedRow(f"{self.records.where(index)}: {error}") from None
        return Example(conversation, NO_TEMPLATE, document=conversation.is_document())


def _listed(name: str, value: Any) -> Any:
    """A list of objects from the forms in which tf.data holds one; any other value as it is."""
    if isinstance(value, str):
        try:
            return json.loads(value) if value else []
        except ValueError as error:
            raise InputError(f"{name} is text that is not valid JSON ({error}); expected a list of objects") from None
    if isinstance(value, Mapping) and all(isinstance(column, list) for column in value.values()):
        sizes = {field: len(column) for field, column in value.items()}
        if len(set(sizes.values())) > 1:
            raise InputError(f"{name} has fields of unequal lengths: {sizes}; expected one entry a message in each")
        return [dict(zip(value, entries, strict=True)) for entries in zip(*value.values(), strict=True)]
    return value


class TextExamples(Examples):
    """String `inputs` and `targets` as two turns; `targets` or `text` alone as a plain document."""

    def __init__(self, records: Records):
        self.records = records

    def example(self, index: int, epoch: int) -> Example:
        del epoch
        record = self.records[index]
        texts = {name: record[name] for name in ("inputs", "targets", "text") if name in record}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise MalformedRow(
                    f"{self.records.where(index)}: {name} is {type(text).__name__}; expected text as in the first row"
                )
        if "inputs" in texts and "targets" in texts:
            turns = (Message("user", texts["inputs"]), Message("assistant", texts["targets"]))
            return Example(Conversation(turns), NO_TEMPLATE, document=False)
        if "targets" not in texts and "text" not in texts:
            raise MalformedRow(f"{self.records.where(index)}: neither 'targets' nor 'text' is there; it has: {', '.join(record)}")
        document = Conversation((Message("text", texts.get("targets", texts.get("text", ""))),))
        return Example(document, NO_TEMPLATE, document=True)


class TokenExamples(Examples):
    """A SeqIO task's own token ids, kept as they are: no loss on `inputs`, loss on every token of `targets`."""

    def __init__(self, records: Records, vocab_size: int):
        self.records, self._vocab_size = records, vocab_size

    def example(self, index: int, epoch: int) -> Example:
        del epoch
        record = self.records[index]
        inputs = self._ids(record.get("inputs", []), "inputs", index)
        if "targets" not in record:
            raise MalformedRow(f"{self.records.where(index)}: 'targets' is not there; it has: {', '.join(record)}")
        targets = self._ids(record["targets"], "targets", index)
        weights = np.repeat(np.array([0.0, 1.0], np.float32), [inputs.size, targets.size])
        trimmable = ((0, inputs.size),) if inputs.size else ()
        return Example(Rendered(np.concatenate([inputs, targets]), weights, trimmable), NO_TEMPLATE, document=not inputs.size)

    def _ids(self, values: Any, name: str, index: int) -> np.ndarray:
        try:
            ids = np.asarray(values if len(values) else np.zeros(0, np.int64))
        except (TypeError, ValueError):  # a number alone, or rows of unequal lengths
            ids = np.asarray(None)
        if ids.dtype.kind not in "iu":
            raise MalformedRow(f"{self.records.where(index)}: {name} must be whole numbers in one row; got {values!r:.60}")
        if ids.ndim != 1 or (ids.size and not 0 <= ids.min() <= ids.max() < self._vocab_size):
            raise MalformedRow(
                f"{self.records.where(index)}: {name} must be ids from 0 to {self._vocab_size - 1} in one row; "
                f"got shape {ids.shape}" + (f", {ids.min()} to {ids.max()}" if ids.size else "")
            )
        return ids.astype(np.int32)
