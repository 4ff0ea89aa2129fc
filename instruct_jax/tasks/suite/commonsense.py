"""Commonsense: of the things at hand, the one that helps a person in need.

Split: the noun that helps, by pool. Plain text tells what helps against which need, with every noun that does. Nothing beside
the answer is of a kind that might help too.
"""

import functools
import random

from instruct_jax.tasks.suite import words
from instruct_jax.tasks.suite.dataset import SuiteDataset, shuffled
from instruct_jax.text.templates import Template

CLUSTER = "commonsense"
_SCENES = {
    "home_choices": "{name} is {need}. At home there is {items}.",
    "market_choices": "{name} is {need}. The market sells {items}.",
    "trip_choices": "{name} is {need} on a trip. There is {items}.",
}
# The need that a scene contradicts: what is at home helps nobody far from it, and a trip leads out of the workshop.
_CONTRADICTED = {"home_choices": "far from home", "trip_choices": "busy in the workshop"}
_ITEMS = 3


def _record(rng: random.Random, split: str, name: str) -> dict:
    met = {need: what for need, what in words.NEEDS.items() if need != _CONTRADICTED.get(name) and what.answers(split)}
    need, what = rng.choice(tuple(met.items()))
    answer = rng.choice(what.answers(split))
    others = rng.sample([other for other in words.CATEGORY_NAMES if other not in (what.category, *what.competing)], _ITEMS - 1)
    items = shuffled(rng, [answer, *(rng.choice(words.nouns_beside(other, split)) for other in others)])
    person = rng.choice(words.NAMES)
    text = _SCENES[name].format(name=person, need=need, items=words.listing([words.a(noun) for noun in items]))
    return {"text": text, "name": person, "answer": answer, "options": items, "content": answer}


WORDINGS = (
    Template("needs", "{text} What does {name} need?"),
    Template("choose", "What should {name} choose? {text}"),
    Template("helps", "{text} Which item helps {name}?"),
    Template("name", "Name the item that {name} needs: {text}"),
    Template("options", "{text} Choose the best item for {name}.\n{options}"),
    Template("read", "Read the text and say what {name} needs. {text}"),
    Template("is", "{text} The best item for {name} is:"),
    Template("which_needs", "Which item does {name} need? {text}", reserved=True),
    Template("name_helps", "{text} Name the item that helps {name}.", reserved=True),
    Template("read_this", "Read this: {text} What is the best item for {name}?", reserved=True),
)

DATASETS = tuple(SuiteDataset(name, CLUSTER, functools.partial(_record, name=name), WORDINGS) for name in _SCENES)
