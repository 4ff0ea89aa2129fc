"""A dataset's segments as columns: where each came from, how long it is and how much of it is trained, in one pass."""

import dataclasses
from collections.abc import Callable

import numpy as np

from instruct_jax.artifacts.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Census:
    """S segments in R rows, in the order of the rows.

    Attributes:
      task, template, example, epoch: i64[S], the provenance; template is -1 where there is none.
      tokens, supervised: i64[S], the segment's tokens, and those of them with a loss weight.
      row_tokens, row_segments: i64[R].
    """

    task: np.ndarray
    template: np.ndarray
    example: np.ndarray
    epoch: np.ndarray
    tokens: np.ndarray
    supervised: np.ndarray
    row_tokens: np.ndarray
    row_segments: np.ndarray

    def place(self, segment: int) -> tuple[int, int]:
        """The row of a segment, and which of the row's segments it is."""
        ends = np.cumsum(self.row_segments)
        row = int(np.searchsorted(ends, segment, side="right"))
        return row, segment - int(ends[row] - self.row_segments[row])

    def examples(self) -> np.ndarray:
        """i64[S]: a number for each segment's use of an example; the pieces of one document share theirs."""
        places = np.stack([self.task, self.example, self.epoch], axis=1)
        return np.unique(places, axis=0, return_inverse=True)[1].reshape(-1)


def take_census(dataset: Dataset, advance: Callable[[int], None]) -> Census:
    """Read every row once.

    Args:
      dataset: what to read.
      advance: hears how many more rows are read.
    """
    provenance, tokens, supervised, row_tokens = [], [], [], []
    for index in range(len(dataset)):
        row = dataset[index]
        provenance.append(row.provenance)
        tokens.append(row.lengths)
        starts = np.cumsum(row.lengths) - row.lengths
        supervised.append(np.add.reduceat(row.weights > 0, starts, dtype=np.int64))
        row_tokens.append(row.tokens.size)
        advance(1)
    task, template, example, epoch = np.concatenate(provenance).T.astype(np.int64)
    return Census(
        task=task,
        template=template,
        example=example,
        epoch=epoch,
        tokens=np.concatenate(tokens).astype(np.int64),
        supervised=np.concatenate(supervised),
        row_tokens=np.array(row_tokens, np.int64),
        row_segments=np.array([len(one) for one in provenance], np.int64),
    )
