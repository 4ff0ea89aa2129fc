"""Tensors of an HF folder onto their shards, one at a time: the host holds no more of a tensor than it is moving."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from instruct_jax.convert.families import Family
from instruct_jax.convert.names import EMBEDDING, HEAD, Parameter, Part, tensors
from instruct_jax.convert.tensor_files import Entry, narrowed
from instruct_jax.core import mesh as meshes
from instruct_jax.core import modules
from instruct_jax.errors import InputError
from instruct_jax.model.decoder import Decoder
from instruct_jax.model.spec import DecoderSpec

# Rows that are compared at a time.
_ROWS = 4096
Index = tuple[slice, ...]


def stream(
    spec: DecoderSpec,
    family: Family,
    entries: Mapping[str, Entry],
    wanted: Mapping[str, Parameter],
    mesh: jax.sharding.Mesh | None,
    dtype: Any = None,
    report: Callable[[int], None] = lambda _: None,
) -> dict[str, jax.Array]:
    """A model's parameters by path, each on its shards; of the files, this process reads what its devices need.

    Args:
      entries: the folder's tensors.
      wanted: from `names.parameters`.
      mesh: where to lay them; None: this process's first device.
      dtype: of the parameters; None: as in the files.
      report: called with 1 after each tensor.

    Raises:
      InputError: an output layer that should be the embedding is another, or a number is too large for the dtype.
    """
    if spec.tied and HEAD in entries:
        _require_equal(entries[HEAD], entries[EMBEDDING])
    stacks = {
        path: _Stack(one.shape, one.dtype if dtype is None else np.dtype(dtype), sharding)
        for (path, one), sharding in zip(wanted.items(), _shardings(spec, wanted, mesh), strict=True)
    }
    for tensor in tensors(spec, family):
        for part in tensor.parts:
            stacks[part.path].put(part, tensor.name, entries[tensor.name])
        report(1)
    return {path: stack.array() for path, stack in stacks.items()}


class _Stack:
    """A parameter in the making: on each device its shard, into which cells are written in place."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, sharding: jax.sharding.Sharding):
        self._shape, self._dtype, self._sharding = shape, dtype, sharding
        self._devices: dict[tuple[tuple[int, int], ...], list[jax.Device]] = {}
        for device, index in sharding.addressable_devices_indices_map(shape).items():
            bounds = tuple(one.indices(size)[:2] for one, size in zip(index, shape, strict=True))
            self._devices.setdefault(bounds, []).append(device)
        self._shards: dict[jax.Device, jax.Array] = {}

    def put(self, part: Part, name: str, entry: Entry) -> None:
        """Write one cell, or the parts of it that lie here; copies on several devices are read once."""
        stacked = len(part.cell)
        for bounds, devices in self._devices.items():
            if not all(start <= at < stop for at, (start, stop) in zip(part.cell, bounds, strict=False)):
                continue
            at = tuple(at - start for at, (start, _) in zip(part.cell, bounds, strict=False))
            for device in devices:
                if device not in self._shards:
                    self._shards[device] = jnp.zeros([stop - start for start, stop in bounds], self._dtype, device=device)
            for begin, strip in part.strips(entry, [slice(*one) for one in bounds[stacked:]]):
                strip = narrowed(strip, self._dtype, name)
                for device in devices:
                    # Turned by the transfer, with blocks that fit the cache; numpy's own turning takes several times as long.
                    self._shards[device] = _written(self._shards[device], jax.device_put(strip, device), (*at, *begin))
                # Else the next strips would be read while these still wait, and all be held at once.
                jax.block_until_ready([self._shards[device] for device in devices])

    def array(self) -> jax.Array:
        """The parameter, once all its cells are written."""
        return jax.make_array_from_single_device_arrays(self._shape, self._sharding, list(self._shards.values()))


@partial(jax.jit, donate_argnums=0)
def _written(stack: jax.Array, strip: jax.Array, begin: tuple[int, ...]) -> jax.Array:
    """The stack with a strip of one cell written; donated, so in its place."""
    return jax.lax.dynamic_update_slice(stack, strip[(None,) * (stack.ndim - strip.ndim)], begin)


def _shardings(spec: DecoderSpec, wanted: Mapping[str, Parameter], mesh: jax.sharding.Mesh | None) -> list[jax.sharding.Sharding]:
    if mesh is None:
        return [jax.sharding.SingleDeviceSharding(jax.local_devices()[0])] * len(wanted)
    blueprint, _ = modules.abstract(lambda: Decoder(spec, jax.random.key(0)))
    return [meshes.parameter_sharding(mesh, one.shape, blueprint.axes[path]) for path, one in wanted.items()]


def _require_equal(head: Entry, embedding: Entry) -> None:
    """A tied model may store its output layer all the same; another one could not be kept."""
    equal = head.shape == embedding.shape and head.kind == embedding.kind
    for start in range(0, head.shape[0] if equal else 0, _ROWS):
        stop = min(start + _ROWS, head.shape[0])
        equal = equal and head.read(start, stop).tobytes() == embedding.read(start, stop).tobytes()
    if not equal:
        raise InputError(
            f"{head.file}: tensor {HEAD} is not {EMBEDDING}, though config.json ties them (tie_word_embeddings); set it to "
            "false to keep both, or remove that tensor"
        )
