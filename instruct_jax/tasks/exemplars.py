"""Exemplars: worked examples for a query, drawn from the records of one split and never the query itself.

SeqIO's FewshotDataSource zips a second shuffle of the same split with the first, so that a query is now and then its own
exemplar (5.8 % of prompts at 16 shots from 250 rows). Here a candidate is compared with the query before it is given.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.records import Records
from instruct_jax.text.templates import Instance, Template

# A split of no more records is gone through whole, in a drawn order; of a larger one, or one without end, places are drawn.
_WHOLE = 4_096
_TRIES, _TRIES_PER_SHOT = 64, 16
_ENDLESS = 1 << 40
_MOST_KNOWN = 1 << 18  # records whose signs are remembered, about 60 MB


class Exemplars:
    """Worked examples from the records of one split, drawn anew for each query by a stateless function of its identity.

    An exemplar is neither the query nor a twin of it: a record made from the same source, with the same fields, or asking
    the same in the words at hand (of wordings turned round: asking and answering the same, since their prompts name little
    but an answer). No two exemplars of a query are twins either.

    Args:
      records: to draw from.
      template_field: the field that names a record's wording: exemplars then come in the query's; None where any record
        goes into any wording.
      source_field: the field that identifies what a record was made from; None where every record is a source of its own.
    """

    def __init__(self, records: Records, template_field: str | None, source_field: str | None):
        self._records, self._template_field, self._source_field = records, template_field, source_field
        self._places: dict[str, np.ndarray] | None = None
        self._known: dict[tuple[str, int], tuple[bytes, ...]] = {}

    def draw(
        self,
        query: Mapping[str, Any],
        template: Template,
        shots: int,
        words: Callable[[Mapping[str, Any]], Instance],
        suits: Callable[[Mapping[str, Any]], bool],
        key: str,
    ) -> list[Instance]:
        """Up to so many exemplars; fewer where the split has no more.

        Args:
          query: the record that is asked.
          template: its wording.
          shots: how many.
          words: puts a record into that wording.
          suits: whether a record may be an exemplar at all.
          key: decides the draw: the query's identity, seed and epoch.
        """
        met = set(self._signs(query, template))
        found: list[Instance] = []
        for index in self._candidates(template, shots, key) if shots else ():
            signs = self._known.get((template.id, index))
            if signs is not None and not met.isdisjoint(signs):  # most of a wording may be of one source: no need to read it
                continue
            try:
                record = self._records[index]
                if signs is None:
                    signs = self._remembered(index, record, template)
                if suits(record) and met.isdisjoint(signs):
                    met.update(signs)
                    found.append(words(record))
            except InputError:  # a broken record stops the preparation, or is counted, when it is drawn to be asked itself
                continue
            if len(found) == shots:
                break
        return found

    def _remembered(self, index: int, record: Mapping[str, Any], template: Template) -> tuple[bytes, ...]:
        if len(self._known) == _MOST_KNOWN:
            self._known.clear()
        signs = self._known[template.id, index] = self._signs(record, template)
        return signs

    def _signs(self, record: Mapping[str, Any], template: Template) -> tuple[bytes, ...]:
        """What a record shares with its twins: any one of these."""
        # In the plainest words: a shuffled style would tell two orders of the same options apart.
        asked = template.apply(record)
        signs = [
            ["words", asked.prompt, None if template.original_task else asked.response],
            ["fields", json.dumps(record, sort_keys=True)],
        ]
        if self._source_field is not None:
            signs.append(["source", str(record.get(self._source_field))])
        return tuple(hashlib.blake2b(json.dumps(sign).encode(), digest_size=16).digest() for sign in signs)

    def _candidates(self, template: Template, shots: int, key: str) -> Iterator[int]:
        """Places to try, none twice."""
        digest = hashlib.blake2b(f"exemplars\0{key}".encode(), digest_size=16).digest()
        drawn = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
        among = None if self._template_field is None else self._in_wording(template.id)
        size = self._records.size if among is None else among.size
        if size is not None and size <= _WHOLE:
            places = drawn.permutation(size)
        else:
            places = drawn.integers(_ENDLESS if size is None else size, size=_TRIES + _TRIES_PER_SHOT * shots)
        tried: set[int] = set()
        for place in map(int, places):  # few of them are mostly enough
            if place not in tried:
                tried.add(place)
                yield place if among is None else int(among[place])

    def _in_wording(self, name: str) -> np.ndarray:
        """The places of the records that come in this wording; the first call reads every record."""
        if self._places is None:
            places: dict[str, list[int]] = {}
            for index in range(self._records.size or 0):
                try:
                    places.setdefault(self._records[index].get(self._template_field), []).append(index)
                except InputError:  # see `draw`
                    continue
            self._places = {one: np.array(found, np.int64) for one, found in places.items()}
        return self._places.get(name, np.zeros(0, np.int64))


def within_budget(
    exemplars: Sequence[Instance],
    budget: int,
    alone: Callable[[Instance], int],
    together: Callable[[Sequence[Instance]], int],
) -> list[Instance]:
    """The first exemplars, as many as have at most `budget` tokens, each by itself and all together.

    Args:
      exemplars: in order.
      budget: tokens.
      alone: how many tokens one of them has.
      together: how many some of them have as they stand in the prompt; asked only where a few tokens would decide.
    """
    kept: list[Instance] = []
    room = budget
    for one in exemplars:
        room -= alone(one)
        if room < 0:
            break
        kept.append(one)
    if room >= _SEAM * len(kept):
        return kept
    while kept and together(kept) > budget:
        kept.pop()
    return kept


_SEAM = 4  # no joining of two texts has been seen to add as many tokens
