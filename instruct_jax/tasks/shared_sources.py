"""Which rows of a dataset's instruction files were made from one source, found in the rows' own words.

Two signs say so. Files in step list the same items in the same order, each in its own wording: row r of one is row r of the
other. And rows that share a long sentence were made from one passage, whatever their files and places. A sentence that
nearly every row of a file holds is the template's own and says nothing.
"""

import collections
import re
from collections.abc import Iterable, Sequence

import numpy as np

_LONG_SENTENCE = 80  # characters
_TEMPLATE_SHARE = 0.9  # of a file's rows
_SAMPLED_ROWS = 24
_IN_STEP_SHARE = 0.75  # of the sampled rows
_SENTENCE_END = re.compile(r"[.!?]\s+")  # within a line; lines end sentences too


def shared_sources(files: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """The source of every row of a dataset.

    Args:
      files: the text of each row, by file; "" for a row without text.

    Returns:
      For each file, an array of one number a row. Equal numbers are one source; the number is that of the source's first
      row, counted through the files in order.

    >>> rain = "It rained for so long that all the people of the low village moved their beds upstairs. "
    >>> [one.tolist() for one in shared_sources([[rain + "Who moved?", "Who sat?"], ["Who ran?", "Who hid?", rain + "Why?"]])]
    [[0, 1], [2, 3, 0]]
    """
    firsts = np.cumsum([0, *map(len, files)])
    parents = list(range(int(firsts[-1])))
    for number, leader in enumerate(_leaders(files)):
        for row in range(len(files[number])):
            _join(parents, int(firsts[number]) + row, int(firsts[leader]) + row)
    seen: dict[str, int] = {}
    for first, rows in zip(firsts.tolist(), files, strict=False):
        sentences = [_long_sentences(row) for row in rows]
        frequency = collections.Counter(sentence for row in sentences for sentence in row)
        for row, found in enumerate(sentences):
            for sentence in found:
                if frequency[sentence] <= _TEMPLATE_SHARE * len(rows):
                    _join(parents, seen.setdefault(sentence, first + row), first + row)
    roots = np.array([_root(parents, place) for place in range(len(parents))], np.int64)
    return np.split(roots, firsts[1:-1])


def validation_sources(sources: Sequence[np.ndarray], share: float, order: Iterable[int]) -> set[int]:
    """Whole sources for validation: taken in order as long as no file gives more than its share of rows.

    Args:
      sources: as `shared_sources` gives them.
      share: how much of each file validation may have, rounded down to rows.
      order: every source, in the order in which to try them.
    """
    room = np.array([int(len(rows) * share) for rows in sources])
    rows_by_file: dict[int, np.ndarray] = {}
    for number, rows in enumerate(sources):
        for source, count in zip(*np.unique(rows, return_counts=True), strict=True):
            rows_by_file.setdefault(int(source), np.zeros(len(sources), np.int64))[number] = count
    chosen = set()
    for source in order:
        if (rows_by_file[source] <= room).all():
            room -= rows_by_file[source]
            chosen.add(source)
    return chosen


def _leaders(files: Sequence[Sequence[str]]) -> list[int]:
    """For each file, the first one that it is in step with; itself where there is none."""
    leaders: list[int] = []
    samples = [_sample(rows) for rows in files]
    for number, rows in enumerate(files):
        candidates = [one for one in dict.fromkeys(leaders) if len(files[one]) == len(rows)]
        leaders.append(next((one for one in candidates if _in_step(samples[one], samples[number])), number))
    return leaders


def _sample(rows: Sequence[str]) -> list[set[str]]:
    places = np.unique(np.linspace(0, len(rows) - 1, min(_SAMPLED_ROWS, len(rows)), dtype=int)) if rows else []
    words = [set(rows[place].split()) for place in places]
    frequency = collections.Counter(word for row in words for word in row)
    return [{word for word in row if frequency[word] <= len(words) / 2} for row in words]  # what is left is not the template's


def _in_step(ours: Sequence[set[str]], theirs: Sequence[set[str]]) -> bool:
    """Whether most rows are more like the row at their own place than like one from elsewhere."""
    away = len(ours) // 2
    nearer = sum(_likeness(one, theirs[at]) > _likeness(one, theirs[at - away]) for at, one in enumerate(ours))
    return away > 0 and nearer >= _IN_STEP_SHARE * len(ours)


def _likeness(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(1, len(one | other))


def _long_sentences(text: str) -> set[str]:
    found = set()
    for line in text.split("\n"):
        if len(line) <= _LONG_SENTENCE:
            continue
        begin = 0
        for end in _SENTENCE_END.finditer(line):
            found.add(line[begin : end.end()].strip())
            begin = end.end()
        found.add(line[begin:].strip())
    return {sentence for sentence in found if len(sentence) > _LONG_SENTENCE}


def _root(parents: list[int], place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place


def _join(parents: list[int], one: int, other: int) -> None:
    one, other = _root(parents, one), _root(parents, other)
    parents[max(one, other)] = min(one, other)
