"""Mixture of experts: every token reaches its experts, padding reaches none, and devices change nothing."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from instruct_jax.core import mesh as meshes
from instruct_jax.core import modules
from instruct_jax.core.batch import Batch, positions_of
from instruct_jax.core.metrics import Mean
from instruct_jax.model.decoder import Decoder
from instruct_jax.model.experts import MixtureOfExperts, load_balance, routed
from instruct_jax.model.spec import DecoderSpec, Experts
from instruct_jax.objectives.supervised import CrossEntropy

SPEC = DecoderSpec(embed=16, layers=2, heads=4, kv_heads=2, head_dim=4, mlp=12, vocab_size=50, experts=Experts(4, 2))

# Router scores of five tokens over four experts, and what they come to with two experts a token, over all five and over the
# first three: `load_balancing_loss_func` of transformers 5.23.0 (models/mixtral/modeling_mixtral.py), the second time with
# the attention mask [1, 1, 1, 0, 0].
SCORES = [[1.5, -0.5, 0.25, 0.0], [0.1, 0.2, 0.3, 0.9], [2.0, 1.0, -1.0, 0.5], [0.0, 0.4, -0.3, 0.2], [-1.0, 0.6, 0.1, 1.1]]
RECORDED = (2.008533000946045, 2.1431057453155518)


def batch(rows=4, length=12, seed=0):
    random = np.random.default_rng(seed)
    segment_ids = np.zeros((rows, length), np.int32)
    for row in range(rows):
        middle, end = sorted(random.integers(2, length, 2))
        segment_ids[row, :middle], segment_ids[row, middle:end] = 1, 2
    segment_ids[2] = 0  # nothing but padding
    weights = np.where(segment_ids > 0, random.integers(0, 3, (rows, length)), 0).astype(np.float32)
    tokens = random.integers(0, 50, (rows, length)).astype(np.int32)
    return Batch(tokens, segment_ids, positions_of(segment_ids), weights)


def gradient_of(blueprint):
    """A compiled function (arrays, batch) -> gradient of the loss's total, and metrics."""

    def total(arrays, batch):
        loss, metrics = CrossEntropy(z_loss=1e-3, balance=0.3)(blueprint.merge(arrays), batch)
        return loss.total, {"loss": loss, **metrics}

    return jax.jit(jax.grad(total, has_aux=True))


@pytest.fixture(scope="module")
def model():
    return Decoder(SPEC, jax.random.key(0))


@pytest.fixture(scope="module")
def step(model):
    return gradient_of(modules.split(model)[0])


@pytest.fixture(scope="module")
def one_device(model, step):
    """Gradient and metrics of all four rows at once."""
    return step(modules.split(model)[1], batch())


@pytest.mark.parametrize("normalised", [True, False])
def test_each_token_is_the_weighted_sum_of_its_likeliest_experts(normalised):
    spec = DecoderSpec(embed=6, layers=1, heads=1, kv_heads=1, head_dim=6, mlp=5, vocab_size=9, experts=Experts(4, 3, normalised))
    layer = MixtureOfExperts(spec, jax.random.key(1))
    hidden = np.random.default_rng(0).normal(size=(2, 5, 6)).astype(np.float32)
    # All tokens of the first row choose alike: no expert is ever full.
    hidden[0] = hidden[0, 0]
    real = np.ones((2, 5), bool)
    real[1, 3:] = False
    found, _ = layer(hidden, real)
    router, gate, up, down = (part.kernel[...] for part in (layer.router, layer.gate, layer.up, layer.down))
    for row, column in np.ndindex(2, 5):
        token = hidden[row, column]
        probabilities = jax.nn.softmax(token @ router)
        chosen = np.argsort(-probabilities)[:3]
        weights = probabilities[chosen] / (probabilities[chosen].sum() if normalised else 1)
        outputs = [(jax.nn.silu(token @ gate[expert]) * (token @ up[expert])) @ down[expert] for expert in chosen]
        wanted = sum(weight * output for weight, output in zip(weights, outputs, strict=True)) * real[row, column]
        np.testing.assert_allclose(found[row, column], wanted, rtol=1e-4, atol=1e-5)


def test_balance_is_that_of_transformers_for_one_row_and_one_layer():
    scores = jnp.asarray([SCORES, SCORES])
    real = jnp.asarray([[True] * 5, [True] * 3 + [False] * 2])
    probabilities = jax.nn.softmax(scores)
    found = load_balance(probabilities, jax.lax.top_k(probabilities, 2)[1], real)
    np.testing.assert_allclose(found, RECORDED, rtol=1e-6)


def test_balance_of_an_even_row_is_the_number_of_choices_and_of_padding_zero():
    probabilities = jnp.full((2, 4, 4), 0.25)
    chosen = jnp.asarray([[[0, 1], [2, 3], [0, 3], [2, 1]]] * 2)
    real = jnp.asarray([[True] * 4, [False] * 4])
    np.testing.assert_allclose(load_balance(probabilities, chosen, real), [2.0, 0.0])


def test_padding_changes_no_bit(model):
    first = batch()
    tokens = np.where(first.segment_ids == 0, (first.tokens + 7) % 50, first.tokens)
    assert not np.array_equal(tokens, first.tokens)
    forward = nnx.jit(lambda model, tokens: model.hidden_and_balance(tokens, first.segment_ids, first.positions))
    (hidden, balance), (again, balance_again) = (forward(model, one) for one in (first.tokens, tokens))
    real = first.segment_ids > 0
    assert np.array_equal(np.asarray(hidden)[real], np.asarray(again)[real])
    assert np.array_equal(balance, balance_again)
    assert np.all(np.asarray(balance)[[0, 1, 3]] >= 1)
    assert float(balance[2]) == 0


@pytest.mark.parametrize(
    "sizes", [{"data": 1, "fsdp": 2, "expert": 2, "tensor": 2}, pytest.param({"data": 2, "expert": 4}, marks=pytest.mark.slow)]
)
def test_one_device_equals_eight(model, one_device, sizes):
    blueprint, arrays = modules.split(model)
    mesh = meshes.make_mesh(**sizes)
    placed = {
        path: jax.device_put(array, meshes.parameter_sharding(mesh, array.shape, blueprint.axes[path]))
        for path, array in arrays.items()
    }
    rows = jax.tree.map(lambda array: np.concatenate([array, 0 * array]), batch())  # for eight devices, with rows of padding
    whole = arrays["layers/mlp/gate/kernel"]
    assert (
        placed["layers/mlp/gate/kernel"].addressable_shards[0].data.size * math.prod(sizes.values()) == whole.size * sizes["data"]
    )
    with jax.set_mesh(mesh):
        gradient, metrics = gradient_of(blueprint)(placed, meshes.global_batch(mesh, rows))
    for name, mean in one_device[1].items():
        np.testing.assert_allclose(metrics[name].value(), mean.value(), rtol=1e-5, err_msg=name)
    for path, wanted in one_device[0].items():
        np.testing.assert_allclose(gradient[path], wanted, rtol=1e-4, atol=1e-5, err_msg=path)


def test_any_partition_of_the_rows_adds_up_to_the_same_loss_and_gradient(model, step, one_device):
    def rows(chosen):
        """The batch with only these rows; the others are padding, so that the shape is compiled once."""
        kept = np.isin(np.arange(4), chosen)[:, None]
        return jax.tree.map(lambda array: np.where(kept, array, 0).astype(array.dtype), batch())

    _, arrays = modules.split(model)
    parts = [step(arrays, rows(chosen)) for chosen in ([0], [1, 2], [3])]
    for name, mean in one_device[1].items():
        added = sum((metrics[name] for _, metrics in parts), Mean(0.0, 0.0))
        np.testing.assert_allclose(added.value(), mean.value(), rtol=1e-5, err_msg=name)
    for path, wanted in one_device[0].items():
        added = sum(gradient[path] for gradient, _ in parts)
        np.testing.assert_allclose(added, wanted, rtol=1e-4, atol=1e-5, err_msg=path)


def test_the_balance_moves_the_scores_of_real_tokens_alone():
    real = jnp.asarray([[True] * 3 + [False] * 2])
    gradient = jax.grad(lambda scores: routed(scores, real, SPEC.experts)[2].sum())(jnp.asarray([SCORES]))
    assert np.array_equal(np.abs(np.asarray(gradient)).max(axis=-1) > 1e-3, real)
    assert np.all(np.asarray(gradient)[0, 3:] == 0)
