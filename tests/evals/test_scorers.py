"""Scorers give known answers, stay between 0 and 1, and warn of nothing."""

import pytest

from instruct_jax.evals.metrics import METRICS
from instruct_jax.evals.scorers import SCORERS, bleu, exact_match, normalized, rouge_l, token_f1

AWKWARD = ["", " ", "a", "The!", "?", "日本語", "kite", "a red kite flies", "kite " * 40, "\n"]


@pytest.mark.parametrize("name", SCORERS)
def test_every_scorer_stays_in_its_bounds_on_awkward_text(name):
    low, high = METRICS[name].bounds
    for output in AWKWARD:
        for target in AWKWARD:
            assert low <= SCORERS[name](output, target) <= high, (output, target)


@pytest.mark.parametrize("name", SCORERS)
def test_saying_the_target_is_worth_one_and_something_else_nothing(name):
    assert SCORERS[name]("a red kite flies high", "a red kite flies high") == pytest.approx(1)
    assert SCORERS[name]("nothing", "red kite flies high") == 0


def test_normalisation_is_squads():
    assert normalized("An  answer: the U.S.A.'s (first)") == "answer usas first"
    # Nothing would be left of these, yet they differ.
    assert exact_match("a", "the") == 0
    assert exact_match(" A", "a") == 1
    assert exact_match("?", "!") == 0


def test_values_by_hand():
    assert token_f1("red red kite", "red kite kite") == pytest.approx(2 / 3)  # two shared of three and three
    assert token_f1("", "kite") == 0
    assert rouge_l("the dog bit the man", "the man bit the dog") == pytest.approx(3 / 5)  # "the bit the", or as long
    # Precisions 4/4, 3/3, 2/2, 1/1; brevity penalty exp(1 - 8/4).
    assert bleu("one two three four", "one two three four five six seven eight") == pytest.approx(2.718281828**-1, rel=1e-4)
