"""Mixing: shares of examples or of tokens, caps, and passes over the data, as whole numbers that add up."""

import numpy as np
import pytest

from instruct_jax.errors import InputError
from instruct_jax.tasks.mixing import (
    ByTokens,
    ExamplesProportional,
    Fixed,
    Mixing,
    TaskShape,
    allot,
    largest_remainder,
)

RAGGED = (
    TaskShape("tiny", "qa", 1.0, 7, tokens=310.0, supervised=4.0),
    TaskShape("middle", "qa", 2.0, 900, tokens=55.0, supervised=20.0),
    TaskShape("large", "news", 1.0, 52_000, tokens=120.0, supervised=33.0),
    TaskShape("held", "news", 0.0, 400, tokens=9.0, supervised=3.0),
)


@pytest.mark.parametrize("total", [1, 7, 100, 99_999])
def test_counts_are_within_one_of_their_share_and_sum_to_the_total(total):
    rates = [0.3, 5.0, 0.0, 1e-6, 2.25]
    counts = largest_remainder(rates, total)
    assert sum(counts) == total
    assert np.abs(np.array(counts) - np.array(rates) / sum(rates) * total).max() < 1
    assert counts[2] == 0


def test_flan_caps_the_examples_and_the_rate():
    found = allot(Mixing(ExamplesProportional(maximum=3_000), cap=30_000), RAGGED, 39_070)
    assert found.pools == (7, 900, 30_000, 400)
    assert found.counts == (70, 9_000, 30_000, 0)


def test_shares_of_tokens_are_those_asked_for():
    for supervised, name in ((False, "tokens"), (True, "supervised")):
        counts = allot(Mixing(ByTokens(Fixed({"tiny": 1, "large": 3}), supervised)), RAGGED, 100_000).counts
        tokens = np.array([count * getattr(task, name) for count, task in zip(counts, RAGGED, strict=True)])
        assert tokens / tokens.sum() == pytest.approx([0.25, 0, 0.75, 0], abs=1e-4)


def test_epochs_are_exact_passes():
    assert allot(Mixing(epochs=3), RAGGED, None).counts == (21, 2_700, 156_000, 0)
    assert allot(Mixing(epochs=0.5, cap=100), RAGGED, None).counts == (4, 50, 50, 0)


def test_no_task_exceeds_the_most_epochs_and_the_others_give_in_its_place():
    found = allot(Mixing(most_epochs=2), RAGGED, 10_000)
    assert found.counts == (14, 1_800, 8_186, 0)
    assert found.rates == (0.25, 0.5, 0.25, 0.0)


def test_without_a_bound_small_tasks_go_round_for_ever():
    assert allot(Mixing(), RAGGED, 40_000).counts == (10_000, 20_000, 10_000, 0)


@pytest.mark.parametrize("examples", [1, 13, 1_827, 105_813])
def test_counts_always_sum_to_the_examples_asked_for(examples):
    for mixing in (Mixing(), Mixing(most_epochs=2), Mixing(ExamplesProportional(temperature=5)), Mixing(ByTokens())):
        if mixing.most_epochs is None or examples <= 2 * (7 + 900 + 52_000):
            assert sum(allot(mixing, RAGGED, examples).counts) == examples


def test_a_higher_temperature_evens_the_tasks_out():
    spreads = [np.ptp(allot(Mixing(ExamplesProportional(None, one)), RAGGED[:3], 30_000).counts) for one in (1, 2, 5, 100)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < 0.1 * 30_000


@pytest.mark.parametrize(
    ("mixing", "examples", "message"),
    [
        (Mixing(epochs=2), 10, "either decides"),
        (Mixing(epochs=1e-9), None, "not half an example"),
        (Mixing(most_epochs=1), 60_000, "52,907 examples within Mixing.most_epochs"),
        (Mixing(Fixed({"larg": 1})), 10, "'larg', which is no task or cluster"),
        (Mixing(Fixed({"large": -1})), 10, "the weight -1"),
        (Mixing(Fixed({"held": 1})), 10, "nothing to train on"),
    ],
)
def test_wishes_that_cannot_be_granted_are_refused(mixing, examples, message):
    with pytest.raises(InputError, match=message):
        allot(mixing, RAGGED, examples)


def test_a_source_without_end_needs_a_number():
    endless = (TaskShape("endless", "", 1.0, None), *RAGGED)
    for mixing, message in ((Mixing(), "must say how many"), (Mixing(epochs=1), "no epochs of it")):
        with pytest.raises(InputError, match=message):
            allot(mixing, endless, None)
    with pytest.raises(InputError, match="set a maximum"):
        allot(Mixing(ExamplesProportional(maximum=None)), endless, 10)
    assert allot(Mixing(cap=50), endless, None).pools[0] == 50


@pytest.mark.parametrize(
    "make",
    [
        lambda: Mixing(cap=0),
        lambda: Mixing(epochs=0),
        lambda: Mixing(epochs=1, most_epochs=2),
        lambda: ExamplesProportional(maximum=0),
        lambda: ExamplesProportional(temperature=0),
    ],
)
def test_impossible_values_are_refused_when_they_are_made(make):
    with pytest.raises(InputError, match=r"Mixing|ExamplesProportional"):
        make()
