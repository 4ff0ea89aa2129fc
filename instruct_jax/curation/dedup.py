"""Duplicates: texts that are the same, and texts that share most of their runs of words, each with the one that is kept.

Which one is kept: texts are taken in order (or by `prefer`, best first), and one is dropped when it is a duplicate of a text
kept before. So a dropped text always resembles the very text that stays for it; there are no chains in which the first and
the last have nothing in common, as with connected components.
"""

import dataclasses
import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from datasketch import MinHash, MinHashLSH

from instruct_jax.curation.words import ngram_hashes, word_hashes
from instruct_jax.errors import InputError

# Candidates are verified, so that a false one costs time and a missed one a duplicate: bands are chosen for few misses.
_WEIGHTS = (0.05, 0.95)


@dataclasses.dataclass(frozen=True)
class Duplicate:
    """A text to drop.

    Attributes:
      index: which.
      kept: the text that stays for it.
      similarity: 1 for equal texts, otherwise the Jaccard similarity of their runs of words.
    """

    index: int
    kept: int
    similarity: float


@dataclasses.dataclass(frozen=True)
class NearDuplicates:
    """What near duplicates are: the numbers of MinHash with locality-sensitive hashing (Broder 1997; Lee et al. 2022,
    arXiv:2107.06499, appendix A).

    Attributes:
      threshold: the least Jaccard similarity of two texts' sets of runs. A word changed in the middle of a text takes n of its
        runs with it, so that changing a share d of all words, scattered, leaves about (1 - dn) / (1 + dn): 0.67 for a tenth.
      words: n, the length of a run; a shorter text is one run. Longer runs find copies of pages (5 words and 0.8 in Lee et
        al.), shorter ones rows that were reworded: benchmarks/curation.py measures it.
      permutations: of MinHash; more find more of the pairs that are near the threshold.
      template_rows: runs that stand in more texts than this are their template's wording, which is not compared unless a text
        has no other; None: all is compared. Without it, short records in one long wording are all alike.
      seed: of the permutations.
    """

    threshold: float = 0.6
    words: int = 2
    permutations: int = 128
    template_rows: int | None = None
    seed: int = 1

    def __post_init__(self):
        if not 0 < self.threshold <= 1:
            raise InputError(f"threshold is {self.threshold}; expected a Jaccard similarity above 0, at most 1")
        if self.words < 1 or self.permutations < 16:
            raise InputError(f"{self.words} words, {self.permutations} permutations: expected at least 1 and 16")
        if self.template_rows is not None and self.template_rows < 2:
            raise InputError(f"template_rows is {self.template_rows}; a template has at least 2 rows, and None compares all")


def normalised(text: str) -> str:
    """The text as exact duplicates are compared: compatibility forms and case folded, each run of space one space.

    Punctuation and signs stay: 2+3 and 2-3 are two texts.

    >>> normalised("  The\\tCAT. ")
    'the cat.'
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def exact_duplicates(texts: Iterable[str], prefer: Sequence[float] | None = None) -> list[Duplicate]:
    """Texts that are equal, but for case and space, to one that is kept.

    Args:
      texts: any number; a digest of each is held.
      prefer: a score of each text; of equal texts the one with the highest is kept, the first of these. None: the first.

    Returns:
      What to drop, by index.
    """
    digests = [hashlib.blake2b(normalised(text).encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
    first: dict[bytes, int] = {}
    found = []
    for index in _order(len(digests), prefer):
        kept = first.setdefault(digests[index], index)
        if kept != index:
            found.append(Duplicate(index, kept, 1.0))
    return sorted(found, key=lambda one: one.index)


def near_duplicates(
    texts: Sequence[str],
    numbers: NearDuplicates = NearDuplicates(),
    prefer: Sequence[float] | None = None,
    advance: Callable[[int], object] | None = None,
) -> list[Duplicate]:
    """Texts whose sets of runs of words are as similar as the threshold, or more, to those of a text that is kept.

    MinHash proposes pairs; each is verified by the Jaccard similarity of the sets themselves. A pair may be missed, with a
    probability that falls fast above the threshold; none is reported that is not one. A text without words is never one.

    Args:
      texts: all texts.
      numbers: what counts as a near duplicate.
      prefer: a score of each text: those with the highest are taken first. None: in order.
      advance: called with how many more texts are done.

    Returns:
      What to drop, by index, each with the most similar kept text, the first taken of these.
    """
    sets = _sets(texts, numbers)
    index = MinHashLSH(threshold=numbers.threshold, num_perm=numbers.permutations, weights=_WEIGHTS)
    rank: dict[int, int] = {}  # of the kept texts, in the order in which they were taken
    found = []
    order = [place for place in _order(len(texts), prefer) if sets[place].size]
    for place, sketch in zip(order, _sketches((sets[place] for place in order), numbers), strict=True):
        best = (0.0, 0, place)
        for other in index.query(sketch):
            similarity = jaccard(sets[place], sets[other])
            if similarity >= numbers.threshold:
                best = max(best, (similarity, -rank[other], other))
        if best[0]:
            found.append(Duplicate(place, best[2], best[0]))
        else:
            rank[place] = len(rank)
            index.insert(place, sketch, check_duplication=False)
        if advance is not None:
            advance(1)
    if advance is not None:
        advance(len(texts) - len(order))
    return sorted(found, key=lambda one: one.index)


def runs_of(text: str, n: int) -> np.ndarray:
    """The set of a text's runs of `n` words as sorted hashes: u64[runs]; a shorter text is one run, one without words none."""
    hashes = word_hashes(text)
    return np.unique(ngram_hashes(hashes, min(n, max(hashes.size, 1))))


def jaccard(first: np.ndarray, second: np.ndarray) -> float:
    """|A and B| / |A or B| of two sets as sorted arrays without repetitions; 0 for two empty ones.

    >>> jaccard(np.array([1, 2, 3]), np.array([2, 3, 4]))
    0.5
    """
    shared = np.intersect1d(first, second, assume_unique=True).size
    union = first.size + second.size - shared
    return shared / union if union else 0.0


def clusters(duplicates: Iterable[Duplicate]) -> dict[int, list[Duplicate]]:
    """What is dropped for each kept text, by the kept one."""
    found: dict[int, list[Duplicate]] = {}
    for one in sorted(duplicates, key=lambda one: (one.kept, one.index)):
        found.setdefault(one.kept, []).append(one)
    return found


def _order(count: int, prefer: Sequence[float] | None) -> list[int]:
    if prefer is None:
        return list(range(count))
    if len(prefer) != count:
        raise InputError(f"{len(prefer)} scores for {count} texts; give one for each")
    return sorted(range(count), key=lambda place: -prefer[place])


def _sets(texts: Sequence[str], numbers: NearDuplicates) -> list[np.ndarray]:
    sets = [runs_of(text, numbers.words) for text in texts]
    if numbers.template_rows is None or not sets:
        return sets
    runs, rows = np.unique(np.concatenate(sets), return_counts=True)
    template = runs[rows > numbers.template_rows]
    if not template.size:
        return sets
    own = []
    for one in sets:
        at = np.minimum(np.searchsorted(template, one), template.size - 1)
        rest = one[template[at] != one]
        own.append(rest if rest.size else one)
    return own


def _sketches(sets: Iterable[np.ndarray], numbers: NearDuplicates) -> Iterator[MinHash]:
    # The runs are hashed already, and the permutations are of all 64 bits.
    return MinHash.generator(
        (one.tolist() for one in sets),
        num_perm=numbers.permutations,
        seed=numbers.seed,
        scheme="affine64",
        hashfunc=lambda value: value,
    )
