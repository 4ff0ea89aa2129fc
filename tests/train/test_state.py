"""The state: sharded from birth, and nothing large copied to every device."""

import jax
import numpy as np
import pytest

from instruct_jax.core import mesh as meshes
from instruct_jax.model.loading import DecoderSource
from instruct_jax.model.spec import DecoderSpec
from instruct_jax.train import optimizer
from instruct_jax.train.state import abstract_state, fresh_state

MODEL = DecoderSource(DecoderSpec(embed=32, layers=2, heads=4, kv_heads=2, head_dim=8, mlp=64, vocab_size=64), freeze=("norm",))


@pytest.mark.parametrize("optimise", [optimizer.adamw, optimizer.adafactor])
def test_no_large_array_is_copied_to_every_device(optimise):
    mesh = meshes.make_mesh(data=1, fsdp=4, tensor=2)
    transform = optimise(optimizer.warmup_constant(1e-3))
    _, shapes = abstract_state(MODEL, transform, mesh)
    state = fresh_state(MODEL, transform, shapes, seed=0)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        copied = leaf.sharding.is_fully_replicated
        assert leaf.size < 256 or not copied, f"{jax.tree_util.keystr(path)} {leaf.shape} lies whole on every device"


def test_fresh_parameters_do_not_depend_on_the_mesh():
    transform = optimizer.adamw(optimizer.warmup_constant(1e-3))
    states = []
    for sizes in ({"data": 8}, {"data": 1, "fsdp": 2, "tensor": 4}):
        _, shapes = abstract_state(MODEL, transform, meshes.make_mesh(**sizes))
        states.append(fresh_state(MODEL, transform, shapes, seed=3))
    for path, array in states[0].parameters().items():
        np.testing.assert_array_equal(array, states[1].parameters()[path], err_msg=path)


def test_frozen_parameters_have_no_moments():
    transform = optimizer.adamw(optimizer.warmup_constant(1e-3))
    _, shapes = abstract_state(MODEL, transform, meshes.make_mesh())
    assert set(shapes.frozen) == {"norm/scale"}
    moments = [
        path for path, _ in jax.tree_util.tree_leaves_with_path(shapes.opt_state) if "norm/scale'" in jax.tree_util.keystr(path)
    ]
    assert [path for path in moments if "layers" not in jax.tree_util.keystr(path)] == []
