"""The mesh and its tables."""

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from instruct_jax.core import mesh as meshes
from instruct_jax.errors import InputError


@pytest.mark.parametrize(
    "sizes", [{"data": 3}, {"data": -1, "fsdp": -1}, {"fsdp": 16}, {"data": 2, "fsdp": 2, "tensor": 1}, {"tensor": 0}]
)
def test_sizes_that_do_not_fit_the_devices_are_refused(sizes):
    with pytest.raises(InputError, match=r"does not fit 8 devices"):
        meshes.make_mesh(**sizes)


def test_an_axis_that_does_not_divide_is_copied_not_padded():
    mesh = meshes.make_mesh(data=1, fsdp=2, tensor=4)
    spec = meshes.spec_for(mesh, meshes.PARAMETERS, (6, 2, 8), ("embed", "kv_heads", None))
    assert spec == PartitionSpec("fsdp", None, None)


def test_a_global_batch_has_every_row_in_order():
    mesh = meshes.make_mesh(data=4, fsdp=2)
    rows = {"tokens": np.arange(32).reshape(16, 2)}
    placed = meshes.global_batch(mesh, rows)["tokens"]
    assert placed.sharding.shard_shape(placed.shape) == (2, 2)
    np.testing.assert_array_equal(placed, rows["tokens"])


def test_constrain_does_nothing_without_a_mesh():
    value = jax.numpy.ones((4, 2))
    assert meshes.constrain(value, "batch", None) is value
