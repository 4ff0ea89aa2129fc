"""Coreference: which of a woman and a man a pronoun means.

Split: the pair of names, by hash.
"""

import functools
import random
from collections.abc import Callable

from instruct_jax.tasks.suite import words
from instruct_jax.tasks.suite.dataset import SuiteDataset, draw, shuffled
from instruct_jax.text.templates import Template

CLUSTER = "coreference"
POSSESSIVE = {"she": "her", "he": "his"}


def _action(rng: random.Random, pronoun: str) -> tuple[str, str, str]:
    verb, category = rng.choice((("ate", "fruit"), ("took", "clothing"), ("played", "instrument"), ("fed", "animal")))
    noun = rng.choice(words.CATEGORIES[category])
    return f"Then {pronoun} {verb} a {noun}.", f"Who {verb} the {noun}?", pronoun


def _feeling(rng: random.Random, pronoun: str) -> tuple[str, str, str]:
    feeling = rng.choice(words.FEELINGS)
    return f"{pronoun.capitalize()} was {feeling}.", f"Who was {feeling}?", pronoun


def _owner(rng: random.Random, pronoun: str) -> tuple[str, str, str]:
    noun, colour, whose = rng.choice(words.CATEGORIES["clothing"]), rng.choice(words.COLOURS), POSSESSIVE[pronoun]
    return f"{whose.capitalize()} {noun} was {colour}.", f"Who owns the {noun}?", whose


_KINDS: dict[str, Callable[[random.Random, str], tuple[str, str, str]]] = {
    "action_pronouns": _action,
    "feeling_pronouns": _feeling,
    "owner_pronouns": _owner,
}


def _record(rng: random.Random, split: str, name: str) -> dict:
    def make(rng: random.Random) -> dict:
        woman, man = rng.choice(words.WOMEN), rng.choice(words.MEN)
        first, second = shuffled(rng, [woman, man])
        answer = rng.choice((woman, man))
        ending, question, pronoun = _KINDS[name](rng, words.pronoun(answer))
        start = rng.choice((f"{first} met {second} near the {rng.choice(words.PLACES)}.", f"{first} went to see {second}."))
        return {
            "text": f"{start} {ending}",
            "question": question,
            "pronoun": pronoun,
            "answer": answer,
            "options": [first, second],
            "content": f"{woman} {man}",
        }

    return draw(rng, split, make)


WORDINGS = (
    Template("plain", "{text} {question}"),
    Template("read", "Read the text and answer the question. {text} {question}"),
    Template("mean", "{text} Who does the word {pronoun} mean?"),
    Template("means", "Text: {text} The word {pronoun} means:"),
    Template("options", "{text} {question}\n{options}"),
    Template("name", "Name the person. {text} {question}"),
    Template("which", "Which person does {pronoun} mean? {text}"),
    Template("which_word", "{text} Which person does the word {pronoun} mean?", reserved=True),
    Template("say", "Name the person that the word {pronoun} means. {text}", reserved=True),
    Template("read_this", "Read this: {text} {question} Answer:", reserved=True),
)

DATASETS = tuple(SuiteDataset(name, CLUSTER, functools.partial(_record, name=name), WORDINGS) for name in _KINDS)
