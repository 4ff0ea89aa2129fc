"""A tree of instruction files: clusters, datasets and templates are discovered, and splits and reserved wordings hold."""

import pytest

from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.artifacts.items import read_items
from instruct_jax.errors import InputError
from instruct_jax.tasks import t0
from instruct_jax.tasks.evaluation import Evaluation
from instruct_jax.tasks.examples import instruct_of
from instruct_jax.tasks.mixture import HeldOut, mixture_tasks
from instruct_jax.tasks.prepare import prepare
from instruct_jax.text.chat import INSTRUCT


def _rows(name, count, answers=("Yes", "No")):
    return [{"prompt": f"{name} question {row}?\n", "completion": answers[row % len(answers)]} for row in range(count)]


@pytest.fixture
def tree(write_tree):
    """Two clusters; `opinion` has four templates and thus reserves one; `facts` has free answers."""
    files = {f"sentiment/opinion/w{number}": _rows(f"w{number}", 40 + number) for number in range(4)}
    files["qa/facts/ask"] = _rows("ask", 30, [f"answer {number}" for number in range(30)])
    files["qa/trivia/ask"] = _rows("trivia", 25)
    return write_tree(files)


def test_clusters_datasets_and_templates_are_discovered(registry, tree):
    tasks = mixture_tasks(t0.add_mixture(str(tree)), HeldOut())
    found = {one.task.name: (one.cluster, [template.id for template in instruct_of(one.task).templates]) for one in tasks}
    assert found == {
        "t0_opinion": ("sentiment", ["w0", "w1", "w2", "w3"]),
        "t0_facts": ("qa", ["ask"]),
        "t0_trivia": ("qa", ["ask"]),
    }
    assert registry.MixtureRegistry.get("t0").total_rate == sum(one.rate for one in tasks)


def test_every_row_is_an_example_of_the_template_its_file_names(registry, tree):
    source = registry.TaskRegistry.get(_one(tree, "t0_opinion", reserved_templates=0)).source
    records = source.records("train")
    assert records.size == 36 + 37 + 38 + 39, "the last tenth of each file, rounded down, is for validation"
    assert {record["template"] for record in map(records.__getitem__, range(records.size))} == {"w0", "w1", "w2", "w3"}
    assert records[0] == {"prompt": "w0 question 0?\n", "completion": "Yes", "template": "w0", "row": 0, "options": ["No", "Yes"]}
    assert records.where(0).endswith("sentiment/opinion/w0.jsonl:1")


def _one(tree, task, **arguments):
    t0.add_mixture(str(tree), **arguments)
    return task


def test_no_source_item_is_in_both_splits_under_any_wording(registry, tree):
    source = registry.TaskRegistry.get(_one(tree, "t0_opinion")).source
    rows = {split: [source.records(split)[i] for i in range(source.records(split).size)] for split in ("train", "validation")}
    texts = {split: {row["prompt"] for row in found} for split, found in rows.items()}
    assert not texts["train"] & texts["validation"]
    assert max(row["row"] for row in rows["train"]) < 39
    assert min(row["row"] for row in rows["validation"]) >= 36


def test_reserved_wordings_are_a_function_of_their_names_and_left_out_of_training(registry, tree):
    task = registry.TaskRegistry.get(_one(tree, "t0_opinion"))
    reserved = [template.id for template in instruct_of(task).templates if template.reserved]
    assert reserved == t0.reserved_names(["w3", "w1", "w0", "w2"], 1)
    assert len(reserved) == 1
    found = {
        split: {task.source.records(split)[i]["template"] for i in range(task.source.records(split).size)}
        for split in task.splits
    }
    assert reserved[0] not in found["train"]
    assert reserved[0] in found["validation"]
    facts = registry.TaskRegistry.get("t0_facts")
    assert not any(template.reserved for template in instruct_of(facts).templates)


def test_options_are_inferred_from_few_and_frequent_completions_only():
    assert t0.answer_options(["b", "a"] * 10) == ["a", "b"]
    assert t0.answer_options(["b", "a"] * 9) is None, "fewer than ten rows an option"
    assert t0.answer_options(["a"] * 50) is None
    assert t0.answer_options([str(number % 21) for number in range(2_100)]) is None
    assert len(t0.answer_options([str(number % 20) for number in range(200)])) == 20


@pytest.mark.usefixtures("registry")
def test_prepare_asks_the_same_items_in_every_wording(tree, tmp_path):
    evaluation = Evaluation(items_per_template=2)
    name = t0.add_mixture(str(tree))
    prepare(str(tmp_path / "d"), name, "bytes", INSTRUCT, 128, 0, held_out=HeldOut(datasets=("trivia",)), evaluation=evaluation)
    items = read_items(tmp_path / "d")
    (reserved,) = t0.reserved_names(["w0", "w1", "w2", "w3"], 1)
    assert {item.template for item in items if item.split == "held_in_unseen"} == {reserved}
    assert {item.dataset for item in items if item.split == "held_out_dataset"} == {"trivia"}
    sources = {}
    for item in items:
        if item.dataset == "opinion":
            sources.setdefault(item.template, []).append(item.source)
    shared = set.intersection(*map(set, sources.values()))
    assert len(sources) == 4
    assert shared, "one record is asked in every wording, and its wordings share a source"
    assert all(item.options == ("No", "Yes") for item in items if item.dataset == "opinion")
    assert all(item.options is None for item in items if item.dataset == "facts")
    counts = {task["name"]: task["examples"] for task in Dataset(tmp_path / "d").manifest["tasks"]}
    assert counts["t0_facts"] == 27


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "p"}, r"ask\.jsonl:4: field 'completion' must be text, found nothing"),
        ({"prompt": 5, "completion": "c"}, r"ask\.jsonl:4: field 'prompt' must be text, found int"),
    ],
)
def test_a_row_without_its_fields_is_named_by_file_and_line(registry, write_tree, row, message):
    rows = _rows("ask", 12)
    rows[3] = row
    tree = write_tree({"qa/facts/ask": rows})
    records = registry.TaskRegistry.get(_one(tree, "t0_facts")).source.records("train")
    with pytest.raises(InputError, match=message):
        records[3]


def test_a_folder_that_is_no_such_tree_is_named(write_tree, tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        t0.add_mixture(str(tmp_path / "nothing"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no <cluster>/<dataset>/<template>\.jsonl"):
        t0.add_mixture(str(tmp_path / "empty"))
    tree = write_tree({"a/same/x": _rows("x", 3), "b/same/x": _rows("x", 3)})
    with pytest.raises(InputError, match="'same' is there in two clusters"):
        t0.add_mixture(str(tree))


@pytest.mark.usefixtures("registry")
def test_the_real_tree_has_its_29_datasets_and_8_clusters(real_data):
    tasks = mixture_tasks(t0.add_mixture(str(real_data / "t0"), validation_share=0.0, reserved_templates=0), HeldOut())
    assert len(tasks) == 29
    assert len({one.cluster for one in tasks}) == 8
    assert sum(one.rate for one in tasks) == 48_101
