"""A preparation can refuse examples that hold its own evaluation items, and names both."""

import json

import pytest

from instruct_jax.errors import InputError
from instruct_jax.tasks.evaluation import Evaluation
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.sources import JsonLines
from instruct_jax.text.chat import INSTRUCT
from instruct_jax.text.templates import Template

WORDS = [
    "amber",
    "basil",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heron",
    "inlet",
    "jetty",
    "knoll",
    "lagoon",
    "marsh",
    "north",
    "ocean",
    "prairie",
    "quarry",
    "ridge",
]


def _question(number):
    """Twenty words that no other number shares a run of."""
    return " ".join(f"{WORDS[(number * 7 + place * (number + 1)) % len(WORDS)]}{number}" for place in range(20))


@pytest.fixture
def add_task(registry, tmp_path):
    """A function (training questions, validation questions) that registers them as a task."""

    def add(train, validation):
        files = {}
        for split, questions in (("train", train), ("validation", validation)):
            files[split] = str(tmp_path / f"{split}.jsonl")
            rows = [{"q": question, "a": f"answer {number}"} for number, question in enumerate(questions)]
            (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        instruct = Instruct((Template("ask", "Tell me this: {q}", "{a}"),), "letters", "leaky")
        registry.TaskRegistry.add("leaky", source=JsonLines(files), preprocessors=[instruct], output_features=text_features())

    return add


def _prepare(folder, check_words):
    prepare(
        str(folder), "leaky", "bytes", INSTRUCT, 512, 0, evaluation=Evaluation(), workers=1, cache=False, check_words=check_words
    )


def test_an_item_inside_an_example_stops_the_preparation_and_names_both(add_task, tmp_path):
    clean = [_question(number) for number in range(12)]
    add_task([*clean, f"Look: {_question(20).upper()}!"], [_question(20), _question(21)])
    with pytest.raises(InputError, match=r"train.jsonl:13: shares 20 words with the evaluation item leaky/ask/0 of leaky"):
        _prepare(tmp_path / "data", check_words=True)
    assert not (tmp_path / "data").exists()
    _prepare(tmp_path / "data", check_words=False)
    assert (tmp_path / "data" / "manifest.json").exists()


def test_the_wording_that_all_share_is_no_leak(add_task, tmp_path):
    add_task([_question(number) for number in range(12)], [_question(20), _question(21)])
    _prepare(tmp_path / "data", check_words=True)
    assert (tmp_path / "data" / "items.jsonl").exists()
