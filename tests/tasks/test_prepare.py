"""prepare: the same bytes twice, every example once, nothing unfinished that looks finished, every count told."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import seqio

from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.artifacts.items import read_items
from instruct_jax.errors import InputError
from instruct_jax.tasks.evaluation import Evaluation
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.sources import Generated, JsonLines
from instruct_jax.tasks.splits import HeldOut
from instruct_jax.text.chat import DIALOGUE, INSTRUCT
from instruct_jax.text.templates import Template
from instruct_jax.text.tokenizer import ByteTokenizer

TEMPLATES = (
    Template("is", "Is it odd? {n}", choices=("no", "yes")),
    Template("tell", "{n}: odd or even?", choices=("even", "odd")),
    Template("kept", "Parity of {n}:", choices=("even", "odd"), reserved=True),
    Template("turned", "Give an {answer} number.", "{n}", choices=("even", "odd"), original_task=False),
)


def _parity(index, split):
    return {"n": f"{split} {'1' * (index % 7)}{index}", "label": index % 2}


@pytest.fixture
def mixture(registry):
    """Two clusters of instructions, ragged, and plain text."""
    for name, cluster, size in (("p_parity", "numbers", 60), ("p_other", "numbers", 40), ("p_away", "elsewhere", 50)):
        registry.TaskRegistry.add(
            name,
            source=Generated(_parity, size),
            preprocessors=[Instruct(TEMPLATES, cluster, name, source_field="n")],
            output_features=text_features(),
        )
    text = Generated(lambda index, split: {"targets": f"{split} document " + "word " * (index % 9)}, 30)
    registry.TaskRegistry.add("p_text", source=text, preprocessors=[], output_features=text_features())
    names = ["p_parity", "p_other", "p_away", "p_text"]
    registry.MixtureRegistry.add("p_mix", names, default_rate=seqio.mixing_rate_num_examples)
    return "p_mix"


def _prepare(folder, mixture, **changes):
    arguments = {"tokenizer": "bytes", "chat_template": INSTRUCT, "length": 96, "seed": 0, **changes}
    prepare(str(folder), mixture, **arguments)
    return Dataset(folder)


def _files(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def _segments(dataset):
    """(task name, template, example, epoch, text, weights) of every segment."""
    for place in range(len(dataset)):
        row = dataset[place]
        ends = np.cumsum(row.lengths)
        for end, size, (task, template, example, epoch) in zip(ends, row.lengths, row.provenance.tolist(), strict=True):
            part = slice(end - size, end)
            entry = dataset.manifest["tasks"][task]
            yield entry["name"], template, example, epoch, row.tokens[part], row.weights[part]


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(mixture, tmp_path):
    evaluation = Evaluation(items_per_template=3, text_items=2)
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        _prepare(tmp_path / name, mixture, seed=seed, evaluation=evaluation)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    one, three = _files(tmp_path / "one"), _files(tmp_path / "three")
    assert one["rows-00000.arrayrecord"] != three["rows-00000.arrayrecord"]
    assert one["items.jsonl"] == three["items.jsonl"], "other seeds are asked the same questions"


def test_every_example_is_in_the_rows_once_with_its_provenance(mixture, tmp_path):
    dataset = _prepare(tmp_path / "d", mixture)
    seen = sorted((name, example, epoch) for name, _, example, epoch, _, _ in _segments(dataset))
    sizes = {"p_parity": 60, "p_other": 40, "p_away": 50, "p_text": 30}
    assert seen == sorted((name, example, 0) for name, size in sizes.items() for example in range(size))
    tokenizer = ByteTokenizer()
    for name, template, example, _, tokens, _ in _segments(dataset):
        if name != "p_text":
            instance = TEMPLATES[template].apply(_parity(example, "train"))
            assert tokenizer.decode(tokens) == f"{instance.prompt}\n{instance.response}"


def test_the_trained_tokens_are_the_answers_and_their_ends(mixture, tmp_path):
    tokenizer = ByteTokenizer()
    for name, template, example, _, tokens, weights in _segments(_prepare(tmp_path / "d", mixture)):
        trained = tokens[weights > 0]
        if name == "p_text":
            assert weights.tolist() == [0.0] + [1.0] * (tokens.size - 1)
        else:
            assert tokenizer.decode(trained) == TEMPLATES[template].apply(_parity(example, "train")).response
        assert trained[-1] == tokenizer.eos_id


def test_the_manifest_tells_rates_counts_and_density_as_they_are_in_the_rows(mixture, tmp_path):
    dataset = _prepare(tmp_path / "d", mixture, examples=90)
    manifest, segments = dataset.manifest, list(_segments(dataset))
    for task in manifest["tasks"]:
        mine = [(tokens, weights) for name, *_, tokens, weights in segments if name == task["name"]]
        assert task["examples"] == task["asked"] == len(mine)
        assert task["tokens"] == sum(tokens.size for tokens, _ in mine)
        assert task["supervised"] == sum(int((weights > 0).sum()) for _, weights in mine)
    assert [task["asked"] for task in manifest["tasks"]] == [25, 20, 30, 15]
    assert [task["rate"] for task in manifest["tasks"]] == [50, 40, 60, 30]
    assert manifest["density"] == pytest.approx(manifest["tokens"] / (len(dataset) * 96))
    assert manifest["tokenizer"]["fingerprint"] == ByteTokenizer().fingerprint
    assert manifest["chat_template"]["fingerprint"] == INSTRUCT.fingerprint()


@pytest.mark.usefixtures("mixture")
def test_a_second_epoch_wears_other_templates(tmp_path):
    dataset = _prepare(tmp_path / "d", "p_parity", examples=120)
    worn = {(example, epoch): template for _, template, example, epoch, _, _ in _segments(dataset)}
    changed = [worn[example, 0] != worn[example, 1] for example in range(60)]
    assert 20 < sum(changed) < 60


def test_reserved_templates_and_held_out_tasks_are_never_trained(mixture, tmp_path):
    held_out = HeldOut(clusters=("elsewhere",), datasets=("p_other",))
    dataset = _prepare(tmp_path / "d", mixture, held_out=held_out)
    segments = list(_segments(dataset))
    assert {name for name, *_ in segments} == {"p_parity", "p_text"}
    assert {template for name, template, *_ in segments if name == "p_parity"} == {0, 1, 3}
    assert [(task["name"], task["held_out"]) for task in dataset.manifest["tasks"]] == [
        ("p_away", True), ("p_other", True), ("p_parity", False), ("p_text", False)
    ]  # fmt: skip


def test_items_are_split_by_how_far_they_lie_from_training(mixture, tmp_path):
    held_out = HeldOut(clusters=("elsewhere",), datasets=("p_other",))
    _prepare(tmp_path / "d", mixture, held_out=held_out, evaluation=Evaluation(items_per_template=5, text_items=4))
    items = read_items(tmp_path / "d")
    by_split = {}
    for item in items:
        by_split.setdefault(item.split, set()).add((item.dataset, item.template))
    seen, everything = {"is", "tell"}, {"is", "tell", "kept"}
    assert by_split == {
        "held_in_seen": {("p_parity", name) for name in seen},
        "held_in_unseen": {("p_parity", "kept")},
        "held_out_dataset": {("p_other", name) for name in everything},
        "held_out_cluster": {("p_away", name) for name in everything},
        "plain_text": {("p_text", "")},
    }
    assert len({item.id for item in items}) == len(items) == 5 * 9 + 4
    assert all(item.target in item.options for item in items if item.options)
    assert {item.template for item in items if item.options is None} == {""}, "none turned round is asked"
    assert all("train" not in text for item in items for _, text in item.messages)
    asked = {}
    for item in items:
        asked.setdefault((item.dataset, item.template), set()).add(item.source)
    assert len({frozenset(sources) for (dataset, _), sources in asked.items() if dataset == "p_away"}) == 1


def test_a_chat_template_may_be_a_file_and_each_of_its_bytes_is_in_the_identity(mixture, tmp_path):
    """C12; the answers are trained with their ends, as in a built-in template."""
    file, identities = tmp_path / "chat.jinja", set()
    for mark in ("Q", "R"):
        asked = f"{{% if add_generation_prompt %}}[{mark}] {{% endif %}}"
        file.write_text(f"{{% for m in messages %}}[{mark}] {{{{ m.content }}}}</s>{{% endfor %}}{asked}")
        dataset = _prepare(tmp_path / mark, mixture, examples=30, chat_template=str(file))
        identities.add(dataset.manifest["identity"])
        assert dataset.manifest["chat_template"]["source"] == file.read_text()
        for name, *_, tokens, weights in _segments(dataset):
            text = ByteTokenizer().decode(tokens)
            if name != "p_text":
                assert text.startswith(f"[{mark}] ")
                assert tokens[weights > 0][-1] == ByteTokenizer().eos_id
                assert f"[{mark}] {ByteTokenizer().decode(tokens[weights > 0])}" in text
    assert len(identities) == 2


def test_a_conversation_that_a_template_refuses_is_named(mixture, tmp_path):
    (tmp_path / "chat.jinja").write_text("{{ raise_exception('no talk today') }}")
    with pytest.raises(InputError, match=r"record \d+ of split 'train': chat template 'chat\.jinja', line 1: no talk today"):
        _prepare(tmp_path / "d", mixture, examples=30, chat_template=str(tmp_path / "chat.jinja"))


def test_a_finished_dataset_is_used_again_and_another_is_refused(mixture, tmp_path, capsys):
    _prepare(tmp_path / "d", mixture)
    before = {file: os.stat(tmp_path / "d" / file).st_mtime_ns for file in _files(tmp_path / "d")}
    _prepare(tmp_path / "d", mixture)
    assert "it stays as it is" in capsys.readouterr().out
    assert {file: os.stat(tmp_path / "d" / file).st_mtime_ns for file in _files(tmp_path / "d")} == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"length": 97}, "length"),
        ({"seed": 1}, "seed"),
        ({"chat_template": DIALOGUE}, "chat_template"),
        ({"overflow": "drop"}, "overflow"),
        ({"examples": 10}, "examples"),
        ({"held_out": HeldOut(datasets=("p_other",))}, "held_out, task p_other"),
        ({"evaluation": Evaluation()}, "evaluation"),
    ],
)
def test_another_dataset_in_the_folder_is_refused_and_the_difference_named(mixture, tmp_path, change, named):
    _prepare(tmp_path / "d", mixture)
    with pytest.raises(InputError, match=rf"made differently \(.*{named}.*\); choose another WORKDIR, or delete it"):
        _prepare(tmp_path / "d", mixture, **change)


def test_the_identity_follows_the_templates_and_the_source(registry, tmp_path):
    def identity(name, templates, value):
        (tmp_path / "rows.jsonl").write_text(json.dumps({"n": value, "label": 1}) + "\n")
        source = JsonLines({"train": str(tmp_path / "rows.jsonl")})
        steps = [Instruct(templates, "numbers", "p_id")]
        registry.TaskRegistry.add("p_id", source=source, preprocessors=steps, output_features=text_features())
        dataset = _prepare(tmp_path / name, "p_id")
        registry.TaskRegistry.remove("p_id")
        return dataset.manifest["identity"]

    first = identity("a", TEMPLATES, "one")
    assert identity("b", TEMPLATES, "one") == first
    assert identity("c", TEMPLATES[:2], "one") != first
    assert identity("d", TEMPLATES, "two") != first


def test_a_folder_that_is_no_dataset_is_left_alone(mixture, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="exists and is no dataset"):
        _prepare(tmp_path / "d", mixture)
    assert (tmp_path / "d" / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 1}, "length is 1"),
        ({"examples": 0}, "examples is 0"),
        ({"overflow": "cut"}, "overflow is 'cut'; expected one of drop, trim_prompt, split, error"),
        ({"malformed": "ignore"}, "malformed is 'ignore'"),
        ({"evaluation": Evaluation(split="train")}, "the training split"),
        ({"evaluation": Evaluation(split="train[:5%]")}, "the training split"),
        ({"evaluation": Evaluation(split="validation[:5%]")}, r"has no split 'validation\[:5%\]'"),
        ({"evaluation": Evaluation(split="none")}, "no task of the mixture gives evaluation items"),
        ({"tokenizer": "no/such.model"}, "there is no tokenizer at no/such.model"),
        ({"split": "dev"}, "has no split 'dev'"),
        ({"length": 3}, "no example leaves a token to train within 3 tokens"),
        ({"overflow": "error", "length": 20}, r"generated record \d+ .* tokens do not fit rows of 20"),
    ],
)
def test_arguments_that_cannot_be_are_refused_and_leave_no_dataset(mixture, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        _prepare(tmp_path / "d", "p_parity" if change.get("length") == 3 else mixture, **change)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("overflow", ["drop", "trim_prompt", "split"])
def test_overflow_is_counted_by_task_and_no_row_is_without_a_supervised_token(mixture, tmp_path, overflow):
    dataset = _prepare(tmp_path / "d", mixture, length=26, overflow=overflow)
    tasks = {task["name"]: task for task in dataset.manifest["tasks"]}
    for name, task in tasks.items():
        assert task["examples"] + task["dropped"] + task["skipped"] == task["asked"], name
    assert (tasks["p_text"]["split"] > 0) == (overflow != "drop")
    assert (tasks["p_parity"]["trimmed"] > 0) == (overflow == "trim_prompt")
    assert (tasks["p_parity"]["dropped"] > 0) == (overflow != "trim_prompt")
    for *_, tokens, weights in _segments(dataset):
        assert weights.sum() > 0
        assert tokens.size <= 26


def test_malformed_rows_stop_the_run_or_are_counted(registry, tmp_path):
    lines = [json.dumps({"n": f"number {index}", "label": index % 2}) for index in range(20)]
    lines[7] = '{"n": "cut'
    lines[11] = json.dumps({"label": 1})
    lines[13] = json.dumps({"n": "beyond", "label": 5})
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    registry.TaskRegistry.add(
        "p_broken",
        source=JsonLines({"train": str(tmp_path / "rows.jsonl")}),
        preprocessors=[Instruct(TEMPLATES[:3], "numbers", "p_broken")],
        output_features=text_features(),
    )
    with pytest.raises(InputError, match=r"rows\.jsonl:(8|12|14): "):
        _prepare(tmp_path / "d", "p_broken")
    assert not (tmp_path / "d").exists()
    (task,) = _prepare(tmp_path / "d", "p_broken", malformed="skip").manifest["tasks"]
    assert (task["asked"], task["examples"], task["skipped"]) == (20, 17, 3)


def test_malformed_rows_are_skipped_and_counted_among_the_items_too(registry, tmp_path):
    lines = [json.dumps({"n": f"number {index}", "label": index % 2, "from": f"s{index}"}) for index in range(12)]
    lines[0] = '{"n": "cut'
    lines[3] = json.dumps({"n": "number 3", "label": 1})
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    (tmp_path / "text.jsonl").write_text("\n".join(['{"te', json.dumps({"text": "one two"}), json.dumps({"text": 5})]))
    files = {name: {split: str(tmp_path / f"{name}.jsonl") for split in ("train", "validation")} for name in ("rows", "text")}
    steps = [Instruct(TEMPLATES[:1], "numbers", "p_rows", source_field="from")]
    registry.TaskRegistry.add("p_rows", source=JsonLines(files["rows"]), preprocessors=steps, output_features=text_features())
    registry.TaskRegistry.add("p_lines", source=JsonLines(files["text"]), preprocessors=[], output_features=text_features())
    registry.MixtureRegistry.add("p_both", ["p_rows", "p_lines"], default_rate=1.0)
    for task in ("p_rows", "p_lines"):
        with pytest.raises(InputError, match=r"\.jsonl:\d+: "):
            _prepare(tmp_path / "d", task, evaluation=Evaluation())
    dataset = _prepare(tmp_path / "d", "p_both", evaluation=Evaluation(), malformed="skip")
    assert dataset.manifest["items_skipped"] == 4
    assert len(read_items(tmp_path / "d")) == 10 + 1


@pytest.mark.usefixtures("mixture")
def test_a_dataset_of_rate_zero_is_not_called_trained(registry, tmp_path):
    registry.MixtureRegistry.add("p_some", [("p_parity", 1.0), ("p_other", 0.0)])
    _prepare(tmp_path / "d", "p_some", examples=20, evaluation=Evaluation(items_per_template=3))
    splits = {(item.dataset, item.split) for item in read_items(tmp_path / "d")}
    assert splits == {("p_parity", "held_in_seen"), ("p_parity", "held_in_unseen"), ("p_other", "held_out_dataset")}


@pytest.mark.usefixtures("mixture")
def test_a_held_out_dataset_may_reserve_every_template(registry, tmp_path):
    registry.TaskRegistry.add(
        "p_asked",
        source=Generated(_parity, 20),
        preprocessors=[Instruct(TEMPLATES[2:3], "asked", "p_asked")],
        output_features=text_features(),
    )
    registry.MixtureRegistry.add("p_more", ["p_parity", "p_asked"], default_rate=1.0)
    with pytest.raises(InputError, match="'p_asked': every template is reserved"):
        _prepare(tmp_path / "d", "p_more", evaluation=Evaluation())
    _prepare(tmp_path / "d", "p_more", held_out=HeldOut(clusters="asked"), evaluation=Evaluation(items_per_template=3))
    assert len([item for item in read_items(tmp_path / "d") if item.dataset == "p_asked"]) == 3


def test_an_endless_source_needs_a_number_of_examples(registry, tmp_path):
    registry.TaskRegistry.add(
        "p_endless", source=Generated(_parity), preprocessors=[Instruct(TEMPLATES, "c", "d")], output_features=text_features()
    )
    with pytest.raises(InputError, match="task p_endless has no end, so `examples` must say"):
        _prepare(tmp_path / "d", "p_endless")
    assert _prepare(tmp_path / "d", "p_endless", examples=30).manifest["tasks"][0]["examples"] == 30


_SLOW_PROGRAM = """
import sys, time
import seqio
from instruct_jax.tasks.instruct import text_features
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.sources import Generated
from instruct_jax.text.chat import INSTRUCT

def record(index, split):
    time.sleep(0.002 if sys.argv[2] == "slow" else 0)
    return {"text": f"{split} {index}"}

seqio.TaskRegistry.add("t", source=Generated(record, 20_000, version="1"), preprocessors=[], output_features=text_features())
prepare(sys.argv[1], "t", "bytes", INSTRUCT, 64, 0)
"""


@pytest.mark.slow
def test_a_killed_preparation_leaves_nothing_that_looks_finished_and_is_made_anew(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(_SLOW_PROGRAM)
    running = subprocess.Popen([sys.executable, program, tmp_path / "d", "slow"])
    rows = tmp_path / "d.partial" / "rows-00000.arrayrecord"
    deadline = time.monotonic() + 120
    while not rows.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert rows.exists()
    assert not (tmp_path / "d").exists()
    with pytest.raises(InputError, match="no such folder"):
        Dataset(tmp_path / "d")
    for name in ("d", "e"):
        subprocess.run([sys.executable, program, tmp_path / name, "fast"], check=True)
    assert _files(tmp_path / "d") == _files(tmp_path / "e")
    assert not (tmp_path / "d.partial").exists()
