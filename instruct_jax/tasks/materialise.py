"""A SeqIO task's records on disk: each task goes once through its own small tf.data graph, never through one for all."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import seqio
import tensorflow as tf

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.records import JsonRecords, Records
from instruct_jax.tasks.instruct import plain
from instruct_jax.tasks.sources import RecordSource


def spill(task: seqio.Task, steps: Sequence[Callable[..., Any]], split: str, seed: int, file: Path) -> Records:
    """Write what the task's preprocessors make of its source, a JSON line each, and open it by index.

    A file that is there already is opened as it is: it was written by the same call, perhaps in another process.

    The preprocessors get no sequence length, so that none of them cuts an example: lengths are `prepare`'s business.

    Args:
      task: the task.
      steps: the preprocessors to run.
      split: the split to read, in the order of its source.
      seed: seed of the preprocessors' random choices.
      file: where to write.

    Raises:
      InputError: the source has no end, or a preprocessor failed.
    """
    if not file.exists():
        _write(task, steps, split, seed, file)
    return SpilledRecords(JsonRecords([file]), task.name)


def _write(task: seqio.Task, steps: Sequence[Callable[..., Any]], split: str, seed: int, file: Path) -> None:
    bare = task.replace(preprocessors=list(steps))
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    tf.random.set_seed(seed)
    try:
        dataset = task.source.get_dataset(split=split, shuffle=False)
        endless = isinstance(task.source, RecordSource) and task.source.num_input_examples(split) is None
        if endless or int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
            raise InputError(
                f"task {task.name}: its source has no end in split {split!r}, so its preprocessors cannot be run ahead; give the "
                "source a size, or make the records what they should be in the source itself"
            )
        dataset = bare.preprocess_postcache(bare.preprocess_precache(dataset, seed=seed), sequence_length=None, seed=seed)
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "w") as stream:
            for index, record in enumerate(dataset.as_numpy_iterator()):
                stream.write(_line(task, index, record))
        partial.replace(file)
    except tf.errors.OpError as error:
        raise InputError(f"task {task.name}, split {split!r}: {_reason(error)}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"task {task.name}, split {split!r}: a preprocessor failed: {_first_line(str(error))}") from error


class SpilledRecords(Records):
    """Records that went through tf.data, named by task and number since their files are behind them."""

    def __init__(self, records: JsonRecords, task: str):
        self._records, self._task, self.size = records, task, records.size

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._records[index]

    def where(self, index: int) -> str:
        return f"task {self._task} example {index}"


def _line(task: seqio.Task, index: int, record: Any) -> str:
    try:
        return json.dumps(plain(record)) + "\n"
    except (TypeError, UnicodeError) as error:
        raise InputError(
            f"task {task.name} example {index}: its fields are not text and numbers ({error}); drop the others in a preprocessor"
        ) from None


def _reason(error: tf.errors.OpError) -> str:
    """The line that says what went wrong: an InputError raised inside the graph, else the operation's own first line."""
    for line in str(error.message).splitlines():
        kind, _, message = line.partition(": ")
        if kind.rpartition(".")[2] in ("InputError", "MalformedRow"):
            return message
    return _first_line(str(error.message))


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")
