"""The parts of a block: parameters with logical axes, RMSNorm, attention and the gated feed-forward."""

import math

import jax
import jax.numpy as jnp
from flax import nnx

from instruct_jax.core.mesh import constrain
from instruct_jax.kernels.xla import attention
from instruct_jax.model.rope import rotate
from instruct_jax.model.spec import DecoderSpec


def parameter(key: jax.Array, shape: tuple[int, ...], axes: tuple[str | None, ...], fan_in: int) -> nnx.Param:
    """An fp32 matrix drawn from a normal cut at two deviations, with variance 1 / fan_in."""
    # Cutting at two deviations shrinks the variance by .8796 squared; dividing by it restores 1 / fan_in.
    return nnx.Param(jax.random.truncated_normal(key, -2, 2, shape, jnp.float32) * (fan_in**-0.5 / 0.87962566), axes=axes)


def times(left: jax.Array, right: jax.Array, contracted: int = 1) -> jax.Array:
    """The product over the last axes of `left` and the first of `right`, as one product of two matrices.

    An einsum says the same, but XLA's CPU backend takes twice as long over its gradient, whose sums run over two axes.

    Args:
      left: [B, T, ..., contracted axes].
      right: [contracted axes, ...]; cast to the dtype of `left`.
      contracted: how many axes are summed over.
    """
    width = math.prod(right.shape[:contracted])
    product = left.reshape(-1, width) @ right.astype(left.dtype).reshape(width, -1)
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

    def __call__(self, values: jax.Array) -> jax.Array:
        """[B, T, inputs] -> [B, T, outputs]."""
        product = times(values, self.kernel[...], self.contracted)
        return product + self.bias[...].astype(product.dtype) if hasattr(self, "bias") else product


class RMSNorm(nnx.Module):
    """Divide by the root mean square, then scale (Zhang and Sennrich 2019, arXiv:1910.07467)."""

    def __init__(self, width: int, epsilon: float):
        self.scale = nnx.Param(jnp.ones(width, jnp.float32), axes=(None,))
        self.epsilon = epsilon

    def __call__(self, hidden: jax.Array) -> jax.Array:
        wide = hidden.astype(jnp.float32)
        normed = wide * jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + self.epsilon)
        return (normed * self.scale[...]).astype(hidden.dtype)


class Attention(nnx.Module):
    """Grouped-query self-attention with rotary positions (Ainslie et al. 2023, arXiv:2305.13245)."""

    def __init__(self, spec: DecoderSpec, key: jax.Array):
        keys = jax.random.split(key, 4)
        width, head = spec.embed, spec.head_dim
        self.query = Linear(keys[0], (width,), (spec.heads, head), ("embed", "heads", None), spec.qkv_bias)
        self.key = Linear(keys[1], (width,), (spec.kv_heads, head), ("embed", "kv_heads", None), spec.qkv_bias)
        self.value = Linear(keys[2], (width,), (spec.kv_heads, head), ("embed", "kv_heads", None), spec.qkv_bias)
        self.output = Linear(keys[3], (spec.heads, head), (width,), ("heads", None, "embed"))
        self.theta = spec.kinds[0].rope.theta

    def project(self, hidden: jax.Array, positions: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Queries [B, T, H, h], keys and values [B, T, K, h] of hidden [B, T, D]."""
        query, key, value = (projection(hidden) for projection in (self.query, self.key, self.value))
        query = constrain(rotate(query, positions, self.theta), "batch", None, "heads", None)
        key = constrain(rotate(key, positions, self.theta), "batch", None, "kv_heads", None)
        return query, key, constrain(value, "batch", None, "kv_heads", None)

    def combine(self, heads: jax.Array) -> jax.Array:
        """The heads' outputs [B, T, H, h], mixed to [B, T, D]."""
        return self.output(heads)


class FeedForward(nnx.Module):
    """SiLU-gated feed-forward (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, spec: DecoderSpec, key: jax.Array):
        keys = jax.random.split(key, 3)
        self.gate = Linear(keys[0], (spec.embed,), (spec.mlp,), ("embed", "mlp"))
        self.up = Linear(keys[1], (spec.embed,), (spec.mlp,), ("embed", "mlp"))
        self.down = Linear(keys[2], (spec.mlp,), (spec.embed,), ("mlp", "embed"))

    def __call__(self, hidden: jax.Array) -> jax.Array:
        units = constrain(jax.nn.silu(self.gate(hidden)) * self.up(hidden), "batch", None, "mlp")
        return self.down(units)


class Block(nnx.Module):
    """Attention and feed-forward, each normed before and added to the residual stream."""

    def __init__(self, spec: DecoderSpec, key: jax.Array):
        attention_key, mlp_key = jax.random.split(key)
        self.attention_norm = RMSNorm(spec.embed, spec.norm_epsilon)
        self.attention = Attention(spec, attention_key)
        self.mlp_norm = RMSNorm(spec.embed, spec.norm_epsilon)
        self.mlp = FeedForward(spec, mlp_key)

    def __call__(self, hidden: jax.Array, segment_ids: jax.Array, positions: jax.Array) -> jax.Array:
        query, key, value = self.attention.project(self.attention_norm(hidden), positions)
        heads = attention(query, key, value, segment_ids, segment_ids, positions, positions)
        return self._rest(hidden, heads)

    def extend(self, hidden: jax.Array, positions: jax.Array, keys: jax.Array, values: jax.Array) -> tuple[jax.Array, ...]:
        """The block over new tokens that also see cached ones; see `Decoder.extend`.

        Args:
          hidden: [B, T, D]; positions: i32[B, T], consecutive within a row.
          keys, values: [B, S, K, h], slot s holding position s.

        Returns:
          Hidden [B, T, D], and the cache with the new keys and values in their slots.
        """
        query, key, value = self.attention.project(self.attention_norm(hidden), positions)
        write = jax.vmap(lambda cache, new, start: jax.lax.dynamic_update_slice(cache, new, (start, 0, 0)))
        keys, values = write(keys, key, positions[:, 0]), write(values, value, positions[:, 0])
        slots = jnp.broadcast_to(jnp.arange(keys.shape[1]), keys.shape[:2])
        heads = attention(query, keys, values, jnp.zeros_like(positions), jnp.zeros_like(slots), positions, slots)
        return self._rest(hidden, heads), keys, values

    def _rest(self, hidden: jax.Array, heads: jax.Array) -> jax.Array:
        hidden = constrain(hidden + self.attention.combine(heads), "batch", None, None)
        return constrain(hidden + self.mlp(self.mlp_norm(hidden)), "batch", None, None)
