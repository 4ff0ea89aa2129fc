"""One order of a mixture: samples rather than first rows, permutations of their own, and any stretch without the rest."""

import collections

import numpy as np
import pytest

from instruct_jax.tasks import order as order_module
from instruct_jax.tasks.order import Order


def _draws(names, sizes, counts, seed, pools=None):
    return Order(names, sizes, sizes if pools is None else pools, counts, seed).draws()


def test_the_realised_mixture_is_the_one_asked_for_everywhere_in_the_order():
    """D5, and not only in the totals: each quarter of the order passes a chi-square test at one in a thousand."""
    shares = [6_000, 1_500, 500]
    order = [one.task for one in _draws(["a", "b", "c"], [10, 100, None], shares, seed=0)]
    for quarter in np.split(np.array(order), 4):
        observed, expected = np.bincount(quarter, minlength=3), np.array(shares) / 4
        assert ((observed - expected) ** 2 / expected).sum() < 13.82  # chi-square, 2 degrees of freedom, p = .001
    assert order != sorted(order)


def test_a_task_with_more_examples_than_its_share_gives_a_sample_and_not_the_first_ones():
    indices = [one.index for one in _draws(["a"], [10_000], [500], seed=0)]
    assert len(set(indices)) == 500
    assert 4_000 < np.mean(indices) < 6_000
    assert {one.index for one in _draws(["a"], [10_000], [500], seed=1)} != set(indices)


def test_a_task_with_fewer_goes_round_in_a_new_order_each_time():
    places = [(one.index, one.epoch) for one in _draws(["a"], [50], [130], seed=0)]
    epochs = [[index for index, epoch in places if epoch == number] for number in range(3)]
    assert [sorted(epoch) for epoch in epochs[:2]] == [list(range(50))] * 2
    assert len(set(epochs[2])) == 30
    assert epochs[0] != epochs[1]


def test_two_tasks_of_one_size_get_different_permutations_under_one_seed():
    by_task = collections.defaultdict(list)
    for one in _draws(["a", "b"], [40, 40], [40, 40], seed=0):
        by_task[one.task].append(one.index)
    assert sorted(by_task[0]) == sorted(by_task[1])
    assert by_task[0] != by_task[1]


def test_the_order_is_a_function_of_the_seed():
    first, again, other = (list(_draws(["a", "b"], [30, None], [40, 20], seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_stretches_are_the_same_whatever_was_asked_before_and_however_little_is_kept(monkeypatch):
    arguments = (["a", "b", "c"], [50, 90, None], [20, 90, 30], [75, 200, 100], 0)
    whole = Order(*arguments).stretch(0, 375)
    for kept in (1, 60, 1 << 23):
        monkeypatch.setattr("instruct_jax.tasks.order._NUMBERS_KEPT", kept)
        order = Order(*arguments)
        for start in (300, 0, 180, 20, 300):
            assert order.stretch(start, start + 70) == whole[start : start + 70]


def test_a_pass_over_a_large_task_is_drawn_once_for_all_stretches(monkeypatch):
    drawn = []
    real = order_module.seeded_generator
    monkeypatch.setattr(order_module, "seeded_generator", lambda seed, purpose: drawn.append(purpose) or real(seed, purpose))
    names = [f"task {number}" for number in range(20)]
    order = Order(names, [500] * 20, [100] * 20, [100] * 20, seed=0)
    for start in range(0, 2_000, 200):
        order.stretch(start, start + 200)
    assert len(drawn) == 1 + 2 * len(names)


def test_a_source_without_end_never_repeats_and_other_seeds_meet_other_records():
    first = [one.index for one in _draws(["a"], [None], [1_000], seed=0)]
    other = [one.index for one in _draws(["a"], [None], [1_000], seed=1)]
    assert len(set(first)) == 1_000
    assert not set(first) & set(other)


def test_adding_a_task_leaves_the_samples_of_the_others_alone():
    def sample(names, sizes, counts):
        return [one.index for one in _draws(names, sizes, counts, seed=0) if names[one.task] == "b"]

    assert sample(["b"], [500], [60]) == sample(["a", "b"], [80, 500], [70, 60])


@pytest.mark.parametrize("cut", [1, 7, 64, 1_000])
def test_stretches_of_any_size_make_the_same_order(cut):
    order = Order(["a", "b", "c"], [30, None, 700], [20, None, 700], [250, 90, 300], seed=5)
    whole = order.stretch(0, len(order))
    pieces = [order.stretch(start, start + cut) for start in range(0, len(order), cut)]
    assert [one for piece in pieces for one in piece] == whole == list(order.draws())
    for task in range(3):
        used = [(one.index, one.epoch) for one in whole if one.task == task]
        assert used == order.uses(task, 0, len(used))
        assert used[10:30] == order.uses(task, 10, 30)


def test_a_cap_keeps_one_sample_through_all_epochs():
    by_epoch = collections.defaultdict(list)
    for one in _draws(["a"], [10_000], [900], seed=0, pools=[300]):
        by_epoch[one.epoch].append(one.index)
    assert len(by_epoch) == 3
    assert len(set(by_epoch[0])) == 300
    assert set(by_epoch[0]) == set(by_epoch[1]) == set(by_epoch[2])
    assert by_epoch[0] != by_epoch[1]
    assert 4_000 < np.mean(by_epoch[0]) < 6_000


def test_a_cap_on_a_source_without_end_gives_one_block_again_and_again():
    indices = [one.index for one in _draws(["a"], [None], [30], seed=0, pools=[10])]
    assert sorted(set(indices)) == list(range(min(indices), min(indices) + 10))
