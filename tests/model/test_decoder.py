"""The decoder's invariances: causality, isolation of packed documents, and the cache."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from instruct_jax.core import modules
from instruct_jax.core.batch import Batch, positions_of
from instruct_jax.errors import InputError
from instruct_jax.model.decoder import Decoder
from instruct_jax.model.logprobs import token_logprobs
from instruct_jax.model.rope import DynamicNTK, LinearScaling, Rope
from instruct_jax.model.spec import DecoderSpec, Experts, LayerKind
from instruct_jax.objectives.supervised import CrossEntropy

SPEC = DecoderSpec(embed=16, layers=2, heads=4, kv_heads=2, head_dim=6, mlp=24, vocab_size=50)
# Three decoders that have between them all that families differ in; windows and original lengths are shorter than documents.
WINDOWED = dataclasses.replace(
    SPEC,
    layers=3,
    kinds=(LayerKind(window=3), LayerKind(window=3), LayerKind(rope=Rope(1e6, LinearScaling(8.0)))),
    norm_offset=1.0,
    post_norm=True,
    qk_norm="head",
    activation="gelu_tanh",
    embedding_scale=4.0,
    attention_scale=0.3,
    attention_softcap=2.0,
    logit_softcap=3.0,
)
EXPERTS = dataclasses.replace(
    SPEC,
    kinds=(LayerKind(rope=Rope(1e4, DynamicNTK(3.0, 4))),),
    tied=False,
    pre_norm=False,
    post_norm=True,
    qk_norm="width",
    qkv_bias=True,
    experts=Experts(4, 2, normalised=False),
)
SPECS = {"plain": SPEC, "windowed": WINDOWED, "experts": EXPERTS}
LENGTHS, ROOM = (5, 1, 7, 3), 20


def born(spec):
    """A decoder whose norms and biases, born alike, differ too."""
    blueprint, arrays = modules.split(Decoder(spec, jax.random.key(0)))
    random = np.random.default_rng(0)
    vectors = {path for path in arrays if path.endswith(("scale", "bias"))}
    noise = {path: random.normal(size=arrays[path].shape).astype(np.float32) / 5 for path in sorted(vectors)}
    return blueprint.merge({**arrays, **{path: arrays[path] + noise[path] for path in noise}})


# The windowed decoder and that with experts differ from the plain one in everything, and take every branch that it takes.
@pytest.fixture(scope="module", params=[pytest.param("plain", marks=pytest.mark.slow), "windowed", "experts"])
def model(request):
    return born(SPECS[request.param])


@pytest.fixture(scope="module")
def plain():
    return Decoder(SPEC, jax.random.key(0))


def packed(seed=0):
    """One row of documents of these lengths, with ragged weights, and padding behind them; the other rows are padding."""
    random = np.random.default_rng(seed)
    segment_ids = np.zeros((len(LENGTHS), ROOM), np.int32)
    segment_ids[0, : sum(LENGTHS)] = np.repeat(np.arange(1, len(LENGTHS) + 1), LENGTHS)
    tokens = np.where(segment_ids > 0, random.integers(0, 50, segment_ids.shape), 0).astype(np.int32)
    weights = np.where(segment_ids > 0, random.integers(0, 2, segment_ids.shape), 0).astype(np.float32)
    return Batch(tokens, segment_ids, positions_of(segment_ids), weights)


def alone(row):
    """The same documents, one in each row, in arrays of the same shape."""
    tokens, segment_ids, weights = (np.zeros((len(LENGTHS), ROOM), dtype) for dtype in (np.int32, np.int32, np.float32))
    for index, (start, length) in enumerate(zip(np.cumsum((0, *LENGTHS[:-1])), LENGTHS, strict=True)):
        tokens[index, :length] = row.tokens[0, start : start + length]
        weights[index, :length] = row.weights[0, start : start + length]
        segment_ids[index, :length] = 1
    return Batch(tokens, segment_ids, positions_of(segment_ids), weights)


# Compiled once for each kind of model; the blocks' scan would else be compiled anew at every call.
@nnx.jit
def hidden_of(model, tokens, segment_ids, positions):
    return model(tokens, segment_ids, positions)


@nnx.jit
def logits_of(model, batch):
    return model.logits(model(batch.tokens, batch.segment_ids, batch.positions))


@nnx.jit
def logprobs_of(model, batch):
    return token_logprobs(model, batch)


@nnx.jit
def extended(model, tokens, positions, cache, lengths=None):
    return model.extend(tokens, positions, cache, lengths)


def gradient_of(model):
    """A compiled function batch -> loss, and its gradient by path."""
    blueprint, arrays = modules.split(model)

    def loss(arrays, batch):
        mean, _ = CrossEntropy(z_loss=1e-3)(blueprint.merge(arrays), batch)
        return mean.total / mean.weight

    return functools.partial(jax.jit(jax.value_and_grad(loss)), arrays)


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
    together, apart = logits_of(model, row), logits_of(model, alone(row))
    wanted = np.concatenate([apart[index, :length] for index, length in enumerate(LENGTHS)])
    np.testing.assert_allclose(together[0, : sum(LENGTHS)], wanted, rtol=1e-5, atol=1e-5)


def test_packed_equals_alone_in_loss_and_every_parameter_s_gradient(model):
    row, compiled = packed(), gradient_of(model)
    (loss, gradient), (wanted_loss, wanted) = (compiled(batch) for batch in (row, alone(row)))
    np.testing.assert_allclose(loss, wanted_loss, rtol=1e-6)
    assert set(gradient) == set(wanted)
    for path in wanted:
        np.testing.assert_allclose(gradient[path], wanted[path], rtol=1e-4, atol=1e-6, err_msg=path)


def test_a_changed_neighbour_changes_no_bit_nor_does_the_future(model):
    row = packed()
    tokens = row.tokens.copy()
    tokens[0, 2] = (tokens[0, 2] + 1) % 50  # in the first document
    before, after = (logprobs_of(model, dataclasses.replace(row, tokens=one)) for one in (row.tokens, tokens))
    assert not np.array_equal(before[0, : LENGTHS[0]], after[0, : LENGTHS[0]])
    assert np.array_equal(before[0, LENGTHS[0] :], after[0, LENGTHS[0] :])
    assert np.array_equal(before[0, :2], after[0, :2])


def test_a_segment_s_first_token_and_padding_score_nothing(plain):
    row = packed()
    logprobs = np.asarray(logprobs_of(plain, row))
    assert np.array_equal(logprobs == 0, row.positions == 0)


def test_token_logprobs_are_the_log_softmax_one_step_before(plain):
    row = packed()
    logits = logits_of(plain, row)
    position = 3
    wanted = jax.nn.log_softmax(logits[0, position - 1])[row.tokens[0, position]]
    np.testing.assert_allclose(logprobs_of(plain, row)[0, position], wanted, rtol=1e-5)


def test_id_zero_is_an_ordinary_token(plain):
    tokens = np.array([[3, 0, 0, 7]], np.int32)
    ones = np.ones_like(tokens)
    batch = Batch(tokens, ones, positions_of(ones), np.ones((1, 4), np.float32))
    logprobs = logprobs_of(plain, batch)
    assert np.all(np.asarray(logprobs[0, 1:]) < 0)
    mean, _ = CrossEntropy()(plain, batch)
    assert float(mean.weight) == 3
    np.testing.assert_allclose(mean.total, -logprobs.sum(), rtol=1e-6)


# A base that grows with the row turns a key by the length at which it was cached: no full pass does the same.
@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(SPEC, id="plain", marks=pytest.mark.slow),
        pytest.param(WINDOWED, id="windowed"),
        pytest.param(dataclasses.replace(EXPERTS, kinds=SPEC.kinds), id="experts"),
    ],
)
def test_cached_decode_equals_teacher_forcing(spec):
    model = born(spec)
    tokens = np.random.default_rng(0).integers(0, 50, (2, 8)).astype(np.int32)
    positions = np.broadcast_to(np.arange(8, dtype=np.int32), (2, 8))
    wanted = hidden_of(model, tokens, np.ones_like(tokens), positions)
    cache, parts, start = model.empty_cache(2, 11), [], 0
    for size in (5, 1, 1, 1):
        hidden, cache = extended(model, tokens[:, start : start + size], positions[:, start : start + size], cache)
        parts.append(hidden)
        start += size
    np.testing.assert_allclose(np.concatenate(parts, axis=1), wanted, rtol=1e-4, atol=1e-5)


def test_a_prompt_s_padding_neither_lengthens_it_nor_reaches_an_expert():
    model = born(EXPERTS)
    tokens = np.random.default_rng(0).integers(0, 50, (2, 8)).astype(np.int32)
    positions = np.broadcast_to(np.arange(8, dtype=np.int32), (2, 8))
    padded, _ = extended(model, tokens, positions, model.empty_cache(2, 8), np.array([8, 5], np.int32))
    for row, length in enumerate((8, 5)):
        segment_ids = (positions[row:][:1] < length).astype(np.int32)
        wanted = hidden_of(model, tokens[row:][:1], segment_ids, positions[row:][:1])
        np.testing.assert_allclose(padded[row, :length], wanted[0, :length], rtol=1e-4, atol=1e-5)


def test_a_window_hides_what_lies_before_it():
    model = born(dataclasses.replace(WINDOWED, layers=2, kinds=(LayerKind(window=3),)))
    tokens = jnp.arange(8)[None]
    ones = jnp.ones_like(tokens)
    hidden = [hidden_of(model, tokens.at[0, changed].set(40), ones, jnp.arange(8)[None])[0] for changed in (1, 2)]
    # Two layers of three positions each reach four positions back.
    assert not np.array_equal(hidden[0][5], hidden[1][5])
    assert np.array_equal(hidden[0][7], hidden[1][7])


@pytest.mark.parametrize("remat", [pytest.param("dots", marks=pytest.mark.slow), "full"])
def test_what_the_backward_pass_keeps_changes_no_gradient(plain, remat):
    row = packed()
    loss, gradient = gradient_of(Decoder(SPEC, jax.random.key(0), remat=remat))(row)
    wanted_loss, wanted = gradient_of(plain)(row)
    np.testing.assert_allclose(loss, wanted_loss, rtol=1e-6)
    for path in wanted:
        np.testing.assert_allclose(gradient[path], wanted[path], rtol=1e-5, atol=1e-6, err_msg=path)


def test_untied_models_have_a_head_of_their_own():
    _, arrays = modules.abstract(lambda: Decoder(dataclasses.replace(SPEC, tied=False), jax.random.key(0)))
    assert arrays["head/kernel"].shape == (16, 50)


def test_bfloat16_computes_near_fp32_with_fp32_parameters(plain):
    row = packed()
    narrow = Decoder(SPEC, jax.random.key(0), jnp.bfloat16)
    assert {array.dtype for array in modules.split(narrow)[1].values()} == {jnp.dtype("float32")}
    assert jax.eval_shape(hidden_of, narrow, row.tokens, row.segment_ids, row.positions).dtype == jnp.bfloat16
    np.testing.assert_allclose(logprobs_of(narrow, row), logprobs_of(plain, row), atol=0.05)


@pytest.mark.parametrize(
    ("change", "message"), [({"kv_heads": 3}, "kv_heads=3 does not divide heads=4"), ({"head_dim": 5}, "is odd")]
)
def test_impossible_sizes_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SPEC, **change)
