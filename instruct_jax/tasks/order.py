"""One seeded order of a whole mixture, any stretch of which can be had without the rest."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

_STRETCH = 4_096
_PERMUTATIONS_KEPT = 8


@dataclasses.dataclass(frozen=True)
class Draw:
    """One place in the mixture: record `index` of the task with this number, used for the `epoch`-th time."""

    task: int
    index: int
    epoch: int


class Order:
    """Which record of which task stands at every place of a mixture.

    A task whose pool is smaller than its records gives a random sample of them. A task that gives more than its pool goes
    round again, each time in a new order. Orders depend on the seed and the task's name, so tasks of one size differ. A
    source without end gives a block of consecutive indices that the seed places.

    Memory holds two bytes a place (four above 65,536 tasks), and a few permutations.

    Args:
      names: of the tasks.
      sizes: their records; None for no end.
      pools: how many different records each may give; None for no end. At most the size.
      counts: how many examples each gives.
      seed: of everything.
    """

    def __init__(
        self, names: Sequence[str], sizes: Sequence[int | None], pools: Sequence[int | None], counts: Sequence[int], seed: int
    ):
        self._names, self._sizes, self._pools, self._seed = tuple(names), tuple(sizes), tuple(pools), seed
        kind = np.uint16 if len(names) <= 1 << 16 else np.uint32
        self._labels = np.repeat(np.arange(len(names), dtype=kind), counts)
        seeded_generator(seed, "order").shuffle(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def stretch(self, start: int, stop: int) -> list[Draw]:
        """The places from `start` up to `stop`, in order; those of the whole mixture are `stretch(0, len(order))`."""
        labels = self._labels[start:stop]
        used = np.bincount(self._labels[:start], minlength=len(self._names))
        found: list[Draw | None] = [None] * len(labels)
        places = np.argsort(labels, kind="stable")
        ends = np.searchsorted(labels[places], np.arange(len(self._names)), side="right")
        begin = 0
        for task, end in enumerate(ends.tolist()):
            if end > begin:
                uses = self.uses(task, int(used[task]), int(used[task]) + end - begin)
                for place, (index, epoch) in zip(places[begin:end].tolist(), uses, strict=True):
                    found[place] = Draw(task, index, epoch)
            begin = end
        return found

    def uses(self, task: int, start: int, stop: int) -> list[tuple[int, int]]:
        """(index, epoch) of the record that a task gives when it is used for the `start`-th time, up to the `stop`-th."""
        name, size, pool = self._names[task], self._sizes[task], self._pools[task]
        if pool is None:
            first = _first_index(self._seed, name)
            return [(first + use, 0) for use in range(start, stop)]
        found = []
        while start < stop:
            epoch, place = divmod(start, pool)
            until = min(pool, place + stop - start)
            chosen = _permutation(self._seed, f"epoch {epoch}\0{name}", pool)[place:until]
            if size is None:
                chosen = chosen + _first_index(self._seed, name)
            elif pool < size:
                chosen = _permutation(self._seed, f"sample\0{name}", size)[chosen]
            found += [(index, epoch) for index in chosen.tolist()]
            start += until - place
        return found

    def draws(self) -> Iterator[Draw]:
        """All places in order, a stretch at a time."""
        for start in range(0, len(self), _STRETCH):
            yield from self.stretch(start, start + _STRETCH)


def seeded_generator(seed: int, purpose: str) -> np.random.Generator:
    """Random numbers that depend on a seed and on what they are for."""
    digest = hashlib.blake2b(f"{seed}\0{purpose}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


@functools.lru_cache(maxsize=_PERMUTATIONS_KEPT)
def _permutation(seed: int, purpose: str, size: int) -> np.ndarray:
    return seeded_generator(seed, purpose).permutation(size)


def _first_index(seed: int, name: str) -> int:
    return int(seeded_generator(seed, f"start\0{name}").integers(1 << 40))
