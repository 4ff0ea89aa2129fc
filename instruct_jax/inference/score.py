"""Log-probability of given texts under a model: sequences packed into rows of few shapes, summed on the host."""

import bisect
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx

from instruct_jax.core.batch import Batch, positions_of
from instruct_jax.inference.decode import batch_rows, power_of_two
from instruct_jax.model.logprobs import token_logprobs
from instruct_jax.text.chat import Rendered

# A row is a power of two long, at least this many tokens: few shapes to compile, and room for several short sequences.
SHORTEST_ROW = 128


@dataclasses.dataclass(frozen=True)
class Logprob:
    """The log-probability of the weighted tokens of one sequence.

    Attributes:
      total: nats, summed over those tokens, each weighted.
      tokens: how many tokens that were; a sequence's first token is given, not predicted, and never counts.
    """

    total: float
    tokens: int

    @property
    def per_token(self) -> float:
        """Nats a token; minus infinity for a sequence with nothing to predict."""
        return self.total / self.tokens if self.tokens else float("-inf")


def sequence_logprobs(model: Any, sequences: Sequence[Rendered], batch_tokens: int = 8192) -> list[Logprob]:
    """The log-probability of each sequence's weighted tokens.

    Token log-probabilities come back to the host and are summed there, in float64 and in the order of the tokens, so a
    sum depends on how sequences were batched only by the rounding of the model itself.

    Args:
      model: what `token_logprobs` takes.
      sequences: rendered texts of unequal lengths; a row is made as long as the longest needs.
      batch_tokens: tokens in one forward pass; a longer sequence gets a pass of its own.
    """
    totals = [Logprob(0.0, 0)] * len(sequences)
    graphdef, state = nnx.split(model)
    by_capacity: dict[int, list[list[int]]] = {}
    for capacity, members in packed([len(sequence.tokens) for sequence in sequences]):
        by_capacity.setdefault(capacity, []).append(members)
    for capacity, rows in sorted(by_capacity.items()):
        height = batch_rows(len(rows), batch_tokens // capacity)
        for start in range(0, len(rows), height):
            chosen = rows[start : start + height]
            batch = _batch(sequences, chosen, height, capacity)
            logprobs = np.asarray(_logprobs(graphdef, state, batch), np.float64)
            for row, members in enumerate(chosen):
                end = 0
                for index in members:
                    begin, end = end, end + len(sequences[index].tokens)
                    weights = np.asarray(sequences[index].weights[1:], np.float64)
                    total = float(np.sum(logprobs[row, begin + 1 : end] * weights))
                    totals[index] = Logprob(total, int(np.count_nonzero(weights)))
    return totals


def packed(lengths: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Rows that hold every sequence once: (capacity, indices in the row), best fit decreasing.

    A row opens as long as the sequence that opens it, rounded up to a power of two, so one long outlier costs one long
    row. The result depends on the lengths alone.

    >>> packed([100, 20, 200, 8, 30])
    [(256, [2, 4, 1]), (128, [0, 3])]
    """
    rows: list[tuple[int, list[int]]] = []
    room: list[tuple[int, int]] = []  # (tokens left, row), sorted
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[index]
        place = bisect.bisect_left(room, (length, 0))
        if place < len(room):
            left, row = room.pop(place)
        else:
            left, row = max(SHORTEST_ROW, power_of_two(max(1, length))), len(rows)
            rows.append((left, []))
        rows[row][1].append(index)
        bisect.insort(room, (left - length, row))
    return rows


def _batch(sequences: Sequence[Rendered], rows: list[list[int]], height: int, capacity: int) -> Batch:
    tokens = np.zeros((height, capacity), np.int32)
    segment_ids = np.zeros((height, capacity), np.int32)
    weights = np.zeros((height, capacity), np.float32)
    for row, members in enumerate(rows):
        end = 0
        for segment, index in enumerate(members, 1):
            begin, end = end, end + len(sequences[index].tokens)
            tokens[row, begin:end] = sequences[index].tokens
            segment_ids[row, begin:end] = segment
            weights[row, begin:end] = sequences[index].weights
    return Batch(tokens, segment_ids, positions_of(segment_ids), weights)


@functools.partial(jax.jit, static_argnums=0)
def _logprobs(graphdef, state, batch):
    return token_logprobs(nnx.merge(graphdef, state), batch)
