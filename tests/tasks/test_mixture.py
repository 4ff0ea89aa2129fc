"""Mixtures: SeqIO's rates as exact counts, samples rather than first rows, and orders of their own."""

import collections
import functools

import numpy as np
import pytest
import seqio

from instruct_jax.errors import InputError
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.mixture import (
    NOTHING_HELD_OUT,
    HeldOut,
    draws,
    import_modules,
    largest_remainder,
    mixing_rates,
    mixture_tasks,
)
from instruct_jax.tasks.sources import Generated
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


@pytest.mark.parametrize("total", [1, 7, 100, 99_999])
def test_counts_are_within_one_of_their_share_and_sum_to_the_total(total):
    rates = [0.3, 5.0, 0.0, 1e-6, 2.25]
    counts = largest_remainder(rates, total)
    assert sum(counts) == total
    assert np.abs(np.array(counts) - np.array(rates) / sum(rates) * total).max() < 1
    assert counts[2] == 0


def test_the_realised_mixture_is_the_one_asked_for_everywhere_in_the_order():
    """D5, and not only in the totals: each quarter of the order passes a chi-square test at one in a thousand."""
    shares = [6_000, 1_500, 500]
    order = [one.task for one in draws(["a", "b", "c"], [10, 100, None], shares, seed=0)]
    for quarter in np.split(np.array(order), 4):
        observed, expected = np.bincount(quarter, minlength=3), np.array(shares) / 4
        assert ((observed - expected) ** 2 / expected).sum() < 13.82  # chi-square, 2 degrees of freedom, p = .001
    assert order != sorted(order)


def test_a_task_with_more_examples_than_its_share_gives_a_sample_and_not_the_first_ones():
    indices = [one.index for one in draws(["a"], [10_000], [500], seed=0)]
    assert len(set(indices)) == 500
    assert 4_000 < np.mean(indices) < 6_000
    assert {one.index for one in draws(["a"], [10_000], [500], seed=1)} != set(indices)


def test_a_task_with_fewer_goes_round_in_a_new_order_each_time():
    places = [(one.index, one.epoch) for one in draws(["a"], [50], [130], seed=0)]
    epochs = [[index for index, epoch in places if epoch == number] for number in range(3)]
    assert [sorted(epoch) for epoch in epochs[:2]] == [list(range(50))] * 2
    assert len(set(epochs[2])) == 30
    assert epochs[0] != epochs[1]


def test_two_tasks_of_one_size_get_different_permutations_under_one_seed():
    by_task = collections.defaultdict(list)
    for one in draws(["a", "b"], [40, 40], [40, 40], seed=0):
        by_task[one.task].append(one.index)
    assert sorted(by_task[0]) == sorted(by_task[1])
    assert by_task[0] != by_task[1]


def test_the_order_is_a_function_of_the_seed():
    first, again, other = (list(draws(["a", "b"], [30, None], [40, 20], seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_a_source_without_end_never_repeats_and_other_seeds_meet_other_records():
    first = [one.index for one in draws(["a"], [None], [1_000], seed=0)]
    other = [one.index for one in draws(["a"], [None], [1_000], seed=1)]
    assert len(set(first)) == 1_000
    assert not set(first) & set(other)


def test_adding_a_task_leaves_the_samples_of_the_others_alone():
    def sample(names, sizes, counts):
        return [one.index for one in draws(names, sizes, counts, seed=0) if names[one.task] == "b"]

    assert sample(["b"], [500], [60]) == sample(["a", "b"], [80, 500], [70, 60])
