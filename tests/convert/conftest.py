"""A tiny HF folder of any family, made without torch: random numbers under the right names."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from instruct_jax.convert.config import write_config
from instruct_jax.convert.families import FAMILIES
from instruct_jax.convert.names import tensors
from instruct_jax.convert.tensor_files import Planned, write_folder
from instruct_jax.model.spec import DecoderSpec


@pytest.fixture
def make_hf(tmp_path):
    """A function (spec, model_type="llama", dtype, max_bytes, seed) -> an HF folder."""

    def make(spec: DecoderSpec, model_type: str = "llama", dtype=jnp.bfloat16, max_bytes: int = 1 << 30, seed: int = 0) -> Path:
        folder = tmp_path / f"{model_type}-{seed}"
        folder.mkdir()
        _, content = write_config(spec, np.dtype(dtype).name, model_type)
        (folder / "config.json").write_text(json.dumps(content))
        random = np.random.default_rng(seed)
        planned = [Planned(one.name, np.dtype(dtype), one.shape) for one in tensors(spec, FAMILIES[model_type])]
        values = (random.standard_normal(one.shape).astype(one.dtype) for one in planned)
        write_folder(folder, planned, values, max_bytes)
        return folder

    return make


@pytest.fixture
def tiny() -> DecoderSpec:
    """Two layers, grouped queries, head_dim that is not embed / heads."""
    return DecoderSpec(embed=8, layers=2, heads=2, kv_heads=1, head_dim=6, mlp=10, vocab_size=11, tied=False)
