"""Entailment: whether a second statement follows from the first text.

Split: the value or noun that the statement is about together with its subject, by hash.
"""

import random

from instruct_jax.tasks.suite import words
from instruct_jax.tasks.suite.dataset import SuiteDataset, draw
from instruct_jax.tasks.suite.extractive_qa import DOMAINS, make_passage
from instruct_jax.text.templates import Template

CLUSTER = "entailment"


def _fact(rng: random.Random, split: str) -> dict:
    """A passage of two facts, and one of them restated, right or with another value."""

    def make(rng: random.Random) -> dict:
        passage = make_passage(rng, DOMAINS[rng.choice(tuple(DOMAINS))], count=2)
        label = rng.randrange(2)
        relation, value = rng.choice(passage.facts)
        stated = {value for _, value in passage.facts} | {passage.subject, passage.subject.removeprefix("the ")}
        shown = value if label else rng.choice([other for other in relation.values if other not in stated])
        hypothesis = relation.restated.format(s=passage.subject, v=shown)
        hypothesis = hypothesis[0].upper() + hypothesis[1:]
        return {
            "premise": passage.text,
            "hypothesis": hypothesis,
            "label": label,
            "content": f"{passage.subject} {value} {shown}",
        }

    return draw(rng, split, make)


def _category(rng: random.Random, split: str) -> dict:
    """A sentence with a noun, and the same sentence with a category in the noun's place."""

    def make(rng: random.Random) -> dict:
        category, other = rng.sample(words.CATEGORY_NAMES, 2)
        label = rng.randrange(2)
        noun, person, place = rng.choice(words.CATEGORIES[category]), rng.choice(words.NAMES), rng.choice(words.PLACES)
        shown = category if label else other
        return {
            "premise": f"At the {place} {person} saw {words.a(noun)}.",
            "hypothesis": f"{person} saw a kind of {shown}.",
            "label": label,
            "content": f"{noun} {shown}",
        }

    return draw(rng, split, make)


_NO_YES, _FALSE_TRUE = ("no", "yes"), ("false", "true")
WORDINGS = (
    Template("true", "{premise} Is this true? {hypothesis}", choices=_NO_YES),
    Template("true_false", "{premise} True or false: {hypothesis}", choices=_FALSE_TRUE),
    Template("fits", "Text: {premise} Sentence: {hypothesis} Does the sentence fit the text?", choices=_NO_YES),
    Template("read", "Read the text. Is the last sentence true? {premise} {hypothesis}", choices=_NO_YES),
    Template("options", "{premise} {hypothesis} Is the last sentence true?\n{options}", choices=_NO_YES),
    Template("mean", "{premise} Does the text mean that this is true? {hypothesis}", choices=_NO_YES),
    Template("is", "{premise} {hypothesis} The last sentence is:", choices=_FALSE_TRUE),
    Template("second", "{premise} Sentence: {hypothesis} True or false?", choices=_FALSE_TRUE, reserved=True),
    Template("read_this", "Read this: {premise} Is it true? {hypothesis}", choices=_NO_YES, reserved=True),
    Template("does", "Does the last sentence fit? {premise} {hypothesis}", choices=_NO_YES, reserved=True),
)

DATASETS = (
    SuiteDataset("category_entailment", CLUSTER, _category, WORDINGS),
    SuiteDataset("fact_entailment", CLUSTER, _fact, WORDINGS),
)
