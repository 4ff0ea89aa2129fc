"""Rotary position embedding: turn pairs of coordinates by an angle that grows with position."""

import jax
import jax.numpy as jnp


def rotate(heads: jax.Array, positions: jax.Array, theta: float) -> jax.Array:
    """Heads with their positions turned in (Su et al. 2021, arXiv:2104.09864, equation 34, halves as pairs).

    Args:
      heads: [B, T, heads, h].
      positions: i32[B, T].
      theta: base of the frequencies.

    Returns:
      [B, T, heads, h], of the dtype of `heads`; angles are taken in fp32.
    """
    half = heads.shape[-1] // 2
    frequency = theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angle = positions[..., None, None].astype(jnp.float32) * frequency
    cos, sin = jnp.cos(angle).astype(heads.dtype), jnp.sin(angle).astype(heads.dtype)
    first, second = heads[..., :half], heads[..., half:]
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
