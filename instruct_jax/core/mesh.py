"""One mesh of devices, and two tables from logical axes to mesh axes: for parameters and for activations."""

import ctypes
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from instruct_jax.errors import InputError

AXES = ("data", "fsdp", "expert", "tensor")

# Where parameters lie at rest: split over fsdp along the model's width, over tensor along heads, hidden units and words,
# over expert along the experts.
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "embed": ("fsdp",),
    "heads": ("tensor",),
    "kv_heads": ("tensor",),
    "mlp": ("tensor",),
    "vocab": ("tensor",),
    "experts": ("expert",),
}
# Where values flow: rows over all axes but tensor, heads, hidden units and words over tensor. At the experts the rows of
# one expert group come together: each of its devices has other experts.
ACTIVATIONS: Mapping[str, tuple[str, ...]] = {
    "batch": ("data", "fsdp", "expert"),
    "expert_batch": ("data", "fsdp"),
    "heads": ("tensor",),
    "kv_heads": ("tensor",),
    "mlp": ("tensor",),
    "vocab": ("tensor",),
    "experts": ("expert",),
}


def make_mesh(data: int = -1, fsdp: int = 1, expert: int = 1, tensor: int = 1, cpu_devices: int | None = None) -> Mesh:
    """A mesh over all devices; one axis may be -1: whatever is left.

    Args:
      data: copies of the model, each with its rows of the batch.
      fsdp: parts that parameters and optimiser state are cut into, each also with its rows of the batch.
      expert: parts that the experts of a mixture are dealt to, each also with its rows of the batch.
      tensor: parts that each matrix product is cut into.
      cpu_devices: on a machine without accelerators, how many devices to split its cores into.

    Raises:
      InputError: the sizes do not multiply to the number of devices.
    """
    if cpu_devices is not None:
        _split_cpu(cpu_devices)
    devices = jax.devices()
    sizes = {"data": data, "fsdp": fsdp, "expert": expert, "tensor": tensor}
    asked = ", ".join(f"{axis}={size}" for axis, size in sizes.items())
    known = math.prod(size for size in sizes.values() if size != -1)
    free = [axis for axis, size in sizes.items() if size == -1]
    if len(free) > 1 or known <= 0 or len(devices) % known or (not free and known != len(devices)):
        raise InputError(
            f"mesh {asked} does not fit {len(devices)} devices; the sizes must multiply to it; one may be -1 (the rest)"
        )
    if free:
        sizes[free[0]] = len(devices) // known
    return jax.make_mesh(tuple(sizes.values()), AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices)


def spec_for(mesh: Any, table: Mapping[str, tuple[str, ...]], shape: Sequence[int], axes: Sequence[str | None]) -> PartitionSpec:
    """How an array with these logical axes lies on the mesh.

    A mesh axis that does not divide its dimension is left out there: two key heads on four devices are copied, not padded.
    """
    entries = []
    for size, axis in zip(shape, axes, strict=True):
        kept: list[str] = []
        for name in table.get(axis, ()) if axis else ():
            width = math.prod(mesh.shape[other] for other in [*kept, name])
            if mesh.shape[name] > 1 and size % width == 0:
                kept.append(name)
        entries.append(tuple(kept) if len(kept) > 1 else kept[0] if kept else None)
    return PartitionSpec(*entries)


def parameter_sharding(mesh: Mesh, shape: Sequence[int], axes: Sequence[str | None]) -> NamedSharding:
    """Where a parameter lies at rest."""
    return NamedSharding(mesh, spec_for(mesh, PARAMETERS, shape, axes))


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def constrain(value: jax.Array, *axes: str | None) -> jax.Array:
    """Ask the compiler to lay an activation out by the table; does nothing where no mesh is set."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.are_all_axes_manual:
        return value
    return jax.lax.with_sharding_constraint(value, spec_for(mesh, ACTIVATIONS, value.shape, axes))


def global_batch(mesh: Mesh, local: Any) -> Any:
    """This process's rows, as global arrays whose first axis is split over data, fsdp and expert.

    Args:
      local: a tree of host arrays, [rows of this process, ...].

    Returns:
      The same tree of jax.Arrays, [rows of all processes, ...].

    Raises:
      InputError: the rows do not divide, so that devices would repeat each other's work.
    """

    def place(array: np.ndarray) -> jax.Array:
        shape = (array.shape[0] * jax.process_count(), *array.shape[1:])
        parts = math.prod(mesh.shape[axis] for axis in ACTIVATIONS["batch"])
        if shape[0] % parts:
            product = " x ".join(ACTIVATIONS["batch"])
            raise InputError(f"a batch of {shape[0]} rows cannot be shared by {product} = {parts} devices; make it a multiple")
        axes = ("batch", *[None] * (array.ndim - 1))
        sharding = NamedSharding(mesh, spec_for(mesh, ACTIVATIONS, shape, axes))
        return jax.make_array_from_process_local_data(sharding, array, shape)

    return jax.tree.map(place, local)


def _split_cpu(count: int) -> None:
    _keep_freed_memory()
    if jax.config.jax_num_cpu_devices == count:
        return
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:
        if len(jax.devices("cpu")) != count:
            raise InputError(
                f"cpu_devices={count} comes too late: jax already runs with {len(jax.devices('cpu'))} CPU devices in this process"
            ) from None


def _keep_freed_memory() -> None:
    """Tell glibc not to give freed memory back to the system: XLA's CPU client takes and frees its workspace in every call.

    Mapping those pages anew each time took half of a small model's step on two cores.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_threshold, keep = -1, -3, 2**31 - 1  # names and numbers of <malloc.h>
        mallopt(trim_threshold, keep)
        _ = mallopt(mmap_threshold, keep) or mallopt(mmap_threshold, 32 << 20)  # the most that older versions take


def placed(mesh: Mesh | None, shape: jax.ShapeDtypeStruct, axes: tuple[str | None, ...] = ()) -> jax.ShapeDtypeStruct:
    """A parameter's shape with where it lies.

    Args:
      mesh: of the devices; None: all of it on this process's first.
      shape: its shape and dtype.
      axes: its logical axes; see `parameter_sharding`.
    """
    if mesh is None:
        sharding: jax.sharding.Sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    else:
        sharding = parameter_sharding(mesh, shape.shape, axes)
    return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding)
