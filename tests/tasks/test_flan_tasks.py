"""The collection's tasks: registered without data, prepared from TFDS data of every shape through the real path."""

import importlib
import itertools
import socket
import time
import warnings

import pytest
import seqio
import tensorflow as tf
import tensorflow_datasets as tfds

from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.errors import InputError
from instruct_jax.tasks import flan_tasks
from instruct_jax.tasks.examples import open_records
from instruct_jax.tasks.flan.collection import DATASETS
from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.tasks.flan_tasks import FlanRecords, add_mixture, task_name
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.sources import Generated
from instruct_jax.text.chat import INSTRUCT
from instruct_jax.text.templates import Template
from tests.tasks.flan_examples import made_up, specifications

_BY_NAME = {dataset.name: dataset for dataset in DATASETS}
_SHAPES = (  # one of each: flat, classes, booleans, sequences, sequences of dicts, dicts in dicts, translations, ragged
    "arc_easy",
    "cb",
    "coqa",
    "gap",
    "gsm8k",
    "race_high",
    "squad_v2",
    "totto",
    "trivia_qa",
    "winogrande",
    "wmt16_de_en",
)
_EXAMPLES = 6


@pytest.fixture
def stored(tmp_path):
    """A function (names) that writes the first split of datasets as TFDS stores them, of made-up examples, for tasks to find."""

    folders = (str(tmp_path / f"tfds{number}") for number in itertools.count())

    def write(*names):
        datasets, folder = [_BY_NAME[name] for name in names], next(folders)
        features = specifications(datasets)
        for dataset in datasets:
            name, _, version = dataset.tfds.partition(":")
            name, _, config = name.partition("/")
            rows = [(row, dict(one)) for row, one in enumerate(made_up(dataset, features[dataset.name], _EXAMPLES))]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tfds.dataset_builders.store_as_tfds_dataset(
                    name=name,
                    config=config or None,
                    version=version,
                    features=features[dataset.name],
                    split_datasets={next(iter(dataset.splits.values())): rows},
                    data_dir=folder,
                    disable_shuffling=True,
                )
        seqio.set_tfds_data_dir_override(folder)

    yield write
    seqio.set_tfds_data_dir_override(None)


def test_registration_needs_no_data_no_network_and_no_time(registry, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("registration opened a builder or a connection")

    for name in [name for name in seqio.TaskRegistry.names() if name.startswith("flan_")]:
        seqio.TaskRegistry.remove(name)
    monkeypatch.setattr(tfds, "builder", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    start = time.process_time()
    importlib.reload(flan_tasks)
    assert time.process_time() - start < 2
    assert {task_name(dataset) for dataset in DATASETS} <= set(registry.TaskRegistry.names())
    in_mixture = {task.name for task in seqio.get_mixture_or_task(flan_tasks.MIXTURE).tasks}
    assert in_mixture == {task_name(dataset) for dataset in DATASETS if "train" in dataset.splits}


def test_datasets_of_every_shape_are_prepared_from_tfds_data(registry, stored, tmp_path):
    stored(*_SHAPES)
    assert "flan_cb" in registry.TaskRegistry.names()
    add_mixture("flan_shapes", _SHAPES)
    prepare(str(tmp_path / "d"), "flan_shapes", "bytes", INSTRUCT, 1_024, 0, overflow="split", workers=1)
    tasks = {task["name"]: task for task in Dataset(tmp_path / "d").manifest["tasks"]}
    assert {name: task["size"] for name, task in tasks.items()} == {f"flan_{name}": len(_expected(name)) for name in _SHAPES}
    assert all(task["examples"] > 0 and task["supervised"] > 0 and task["rate"] == _EXAMPLES for task in tasks.values())


def _expected(name):
    """The records of a dataset's stored examples, by plain Python."""
    dataset = _BY_NAME[name]
    rows = made_up(dataset, specifications([dataset])[name], _EXAMPLES)
    return [record for row in rows if (record := dataset.read(row)) is not None]


@pytest.mark.slow
def test_records_of_every_dataset_come_through_tfds(stored, tmp_path):
    for name, dataset in _BY_NAME.items():
        stored(name)
        records = open_records(seqio.TaskRegistry.get(f"flan_{name}"), next(iter(dataset.splits)), 0, tmp_path)
        assert [records[index] for index in range(records.size)] == _expected(name), name


def test_examples_that_give_no_record_are_left_out_and_counted(capsys):
    examples = {"goal": [b"open a jar", b" ", b"dry a shoe"], "sol1": [b"twist"] * 3, "sol2": [b"bend"] * 3, "label": [1, 0, 0]}
    records = list(FlanRecords(_BY_NAME["piqa"])(tf.data.Dataset.from_tensor_slices(examples)).as_numpy_iterator())
    assert [record["answer"] for record in records] == [b"bend", b"twist"]
    assert "flan_piqa: 1 of 3 examples left out" in capsys.readouterr().out


def test_a_split_without_answers_is_refused_in_one_line(registry, tmp_path):
    piqa = _BY_NAME["piqa"]
    blank = Generated(lambda index, split: {"goal": " ", "sol1": f"{split} {index}", "sol2": "bend", "label": 0}, 6)
    steps = [FlanRecords(piqa), Instruct(piqa.templates, piqa.cluster, piqa.name)]
    registry.TaskRegistry.add("f_blank", source=blank, preprocessors=steps, output_features=text_features())
    with pytest.raises(InputError, match=r"^task f_blank, split 'train': task flan_piqa: none of its 6 examples gives [^\n]*$"):
        open_records(seqio.TaskRegistry.get("f_blank"), "train", 0, tmp_path)


def test_an_example_that_does_not_fit_is_refused_by_field():
    wrong = FlanDataset("wrong", "none", "none:1.0.0", ("text",), (Template("t", "{text}"),), record=lambda _: {"text": 3})
    with pytest.raises(tf.errors.OpError, match="dataset 'wrong': field 'text' holds int; expected text"):
        list(FlanRecords(wrong)(tf.data.Dataset.from_tensor_slices({"n": [1]})).as_numpy_iterator())


def test_a_mixture_names_what_there_is(registry):
    name = add_mixture("flan_some", datasets=("rte",), clusters=("coreference",), rate=1.0)
    names = {task.name for task in registry.get_mixture_or_task(name).tasks}
    assert names == {"flan_rte", *(f"flan_{one}" for one in ("definite_pronoun_resolution", "gap", "winogrande", "wsc"))}
    with pytest.raises(InputError, match="the collection has no dataset 'rtee'"):
        add_mixture("flan_some", datasets=("rtee",))
    with pytest.raises(InputError, match="the collection has no cluster 'nli'"):
        add_mixture("flan_some", clusters=("nli",))
    everything = {task.name for task in registry.get_mixture_or_task(add_mixture("flan_some")).tasks}
    assert everything == {task.name for task in registry.get_mixture_or_task("flan").tasks}
    assert len(everything) > 100
