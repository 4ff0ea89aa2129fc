"""Sentiment: whether a short review of a film, a book, a meal or a trip is positive.

Split: the review adjectives. A test item's adjectives judge nothing in training; plain text uses them all.
"""

import functools
import random

from instruct_jax.tasks.suite import words
from instruct_jax.tasks.suite.dataset import SuiteDataset
from instruct_jax.text.templates import Template

CLUSTER = "sentiment"
_PARTS = {
    "book": ("story", "cover", "ending", "title"),
    "film": ("story", "music", "ending", "title"),
    "meal": ("soup", "bread", "cake", "salad"),
    "trip": ("room", "weather", "music", "soup"),
}
_POLES = ("negative", "positive")


def _review(rng: random.Random, split: str, thing: str) -> dict:
    label = rng.randrange(2)
    first, second = rng.sample(words.pool(words.ADJECTIVES[label], split), 2)
    part, other = rng.sample(_PARTS[thing], 2)
    text = rng.choice(
        (
            f"The {part} was {first} and the {other} was {second}.",
            f"{rng.choice(words.NAMES)} found the {thing} {first}. The {part} was {second}.",
            f"It was a {rng.choice(('long', 'short'))} {thing}. The {part} was {first}.",
            f"The {thing} was {first} and {second}.",
        )
    )
    used = [word for word in (first, second) if word in text]
    return {"text": text, "label": label, "pole": _POLES[label], "content": " ".join(used)}


def _wordings(thing: str) -> tuple[Template, ...]:
    return (
        Template("pole", f"{{text}} Is this {thing} review positive or negative?", choices=_POLES),
        Template("good", f"Is the {thing} good or bad? {{text}}", choices=("bad", "good")),
        Template("true_that", f"{{text}} Is it true that the {thing} is good?", choices=("no", "yes")),
        Template("true_false", f"{{text}} True or false: the {thing} is good.", choices=("false", "true")),
        Template("feeling", "What is the feeling of this review? {text}\n{options}", choices=_POLES),
        Template("mean", f"{{text}} Does the writer mean that the {thing} is good or bad?", choices=("bad", "good")),
        Template("write", f"Write a {{pole}} review of a {thing}.", "{text}", choices=_POLES, original_task=False),
        Template("read", f"Read this: {{text}} Is the {thing} bad or good?", choices=("bad", "good"), reserved=True),
        Template("review_is", "{text} Is the feeling of the review negative or positive?", choices=_POLES, reserved=True),
        Template("good_thing", f"Is this a good {thing}? {{text}}", choices=("no", "yes"), reserved=True),
    )


DATASETS = tuple(
    SuiteDataset(f"{thing}_reviews", CLUSTER, functools.partial(_review, thing=thing), _wordings(thing)) for thing in _PARTS
)
