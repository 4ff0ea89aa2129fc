"""The parts of a block: parameters with logical axes, products with them, RMSNorm and the gated feed-forward."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from instruct_jax.core.mesh import constrain
from instruct_jax.model.spec import DecoderSpec


def parameter(key: jax.Array, shape: tuple[int, ...], axes: tuple[str | None, ...], fan_in: int) -> nnx.Param:
    """An fp32 matrix drawn from a normal cut at two deviations, with variance 1 / fan_in."""
    # Cutting at two deviations shrinks the variance by .8796 squared; dividing by it restores 1 / fan_in.
    return nnx.Param(jax.random.truncated_normal(key, -2, 2, shape, jnp.float32) * (fan_in**-0.5 / 0.87962566), axes=axes)


def times(left: jax.Array, right: jax.Array, contracted: int = 1, dtype: Any = None) -> jax.Array:
    """The product over the last axes of `left` and the first of `right`, as one product of two matrices.

    An einsum says the same, but XLA's CPU backend takes twice as long over its gradient, whose sums run over two axes.

    Args:
      left: [B, T, ..., contracted axes].
      right: [contracted axes, ...]; cast to the dtype of `left`.
      contracted: how many axes are summed over.
      dtype: of the product; None: that of `left`.
    """
    width = math.prod(right.shape[:contracted])
    matrix = right.astype(left.dtype).reshape(width, -1)
    product = jnp.matmul(left.reshape(-1, width), matrix, preferred_element_type=dtype)
    return product.reshape(*left.shape[: left.ndim - contracted], *right.shape[contracted:])


class Linear(nnx.Module):
    """A product with a matrix, `kernel`, and perhaps a `bias`: the one place where adapters and quantisation take hold.

    Args:
      key: where the initial kernel is drawn from.
      inputs, outputs: the sizes of the contracted and of the produced axes.
      axes: logical axes of the kernel, inputs before outputs.
      bias: whether to add one, born 0.
    """

    def __init__(
        self, key: jax.Array, inputs: tuple[int, ...], outputs: tuple[int, ...], axes: tuple[str | None, ...], bias: bool = False
    ):
        self.contracted = len(inputs)
        self.kernel = parameter(key, (*inputs, *outputs), axes, math.prod(inputs))
        if bias:
            self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32), axes=axes[len(inputs) :])

    def __call__(self, values: jax.Array, dtype: Any = None) -> jax.Array:
        """[B, T, inputs] -> [B, T, outputs], of this dtype; None: that of `values`."""
        product = times(values, self.kernel[...], self.contracted, dtype)
        return product + self.bias[...].astype(product.dtype) if hasattr(self, "bias") else product


class RMSNorm(nnx.Module):
    """Divide by the root mean square, then scale (Zhang and Sennrich 2019, arXiv:1910.07467).

    Args:
      width: how many numbers are normed together.
      epsilon: added to the mean square.
      offset: added to the stored scale, which is born 1 - offset.
      axes: over how many last axes the width extends.
    """

    def __init__(self, width: int, epsilon: float, offset: float = 0.0, axes: int = 1):
        self.scale = nnx.Param(jnp.full(width, 1 - offset, jnp.float32), axes=(None,))
        self.epsilon, self.offset, self.axes = epsilon, offset, axes

    def __call__(self, hidden: jax.Array) -> jax.Array:
        wide = hidden.astype(jnp.float32).reshape(*hidden.shape[: hidden.ndim - self.axes], -1)
        normed = wide * jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + self.epsilon)
        return (normed * (self.scale[...] + self.offset)).astype(hidden.dtype).reshape(hidden.shape)


def unchanged(hidden: jax.Array) -> jax.Array:
    """What stands in the place of a norm that a family does not have."""
    return hidden


ACTIVATION = {"silu": jax.nn.silu, "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True)}


class FeedForward(nnx.Module):
    """Gated feed-forward (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, spec: DecoderSpec, key: jax.Array):
        keys = jax.random.split(key, 3)
        self.gate = Linear(keys[0], (spec.embed,), (spec.mlp,), ("embed", "mlp"))
        self.up = Linear(keys[1], (spec.embed,), (spec.mlp,), ("embed", "mlp"))
        self.down = Linear(keys[2], (spec.mlp,), (spec.embed,), ("mlp", "embed"))
        self.activation = spec.activation

    def __call__(self, hidden: jax.Array, real: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[B, T, D] -> [B, T, D], and a load balance of nothing, f32[B]; the signature of `MixtureOfExperts`."""
        units = constrain(ACTIVATION[self.activation](self.gate(hidden)) * self.up(hidden), "batch", None, "mlp")
        return self.down(units), jnp.zeros(real.shape[0], jnp.float32)
