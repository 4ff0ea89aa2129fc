"""LoRA: a product of two thin matrices beside each frozen one; attached to a model from outside, and merged into it again."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from instruct_jax.core import modules
from instruct_jax.errors import InputError
from instruct_jax.model.layers import Linear, times
from instruct_jax.model.quantised import QuantisedKernel

ADAPTER = ("lora_a", "lora_b", "lora_magnitude")  # the last parts of the paths of an adapter's own parameters


@dataclasses.dataclass(frozen=True)
class Lora:
    """A low-rank adapter (Hu et al. 2021, arXiv:2106.09685).

    Attributes:
      rank: inner width of the added product (R).
      alpha: the added product is multiplied by alpha / rank.
      targets: regular expressions; a block's Linear whose path one of them matches from its start is adapted, such as
        "layers/attention/(query|value)".
      dropout: the probability with which an input of the added product is zero in training.
      rank_stabilised: multiply by alpha / sqrt(rank) instead (rsLoRA: Kalajdzievski 2023, arXiv:2312.03732).
      weight_decomposed: learn each output's magnitude by itself, and its direction by the added product (DoRA: Liu et al.
        2024, arXiv:2402.09353); the norm is a constant to the gradient (section 4.3). Dropout acts on the added product alone.
      beside: regular expressions; ordinary parameters whose path one of them matches from its start are trained in full and
        saved beside the adapter: "embedding", "head", ".*norm/scale".
    """

    rank: int = 16
    alpha: float = 32.0
    targets: Sequence[str] = ("layers/attention/", "layers/mlp/(gate|up|down)")
    dropout: float = 0.0
    rank_stabilised: bool = False
    weight_decomposed: bool = False
    beside: Sequence[str] = ()

    def __post_init__(self):
        for name in ("targets", "beside"):
            if isinstance(getattr(self, name), str):
                raise InputError(f"Lora: {name} is the text {getattr(self, name)!r}; expected a list of regular expressions")
            object.__setattr__(self, name, tuple(getattr(self, name)))  # gin and JSON give lists
            for pattern in getattr(self, name):
                try:
                    re.compile(pattern)
                except re.error as error:
                    raise InputError(f"Lora: {name} has {pattern!r}, which is no regular expression ({error})") from None
        if self.rank < 1:
            raise InputError(f"Lora: rank is {self.rank}; expected at least 1")
        if not 0 <= self.dropout < 1:
            raise InputError(f"Lora: dropout is {self.dropout}; expected 0 or more, and less than 1")
        if not self.targets:
            raise InputError("Lora: targets is empty; to train ordinary parameters alone, use freeze of DecoderSource")

    @property
    def scale(self) -> float:
        """What the added product is multiplied by.

        >>> Lora(rank=4, alpha=8.0).scale, Lora(rank=4, alpha=8.0, rank_stabilised=True).scale
        (2.0, 4.0)
        """
        return self.alpha / (math.sqrt(self.rank) if self.rank_stabilised else self.rank)

    def to_json(self) -> dict[str, Any]:
        """The fields, for a manifest."""
        return {**dataclasses.asdict(self), "targets": list(self.targets), "beside": list(self.beside)}

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> "Lora":
        """The inverse of `to_json`.

        Raises:
          InputError: a field is unknown: the checkpoint comes from a newer version.
        """
        known = {field.name for field in dataclasses.fields(Lora)}
        if unknown := sorted(set(fields) - known):
            raise InputError(
                f"this adapter has fields that this version does not know: {', '.join(unknown)}; update instruct_jax"
            )
        return Lora(**fields)


class AdaptedLinear(nnx.Module):
    """Stands in the place of a Linear, whose kernel and bias it takes over under their own paths.

    values @ kernel + scale * (values @ lora_a) @ lora_b + bias: at birth lora_b is 0, and nothing changes.

    Args:
      linear: the Linear, of one layer or of a stack of layers.
      lora: rank, scale and kind.
      key: where lora_a is drawn from.
    """

    def __init__(self, linear: Linear, lora: Lora, key: jax.Array):
        self.lora, self.contracted, self.kernel = lora, linear.contracted, linear.kernel
        if hasattr(linear, "bias"):
            self.bias = linear.bias
        dense, axes = self.kernel[...], self.kernel.axes
        self.produced = len(axes) - self.contracted
        layers, inputs, outputs = self._cut(dense.shape)
        bound = math.prod(inputs) ** -0.5  # Kaiming's uniform distribution as PEFT draws it, with a = sqrt(5)
        first = jax.random.uniform(key, (*layers, *inputs, lora.rank), jnp.float32, -bound, bound)
        self.lora_a = nnx.Param(first, axes=(*axes[: self.contracted], None))
        self.lora_b = nnx.Param(jnp.zeros((*layers, lora.rank, *outputs), jnp.float32), axes=(None, *axes[self.contracted :]))
        if lora.weight_decomposed:
            self.lora_magnitude = nnx.Param(column_norms(dense, self.contracted, self.produced), axes=axes[self.contracted :])
        if lora.dropout:
            self.seed = modules.Seed(layers)

    def __call__(self, values: jax.Array, dtype: Any = None) -> jax.Array:
        """[B, T, inputs] -> [B, T, outputs], of this dtype; None: that of `values`."""
        added = times(times(self._dropped(values), self.lora_a[...], self.contracted), self.lora_b[...], 1, dtype)
        product = times(values, self.kernel[...], self.contracted, dtype) + self.lora.scale * added
        if self.lora.weight_decomposed:
            product = product * self._stretch().astype(product.dtype)
        return product + self.bias[...].astype(product.dtype) if hasattr(self, "bias") else product

    def merged(self) -> jax.Array:
        """The kernel, f32, with which an ordinary Linear gives the same."""
        whole = self._sum()
        if not self.lora.weight_decomposed:
            return whole
        layers, inputs, outputs = self._cut(whole.shape)
        return whole * self._stretch().reshape(*layers, *(1 for _ in inputs), *outputs)

    def _dropped(self, values: jax.Array) -> jax.Array:
        if not self.lora.dropout or self.seed.get_value() is None:
            return values
        kept = jax.random.bernoulli(jax.random.key(self.seed[...]), 1 - self.lora.dropout, values.shape)
        return jnp.where(kept, values / (1 - self.lora.dropout), 0).astype(values.dtype)

    def _sum(self) -> jax.Array:
        """The kernel with the adapter's product in it, f32."""
        kernel = self.kernel[...].astype(jnp.float32)
        layers, _, _ = self._cut(kernel.shape)
        left, right = self.lora_a[...].reshape(*layers, -1, self.lora.rank), self.lora_b[...].reshape(*layers, self.lora.rank, -1)
        return kernel + self.lora.scale * (left @ right).reshape(kernel.shape)

    def _stretch(self) -> jax.Array:
        """DoRA's magnitude over norm (equation 5), f32[..., outputs]; 1 for an output that is 0 anyway."""
        norms = jax.lax.stop_gradient(column_norms(self._sum(), self.contracted, self.produced))
        return jnp.where(norms > 0, self.lora_magnitude[...] / jnp.where(norms > 0, norms, 1.0), 1.0)

    def _cut(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """A kernel's shape as its stack of layers, its inputs and its outputs."""
        first, second = len(shape) - self.contracted - self.produced, len(shape) - self.produced
        return shape[:first], shape[first:second], shape[second:]


def column_norms(kernel: jax.Array, contracted: int, produced: int) -> jax.Array:
    """The length of what leads to each output, f32[..., outputs], of a kernel [..., inputs, outputs]."""
    last = kernel.ndim - produced
    return jnp.sqrt(jnp.sum(jnp.square(kernel.astype(jnp.float32)), axis=tuple(range(last - contracted, last))))


def linears(model: nnx.Module) -> dict[str, tuple[nnx.Module, str]]:
    """The dense products of a model's blocks, by path: each as the module that holds it, and its name there."""
    found = {"/".join(map(str, path)): module for path, module in nnx.iter_modules(model)}
    return {
        path: (found[path.rpartition("/")[0]], path.rpartition("/")[2])
        for path, module in sorted(found.items())
        if isinstance(module, Linear) and path.startswith("layers/")
    }


def attach(model: nnx.Module, lora: Lora, key: jax.Array) -> None:
    """Put an AdaptedLinear in the place of each Linear that a target matches.

    Raises:
      InputError: a target matches no Linear.
    """
    products = linears(model)
    for pattern in lora.targets:
        if not any(re.match(pattern, path) for path in products):
            raise InputError(
                f"Lora: the target {pattern!r} matches no dense product; the model has {', '.join(products)} "
                "(the kernels of experts are no dense products: an adapter cannot take hold there)"
            )
    for index, (path, (holder, name)) in enumerate(products.items()):
        if any(re.match(pattern, path) for pattern in lora.targets):
            setattr(holder, name, AdaptedLinear(getattr(holder, name), lora, jax.random.fold_in(key, index)))


def merged_parameters(model: nnx.Module) -> dict[str, jax.Array]:
    """The parameters, by path, of the ordinary model that computes the same: adapters merged in, quantised kernels dense."""
    special = {"/".join(map(str, path)): module for path, module in nnx.iter_modules(model)}
    dense = {path: module[...] for path, module in special.items() if isinstance(module, QuantisedKernel)}
    adapted = {f"{path}/kernel": module.merged() for path, module in special.items() if isinstance(module, AdaptedLinear)}
    kept = {
        path: array
        for path, array in modules.split(model)[1].items()
        if path.rpartition("/")[2] not in ADAPTER and path.rpartition("/")[0] not in dense
    }
    return {**kept, **dense, **adapted}
