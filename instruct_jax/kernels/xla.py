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
    window: jax.Array | int | None = None,
    scale: float | None = None,
    softcap: float | None = None,
) -> jax.Array:
    """Causal attention within segments, with grouped query heads.

    A query sees the keys of its own segment at its own position and before, within the window. The softmax is taken in
    fp32.

    Args:
      query: [B, T, H, h].
      key, value: [B, S, K, h], K dividing H.
      query_segments, query_positions: i32[B, T].
      key_segments, key_positions: i32[B, S].
      window: i32[], how many latest positions a query sees, its own included; None: all.
      scale: multiplies scores; None: 1 / sqrt(h).
      softcap: c in c * tanh(score / c), taken before masking (Gemma 2, arXiv:2408.00118, section 2); None: not.

    Returns:
      [B, T, H, h], of the dtype of `value`.
    """
    rows, length, heads, width = query.shape
    groups = key.shape[2]
    grouped = query.reshape(rows, length, groups, heads // groups, width)
    scores = jnp.einsum("btkgh,bskh->bkgts", grouped, key, preferred_element_type=jnp.float32)
    scores = scores * (width**-0.5 if scale is None else scale)
    if softcap is not None:
        scores = softcap * jnp.tanh(scores / softcap)
    same = query_segments[:, :, None] == key_segments[:, None, :]
    distance = query_positions[:, :, None] - key_positions[:, None, :]
    visible = same & (distance >= 0)
    if window is not None:
        visible &= distance < window
    scores = jnp.where(visible[:, None, None], scores, _MASKED)
    weights = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
    return jnp.einsum("bkgts,bskh->btkgh", weights, value).reshape(rows, length, heads, width)
