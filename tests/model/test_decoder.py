"""The decoder's invariances: causality, isolation of packed documents, and the cache."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instruct_jax.core import modules, trees
from instruct_jax.core.batch import Batch, positions_of
from instruct_jax.errors import InputError
from instruct_jax.model.decoder import REMAT, Decoder
from instruct_jax.model.logprobs import token_logprobs
from instruct_jax.model.spec import DecoderSpec
from instruct_jax.objectives.supervised import CrossEntropy

SPEC = DecoderSpec(embed=16, layers=2, heads=4, kv_heads=2, head_dim=6, mlp=24, vocab_size=50)
LENGTHS = (5, 1, 7, 3)


@pytest.fixture(scope="module")
def model():
    return Decoder(SPEC, jax.random.key(0))


def packed(seed=0, lengths=LENGTHS, room=20):
    """One row of documents of these lengths, with ragged weights, and padding behind them."""
    random = np.random.default_rng(seed)
    segment_ids = np.zeros((1, room), np.int32)
    segment_ids[0, : sum(lengths)] = np.repeat(np.arange(1, len(lengths) + 1), lengths)
    tokens = np.where(segment_ids > 0, random.integers(0, 50, (1, room)), 0).astype(np.int32)
    weights = np.where(segment_ids > 0, random.integers(0, 2, (1, room)), 0).astype(np.float32)
    return Batch(tokens, segment_ids, positions_of(segment_ids), weights)


def alone(row, lengths=LENGTHS):
    """The same documents, one in each row."""
    room, starts = max(lengths), np.cumsum((0, *lengths[:-1]))
    tokens, segment_ids, weights = (np.zeros((len(lengths), room), dtype) for dtype in (np.int32, np.int32, np.float32))
    for index, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        tokens[index, :length] = row.tokens[0, start : start + length]
        weights[index, :length] = row.weights[0, start : start + length]
        segment_ids[index, :length] = 1
    return Batch(tokens, segment_ids, positions_of(segment_ids), weights)


def loss_and_gradient(model, batch):
    blueprint, arrays = modules.split(model)

    def loss(arrays):
        mean, _ = CrossEntropy(z_loss=1e-3)(blueprint.merge(arrays), batch)
        return mean.total / mean.weight

    return jax.jit(jax.value_and_grad(loss))(arrays)


def test_the_future_has_no_gradient(model):
    tokens = jnp.arange(8)[None]
    ones = jnp.ones_like(tokens)

    def score(table, position):
        blueprint, arrays = modules.split(model)
        hidden = blueprint.merge({**arrays, "embedding": table})(tokens, ones, jnp.arange(8)[None])
        return hidden[0, position].sum()

    gradient = jax.jit(jax.grad(score), static_argnums=1)(model.embedding[...], 3)
    assert np.all(np.asarray(gradient[4:8]) == 0)
    assert np.all(np.abs(np.asarray(gradient[:4])).max(axis=1) > 0)


def test_packed_equals_alone_in_every_logit(model):
    row = packed()
    together = model.logits(model(row.tokens, row.segment_ids, row.positions))
    rows = alone(row)
    apart = model.logits(model(rows.tokens, rows.segment_ids, rows.positions))
    wanted = np.concatenate([apart[index, :length] for index, length in enumerate(LENGTHS)])
    np.testing.assert_allclose(together[0, : sum(LENGTHS)], wanted, rtol=1e-5, atol=1e-5)


def test_packed_equals_alone_in_loss_and_every_parameter_s_gradient(model):
    row = packed()
    (loss, gradient), (wanted_loss, wanted) = (loss_and_gradient(model, batch) for batch in (row, alone(row)))
    np.testing.assert_allclose(loss, wanted_loss, rtol=1e-6)
    assert set(gradient) == set(wanted)
    for path in wanted:
        np.testing.assert_allclose(gradient[path], wanted[path], rtol=1e-4, atol=1e-6, err_msg=path)


def test_a_changed_neighbour_changes_no_bit(model):
    row = packed()
    tokens = row.tokens.copy()
    tokens[0, 2] = (tokens[0, 2] + 1) % 50  # in the first document
    before, after = (token_logprobs(model, dataclasses.replace(row, tokens=one)) for one in (row.tokens, tokens))
    assert not np.array_equal(before[0, : LENGTHS[0]], after[0, : LENGTHS[0]])
    assert np.array_equal(before[0, LENGTHS[0] :], after[0, LENGTHS[0] :])


def test_a_segment_s_first_token_and_padding_score_nothing(model):
    row = packed()
    logprobs = np.asarray(token_logprobs(model, row))
    assert np.array_equal(logprobs == 0, row.positions == 0)


def test_token_logprobs_are_the_log_softmax_one_step_before(model):
    row = packed()
    logits = model.logits(model(row.tokens, row.segment_ids, row.positions))
    position = 3
    wanted = jax.nn.log_softmax(logits[0, position - 1])[row.tokens[0, position]]
    np.testing.assert_allclose(token_logprobs(model, row)[0, position], wanted, rtol=1e-5)


def test_id_zero_is_an_ordinary_token(model):
    tokens = np.array([[3, 0, 0, 7]], np.int32)
    ones = np.ones_like(tokens)
    batch = Batch(tokens, ones, positions_of(ones), np.ones((1, 4), np.float32))
    logprobs = token_logprobs(model, batch)
    assert np.all(np.asarray(logprobs[0, 1:]) < 0)
    mean, _ = CrossEntropy()(model, batch)
    assert float(mean.weight) == 3
    np.testing.assert_allclose(mean.total, -logprobs.sum(), rtol=1e-6)


@pytest.mark.parametrize("chunks", [(8,), (3, 5), (1,) * 8])
def test_cached_decode_equals_teacher_forcing(model, chunks):
    tokens = np.random.default_rng(0).integers(0, 50, (2, 8)).astype(np.int32)
    positions = np.broadcast_to(np.arange(8, dtype=np.int32), (2, 8))
    wanted = model(tokens, np.ones_like(tokens), positions)
    cache, parts, start = model.empty_cache(2, 11), [], 0
    for size in chunks:
        hidden, cache = model.extend(tokens[:, start : start + size], positions[:, start : start + size], cache)
        parts.append(hidden)
        start += size
    np.testing.assert_allclose(np.concatenate(parts, axis=1), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("remat", [name for name in REMAT if name != "none"])
def test_what_the_backward_pass_keeps_changes_no_gradient(model, remat):
    row = packed()
    loss, gradient = loss_and_gradient(Decoder(SPEC, jax.random.key(0), remat=remat), row)
    wanted_loss, wanted = loss_and_gradient(model, row)
    np.testing.assert_allclose(loss, wanted_loss, rtol=1e-6)
    for path in wanted:
        np.testing.assert_allclose(gradient[path], wanted[path], rtol=1e-5, atol=1e-6, err_msg=path)


def test_untied_models_have_a_head_of_their_own():
    _, arrays = modules.abstract(lambda: Decoder(dataclasses.replace(SPEC, tied=False), jax.random.key(0)))
    assert arrays["head/kernel"].shape == (16, 50)


def test_bfloat16_computes_near_fp32_with_fp32_parameters(model):
    row = packed()
    narrow = Decoder(SPEC, jax.random.key(0), jnp.bfloat16)
    assert {array.dtype for array in modules.split(narrow)[1].values()} == {jnp.dtype("float32")}
    assert narrow(row.tokens, row.segment_ids, row.positions).dtype == jnp.bfloat16
    np.testing.assert_allclose(token_logprobs(narrow, row), token_logprobs(model, row), atol=0.05)


def test_an_eight_billion_parameter_shape_counts_what_the_paper_says():
    # Llama 3 8B (Dubey et al. 2024, arXiv:2407.21783, table 3): 8.03 billion parameters.
    spec = DecoderSpec(embed=4096, layers=32, heads=32, kv_heads=8, head_dim=128, mlp=14_336, vocab_size=128_256, tied=False)
    _, shapes = modules.abstract(lambda: Decoder(spec, jax.random.key(0)))
    assert trees.count(shapes) == 8_030_261_248


@pytest.mark.parametrize(
    ("change", "message"), [({"kv_heads": 3}, "kv_heads=3 does not divide heads=4"), ({"head_dim": 5}, "is odd")]
)
def test_impossible_sizes_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SPEC, **change)
