"""A small decoder with random weights, and ragged prompts for it."""

import jax
import numpy as np
import pytest

from instruct_jax.model.decoder import Decoder
from instruct_jax.model.spec import DecoderSpec

SPEC = DecoderSpec(embed=32, layers=2, heads=4, kv_heads=2, head_dim=8, mlp=48, vocab_size=259)


@pytest.fixture(scope="session")
def spec() -> DecoderSpec:
    return SPEC


@pytest.fixture(scope="session")
def model() -> Decoder:
    return Decoder(SPEC, jax.random.key(0))


@pytest.fixture(scope="session")
def prompts() -> list[np.ndarray]:
    """Nine prompts of 1 to 40 tokens; ids 0 and 2 (eos) occur inside."""
    random = np.random.default_rng(0)
    return [random.integers(0, 259, size).astype(np.int32) for size in (1, 3, 5, 8, 13, 21, 31, 33, 40)]
