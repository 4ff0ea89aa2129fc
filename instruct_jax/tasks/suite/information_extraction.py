"""Information extraction: the thing of a named category in a text that lists several.

Split: the noun asked for, by pool; the others come from the training nouns and, in evaluation, from the split's own too.
"""

import functools
import random

from instruct_jax.tasks.suite import words
from instruct_jax.tasks.suite.dataset import SuiteDataset, shuffled
from instruct_jax.text.templates import Template

CLUSTER = "information_extraction"
_SCENES = {
    "bag_items": "{name} has a bag with {items}.",
    "cart_items": "The cart from {city} brings {items}.",
    "room_items": "In the room of {name} there is {items}.",
}
_ITEMS = 3


def _record(rng: random.Random, split: str, name: str) -> dict:
    category, *others = rng.sample(words.CATEGORY_NAMES, _ITEMS)
    answer = rng.choice(words.pool(words.CATEGORIES[category], split))
    items = shuffled(rng, [answer, *(rng.choice(words.nouns_beside(other, split)) for other in others)])
    listed = words.listing([words.a(noun) for noun in items])
    text = _SCENES[name].format(name=rng.choice(words.NAMES), city=rng.choice(words.CITIES), items=listed)
    return {"text": text, "category": category, "answer": answer, "options": items, "content": answer}


WORDINGS = (
    Template("kind", "{text} Which item is a kind of {category}?"),
    Template("find", "Find the {category} in the text. {text}"),
    Template("name", "{text} Name the {category}."),
    Template("what", "What {category} is in this text? {text}"),
    Template("options", "{text} Choose the {category}.\n{options}"),
    Template("read", "Read the text and give the {category}. {text}"),
    Template("is", "{text} The {category} in the text is:"),
    Template("give", "Give the item that is a kind of {category}. {text}", reserved=True),
    Template("find_in", "{text} Find the {category} in this text.", reserved=True),
    Template("read_this", "Read this: {text} What is the {category}?", reserved=True),
)

DATASETS = tuple(SuiteDataset(name, CLUSTER, functools.partial(_record, name=name), WORDINGS) for name in _SCENES)
