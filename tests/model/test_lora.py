"""Adapters: nothing changes at birth, merged equals attached, and noise is where it should be."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from instruct_jax.core import modules, trees
from instruct_jax.errors import InputError
from instruct_jax.model.decoder import Decoder
from instruct_jax.model.loading import DecoderSource, merged
from instruct_jax.model.lora import ADAPTER, Lora
from instruct_jax.model.lora_source import LoraSource
from instruct_jax.model.quantised import Quantisation
from instruct_jax.model.spec import DecoderSpec, Experts

SPEC = DecoderSpec(embed=16, layers=2, heads=4, kv_heads=2, head_dim=6, mlp=24, vocab_size=50, qkv_bias=True, tied=False)
LORA = Lora(rank=3, alpha=5.0)
KINDS = {
    "plain": LORA,
    "rank_stabilised": dataclasses.replace(LORA, rank_stabilised=True),
    "weight_decomposed": dataclasses.replace(LORA, weight_decomposed=True),
}
DATA = {"tokenizer": {"vocab_size": 50}}
TOKENS = np.random.default_rng(0).integers(0, 50, (2, 9)).astype(np.int32)
SEGMENTS = np.array([[1] * 4 + [2] * 5, [1] * 7 + [0] * 2], np.int32)
POSITIONS = np.array([[*range(4), *range(5)], [*range(7), 0, 0]], np.int32)


@nnx.jit
def scores(model):
    return model.logits(model(TOKENS, SEGMENTS, POSITIONS))


def logits(model):
    return np.asarray(scores(model))


def built(lora=LORA, key=0, **fields):
    return LoraSource(DecoderSource(SPEC), lora, **fields).build(jax.random.key(key))


def trained(model, seed=1):
    """The model with every adapter parameter moved at random, as training would."""
    blueprint, arrays = modules.split(model)
    random = np.random.default_rng(seed)
    moved = {
        path: array + 0.1 * random.standard_normal(array.shape).astype(np.float32)
        if path.rpartition("/")[2] in ADAPTER
        else array
        for path, array in arrays.items()
    }
    return blueprint.merge(moved)


def without_adapter(model):
    """The ordinary decoder with the same frozen parameters."""
    blueprint, shapes = modules.abstract(lambda: Decoder(SPEC, jax.random.key(0)))
    arrays = modules.split(model)[1]
    return blueprint.merge({path: arrays[path] for path in shapes})


@pytest.mark.parametrize("kind", ["plain", "rank_stabilised"])
def test_an_adapter_at_birth_changes_no_bit(kind):
    model = built(KINDS[kind])
    assert np.array_equal(logits(model), logits(without_adapter(model)))


def test_a_weight_decomposed_adapter_at_birth_changes_nothing():
    model = built(KINDS["weight_decomposed"])
    np.testing.assert_allclose(logits(model), logits(without_adapter(model)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_merged_equals_attached(kind):
    model = trained(built(KINDS[kind]))
    attached = logits(model)
    assert np.abs(attached - logits(without_adapter(model))).max() > 0.01
    np.testing.assert_allclose(logits(merged(model, DecoderSource(SPEC))), attached, rtol=1e-5, atol=1e-5)


def test_merged_equals_attached_over_quantised_kernels():
    model = trained(built(KINDS["weight_decomposed"], quantisation=Quantisation("nf4", block=8)))
    np.testing.assert_allclose(logits(merged(model, DecoderSource(SPEC))), logits(model), rtol=1e-5, atol=1e-5)


def test_a_rank_stabilised_adapter_is_larger_by_the_root_of_its_rank():
    plain, stabilised = (trained(built(KINDS[kind])) for kind in ("plain", "rank_stabilised"))
    kernels = [modules.split(merged(model, DecoderSource(SPEC)))[1]["layers/mlp/up/kernel"] for model in (plain, stabilised)]
    frozen = modules.split(plain)[1]["layers/mlp/up/kernel"]
    np.testing.assert_allclose(kernels[1] - frozen, np.sqrt(3) * (kernels[0] - frozen), rtol=1e-3, atol=1e-5)


def test_the_first_matrix_is_drawn_within_the_inverse_root_of_its_inputs():
    arrays = modules.split(built(Lora(rank=64)))[1]
    for path, inputs in {"layers/mlp/down/lora_a": 24, "layers/attention/output/lora_a": 24, "layers/mlp/up/lora_a": 16}.items():
        bound = inputs**-0.5
        largest = float(jnp.abs(arrays[path]).max())
        assert 0.97 * bound < largest <= bound, path
        np.testing.assert_allclose(jnp.std(arrays[path]), bound / np.sqrt(3), rtol=0.05, err_msg=path)


def test_only_the_adapter_and_what_is_named_beside_it_is_trainable():
    source = LoraSource(
        DecoderSource(SPEC),
        dataclasses.replace(LORA, targets=("layers/attention/(query|value)",), beside=("embedding", ".*norm/scale")),
    )
    blueprint, shapes = modules.abstract(lambda: source.fit(DATA).build(jax.random.key(0)))
    trainable, frozen = trees.select(shapes, source.trainable)
    wanted = {f"layers/attention/{name}/{part}" for name in ("query", "value") for part in ("lora_a", "lora_b")}
    assert set(trainable) == wanted | {"embedding", "norm/scale", "layers/attention_norm/scale", "layers/mlp_norm/scale"}
    assert "layers/attention/query/kernel" in frozen
    assert blueprint.axes["layers/attention/query/lora_b"] == (None, None, "heads", None)


def test_a_bfloat16_base_has_fp32_adapters_norms_and_parameters_beside():
    source = LoraSource(DecoderSource(SPEC), dataclasses.replace(LORA, beside=("embedding",)), base_dtype="bfloat16")
    _, shapes = modules.abstract(lambda: source.build(jax.random.key(0)))
    narrow = {path for path, shape in shapes.items() if shape.dtype == jnp.bfloat16}
    assert narrow == {path for path in shapes if path.endswith("/kernel")}


def test_dropout_differs_by_seed_layer_and_product_and_is_off_without_a_seed():
    model = trained(built(dataclasses.replace(LORA, dropout=0.5)))
    blueprint, arrays = modules.split(model)
    off, first, again, other = (
        logits(blueprint.merge(arrays, noise)) for noise in (None, jax.random.key(1), jax.random.key(1), jax.random.key(2))
    )
    exact = logits(trained(built(LORA)))
    np.testing.assert_array_equal(off, exact)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, off)
    assert not np.array_equal(first, other)
    seeded = blueprint.merge(arrays, jax.random.key(1))
    seeds = [np.asarray(linear.seed[...]) for linear in (seeded.layers.attention.query, seeded.layers.mlp.down)]
    assert len({int(seed) for pair in seeds for seed in pair}) == 4


def test_dropout_leaves_the_expectation_and_zeroes_its_share():
    linear = built(dataclasses.replace(LORA, dropout=0.25)).layers.mlp.up
    linear.seed.set_value(jnp.uint32(7))
    dropped = np.asarray(linear._dropped(jnp.ones((10, 50, 40))))
    assert set(np.unique(dropped)) == {0.0, np.float32(1 / 0.75)}
    np.testing.assert_allclose(dropped.mean(), 1.0, atol=0.02)


def test_an_adapter_takes_hold_beside_experts_but_not_of_them():
    spec = dataclasses.replace(SPEC, experts=Experts(4, 2))
    adapted = LoraSource(DecoderSource(spec), dataclasses.replace(LORA, targets=("layers/attention/",)))
    assert any(path.endswith("lora_a") for path in modules.abstract(lambda: adapted.build(jax.random.key(0)))[0].paths)
    with pytest.raises(InputError, match=r"'layers/mlp/up' matches no dense product.*layers/mlp/router.*kernels of experts"):
        LoraSource(DecoderSource(spec), dataclasses.replace(LORA, targets=("layers/mlp/up",))).build(jax.random.key(0))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (LoraSource(DecoderSource(SPEC), Lora(targets=("layers/attention/q_proj",))), "'layers/attention/q_proj' matches no"),
        (LoraSource(DecoderSource(SPEC), Lora(beside=("lm_head",))), "'lm_head', which matches no parameter"),
        (LoraSource(DecoderSource(SPEC), Lora(beside=("layers/mlp/up",))), "trains layers/mlp/up/kernel in full though"),
        (LoraSource(DecoderSource(SPEC, freeze=("norm",)), LORA), "freeze has no effect under an adapter"),
        (LoraSource(DecoderSource(SPEC), LORA, quantisation=Quantisation()), 'remat "none" keeps every dequantised kernel'),
    ],
)
def test_what_does_not_fit_is_refused_by_name(source, message):
    with pytest.raises(InputError, match=re.escape(message)):
        source.fit(DATA)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rank": 0}, "rank is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"targets": ()}, "targets is empty"),
        ({"targets": "layers"}, "targets is the text 'layers'"),
        ({"beside": ("(",)}, "no regular expression"),
    ],
)
def test_impossible_adapters_are_refused(fields, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Lora(**fields)


def test_an_adapter_survives_its_manifest():
    lora = Lora(4, 8.0, ("layers/mlp",), 0.1, True, True, ("embedding",))
    assert Lora.from_json(lora.to_json()) == lora
    with pytest.raises(InputError, match="does not know: colour"):
        Lora.from_json({**lora.to_json(), "colour": "red"})
