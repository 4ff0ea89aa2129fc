"""The best and most varied rows: a pool by quality, and from it those that lie farthest apart.

Two stages as in MoDS (Du et al. 2023, arXiv:2311.15653): first the rows of highest quality, then the greedy k-center choice
(Gonzalez 1985; Sener and Savarese 2018, arXiv:1708.00489): start with the best row, and again and again take the row that is
farthest from all that were taken, so that at every step the worst-covered row is covered.

Departures: quality is any field of a row, by default the instruction-following difficulty of Li et al. 2023,
arXiv:2308.12032, whose rows of 1 and more are dropped as there; rows lie apart by the words they use, hashed into vectors
(Weinberger et al. 2009, arXiv:0902.2206), where MoDS embeds them with a model; a cluster may have a quota.
"""

import collections
import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from instruct_jax.curation.decisions import Advance, Decision, Row, Step
from instruct_jax.curation.filters import Part
from instruct_jax.curation.parts import whole
from instruct_jax.curation.steps import number
from instruct_jax.curation.words import ngram_hashes, word_hashes
from instruct_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Quality:
    """How good a row is: a number that it carries, the higher the better.

    Attributes:
      field: the row's field.
      below: rows of this much and more are dropped; None: none is. An IFD of 1 says that the prompt does not help the answer.
        A row whose field is null, as of one that was too long to be annotated, is dropped too.
    """

    field: str = "ifd"
    below: float | None = 1.0


@dataclasses.dataclass(frozen=True)
class Best(Step):
    """The best and most varied rows.

    Attributes:
      count, share: how many are chosen, as a number or as a share of the rows; set one of them.
      quality: what the pool is chosen by; None: all rows are the pool.
      pool: how many times as many rows as are chosen the pool has; 1 chooses by quality alone.
      quota: at most this share of the chosen rows, and of the pool, come from one cluster.
      cluster: the field that names a row's cluster; rows without it are one cluster.
      dimensions: of the vectors.
      part: what makes rows different: whole, prompt or response.
      seed: of the order among equals and of the vectors' signs.
    """

    count: int | None = None
    share: float | None = None
    quality: Quality | None = Quality()
    pool: float = 3.0
    quota: float = 1.0
    cluster: str = "cluster"
    dimensions: int = 512
    part: Part = whole
    seed: int = 0

    def __post_init__(self):
        if (self.count is None) == (self.share is None):
            raise InputError(f"Best: count is {self.count} and share is {self.share}; set one of them")
        if (self.count is not None and self.count < 1) or (self.share is not None and not 0 < self.share <= 1):
            raise InputError(f"Best: count {self.count}, share {self.share}; expected a count of 1 or more, or a share up to 1")
        if self.pool < 1 or not 0 < self.quota <= 1 or self.dimensions < 2:
            raise InputError(f"Best: pool {self.pool}, quota {self.quota}: expected a pool of 1 or more, a quota up to 1")

    @property
    def rule(self) -> str:
        return "selection"

    def decide(self, rows: Sequence[Row], advance: Advance) -> list[Decision]:
        decisions = [Decision(False, "not chosen: others vary more")] * len(rows)
        scores = np.array([self._score(row) for row in rows])
        wanted = self.count if self.count is not None else math.ceil(self.share * len(rows))
        # A seeded order among equals, so that equal scores do not favour the beginning of a file.
        order = np.random.default_rng(self.seed).permutation(len(rows))
        order = order[np.argsort(-scores[order], kind="stable")]
        if self.quality is not None:
            below = np.inf if self.quality.below is None else self.quality.below
            for place in np.flatnonzero(~(scores < below)).tolist():
                limit = "not measured" if scores[place] == np.inf else f"{scores[place]:.3f}, not below {below:g}"
                measure = None if scores[place] == np.inf else float(scores[place])
                decisions[place] = Decision(False, f"{self.quality.field} {limit}", measure)
            order = order[scores[order] < below]
        room = max(1, math.floor(self.quota * wanted))
        size, share = math.ceil(self.pool * wanted), math.ceil(self.pool * room)
        pool: list[int] = []
        held: collections.Counter[str] = collections.Counter()
        for rank, place in enumerate(order.tolist(), 1):
            name = self._cluster(rows[place])
            if len(pool) < size and held[name] < share:
                pool.append(place)
                held[name] += 1
            else:
                limit = f"pool of {size}" + (f", {share} of a cluster" if share < size else "")
                decisions[place] = Decision(False, f"rank {rank} of {order.size} in quality, {limit}", float(scores[place]))
        names = [self._cluster(rows[place]) for place in pool]
        vectors = word_vectors([self.part(rows[place].conversation) for place in pool], self.dimensions, self.seed)
        advance(len(rows) - min(wanted, len(pool)))
        for rank, (chosen, distance) in enumerate(k_center(vectors, wanted, names, room), 1):
            advance(1)
            about = {"rank": rank, "distance": round(distance, 4)}
            decisions[pool[chosen]] = Decision(True, f"chosen as number {rank}", float(scores[pool[chosen]]), about)
        return decisions

    def _score(self, row: Row) -> float:
        """The row's quality; infinite where it was not measured."""
        if self.quality is None:
            return 0.0
        null = self.quality.field in row.fields and row.fields[self.quality.field] is None
        return np.inf if null else number(row, self.quality.field)

    def _cluster(self, row: Row) -> str:
        return str(row.fields.get(self.cluster, ""))


def word_vectors(texts: Sequence[str], dimensions: int, seed: int = 0) -> np.ndarray:
    """Texts as unit vectors of their words and pairs of words, each counted by its logarithm: f32[texts, dimensions].

    A word's hash says its place and its sign, so that words that share a place cancel on average.
    """
    vectors = np.zeros((len(texts), dimensions), np.float32)
    salt = np.random.default_rng(seed).integers(0, 1 << 63, dtype=np.uint64)
    for row, text in enumerate(texts):
        words = word_hashes(text)
        runs, counts = np.unique(np.concatenate([words, ngram_hashes(words, 2)]), return_counts=True)
        mixed = (runs ^ salt) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
        signs = np.where(mixed & np.uint64(1), 1.0, -1.0)
        places = ((mixed >> np.uint64(1)) % np.uint64(dimensions)).astype(np.int64)
        np.add.at(vectors[row], places, signs * np.log1p(counts))
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(norms, 1e-12)


def k_center(vectors: np.ndarray, count: int, clusters: Sequence[str], room: int) -> Iterator[tuple[int, float]]:
    """Rows that cover the others: the first row, then again and again the one farthest from all that were taken.

    The greatest distance of any row to its nearest chosen one is at most twice the least that is possible with as many rows
    (Gonzalez 1985, theorem 2.2), where distances obey the triangle inequality and no cluster is full: they are chords here.

    Args:
      vectors: f32[rows, dimensions] of length 1, the best row first.
      count: how many to take; fewer are taken where clusters are full.
      clusters: the cluster of each row.
      room: the most that is taken of one cluster.

    Yields:
      (row, distance to the nearest row taken before; 2 for the first), in the order in which they are taken.
    """
    _, cluster = np.unique(np.array(clusters, str), return_inverse=True)
    taken_of = np.zeros(len(clusters), np.int64)
    squared = np.full(len(vectors), 4.0, np.float32)
    free = np.ones(len(vectors), bool)
    for _ in range(count):
        if not free.any():
            return
        best = int(np.argmax(np.where(free, squared, -1.0)))
        yield best, float(np.sqrt(max(squared[best], 0.0)))
        free[best] = False
        taken_of[cluster[best]] += 1
        if taken_of[cluster[best]] == room:
            free &= cluster != cluster[best]
        np.minimum(squared, 2.0 - 2.0 * (vectors @ vectors[best]), out=squared)
