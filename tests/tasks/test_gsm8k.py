"""GSM8K: the reasoning apart from the number, the calculator's notes gone, and what is damaged named by file and line."""

import json

import pytest

from instruct_jax.errors import InputError
from instruct_jax.tasks.examples import open_examples
from instruct_jax.tasks.files.records import MalformedRow
from instruct_jax.tasks.gsm8k import TEMPLATES, add_task
from instruct_jax.tasks.prompts import ZERO_SHOT, PromptSettings
from instruct_jax.text.tokenizer import ByteTokenizer

ROWS = [
    {
        "question": f"Ann has {n} pens and buys {n} more. How many?",
        "answer": f"{n}+{n} = <<{n}+{n}={2 * n}>>{2 * n} pens.\n#### {2 * n}",
    }
    for n in range(1, 13)
]


@pytest.fixture
def folder(tmp_path):
    for split, rows in (("train", ROWS[:10]), ("test", ROWS[10:])):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_the_reasoning_and_the_number_are_fields_of_their_own(registry, folder):
    task = registry.TaskRegistry.get(add_task(str(folder)))
    assert task.source.records("train")[2] == {
        "question": "Ann has 3 pens and buys 3 more. How many?",
        "rationale": "3+3 = 6 pens.",
        "answer": "6",
    }
    assert (task.source.records("train").size, task.source.records("test").size) == (10, 2)


def test_reasoning_ends_with_the_answer_in_every_wording_that_shows_it(registry, folder):
    record = registry.TaskRegistry.get(add_task(str(folder))).source.records("train")[2]
    reasoned = [template for template in TEMPLATES if template.rationale]
    assert [template.reserved for template in reasoned].count(False) == 5
    for template in reasoned:
        shown = template.apply(record, reasoned=True).response
        assert shown.startswith("3+3 = 6 pens.\n")
        assert shown.rstrip(".").endswith(" 6")
        assert template.apply(record).response == "6"


def test_zero_shot_few_shot_and_reasoning_go_into_one_preparation(registry, folder, tmp_path):
    task = registry.TaskRegistry.get(add_task(str(folder)))
    settings = [ZERO_SHOT, PromptSettings(shots=3, inversion=False), PromptSettings(shots=2, chain_of_thought=True)]
    examples = open_examples(task, "train", ByteTokenizer(), 0, settings, tmp_path)
    seen = {}
    for epoch in range(6):
        for index in range(10):
            example = examples.example(index, epoch)
            question, answer = example.content.messages
            seen.setdefault(example.setting, []).append(question.text)
            assert example.shots == (0, 3, 2)[example.setting]
            assert ("pens.\n" in answer.text) == (example.setting == 2)
            assert "<<" not in question.text + answer.text
    assert set(seen) == {0, 1, 2}
    assert all(text.count("Ann has") == 3 for text in seen[2])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": "q", "answer": "no number"}, "must end with '#### ' and a number, found 'no number'"),
        ({"question": "q", "answer": "nothing after\n####"}, "must end with '#### ' and a number"),
        ({"question": "q", "answer": 3}, "field 'answer' must be text, found int"),
        ({"answer": "#### 3"}, "field 'question' must be text, found nothing"),
    ],
)
def test_a_damaged_line_is_named(registry, folder, row, message):
    (folder / "train.jsonl").write_text(json.dumps(ROWS[0]) + "\n" + json.dumps(row) + "\n")
    records = registry.TaskRegistry.get(add_task(str(folder))).source.records("train")
    with pytest.raises(MalformedRow, match=r"train\.jsonl:2: .*" + message):
        records[1]


def test_a_folder_without_the_files_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"there is no .*train\.jsonl"):
        add_task(str(tmp_path))


def test_the_published_files_are_read_whole(registry, real_data):
    """7,473 and 1,319 problems, each with a number and without a calculator's note."""
    task = registry.TaskRegistry.get(add_task(str(real_data / "gsm8k")))
    for split, size in (("train", 7_473), ("test", 1_319)):
        records = task.source.records(split)
        assert records.size == size
        for index in range(size):
            record = records[index]
            assert float(record["answer"]) == float(record["answer"].strip())
            assert not {"<<", ">>", "####"} & {record["rationale"][at : at + 2] for at in range(len(record["rationale"]))}
