"""LoraSource: an adapter over a frozen decoder, as the trainer's model socket."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from instruct_jax.core import mesh as meshes
from instruct_jax.core import modules, trees
from instruct_jax.errors import InputError
from instruct_jax.model.lora import ADAPTER, AdaptedLinear, Lora, attach, column_norms
from instruct_jax.model.quantised import Quantisation, QuantisedKernel, dequantise, quantise, quantise_kernels


@dataclasses.dataclass(frozen=True)
class LoraSource:
    """A decoder of which only an adapter, and what is named beside it, is trained and saved.

    Attributes:
      base: the decoder's own source; its `freeze` is empty.
      lora: the adapter.
      base_dtype: of the frozen matrices, "bfloat16" or "float32"; what is trained, norm scales and biases are fp32.
      quantisation: how frozen kernels of the blocks are held instead; None: as `base_dtype` says.
    """

    base: Any
    lora: Lora
    base_dtype: Any = "float32"
    quantisation: Quantisation | None = None

    def __post_init__(self):
        if self.base_dtype not in ("float32", "bfloat16", jnp.float32, jnp.bfloat16):
            raise InputError(f"base_dtype={self.base_dtype!r}; choose 'float32' or 'bfloat16'")

    def fit(self, data: Mapping[str, Any]) -> "LoraSource":
        """This source with the base made to fit a dataset.

        Raises:
          InputError: the base does not fit, a pattern matches nothing or the same twice, or the backward pass would keep the
            whole base dense.
        """
        if self.base.freeze:
            raise InputError("freeze has no effect under an adapter, which freezes all but itself and what `beside` names")
        if self.quantisation is not None and self.base.remat == "none":
            raise InputError(
                'remat "none" keeps every dequantised kernel for the backward pass, so that quantisation saves nothing; '
                'choose REMAT="dots" or "full"'
            )
        fitted = dataclasses.replace(self, base=self.base.fit(data))
        blueprint, _ = modules.abstract(lambda: fitted.build(jax.random.key(0)))
        ordinary = [path for path in blueprint.paths if path.rpartition("/")[2] not in ADAPTER]
        for pattern in self.lora.beside:
            if not (beside := [path for path in ordinary if re.match(pattern, path)]):
                raise InputError(f"Lora: beside has {pattern!r}, which matches no parameter; there are: {', '.join(ordinary)}")
            for path in beside:
                if f"{path.rpartition('/')[0]}/lora_a" in blueprint.paths:
                    raise InputError(
                        f"Lora: beside has {pattern!r}, which trains {path} in full though an adapter trains it; name it once"
                    )
        return fitted

    def build(self, key: jax.Array) -> nnx.Module:
        """The decoder with fresh parameters, frozen ones as they are held, and a fresh adapter."""
        base_key, adapter_key = jax.random.split(key)
        model = self.base.build(base_key)
        if self.quantisation is not None:
            quantise_kernels(model, self.quantisation, keep=self._beside)
        attach(model, self.lora, adapter_key)
        for path, holder, name in _matrices(model):
            matrix = getattr(holder, name)
            if not self.trainable(path):
                setattr(holder, name, nnx.Param(matrix[...].astype(self.base_dtype), axes=matrix.axes))
        return model

    def trainable(self, path: str) -> bool:
        """Whether this parameter is the adapter's, or trained beside it."""
        return path.rpartition("/")[2] in ADAPTER or self._beside(path)

    def saved(self, path: str) -> bool:
        """Whether checkpoints hold this parameter: those that are trained; the others are the base's."""
        return self.trainable(path)

    def adopt(self, saved: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The wanted parameters from a base, or from another checkpoint of this adapter and the base that it names.

        A new adapter's lora_a and lora_b are left to be drawn. Kernels to quantise are read one at a time, and only their
        codes are kept; a new adapter's magnitudes are those of the base's kernels.

        Raises:
          InputError: the state is of another decoder, or has another adapter.
        """
        self._require_same(saved)
        plain = {path: shape for path, shape in wanted.items() if path in saved.shapes}
        arrays = saved.read(plain)
        made = {path: shape for path, shape in wanted.items() if path not in plain}
        if not made:
            return arrays
        blueprint, shapes = modules.abstract(lambda: self.build(jax.random.key(0)))
        parts = {"/".join(map(str, path)): module for path, module in nnx.iter_modules(blueprint.merge(shapes))}
        for path, module in parts.items():
            if isinstance(module, QuantisedKernel) and f"{path}/codes" in made:
                arrays.update(_quantised(saved, path, module, made))
        for path, module in parts.items():
            if isinstance(module, AdaptedLinear) and f"{path}/lora_magnitude" in made:
                arrays[f"{path}/lora_magnitude"] = _magnitude(path, module, arrays, made)
        return arrays

    def describe(self) -> dict[str, Any]:
        """The base's spec and the adapter, for the manifest."""
        quantisation = None if self.quantisation is None else dataclasses.asdict(self.quantisation)
        adapter = {**self.lora.to_json(), "base_dtype": jnp.dtype(self.base_dtype).name, "quantisation": quantisation}
        return {**self.base.describe(), "adapter": adapter}

    def _beside(self, path: str) -> bool:
        return any(re.match(pattern, path) for pattern in self.lora.beside)

    def _require_same(self, saved: Any) -> None:
        theirs, mine = saved.manifest["model"], self.describe()
        self.base.require_same(saved)
        if "adapter" not in theirs:
            return
        # How the base is held, and the noise of training, may change from one run to the next.
        free = ("dropout", "base_dtype", "quantisation")
        theirs, mine = ({key: value for key, value in one["adapter"].items() if key not in free} for one in (theirs, mine))
        if theirs != mine:
            raise InputError(
                f"{saved.run} has another adapter: {trees.difference(theirs, mine)}; make the recipe agree with it, or merge "
                "that adapter into its base first (gin_configs/runs/merge.gin) and start a new one from there"
            )


def _matrices(model: nnx.Module) -> Iterator[tuple[str, nnx.Module, str]]:
    """The ordinary matrices of a model: each by its path, the module that holds it and its name there."""
    for path, module in nnx.iter_modules(model):
        for name in ("kernel", "embedding"):
            if isinstance(getattr(module, name, None), nnx.Param):
                yield "/".join((*map(str, path), name)), module, name


def _quantised(saved: Any, path: str, kernel: QuantisedKernel, wanted: Mapping[str, Any]) -> dict[str, jax.Array]:
    """The codes and scales of one of the base's kernels, read at the precision that it was saved in."""
    codes, scales = (wanted[f"{path}/{name}"] for name in ("codes", "scales"))
    layers = len(kernel.shape) - len(kernel.axes)
    sharding = codes.sharding
    if isinstance(sharding, jax.sharding.NamedSharding):
        sharding = meshes.parameter_sharding(sharding.mesh, kernel.shape, (*(None,) * layers, *kernel.axes))
    shape = jax.ShapeDtypeStruct(kernel.shape, saved.shapes[path].dtype, sharding=sharding)
    dense = saved.read({path: shape})[path]

    def quantised(layer: jax.Array) -> tuple[jax.Array, jax.Array]:
        return quantise(layer, len(kernel.inputs), kernel.produced, kernel.quantisation)

    # Layer by layer: quantising all at once would hold several copies of the stack.
    made = jax.jit(lambda stack: jax.lax.map(quantised, stack), out_shardings=(codes.sharding, scales.sharding))(dense)
    return dict(zip((f"{path}/codes", f"{path}/scales"), made, strict=True))


def _magnitude(path: str, linear: AdaptedLinear, arrays: Mapping[str, Any], wanted: Mapping[str, Any]) -> jax.Array:
    """DoRA's magnitude at birth: the norms of the base's kernel, as it is held."""
    held = linear.kernel

    def norms(*parts: jax.Array) -> jax.Array:
        if isinstance(held, QuantisedKernel):
            dense = dequantise(*parts, held.inputs, held.produced, held.quantisation)
        else:
            (dense,) = parts
        return column_norms(dense, linear.contracted, linear.produced)

    names = ("kernel/codes", "kernel/scales") if isinstance(held, QuantisedKernel) else ("kernel",)
    parts = [arrays[f"{path}/{name}"] for name in names]
    return jax.jit(norms, out_shardings=wanted[f"{path}/lora_magnitude"].sharding)(*parts)
