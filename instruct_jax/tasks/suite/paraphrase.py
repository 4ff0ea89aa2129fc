"""Paraphrase: whether two sentences in different words say the same.

Split: the values of the first sentence, by hash.
"""

import functools
import random

from instruct_jax.tasks.suite import words
from instruct_jax.tasks.suite.dataset import SuiteDataset, draw, shuffled
from instruct_jax.text.templates import Template

CLUSTER = "paraphrase"
# Three ways to say the same, with what each blank may hold.
_PAIRS = {
    "owner_paraphrase": (
        ("{name} owns a {thing}.", "The {thing} belongs to {name}.", "The owner of the {thing} is {name}."),
        {"name": words.NAMES, "thing": words.CATEGORIES["animal"] + words.CATEGORIES["clothing"]},
    ),
    "work_paraphrase": (
        (
            "{name} works as a {job} in {city}.",
            "The job of {name} in {city} is that of a {job}.",
            "In {city} {name} works as a {job}.",
        ),
        {"name": words.NAMES, "job": words.JOBS, "city": words.CITIES},
    ),
}


def _record(rng: random.Random, split: str, name: str) -> dict:
    sentences, blanks = _PAIRS[name]

    def make(rng: random.Random) -> dict:
        values = {blank: rng.choice(choices) for blank, choices in blanks.items()}
        label = rng.randrange(2)
        shown = dict(values)
        if not label:
            changed = rng.choice(tuple(blanks))
            shown[changed] = rng.choice([value for value in blanks[changed] if value != values[changed]])
        first, second = shuffled(rng, sentences)[:2]
        return {
            "first": first.format(**values),
            "second": second.format(**shown),
            "label": label,
            "content": " ".join(values.values()),
        }

    return draw(rng, split, make)


_NO_YES, _DIFFERENT_SAME = ("no", "yes"), ("different", "same")
WORDINGS = (
    Template("same", "{first} {second} Does the second sentence mean the same as the first?", choices=_NO_YES),
    Template(
        "same_different",
        "{first} {second} Does the second sentence mean the same thing or a different thing?",
        choices=_DIFFERENT_SAME,
    ),
    Template(
        "labelled", "Sentence: {first} Sentence: {second} Is it the same thing or a different thing?", choices=_DIFFERENT_SAME
    ),
    Template("read", "Read the text. Does the second sentence mean the same? {first} {second}", choices=_NO_YES),
    Template("options", "{first} {second} Does the second sentence mean the same thing?\n{options}", choices=_NO_YES),
    Template("does", "Does the first sentence mean the same as the second? {first} {second}", choices=_NO_YES),
    Template("true", "{first} Is this true? {second}", choices=_NO_YES),
    Template(
        "second",
        "Does the second sentence mean a different thing or the same? {first} {second}",
        choices=_DIFFERENT_SAME,
        reserved=True,
    ),
    Template("last", "{first} {second} Does the last sentence mean the same as the first?", choices=_NO_YES, reserved=True),
    Template(
        "read_this", "Read this: {first} {second} Does the second sentence mean the same thing?", choices=_NO_YES, reserved=True
    ),
)

DATASETS = tuple(SuiteDataset(name, CLUSTER, functools.partial(_record, name=name), WORDINGS) for name in _PAIRS)
