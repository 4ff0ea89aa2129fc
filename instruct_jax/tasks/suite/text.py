"""Plain text: short documents in the suite's words and syntax, for pretraining and for replay, without any instruction.

A base model reads here what every noun is a kind of, what helps against hunger, how numbers follow each other and how a fact
is said twice in different words. All words are used in all splits; number pairs are compared only within their own split, and
every document belongs to one split, by hash.
"""

import functools
import random
from collections.abc import Callable

from instruct_jax.tasks.suite import words
from instruct_jax.tasks.suite.arithmetic import pair_content
from instruct_jax.tasks.suite.coreference import POSSESSIVE
from instruct_jax.tasks.suite.data_to_text import TABLES
from instruct_jax.tasks.suite.dataset import seeded, shuffled, split_of
from instruct_jax.tasks.suite.extractive_qa import DOMAINS, make_passage

_USES = (
    ("eats", "fruit"),
    ("drinks", "drink"),
    ("wears", "clothing"),
    ("plays", "instrument"),
    ("feeds", "animal"),
    ("buys", "tool"),
    ("takes", "vehicle"),
    ("moves", "furniture"),
)


def _profile(rng: random.Random, _: str) -> str:
    """Facts, and then the same facts in other words with the value last: what is copied is what is asked for later."""
    passage = make_passage(rng, DOMAINS[rng.choice(tuple(DOMAINS))])
    again = shuffled(rng, range(len(passage.facts)))
    return " ".join([passage.text, *(passage.restated(fact) for fact in again)])


def _kinds(rng: random.Random, _: str) -> str:
    return " ".join(f"Here is {words.a(noun)}, a kind of {words.CATEGORY_OF[noun]}." for noun in rng.sample(words.NOUNS, 4))


def _groups(rng: random.Random, _: str) -> str:
    sentences = []
    for category in rng.sample(words.CATEGORY_NAMES, 2):
        nouns = [words.a(noun) for noun in rng.sample(words.CATEGORIES[category], 3)]
        sentences.append(f"{rng.choice(words.NAMES)} has {words.listing(nouns)}. Each one is a kind of {category}.")
    return " ".join(sentences)


def _mixed(rng: random.Random, _: str) -> str:
    """Things of different kinds, and then which of them is which."""
    chosen = rng.sample(words.CATEGORY_NAMES, 3)
    nouns = [rng.choice(words.CATEGORIES[category]) for category in chosen]
    ends = [f"The {category} is {words.a(noun)}." for category, noun in zip(chosen, nouns, strict=True)]
    scene = rng.choice(("The cart brings {}.", "The market sells {}.", "In the room there is {}.", "In the bag there is {}."))
    return " ".join([scene.format(words.listing([words.a(noun) for noun in nouns])), *shuffled(rng, ends)])


def _repeated(rng: random.Random, _: str) -> str:
    string = ", ".join(rng.sample(rng.choice((words.NOUNS, words.NAMES, words.NUMBERS)), rng.choice((3, 4, 5))))
    return ", ".join([string] * rng.choice((2, 3))) + "."


def _there_and_back(rng: random.Random, _: str) -> str:
    items = rng.sample(rng.choice((words.NOUNS, words.NAMES, words.NUMBERS)), 3)
    return f"There: {', '.join(items)}. And back: {', '.join(reversed(items))}."


def _counted(rng: random.Random, _: str) -> str:
    length = rng.choice((5, 7, 9))
    start = rng.randrange(len(words.NUMBERS) - length)
    run = words.NUMBERS[start : start + length]
    return ", ".join(run if rng.random() < 0.5 else run[::-1]) + "."


def _weather(rng: random.Random, _: str) -> str:
    days = rng.sample(words.DAYS, 2)
    return " ".join(f"On {day} the weather was {rng.choice(words.NUMBERS[1:])} degrees." for day in days)


def _compared(rng: random.Random, split: str) -> str:
    sentences = []
    while len(sentences) < 4:
        low, high = sorted(rng.sample(range(1, len(words.NUMBERS) + 1), 2))
        if split_of(pair_content(low, high)) == split:
            low, high = words.NUMBERS[low - 1], words.NUMBERS[high - 1]
            sentences.append(rng.choice((f"From {low} up to {high}.", f"From {high} down to {low}.")))
    return " ".join(sentences)


def _ordered(rng: random.Random, _: str) -> str:
    scene, things = rng.choice((("In the line", words.NAMES), ("On the shelf", words.NOUNS)))
    items = rng.sample(things, 3)
    return f"{scene} are {', '.join(items)}. The first is {items[0]}. The second is {items[1]}. The last is {items[2]}."


def _review(rng: random.Random, _: str) -> str:
    sentences = []
    for thing in rng.sample(("film", "book", "meal", "trip"), 2):
        label = rng.randrange(2)
        adjective, other = rng.sample(words.ADJECTIVES[label], 2)
        name = rng.choice(words.NAMES)
        liked = "liked" if label else "did not like"
        verdict = "good" if label else "bad"
        sentences.append(f"{name} {liked} the {thing}. It was {adjective} and {other}, so it was {verdict}.")
    return " ".join(sentences)


def _needs(rng: random.Random, _: str) -> str:
    sentences = []
    for need, what in rng.sample(tuple(words.NEEDS.items()), 2):
        name = rng.choice(words.NAMES)
        noun = rng.choice(what.answers())
        sentences.append(f"{name} was {need}, so {words.pronoun(name)} took {words.a(noun)}.")
    return " ".join(sentences)


def _uses(rng: random.Random, _: str) -> str:
    sentences = []
    for verb, category in rng.sample(_USES, 3):
        sentences.append(f"{rng.choice(words.NAMES)} {verb} {words.a(rng.choice(words.CATEGORIES[category]))}.")
    return " ".join(sentences)


def _pronouns(rng: random.Random, _: str) -> str:
    """A woman and a man, and what each of them did: the pronoun tells which name comes again."""
    woman, man = rng.choice(words.WOMEN), rng.choice(words.MEN)
    first, second = shuffled(rng, [woman, man])
    one = rng.choice((first, second))
    he, his = words.pronoun(one), POSSESSIVE[words.pronoun(one)]
    feeling, noun = rng.choice(words.FEELINGS), rng.choice(words.CATEGORIES["clothing"])
    place = rng.choice(words.PLACES)
    met = f"{first} met {second} near the {place}."
    looks = f"{his.capitalize()} {noun} was {rng.choice(words.COLOURS)}."
    feels = f"{he.capitalize()} was {feeling} and took {his} {noun}."
    return f"{met} {rng.choice((looks, feels))} The {noun} belongs to {one}."


def _sentences(rng: random.Random, _: str) -> str:
    tables = rng.sample(tuple(TABLES.values()), 3)
    rows = [{column: rng.choice(values) for column, values in table.columns.items()} for table in tables]
    return " ".join(table.sentence.format(**row) for table, row in zip(tables, rows, strict=True))


_DRAWS = 10_000  # far above what the rarest split needs (a tenth of the documents are validation's)

# How often each kind of document comes.
_KINDS: tuple[tuple[Callable[[random.Random, str], str], int], ...] = (
    (_profile, 6),
    (_kinds, 3),
    (_groups, 2),
    (_mixed, 3),
    (_repeated, 3),
    (_there_and_back, 2),
    (_counted, 1),
    (_compared, 1),
    (_weather, 1),
    (_ordered, 2),
    (_review, 3),
    (_needs, 2),
    (_uses, 2),
    (_pronouns, 3),
    (_sentences, 2),
)


@functools.cache
def _wheel() -> tuple[Callable[[random.Random, str], str], ...]:
    return tuple(kind for kind, times in _KINDS for _ in range(times))


def base_document(index: int, split: str) -> str:
    """The plain document at a place; there is no last one.

    Args:
      index: any integer from 0.
      split: "train", "validation" or "test".

    Returns:
      One to six sentences, under 60 words; no document of another split.

    Raises:
      RuntimeError: a kind of document has none in the split.
    """
    rng = seeded("base_document", split, index)
    make = rng.choice(_wheel())
    for _ in range(_DRAWS):
        document = make(rng, split)
        if split_of(document) == split:
            return document
    raise RuntimeError(f"{make.__name__} makes no document of split {split!r} in {_DRAWS} draws; widen it")
