"""Leaks: planted evaluation texts are found however disguised; their template's wording is none, and clean texts give none."""

import itertools
import json

import pytest

from instruct_jax.curation.overlap import Bounds, ContaminationIndex, EvaluationText, Hit
from instruct_jax.curation.words import words
from instruct_jax.errors import InputError
from tests.curation.corpus import disguised, substituted, texts


def rules(hits: list[Hit]) -> list[str]:
    return [hit.rule for hit in hits]


def by_brute_force(evaluation: str, training: str) -> tuple[bool, float, int]:
    """The reference: whether the two share 13 words in a row, the share of words covered by runs of 8, the longest run."""
    there, here = words(evaluation), words(training)
    longest = 0
    for p, q in itertools.product(range(len(here)), range(len(there))):
        length = 0
        while p + length < len(here) and q + length < len(there) and here[p + length] == there[q + length]:
            length += 1
        longest = max(longest, length)
    short = {tuple(here[k : k + 8]) for k in range(len(here) - 7)}
    covered = {k + j for k in range(len(there) - 7) if tuple(there[k : k + 8]) in short for j in range(8)}
    return longest >= 13, len(covered) / len(there), longest


def test_every_rule_agrees_with_brute_force():
    suite, filler = texts(25, seed=0, shortest=13, longest=60), texts(25, seed=1, shortest=5, longest=30)
    index = ContaminationIndex({"suite": suite})
    seen = {"long": 0, "coverage": 0, "clean": 0}
    for k, (text, around) in enumerate(zip(suite, filler, strict=True)):
        for share in (0.02, 0.08, 0.15):
            training = f"{around} {substituted(text, share, seed=k)} {around}"
            hits = {hit.rule: hit for hit in index.check(training) if hit.item == str(k)}
            long, covered, longest = by_brute_force(text, training)
            assert ("long" in hits) == long
            assert ("coverage" in hits) == (covered > 0.5)
            for rule, hit in hits.items():
                assert (hit.words, hit.share) == (longest, pytest.approx(covered))
                assert training[hit.start : hit.start + hit.length] == hit.span
                assert words(hit.span) == words(training)[len(words(training[: hit.start])) :][:longest]
                seen[rule] += 1
            seen["clean"] += not hits
    assert min(seen.values()) >= 5


def test_a_disguised_leak_is_found_with_its_span():
    suite, training = texts(40, seed=2), texts(40, seed=3)
    index = ContaminationIndex({"suite": suite})
    for k, (leak, around) in enumerate(zip(suite, training, strict=True)):
        row = f"{around}\n{disguised(leak)}\n{around}"
        hits = index.check(row)
        assert {hit.item for hit in hits} == {str(k)}
        assert rules(hits) == ["long", "coverage"]
        assert all(words(hit.span) == words(leak) for hit in hits)
        assert all(hit.share == 1 for hit in hits)


def test_independent_texts_are_clean():
    index = ContaminationIndex({"suite": texts(500, seed=4)})
    assert [hit for text in texts(500, seed=5) for hit in index.check(text)] == []


def test_a_real_test_question_in_a_training_row_is_found(real_data):
    def read(name: str, field: str) -> list[str]:
        return [json.loads(line)[field] for line in (real_data / name).read_text().splitlines()]

    prompts, questions = read("ifeval/input_data.jsonl", "prompt"), read("gsm8k/test.jsonl", "question")
    rows = read("gsm8k/train.jsonl", "question")[:1000]
    index = ContaminationIndex({"ifeval": prompts, "gsm8k": questions})
    assert sum(bool(index.check(row)) for row in rows) <= 3
    for suite, planted in (("ifeval", prompts), ("gsm8k", questions)):
        for k in range(0, len(planted), 25):
            row = f"{rows[k % 1000]} {disguised(planted[k])} {rows[k % 7]}"
            assert (suite, str(k)) in {(hit.suite, hit.item) for hit in index.check(row)}


def test_template_wording_is_no_leak_and_the_record_in_it_is():
    wording = texts(1, seed=6, shortest=40, longest=40)[0]
    records = texts(60, seed=7, shortest=9, longest=16)
    suite = [f"{wording} {record}" for record in records[:30]]
    index = ContaminationIndex({"suite": suite})
    for other in records[30:]:
        assert index.check(f"{wording} {other}") == []
    for k, record in enumerate(records[:30]):
        assert {hit.item for hit in index.check(f"{wording} {record} and more")} == {str(k)}
    few = ContaminationIndex({"suite": suite}, Bounds(template_records=30))
    assert few.check(f"{wording} {records[40]}") != []


def test_a_short_template_with_a_common_beginning_of_questions_is_no_leak():
    questions = [f"What is the name of {text}" for text in texts(60, seed=12, shortest=9, longest=14)]
    index = ContaminationIndex({"suite": [f"Answer this: {question}?" for question in questions[:30]]})
    assert [hit for other in questions[30:] for hit in index.check(f"Answer this: {other}")] == []
    assert all(index.check(f"Say: {question}") for question in questions[:30])


def test_wordings_of_one_record_are_counted_once():
    record = texts(1, seed=8, shortest=40, longest=40)[0]
    wordings = [EvaluationText(f"w{k}", f"wording{k} {record}", record="r") for k in range(20)]
    assert len({hit.item for hit in ContaminationIndex({"suite": wordings}).check(record)}) == 20
    apart = [EvaluationText(one.item, one.text) for one in wordings]
    assert ContaminationIndex({"suite": apart}).check(record) == []


def test_a_template_of_one_suite_is_none_of_another():
    wording = texts(1, seed=9, shortest=30, longest=30)[0]
    suites = {"many": [f"{wording} {text}" for text in texts(20, seed=10)], "one": [wording]}
    assert {hit.suite for hit in ContaminationIndex(suites).check(f"so {wording} it")} == {"one"}


def test_a_short_text_must_stand_whole():
    index = ContaminationIndex({"s": ["Who painted the ceiling of the Sistine Chapel?", "Name a colour", "?!"]})
    assert rules(index.check("He asked: who painted the ceiling of the sistine chapel, and why?")) == ["contained"]
    assert index.check("Who painted the ceiling of the Sistine cinema in town?") == []
    assert index.check("Please name a colour that you like") == []
    assert rules(index.check("name a COLOUR!")) == ["whole"]
    assert index.unowned == [("s", "1"), ("s", "2")]


def test_a_text_of_a_template_alone_is_found_only_as_a_whole():
    text = texts(1, seed=11, shortest=30, longest=30)[0]
    index = ContaminationIndex({"s": [text] * 11})
    assert len(index.unowned) == 11
    assert index.check(f"so {text}") == []
    assert rules(index.whole(disguised(text))) == ["whole"] * 11


def test_an_empty_training_text_and_an_empty_suite():
    index = ContaminationIndex({"s": ["one two three four five six"]})
    assert index.check("") == []
    assert index.check("...") == []
    with pytest.raises(InputError, match="suite empty has no text"):
        ContaminationIndex({"empty": []})


def test_bounds_out_of_range_are_refused():
    with pytest.raises(InputError, match="expected contained, short and template_words from 1 to long"):
        Bounds(short=14)
    with pytest.raises(InputError, match="share is 1"):
        Bounds(share=1)
