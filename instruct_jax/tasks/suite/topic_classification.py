"""Topic classification: the category that the things in a short text belong to.

Split: the nouns. A test item's nouns stand in no training prompt of a cluster that turns on categories; plain text states the
category of every noun, so what is tested is whether tuning opens a door to it.
"""

import functools
import random

from instruct_jax.tasks.suite import words
from instruct_jax.tasks.suite.dataset import SuiteDataset
from instruct_jax.text.templates import Template

CLUSTER = "topic_classification"


def _note(rng: random.Random, nouns: list[str]) -> str:
    return f"{rng.choice(words.NAMES)} wrote about {words.a(nouns[0])} and {words.a(nouns[1])}."


def _picture(_: random.Random, nouns: list[str]) -> str:
    return f"The picture shows {words.a(nouns[0])} beside {words.a(nouns[1])}."


def _shop(rng: random.Random, nouns: list[str]) -> str:
    return f"The shop in {rng.choice(words.CITIES)} sells {words.a(nouns[0])} and {words.a(nouns[1])}."


def _word(_: random.Random, nouns: list[str]) -> str:
    return f"The word is {nouns[0]}."


# How a text is made, and the categories that it may be about.
_KINDS = {
    "note_topics": (_note, words.CATEGORY_NAMES),
    "picture_topics": (_picture, ("animal", "fruit", "vehicle", "instrument", "furniture")),
    "shop_topics": (_shop, ("fruit", "clothing", "tool", "drink", "furniture")),
    "word_topics": (_word, words.CATEGORY_NAMES),
}


def _record(rng: random.Random, split: str, kind: str) -> dict:
    make_text, categories = _KINDS[kind]
    label = rng.randrange(len(categories))
    text = make_text(rng, rng.sample(words.pool(words.CATEGORIES[categories[label]], split), 2))
    used = [word for word in text.rstrip(".").split() if word in words.CATEGORY_OF]
    return {"text": text, "label": label, "content": " ".join(used)}


def _wordings(categories: tuple[str, ...]) -> tuple[Template, ...]:
    wordings = (
        ("topic", "{text} What is the topic?"),
        ("fits", "Which topic fits this text? {text}"),
        ("kind", "{text} Which kind of thing is in this text?"),
        ("name", "Name the topic of the text: {text}"),
        ("options", "{text} Choose the topic.\n{options}"),
        ("read", "Read the text and say what it is about. {text}"),
        ("is", "{text} The topic of this text is:"),
    )
    reserved = (
        ("name_kind", "{text} Name the kind of thing in this text."),
        ("about", "Which kind of thing is the text about? {text}"),
        ("read_this", "Read this: {text} Which topic fits the text?"),
    )
    return tuple(Template(key, prompt, choices=categories) for key, prompt in wordings) + tuple(
        Template(key, prompt, choices=categories, reserved=True) for key, prompt in reserved
    )


DATASETS = tuple(
    SuiteDataset(kind, CLUSTER, functools.partial(_record, kind=kind), _wordings(categories))
    for kind, (_, categories) in _KINDS.items()
)
