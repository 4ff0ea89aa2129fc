"""Odd one out: the item that is of another kind than the rest.

Split: the odd noun, by pool; the rest come from the training nouns and, in evaluation, from the same split's nouns too.
"""

import functools
import random

from instruct_jax.tasks.suite import words
from instruct_jax.tasks.suite.dataset import SuiteDataset, shuffled
from instruct_jax.text.templates import Template

CLUSTER = "odd_one_out"
_SCENES = {
    "odd_in_list": "The list is {plain}.",
    "odd_in_picture": "The picture shows {items}.",
    "odd_in_shop": "The shop sells {items}.",
}
_REST = 3


def _record(rng: random.Random, split: str, name: str) -> dict:
    category, odd = rng.sample(words.CATEGORY_NAMES, 2)
    answer = rng.choice(words.pool(words.CATEGORIES[odd], split))
    items = shuffled(rng, [answer, *rng.sample(words.nouns_beside(category, split), _REST)])
    text = _SCENES[name].format(plain=", ".join(items), items=words.listing([words.a(noun) for noun in items]))
    return {"text": text, "answer": answer, "options": items, "content": answer}


WORDINGS = (
    Template("odd", "{text} Which item is the odd one out?"),
    Template("find", "Find the odd item. {text}"),
    Template("fit", "{text} Which item does not fit?"),
    Template("belong", "Name the item that does not belong: {text}"),
    Template("options", "{text} Choose the odd item.\n{options}"),
    Template("same", "Three items are of the same kind. Say which item is different. {text}"),
    Template("is", "{text} The odd one out is:"),
    Template("which_belong", "Which item does not belong? {text}", reserved=True),
    Template("name_odd", "{text} Name the odd one out.", reserved=True),
    Template("read_this", "Read this: {text} Find the item that does not fit.", reserved=True),
)

DATASETS = tuple(SuiteDataset(name, CLUSTER, functools.partial(_record, name=name), WORDINGS) for name in _SCENES)
