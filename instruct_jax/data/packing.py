"""Documents into rows of a fixed number of tokens: best fit within a bounded window, nothing lost, nothing cut."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from instruct_jax.artifacts.records import Row

PACKING_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Segment:
    """One document on its way into a row. N tokens.

    Attributes:
      tokens: i32[N], at least one.
      weights: f32[N].
      provenance: (task, template, example, epoch), as in `instruct_jax.artifacts.records.PROVENANCE`.
    """

    tokens: np.ndarray
    weights: np.ndarray
    provenance: tuple[int, int, int, int]


def pack(segments: Iterable[Segment], length: int, window: int = 2_048) -> Iterator[Row]:
    """Rows of at most `length` tokens that hold every segment exactly once.

    Up to `window` segments wait. When the window is full, a row is begun with the one that has waited longest and topped
    up, again and again, with the longest waiting segment that still fits (among equals the older). When the segments run
    out, rows are begun with the longest instead, which is best-fit decreasing. The result depends on nothing but the order
    and lengths of the segments, and no segment waits for more than `window` rows.

    Args:
      segments: each of 1 to `length` tokens.
      length: T, tokens in a full row.
      window: how many segments may wait, at least 1; memory holds so many.

    Returns:
      Rows in the order in which they were filled.

    >>> def segment(n):
    ...     return Segment(np.full(n, n, np.int32), np.ones(n, np.float32), (0, 0, 0, 0))
    >>> [row.lengths.tolist() for row in pack([segment(n) for n in (5, 4, 6, 3, 2)], length=10)]
    [[6, 4], [5, 3, 2]]
    """
    waiting = _Waiting(length)
    for segment in segments:
        waiting.add(segment)
        while waiting.count >= window:
            yield _row(waiting.take_oldest(), waiting, length)
    while waiting.count:
        yield _row(waiting.take_at_most(length), waiting, length)


def _row(first: Segment, waiting: "_Waiting", length: int) -> Row:
    chosen, room = [first], length - first.tokens.size
    while (segment := waiting.take_at_most(room)) is not None:
        chosen.append(segment)
        room -= segment.tokens.size
    return Row(
        np.concatenate([segment.tokens for segment in chosen]),
        np.concatenate([segment.weights for segment in chosen]),
        np.array([segment.tokens.size for segment in chosen], np.int32),
        np.array([segment.provenance for segment in chosen], np.int64),
    )


class _Waiting:
    """Segments by length, oldest first within a length.

    Bit n of `_lengths` tells whether one of n tokens waits, so that the longest that fits is found without a search.
    """

    def __init__(self, length: int):
        self._length, self._lengths, self._arrivals, self.count = length, 0, 0, 0
        self._queues: dict[int, collections.deque[tuple[int, Segment]]] = collections.defaultdict(collections.deque)
        # (arrival, tokens) in order of arrival; those that have left are skipped when they reach the front.
        self._ages: collections.deque[tuple[int, int]] = collections.deque()

    def add(self, segment: Segment) -> None:
        size = segment.tokens.size
        if not 1 <= size <= self._length:
            raise ValueError(f"a segment of {size} tokens cannot be packed into rows of {self._length}")
        self._queues[size].append((self._arrivals, segment))
        self._ages.append((self._arrivals, size))
        self._lengths |= 1 << size
        self._arrivals += 1
        self.count += 1

    def take_oldest(self) -> Segment:
        while True:
            arrival, size = self._ages.popleft()
            # Queues are in order of arrival, so one that still waits here is its queue's front.
            if self._queues[size] and self._queues[size][0][0] == arrival:
                return self._take(size)

    def take_at_most(self, room: int) -> Segment | None:
        size = (self._lengths & ((2 << room) - 1)).bit_length() - 1
        return self._take(size) if size > 0 else None

    def _take(self, size: int) -> Segment:
        queue = self._queues[size]
        _, segment = queue.popleft()
        if not queue:
            self._lengths &= ~(1 << size)
        self.count -= 1
        return segment
