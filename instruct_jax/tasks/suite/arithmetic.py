"""Arithmetic: the largest or smallest of a few numbers in a list or a small story, and sums.

Split: the unordered number pair that decides the answer, in all datasets alike. A training item of a comparison holds no pair of
another split at all. In a sum only the two numbers added are kept apart: its answer and the alternatives beside it may pair up
with them, or with each other, as numbers of another split do.
"""

import functools
import random
from collections.abc import Callable

from instruct_jax.tasks.suite import words
from instruct_jax.tasks.suite.dataset import SuiteDataset, draw, shuffled, split_of
from instruct_jax.text.templates import Template

CLUSTER = "arithmetic"


def pair_content(first: int, second: int) -> str:
    """A number pair in one order, as the split sees it.

    >>> pair_content(3, 9), pair_content(9, 3)
    ('three nine', 'three nine')
    """
    return f"{words.NUMBERS[min(first, second) - 1]} {words.NUMBERS[max(first, second) - 1]}"


def _plain(_: random.Random, numbers: list[str]) -> str:
    return f"The numbers are {words.listing(numbers)}."


def _count(rng: random.Random, numbers: list[str]) -> str:
    thing = rng.choice(("coins", "books", "cards", "stamps"))
    first, second = rng.sample(words.NAMES, 2)
    return f"{first} has {numbers[0]} {thing} and {second} has {numbers[1]} {thing}."


def _price(rng: random.Random, numbers: list[str]) -> str:
    first, second = rng.sample(words.CATEGORIES["clothing"] + words.CATEGORIES["tool"], 2)
    return f"The {first} costs {numbers[0]} coins and the {second} costs {numbers[1]} coins."


def _temperature(rng: random.Random, numbers: list[str]) -> str:
    first, second = rng.sample(words.DAYS, 2)
    return f"It was {numbers[0]} degrees on {first} and {numbers[1]} degrees on {second}."


# How a text is made, how many numbers it holds, and the least of them: "one coins" is no English.
_COMPARISONS: dict[str, tuple[Callable[[random.Random, list[str]], str], int, int]] = {
    "count_comparison": (_count, 2, 2),
    "number_pairs": (_plain, 2, 1),
    "number_triples": (_plain, 3, 1),
    "price_comparison": (_price, 2, 2),
    "temperature_comparison": (_temperature, 2, 2),
}


def _compared(rng: random.Random, split: str, name: str) -> dict:
    make_text, count, least = _COMPARISONS[name]
    numbers_allowed = range(least, len(words.NUMBERS) + 1)

    def make(rng: random.Random) -> dict:
        values = rng.sample(numbers_allowed, count)
        if split == "train":  # no evaluation pair may stand in a training item, even where it does not decide
            while any(split_of(pair_content(a, b)) != "train" for a in values for b in values if a < b):
                values = rng.sample(numbers_allowed, count)
        which = rng.choice(("largest", "smallest"))
        best, second = sorted(values, reverse=which == "largest")[:2]
        numbers = [words.NUMBERS[value - 1] for value in values]
        return {
            "text": make_text(rng, numbers),
            "which": which,
            "answer": words.NUMBERS[best - 1],
            "options": numbers,
            "content": pair_content(best, second),
        }

    return draw(rng, split, make)


def _sum(rng: random.Random, split: str) -> dict:
    def make(rng: random.Random) -> dict:
        first, second = rng.randint(1, 10), rng.randint(1, 10)
        total = first + second
        near = [value for value in range(total - 3, total + 4) if value != total and 1 <= value <= len(words.NUMBERS)]
        return {
            "a": words.NUMBERS[first - 1],
            "b": words.NUMBERS[second - 1],
            "answer": words.NUMBERS[total - 1],
            "options": [words.NUMBERS[value - 1] for value in shuffled(rng, [total, *rng.sample(near, 3)])],
            "content": pair_content(first, second),
        }

    return draw(rng, split, make)


_COMPARISON_WORDINGS = (
    Template("what", "{text} What is the {which} number?"),
    Template("find", "Find the {which} number. {text}"),
    Template("which_is", "{text} Which number is the {which}?"),
    Template("name", "Name the {which} number in the text: {text}"),
    Template("options", "{text} Choose the {which} number.\n{options}"),
    Template("read", "Read the text and give the {which} number. {text}"),
    Template("is", "{text} The {which} number is:"),
    Template("give", "Give the {which} number in this text: {text}", reserved=True),
    Template("find_that", "{text} Find the number that is the {which}.", reserved=True),
    Template("read_this", "Read this: {text} Which is the {which} number?", reserved=True),
)
_SUM_WORDINGS = (
    Template("plus", "What is {a} plus {b}?"),
    Template("add", "Add {a} and {b}."),
    Template("sum_is", "The sum of {a} and {b} is:"),
    Template("find", "Find the sum of {a} and {b}."),
    Template("coins", "The number of coins in a box is {a}. Add {b}. What is the number of coins?"),
    Template("give", "Give the answer: {a} plus {b}."),
    Template("options", "Choose the sum of {a} and {b}.\n{options}"),
    Template("give_sum", "Give the sum of {a} and {b}.", reserved=True),
    Template("what_sum", "What is the sum of {a} and {b}?", reserved=True),
    Template("find_answer", "Find the answer: {a} plus {b}.", reserved=True),
)

DATASETS = (
    SuiteDataset("addition", CLUSTER, _sum, _SUM_WORDINGS),
    *(SuiteDataset(name, CLUSTER, functools.partial(_compared, name=name), _COMPARISON_WORDINGS) for name in _COMPARISONS),
)
