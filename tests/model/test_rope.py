"""Rotary frequencies: the numbers of transformers, recorded, and what a growing base does."""

import numpy as np
import pytest

from instruct_jax.model.rope import (
    DynamicNTK,
    LinearScaling,
    Llama3,
    Rope,
    YaRN,
    frequencies,
    rope_from_json,
    rope_to_json,
    turns,
)

# transformers 5.23.0, modeling_rope_utils.ROPE_INIT_FUNCTIONS, head_dim 16, theta 10000, fp32; the second number is its
# `attention_factor`. Dynamic: max_position_embeddings 16 and seq_len as given.
RECORDED = [
    (
        LinearScaling(4.0),
        [0.25, 0.079056941, 0.0250000004, 0.00790569466, 0.00249999994, 0.000790569466, 0.000250000012, 7.90569466e-05],
        1.0,
    ),
    (
        Llama3(8.0, 1.0, 4.0, 256),
        [1.0, 0.316227764, 0.100000001, 0.00661310693, 0.00124999997, 0.000395284733, 0.000125000006, 3.95284733e-05],
        1.0,
    ),
    (
        YaRN(4.0, 64),
        [1.0, 0.237170815, 0.049999997, 0.00790569466, 0.00249999994, 0.000790569466, 0.000250000012, 7.90569466e-05],
        1.138629436111989,
    ),
    (
        YaRN(4.0, 64, beta_fast=16.0, beta_slow=2.0, attention_factor=0.8, truncate=False),
        [1.0, 0.14849025, 0.0250000004, 0.00790569466, 0.00249999994, 0.000790569466, 0.000250000012, 7.90569466e-05],
        0.8,
    ),
]
DYNAMIC = {
    16: [1.0, 0.316227764, 0.100000001, 0.0316227786, 0.00999999978, 0.00316227786, 0.00100000005, 0.000316227786],
    40: [1.0, 0.247875661, 0.0614423491, 0.0152300633, 0.00377516216, 0.000935770862, 0.000231954808, 5.74959558e-05],
}


@pytest.mark.parametrize(("scaling", "wanted", "multiplier"), RECORDED)
def test_frequencies_are_those_of_transformers(scaling, wanted, multiplier):
    found, found_multiplier = frequencies(Rope(10_000.0, scaling), 16)
    np.testing.assert_allclose(found, wanted, rtol=2e-6)
    assert found_multiplier == multiplier
    assert found.dtype == np.float32


def test_a_dynamic_base_grows_with_the_sequence_of_each_token():
    lengths = np.array([[3, 16, 40]], np.int32)
    cosines, sines = turns([Rope(10_000.0, DynamicNTK(3.0, 16))], 16, np.full((1, 3), 5), lengths)
    for index, length in enumerate((16, 16, 40)):
        angles = 5 * np.array(DYNAMIC[length])
        np.testing.assert_allclose(cosines[0, 0, index], np.cos(angles), rtol=1e-5)
        np.testing.assert_allclose(sines[0, 0, index], np.sin(angles), rtol=1e-5)


def test_sharpened_scores_multiply_cosines_and_sines():
    positions, lengths = np.zeros((1, 1), np.int32), np.ones((1, 1), np.int32)
    cosines, _ = turns([Rope(), Rope(10_000.0, YaRN(4.0, 64))], 16, positions, lengths)
    np.testing.assert_allclose(cosines[:, 0, 0, 0], [1.0, 1.138629436], rtol=1e-6)


@pytest.mark.parametrize("scaling", [None, DynamicNTK(2.0, 32), *[scaling for scaling, _, _ in RECORDED]])
def test_a_manifest_brings_a_rope_back(scaling):
    rope = Rope(500_000.0, scaling)
    assert rope_from_json(rope_to_json(rope)) == rope
