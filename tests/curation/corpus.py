"""Procedural English: texts of made-up words, no two alike, and the ways in which a copy of one may differ."""

import random

SYLLABLES = [first + vowel for first in "bcdfghklmnprstvz" for vowel in "aeiou"]


def vocabulary(count: int = 2000, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return sorted({"".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(count)})


def texts(count: int, seed: int, shortest: int = 20, longest: int = 120) -> list[str]:
    """Independent texts of ragged lengths, frequent and rare words as in a language (Zipf's law)."""
    draw, words = random.Random(seed), vocabulary()
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    return [" ".join(draw.choices(words, weights, k=draw.randint(shortest, longest))) + "." for _ in range(count)]


def substituted(text: str, share: float, seed: int) -> str:
    """The text with a share of its words replaced by others, at scattered places."""
    draw, words = random.Random(seed), text.split()
    for place in draw.sample(range(len(words)), max(1, round(share * len(words)))):
        words[place] = f"other{draw.randint(0, 10**6)}"
    return " ".join(words)


def disguised(text: str) -> str:
    """The text in capitals, with other punctuation and spaces."""
    return " ;  ".join(text.upper().replace(".", "!").split(" "))
