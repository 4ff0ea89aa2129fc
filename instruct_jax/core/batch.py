"""Batch: what the model reads and what the loss counts, as arrays aligned token by token."""

import dataclasses
from typing import Any

import jax
import numpy as np

Array = Any  # numpy on the host, jax.Array inside a compiled function


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """Rows of packed text. B rows, T tokens.

    Every array is aligned by token: `weights[b, t]` is the loss weight of `tokens[b, t]` *as a target*. Padding and
    loss are decided by `segment_ids` and `weights` alone, never by a token's value: id 0 is an ordinary token.

    Two documents, "5 6 7" (prompt 5, response 6 7) and "8 9" (response 9), packed into one row of six:

        tokens       5 6 7 8 9 0
        segment_ids  1 1 1 2 2 0     0 marks padding
        positions    0 1 2 0 1 0     restart with each segment
        weights      0 1 1 0 1 0     only responses are trained

    Attributes:
      tokens: i32[B, T].
      segment_ids: i32[B, T], 1, 2, ... within a row; 0 is padding.
      positions: i32[B, T], counted from 0 within each segment.
      weights: f32[B, T], at least 0.
    """

    tokens: Array
    segment_ids: Array
    positions: Array
    weights: Array


def positions_of(segment_ids: np.ndarray) -> np.ndarray:
    """Positions counted from 0 within each run of equal segment ids; 0 on padding.

    Args:
      segment_ids: i32[..., T].

    Returns:
      i32[..., T].

    >>> positions_of(np.array([1, 1, 1, 2, 2, 0, 0])).tolist()
    [0, 1, 2, 0, 1, 0, 0]
    """
    segment_ids = np.asarray(segment_ids)
    index = np.arange(segment_ids.shape[-1], dtype=np.int32)
    starts = np.ones_like(segment_ids, dtype=bool)
    starts[..., 1:] = segment_ids[..., 1:] != segment_ids[..., :-1]
    origin = np.maximum.accumulate(np.where(starts, index, 0), axis=-1)
    return np.where(segment_ids > 0, index - origin, 0).astype(np.int32)
