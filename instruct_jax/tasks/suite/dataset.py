"""A procedural dataset: a seeded generator of exact records, and the ten wordings they are asked in."""

import dataclasses
import hashlib
import random
from collections.abc import Callable

from instruct_jax.text.templates import Template

SPLITS = ("train", "validation", "test")
_DRAWS = 10_000  # far above what the rarest split needs (a tenth of a percent of draws would do)


@dataclasses.dataclass(frozen=True)
class SuiteDataset:
    """A dataset without end: record `index` of a split is computed, not stored.

    A record is a dict of fields. It always has `content`, the part of the item that a model could memorise (a number pair,
    the nouns that decide a topic, a name with its fact); contents of different splits are disjoint. A classification record
    has an integer `label`, and the templates carry the choices in their own words; every other record has `answer` and the
    `options` it is ranked among.

    Attributes:
      name: the dataset's name, such as "number_pairs".
      cluster: the kind of task it belongs to, such as "arithmetic".
      generate: (rng, split) -> record; the split decides which contents may be drawn.
      templates: ten wordings, three of them reserved for evaluation.
      metrics: names of the metrics that suit a generated answer.
    """

    name: str
    cluster: str
    generate: Callable[[random.Random, str], dict]
    templates: tuple[Template, ...]
    metrics: tuple[str, ...] = ("exact_match",)

    def record(self, index: int, split: str) -> dict:
        """The record at a place, the same in every process and on every machine.

        Args:
          index: any integer from 0; there is no last one.
          split: "train", "validation" or "test".

        Returns:
          The record's fields.
        """
        return self.generate(seeded(self.name, split, index), split)


def seeded(*key: object) -> random.Random:
    """A random generator that depends on the key alone.

    >>> seeded("a", 1).random() == seeded("a", 1).random()
    True
    """
    digest = hashlib.blake2b("\0".join(map(str, key)).encode(), digest_size=16).digest()
    return random.Random(int.from_bytes(digest, "big"))


def split_of(content: str) -> str:
    """The one split a content belongs to: seven tenths train, one tenth validation, two tenths test, by hash.

    >>> [split_of(pair) for pair in ("eight nine", "five ten", "three nine")]
    ['train', 'validation', 'test']
    """
    bucket = int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8).digest(), "big") % 10
    return "train" if bucket < 7 else "validation" if bucket == 7 else "test"


def draw(rng: random.Random, split: str, make: Callable[[random.Random], dict]) -> dict:
    """Records drawn until one has a content of this split.

    Raises:
      RuntimeError: no draw fits, so the generator has no content for the split.
    """
    for _ in range(_DRAWS):
        record = make(rng)
        if split_of(record["content"]) == split:
            return record
    raise RuntimeError(f"no content of split {split!r} in {_DRAWS} draws; last {record['content']!r}; widen the generator")


def shuffled(rng: random.Random, items: list | tuple) -> list:
    """The items in random order, as a new list."""
    return rng.sample(list(items), len(items))
