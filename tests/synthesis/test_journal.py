"""A journal is whole whenever its process ends, belongs to one process, and answers only what was asked."""

import json

import pytest

from instruct_jax.errors import InputError
from instruct_jax.synthesis.generator import Completion
from instruct_jax.synthesis.journal import opened

ANSWERS = [Completion("a\u2028b\r\n\x85", "stop", 3, 4), Completion("", "length")]


def unasked():
    raise AssertionError("the journal has it")


def test_what_was_answered_is_there_again_and_is_not_asked_again(tmp_path):
    file = tmp_path / "new" / "journal.jsonl"
    with opened(file, {"seed": 1, "method": {"shown": (1, 2)}}) as journal:
        assert journal.completions("first", ["p", "q"], lambda: ANSWERS) == ANSWERS
    with opened(file, {"method": {"shown": [1, 2]}, "seed": 1}) as journal:
        assert journal.remembered == 1
        assert journal.completions("first", ["p", "q"], unasked) == ANSWERS
        assert journal.remembered == 0
        assert journal.completions("none", [], unasked) == []


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_half_a_line_is_taken_away_and_asked_for_again(tmp_path, cut):
    file = tmp_path / "journal.jsonl"
    with opened(file, {}) as journal:
        journal.completions("first", ["p"], lambda: ANSWERS[:1])
        before = file.read_bytes()
        journal.completions("second", ["q"], lambda: ANSWERS[1:])
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    with opened(file, {}) as journal:
        assert file.read_bytes() == before
        assert journal.completions("first", ["p"], unasked) == ANSWERS[:1]
        assert journal.completions("second", ["q"], lambda: ANSWERS[1:]) == ANSWERS[1:]
    assert file.read_bytes() == whole


def test_other_settings_and_other_prompts_are_refused(tmp_path):
    file = tmp_path / "journal.jsonl"
    with opened(file, {"a": {"b": 1}}) as journal:
        journal.completions("first", ["p"], lambda: ANSWERS[:1])
    with pytest.raises(InputError, match=r"begun with other settings: a\.b was 1 and is 2"), opened(file, {"a": {"b": 2}}):
        pass
    with (
        opened(file, {"a": {"b": 1}}) as journal,
        pytest.raises(InputError, match=r"journal\.jsonl:2 holds the answers to first"),
    ):
        journal.completions("first", ["other"], unasked)


def test_a_journal_without_an_answer_takes_other_settings(tmp_path):
    """Such as those of a run whose server did not know the model's name."""
    file = tmp_path / "journal.jsonl"
    for model in ("a long misspelt name", "name"):
        with opened(file, {"model": model}):
            pass
    with opened(file, {"model": "name"}) as journal:
        journal.completions("first", ["p"], lambda: ANSWERS[:1])
    assert [list(line) for line in map(json.loads, file.read_bytes().splitlines())] == [
        ["settings"],
        ["name", "prompts", "completions"],
    ]
    with pytest.raises(InputError, match="model was"), opened(file, {"model": "a long misspelt name"}):
        pass


def test_a_damaged_line_is_named(tmp_path):
    file = tmp_path / "journal.jsonl"
    with opened(file, {}) as journal:
        journal.completions("first", ["p"], lambda: ANSWERS[:1])
    file.write_bytes(file.read_bytes()[:-9] + b"\n")
    with pytest.raises(InputError, match=r"journal\.jsonl:2 is damaged"), opened(file, {}):
        pass


def test_a_second_run_is_kept_out_until_the_first_has_ended(tmp_path):
    file, refused = tmp_path / "journal.jsonl", pytest.raises(InputError, match="another process is at work in")
    with opened(file, {}), refused, opened(file, {}):
        pass
    with opened(tmp_path / "journal.jsonl", {}) as journal:
        assert journal.remembered == 0
