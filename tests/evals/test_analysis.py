"""Intervals mean what they say: hand-worked numbers, and coverage counted in simulations."""

import math

import numpy as np
import pytest

from instruct_jax.evals.analysis import clustered_mean, distinguishable, paired_difference, wilson


def test_copies_of_an_item_teach_nothing():
    random = np.random.default_rng(0)
    values = (random.random(40) < 0.7).astype(float)
    once = clustered_mean(values, range(40), bounds=(0, 1))
    five = clustered_mean(np.repeat(values, 5), np.repeat(range(40), 5), bounds=(0, 1))
    assert five.stderr == pytest.approx(once.stderr)
    assert five.interval == pytest.approx(once.interval, abs=0.004)
    assert (once.n, five.n, five.clusters) == (40, 200, 40)


def test_clustered_standard_error_by_hand():
    # Mean .6; residual sums: a: .4 + .4 = .8, b: .4 - .6 = -.2, c: -.6; squares .64 + .04 + .36 = 1.04; times 3/2; over 25.
    found = clustered_mean([1, 1, 1, 0, 0], list("aabbc"))
    assert found.value == pytest.approx(0.6)
    assert found.stderr == pytest.approx(math.sqrt(1.04 * 1.5) / 5)
    # Student's t with 2 degrees of freedom: 4.3027
    assert found.interval[1] - found.value == pytest.approx(4.3027 * found.stderr, rel=1e-4)


def test_with_one_item_a_cluster_it_is_the_textbook():
    values = np.array([0.2, 0.4, 0.9, 0.7])
    found = clustered_mean(values, range(4))
    assert found.stderr == pytest.approx(values.std(ddof=1) / 2)
    binary = clustered_mean([1] * 8 + [0] * 2, range(10), bounds=(0, 1))
    assert binary.interval == pytest.approx(wilson(0.8, 10))


def test_weighted_mean_is_total_over_total():
    # 6 nats over 3 tokens and 4 over 1: 10 / 4, not the mean of 2 and 4.
    found = clustered_mean([2.0, 4.0], ["a", "b"], weights=[3, 1])
    assert found.value == 2.5
    assert found.stderr == pytest.approx(math.sqrt(2 * (1.5**2 + 1.5**2)) / 4)


def test_all_right_and_all_wrong_get_honest_intervals():
    right = clustered_mean([1.0] * 30, np.repeat(range(10), 3), bounds=(0, 1))
    assert right.interval == pytest.approx(wilson(1.0, 10))  # ten records, not thirty answers
    wrong = clustered_mean([0.0] * 10, range(10), bounds=(0, 1))
    assert wrong.interval == pytest.approx((0.0, 1 - right.interval[0]))
    assert clustered_mean([1.0], ["a"], bounds=(0, 1)).interval[0] < 0.3
    alone = clustered_mean([1.0], ["a"])
    assert (alone.stderr, alone.interval) == (None, None)


def test_scores_in_between_get_narrower_intervals_than_yes_or_no():
    random = np.random.default_rng(1)
    between = clustered_mean(random.uniform(0.4, 0.6, 100), range(100), bounds=(0, 1))
    either = clustered_mean(np.arange(100) % 2, range(100), bounds=(0, 1))
    assert between.interval[1] - between.interval[0] < 0.25 * (either.interval[1] - either.interval[0])


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.98])
def test_intervals_of_clustered_answers_cover_as_often_as_they_claim(rate):
    random = np.random.default_rng(2)
    hits, naive, runs, records, wordings = 0, 0, 600, 40, 5
    for _ in range(runs):
        # Wordings of a record mostly agree: the record's own answer, replaced by a fresh one three times in ten.
        answers = np.repeat(random.random(records) < rate, wordings)
        fresh = random.random(records * wordings) < 0.3
        answers = np.where(fresh, random.random(records * wordings) < rate, answers).astype(float)
        found = clustered_mean(answers, np.repeat(range(records), wordings), bounds=(0, 1))
        hits += found.interval[0] <= rate <= found.interval[1]
        low, high = wilson(answers.mean(), len(answers))
        naive += low <= rate <= high
    assert 0.925 <= hits / runs <= 0.99
    assert naive / runs < 0.85  # what taking the wordings for independent would have claimed


def test_pairing_finds_what_separate_intervals_hide():
    random = np.random.default_rng(3)
    easy = random.random(200) < 0.5
    base = easy.astype(float)
    tuned = base.copy()
    tuned[np.flatnonzero(base == 0)[:10]] = 1  # ten items more, none lost
    difference = paired_difference(tuned, base, range(200), bounds=(0, 1))
    assert difference.value == pytest.approx(0.05)
    assert distinguishable(difference)
    one, other = (clustered_mean(values, range(200), bounds=(0, 1)) for values in (base, tuned))
    assert one.interval[1] > other.interval[0]
    assert not distinguishable(paired_difference(tuned, base, np.arange(200) // 100, bounds=(0, 1)))


def test_swapping_the_checkpoints_negates_the_difference():
    random = np.random.default_rng(4)
    left, right = random.random(30), random.random(30)
    one = paired_difference(left, right, range(30), bounds=(0, 1))
    other = paired_difference(right, left, range(30), bounds=(0, 1))
    assert other.value == pytest.approx(-one.value)
    assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]))


def test_a_difference_of_nothing_is_not_distinguishable():
    same = paired_difference([1, 0, 1], [1, 0, 1], range(3), bounds=(0, 1))
    assert same.value == 0
    assert not distinguishable(same)
    assert same.interval[0] < 0 < same.interval[1]


def test_paired_intervals_cover_as_often_as_they_claim():
    random = np.random.default_rng(5)
    hits, runs = 0, 600
    for _ in range(runs):
        base = random.random(60) < 0.4
        tuned = base | (random.random(60) < 0.2)
        found = paired_difference(tuned, base, range(60), bounds=(0, 1))
        hits += found.interval[0] <= 0.6 * 0.2 <= found.interval[1]
    assert 0.92 <= hits / runs <= 0.985
