"""A text as words without case and punctuation, and runs of n words as 64-bit hashes: what duplicates and leaks are found by."""

import functools
import hashlib
import re
import unicodedata

import numpy as np

# Scripts written without spaces between words (kana, Han, Thai): each character is a word of its own.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_ASCII = re.compile(r"[A-Za-z0-9]+")
_ANY = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_REMEMBERED = 1 << 20
_MULTIPLIER = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64


def composed(text: str) -> str:
    """The text with letters and their accents as one character each (Unicode NFC): what places in it refer to."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def words(text: str) -> list[str]:
    """The words of a text in order, as they are compared: letters and digits alone, compatibility forms and case folded.

    >>> words("Don't PANIC — it’s  only_1,000 cafés!")
    ['don', 't', 'panic', 'it', 's', 'only', '1', '000', 'cafés']
    """
    return [_folded(word) for word in _found(composed(text))]


def word_places(text: str) -> list[tuple[int, int]]:
    """Where each of `words(text)` begins and ends in `composed(text)`, in characters.

    >>> word_places("a  bc.")
    [(0, 1), (3, 5)]
    """
    exact = composed(text)
    return [match.span() for match in _pattern(exact).finditer(exact)]


def word_hashes(text: str) -> np.ndarray:
    """A 64-bit hash of each of `words(text)`, the same in every process: u64[words]."""
    found = _found(composed(text))
    return np.fromiter(map(_HASHES.__getitem__, found), np.uint64, len(found))


def ngram_hashes(hashes: np.ndarray, n: int) -> np.ndarray:
    """A 64-bit hash of each run of `n` words.

    The hash of words w_i ... w_{i+n-1} is sum_k w_{i+k} m^k modulo 2^64, a polynomial in an odd m. Its prefix sums S give
    every run at once, whatever n: (S_{i+n} - S_i) m^-i.

    Args:
      hashes: u64[words] of `word_hashes`.

    Returns:
      u64[max(words - n + 1, 0)], by first word.
    """
    count = hashes.size - n + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    powers, inverses = _powers(1 << int(hashes.size).bit_length())
    sums = np.zeros(hashes.size + 1, np.uint64)
    np.cumsum(hashes * powers[: hashes.size], out=sums[1:])
    return (sums[n:] - sums[:count]) * inverses[:count]


def _pattern(text: str) -> re.Pattern:
    return _ASCII if text.isascii() else _ANY


def _found(text: str) -> list[str]:
    return _pattern(text).findall(text)


def _folded(word: str) -> str:
    return word.lower() if word.isascii() else unicodedata.normalize("NFKC", word).casefold()


class _Hashes(dict):
    """The hash of each word as it stands in a text, computed once and forgotten when there are too many."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _REMEMBERED:
            self.clear()
        digest = hashlib.blake2b(_folded(word).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self[word] = value = int.from_bytes(digest, "little")
        return value


_HASHES = _Hashes()


@functools.lru_cache(maxsize=32)
def _powers(count: int) -> tuple[np.ndarray, np.ndarray]:
    inverse = pow(_MULTIPLIER, -1, 1 << 64)
    both = []
    for factor in (_MULTIPLIER, inverse):
        steps = np.full(count, factor, np.uint64)
        steps[0] = 1
        both.append(np.cumprod(steps, dtype=np.uint64))
    return both[0], both[1]
