"""show: what prepare would train, from a mixture, a dataset or a file of conversations, through the real command line."""

import itertools
import json
import re
import subprocess
import sys

import pytest

from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.errors import InputError
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.show import show
from instruct_jax.tasks.sources import Generated
from instruct_jax.text.chat import DIALOGUE, INSTRUCT
from instruct_jax.text.templates import Template

WORDINGS = (Template("is", "Is {n} odd?", choices=("no", "yes")), Template("tell", "{n}:", choices=("even", "odd")))
TURNS = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi 龘 <script>"},
    {"role": "assistant", "content": "Not this.", "trained": False},
    {"role": "tool", "content": "{}"},
    {"role": "assistant", "content": "But this."},
]


def _number(index, split):
    return {"n": f"{split} {'1' * (index % 5 + 1)}", "label": index % 2}


def _words(index, split):
    return {"targets": split + " word" * (index % 9)}


@pytest.fixture
def mixture(registry):
    """Two instruction tasks without end, and ragged plain text."""
    for name in ("s_one", "s_two"):
        source = Generated(_number)
        steps = [Instruct(WORDINGS, "numbers", name, source_field="n")]
        registry.TaskRegistry.add(name, source=source, preprocessors=steps, output_features=text_features())
    text = Generated(_words, 30)
    registry.TaskRegistry.add("s_text", source=text, preprocessors=[], output_features=text_features())
    registry.MixtureRegistry.add("s_mix", ["s_one", "s_two", "s_text"], default_rate=1.0)
    return "s_mix"


@pytest.fixture
def conversations(tmp_path):
    file = tmp_path / "chat.jsonl"
    lines = [{"messages": TURNS}, {"prompt": "1+1?", "completion": "2"}]
    file.write_text("\n\n".join(json.dumps(line) for line in lines) + "\n")
    return file


def trained(printed):
    """The text that is marked as trained, in order."""
    lines = printed.splitlines()
    out = []
    for line, below in itertools.pairwise(lines):
        if below and not set(below) - set(" ~="):
            out.append("".join(letter for letter, mark in zip(line, below, strict=False) if mark != " "))
    return out


def test_a_conversation_shows_what_is_trained_of_it(conversations, capsys):
    show(jsonl=str(conversations), tokenizer="bytes", chat_template=DIALOGUE)
    printed = capsys.readouterr().out
    assert trained(printed) == ["But this.▕</s>▏", "2▕</s>▏"]
    assert f"1  {conversations}:1" in printed
    assert f"2  {conversations}:3" in printed
    assert "e9be98龘" in printed
    assert "2 rows · 108 tokens · 12 supervised" in printed


def test_count_and_seed_choose_conversations(conversations, capsys):
    seen = set()
    for seed in range(8):
        show(jsonl=str(conversations), tokenizer="bytes", count=1, seed=seed)
        seen.add(re.search(r"jsonl:(\d)", capsys.readouterr().out)[1])
    assert seen == {"1", "3"}


def test_a_text_that_is_too_long_is_shown_as_it_will_be_trained(conversations, capsys):
    show(jsonl=str(conversations), tokenizer="bytes", chat_template=DIALOGUE, length=75)
    printed = capsys.readouterr().out
    assert "5 messages · trimmed" in printed
    assert "75 tokens · 10 supervised" in printed
    show(jsonl=str(conversations), tokenizer="bytes", chat_template=DIALOGUE, length=60, overflow="drop")
    assert "left out: longer than 60 tokens" in capsys.readouterr().out


def test_a_mixture_shows_the_examples_that_prepare_draws_first(mixture, tmp_path, capsys):
    show(mixture=mixture, tokenizer="bytes", task="s_one", count=4, seed=3)
    printed = capsys.readouterr().out
    prepare(str(tmp_path / "data"), "s_one", "bytes", INSTRUCT, length=256, seed=3, examples=4)
    dataset = Dataset(tmp_path / "data")
    names = [dataset.segment_name(one) for index in range(len(dataset)) for one in dataset[index].provenance]
    wanted = {re.sub(r".* template (\w+) example (\d+) .*", r"template \1 · generated record \2 ", name) for name in names}
    assert len(wanted) == 4
    assert set(re.findall(r"template \w+ · generated record \d+ ", printed)) == wanted


def test_a_mixture_shows_each_task_before_any_again(mixture, capsys):
    show(mixture=mixture, tokenizer="bytes", count=4)
    tasks = re.findall(r"^\d  (s_\w+)", capsys.readouterr().out, re.MULTILINE)
    assert set(tasks[:3]) == {"s_one", "s_two", "s_text"}
    assert len(tasks) == 4


def test_rows_of_a_dataset_show_their_segments_and_positions(mixture, tmp_path, capsys):
    prepare(str(tmp_path / "data"), mixture, "bytes", INSTRUCT, length=64, seed=0, examples=30)
    dataset = Dataset(tmp_path / "data")
    show(dataset=str(tmp_path / "data"), count=2, positions=True)
    printed = capsys.readouterr().out
    for place in map(int, re.findall(r"  row (\d+) of", printed)):
        assert f"{dataset[place].lengths.size} segments in {dataset[place].tokens.size} of 64 tokens" in printed
    assert printed.count("    0 │ ▕<s>▏") == printed.count("segment ")
    show(dataset=str(tmp_path / "data"), count=1, task="text$")
    assert set(re.findall(r"segment \d  (\w+)", capsys.readouterr().out)) == {"s_text"}


def test_a_page_and_an_image_are_written_instead_of_printing(conversations, tmp_path, capsys):
    show(jsonl=str(conversations), tokenizer="bytes", html=str(tmp_path / "new/page.html"), svg=str(tmp_path / "image.svg"))
    assert len(capsys.readouterr().out.splitlines()) == 2
    page = (tmp_path / "new/page.html").read_text()
    assert "<script" not in page
    assert "&lt;" in page
    assert (tmp_path / "image.svg").read_text().startswith("<svg")


def test_what_cannot_be_shown_is_told_in_one_line(mixture, conversations, make_dataset, tmp_path):
    dataset, file, bad = str(make_dataset("shown")), str(conversations), tmp_path / "bad.jsonl"
    bad.write_text('{"messages": [{"role": "user", "content": 3}]}\n')
    for settings, message in [
        ({}, "one of MIXTURE, DATASET, JSONL, FILES; none is set"),
        ({"mixture": mixture, "jsonl": file}, "MIXTURE and JSONL is set"),
        ({"jsonl": file}, "TOKENIZER is not set"),
        ({"jsonl": file, "tokenizer": "bytes", "task": "a"}, "JSONL has none"),
        ({"jsonl": file, "tokenizer": "bytes", "count": 0}, "COUNT is 0"),
        ({"jsonl": file, "tokenizer": "bytes", "length": 40, "overflow": "error"}, "jsonl:1: .* tokens do not fit rows of 40"),
        ({"jsonl": str(bad), "tokenizer": "bytes"}, "bad.jsonl:1: as conversations: message 0: content is int"),
        ({"jsonl": "nowhere.jsonl", "tokenizer": "bytes"}, "no file matches nowhere.jsonl"),
        ({"dataset": dataset, "tokenizer": "bytes"}, "its own tokenizer"),
        ({"dataset": dataset, "task": "nothing"}, "no task .* it has: random"),
        ({"dataset": dataset, "task": "("}, "no regular expression"),
        ({"mixture": mixture, "tokenizer": "bytes", "task": "nothing"}, "it has: s_"),
        ({"mixture": "s_mixx", "tokenizer": "bytes"}, "did you mean 's_mix'"),
        ({"mixture": mixture, "tokenizer": "bytes", "task": "one", "length": 3, "overflow": "drop"}, "no example of s_one"),
    ]:
        with pytest.raises(InputError, match=message) as caught:
            show(**settings)
        assert "\n" not in str(caught.value)


def test_the_command_shows_a_file_without_loading_tensorflow(repository, conversations):
    flags = [f"--gin.JSONL={conversations}", "--gin.TOKENIZER=bytes", "--gin.CHAT_TEMPLATE=%chat.DIALOGUE"]
    script = (
        "import sys; from instruct_jax.program import main; "
        f"status = main(['--gin_file=gin_configs/runs/show.gin', *{flags}]); "
        "print(status, sorted({'tensorflow', 'seqio', 'jax'} & set(sys.modules)) )"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, check=True)
    assert trained(done.stdout) == ["But this.▕</s>▏", "2▕</s>▏"]
    assert done.stdout.splitlines()[-1].startswith("0 [")
    assert "tensorflow" not in done.stdout.splitlines()[-1]
    assert "seqio" not in done.stdout.splitlines()[-1]
