"""Examples made up from a TFDS builder's own feature specification: ragged, with every class in turn."""

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.tasks.flan.sentiment_posts import EMOTIONS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow_datasets as tfds

_WORDS = [
    "river",
    "stone",
    "morning",
    "letter",
    "garden",
    "window",
    "table",
    "silver",
    "mountain",
    "summer",
    "teacher",
    "market",
    "engine",
    "colour",
    "harbour",
    "village",
    "winter",
    "bottle",
    "music",
    "forest",
    "paper",
    "candle",
    "bridge",
    "island",
    "story",
    "doctor",
    "farmer",
    "captain",
    "kitchen",
    "ladder",
]


def specifications(datasets: Sequence[FlanDataset]) -> dict[str, Any]:
    """The features of every dataset, from builders that need neither data nor network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {one.name: tfds.builder(one.tfds, data_dir="nowhere", try_gcs=False).info.features for one in datasets}


def examples(features: Any, count: int) -> list[dict[str, Any]]:
    """Examples in plain Python, as `instruct_jax.tasks.instruct.plain` gives those of TFDS.

    Texts are a few words each and no two are equal; classes come in turn; the sequences of an example have 2 to 5 elements.
    """
    numbers = itertools.count(1)
    return [{name: _value(feature, row, numbers) for name, feature in features.items()} for row in range(count)]


def _value(feature: Any, row: int, numbers: Iterator[int]) -> Any:
    if isinstance(feature, tfds.features.ClassLabel):
        return row % feature.num_classes
    if isinstance(feature, tfds.features.Sequence):
        length = 2 + row % 4 if feature._length is None else feature._length
        return _turned([_value(feature.feature, place, numbers) for place in range(length)])
    if isinstance(feature, tfds.features.FeaturesDict):
        return {name: _value(one, row, numbers) for name, one in feature.items()}
    if feature.shape:  # of a fixed size
        return [row % 2] * feature.shape[0]
    kind = np.dtype(feature.np_dtype).kind
    if kind == "b":
        return bool(row % 2)
    if kind in "iu":
        return row % 2
    if kind == "f":
        return float(row % 2)
    number = next(numbers)
    chosen = [_WORDS[(number * step) % len(_WORDS)] for step in range(1, 3 + number % 4)]
    return " ".join([*chosen, f"number{number}"])


def _turned(elements: list[Any]) -> Any:
    """A sequence of dicts as TFDS gives it: a dict of sequences, at every depth."""
    if not isinstance(elements[0], dict):
        return elements
    return {name: _turned([one[name] for one in elements]) for name in elements[0]}


# Texts that are no free text: what TFDS writes into them, by dataset.
Fit = Callable[[dict[str, Any], int], Mapping[str, Any]]


def _lettered(example: dict[str, Any], row: int) -> Mapping[str, Any]:
    letters = list("ABCDE")[: len(example["choices"]["text"])]
    return {**example, "choices": {**example["choices"], "label": letters}, "answerKey": letters[row % len(letters)]}


def _one_of(names: Sequence[str]) -> Fit:
    return lambda example, row: {**example, **{name: name == names[row % len(names)] for name in names}}


def _qa4mre(example: dict[str, Any], row: int) -> Mapping[str, Any]:
    options = example["answer_options"]["answer_str"]
    return {**example, "correct_answer_str": options[row % len(options)]}


def _race(example: dict[str, Any], row: int) -> Mapping[str, Any]:
    return {**example, "answers": ["AB"[(row + place) % 2] for place in range(len(example["questions"]))]}


def _totto(example: dict[str, Any], row: int) -> Mapping[str, Any]:
    """A sequence of sequences of cells is, in TFDS, one table of rows for each feature of a cell."""
    size = 3 + row % 3
    values = [[f"cell {row} {line} {column}" for column in range(size)] for line in range(size)]
    ones, heads = [[1] * size] * size, [[line == 0] * size for line in range(size)]
    table = {"value": values, "is_header": heads, "column_span": ones, "row_span": ones}
    return {**example, "table": table, "highlighted_cells": [[1, 1], [size - 1, 0]]}


FITTED: dict[str, Fit] = {
    "wsc": lambda example, _: {**example, "text": f"Once {example['text']}", "span2_text": "Once", "span2_index": 0},
    "totto": _totto,
    "sentiment140": lambda example, row: {**example, "polarity": 2 * (row % 3)},
    "amazon_us_reviews": lambda example, row: {"data": {**example["data"], "star_rating": 1 + row % 5}},
    "stsb": lambda example, row: {**example, "label": float(row % 6)},
    "dolly_brainstorming": lambda example, _: {**example, "category": "brainstorming"},
    "dolly_creative_writing": lambda example, _: {**example, "category": "creative_writing"},
    "goemotions": _one_of(EMOTIONS),
    "corr2cause": lambda example, _: {**example, "input": f"Premise: {example['input']} Hypothesis: so it is."},
    "cos_e": lambda example, row: {**example, "answer": example["choices"][row % 2]},
    "math_qa": lambda example, row: {**example, "options": f"a ) {row} , b ) {row + 1} , c ) 1,000", "correct": "abc"[row % 3]},
    "qa4mre": _qa4mre,
    "qasc": _lettered,
    "race_high": _race,
    "race_middle": _race,
    "record": lambda example, row: {**example, "answers": [example["entities"][row % 2]]},
    "story_cloze": lambda example, row: {**example, "label": 1 + row % 2},
}


def made_up(dataset: FlanDataset, features: Any, count: int) -> list[Mapping[str, Any]]:
    """Examples of a dataset, with what TFDS would write into the texts that are no free text."""
    fit = FITTED.get(dataset.name, lambda example, _: example)
    return [fit(example, row) for row, example in enumerate(examples(features, count))]
