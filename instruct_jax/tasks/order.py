"""One seeded order of a whole mixture, any stretch of which can be had without the rest."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

_STRETCH = 4_096
_NUMBERS_KEPT = 1 << 23  # of passes over tasks, eight bytes each


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

    Memory holds two bytes a place (four above 65,536 tasks), and passes over tasks of 64 MB in all, or one longer one.

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
        self._passes: dict[tuple[int, int], np.ndarray] = {}
        self._room = _NUMBERS_KEPT

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
        pool = self._pools[task]
        if pool is None:
            first = _first_index(self._seed, self._names[task])
            return [(first + use, 0) for use in range(start, stop)]
        found = []
        while start < stop:
            epoch, place = divmod(start, pool)
            until = min(pool, place + stop - start)
            found += [(index, epoch) for index in self._pass(task, epoch)[place:until].tolist()]
            start += until - place
        return found

    def _pass(self, task: int, epoch: int) -> np.ndarray:
        """The records of a task in the order of one epoch; the latest passes are kept, since every stretch meets them again."""
        if (task, epoch) in self._passes:
            chosen = self._passes.pop((task, epoch))
        else:
            name, size, pool = self._names[task], self._sizes[task], self._pools[task]
            chosen = seeded_generator(self._seed, f"epoch {epoch}\0{name}").permutation(pool)
            if size is None:
                chosen = chosen + _first_index(self._seed, name)
            elif pool < size:
                chosen = seeded_generator(self._seed, f"sample\0{name}").permutation(size)[chosen]
            self._room -= pool
            while self._room < 0 and self._passes:
                self._room += self._passes.pop(next(iter(self._passes))).size
        self._passes[task, epoch] = chosen
        return chosen

    def draws(self) -> Iterator[Draw]:
        """All places in order, a stretch at a time."""
        for start in range(0, len(self), _STRETCH):
            yield from self.stretch(start, start + _STRETCH)


def seeded_generator(seed: int, purpose: str) -> np.random.Generator:
    """Random numbers that depend on a seed and on what they are for."""
    digest = hashlib.blake2b(f"{seed}\0{purpose}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


def _first_index(seed: int, name: str) -> int:
    return int(seeded_generator(seed, f"start\0{name}").integers(1 << 40))
