"""Files and tasks of conversations: every trained turn in the rows once, as it is served, through the recipe itself."""

import collections
import gzip
import itertools
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow as tf

from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.errors import InputError
from instruct_jax.program import main
from instruct_jax.tasks import conversations
from instruct_jax.tasks.examples import open_examples
from instruct_jax.tasks.files.dialogue_forms import Alpaca
from instruct_jax.tasks.files.records import MalformedRow
from instruct_jax.tasks.instruct import ZERO_SHOT, text_features
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.sources import Generated
from instruct_jax.text.chat import DIALOGUE
from instruct_jax.text.conversation import Conversation, Message
from instruct_jax.text.tokenizer import ByteTokenizer, load_tokenizer
from tests.text import tokenizer_shapes

# Writes an earlier answer without its thinking, calls of tools, and the tools on top.
STRIPPING = (
    "{% if tools %}<|im_start|>tools\n{{ tools|tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and not loop.last %}{{ m.content.split('</think>')[-1] }}{% else %}{{ m.content }}{% endif %}"
    "{% for call in m.tool_calls or [] %}<tool_call>{{ call.function|tojson }}</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
END = "<|im_end|>"
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]


def said(role, content, **fields):
    return {"role": role, "content": content, **fields}


# Each with the answers it trains and the texts that it takes.
LINES = [
    ({"messages": [said("user", "1+1?"), said("assistant", "2")]}, ["2"], 1),
    (
        {
            "messages": [
                said("system", "Be brief."),
                said("user", "a?"),
                said("assistant", "<think>one</think>a!"),
                said("user", "b?"),
                said("assistant", "<think>two</think>b!"),
                said("user", "c?"),
                said("assistant", "<think>three</think>c!"),
            ]
        },
        ["<think>one</think>a!", "<think>two</think>b!", "<think>three</think>c!"],
        3,
    ),
    (
        {
            "messages": [
                said("user", "d?"),
                said("assistant", "<think>wrong</think>never", trained=False),
                said("user", "e?"),
                said("assistant", "plain"),
                said("user", "f?"),
                said("assistant", "<think>last</think>f!"),
            ]
        },
        ["plain", "<think>last</think>f!"],
        1,
    ),
    (
        {
            "messages": [
                said("user", "Warm in Rome?"),
                said("assistant", "", tool_calls=[CALL]),
                said("tool", "31"),
                said("assistant", "Yes, 31."),
            ],
            "tools": TOOLS,
        },
        ['<tool_call>{"name": "weather", "arguments": {"city": "Rome"}}</tool_call>', "Yes, 31."],
        1,
    ),
    ({"prompt": "2+2?", "completion": "4"}, ["4"], 1),
]


@pytest.fixture
def folder(tmp_path):
    """A tokenizer of Qwen's shape with the template in its folder."""
    tokenizer_shapes.write("qwen", tmp_path / "words")
    (tmp_path / "words" / "chat_template.jinja").write_text(STRIPPING)
    return tmp_path / "words"


@pytest.fixture
def jsonl(tmp_path):
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(line) + "\n" for line, _, _ in LINES))
    return tmp_path / "chats.jsonl"


def segments(dataset):
    """(example, tokens, weights) of every segment."""
    for place in range(len(dataset)):
        row = dataset[place]
        for end, size, (_, _, example, _) in zip(np.cumsum(row.lengths), row.lengths, row.provenance.tolist(), strict=True):
            yield example, row.tokens[end - size : end], row.weights[end - size : end]


def spelled(tokens, tokenizer):
    """The text of ids, control tokens and all."""
    out = []
    for control, run in itertools.groupby(tokens.tolist(), key=lambda one: tokenizer.piece(one) in tokenizer.special_tokens):
        ids = list(run)
        out += [tokenizer.piece(one) for one in ids] if control else [tokenizer.decode(ids)]
    return "".join(out)


def trained(tokens, weights, tokenizer):
    """Each run of trained tokens as text."""
    runs = itertools.groupby(zip(tokens, weights, strict=True), key=lambda pair: pair[1] > 0)
    return [spelled(np.array([token for token, _ in run]), tokenizer) for is_trained, run in runs if is_trained]


def test_the_recipe_trains_every_trained_turn_of_a_file_once(folder, jsonl, tmp_path, registry):
    del registry
    flags = {"JSONL": jsonl, "TOKENIZER": folder, "CHAT_TEMPLATE": folder, "WORKDIR": tmp_path / "data", "LENGTH": 256}
    recipe = "--gin_file=gin_configs/recipes/messages_prepare.gin"
    assert main([recipe, *(f"--gin.{name}={value}" for name, value in flags.items())]) == 0
    dataset, tokenizer = Dataset(tmp_path / "data"), load_tokenizer(folder)
    answers, texts = collections.defaultdict(list), collections.Counter()
    for example, tokens, weights in segments(dataset):
        answers[example] += trained(tokens, weights, tokenizer)
        texts[example] += 1
    for index, (_, wanted, count) in enumerate(LINES):
        assert sorted(answers[index]) == sorted(answer + END for answer in wanted)
        assert texts[index] == count
    (task,) = dataset.manifest["tasks"]
    assert (task["name"], task["kind"], task["asked"], task["examples"]) == ("conversations", "conversation", 5, 5)
    assert task["unrolled"] == sum(count - 1 for _, _, count in LINES) == 2
    assert task["supervised"] == sum(int((weights > 0).sum()) for _, _, weights in segments(dataset))
    assert "items" not in dataset.manifest


def test_a_text_reads_up_to_its_trained_turn_as_it_is_served(folder, jsonl, tmp_path, registry):
    del registry
    prepare(str(tmp_path / "data"), conversations.add_task(jsonl=str(jsonl)), str(folder), str(folder), length=256, seed=0)
    tokenizer = load_tokenizer(folder)
    second = [spelled(tokens, tokenizer) for example, tokens, _ in segments(Dataset(tmp_path / "data")) if example == 1]
    begin = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\na?<|im_end|>\n<|im_start|>assistant\n"
    asked = "<|im_end|>\n<|im_start|>user\n{}?<|im_end|>\n<|im_start|>assistant\n"
    assert sorted(second, key=len) == [
        f"{begin}<think>one</think>a!<|im_end|>\n",
        f"{begin}a!{asked.format('b')}<think>two</think>b!<|im_end|>\n",
        f"{begin}a!{asked.format('b')}b!{asked.format('c')}<think>three</think>c!<|im_end|>\n",
    ]
    (fourth,) = [spelled(tokens, tokenizer) for example, tokens, _ in segments(Dataset(tmp_path / "data")) if example == 3]
    assert fourth.startswith("<|im_start|>tools\n[{")
    assert "<|im_start|>tool\n31<|im_end|>" in fourth


def test_a_conversation_that_is_too_long_loses_of_its_prompts_or_is_left_out(tmp_path, registry):
    del registry
    turns = [said("user", "long " * 30), said("assistant", "short"), said("user", "more?"), said("assistant", "no more")]
    (tmp_path / "long.jsonl").write_text(json.dumps({"messages": turns}))
    name = conversations.add_task(jsonl=[str(tmp_path / "*.jsonl")])
    prepare(str(tmp_path / "data"), name, "bytes", DIALOGUE, length=100, seed=0)
    dataset = Dataset(tmp_path / "data")
    ((_, tokens, weights),) = segments(dataset)
    assert tokens.size == 100
    assert [text.removesuffix("</s>") for text in trained(tokens, weights, ByteTokenizer())] == ["short", "no more"]
    assert dataset.manifest["tasks"][0]["trimmed"] == 1
    for settings, message in (
        ({"overflow": "drop"}, "no example leaves a token to train within 100 tokens"),
        ({"overflow": "error"}, r"long\.jsonl:1: \d+ tokens do not fit rows of 100"),
    ):
        with pytest.raises(InputError, match=message):
            prepare(str(tmp_path / "none"), name, "bytes", DIALOGUE, length=100, seed=0, **settings)


@pytest.mark.parametrize("form", ["json", "columns"])
def test_a_task_behind_tf_data_gives_the_same_conversations(registry, tmp_path, form):
    """tf.data holds no list of objects: it comes as text, or as lists by field."""
    turns = [said("user", "hé?"), said("assistant", "yes")]

    def dataset(split, shuffle_files=False):
        del split, shuffle_files
        if form == "json":
            columns = {"messages": [json.dumps(turns)], "tools": [json.dumps(TOOLS)]}
        else:
            columns = {"messages": {name: [[one[name] for one in turns]] for name in ("role", "content")}}
        return tf.data.Dataset.from_tensor_slices(columns)

    source = registry.FunctionDataSource(dataset, splits=["train"], num_input_examples={"train": 1})
    steps = [lambda ds: ds.map(dict)]
    task = registry.TaskRegistry.add("c_tf", source=source, preprocessors=steps, output_features=text_features())
    found = open_examples(task, "train", ByteTokenizer(), 0, ZERO_SHOT, tmp_path).example(0, 0)
    wanted = (Message("user", "hé?"), Message("assistant", "yes"))
    assert found.content == Conversation(wanted, tuple(TOOLS) if form == "json" else ())
    assert not found.document


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"messages": [{"role": "user", "content": 3}]}, "record 1.*message 0: content is int"),
        ({"messages": []}, "record 1.*'messages' is empty"),
        ({"messages": "[{"}, "record 1.*messages is text that is not valid JSON"),
        ({"messages": {"role": ["user"], "content": []}}, "record 1.*messages has fields of unequal lengths"),
        ({"messages": [said("user", "a")], "tools": [3]}, "record 1.*tools are"),
        ({"inputs": "a"}, "record 1.*expected 'messages', or the texts 'prompt' and 'completion'; it has: inputs"),
    ],
)
def test_a_record_that_is_no_conversation_is_named_and_may_be_skipped(registry, tmp_path, record, message):
    good = {"messages": [said("user", "a"), said("assistant", "b")]}
    source = Generated(lambda index, _split: good if index == 0 else record, size=2)
    task = registry.TaskRegistry.add("c_bad", source=source, preprocessors=[], output_features=text_features())
    examples = open_examples(task, "train", ByteTokenizer(), 0, ZERO_SHOT, tmp_path)
    with pytest.raises(MalformedRow, match=message):
        examples.example(1, 0)
    prepare(str(tmp_path / "data"), "c_bad", "bytes", DIALOGUE, length=64, seed=0, malformed="skip")
    (entry,) = Dataset(tmp_path / "data").manifest["tasks"]
    assert (entry["examples"], entry["skipped"]) == (1, 1)


def test_a_conversation_that_the_template_refuses_may_be_skipped_and_not_all_of_them(registry, tmp_path):
    (tmp_path / "chat.jinja").write_text(
        "{% for m in messages %}{{ raise_exception('no tools') if m.role == 'tool' }}{{ m.role }}: {{ m.content }}</s>"
        "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    )
    good, bad = [said("user", "a"), said("assistant", "b")], [said("tool", "a"), said("assistant", "b")]
    given = {"tokenizer": "bytes", "chat_template": str(tmp_path / "chat.jinja"), "length": 64, "seed": 0}
    for name, all_bad in (("c_some", False), ("c_all", True)):
        source = Generated(lambda index, _split, all_bad=all_bad: {"messages": bad if index % 3 or all_bad else good}, size=5)
        registry.TaskRegistry.add(name, source=source, preprocessors=[], output_features=text_features())
    prepare(str(tmp_path / "some"), "c_some", malformed="skip", **given)
    (entry,) = Dataset(tmp_path / "some").manifest["tasks"]
    assert (entry["examples"], entry["skipped"], entry["dropped"]) == (2, 3, 0)
    for name, malformed in (("c_some", "error"), ("c_all", "skip")):
        with pytest.raises(InputError, match=r"record \d of split 'train': .*no tools"):
            prepare(str(tmp_path / name), name, malformed=malformed, **given)


def test_files_that_are_not_there_are_told_in_one_line(tmp_path):
    for jsonl, message in ((str(tmp_path / "none.jsonl"), "no file matches .*none.jsonl"), ([], "FILES is empty")):
        with pytest.raises(InputError, match=message):
            conversations.add_task(jsonl=jsonl)


# Rows of one form each, in a container of its own, and the answers that are trained.
FILES = {
    "pairs.parquet": (
        [{"prompt": f"p{n}", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(7)],
        [f"yes {n}" for n in range(7)],
    ),
    "dialogues.jsonl.gz": (
        [
            {
                "chosen": f"\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: good {n}",
                "rejected": f"\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: bad {n}",
            }
            for n in range(5)
        ],
        [f"good {n}" for n in range(5)],
    ),
    "labels.csv": (
        [{"prompt": f"p{n}", "completion": f"c{n}", "label": str(n % 3 == 0)} for n in range(8)],
        ["c0", "c3", "c6"],
    ),
    "worked.json": (
        [{"question": f"q{n}", "answer": f"{n}+1={n + 1}\n#### {n + 1}"} for n in range(4)],
        [f"{n}+1={n + 1}\n#### {n + 1}" for n in range(4)],
    ),
    "seeds.jsonl": (
        [{"instruction": "say", "instances": [{"input": f"{n}{k}", "output": f"said {n}{k}"} for k in range(n)]} for n in (1, 2)],
        ["said 10", "said 20", "said 21"],
    ),
    "documents.parquet": ([{"text": f"one document {n}"} for n in range(3)], [f"one document {n}" for n in range(3)]),
}


def write_rows(file, rows):
    if file.suffix == ".parquet":
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), file)
    elif file.suffix == ".csv":
        file.write_text("\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]))
    else:
        content = json.dumps(rows) if file.suffix == ".json" else "\n".join(map(json.dumps, rows))
        file.write_bytes(gzip.compress(content.encode()) if file.suffix == ".gz" else content.encode())


@pytest.mark.parametrize("name", FILES)
def test_the_recipe_trains_the_answers_to_train_of_any_format(tmp_path, registry, name):
    del registry
    rows, answers = FILES[name]
    write_rows(tmp_path / name, rows)
    flags = {"FILES": tmp_path / name, "TOKENIZER": "bytes", "CHAT_TEMPLATE": "%chat.DIALOGUE", "WORKDIR": tmp_path / "data"}
    main(["--gin_file=gin_configs/recipes/messages_prepare.gin", *(f"--gin.{name}={value}" for name, value in flags.items())])
    dataset, tokenizer = Dataset(tmp_path / "data"), ByteTokenizer()
    found = [tokenizer.decode(tokens[weights > 0].tolist()) for _, tokens, weights in segments(dataset)]
    assert sorted(found) == sorted(answers)


def test_rows_without_an_answer_are_refused_or_skipped(tmp_path, registry):
    del registry
    rows = [{"prompt": "a", "ground_truth": "b"}, {"problem": "a", "answer": "c"}, {"prompt": "d", "ground_truth": "e"}]
    write_rows(tmp_path / "a.jsonl", rows)
    name = conversations.add_task(str(tmp_path / "a.jsonl"))
    given = {"tokenizer": "bytes", "chat_template": DIALOGUE, "length": 64, "seed": 0}
    with pytest.raises(InputError, match=r"a\.jsonl:[13]: as prompts with checkable answers: there is no answer to train on"):
        prepare(str(tmp_path / "all"), name, **given)
    prepare(str(tmp_path / "some"), name, malformed="skip", **given)
    (entry,) = Dataset(tmp_path / "some").manifest["tasks"]
    assert (entry["examples"], entry["skipped"]) == (1, 2)


def test_identity_follows_files_and_format(tmp_path, registry):
    write_rows(tmp_path / "a.jsonl", [{"instruction": "a", "input": "b", "output": "c"}])
    formats = (None, "alpaca", "prompt_completion", Alpaca("alpaca", "Alpaca", "", join="{input}{instruction}"))
    found = [registry.TaskRegistry.get(conversations.add_task(str(tmp_path / "a.jsonl"), format=one)) for one in formats]
    one, same, other, joined = (json.dumps(task.source.identity("train")) for task in found)
    assert one == same
    assert len({one, other, joined}) == 3
    write_rows(tmp_path / "a.jsonl", [{"instruction": "a", "input": "b", "output": "d"}])
    task = registry.TaskRegistry.get(conversations.add_task(str(tmp_path / "a.jsonl")))
    assert json.dumps(task.source.identity("train")) != one


def test_files_are_said_once(tmp_path):
    write_rows(tmp_path / "a.jsonl", [{"prompt": "a", "completion": "b"}])
    file = str(tmp_path / "a.jsonl")
    for given, message in (
        ({}, "FILES is empty"),
        ({"files": file, "jsonl": file}, "FILES and JSONL are both set"),
        ({"jsonl": file, "format": "alpaca"}, "FORMAT says how FILES are read"),
        ({"files": file, "format": "alpacca"}, "did you mean 'alpaca'"),
    ):
        with pytest.raises(InputError, match=message):
            conversations.add_task(**given)
