"""Attention in plain einsums: the reference that every faster backend must equal, and what runs on CPUs."""

import jax
import jax.numpy as jnp

# Finite, so that a row with nothing to look at stays finite; exp of it is exactly 0 beside any visible score.
_MASKED = -1e30


def attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    query_segments: jax.Array,
    key_segments: jax.Array,
    query_positions: jax.Array,
    key_positions: jax.Array,
) -> jax.Array:
    """Causal attention within segments, with grouped query heads.

    A query sees the keys of its own segment at its own position and before. Scores are scaled by 1/sqrt(h); the softmax
    is taken in fp32.

    Args:
      query: [B, T, H, h].
      key, value: [B, S, K, h], K dividing H.
      query_segments, query_positions: i32[B, T].
      key_segments, key_positions: i32[B, S].

    Returns:
      [B, T, H, h], of the dtype of `value`.
    """
    rows, length, heads, width = query.shape
    groups = key.shape[2]
    grouped = query.reshape(rows, length, groups, heads // groups, width)
    scores = jnp.einsum("btkgh,bskh->bkgts", grouped, key, preferred_element_type=jnp.float32) * width**-0.5
    same = query_segments[:, :, None] == key_segments[:, None, :]
    earlier = query_positions[:, :, None] >= key_positions[:, None, :]
    scores = jnp.where((same & earlier)[:, None, None], scores, _MASKED)
    weights = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
    return jnp.einsum("bkgts,bskh->btkgh", weights, value).reshape(rows, length, heads, width)
