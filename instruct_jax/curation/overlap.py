"""Leaks: where a training text holds a text of an evaluation suite, by shared runs of words.

Four rules, the first two as published but for the departures below:

* `long`: any shared run of 13 words (Brown et al. 2020, arXiv:2005.14165, appendix C).
* `coverage`: shared runs of 8 words cover more than half of the evaluation text's words, all in one training text (Lambert
  et al. 2024, arXiv:2411.15124, and their open-instruct code, which counts tokens where this counts words).
* `contained`: an evaluation text too short for either, of 6 to 12 words, stands whole in the training text.
* `whole`: the training text is the evaluation text, whatever its length.

Departures: a run of words in more than `template_records` records of one suite is its template's wording, or a phrase that
everybody uses, and no record owns it: such a run is no leak by itself. A text's own words are those outside all such runs of 4
words and more. `coverage` is measured over own words, and a run of 13 is a leak by `long` if it holds 8 own words or more than
half of them all: "Answer the following question: What is the name of" is shared by many. A text of fewer than 13 words is not
measured by `coverage`: 8 words are too few to tell.
"""

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from instruct_jax.curation.words import composed, ngram_hashes, word_hashes, word_places, words
from instruct_jax.errors import InputError

LONG, COVERAGE, CONTAINED, WHOLE = "long", "coverage", "contained", "whole"
RULES = (LONG, COVERAGE, CONTAINED, WHOLE)


@dataclasses.dataclass(frozen=True)
class EvaluationText:
    """A text that must not be trained on.

    Attributes:
      item: what it is called in its suite.
      record: the record behind it; wordings of one record share it. None: it is the only one.
    """

    item: str
    text: str
    record: str | None = None


@dataclasses.dataclass(frozen=True)
class Hit:
    """One evaluation text that a training text holds, by one rule.

    Attributes:
      suite, item: which.
      rule: one of RULES.
      span: the longest run of words that the two share, as the training text writes it.
      start, length: where the span stands in the training text (in `words.composed` of it), in characters.
      words: how many words the span has.
      share: of the evaluation text's own words, how many are covered by shared runs; 1 where it stands whole.
    """

    suite: str
    item: str
    rule: str
    span: str
    start: int
    length: int
    words: int
    share: float


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The rules' numbers.

    Attributes:
      long: words of a run that is a leak by itself; shorter evaluation texts must stand whole.
      short: words of the runs that cover.
      share: how much of an evaluation text's own words must be covered for a leak: more than this.
      contained: the fewest words of an evaluation text that is looked for within others; shorter ones must be the whole text.
      template_records: a run of words in more records of a suite than this belongs to its template.
      template_words: words of the shortest such run that makes words the template's.
    """

    long: int = 13
    short: int = 8
    share: float = 0.5
    contained: int = 6
    template_records: int = 10
    template_words: int = 4

    def __post_init__(self):
        runs = (self.contained, self.short, self.template_words)
        if not all(1 <= words <= self.long for words in runs) or self.template_records < 1:
            raise InputError(f"{self}: expected contained, short and template_words from 1 to long, and template_records >= 1")
        if not 0 <= self.share < 1:
            raise InputError(f"share is {self.share}; expected a share of an evaluation text from 0 to below 1")


class ContaminationIndex:
    """Evaluation texts, ready for training texts to be checked against.

    Args:
      suites: the texts of each suite; a bare text is called by its number, counted from 0.

    Attributes:
      texts: how many evaluation texts there are, by suite.
      unowned: (suite, item) of those that only `whole` can find: of fewer words than `contained`, or template wording alone.

    Raises:
      InputError: a suite has no text.
    """

    def __init__(self, suites: Mapping[str, Iterable[EvaluationText | str]], bounds: Bounds = Bounds()):
        self.bounds = bounds
        self._entries: list[tuple[str, EvaluationText]] = []
        self.texts: dict[str, int] = {}
        records, suite_of, hashes = [], [], []
        numbers: dict[tuple[str, str], int] = {}
        for number, (suite, texts) in enumerate(suites.items()):
            before = len(self._entries)
            for place, text in enumerate(texts):
                entry = text if isinstance(text, EvaluationText) else EvaluationText(str(place), text)
                record = entry.record if entry.record is not None else f"\0{place}"
                records.append(numbers.setdefault((suite, record), len(numbers)))
                suite_of.append(number)
                hashes.append(word_hashes(entry.text))
                self._entries.append((suite, entry))
            self.texts[suite] = len(self._entries) - before
            if not self.texts[suite]:
                raise InputError(f"evaluation suite {suite} has no text; leave it out, or give its file")
        lengths = np.array([one.size for one in hashes], np.int64)
        measured = [one if one.size >= bounds.long else one[:0] for one in hashes]
        owners = np.array(suite_of, np.int64), np.array(records, np.int64)
        self._long, _ = _Runs.of(bounds.long, measured).split(*owners, bounds.template_records)
        self._short, _ = _Runs.of(bounds.short, measured).split(*owners, bounds.template_records)
        _, template = _Runs.of(bounds.template_words, measured).split(*owners, bounds.template_records)
        self._ends = np.cumsum(lengths)
        self._own_words = np.repeat(lengths >= bounds.long, lengths) & ~template.covered(self._ends - lengths, int(lengths.sum()))
        between = [one[: bounds.contained] if bounds.contained <= one.size < bounds.long else one[:0] for one in hashes]
        self._first = _Runs.of(bounds.contained, between)
        self._wholes: dict[bytes, list[int]] = defaultdict(list)
        for place, one in enumerate(hashes):
            if one.size:
                self._wholes[one.tobytes()].append(place)
        found = {*np.repeat(np.arange(lengths.size), lengths)[self._own_words].tolist(), *self._first.items.tolist()}
        self.unowned = [(suite, entry.item) for place, (suite, entry) in enumerate(self._entries) if place not in found]
        self._words_of = functools.lru_cache(maxsize=4096)(self._item_words)

    def items(self, suite: str) -> list[str]:
        """What the texts of a suite are called, in order."""
        return [entry.item for name, entry in self._entries if name == suite]

    def check(self, text: str) -> list[Hit]:
        """The evaluation texts that a training text holds, in the order of the suites and their texts; [] where it is clean."""
        hashes = word_hashes(text)
        found: dict[str, dict[int, list[tuple[int, int]]]] = {}
        for rule, runs in ((LONG, self._long), (COVERAGE, self._short), (CONTAINED, self._first)):
            seeds = runs.look_up(hashes)
            if seeds:
                found[rule] = seeds
        wholes = self._wholes.get(hashes.tobytes(), ())
        if not found and not wholes:
            return []
        return self._hits(text, found, wholes)

    def whole(self, text: str) -> list[Hit]:
        """The evaluation texts that a text is, but for case, punctuation and spaces: for a turn that is checked by itself."""
        items = self._wholes.get(word_hashes(text).tobytes(), ())
        return self._hits(text, {}, items) if items else []

    def _hits(self, text: str, found: Mapping[str, Mapping[int, list[tuple[int, int]]]], wholes: Iterable[int]) -> list[Hit]:
        here, places, exact = words(text), word_places(text), composed(text)
        hits = []

        def add(item: int, rule: str, start: int, count: int, share: float) -> None:
            begin, end = places[start][0], places[start + count - 1][1]
            suite, entry = self._entries[item]
            hits.append((item, Hit(suite, entry.item, rule, exact[begin:end], begin, end - begin, count, share)))

        lengths = {LONG: self.bounds.long, COVERAGE: self.bounds.short, CONTAINED: self.bounds.contained}
        candidates = sorted({item for seeds in found.values() for item in seeds})
        for item in candidates:
            there = self._words_of(item)
            seeds = {
                rule: [(p, q) for p, q in found[rule].get(item, ()) if here[p : p + n] == there[q : q + n]]
                for rule, n in lengths.items()
                if rule in found
            }
            own = self._own_words[self._ends[item] - len(there) : self._ends[item]]
            covered = np.zeros(len(there), bool)
            for _, first in seeds.get(COVERAGE, ()):
                covered[first : first + self.bounds.short] = True
            share = float(np.sum(covered & own) / max(np.sum(own), 1))
            if seeds.get(LONG):
                start, first, count = _longest(here, there, seeds[LONG])
                held = int(np.sum(own[first : first + count]))
                if held >= self.bounds.short or held > self.bounds.share * np.sum(own):
                    add(item, LONG, start, count, share)
            if share > self.bounds.share:
                start, _, count = _longest(here, there, seeds[COVERAGE])
                add(item, COVERAGE, start, count, share)
            for start, _ in seeds.get(CONTAINED, ()):
                if here[start : start + len(there)] == there:
                    add(item, CONTAINED, start, len(there), 1.0)
                    break
        for item in wholes:
            if here == self._words_of(item):
                add(item, WHOLE, 0, len(here), 1.0)
        return [hit for _, hit in sorted(hits, key=lambda pair: (pair[0], RULES.index(pair[1].rule)))]

    def _item_words(self, item: int) -> list[str]:
        return words(self._entries[item][1].text)


@dataclasses.dataclass(frozen=True)
class _Runs:
    """Where runs of `n` words stand in the evaluation texts, in arrays sorted by hash: item and first word of each."""

    n: int
    hashes: np.ndarray
    starts: np.ndarray
    items: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, n: int, texts: list[np.ndarray]) -> "_Runs":
        """All runs of some texts."""
        runs = [ngram_hashes(text, n) for text in texts]
        counts = np.array([run.size for run in runs], np.int64)
        hashes = np.concatenate([*runs, np.empty(0, np.uint64)])
        items = np.repeat(np.arange(len(runs)), counts)
        places = np.arange(hashes.size) - np.repeat(np.cumsum(counts) - counts, counts)
        order = np.lexsort((places, items, hashes))
        return cls._sorted(n, hashes[order], items[order], places[order])

    @classmethod
    def _sorted(cls, n: int, hashes: np.ndarray, items: np.ndarray, places: np.ndarray) -> "_Runs":
        unique, starts = np.unique(hashes, return_index=True)
        return cls(n, unique, np.append(starts, hashes.size), items.astype(np.int32), places.astype(np.int32))

    def split(self, suites: np.ndarray, records: np.ndarray, most: int) -> tuple["_Runs", "_Runs"]:
        """Those that at most `most` records of their suite have, and the template's, by each text's suite and record."""
        counts = np.diff(self.starts)
        distinct = np.repeat(np.arange(counts.size), counts)
        _, run = np.unique(np.stack([distinct, suites[self.items]], 1), axis=0, return_inverse=True)
        run = run.reshape(-1)
        pairs = np.unique(np.stack([run, records[self.items]], 1), axis=0)
        own = np.bincount(pairs[:, 0], minlength=1)[run] <= most
        hashes = self.hashes[distinct]
        parts = [self._sorted(self.n, hashes[part], self.items[part], self.places[part]) for part in (own, ~own)]
        return parts[0], parts[1]

    def look_up(self, text: np.ndarray) -> dict[int, list[tuple[int, int]]]:
        """By item: (first word in the text, first word in the item) of each run that the two share, if hashes do not lie."""
        runs = ngram_hashes(text, self.n)
        if not runs.size or not self.hashes.size:
            return {}
        at = np.minimum(np.searchsorted(self.hashes, runs), self.hashes.size - 1)
        seeds: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for here in np.flatnonzero(self.hashes[at] == runs).tolist():
            for entry in range(self.starts[at[here]], self.starts[at[here] + 1]):
                seeds[int(self.items[entry])].append((here, int(self.places[entry])))
        return dict(seeds)

    def covered(self, starts: np.ndarray, words: int) -> np.ndarray:
        """Which words of the texts, one after the other, these runs cover: bool[words]; `starts` holds each text's first."""
        change = np.zeros(words + 1, np.int64)
        first = starts[self.items] + self.places
        np.add.at(change, first, 1)
        np.add.at(change, first + self.n, -1)
        return np.cumsum(change)[:words] > 0


def _longest(here: list[str], there: list[str], seeds: Iterable[tuple[int, int]]) -> tuple[int, int, int]:
    """The longest run of equal words through a seed, the first of equally long ones: its place in each text, its length."""
    best = (0, 0, 0)
    reached: dict[int, int] = {}  # by shift between the texts: where the last run ended, so that no run is walked twice
    for p, q in sorted(seeds):
        if p < reached.get(p - q, -1):
            continue
        start, end = p, p
        while start > 0 and q - (p - start) > 0 and here[start - 1] == there[q - (p - start) - 1]:
            start -= 1
        while end < len(here) and q + (end - p) < len(there) and here[end] == there[q + (end - p)]:
            end += 1
        reached[p - q] = end
        if end - start > best[2]:
            best = (start, start - p + q, end - start)
    return best
