"""The writer's test kit: sound tasks pass, and whatever is wrong is told in words that say what to do."""

import itertools
import json

import numpy as np
import pytest
import tensorflow as tf

from instruct_jax.errors import InputError
from instruct_jax.tasks import procedural
from instruct_jax.tasks.gsm8k import TEMPLATES, add_task
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.sources import Generated, JsonLines
from instruct_jax.tasks.testing import assert_task, mask_problems
from instruct_jax.text.chat import INSTRUCT, Rendered, render
from instruct_jax.text.conversation import Conversation, Message
from instruct_jax.text.templates import Template
from instruct_jax.text.tokenizer import ByteTokenizer

ASK = Template("ask", "Is this review good or bad? {review}", choices=("bad", "good"))
TELL = Template("tell", "{review}\nWhich is it?\n{options}", choices=("dislike", "like"))
TURNED = Template("turned", "Write a {answer} review.", "{review}", choices=("bad", "good"), original_task=False)
KEPT = Template("kept", "What did they think of it? {review}", choices=("nothing", "the world"), reserved=True)


def _review(index, split):
    return {"review": f"{split} {'I would come back' if index % 2 else 'Never again'} {index}", "label": index % 2}


def _add(registry, *templates, record=_review, steps=(), **fields):
    instruct = Instruct(templates, **{"cluster": "sentiment", "dataset": "reviews", **fields})
    source = Generated(record, size=40, splits=("train", "validation"))
    preprocessors = [*steps, instruct]
    return registry.TaskRegistry.add("k_task", source=source, preprocessors=preprocessors, output_features=text_features()).name


@pytest.mark.parametrize("name", ["procedural_film_reviews", "procedural_addition", "procedural_trip_tables", procedural.TEXT])
def test_tasks_of_the_suite_pass(name):
    assert_task(name, most=6)


def test_a_small_task_of_ones_own_passes(registry):
    assert_task(_add(registry, ASK, TELL, TURNED, KEPT))


def test_a_task_behind_tf_data_passes(registry):
    def longer(data):
        return data.filter(lambda row: tf.strings.length(row["review"]) > 3)

    assert_task(_add(registry, ASK, TELL, TURNED, KEPT, steps=[longer]))


def test_a_task_with_reasoning_passes_from_its_files_and_from_given_records(registry, tmp_path):
    questions = [f"{name} has {n} pens and gets {n} more. How many are there?" for n, name in enumerate(("Ann", "Bo", "Cy"), 2)]
    rows = [{"question": one, "answer": f"{n}+{n} = {2 * n} pens.\n#### {2 * n}"} for n, one in enumerate(questions, 2)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:2]))
    (tmp_path / "test.jsonl").write_text(json.dumps(rows[2]) + "\n")
    name = add_task(str(tmp_path))
    assert_task(name)
    (tmp_path / "train.jsonl").unlink()
    registry.TaskRegistry.get(name).source._opened.clear()
    worked = [{"question": one, "rationale": f"{n}+{n} = {2 * n}.", "answer": str(2 * n)} for n, one in enumerate(questions, 2)]
    assert_task(name, worked)
    with pytest.raises(AssertionError, match="templates show reasoning and no record has any"):
        assert_task(name, [{**record, "rationale": ""} for record in worked])


def test_conversations_and_documents_pass(registry, tmp_path):
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    (tmp_path / "chats.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    for name, source in (
        ("k_chats", JsonLines({"train": str(tmp_path / "chats.jsonl")})),
        ("k_text", Generated(lambda index, _split: {"text": f"page {index}"}, size=3)),
    ):
        registry.TaskRegistry.add(name, source=source, preprocessors=[], output_features=text_features())
        assert_task(name)


COUNTER = itertools.count()


@pytest.mark.parametrize(
    ("templates", "changes", "message"),
    [
        (
            [Template("t", "Is {text} good?", choices=("no", "yes"))],
            {},
            r"template 't': it names the field 'text', which a record",
        ),
        ([Template("t", "Is {review} good?", choices=("no",))], {}, "label is 1; expected an integer from 0 to 0"),
        ([Template("t", "Is {review} good?", choices=("no", "no"))], {}, "the choices 'no' and 'no' are the same"),
        ([Template("t", "Is {review} good?  Say.", choices=("no", "yes"))], {}, "a doubled space"),
        ([Template("t", "Is {review} good?", "Rather {label}")], {"record": lambda i, s: {**_review(i, s), "user": i}}, "'user'"),
        ([Template("t", "Say again: {review}", "{review}")], {}, "the prompt names {review}, which the response consists of"),
        ([ASK, TURNED], {"record": lambda i, _s: _review(i, "one")}, "splits 'train' and 'validation' both ask"),
        (
            [ASK],
            {"record": lambda i, s: {**_review(i, s), "review": f"{s} {i} {next(COUNTER)}"}},
            "read twice it is not the same",
        ),
        ([KEPT], {}, "every template is reserved for evaluation, so none is left to train on"),
        ([ASK, TELL], {"cluster": ""}, "Instruct.cluster is empty; name it, so that it can be held out"),
        ([ASK, TELL], {"source_field": "author"}, "source_field is 'author', which a record lacks; it has: review, label"),
        ([ASK, TELL], {"template_field": "review"}, "a record names the template 'train Never again 0'"),
        ([ASK, TELL], {"record": lambda i, s: {**_review(i, s), "review": b"bytes"}}, "not JSON serializable .review: bytes"),
        ([Template("t", "{review} Which?", "{word}")], {"record": lambda i, s: {**_review(i, s), "word": ""}}, "an empty answer"),
    ],
)
def test_a_broken_task_is_told_what_is_wrong(registry, templates, changes, message):
    name = _add(registry, *templates, **changes)
    with pytest.raises(AssertionError, match=message) as raised:
        assert_task(name)
    assert str(raised.value).startswith("task 'k_task' is not ready:\n  1. ")


def test_options_that_cannot_be_told_apart_and_answers_beside_them_are_told(registry):
    for options, answer, message in ((["a", "a", "b"], "b", "two of the options"), (["a", "b"], "c", "not among the options")):
        records = [{"q": f"the thing number {n}", "options": options, "answer": answer} for n in range(4)]
        with pytest.raises(AssertionError, match=message):
            assert_task(_add(registry, Template("t", "What is {q}?\n{options}")), records)
        registry.TaskRegistry.remove("k_task")


def test_a_line_that_is_broken_is_told_by_file_and_line(registry, tmp_path):
    (tmp_path / "train.jsonl").write_text('{"review": "fine", "label": 1}\n{"review": \n')
    source = JsonLines({"train": str(tmp_path / "train.jsonl")})
    instruct = Instruct((ASK,), "sentiment", "reviews")
    registry.TaskRegistry.add("k_lines", source=source, preprocessors=[instruct], output_features=text_features())
    with pytest.raises(AssertionError, match=r"train\.jsonl:2: not valid JSON"):
        assert_task("k_lines")


def test_several_faults_are_told_at_once(registry):
    with pytest.raises(AssertionError) as raised:
        assert_task(_add(registry, Template("t", "Is  {text} good?", choices=("no", "no"))))
    assert all(f"\n  {number}. " in str(raised.value) for number in (1, 2, 3))


def test_a_mixture_or_a_name_that_nobody_registered_is_refused():
    with pytest.raises(InputError, match="is a mixture; check its tasks one by one: procedural_"):
        assert_task(procedural.INSTRUCTIONS)
    with pytest.raises(InputError, match="did you mean 'procedural_addition'"):
        assert_task("procedural_additio")


def test_a_mask_that_is_too_narrow_too_wide_or_early_is_told():
    tokenizer = ByteTokenizer()
    conversation = Conversation((Message("user", "ask"), Message("assistant", "answer")))
    right = render(conversation, INSTRUCT, tokenizer)

    def told(places, trained, tokens=right.tokens):
        weights = right.weights.copy()
        weights[places] = trained
        return " ".join(mask_problems(conversation, Rendered(tokens, weights, right.trimmable), tokenizer))

    assert told([], 0.0) == ""
    assert "too narrow: 'a' of the answer" in told([-7], 0.0)
    assert "too narrow: '' of the answer, or its end" in told([-1], 0.0)
    assert "too narrow" in told(np.arange(right.tokens.size), 0.0)
    assert r"training begins before the answer: '\n' is trained too" in told([-8], 1.0)
    assert "the text does not end with the answer 'answer'" in told([], 0.0, right.tokens[:-1])


def test_the_published_problems_pass(registry, real_data):
    assert add_task(str(real_data / "gsm8k")) in registry.TaskRegistry.names()
    assert_task("gsm8k", most=8)
    assert len(TEMPLATES) == 10
