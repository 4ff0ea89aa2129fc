"""Joined mixtures: every task of every part is there once, at the rate that the recipe says."""

import pytest
import seqio

from instruct_jax.errors import InputError
from instruct_jax.tasks import joined
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.mixture import mixture_tasks
from instruct_jax.tasks.sources import Generated
from instruct_jax.tasks.splits import NOTHING_HELD_OUT
from instruct_jax.text.templates import Template


@pytest.fixture
def parts(registry):
    """A mixture of the tasks j_a and j_b at rates 1 and 3, and the single task j_c."""
    for name in ("j_a", "j_b", "j_c"):
        instruct = Instruct((Template("only", "{q}", "{a}"),), "letters", name)
        source = Generated(lambda index, split: {"q": f"{split} {index}", "a": "a"}, 5)
        registry.TaskRegistry.add(name, source=source, preprocessors=[instruct], output_features=text_features())
    registry.MixtureRegistry.add("j_inner", [("j_a", 1), ("j_b", 3)])
    return ["j_inner", "j_c"]


def _rates(name):
    return {one.task.name: one.rate for one in mixture_tasks(name, NOTHING_HELD_OUT)}


def test_without_rates_every_task_has_the_same(parts):
    assert _rates(joined.add_mixture(parts)) == {"j_a": 1.0, "j_b": 1.0, "j_c": 1.0}


def test_the_tasks_of_a_part_share_its_rate(parts):
    assert _rates(joined.add_mixture(parts, [0.8, 0.2])) == pytest.approx({"j_a": 0.2, "j_b": 0.6, "j_c": 0.2})


def test_a_second_call_replaces_the_first(parts):
    joined.add_mixture(parts)
    joined.add_mixture(["j_c"])
    assert [task.name for task in seqio.MixtureRegistry.get("joined").tasks] == ["j_c"]


@pytest.mark.parametrize(
    ("more", "rates", "message"),
    [
        (["j_a"], None, "j_inner and j_a both hold the task j_a"),
        (["j_d"], None, "names 'j_d'"),
        ([], [1.0], "2 parts and 1 rates"),
    ],
)
def test_what_cannot_be_joined_is_refused(parts, more, rates, message):
    with pytest.raises(InputError, match=message):
        joined.add_mixture([*parts, *more], rates)


@pytest.mark.usefixtures("parts")
def test_nothing_cannot_be_joined():
    with pytest.raises(InputError, match="no parts"):
        joined.add_mixture([])
