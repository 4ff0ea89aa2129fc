"""String manipulation: the first, second or last item of a list, and lists in reverse.

Split: the whole sequence of items, by hash.
"""

import functools
import itertools
import random

from instruct_jax.tasks.suite import words
from instruct_jax.tasks.suite.dataset import SuiteDataset, draw, shuffled
from instruct_jax.text.templates import Template

CLUSTER = "string_manipulation"
_PLACE = {"first": 0, "second": 1, "last": -1}
# Where the items stand, what each is called, where it is said to be, and the vocabulary.
_LISTS = {
    "line_positions": ("In the line are {items}.", "person", "in the line", words.NAMES),
    "list_positions": ("The words are {items}.", "word", "in the list", words.NOUNS),
    "number_positions": ("The numbers are {items}.", "number", "in the list", words.NUMBERS),
    "shelf_positions": (
        "On the shelf are {items}.",
        "item",
        "on the shelf",
        words.CATEGORIES["clothing"] + words.CATEGORIES["tool"],
    ),
}
_REVERSED = {"reversed_names": words.NAMES, "reversed_words": words.NOUNS}


def _position(rng: random.Random, split: str, name: str) -> dict:
    sentence, _, _, vocabulary = _LISTS[name]

    def make(rng: random.Random) -> dict:
        items = rng.sample(vocabulary, rng.choice((3, 4)))
        which = rng.choice(tuple(_PLACE))
        return {
            "text": sentence.format(items=", ".join(items)),
            "which": which,
            "answer": items[_PLACE[which]],
            "options": items,
            "content": " ".join(items),
        }

    return draw(rng, split, make)


def _reverse(rng: random.Random, split: str, name: str) -> dict:
    def make(rng: random.Random) -> dict:
        items = rng.sample(_REVERSED[name], 3)
        answer = ", ".join(reversed(items))
        orders = [", ".join(order) for order in itertools.permutations(items)]
        others = rng.sample([order for order in orders if order != answer], 2)
        return {
            "items": ", ".join(items),
            "answer": answer,
            "options": shuffled(rng, [answer, *others]),
            "content": " ".join(items),
        }

    return draw(rng, split, make)


def _position_wordings(noun: str, where: str) -> tuple[Template, ...]:
    return (
        Template("what", f"{{text}} {'Who' if noun == 'person' else 'What'} is the {{which}} {noun}?"),
        Template("give", f"Give the {{which}} {noun} {where}. {{text}}"),
        Template("comes", f"Which {noun} comes {{which}}? {{text}}"),
        Template("name", f"{{text}} Name the {noun} that is {{which}}."),
        Template("options", f"{{text}} Choose the {{which}} {noun}.\n{{options}}"),
        Template("read", f"Read the text and say which {noun} is {{which}}. {{text}}"),
        Template("is", f"{{text}} The {{which}} {noun} is:"),
        Template("say", f"Say which {noun} comes {{which}}. {{text}}", reserved=True),
        Template("give_that", f"{{text}} Give the {noun} that is {{which}}.", reserved=True),
        Template("read_this", f"Read this: {{text}} Which {noun} is {{which}}?", reserved=True),
    )


_REVERSE_WORDINGS = (
    Template("write", "Write the list in reverse order: {items}"),
    Template("reverse", "Reverse this list: {items}"),
    Template("backwards", "Read this list backwards: {items}"),
    Template("last_first", "Give the list from last to first: {items}"),
    Template("turn", "The list is {items}. Turn the order round."),
    Template("say", "Say this list backwards: {items}"),
    Template("is", "The list is {items}. In reverse order it is:"),
    Template("say_reverse", "Say the list in reverse order: {items}", reserved=True),
    Template("write_backwards", "The list is {items}. Write it backwards.", reserved=True),
    Template("give_words", "Write this list from last to first: {items}", reserved=True),
)

DATASETS = tuple(
    SuiteDataset(name, CLUSTER, functools.partial(_position, name=name), _position_wordings(noun, where))
    for name, (_, noun, where, _) in _LISTS.items()
) + tuple(SuiteDataset(name, CLUSTER, functools.partial(_reverse, name=name), _REVERSE_WORDINGS) for name in _REVERSED)
