"""Where records come from: SeqIO data sources that can also be read by index."""

import abc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import seqio
import tensorflow as tf

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.records import JsonRecords, Records, matches
from instruct_jax.tasks.identity import function_identity


class RecordSource(seqio.DataSource):
    """A SeqIO source whose records are also reachable by index, so that `prepare` needs no tf.data graph for it."""

    def __init__(self, splits: Sequence[str]):
        super().__init__(splits=splits)
        self._opened: dict[str, Records] = {}

    @abc.abstractmethod
    def read(self, split: str) -> Records:
        """Open a split."""

    @abc.abstractmethod
    def identity(self, split: str) -> Any:
        """What decides the records of a split, as JSON can hold it."""

    def has_split(self, split: str) -> bool:
        """Whether there is such a split; slices ("train[:5%]") are none, but where a source says so."""
        return split in self.splits

    def records(self, split: str) -> Records:
        """The records of a split, opened once.

        Raises:
          InputError: there is no such split.
        """
        if not self.has_split(split):
            raise InputError(f"{self} has no split {split!r}; it has: {', '.join(self.splits)}")
        if split not in self._opened:
            self._opened[split] = self.read(split)
        return self._opened[split]

    @property
    def supports_arbitrary_sharding(self) -> bool:
        return False

    def list_shards(self, split: str) -> Sequence[str]:
        return [split]

    def num_input_examples(self, split: str) -> int | None:
        return self.records(split).size

    def get_dataset(
        self, split="train", shuffle=True, seed=None, shard_info=None, *, sequence_length=None, use_cached=False, num_epochs=1
    ) -> tf.data.Dataset:
        """The split as tf.data, in order: SeqIO shuffles after its preprocessors."""
        del shuffle, seed, shard_info, sequence_length, use_cached, num_epochs
        records = self.records(split)
        if records.size == 0:
            raise InputError(f"split {split!r} of {self} has no records")
        signature = {name: _spec(name, value, records.where(0)) for name, value in records[0].items()}

        def rows():
            index = 0
            while records.size is None or index < records.size:
                yield records[index]
                index += 1

        return tf.data.Dataset.from_generator(rows, output_signature=signature)


class JsonLines(RecordSource):
    """Files of JSON objects: a line each (.jsonl), or one array of them (.json).

    Files of lines are indexed once and read at need, so memory holds an offset a line; an array is held whole. Empty lines
    are passed over.

    Args:
      files: for each split, a file, a glob, or several of them; matches are sorted.
    """

    def __init__(self, files: Mapping[str, str | Sequence[str]]):
        super().__init__(splits=tuple(files))
        self._files = {split: [one] if isinstance(one, str | Path) else list(one) for split, one in files.items()}

    def __repr__(self) -> str:
        return f"JsonLines({self._files})"

    def read(self, split: str) -> JsonRecords:
        return JsonRecords(matches(self._files[split]))

    def identity(self, split: str) -> Any:
        return self.records(split).identity()


class Generated(RecordSource):
    """Records made by a function of their index: as many as asked for.

    Args:
      record: (index, split) -> fields; pure. Splits must not share content.
      size: how many there are in each split; None for no end.
      splits: names of the splits.
      version: says when the records change, for functions that read more than their own code.
    """

    def __init__(
        self,
        record: Callable[[int, str], Mapping[str, Any]],
        size: int | None = None,
        splits: Sequence[str] = ("train", "validation", "test"),
        version: str = "",
    ):
        super().__init__(splits=splits)
        self._record, self._size, self._version = record, size, version

    def __repr__(self) -> str:
        return f"Generated({getattr(self._record, '__qualname__', self._record)})"

    def read(self, split: str) -> "GeneratedRecords":
        return GeneratedRecords(self._record, self._size, split)

    def identity(self, split: str) -> Any:
        return [function_identity(self._record), self._size, split, self._version]


class GeneratedRecords(Records):
    """What a function gives for each index of one split."""

    def __init__(self, record: Callable[[int, str], Mapping[str, Any]], size: int | None, split: str):
        self._record, self.size, self._split = record, size, split

    def __getitem__(self, index: int) -> dict[str, Any]:
        return dict(self._record(index, self._split))

    def where(self, index: int) -> str:
        return f"generated record {index} of split {self._split!r}"


def _spec(name: str, value: Any, where: str) -> tf.TensorSpec:
    listed = isinstance(value, list | tuple)
    first = (value[0] if value else "") if listed else value
    for kind, dtype in ((bool, tf.bool), (str, tf.string), (int, tf.int64), (float, tf.float64)):
        if isinstance(first, kind):
            return tf.TensorSpec((None,) if listed else (), dtype)
    raise InputError(
        f"{where}: field {name!r} is {type(first).__name__}, which tf.data cannot hold; "
        "expected text, numbers or lists of them (prepare reads it where no preprocessor but Instruct is)"
    )
