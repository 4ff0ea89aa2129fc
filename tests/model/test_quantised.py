"""Quantised kernels: the published code book, a block by hand, stated errors, and layouts that survive stacks and heads."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from instruct_jax.core import modules, trees
from instruct_jax.errors import InputError
from instruct_jax.model.decoder import Decoder
from instruct_jax.model.loading import DecoderSource
from instruct_jax.model.lora import Lora
from instruct_jax.model.lora_source import LoraSource
from instruct_jax.model.quantised import NF4, Quantisation, QuantisedKernel, dequantise, quantise
from instruct_jax.model.spec import DecoderSpec, Experts

SPEC = DecoderSpec(embed=64, layers=2, heads=4, kv_heads=2, head_dim=16, mlp=96, vocab_size=50)


def there_and_back(kernel, contracted, produced, quantisation):
    codes, scales = quantise(kernel, contracted, produced, quantisation)
    split = kernel.ndim - produced
    return dequantise(codes, scales, kernel.shape[split - contracted : split], produced, quantisation)


def test_the_code_book_is_made_of_quantiles_of_a_normal_distribution():
    # Appendix E of arXiv:2305.14314: 8 positive and 7 negative quantiles, evenly spaced from .5 to an offset; and zero.
    from scipy.stats import norm

    offset = 0.9677083
    positive = norm.ppf(np.linspace(offset, 0.5, 9)[:-1])
    negative = -norm.ppf(np.linspace(offset, 0.5, 8)[:-1])
    values = np.sort(np.concatenate([positive, [0.0], negative]))
    np.testing.assert_allclose(NF4, values / values.max(), atol=1e-6)


def test_every_value_of_the_code_book_comes_back_exactly():
    kernel = jnp.array(NF4)[:, None] * 3.0
    np.testing.assert_array_equal(there_and_back(kernel, 1, 1, Quantisation("nf4", 16)), kernel)


def test_a_block_by_hand():
    kernel = jnp.array([[0.5], [-2.0], [1.3], [0.05], [4.0], [0.0]])
    codes, scales = quantise(kernel, 1, 1, Quantisation("nf4", 4))
    np.testing.assert_array_equal(scales[:, 0], [2.0, 4.0])
    # .25 -> .2461 (10), -1 -> -1 (0); .65 -> .7230 (14), .025 -> 0 (7); 1 (15), 0 (7); and what fills the block up.
    np.testing.assert_array_equal(codes[:, 0], [10, 14 + 16 * 7, 15 + 16 * 7, 7 + 16 * 7])
    back = there_and_back(kernel, 1, 1, Quantisation("nf4", 4))
    np.testing.assert_allclose(back[:, 0], [2 * NF4[10], -2.0, 2 * NF4[14], 0.0, 4.0, 0.0], rtol=1e-6)


@pytest.mark.parametrize(("form", "error"), [("nf4", 0.095), ("int8", 0.0075)])
def test_normal_weights_come_back_within_a_stated_error(form, error):
    kernel = jax.random.normal(jax.random.key(0), (1024, 64))
    back = there_and_back(kernel, 1, 1, Quantisation(form, 64))
    relative = float(jnp.linalg.norm(back - kernel) / jnp.linalg.norm(kernel))
    assert 0.7 * error < relative < error


def test_zeros_stay_zeros():
    kernel = jnp.zeros((64, 4))
    for form in ("nf4", "int8"):
        np.testing.assert_array_equal(there_and_back(kernel, 1, 1, Quantisation(form)), kernel)


@pytest.mark.parametrize("form", ["nf4", "int8"])
def test_a_stack_of_heads_is_quantised_like_each_of_its_matrices(form):
    kernel = jax.random.normal(jax.random.key(1), (3, 5, 10, 7))  # layers, heads, width, outputs: 50 inputs
    together = there_and_back(kernel, 2, 1, Quantisation(form, 16))
    apart = [there_and_back(one.reshape(50, 7), 1, 1, Quantisation(form, 16)).reshape(5, 10, 7) for one in kernel]
    np.testing.assert_array_equal(together, np.stack(apart))


def test_the_frozen_kernels_take_four_and_a_half_and_eight_and_a_half_bits():
    def bits(form):
        source = LoraSource(DecoderSource(SPEC), Lora(rank=2), quantisation=Quantisation(form))
        _, shapes = modules.abstract(lambda: source.build(jax.random.key(0)))
        held = {path: one for path, one in shapes.items() if path.startswith("layers/attention/query/kernel/")}
        return 8 * trees.size(held) / (2 * 64 * 64)

    assert (bits("nf4"), bits("int8")) == (4.5, 8.5)


def test_a_quantised_decoder_answers_near_the_dense_one_and_its_gradient_flows_through():
    source = LoraSource(DecoderSource(SPEC, remat="dots"), Lora(rank=2), quantisation=Quantisation("int8"))
    blueprint, arrays = modules.split(source.build(jax.random.key(0)))
    reference, base = modules.split(DecoderSource(SPEC).build(jax.random.split(jax.random.key(0))[0]))
    tokens = np.arange(24, dtype=np.int32).reshape(2, 12)
    ones, positions = np.ones_like(tokens), np.broadcast_to(np.arange(12), (2, 12))

    def logits(blueprint, arrays):
        model = blueprint.merge(arrays)
        return model.logits(model(tokens, ones, positions))

    wanted = logits(reference, base)
    near = jnp.linalg.norm(logits(blueprint, arrays) - wanted) / jnp.linalg.norm(wanted)
    assert 0 < near < 0.02

    trainable, frozen = trees.select(arrays, source.trainable)
    gradient = jax.grad(lambda some: jnp.square(logits(blueprint, {**some, **frozen})).sum())(trainable)
    assert all(float(jnp.abs(one).max()) > 0 for path, one in gradient.items() if path.endswith("lora_b"))


def test_experts_are_quantised_each_by_itself_and_the_router_is_not():
    spec = DecoderSpec(embed=16, layers=2, heads=2, kv_heads=2, head_dim=8, mlp=24, vocab_size=50, experts=Experts(4, 2))
    source = LoraSource(DecoderSource(spec), Lora(2, targets=("layers/attention/",)), quantisation=Quantisation("nf4", 16))
    blueprint, shapes = modules.abstract(lambda: source.build(jax.random.key(0)))
    assert shapes["layers/mlp/down/kernel/codes"].shape == (2, 4, 16, 16)  # layers, experts, 24 inputs in two blocks, outputs
    assert blueprint.axes["layers/mlp/down/kernel/scales"] == (None, "experts", "mlp", "embed")
    assert "layers/mlp/router/kernel" in shapes
    model = source.build(jax.random.key(0))
    plain = Decoder(spec, jax.random.split(jax.random.key(0))[0])
    found, wanted = model.layers.mlp.up.kernel[...], plain.layers.mlp.up.kernel[...]
    assert found.shape == wanted.shape
    assert 0 < jnp.linalg.norm(found - wanted) / jnp.linalg.norm(wanted) < 0.1


def test_logical_axes_follow_the_inputs_and_the_outputs():
    source = LoraSource(DecoderSource(SPEC), Lora(rank=2), quantisation=Quantisation())
    blueprint, _ = modules.abstract(lambda: source.build(jax.random.key(0)))
    assert blueprint.axes["layers/attention/query/kernel/codes"] == (None, "embed", "heads", None)
    assert blueprint.axes["layers/attention/output/kernel/codes"] == (None, "heads", "embed")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Quantisation("fp4"), "format='fp4'; choose one of nf4, int8"),
        (lambda: Quantisation(block=63), "block=63"),
        (
            lambda: LoraSource(DecoderSource(SPEC), Lora(), quantisation=Quantisation(kernels=("head",))).build(
                jax.random.key(0)
            ),
            "'head' matches no kernel; the blocks have layers/attention/key/kernel",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises(InputError, match=re.escape(message)):
        make()


def test_a_quantised_kernel_reads_like_a_dense_one():
    kernel = jax.random.normal(jax.random.key(0), (2, 32, 4, 8))
    held = QuantisedKernel(kernel, 1, 2, ("embed", "heads", None), Quantisation("int8", 16))
    assert held.shape == held[...].shape == kernel.shape
    assert isinstance(held.codes, nnx.Param)
