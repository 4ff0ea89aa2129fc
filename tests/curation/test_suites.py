"""Suites: the question of every entry, from whatever file holds it, and errors that name the place."""

import gzip
import json

import pytest

from instruct_jax.curation.suites import read_suite
from instruct_jax.errors import InputError

ITEM = {
    "id": "a/1",
    "source": "a:7",
    "messages": [["system", "Be kind."], ["user", "Who?"], ["assistant", "Me."], ["user", "Why?"]],
    "target": "Because.",
}


def lines(*entries) -> str:
    return "\n".join(json.dumps(entry) for entry in entries) + "\n"


def test_items_of_a_prepared_dataset_keep_their_record(tmp_path):
    (tmp_path / "items.jsonl").write_text(lines(ITEM))
    (one,) = read_suite(tmp_path)
    assert (one.item, one.record, one.text) == ("a/1", "a:7", "Who?\n\nMe.\n\nWhy?")


def test_questions_are_found_in_any_usual_field(tmp_path):
    entries = [
        {"key": 1000, "prompt": "P", "answer": "no"},
        {"question": "Q", "answer": "no"},
        {"instruction": "I", "input": "J", "output": "no"},
        {"task_id": "h/0", "text": "T"},
        {"messages": [{"role": "user", "content": "M"}, {"role": "assistant", "content": "no"}]},
    ]
    expected = [("1000", "P"), ("2", "Q"), ("3", "I\n\nJ"), ("h/0", "T"), ("5", "M")]
    (tmp_path / "s.jsonl").write_text(lines(*entries))
    (tmp_path / "s.json").write_text(json.dumps(entries))
    (tmp_path / "s.jsonl.gz").write_bytes(gzip.compress(lines(*entries).encode()))
    for name in ("s.jsonl", "s.json", "s.jsonl.gz"):
        assert [(one.item, one.text) for one in read_suite(tmp_path / name)] == expected
    (tmp_path / "s.txt").write_text("one\n\n{two\n")
    assert [(one.item, one.text) for one in read_suite(tmp_path / "s.txt")] == [("1", "one"), ("3", "{two")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.jsonl", '{"prompt": "a"}\n{"answer": 1}\n', r"s.jsonl:2: no question in fields answer"),
        ("s.jsonl", "{\n", r"s.jsonl:1: not valid JSON"),
        ("s.jsonl", "\n", r"holds no text"),
        ("s.jsonl", "3\n", r"s.jsonl:1: expected an object or a text, got int"),
        ("s.jsonl", '{"messages": [["user"]]}\n', r"s.jsonl:1: .* is no message"),
        ("s.json", "{}", r"expected an array of objects, got dict"),
        ("none.jsonl", None, r"there is no evaluation suite at"),
    ],
)
def test_what_is_no_suite_is_refused_by_place(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_suite(tmp_path / name)
