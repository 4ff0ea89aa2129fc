"""The suite as SeqIO tasks: plain SeqIO reads them, and the mixture has the share of plain text it is asked for."""

import pytest

from instruct_jax.errors import InputError
from instruct_jax.tasks import procedural
from instruct_jax.tasks.examples import instruct_of
from instruct_jax.tasks.mixture import mixture_tasks
from instruct_jax.tasks.splits import HeldOut
from instruct_jax.tasks.suite import collection


def test_every_dataset_is_a_task_of_the_instruction_mixture(registry):
    tasks = registry.MixtureRegistry.get(procedural.INSTRUCTIONS).tasks
    assert {instruct_of(task).dataset for task in tasks} == {dataset.name for dataset in collection.DATASETS}


def test_plain_seqio_reads_instructions_and_text(registry):
    name = f"procedural_{collection.DATASETS[0].name}"
    (row,) = registry.TaskRegistry.get(name).get_dataset(split="train", shuffle=False).take(1).as_numpy_iterator()
    assert row["inputs"]
    assert row["targets"]
    (row,) = registry.TaskRegistry.get(procedural.TEXT).get_dataset(split="train", shuffle=False).take(1).as_numpy_iterator()
    assert row["targets"].decode() == procedural.suite_text.base_document(0, "train")


@pytest.mark.usefixtures("registry")
def test_replayed_text_has_its_share_whatever_is_held_out():
    held_out = HeldOut(collection.HELD_OUT_CLUSTERS, collection.HELD_OUT_DATASETS)
    tasks = mixture_tasks(procedural.add_mixture(replay=0.3, name="procedural_test_mixture"), held_out)
    rates = {one.task.name: one.rate for one in tasks}
    assert rates[procedural.TEXT] / sum(rates.values()) == pytest.approx(0.3)


def test_a_share_beyond_one_is_refused():
    with pytest.raises(InputError, match=r"replay is 1\.5"):
        procedural.add_mixture(replay=1.5)
