"""Cross-entropy: totals and weights that add up, whatever the rows are cut into."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instruct_jax.core.batch import Batch, positions_of
from instruct_jax.core.metrics import Mean
from instruct_jax.model import logprobs
from instruct_jax.objectives.supervised import CrossEntropy

VOCAB = 13


class Table:
    """A model that predicts the next token from the present one, by a table of logits."""

    def __init__(self, seed=0):
        self.table = jnp.asarray(np.random.default_rng(seed).normal(size=(VOCAB, VOCAB)), jnp.float32)

    def hidden_and_balance(self, tokens, segment_ids, positions):
        del positions
        # As uneven as the row is long: a stand-in that depends on its row alone.
        return jax.nn.one_hot(tokens, VOCAB), (segment_ids > 0).sum(axis=1) / 3

    def logits(self, hidden):
        return hidden @ self.table


def ragged(rows=6, length=9, seed=1):
    random = np.random.default_rng(seed)
    ends = random.integers(2, length + 1, rows)
    segment_ids = (np.arange(length) < ends[:, None]).astype(np.int32)
    weights = (segment_ids * (np.arange(length) >= random.integers(1, length, (rows, 1)))).astype(np.float32)
    weights[1] = 0  # a row with nothing to learn
    return Batch(random.integers(0, VOCAB, (rows, length)).astype(np.int32), segment_ids, positions_of(segment_ids), weights)


def rows_of(batch, chosen):
    return jax.tree.map(lambda array: array[chosen], batch)


def test_the_loss_is_the_hand_worked_one():
    batch, model = ragged(), Table()
    table = np.asarray(jax.nn.log_softmax(model.table))
    total = weight = 0.0
    for row in range(batch.tokens.shape[0]):
        for t in range(1, batch.tokens.shape[1]):
            total -= batch.weights[row, t] * table[batch.tokens[row, t - 1], batch.tokens[row, t]]
            weight += batch.weights[row, t]
    mean, _ = CrossEntropy()(model, batch)
    np.testing.assert_allclose([mean.total, mean.weight], [total, weight], rtol=1e-5)


@pytest.mark.parametrize("cuts", [[slice(0, 1), slice(1, 6)], [slice(0, 2), slice(2, 3), slice(3, 6)], [[5, 0], [3, 1, 2], [4]]])
def test_any_partition_of_the_rows_adds_up_to_the_same_loss(cuts):
    batch, model, objective = ragged(), Table(), CrossEntropy(z_loss=0.1, balance=0.7)
    whole, metrics = objective(model, batch)
    parts = [objective(model, rows_of(batch, cut)) for cut in cuts]
    added = sum((loss for loss, _ in parts), Mean(0.0, 0.0))
    np.testing.assert_allclose(added.value(), whole.value(), rtol=1e-6)
    for name in metrics:
        np.testing.assert_allclose(
            sum((part[name] for _, part in parts), Mean(0.0, 0.0)).value(), metrics[name].value(), rtol=1e-6
        )


def test_a_row_without_supervised_tokens_adds_nothing_and_stays_finite():
    mean, _ = CrossEntropy(z_loss=0.1, balance=0.7)(Table(), rows_of(ragged(), slice(1, 2)))
    assert (float(mean.total), float(mean.weight)) == (0.0, 0.0)
    assert np.isnan(mean.value())


def test_the_z_loss_adds_the_squared_log_normaliser():
    batch, model = ragged(), Table()
    plain, _ = CrossEntropy()(model, batch)
    pulled, metrics = CrossEntropy(z_loss=0.5)(model, batch)
    np.testing.assert_allclose(pulled.value(), plain.value() + 0.5 * metrics["log_z_squared"].value(), rtol=1e-6)
    np.testing.assert_allclose(metrics["nll"].value(), plain.value(), rtol=1e-6)


def test_the_balance_of_a_row_counts_as_much_as_the_row_has_to_teach():
    batch, model = ragged(), Table()
    plain, _ = CrossEntropy()(model, batch)
    pulled, metrics = CrossEntropy(balance=0.5)(model, batch)
    uneven = ((batch.segment_ids > 0).sum(axis=1) / 3 * batch.weights.sum(axis=1)).sum() / batch.weights.sum()
    np.testing.assert_allclose(metrics["balance"].value(), uneven, rtol=1e-6)
    np.testing.assert_allclose(pulled.value(), plain.value() + 0.5 * uneven, rtol=1e-6)


def test_a_weight_on_a_segment_s_first_token_does_not_count():
    batch = ragged()
    weights = batch.weights.copy()
    weights[:, 0] = 5
    np.testing.assert_array_equal(
        CrossEntropy()(Table(), dataclasses.replace(batch, weights=weights))[0].weight, batch.weights.sum()
    )


def test_pad_equal_to_eos_trains_the_real_eos_and_no_padding():
    # Token 2 ends the text, and also fills the row behind it: only its first occurrence is in a segment.
    tokens = np.array([[4, 7, 2, 2, 2]], np.int32)
    segment_ids = np.array([[1, 1, 1, 0, 0]], np.int32)
    weights = np.array([[0, 1, 1, 0, 0]], np.float32)
    batch = Batch(tokens, segment_ids, positions_of(segment_ids), weights)
    gradient = jax.grad(lambda table: CrossEntropy()(_with(table), batch)[0].total)(Table().table)
    assert np.abs(gradient[7]).max() > 0  # 7 predicts the real eos
    assert np.all(np.asarray(gradient[2]) == 0)  # eos predicts nothing


def _with(table):
    model = Table()
    model.table = table
    return model


@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_chunks_equal_the_whole_in_value_and_gradient(monkeypatch, chunk):
    batch = ragged(rows=5, length=12)

    def loss(table):
        return CrossEntropy(z_loss=0.3)(_with(table), batch)[0].total

    wanted, gradient = jax.value_and_grad(loss)(Table().table)
    monkeypatch.setattr(logprobs, "CHUNK", chunk)
    found, chunked = jax.value_and_grad(loss)(Table().table)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    np.testing.assert_allclose(chunked, gradient, rtol=1e-5, atol=1e-6)


def test_no_array_of_all_positions_and_all_words_is_held(monkeypatch):
    batch = ragged(rows=5, length=12)
    monkeypatch.setattr(logprobs, "CHUNK", 4)
    jaxpr = str(jax.make_jaxpr(lambda table: CrossEntropy()(_with(table), batch)[0].total)(Table().table))
    assert f"f32[5,4,{VOCAB}]" in jaxpr
    assert f"f32[5,11,{VOCAB}] = dot_general" not in jaxpr
