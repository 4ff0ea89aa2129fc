"""Formats: the form of a file's rows is told by looking, shown, and may be said; what does not fit is named."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.dialogue_forms import Alpaca, PromptCompletion
from instruct_jax.tasks.files.records import MalformedRow
from instruct_jax.tasks.files.row_forms import CONVERSATION_LINES, DETECTED
from instruct_jax.tasks.files.samples import Provenance
from instruct_jax.tasks.formats import describe, open_samples, read

CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
SAID = [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}]
HUMAN = "\n\nHuman: hi\n\nAssistant: Hello.\n\nHuman: bye\n\nAssistant:"

# Name of the form, a row, its turns as "role: text" with "-" before those that are not trained, and what else it tells.
ROWS = [
    ("messages", {"messages": SAID}, ["-user: a?", "assistant: b"], {}),
    ("messages", {"conversations": SAID, "system": "s"}, ["-system: s", "-user: a?", "assistant: b"], {}),
    ("messages", {"messages": json.dumps(SAID)}, ["-user: a?", "assistant: b"], {}),
    ("messages", {"messages": {"role": ["user", "assistant"], "content": ["a?", "b"]}}, ["-user: a?", "assistant: b"], {}),
    ("messages", {"messages": [*SAID, {**SAID[1], "weight": 0}]}, ["-user: a?", "assistant: b", "-assistant: b"], {}),
    (
        "sharegpt",
        {"system": "s", "conversations": [{"from": "human", "value": "a?"}, {"from": "GPT", "value": "b"}]},
        ["-system: s", "-user: a?", "assistant: b"],
        {},
    ),
    (
        "sharegpt",
        {
            "conversations": [
                {"from": "human", "value": "Rome?"},
                {"from": "function_call", "value": json.dumps(CALL["function"])},
                {"from": "observation", "value": "31"},
                {"from": "gpt", "value": "Warm."},
            ],
            "tools": json.dumps([TOOL]),
        },
        ["-user: Rome?", "assistant: ", "-tool: 31", "assistant: Warm."],
        {},
    ),
    ("alpaca", {"instruction": "Add", "input": "{input} 1", "output": "2"}, ["-user: Add\n\n{input} 1", "assistant: 2"], {}),
    ("alpaca", {"instruction": "Sing", "input": "", "output": "la"}, ["-user: Sing", "assistant: la"], {}),
    ("alpaca", {"instruction": "Sing", "input": None, "output": "la"}, ["-user: Sing", "assistant: la"], {}),
    ("alpaca", {"instruction": "Say", "context": "c", "response": "d"}, ["-user: Say\n\nc", "assistant: d"], {}),
    (
        "alpaca",
        {"instruction": "c", "output": "d", "history": [["a", "b"]]},
        ["-user: a", "assistant: b", "-user: c", "assistant: d"],
        {},
    ),
    ("prompt_completion", {"prompt": "a", "completion": ""}, ["-user: a", "assistant: "], {}),
    ("prompt_completion", {"prompt": "a", "response": "b", "id": 1}, ["-user: a", "assistant: b"], {}),
    ("prompt_completion", {"question": "a", "answer": "b"}, ["-user: a", "assistant: b"], {}),
    ("prompt_completion", {"input": "a", "output": "b"}, ["-user: a", "assistant: b"], {}),
    ("prompt_completion", {"prompt": SAID[:1], "completion": SAID[1:]}, ["-user: a?", "assistant: b"], {}),
    ("text", {"text": "a story", "label": 1}, ["text: a story"], {}),
    ("preference", {"prompt": "a", "chosen": "b", "rejected": "c"}, ["-user: a", "assistant: b"], {"rejected": "c"}),
    (
        "preference",
        {"system": "s", "question": "a", "chosen": "b", "rejected": "c"},
        ["-system: s", "-user: a", "assistant: b"],
        {},
    ),
    (
        "preference",
        {"prompt": "a?", "chosen": SAID, "rejected": [SAID[0], {"role": "assistant", "content": "c"}], "messages": SAID},
        ["-user: a?", "assistant: b"],
        {"rejected": "c"},
    ),
    (
        "preference",
        {"prompt": HUMAN, "chosen": "Bye.", "rejected": "No."},
        ["-user: hi", "-assistant: Hello.", "-user: bye", "assistant: Bye."],
        {"rejected": "No."},
    ),
    (
        "implicit_preference",
        {"chosen": f"{HUMAN} Bye.", "rejected": f"{HUMAN} No."},
        ["-user: hi", "-assistant: Hello.", "-user: bye", "assistant: Bye."],
        {"rejected": "No."},
    ),
    (
        "implicit_preference",
        {"chosen": SAID, "rejected": [SAID[0], {"role": "assistant", "content": "c"}]},
        ["-user: a?", "assistant: b"],
        {"rejected": "c"},
    ),
    (
        "implicit_preference",
        {"chosen": "The sky is blue.", "rejected": "The sky is black."},
        ["-user: The sky is", "assistant: blue."],
        {"rejected": "black."},
    ),
    ("unpaired", {"prompt": "a", "completion": "b", "label": False}, ["-user: a", "assistant: b"], {"label": False}),
    ("unpaired", {"prompt": "a", "completion": "b", "label": "True"}, ["-user: a", "assistant: b"], {"label": True}),
    (
        "multiple_choice",
        {"question": "a", "choices": ["x", "y"], "answer": 1, "subject": "s"},
        ["-user: a\n(A) x\n(B) y", "assistant: y"],
        {"answer": "y"},
    ),
    (
        "multiple_choice",
        {"article": "p", "question": "a", "options": ["x", "y"], "answer": "A"},
        ["-user: p\n\na\n(A) x\n(B) y", "assistant: x"],
        {"answer": "x"},
    ),
    (
        "multiple_choice",
        {"question_stem": "a", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "1"},
        ["-user: a\n(A) x\n(B) y", "assistant: x"],
        {"answer": "x"},
    ),
    (
        "multiple_choice",
        {"question": "a", "options": {"A": "x", "B": "y"}, "answer": "y"},
        ["-user: a\n(A) x\n(B) y", "assistant: y"],
        {"answer": "y"},
    ),
    (
        "gsm8k",
        {"question": "a", "answer": "2*500=1000\n#### 1,000"},
        ["-user: a", "assistant: 2*500=1000\n#### 1,000"],
        {"answer": "1000"},
    ),
    ("checkable", {"prompt": "a", "answer": 4}, ["-user: a", "assistant: 4"], {"answer": "4"}),
    ("checkable", {"prompt": "a", "ground_truth": ["x", "y"]}, ["-user: a"], {"answer": '["x", "y"]'}),
    (
        "checkable",
        {"problem": "a", "solution": r"so \boxed{4}", "answer": "4"},
        ["-user: a", r"assistant: so \boxed{4}"],
        {"answer": "4"},
    ),
    ("checkable", {"problem": "a", "solution": r"so \boxed{{x}}"}, ["-user: a", r"assistant: so \boxed{{x}}"], {"answer": "{x}"}),
    (
        "ifeval",
        {"key": 1, "prompt": "a", "instruction_id_list": ["p:no_comma", "l:words"], "kwargs": [{}, {"n": 9}]},
        ["-user: a"],
        {"answer": '{"instruction_id_list": ["p:no_comma", "l:words"], "kwargs": [{}, {"n": 9}]}'},
    ),
    (
        "self_instruct",
        {"instruction": "Add", "instances": [{"input": "1", "output": "2"}], "is_classification": False},
        ["-user: Add\n\n1", "assistant: 2"],
        {},
    ),
]


def write_lines(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.parametrize(("name", "row", "turns", "told"), ROWS)
def test_a_row_is_told_by_looking_and_says_the_same_in_lines_and_in_parquet(tmp_path, name, row, turns, told):
    files = [write_lines(tmp_path / "a.jsonl", [row, row]), tmp_path / "a.parquet"]
    pyarrow.parquet.write_table(pa.Table.from_pylist([row]), files[1])
    for file in files:
        sample = next(read(file))
        assert sample.provenance == Provenance(str(file), 1, name)
        found = [
            f"{'' if message.is_trained() else '-'}{message.role}: {message.text}" for message in sample.conversation.messages
        ]
        assert found == turns
        assert (sample.label, sample.answer) == (told.get("label"), told.get("answer"))
        if "rejected" in told:
            assert sample.rejected.messages[-1].text == told["rejected"]
            assert sample.rejected.messages[:-1] == sample.conversation.messages[:-1]


@pytest.mark.parametrize("form", DETECTED, ids=lambda form: form.name)
def test_every_form_is_tested(form):
    assert form.name in {name for name, _, _, _ in ROWS}


def test_calls_of_tools_and_tools_stay_what_they_are(tmp_path):
    turns = [SAID[0], {"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "content": "31"}, SAID[1]]
    row = {"messages": turns, "tools": [TOOL]}
    pyarrow.parquet.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    for file in (write_lines(tmp_path / "a.jsonl", [row]), tmp_path / "a.parquet"):
        (sample,) = read(file)
        assert sample.conversation.tools == (TOOL,)
        assert sample.conversation.messages[1].fields == {"tool_calls": [CALL], "content": None}
        assert [dict(message.fields) for message in sample.conversation.messages[2:]] == [{}, {}], (
            "null says there is no such field"
        )


def test_sharegpt_calls_become_those_of_messages(tmp_path):
    (_, row, _, _) = next(one for one in ROWS if one[0] == "sharegpt" and "tools" in one[1])
    (sample,) = read(write_lines(tmp_path / "a.jsonl", [row]))
    assert sample.conversation.messages[1].fields == {"content": None, "tool_calls": [CALL]}
    assert sample.conversation.tools == (TOOL,)


def test_a_row_of_several_instances_gives_as_many_samples(tmp_path):
    rows = [{"instruction": f"i{n}", "instances": [{"input": "", "output": f"{n}{k}"} for k in range(n)]} for n in (1, 3, 2)]
    samples = open_samples(write_lines(tmp_path / "a.jsonl", rows))
    assert [samples[index].conversation.messages[1].text for index in range(len(samples))] == ["10", "30", "31", "32", "20", "21"]
    assert [sample.provenance.row for sample in read(tmp_path / "a.jsonl")] == [1, 2, 2, 2, 3, 3]


def test_the_description_says_what_there_is_how_it_is_read_and_how_else_it_could_be(tmp_path):
    rows = [{"instruction": "a", "input": "", "output": "b", "id": 1}] * 12
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    line = "12 rows of Alpaca in Parquet: instruction, input, output; the rows also fit the format prompt_completion"
    assert describe(tmp_path / "a.parquet") == line
    write_lines(tmp_path / "a.jsonl", [{"text": "a"}] * 3)
    write_lines(tmp_path / "b.jsonl", [{"text": "a"}] * 2)
    assert describe(str(tmp_path / "*.jsonl")) == "5 rows of plain text in 2 files of JSONL: text"


def test_a_format_may_be_said_by_name_or_as_a_value(tmp_path):
    file = write_lines(tmp_path / "a.jsonl", [{"instruction": "a", "input": "b", "output": "c", "ctx": "d", "reply": "e"}])
    forms = {
        None: ["a\n\nb", "c"],
        "prompt_completion": ["b", "c"],
        Alpaca("mine", "mine", "instruction", join="{input}: {instruction}"): ["b: a", "c"],
        PromptCompletion("mine", "mine", "ctx, reply", names=(("ctx", "reply"),)): ["d", "e"],
    }
    for form, texts in forms.items():
        (sample,) = read(file, form)
        assert [message.text for message in sample.conversation.messages] == texts
    for wrong, message in (("alpacca", "did you mean 'alpaca'"), ("q", "expected one of preference, ")):
        with pytest.raises(InputError, match=message):
            next(read(file, wrong))


BAD = [
    ("messages", {"messages": [{"role": "user"}]}, "field 'messages', message 0 has no content"),
    ("messages", {"messages": []}, "field 'messages': expected messages, got an empty list"),
    ("messages", {"messages": "[{"}, "field 'messages': expected a list, got text that is not valid JSON"),
    ("messages", {"messages": [*SAID, 3]}, "field 'messages', message 2: expected an object with 'role'"),
    ("messages", {"messages": SAID, "tools": [1]}, "field 'tools': expected a list of objects, got a number"),
    ("messages", {"messages": SAID, "tools": "{"}, "field 'tools': expected a list, got text that is not valid JSON"),
    ("sharegpt", {"conversations": [{"from": "cat", "value": "a"}]}, "turn 0: from is 'cat'; expected one of human, "),
    ("sharegpt", {"conversations": [{"from": "gpt", "value": 1}]}, "turn 0: value: expected text, got a number"),
    ("alpaca", {"instruction": "a", "output": 1}, "field 'output': expected text, got a number"),
    ("alpaca", {"instruction": "a"}, "no field 'output' or 'response'; it has: instruction"),
    ("prompt_completion", {"prompt": ["a"], "completion": "b"}, "field 'prompt', message 0: expected an object"),
    ("prompt_completion", {"prompt": 3, "completion": "b"}, "field 'prompt': expected text, or a list of messages, got a number"),
    ("preference", {"prompt": "a", "chosen": "b", "rejected": "b"}, "field 'chosen': expected an answer of its own at the end"),
    ("preference", {"prompt": "a", "chosen": "b"}, "no field 'rejected'"),
    ("implicit_preference", {"chosen": "b", "rejected": "c"}, "begin with the same prompt and end in different answers"),
    ("unpaired", {"prompt": "a", "completion": "b", "label": 3}, "field 'label': expected true or false, got 3"),
    ("messages", {"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "message 0: expected parts of text in its"),
    ("multiple_choice", {"question": "a", "choices": ["x", "y"], "answer": 2}, "field 'answer': expected a place from 0 to 1,"),
    ("multiple_choice", {"question": "a", "choices": ["B", "A"], "answer": "A"}, "got 'A', which means several of them"),
    ("multiple_choice", {"question": "a", "choices": ["1", "2"], "answer": "1"}, "got '1', which means several of them"),
    ("multiple_choice", {"question": "a", "choices": "x, y", "answer": 1}, "field 'choices': expected a list of options"),
    ("multiple_choice", {"question": "a", "choices": ["x"], "answer": 0}, "expected two options or more, each a text, got 1"),
    ("gsm8k", {"question": "a", "answer": "4"}, "field 'answer': expected '#### ' and the result in its last line, got '4'"),
    ("checkable", {"prompt": "a", "answer": {}}, "field 'answer': expected text, a number or several texts, got an object"),
    ("ifeval", {"prompt": "a", "instruction_id_list": ["a"], "kwargs": []}, "field 'kwargs': expected 1 entries"),
    ("self_instruct", {"instruction": "a", "instances": [{"input": ""}]}, "field 'instances', entry 0: no field 'output'"),
    ("text", {"text": 1}, "field 'text': expected text, got a number"),
]


@pytest.mark.parametrize(("name", "row", "message"), BAD)
def test_a_row_that_does_not_fit_names_line_field_expected_and_got(tmp_path, name, row, message):
    good = next(row for form, row, _, _ in ROWS if form == name)
    file = write_lines(tmp_path / "a.jsonl", [good, good, row, good])
    samples = open_samples(file)
    assert samples.form.name == name
    assert samples[3].provenance.row == 4, "its neighbours are read"
    with pytest.raises(MalformedRow) as raised:
        list(read(file))
    assert str(raised.value).startswith(f"{file}:3: as {samples.form.title}: {message}"[:60])
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("name", "row", "message"), BAD)
def test_when_no_row_fits_the_first_one_is_named(tmp_path, name, row, message):
    del message
    file = write_lines(tmp_path / "a.jsonl", [row] * 3)
    try:
        samples = open_samples(file)
    except InputError as error:
        refusal = str(error)
    else:
        refusal = f"{file}:1: " if samples.form.name != name else ""
    assert refusal.startswith(f"{file}:1: ")


def test_a_mixed_file_stops_at_the_first_row_of_another_form(tmp_path):
    rows = [{"instruction": "a", "output": "b"}] * 3 + [{"messages": SAID}] * 2
    with pytest.raises(MalformedRow, match=r"a\.jsonl:4: as Alpaca: no field 'instruction'; it has: messages"):
        list(read(write_lines(tmp_path / "a.jsonl", rows)))
    lines = [{"prompt": "a", "completion": "b"}, {"messages": SAID}]
    assert len(list(read(write_lines(tmp_path / "b.jsonl", lines), CONVERSATION_LINES))) == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"messages": SAID}, {"text": "a"}], "1 and its neighbours are of several formats (1 of messages, 1 of text)"),
        ([{"text": "a"}, {"text": None}], "2: as plain text: no field 'text'; it has: text (null)"),
        ([{"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": None}], "2: as prompt and completion: "),
        ([{"Instruction": "a", "Output": "b"}], "1: no known format fits its fields (Instruction, Output); rename them to instr"),
    ],
)
def test_when_no_form_fits_most_rows_it_is_said_why(tmp_path, rows, message):
    file = write_lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(InputError) as raised:
        describe(file)
    assert str(raised.value).startswith(f"{file}:{message}")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "a", "completion": "b", "label": "maybe"},
        {"prompt": "a", "chosen": "b", "rejected": 1, "messages": SAID},
        {"question": "a", "choices": ["B", "A"], "answer": "B"},
    ],
)
def test_a_row_with_the_fields_of_judgements_or_options_is_never_read_without_them(tmp_path, row):
    file = write_lines(tmp_path / "a.jsonl", [{"prompt": "a", "completion": "b"}, row])
    with pytest.raises(InputError, match=r"a\.jsonl:2: as .* which 0 of the first 2 rows are: field"):
        describe(file)
    plain = write_lines(tmp_path / "b.jsonl", [{"prompt": "a", "completion": "b"} | row])
    assert next(read(plain, "prompt_completion")).conversation.messages[1].text == "b", "but where it is asked for"


def test_rows_of_no_known_form_are_told_with_all_that_are_known(tmp_path):
    with pytest.raises(
        InputError, match=r"a\.jsonl:1: no known format fits its fields \(title, body\); .*alpaca \(instruction, out"
    ):
        describe(write_lines(tmp_path / "a.jsonl", [{"title": "a", "body": "b"}]))
    with pytest.raises(InputError, match=r"a\.jsonl holds no rows"):
        describe(write_lines(tmp_path / "a.jsonl", []))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "from", "value"]), inner),
    max_leaves=6,
)
NAMES = sorted({name for _, row, _, _ in ROWS for name in row})


@settings(max_examples=300, deadline=None, derandomize=True)
@given(row=st.dictionaries(st.sampled_from(NAMES), JSON, min_size=1, max_size=5))
def test_no_form_fails_on_any_row_otherwise_than_by_saying_what_does_not_fit(row):
    for form in (*DETECTED, CONVERSATION_LINES):
        misfit = form.misfit(row)
        assert misfit is None or (misfit and "\n" not in misfit)


REAL = [
    ("gsm8k/test.jsonl", "gsm8k", 1_319),
    ("hh_rlhf/harmless_base.jsonl", "implicit_preference", 1_800),
    ("ifeval/input_data.jsonl", "ifeval", 541),
    ("self_instruct/seed_tasks.jsonl", "self_instruct", 175),
    ("hf/c4/*-train-*.parquet", "text", 200),
    ("t0/sentiment/*/*.jsonl", "prompt_completion", 6_200),
]


@pytest.mark.parametrize(("path", "name", "count"), REAL)
def test_real_files_are_read_whole(path, name, count):
    if "INSTRUCT_JAX_DATA" not in os.environ:
        pytest.skip("INSTRUCT_JAX_DATA is not set")
    samples = list(read(str(Path(os.environ["INSTRUCT_JAX_DATA"]) / path)))
    assert {sample.provenance.format for sample in samples} == {name}
    assert len(samples) == count
    if name == "implicit_preference":
        for sample in samples:
            shared = len(sample.conversation.messages) - sum(message.trained is None for message in sample.conversation.messages)
            assert sample.conversation.messages[:shared] == sample.rejected.messages[:shared]
            assert sample.conversation != sample.rejected
    if name == "gsm8k":
        assert all(sample.answer.lstrip("-").isdigit() for sample in samples)
