"""A growing pool of texts and the ROUGE-L of a new text to all of them, exact and without comparing most."""

import array
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

# What rouge-score takes for a word: the reference splits at everything else, in lower case.
_WORD = re.compile(r"[a-z0-9]+")
# So many texts are compared at a time: the likeliest first, until no other can come among the nearest.
_BLOCK = 64


class RougePool:
    """Texts by number, and a search for those nearest to another by ROUGE-L.

    ROUGE-L (Lin 2004, section 3.1) is the F-measure 2PR / (P + R) of the longest common subsequence of words, with P and
    R its share of the one text's words and of the other's. No subsequence is longer than the words that two texts share,
    counted as in bags; an index of words gives that bound for the whole pool, and only texts whose bound is high enough
    are compared. What is returned equals comparing all of them.

    >>> pool = RougePool()
    >>> for text in ("Name three birds.", "Name the capital of a country.", "Add two numbers."):
    ...     pool.add(text)
    >>> pool.nearest("Name the capital of the country!", most=2)
    [(1, 0.8333333333333334), (0, 0.2222222222222222)]
    """

    def __init__(self):
        self._ids: dict[str, int] = {}
        self._texts: list[np.ndarray] = []
        self._lengths = array.array("i")
        # By word: the texts it is in, and how often.
        self._places: list[array.array] = []
        self._counts: list[array.array] = []

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, text: str) -> None:
        """Put one more text into the pool; its number is how many there were."""
        found = words(text)
        ids = [self._ids.setdefault(word, len(self._ids)) for word in found]
        for _ in range(len(self._ids) - len(self._places)):
            self._places.append(array.array("i"))
            self._counts.append(array.array("i"))
        for word, count in Counter(ids).items():
            self._places[word].append(len(self._texts))
            self._counts[word].append(count)
        self._texts.append(np.array(ids, np.int32))
        self._lengths.append(len(ids))

    def nearest(self, text: str, most: int = 10) -> list[tuple[int, float]]:
        """The texts nearest to this one: (number, ROUGE-L), the nearest first, equally near ones in the pool's order.

        Args:
          text: need not be in the pool.
          most: how many at most.
        """
        # A word that the pool has not is -1: it matches nothing.
        ids = np.array([self._ids.get(word, -1) for word in words(text)], np.int32)
        lengths = np.array(self._lengths, np.int64)
        bounds = 2 * self._shared(ids) / np.maximum(lengths + ids.size, 1)
        order = np.argsort(-bounds, kind="stable")
        found: list[tuple[float, int]] = []
        for start in range(0, order.size, _BLOCK):
            block = order[start : start + _BLOCK]
            # Strictly below, with room for rounding: an equally near text of a lower number would come first.
            if len(found) == most and bounds[block[0]] < -found[-1][0] - 1e-9:
                break
            common = longest_common(ids, [self._texts[index] for index in block])
            scores = ((-f_measure(int(one), int(lengths[at]), ids.size), int(at)) for at, one in zip(block, common, strict=True))
            found = sorted([*found, *scores])[:most]
        return [(index, -score) for score, index in found]

    def _shared(self, ids: np.ndarray) -> np.ndarray:
        """How many words each text shares with these, i64[N]."""
        shared = np.zeros(len(self._texts), np.int64)
        for word, count in Counter(ids.tolist()).items():
            if word >= 0:
                places = np.array(self._places[word], np.int64)
                shared[places] += np.minimum(np.array(self._counts[word], np.int64), count)
        return shared


def words(text: str) -> list[str]:
    """The words of a text as ROUGE counts them, without stemming.

    >>> words("It's 2 o'clock.")
    ['it', 's', '2', 'o', 'clock']
    """
    return _WORD.findall(text.lower())


def longest_common(text: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Length of the longest common subsequence of one text with each of others, i64[N].

    Args:
      text: i32[T], with -1 for what matches nothing.
      others: i32[*] each, of unequal lengths.

    >>> longest_common(np.array([1, 2, 3, 4]), [np.array([2, 4, 9]), np.array([4, 3]), np.array([], int)]).tolist()
    [2, 1, 0]
    """
    width = max((other.size for other in others), default=0)
    table = np.full((len(others), width), -2, np.int32)  # padding matches nothing either
    for row, other in enumerate(others):
        table[row, : other.size] = other
    # best[:, j]: the longest with the words read so far and the first j of the other text. Within a step a column is the
    # greatest of its own and those to its left, which is what the recurrence's second case says.
    best = np.zeros((len(others), width + 1), np.int64)
    for word in text:
        extended = np.where(table == word, best[:, :-1] + 1, best[:, 1:])
        np.maximum.accumulate(np.maximum(extended, best[:, 1:]), axis=1, out=best[:, 1:])
    return best[:, -1]


def f_measure(common: int, target: int, prediction: int) -> float:
    """ROUGE-L of two texts of so many words with so long a common subsequence, in the reference's order of operations."""
    if not common:
        return 0.0
    precision, recall = common / prediction, common / target
    return 2 * precision * recall / (precision + recall)
