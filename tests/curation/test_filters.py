"""Filters: each drops what it is for, says why and by how much, and lets the rest through."""

import collections
import json

import pytest

from instruct_jax.curation.balance import label_balance
from instruct_jax.curation.decisions import Row, record, unwatched
from instruct_jax.curation.filters import Answered, AnswerInPrompt, CountTokens, Language, Length, count_characters
from instruct_jax.curation.parts import prompt, response, whole
from instruct_jax.curation.phrases import boilerplate, refusals
from instruct_jax.curation.repetition import BOUNDS, Repetition, repetition
from instruct_jax.errors import InputError
from instruct_jax.text.conversation import Conversation, conversation_of
from tests.curation.corpus import texts


def asked(question: str, answer: str) -> Conversation:
    return conversation_of([("user", question), ("assistant", answer)])


DOCUMENT = conversation_of([("text", "Once upon a time.")])


def test_the_parts_of_a_conversation():
    talk = conversation_of([("system", "S"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")])
    assert (prompt(talk), response(talk), whole(talk)) == ("S\n\na\n\nb\n\nc", "d", "S\n\na\n\nb\n\nc\n\nd")
    assert (prompt(DOCUMENT), response(DOCUMENT)) == ("", "Once upon a time.")
    assert (prompt(conversation_of([("user", "a")])), response(conversation_of([("user", "a")]))) == ("a", "")


def test_length_holds_at_both_ends():
    rule = Length(least=2, most=3)
    assert [rule(asked("q", answer)).keep for answer in ("one", "one two", "a b c", "a b c d")] == [False, True, True, False]
    assert rule(asked("q", "one")).measure == 1
    assert not Length(least=4, count=count_characters, part=prompt)(asked("abc", "")).keep
    assert Length(most=8, count=CountTokens("bytes"), part=whole)(asked("abc", "def")).measure == 8
    with pytest.raises(InputError, match="lets nothing through"):
        Length(least=5, most=4)


def test_another_language_is_dropped_and_short_texts_pass():
    german = "Der schnelle braune Fuchs springt über den faulen Hund, während die Katze am Fenster schläft."
    english = "The quick brown fox jumps over the lazy dog while the cat is sleeping at the window."
    assert Language()(asked("", english)).keep
    dropped = Language()(asked("", german))
    assert not dropped.keep
    assert dropped.about == {"language": "de"}
    assert dropped.measure > 0.9
    assert Language(("de",))(asked("", german)).keep
    assert not Language(("de",))(asked("", english)).keep
    assert Language()(asked("Hauptstadt?", "Berlin")).keep
    with pytest.raises(InputError, match="german"):
        Language(("german",))


def test_an_empty_or_echoed_answer_is_dropped():
    reasons = {"empty answer": ("q", " \n"), "the answer is the prompt": ("Say it", "Say  it"), "empty prompt": ("", "a")}
    for reason, turns in reasons.items():
        assert Answered()(asked(*turns)).reason == reason
    assert Answered()(conversation_of([("user", "q")])).reason == "no answer is trained"
    assert Answered()(conversation_of([("text", " ")])).reason == "empty document"
    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f"}}]}
    for kept in (asked("q", "a"), DOCUMENT, conversation_of([("user", "q"), call])):
        assert Answered()(kept).keep


def test_an_answer_that_the_prompt_gives_away_is_dropped():
    rule = AnswerInPrompt()
    sentence = texts(1, seed=0, shortest=30, longest=30)[0]
    assert not rule(asked(f"Read this. {sentence} What was said?", sentence)).keep
    assert not rule(asked("What is the capital of France? Answer: Paris", "Paris.")).keep
    assert rule(asked("Is it good or bad? Options: good, bad", "bad")).keep
    assert rule(asked("Paris is the capital of France. What is its capital? Answer:", "Paris")).keep
    assert rule(asked("Answer: Paris", "")).keep
    assert AnswerInPrompt(long=None)(asked(f"Copy this. {sentence} Now.", sentence)).keep


@pytest.mark.parametrize("said", ["As an AI language model, I have none.", "well... AS AN AI   language-model I", "I’m an AI."])
def test_talk_of_being_a_model_is_dropped_anywhere(said):
    assert not refusals()(asked("q", f"{'word ' * 50}. {said}")).keep
    assert refusals()(asked(said, "An answer.")).keep


def test_a_refusal_is_dropped_at_the_beginning_alone():
    assert not refusals()(asked("q", "Sorry, but I can’t help with that.")).keep
    assert refusals()(asked("q", f"{'word ' * 50} She said: I can't help with that.")).keep
    assert refusals()(asked("q", "I can't help but be drawn to her.")).keep


def test_what_a_page_left_behind_is_dropped():
    assert boilerplate()(asked("q", "Lorem ipsum dolor")).reason == "says: lorem ipsum"
    assert boilerplate()(asked("q", "The policy of the bank.")).keep


def by_hand(text: str) -> dict[str, float]:
    """The reference: every measure from sets of character places."""
    found = text.casefold().split()
    total = sum(map(len, found))
    measures = {}
    for name, cut in (("lines", "\n"), ("paragraphs", "\n\n")):
        pieces = [piece.strip() for piece in text.split(cut) if piece.strip()]
        again = [piece for place, piece in enumerate(pieces) if piece in pieces[:place]]
        measures[name] = len(again) / len(pieces)
        measures[f"characters in {name}"] = len("".join(again)) / len("".join(pieces))
    for n in range(2, 11):
        runs = [tuple(found[k : k + n]) for k in range(len(found) - n + 1)]
        if n < 5:
            count, _, top = max((count, len("".join(run)), run) for run, count in collections.Counter(runs).items())
            places = {k + j for k, run in enumerate(runs) if run == top and count > 1 for j in range(n)}
        else:
            places = {k + j for k, run in enumerate(runs) if run in runs[:k] for j in range(n)}
        measures[f"top {n}-gram" if n < 5 else f"{n}-grams"] = sum(len(found[k]) for k in places) / total
    return measures


def test_repetition_measures_what_counting_by_hand_gives():
    line = "the cat sat on the mat and looked at all of us"
    clean = texts(6, seed=1, shortest=20)
    for text in (f"{line}\n{line}\nand then\n\n{line}", f"{clean[0]}\n\n{clean[1]} {clean[0]}", *clean):
        assert repetition(text) == pytest.approx(by_hand(text))
        assert set(repetition(text)) == set(BOUNDS)


def test_text_that_repeats_itself_is_dropped():
    once = "\n".join(texts(12, seed=2))
    assert Repetition()(asked("q", once)).keep
    assert "lines" in Repetition()(asked("q", f"{once}\n{once}")).reason
    assert not Repetition()(asked("q", "buy it now " * 60)).keep
    assert Repetition()(asked("q", "ha ha ha")).keep


def test_clean_instruction_data_stays(real_data):
    tasks = [json.loads(line) for line in (real_data / "self_instruct" / "seed_tasks.jsonl").read_text().splitlines()]
    rows = [asked(task["instruction"], task["instances"][0]["output"]) for task in tasks]
    for rule in (Answered(), Language(), Repetition(), refusals(), boilerplate(), AnswerInPrompt()):
        assert sum(not rule(row).keep for row in rows) <= 1, rule  # one seed answers with a refusal


def test_balance_tells_the_majority_of_tasks_with_labels():
    answers = [("nli", answer) for answer in ["Yes", "yes", " no", "maybe"]] + [("free", f"text {k}") for k in range(30)]
    assert label_balance(answers) == []  # three answers in four rows may be free
    (found,) = label_balance(answers * 2, labels=20)
    assert (found.task, found.rows, dict(found.shares)) == ("nli", 8, {"yes": 0.5, "maybe": 0.25, "no": 0.25})
    assert (found.majority, found.expected) == (0.5, pytest.approx(1 / 3))
    assert found.lopsided(0.4)
    assert not found.lopsided(0.5)


def test_a_filter_decides_each_row_in_order_and_is_recorded():
    rows = [Row(asked("q", answer), f"f:{k}") for k, answer in enumerate(["a b", "", "c d"], 1)]
    decisions = Length(least=2).decide(rows, unwatched)
    assert [one.keep for one in decisions] == [True, False, True]
    line = record(rows[1], "length", decisions[1])
    assert line == {"row": "f:2", "rule": "length", "keep": False, "reason": "0 long, less than 2", "measure": 0}
