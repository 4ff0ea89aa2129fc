"""A frozen kernel in a few bits a number: blocks of codes with a scale each, made dense where it is used."""

import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from instruct_jax.errors import InputError
from instruct_jax.model.experts import ExpertKernels
from instruct_jax.model.layers import Linear

FORMATS = ("nf4", "int8")
# NormalFloat of 4 bits: quantiles of a normal distribution, scaled to [-1, 1], with a zero of its own (Dettmers et al. 2023,
# arXiv:2305.14314, appendix E).
NF4 = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
    *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
    *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
    *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
)
_LARGEST = 127  # int8 codes run from -127 to 127


@dataclasses.dataclass(frozen=True)
class Quantisation:
    """How a frozen kernel is held.

    Attributes:
      format: "nf4", 4 bits that suit normally distributed weights (arXiv:2305.14314), or "int8", 8 evenly spaced bits.
      block: how many inputs of one output share a scale, the largest magnitude among them, in fp32.
      kernels: regular expressions; a kernel of the blocks is quantised if one of them matches its path from its start. A
        router is small, and what it decides is not a little wrong but wrong: the default leaves it out.
    """

    format: str = "nf4"
    block: int = 64
    kernels: Sequence[str] = ("layers/attention/", "layers/mlp/(gate|up|down)/")

    def __post_init__(self):
        object.__setattr__(self, "kernels", tuple(self.kernels))  # gin and JSON give lists
        if self.format not in FORMATS:
            raise InputError(f"Quantisation: format={self.format!r}; choose one of {', '.join(FORMATS)}")
        if self.block < 2 or self.block % 2:
            raise InputError(f"Quantisation: block={self.block}; expected an even number: two codes share a byte")


class QuantisedKernel(nnx.Module):
    """Stands in the place of a Linear's kernel, and reads like it: `kernel[...]` is the dense matrix.

    The dense matrix is computed anew wherever it is read. Inside a scan over layers only one layer's exists at a time; so
    that the backward pass does the same rather than keep them all, blocks must be recomputed there (remat "dots" or "full").

    Args:
      kernel: [..., inputs, outputs], with whatever stack of layers and experts before.
      contracted, produced: the numbers of input and of output axes.
      axes: the kernel's logical axes, without the layers'.
      quantisation: the format.
    """

    def __init__(
        self, kernel: jax.Array, contracted: int, produced: int, axes: tuple[str | None, ...], quantisation: Quantisation
    ):
        split = kernel.ndim - produced
        self.inputs, self.produced = kernel.shape[split - contracted : split], produced
        self.axes, self.quantisation = tuple(axes), quantisation
        codes, scales = quantise(kernel, contracted, produced, quantisation)
        # The input axes are held as one, cut as the first of them was.
        first, last = len(axes) - produced - contracted, len(axes) - produced
        kept = (*axes[: first + 1], *axes[last:])
        self.codes, self.scales = nnx.Param(codes, axes=kept), nnx.Param(scales, axes=kept)

    def __getitem__(self, index: Any) -> jax.Array:
        """The dense kernel, f32[..., inputs, outputs]; `index` is always the ellipsis."""
        assert index is Ellipsis, index
        return dequantise(self.codes[...], self.scales[...], self.inputs, self.produced, self.quantisation)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the dense kernel, stack included."""
        codes = self.codes.get_value().shape
        split = len(codes) - self.produced
        return (*codes[: split - 1], *self.inputs, *codes[split:])


def quantise_kernels(model: nnx.Module, quantisation: Quantisation, keep: Callable[[str], bool]) -> None:
    """Put a QuantisedKernel in the place of each kernel of the blocks that the patterns match and `keep` does not.

    Raises:
      InputError: a pattern matches no kernel.
    """
    found = {"/".join(map(str, path)): module for path, module in nnx.iter_modules(model)}
    kernels = {
        f"{path}/kernel": module
        for path, module in sorted(found.items())
        if isinstance(module, (Linear, ExpertKernels)) and path.startswith("layers/")
    }
    for pattern in quantisation.kernels:
        if not any(re.match(pattern, path) for path in kernels):
            raise InputError(f"Quantisation: {pattern!r} matches no kernel; the blocks have {', '.join(kernels)}")
    for path, module in kernels.items():
        if any(re.match(pattern, path) for pattern in quantisation.kernels) and not keep(path):
            axes = module.kernel.axes
            contracted = module.contracted if isinstance(module, Linear) else 1
            produced = len(axes) - contracted if isinstance(module, Linear) else 1
            module.kernel = QuantisedKernel(module.kernel[...], contracted, produced, axes, quantisation)


def quantise(kernel: jax.Array, contracted: int, produced: int, quantisation: Quantisation) -> tuple[jax.Array, jax.Array]:
    """A kernel's codes and scales, blockwise by largest magnitude (Dettmers et al. 2023, arXiv:2305.14314, equation 1).

    >>> codes, scales = quantise(jnp.array([[2.0], [-1.0], [0.125], [0.5]]), 1, 1, Quantisation("int8", block=2))
    >>> codes.ravel().tolist(), scales.ravel().tolist()
    ([127, -64, 32, 127], [2.0, 0.5])

    Args:
      kernel: [..., inputs, outputs].
      contracted, produced: the numbers of input and of output axes.
      quantisation: the format.

    Returns:
      codes: int8[..., I, outputs], I the number of inputs, filled up to whole blocks; for nf4 u8[..., I / 2, outputs], the
        code of an even input in the low half of a byte.
      scales: f32[..., I / block, outputs].
    """
    stack = kernel.shape[: kernel.ndim - contracted - produced]
    outputs = kernel.shape[kernel.ndim - produced :]
    width = math.prod(kernel.shape[len(stack) : len(stack) + contracted])
    flat = kernel.astype(jnp.float32).reshape(*stack, width, *outputs)
    fill = [(0, 0)] * len(stack) + [(0, -width % quantisation.block)] + [(0, 0)] * produced
    blocks = jnp.pad(flat, fill).reshape(*stack, -1, quantisation.block, *outputs)
    scales = jnp.abs(blocks).max(axis=len(stack) + 1, keepdims=True)
    normed = blocks / jnp.where(scales > 0, scales, 1.0)
    scales = jnp.squeeze(scales, len(stack) + 1)
    if quantisation.format == "int8":
        return jnp.round(normed * _LARGEST).astype(jnp.int8).reshape(*stack, -1, *outputs), scales
    # The nearest value's index is the number of midpoints below.
    midpoints = [(low + high) / 2 for low, high in itertools.pairwise(NF4)]
    index = sum((normed > midpoint).astype(jnp.uint8) for midpoint in midpoints)
    low, high = jnp.moveaxis(index.reshape(*stack, -1, 2, *outputs), len(stack) + 1, 0)
    return low | (high << 4), scales


def dequantise(
    codes: jax.Array, scales: jax.Array, inputs: tuple[int, ...], produced: int, quantisation: Quantisation
) -> jax.Array:
    """The dense kernel, f32[..., inputs, outputs], of `quantise`'s codes and scales."""
    split = scales.ndim - produced
    stack, outputs = scales.shape[: split - 1], scales.shape[split:]
    if quantisation.format == "int8":
        values = codes.astype(jnp.float32) / _LARGEST
    else:
        pairs = jnp.stack([codes & 15, codes >> 4], axis=split)
        values = jnp.take(jnp.array(NF4, jnp.float32), pairs.astype(jnp.int32), axis=0)
    blocks = values.reshape(*stack, -1, quantisation.block, *outputs) * jnp.expand_dims(scales, split)
    flat = blocks.reshape(*stack, -1, *outputs)
    return jax.lax.slice_in_dim(flat, 0, math.prod(inputs), axis=split - 1).reshape(*stack, *inputs, *outputs)
