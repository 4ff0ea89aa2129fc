"""Mixtures: SeqIO's rates, nested ones too, without the tasks that are held out."""

import functools

import pytest
import seqio

from instruct_jax.errors import InputError
from instruct_jax.tasks.examples import instruct_of
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.mixture import import_modules, mixing_rates, mixture_tasks
from instruct_jax.tasks.sources import Generated
from instruct_jax.tasks.splits import NOTHING_HELD_OUT, HeldOut
from instruct_jax.text.templates import Template


def _task(name, size, cluster="letters"):
    instruct = Instruct((Template("only", "{q}", "{a}"),), cluster, name)
    source = Generated(lambda index, split: {"q": f"{split} {index}", "a": "a"}, size)
    return seqio.TaskRegistry.add(name, source=source, preprocessors=[instruct], output_features=text_features())


@pytest.fixture
def three(registry):
    """Tasks of 10, 200 and 3,000 examples."""
    for name, size in (("m_small", 10), ("m_middle", 200), ("m_large", 3_000)):
        _task(name, size, "big" if name == "m_large" else "letters")
    return registry


def _rates(name, held_out=NOTHING_HELD_OUT):
    return {one.task.name: one.rate for one in mixture_tasks(name, held_out)}


def test_numbers_functions_and_examples_proportional_rates_are_seqios(three):
    proportional = functools.partial(seqio.mixing_rate_num_examples, maximum=1_000, temperature=2.0)
    three.MixtureRegistry.add("m_mix", [("m_small", 3), ("m_middle", lambda _: 0.5), ("m_large", proportional)])
    assert _rates("m_mix") == pytest.approx({"m_small": 3.0, "m_middle": 0.5, "m_large": 1_000**0.5})


def test_nested_mixtures_have_the_rates_that_seqio_gives_them(three):
    three.MixtureRegistry.add("m_inner", [("m_small", 1), ("m_middle", 3)])
    outer = three.MixtureRegistry.add("m_outer", [("m_inner", 0.7), ("m_large", 0.2), ("m_small", 0.1)])
    expected = {task.name: outer.get_rate(task) for task in outer.tasks}
    assert mixing_rates(outer, set(expected)) == pytest.approx(expected)
    assert _rates("m_outer") == pytest.approx({"m_small": 0.275, "m_middle": 0.525, "m_large": 0.2})


def test_a_sub_mixture_keeps_its_rate_when_a_task_of_it_is_held_out(three):
    three.MixtureRegistry.add("m_inner", [("m_small", 1), ("m_middle", 3)])
    three.MixtureRegistry.add("m_outer", [("m_inner", 0.7), ("m_large", 0.3)])
    held_out = HeldOut(datasets=("m_middle",))
    assert _rates("m_outer", held_out) == pytest.approx({"m_small": 0.7, "m_middle": 0.0, "m_large": 0.3})


def test_a_held_out_cluster_takes_all_its_tasks(three):
    three.MixtureRegistry.add("m_mix", ["m_small", "m_middle", "m_large"], default_rate=1.0)
    assert _rates("m_mix", HeldOut(clusters=("letters",))) == {"m_small": 0, "m_middle": 0, "m_large": 1.0}


@pytest.mark.usefixtures("three")
def test_a_single_task_is_a_mixture_of_its_own():
    assert _rates("m_small") == {"m_small": 1.0}


@pytest.mark.parametrize(
    ("name", "held_out", "message"),
    [
        ("m_mixx", HeldOut(), "did you mean 'm_mix'"),
        ("nothing_like_it", HeldOut(), "argument `modules`"),
        ("m_mix", HeldOut(clusters=("leters",)), "did you mean 'letters'"),
        ("m_mix", HeldOut(datasets=("none_such",)), "it has: m_small"),
        ("m_small", HeldOut(datasets=("m_small",)), "nothing left to train on"),
        ("m_negative", HeldOut(), "rate of task m_small in mixture m_negative is -1.0"),
        ("m_sizeless", HeldOut(), "m_endless in mixture m_sizeless cannot be computed"),
    ],
)
def test_names_and_rates_that_cannot_be_are_named(three, name, held_out, message):
    _task("m_endless", None)
    three.MixtureRegistry.add("m_mix", [("m_small", 1)])
    three.MixtureRegistry.add("m_negative", [("m_small", -1)])
    three.MixtureRegistry.add("m_sizeless", [("m_endless", seqio.mixing_rate_num_examples)])
    with pytest.raises(InputError, match=message):
        mixture_tasks(name, held_out)


def test_one_name_may_be_given_for_many():
    assert HeldOut(clusters="paraphrase", datasets=["a"]) == HeldOut(clusters=("paraphrase",), datasets=("a",))
    import_modules("json")


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"no_such_module_of_tasks.*PYTHONPATH"):
        import_modules(["no_such_module_of_tasks"])


def test_a_held_out_wording_is_reserved_and_the_others_are_not(three):
    three.TaskRegistry.add(
        "m_two",
        source=Generated(lambda index, split: {"q": f"{split} {index}", "a": "a"}, 5),
        preprocessors=[Instruct((Template("one", "{q}", "{a}"), Template("two", "Say: {q}", "{a}")), "letters", "m_two")],
        output_features=text_features(),
    )
    three.MixtureRegistry.add("m_mix", ["m_small", "m_two"], default_rate=1.0)
    for split, reserved in ((HeldOut(templates=("m_two/one",)), ["one"]), (HeldOut(templates=("*/two",)), ["two"])):
        small, two = (instruct_of(one.task) for one in mixture_tasks("m_mix", split))
        assert [one.id for one in two.templates if one.reserved] == reserved
        assert not any(one.reserved for one in small.templates)
    assert not any(one.reserved for one in instruct_of(three.TaskRegistry.get("m_two")).templates)


def test_why_a_task_is_held_out_is_told(three):
    three.MixtureRegistry.add("m_mix", ["m_small", "m_middle", "m_large"], default_rate=1.0)
    split = HeldOut(datasets=("m_small",), siblings=(("m_small", "m_middle"),))
    assert [one.why for one in mixture_tasks("m_mix", split)] == ["", "sibling of the dataset m_small", "the dataset m_small"]
