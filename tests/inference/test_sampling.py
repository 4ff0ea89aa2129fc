"""Sampling keeps what its filters say, and draws each item by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instruct_jax.errors import InputError
from instruct_jax.inference.sampling import GREEDY, Sampling, filtered_logits, item_keys, sampled, step_keys

LOGITS = np.log(np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]], np.float32))


def kept(sampling: Sampling) -> list[list[int]]:
    return [np.flatnonzero(np.isfinite(row)).tolist() for row in np.asarray(filtered_logits(jnp.asarray(LOGITS), sampling))]


def test_an_item_draws_the_same_alone_and_in_any_company():
    sampling = Sampling(temperature=1.0)
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(6, 50)), jnp.float32)
    together = sampled(logits, step_keys(item_keys(7, jnp.arange(6, dtype=jnp.uint32)), 3), sampling)
    for item in range(6):
        alone = sampled(logits[item : item + 1], step_keys(item_keys(7, jnp.array([item], jnp.uint32)), 3), sampling)
        assert int(alone[0]) == int(together[item])
    other = sampled(logits, step_keys(item_keys(8, jnp.arange(6, dtype=jnp.uint32)), 3), sampling)
    assert other.tolist() != together.tolist()


def test_draws_follow_the_probabilities():
    count = 4000
    logits = jnp.broadcast_to(LOGITS[0], (count, 4))
    keys = item_keys(0, jnp.arange(count, dtype=jnp.uint32))
    share = np.bincount(np.asarray(sampled(logits, keys, Sampling(1.0))), minlength=4) / count
    np.testing.assert_allclose(share, [0.4, 0.3, 0.2, 0.1], atol=4 * np.sqrt(0.25 / count))
    colder = np.bincount(np.asarray(sampled(logits, keys, Sampling(0.5))), minlength=4) / count
    np.testing.assert_allclose(colder, np.array([16, 9, 4, 1]) / 30, atol=4 * np.sqrt(0.25 / count))


def test_greedy_takes_the_most_probable():
    assert sampled(jnp.asarray(LOGITS), jax.random.split(jax.random.key(0), 2), GREEDY).tolist() == [0, 3]


def test_top_k_keeps_k_and_top_p_keeps_the_smallest_set_that_reaches_p():
    assert kept(Sampling(1.0, top_k=2)) == [[0, 1], [2, 3]]
    assert kept(Sampling(1.0, top_p=0.6)) == [[0, 1], [2, 3]]
    assert kept(Sampling(1.0, top_p=0.05)) == [[0], [3]]
    assert kept(Sampling(1.0, top_p=1.0)) == [[0, 1, 2, 3]] * 2
    assert kept(Sampling(1.0, top_k=99)) == [[0, 1, 2, 3]] * 2
    # top-p counts what top-k left: .4/.9 and .3/.9 of it reach .7
    assert kept(Sampling(1.0, top_k=3, top_p=0.7)) == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"temperature": 0.0}, "temperature"), ({"top_k": 5}, "top_k"), ({"temperature": 1.0, "top_p": 1.5}, "top_p")],
)
def test_impossible_settings_are_refused_by_name(fields, named):
    with pytest.raises(InputError, match=named):
        Sampling(**fields)
