"""DatasetSource: the rows of a prepared dataset as batches, in an order that is a function of (seed, step) alone."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grain
import jax

from instruct_jax.artifacts.dataset import Dataset, batch_of
from instruct_jax.artifacts.records import Row
from instruct_jax.core.batch import Batch
from instruct_jax.errors import InputError


class DatasetSource:
    """Batches of packed rows: shuffled anew in every epoch, repeated for ever, read ahead by threads.

    Row r of step s is row s * rows + r of the shuffled, repeated dataset, whatever the number of hosts; each host reads
    only its own share of the rows. Nothing is remembered between steps but what has been read ahead.

    Args:
      dataset: a prepared dataset's folder.
      rows: rows of the global batch.
      seed: of the order.
      threads: that read ahead.
    """

    def __init__(self, dataset: str | Path, rows: int, seed: int = 0, threads: int = 2):
        self._dataset = Dataset(dataset)
        self._rows, self._seed, self._threads = rows, seed, threads
        if rows < 1 or not 0 <= seed < 2**32:
            raise InputError(f"rows is {rows} and seed {seed}; expected at least 1 row, and a seed from 0 to 2**32 - 1")
        if not len(self._dataset):
            raise InputError(f"the dataset at {dataset} has no rows; prepare it with more examples")
        if rows % jax.process_count():
            raise InputError(f"a batch of {rows} rows cannot be shared by {jax.process_count()} hosts; make it a multiple")
        self._order = grain.MapDataset.range(len(self._dataset)).seed(seed).shuffle().repeat()
        self._next: int | None = None
        self._iterator: Iterator[list[Row]] = iter(())

    @property
    def folder(self) -> Path:
        """The dataset's folder."""
        return self._dataset.folder

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The dataset's manifest."""
        return self._dataset.manifest

    def describe_order(self) -> dict[str, Any]:
        """What a resumed run must share to see the same batches."""
        return {"identity": self.manifest["identity"], "rows": self._rows, "seed": self._seed}

    def __call__(self, step: int, model: Any = None) -> Batch:
        """This host's rows of the batch of `step`, as host arrays."""
        del model  # a fixed dataset does not depend on the live model
        if step != self._next:
            self._iterator = self._read_from(step)
        self._next = None  # an error below must not leave a stale position behind
        rows = next(self._iterator)
        self._next = step + 1
        return batch_of(rows, self._dataset.length)

    def describe(self, step: int) -> list[str]:
        """Where each row of the whole batch of `step` came from, in words."""
        indices = [self._order[step * self._rows + row] for row in range(self._rows)]
        return [f"row {index}: {self._dataset.describe(self._dataset[index])}" for index in indices]

    def _read_from(self, step: int) -> Iterator[list[Row]]:
        local = self._rows // jax.process_count()
        first = jax.process_index() * local

        def read(index: int) -> Row:
            step_offset, row = divmod(index, local)
            return self._dataset[self._order[(step + step_offset) * self._rows + first + row]]

        reading = grain.MapDataset.range(sys.maxsize // (2 * local) * local).map(read)
        ahead = grain.ReadOptions(num_threads=self._threads, prefetch_buffer_size=4 * local)
        return iter(reading.batch(local, batch_fn=list).to_iter_dataset(ahead))
