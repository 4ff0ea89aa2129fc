"""Data to text: a few named values become one sentence.

Split: the combination of values, by hash. The options are the sentence and two that differ from it in one value.
"""

import dataclasses
import functools
import random

from instruct_jax.tasks.suite import words
from instruct_jax.tasks.suite.dataset import SuiteDataset, draw, shuffled
from instruct_jax.text.templates import Template

CLUSTER = "data_to_text"


@dataclasses.dataclass(frozen=True)
class Table:
    """The columns, what each may hold, and the sentence that says a row."""

    columns: dict[str, tuple[str, ...]]
    sentence: str


TABLES = {
    "animal_tables": Table(
        {"animal": words.CATEGORIES["animal"], "colour": words.COLOURS, "place": words.PLACES},
        "The {colour} {animal} lives in the {place}.",
    ),
    "party_tables": Table(
        {"name": words.NAMES, "day": words.DAYS, "drink": words.CATEGORIES["drink"]},
        "{name} brings {drink} on {day}.",
    ),
    "person_tables": Table({"name": words.NAMES, "city": words.CITIES, "job": words.JOBS}, "{name} works as a {job} in {city}."),
    "trip_tables": Table(
        {"name": words.NAMES, "city": words.CITIES, "vehicle": words.CATEGORIES["vehicle"]}, "{name} went to {city} by {vehicle}."
    ),
}


def _record(rng: random.Random, split: str, name: str) -> dict:
    table = TABLES[name]

    def make(rng: random.Random) -> dict:
        row = {column: rng.choice(values) for column, values in table.columns.items()}
        wrong = []
        for column in rng.sample(tuple(row), 2):
            other = rng.choice([value for value in table.columns[column] if value != row[column]])
            wrong.append(table.sentence.format(**{**row, column: other}))
        answer = table.sentence.format(**row)
        cells = shuffled(rng, [f"{column}: {value}" for column, value in row.items()])
        return {
            "data": "; ".join(cells),
            "answer": answer,
            "options": shuffled(rng, [answer, *wrong]),
            "content": " ".join(row.values()),
        }

    return draw(rng, split, make)


WORDINGS = (
    Template("write", "Write a sentence from this data: {data}"),
    Template("labelled", "Data: {data} Sentence:"),
    Template("put", "Put this data into one sentence: {data}"),
    Template("say", "Say this in a sentence: {data}"),
    Template("turn", "Turn the data into text. {data}"),
    Template("read", "Read the data and write it in words. {data}"),
    Template("back", "Write the data of this sentence: {answer}", "{data}", original_task=False),
    Template("turn_one", "Turn this data into one sentence: {data}", reserved=True),
    Template("put_text", "Put the data into words. {data}", reserved=True),
    Template("read_write", "Read the data and write a sentence. {data}", reserved=True),
)

DATASETS = tuple(SuiteDataset(name, CLUSTER, functools.partial(_record, name=name), WORDINGS) for name in TABLES)
