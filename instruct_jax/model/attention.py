"""Grouped-query self-attention with rotary positions, over a packed row or over a cache."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from instruct_jax.core.mesh import constrain
from instruct_jax.kernels.xla import attention
from instruct_jax.model.layers import Linear, RMSNorm, unchanged
from instruct_jax.model.rope import rotate
from instruct_jax.model.spec import DecoderSpec

Turn = tuple[jax.Array, jax.Array]  # cosines and sines of the rotary angles, f32[B, T, h/2] each
Window = jax.Array | None  # i32[], how many latest positions a query sees; None: all


class Attention(nnx.Module):
    """Grouped-query self-attention with rotary positions (Ainslie et al. 2023, arXiv:2305.13245)."""

    def __init__(self, spec: DecoderSpec, key: jax.Array):
        keys = jax.random.split(key, 4)
        width, head = spec.embed, spec.head_dim
        self.query = Linear(keys[0], (width,), (spec.heads, head), ("embed", "heads", None), spec.qkv_bias)
        self.key = Linear(keys[1], (width,), (spec.kv_heads, head), ("embed", "kv_heads", None), spec.qkv_bias)
        self.value = Linear(keys[2], (width,), (spec.kv_heads, head), ("embed", "kv_heads", None), spec.qkv_bias)
        self.output = Linear(keys[3], (spec.heads, head), (width,), ("heads", None, "embed"))
        self.query_norm = _head_norm(spec, spec.heads)
        self.key_norm = _head_norm(spec, spec.kv_heads)
        self.scale, self.softcap = spec.attention_scale, spec.attention_softcap

    def __call__(self, hidden: jax.Array, segment_ids: jax.Array, positions: jax.Array, turn: Turn, window: Window) -> jax.Array:
        """[B, T, D] -> [B, T, D]; see `Block`."""
        query, key, value = self._project(hidden, turn)
        heads = attention(query, key, value, segment_ids, segment_ids, positions, positions, window, self.scale, self.softcap)
        return self.output(heads)

    def extend(
        self, hidden: jax.Array, positions: jax.Array, turn: Turn, window: Window, keys: jax.Array, values: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Attention of new tokens to cached ones and to each other.

        Args:
          hidden: [B, T, D]; positions: i32[B, T], consecutive within a row.
          keys, values: [B, S, K, h], slot s holding position s.

        Returns:
          [B, T, D], and the cache with the new keys and values in their slots.
        """
        query, key, value = self._project(hidden, turn)
        write = jax.vmap(lambda cache, new, start: jax.lax.dynamic_update_slice(cache, new, (start, 0, 0)))
        keys, values = write(keys, key, positions[:, 0]), write(values, value, positions[:, 0])
        slots = jnp.broadcast_to(jnp.arange(keys.shape[1]), keys.shape[:2])
        one, same = jnp.zeros_like(positions), jnp.zeros_like(slots)
        heads = attention(query, keys, values, one, same, positions, slots, window, self.scale, self.softcap)
        return self.output(heads), keys, values

    def _project(self, hidden: jax.Array, turn: Turn) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Queries [B, T, H, h], keys and values [B, T, K, h] of hidden [B, T, D]."""
        query = rotate(self.query_norm(self.query(hidden)), turn)
        key = rotate(self.key_norm(self.key(hidden)), turn)
        query, key = constrain(query, "batch", None, "heads", None), constrain(key, "batch", None, "kv_heads", None)
        return query, key, constrain(self.value(hidden), "batch", None, "kv_heads", None)


def _head_norm(spec: DecoderSpec, heads: int) -> Any:
    """What norms queries or keys [B, T, heads, h] before they are turned."""
    match spec.qk_norm:
        case None:
            return unchanged
        case "head":
            return RMSNorm(spec.head_dim, spec.norm_epsilon, spec.norm_offset)
        case "width":
            return RMSNorm(heads * spec.head_dim, spec.norm_epsilon, spec.norm_offset, axes=2)
