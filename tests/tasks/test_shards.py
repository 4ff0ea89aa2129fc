"""A dataset's bytes do not depend on who wrote its shards, how often it was interrupted, or what the token cache had."""

import collections
import io
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from rich.console import Console

from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.errors import InputError
from instruct_jax.tasks.evaluation import Evaluation
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.mixing import ByTokens, Fixed, Mixing, Registered
from instruct_jax.tasks.mixture import mixture_tasks
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.preparing import shard
from instruct_jax.tasks.preparing.opening import open_preparation
from instruct_jax.tasks.preparing.preparation import Preparation
from instruct_jax.tasks.preparing.shard import TEXTS, finished_shard, write_shard
from instruct_jax.tasks.preparing.task_progress import TaskProgress
from instruct_jax.tasks.prompts import ZERO_SHOT
from instruct_jax.tasks.sources import Generated
from instruct_jax.tasks.splits import NOTHING_HELD_OUT
from instruct_jax.text.chat import INSTRUCT
from instruct_jax.text.templates import Template
from instruct_jax.text.tokenizer import ByteTokenizer

TEMPLATES = (Template("is", "Is it odd? {n}", choices=("no", "yes")), Template("tell", "{n}:", choices=("even", "odd")))
TROUBLE = {"after": None, "pid": None}  # what befalls a process that asks for so many records


def _record(index, split):
    if TROUBLE["after"] is not None and os.getpid() != TROUBLE["pid"]:
        TROUBLE["after"] -= 1
        if TROUBLE["after"] < 0 and TROUBLE["pid"] is None:
            raise KeyboardInterrupt
        if TROUBLE["after"] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return {"n": f"{split} {'1' * (index % 17)}{index}", "label": index % 2}


@pytest.fixture
def mixture(registry):
    """Instructions of several epochs, plain text, and a task that must go through tf.data; ragged."""
    instruct = {name: Instruct(TEMPLATES, "numbers", name, source_field="n") for name in ("s_one", "s_two", "s_graph")}
    for name in ("s_one", "s_two"):
        source = Generated(_record, {"s_one": 70, "s_two": 200}[name], version="1")
        registry.TaskRegistry.add(name, source=source, preprocessors=[instruct[name]], output_features=text_features())
    text = Generated(lambda index, split: {"text": f"{split} document " + "word " * (index % 29)}, 90)
    registry.TaskRegistry.add("s_text", source=text, preprocessors=[], output_features=text_features())
    steps = [lambda dataset: dataset.filter(lambda record: record["label"] == 1), instruct["s_graph"]]
    source = Generated(_record, 60, version="1")
    registry.TaskRegistry.add("s_graph", source=source, preprocessors=steps, output_features=text_features())
    registry.MixtureRegistry.add("s_mix", [("s_one", 3.0), ("s_two", 2.0), ("s_text", 1.0)])
    registry.MixtureRegistry.add("s_all", [("s_one", 3.0), ("s_two", 2.0), ("s_text", 1.0), ("s_graph", 1.0)])
    registry.MixtureRegistry.add("s_other", [("s_one", 1.0), ("s_two", 2.0), ("s_text", 2.0)])
    return "s_mix"


@pytest.fixture(autouse=True)
def _no_trouble():
    TROUBLE.update(after=None, pid=None)
    yield
    TROUBLE.update(after=None, pid=None)


def _prepare(folder, mixture, **changes):
    arguments = {"tokenizer": "bytes", "chat_template": INSTRUCT, "length": 96, "seed": 0, "examples": 500, **changes}
    arguments = {"examples_per_shard": 130, "workers": 1, "cache": False, **arguments}
    prepare(str(folder), mixture, **arguments)
    return Dataset(folder)


def _files(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def _multiset(dataset):
    """(task, template, example, epoch, tokens, weights) of every segment, with how often it is there."""
    found = collections.Counter()
    for place in range(len(dataset)):
        row = dataset[place]
        ends = np.cumsum(row.lengths)
        for end, size, provenance in zip(ends, row.lengths, row.provenance.tolist(), strict=True):
            part = slice(end - size, end)
            found[*provenance, row.tokens[part].tobytes(), row.weights[part].tobytes()] += 1
    return found


@pytest.mark.parametrize(("examples_per_shard", "registered"), [(130, "s_all"), (1_000, "s_mix")])
@pytest.mark.usefixtures("mixture")
def test_any_number_of_workers_writes_the_same_bytes(tmp_path, examples_per_shard, registered):
    evaluation = Evaluation(items_per_template=3, text_items=2)
    for workers in (1, 2, 3):
        arguments = {"workers": workers, "examples_per_shard": examples_per_shard, "evaluation": evaluation}
        _prepare(tmp_path / str(workers), registered, **arguments)
    assert _files(tmp_path / "1") == _files(tmp_path / "2") == _files(tmp_path / "3")
    assert not list(tmp_path.glob("*.partial"))


def test_the_size_of_shards_moves_examples_between_rows_and_changes_none(mixture, tmp_path):
    one, many = (_prepare(tmp_path / str(size), mixture, examples_per_shard=size) for size in (1_000, 61))
    assert _multiset(one) == _multiset(many)
    assert len(one.manifest["shards"]) == 1
    assert len(many.manifest["shards"]) == 9
    assert one.manifest["tasks"] == many.manifest["tasks"]


def test_a_shard_is_written_anywhere_from_the_arguments_alone(mixture, tmp_path):
    """What a cluster does: each worker opens the preparation for itself."""
    dataset = _prepare(tmp_path / "d", mixture)
    for number, known in enumerate(dataset.manifest["shards"]):
        job = Preparation(
            mixture, ByteTokenizer(), INSTRUCT, 96, 0, 500, "train", "trim_prompt", "error", NOTHING_HELD_OUT, None,
            (ZERO_SHOT,), Mixing(), 130,
        )  # fmt: skip
        opened = open_preparation(job, mixture_tasks(mixture, NOTHING_HELD_OUT), tmp_path / f"scratch{number}", None)
        (tmp_path / str(number)).mkdir()
        result = write_shard(opened, number, tmp_path / str(number))
        assert opened.shards == len(dataset.manifest["shards"])
        assert result == finished_shard(tmp_path / str(number), number)
        for name in (known["file"], known["texts"]):
            assert (tmp_path / str(number) / name).read_bytes() == (dataset.folder / name).read_bytes()


def test_the_table_of_texts_has_each_text_before_it_was_fitted(mixture, tmp_path):
    dataset = _prepare(tmp_path / "d", mixture, length=40, overflow="drop")
    table = np.concatenate([np.load(dataset.folder / entry["texts"]) for entry in dataset.manifest["shards"]])
    assert table.dtype == TEXTS
    for number, task in enumerate(dataset.manifest["tasks"]):
        mine = table[table["task"] == number]
        assert mine.size == task["asked"] == task["examples"] + task["dropped"]
        assert mine["tokens"][mine["tokens"] <= 40].sum() == task["tokens"]
        assert mine["supervised"][mine["tokens"] <= 40].sum() == task["supervised"]
        assert (mine["document"] == (task["name"] == "s_text")).all()
        assert (mine["setting"] == (-1 if task["name"] == "s_text" else 0)).all()
        assert mine["epoch"].max() + 1 == int(np.ceil(task["epochs"]))
    tokens = {(t, e, p): n for t, e, p, n in zip(table["task"], table["example"], table["epoch"], table["tokens"], strict=True)}
    for task, template, example, epoch, ids, _ in _multiset(dataset):
        assert tokens[task, example, epoch] == len(ids) // 4
        wording = table["template"][(table["task"] == task) & (table["example"] == example) & (table["epoch"] == epoch)]
        assert wording.tolist() == [template]
    instructions = table[table["template"] >= 0]
    assert (instructions["fixed"] < instructions["tokens"]).all()
    assert (instructions["fixed"] >= instructions["supervised"]).all()


def test_the_manifest_tells_asked_and_realised_shares(mixture, tmp_path):
    manifest = _prepare(tmp_path / "d", mixture).manifest
    shares = {task["name"]: (task["share"], task["realised"], task["settings"]) for task in manifest["tasks"]}
    assert sum(share for share, _, _ in shares.values()) == pytest.approx(1)
    for task in manifest["tasks"]:
        assert task["realised"] == task["examples"] / 500 == pytest.approx(task["share"], abs=1 / 500)
        assert task["realised_tokens"] == task["tokens"] / manifest["tokens"]
        assert task["truncated"] == task["trimmed"] + task["split"]
        assert task["settings"] == ({} if task["name"] == "s_text" else {"zero-shot": task["examples"]})


def test_rates_by_tokens_are_measured_and_met(mixture, tmp_path):
    mixing = Mixing(rates=ByTokens(rates=Registered()))
    tasks = _prepare(tmp_path / "d", mixture, mixing=mixing, examples=3_000).manifest["tasks"]
    for task in tasks:
        assert task["realised_tokens"] == pytest.approx({"s_one": 3 / 6, "s_two": 2 / 6}.get(task["name"], 1 / 6), rel=0.1)


@pytest.mark.parametrize(("length", "overflow"), [(40, "trim_prompt"), (60, "drop")])
def test_rates_by_tokens_count_what_trimming_and_dropping_leave(mixture, tmp_path, length, overflow):
    changes = {"mixing": Mixing(rates=ByTokens()), "length": length, "overflow": overflow, "examples": 3_000}
    tasks = _prepare(tmp_path / "d", mixture, **changes).manifest["tasks"]
    assert any(task["trimmed"] + task["split"] + task["dropped"] > 100 for task in tasks)
    for task in tasks:
        assert task["realised_tokens"] == pytest.approx({"s_one": 3 / 6, "s_two": 2 / 6}.get(task["name"], 1 / 6), rel=0.15)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cache_that_cannot_be_written_is_told_in_one_line(mixture, tmp_path, workers):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.* cannot be written \(Not a directory\); give another CACHE"):
        _prepare(tmp_path / "d", mixture, cache=str(tmp_path / "file"), workers=workers)


def test_the_words_of_a_finished_dataset_are_checked_when_asked(registry, tmp_path):
    source = Generated(lambda index, split: {"n": " ".join(f"w{index}x{n}" for n in range(30)), "a": split}, 40)
    instruct = Instruct((Template("is", "{n}", "{a}"),), "leaks", "s_leak")  # both splits ask the same
    registry.TaskRegistry.add("s_leak", source=source, preprocessors=[instruct], output_features=text_features())
    changes = {"length": 512, "examples": 40, "evaluation": Evaluation(items_per_template=3)}
    _prepare(tmp_path / "d", "s_leak", **changes)
    before = _files(tmp_path / "d")
    with pytest.raises(InputError, match=r"shares .* words with the evaluation item"):
        _prepare(tmp_path / "d", "s_leak", check_words=True, **changes)
    assert _files(tmp_path / "d") == before


@pytest.mark.parametrize("damage", ["", "rows-00001.arrayrecord", "texts-00000.npy", "shard-00001.json"])
def test_an_interrupted_preparation_goes_on_where_it_stopped(mixture, tmp_path, damage, capsys):
    whole = _files(_prepare(tmp_path / "whole", mixture).folder)
    TROUBLE["after"] = 240
    with pytest.raises(KeyboardInterrupt):
        _prepare(tmp_path / "d", mixture)
    partial = tmp_path / "d.partial"
    done = [number for number in range(4) if finished_shard(partial, number)]
    assert done == [0, 1]
    if damage:
        content = (partial / damage).read_bytes()
        (partial / damage).write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    TROUBLE["after"] = None
    assert _files(_prepare(tmp_path / "d", mixture).folder) == whole
    assert f"{1 if damage else 2} of 4 shards are there from an earlier attempt" in capsys.readouterr().out
    assert not partial.exists()


def test_what_another_preparation_left_is_not_gone_on_with(mixture, tmp_path, capsys):
    TROUBLE["after"] = 240
    with pytest.raises(KeyboardInterrupt):
        _prepare(tmp_path / "d", mixture)
    TROUBLE["after"] = None
    assert _files(_prepare(tmp_path / "d", mixture, seed=1).folder) == _files(_prepare(tmp_path / "e", mixture, seed=1).folder)
    assert "earlier attempt" not in capsys.readouterr().out


def test_a_killed_worker_stops_the_command_and_the_next_one_goes_on(mixture, tmp_path, capsys):
    whole = _files(_prepare(tmp_path / "whole", mixture).folder)
    TROUBLE.update(after=150, pid=os.getpid())
    with pytest.raises(InputError, match="a worker process was killed by signal 9"):
        _prepare(tmp_path / "d", mixture, workers=2)
    assert not (tmp_path / "d").exists()
    TROUBLE["after"] = None
    assert _files(_prepare(tmp_path / "d", mixture, workers=2).folder) == whole
    assert "shards are there from an earlier attempt" in capsys.readouterr().out


@pytest.fixture
def tokenised(monkeypatch):
    """How many texts the tokenizer was given; clear it."""
    given = []
    encode = ByteTokenizer.encode_pieces
    monkeypatch.setattr(ByteTokenizer, "encode_pieces", lambda self, pieces: given.extend(pieces) or encode(self, pieces))
    return given


@pytest.mark.parametrize(
    "change",
    [
        {"mixture": "s_other"},
        {"mixing": Mixing(rates=Fixed({"s_one": 0.25, "s_text": 0.75})), "examples": 200},
        {"length": 40, "overflow": "drop"},
        {"length": 40, "overflow": "split"},
        {"length": 30},
        {"examples_per_shard": 77},
    ],
)
def test_another_mixture_of_the_same_tasks_tokenises_nothing_again(mixture, tmp_path, tokenised, change):
    arguments = {"examples": 1_000, **change}
    bare = _prepare(tmp_path / "bare", arguments.pop("mixture", mixture), **arguments)
    _prepare(tmp_path / "first", mixture, examples=2_000, cache=str(tmp_path / "cache"))
    assert len(tokenised) > 2_000
    tokenised.clear()
    arguments = {"examples": 1_000, **change}
    again = _prepare(tmp_path / "again", arguments.pop("mixture", mixture), cache=str(tmp_path / "cache"), **arguments)
    assert not tokenised
    assert _files(again.folder) == _files(bare.folder)


def test_what_decides_a_text_decides_whether_it_is_found(mixture, tmp_path, tokenised):
    _prepare(tmp_path / "first", mixture, cache=str(tmp_path / "cache"))
    texts = len(tokenised)
    tokenised.clear()
    _prepare(tmp_path / "seed", mixture, seed=1, cache=str(tmp_path / "cache"))
    assert 0 < len(tokenised) < texts, "instructions wear other words; documents are the same"
    tokenised.clear()
    bare = INSTRUCT.__class__("spaced", before=(("assistant", "\n\n"),))
    _prepare(tmp_path / "template", mixture, chat_template=bare, cache=str(tmp_path / "cache"))
    assert len(tokenised) == texts


def test_a_damaged_cache_is_told_and_mended_and_changes_no_byte(mixture, tmp_path, tokenised, capsys):
    whole = _files(_prepare(tmp_path / "whole", mixture, cache=str(tmp_path / "cache")).folder)
    files = sorted((tmp_path / "cache").rglob("*.tokens"))
    assert len(files) > 1
    for number, file in enumerate(files):
        content = file.read_bytes()
        file.write_bytes(content[:-40] if number == 0 else content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    (tmp_path / "cache" / files[0].parent.name / "foreign.tokens").write_text("no texts")
    for name, calls in (("again", True), ("mended", False)):
        tokenised.clear()
        assert _files(_prepare(tmp_path / name, mixture, cache=str(tmp_path / "cache")).folder) == whole
        assert bool(tokenised) == calls
        assert "foreign.tokens is damaged, or no file of texts" in capsys.readouterr().out


def test_the_cache_lies_beside_the_dataset_unless_it_is_off(mixture, tmp_path):
    _prepare(tmp_path / "off" / "d", mixture, cache="")
    assert [file.name for file in (tmp_path / "off").iterdir()] == ["d"]
    _prepare(tmp_path / "on" / "d", mixture, cache=None, workers=2)
    assert sorted(file.name for file in (tmp_path / "on").iterdir()) == [".token_cache", "d"]


@pytest.mark.parametrize(("change", "message"), [({"workers": 0}, "workers is 0"), ({"examples_per_shard": 0}, "is 0; expected")])
def test_numbers_that_cannot_be_are_refused(mixture, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        _prepare(tmp_path / "d", mixture, **change)


def test_bars_show_the_tasks_with_most_left():
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=100)
    with TaskProgress(console, [f"task{number}" for number in range(12)], [100 - number for number in range(12)]) as progress:
        progress.tell({number: 100 - number for number in range(11)})
        assert set(progress._lines) >= {11}
    assert "1,045 examples in" in shown.getvalue()


def test_no_number_is_cut_beside_long_names():
    console = Console(width=80, force_terminal=True, color_system=None, file=io.StringIO())
    names = [f"a_rather_long_name_of_a_task_of_this_number_{number:04d}" for number in range(2_000)]
    with TaskProgress(console, names, [500] * 2_000) as shown:
        shown.tell(dict.fromkeys(range(2_000), 500))
    assert "1000000/1000000" in console.file.getvalue()


def test_a_shard_without_rows_has_a_table_and_no_rows(mixture, tmp_path):
    job = Preparation(
        mixture, ByteTokenizer(), INSTRUCT, 4, 0, 20, "train", "drop", "error", NOTHING_HELD_OUT, None, (ZERO_SHOT,), Mixing(), 20
    )
    opened = open_preparation(job, mixture_tasks(mixture, NOTHING_HELD_OUT), tmp_path / "scratch", None)
    result = write_shard(opened, 0, tmp_path)
    assert result.rows == 0
    assert list(result.files) == [shard.texts_file(0)]
    assert np.load(tmp_path / shard.texts_file(0)).size == 20


_MODULE = """
import time
import seqio
from instruct_jax.tasks.instruct import text_features
from instruct_jax.tasks.sources import Generated

def record(index, split):
    time.sleep(0.0005)
    return {"text": f"{split} {index} " + "word " * (index % 23)}

for name, size in (("k_one", 9_000), ("k_two", 21_000)):
    seqio.TaskRegistry.add(name, source=Generated(record, size, version="1"), preprocessors=[], output_features=text_features())
seqio.MixtureRegistry.add("k_mix", ["k_one", "k_two"], default_rate=1.0)
"""


@pytest.mark.slow
def test_ten_kills_leave_the_bytes_of_an_uninterrupted_run(repository, tmp_path):
    (tmp_path / "k_tasks.py").write_text(_MODULE)
    dials = {"MODULES": '("k_tasks",)', "MIXTURE": "k_mix", "TOKENIZER": "bytes", "LENGTH": 64, "WORKERS": 2}
    dials |= {"EXAMPLES": 30_000, "EXAMPLES_PER_SHARD": 1_100, "EVALUATION_SPLIT": "validation", "WORKDIR": "d"}

    def command(where):
        (tmp_path / where).mkdir(exist_ok=True)
        flags = [f"--gin.{name}={value}" for name, value in dials.items()]
        words = [sys.executable, "-m", "instruct_jax", f"--gin_file={repository}/gin_configs/runs/prepare.gin", *flags]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.Popen(words, cwd=tmp_path / where, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)

    assert command("uninterrupted").wait() == 0
    moments = random.Random(0)
    killed = 0
    for _ in range(10):
        running = command("killed")
        opened = time.monotonic()
        seen = set((tmp_path / "killed" / "d.partial").glob("rows-*"))
        while not set((tmp_path / "killed" / "d.partial").glob("rows-*")) - seen:  # until it writes a shard of its own
            assert running.poll() is None
            assert time.monotonic() - opened < 120
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.8))
        running.send_signal(signal.SIGKILL)
        killed += running.wait() == -signal.SIGKILL
    assert killed == 10
    assert not (tmp_path / "killed" / "d").exists()
    assert command("killed").wait() == 0
    assert _files(tmp_path / "killed" / "d") == _files(tmp_path / "uninterrupted" / "d")
    assert json.loads((tmp_path / "killed" / "d" / "manifest.json").read_text())["rows"] > 0
