"""Text that says the same again and again: the measures and bounds of Gopher's data.

Rae et al. 2021, arXiv:2112.11446, appendix A, table A1: "the fraction of characters contained within all duplicate n-grams,
taking care not to count characters that occur in overlapping n-grams more than once". Read here as what a reader would call
repeated: places after the first. Words are parted by white space, their case folded, and characters are counted in words.
"""

import collections
import dataclasses
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np

from instruct_jax.curation.decisions import KEPT, Decision, Filter
from instruct_jax.curation.filters import Part
from instruct_jax.curation.parts import response
from instruct_jax.text.conversation import Conversation

_PARAGRAPHS = re.compile(r"\n\s*\n")
# The most that a text may have of each measure.
BOUNDS = {
    "lines": 0.30,
    "paragraphs": 0.30,
    "characters in lines": 0.20,
    "characters in paragraphs": 0.20,
    "top 2-gram": 0.20,
    "top 3-gram": 0.18,
    "top 4-gram": 0.16,
    "5-grams": 0.15,
    "6-grams": 0.14,
    "7-grams": 0.13,
    "8-grams": 0.12,
    "9-grams": 0.11,
    "10-grams": 0.10,
}


@dataclasses.dataclass(frozen=True)
class Repetition(Filter):
    """A part does not repeat itself.

    Attributes:
      shortest: words of the shortest text that is judged. Gopher's are pages of 50 words at least; an answer of 50 words that
        works with the quantities of its question repeats itself by right (233 of 3,000 in GSM8K; 36 from 100 words on).
      bounds: the most of each measure, in the order in which they are looked at.
      part: whole, prompt or response.
    """

    shortest: int = 100
    bounds: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(BOUNDS), hash=False)
    part: Part = response

    @property
    def rule(self) -> str:
        return "repetition"

    def __call__(self, conversation: Conversation) -> Decision:
        text = self.part(conversation)
        if len(text.split()) < self.shortest:
            return KEPT
        measures = repetition(text)
        for name, most in self.bounds.items():
            if measures[name] > most:
                return Decision(False, f"repeated {name}: {measures[name]:.2f} of the text, more than {most}", measures[name])
        return KEPT


def repetition(text: str) -> dict[str, float]:
    """Every measure of table A1, each a share of the text from 0 to 1.

    * lines, paragraphs: of their number, those that repeat an earlier one; "characters in" them, of all characters.
    * top n-gram: characters in all places of the most frequent run of n words, one that stands twice at least.
    * n-grams: characters in runs of n words that stood before, each character counted once.

    >>> measures = repetition("a b c d e f\\na b c d e f")
    >>> measures["lines"], round(measures["top 2-gram"], 2), measures["5-grams"]
    (0.5, 0.33, 0.5)
    """
    found = text.casefold().split()
    measures = {}
    for name, pieces in (("lines", text.splitlines()), ("paragraphs", _PARAGRAPHS.split(text))):
        pieces = [piece.strip() for piece in pieces if piece.strip()]
        again = [piece for piece, first in zip(pieces, _firsts(pieces), strict=True) if not first]
        measures[name] = len(again) / max(len(pieces), 1)
        measures[f"characters in {name}"] = sum(map(len, again)) / max(sum(map(len, pieces)), 1)
    lengths = np.array([len(word) for word in found], np.int64)
    for n in (2, 3, 4):
        measures[f"top {n}-gram"] = _top(found, lengths, n)
    for n in range(5, 11):
        measures[f"{n}-grams"] = _repeated(found, lengths, n)
    return measures


def _firsts(pieces: Iterable[Hashable]) -> list[bool]:
    """Whether each piece stands there for the first time."""
    seen: set[Hashable] = set()
    return [not (piece in seen or seen.add(piece)) for piece in pieces]


def _top(found: Sequence[str], lengths: np.ndarray, n: int) -> float:
    places = collections.defaultdict(list)
    for place, run in enumerate(zip(*(found[k:] for k in range(n)), strict=False)):
        places[run].append(place)
    # Of equally frequent ones the longest, as it takes most of the text.
    best = max(((len(at), sum(map(len, run)), at) for run, at in places.items() if len(at) > 1), default=None)
    return 0.0 if best is None else _share(best[2], lengths, n)


def _repeated(found: Sequence[str], lengths: np.ndarray, n: int) -> float:
    runs = zip(*(found[k:] for k in range(n)), strict=False)
    return _share([place for place, first in enumerate(_firsts(runs)) if not first], lengths, n)


def _share(places: Sequence[int], lengths: np.ndarray, n: int) -> float:
    inside = np.zeros(lengths.size, bool)
    for place in places:
        inside[place : place + n] = True
    return float(lengths[inside].sum() / max(lengths.sum(), 1))
