"""A tree of instruction files: clusters, datasets and templates are discovered, and splits and reserved wordings hold."""

import pytest

from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.artifacts.items import read_items
from instruct_jax.errors import InputError
from instruct_jax.tasks import t0
from instruct_jax.tasks.evaluation import Evaluation
from instruct_jax.tasks.examples import instruct_of
from instruct_jax.tasks.instruct import PromptSettings
from instruct_jax.tasks.mixture import mixture_tasks
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.shared_sources import shared_sources
from instruct_jax.tasks.splits import HeldOut
from instruct_jax.text.chat import INSTRUCT
from instruct_jax.text.tokenizer import ByteTokenizer


def _rows(name, count, answers=("Yes", "No")):
    return [{"prompt": f"{name} question {row}?\n", "completion": answers[row % len(answers)]} for row in range(count)]


@pytest.fixture
def tree(write_tree):
    """Two clusters; `opinion` asks the same 40 items in four templates and thus reserves one; `facts` has free answers."""
    files = {f"sentiment/opinion/w{number}": _rows(f"In way {number}: the", 40) for number in range(4)}
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
    assert records.size == 4 * 36, "a tenth of each file is for validation"
    assert {record["template"] for record in map(records.__getitem__, range(records.size))} == {"w0", "w1", "w2", "w3"}
    line = int(records.where(0).rpartition("sentiment/opinion/w0.jsonl:")[2])
    assert records[0] == {
        "prompt": f"In way 0: the question {line - 1}?\n",
        "completion": "Yes" if line % 2 else "No",
        "template": "w0",
        "source": line - 1,
        "options": ["No", "Yes"],
    }


def _one(tree, task, **arguments):
    t0.add_mixture(str(tree), **arguments)
    return task


def _passage(number):
    return f"The {number}th house of the long road to the sea was painted by a man who had never painted a house before. "


def _ragged_tree(write_tree):
    """Two files in step; one that leaves items out; one of other questions about the same passages in another order."""
    ask = [{"prompt": f"Read: {_passage(n // 2)}Was {n} there?", "completion": f"{n} was"} for n in range(40)]
    tell = [{"prompt": f"{n} in the following?\n{_passage(n // 2)}", "completion": f"{n} was"} for n in range(40)]
    some = [{"prompt": f"Tell me more. {_passage(n // 2)}", "completion": f"more {n}"} for n in range(0, 40, 3)]
    other = [{"prompt": f"Who painted it? {_passage(19 - n % 20)}", "completion": f"man {n}"} for n in range(33)]
    return write_tree({"qa/houses/ask": ask, "qa/houses/tell": tell, "qa/houses/some": some, "qa/houses/other": other})


def _splits(source):
    return {split: [source.records(split)[i] for i in range(source.records(split).size)] for split in ("train", "validation")}


def test_no_passage_is_in_both_splits_under_any_wording_at_any_place(registry, write_tree):
    rows = _splits(registry.TaskRegistry.get(_one(_ragged_tree(write_tree), "t0_houses", reserved_templates=0)).source)
    found = {
        split: {n for n in range(20) if any(_passage(n).strip() in row["prompt"] for row in of_split)}
        for split, of_split in rows.items()
    }
    assert len(found["validation"]) >= 1
    assert len(found["train"]) >= 17
    assert not found["train"] & found["validation"]
    assert {row["source"] for row in rows["train"]}.isdisjoint(row["source"] for row in rows["validation"])
    assert sum(map(len, rows.values())) == 40 + 40 + 14 + 33, "every row is in one of the splits"


def test_short_items_of_files_in_step_stay_together(registry, tree):
    rows = _splits(registry.TaskRegistry.get(_one(tree, "t0_opinion", reserved_templates=0)).source)
    asked = {split: {row["prompt"].rpartition(" ")[2] for row in of_split} for split, of_split in rows.items()}
    assert len(asked["validation"]) == 4
    assert len(rows["validation"]) == 4 * 4
    assert not asked["train"] & asked["validation"]


def test_unrelated_items_at_one_place_are_different_sources():
    first = [f"Say of the {name}: where is it?" for name in ("apple", "boat", "cup", "door")]
    second = [f"Say of the {name}: where is it?" for name in ("king", "lamp", "moon", "nail")]
    assert [one.tolist() for one in shared_sources([first, second])] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [one.tolist() for one in shared_sources([first, [f"{row} Tell!" for row in first]])] == [[0, 1, 2, 3]] * 2


def test_a_sentence_of_the_template_makes_no_two_rows_one_source():
    rows = [f"{_passage(0)}\nWas it {name}?" for name in ("Ann", "Ben", "Cy", "Dot")]
    assert len(set(shared_sources([rows])[0].tolist())) == 4


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


def test_templates_turned_round_are_trained_and_not_scored_and_not_reserved(registry, write_tree):
    names = ["dbert_generate_question", "dbert_based_on", "Jeopardy_style", "does_the_supposed_perturbation_have_an_effect"]
    tree = write_tree({f"qa/things/{name}": _rows(name, 20) for name in names})
    task = registry.TaskRegistry.get(_one(tree, "t0_things", reserved_templates=4))
    templates = {template.id: template for template in instruct_of(task).templates}
    assert {name for name in names if not templates[name].original_task} == {"dbert_generate_question", "Jeopardy_style"}
    assert {name for name in names if templates[name].reserved} == {names[1], names[3]}
    record = task.source.records("train")[0]
    assert record["options"] == ["No", "Yes"]
    assert templates[record["template"]].apply(record).options is None


@pytest.mark.usefixtures("registry")
def test_the_number_of_templates_cannot_be_asked_of_rows_worded_already(tree, tmp_path):
    t0.add_mixture(str(tree))
    with pytest.raises(InputError, match=r"PromptSettings\.templates is 2, but every record .* leave it None"):
        prepare(str(tmp_path / "d"), "t0_opinion", "bytes", INSTRUCT, 128, 0, prompts=PromptSettings(templates=2))
    assert not (tmp_path / "d").exists()


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


def test_a_held_out_wording_is_asked_and_none_of_its_rows_is_trained(tree, tmp_path):
    name, held_out = t0.add_mixture(str(tree), reserved_templates=0), HeldOut(templates=("opinion/w2",))
    evaluation = Evaluation(items_per_template=2)
    prepare(str(tmp_path / "d"), name, "bytes", INSTRUCT, 128, 0, 200, held_out=held_out, evaluation=evaluation, cache=False)
    assert {item.template for item in read_items(tmp_path / "d") if item.split == "held_in_unseen"} == {"w2"}
    dataset = Dataset(tmp_path / "d")
    (opinion,) = (task for task in dataset.manifest["tasks"] if task["name"] == "t0_opinion")
    assert opinion["size"] == 3 * 36
    assert opinion["examples"] > 36
    texts = [ByteTokenizer().decode(dataset[place].tokens) for place in range(len(dataset))]
    assert not any("In way 2" in text for text in texts)
    assert any("In way 1" in text for text in texts)


def test_a_dataset_with_every_wording_held_out_is_named(tree, tmp_path):
    held_out = HeldOut(templates=tuple(f"opinion/w{number}" for number in range(4)))
    with pytest.raises(InputError, match="'opinion' comes in a wording that is held out; hold out the dataset"):
        prepare(str(tmp_path / "d"), t0.add_mixture(str(tree)), "bytes", INSTRUCT, 128, 0, held_out=held_out, cache=False)


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


def test_no_long_sentence_of_the_real_duorc_is_in_both_splits(registry, real_data):
    rows = _splits(registry.TaskRegistry.get(_one(real_data / "t0", "t0_duorc")).source)
    wording = "You will be given"
    sentences = {
        split: {one for row in of_split for one in row["prompt"].split(". ") if len(one) > 100 and wording not in one}
        for split, of_split in rows.items()
    }
    assert len(sentences["validation"]) > 100
    assert not sentences["train"] & sentences["validation"]


@pytest.mark.usefixtures("registry")
def test_the_real_tree_has_its_29_datasets_and_8_clusters(real_data):
    tasks = mixture_tasks(t0.add_mixture(str(real_data / "t0"), validation_share=0.0, reserved_templates=0), HeldOut())
    assert len(tasks) == 29
    assert len({one.cluster for one in tasks}) == 8
    assert sum(one.rate for one in tasks) == 48_101
