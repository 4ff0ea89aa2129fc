"""Rotary position embedding: turn pairs of coordinates by an angle that grows with position; and how it is stretched."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class LinearScaling:
    """Positions divided by `factor` (Chen et al. 2023, arXiv:2306.15595)."""

    factor: float


@dataclasses.dataclass(frozen=True)
class DynamicNTK:
    """Past `original_length`, a base that grows with the sequence (bloc97 2023; emozilla 2023)."""

    factor: float
    original_length: int


@dataclasses.dataclass(frozen=True)
class YaRN:
    """Slow coordinates interpolated, fast ones kept, scores sharpened (Peng et al. 2023, arXiv:2309.00071).

    Attributes:
      attention_factor: multiplies cosines and sines; None: 0.1 ln(factor) + 1.
      truncate: whether the ramp's ends are rounded outwards to whole coordinates.
    """

    factor: float
    original_length: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float | None = None
    truncate: bool = True


@dataclasses.dataclass(frozen=True)
class Llama3:
    """Wavelengths longer than the original context slowed by `factor`, short ones kept (Llama 3.1, arXiv:2407.21783)."""

    factor: float
    low_frequency_factor: float
    high_frequency_factor: float
    original_length: int


@dataclasses.dataclass(frozen=True)
class Rope:
    """Rotary frequencies of a layer.

    Attributes:
      theta: their base (Su et al. 2021, arXiv:2104.09864).
      scaling: how they are stretched for longer contexts; None: not.
    """

    theta: float = 10_000.0
    scaling: LinearScaling | DynamicNTK | YaRN | Llama3 | None = None


UNSCALED = Rope()
_SCALINGS = {"linear": LinearScaling, "dynamic": DynamicNTK, "yarn": YaRN, "llama3": Llama3}


def rope_to_json(rope: Rope) -> dict[str, Any]:
    """The fields, for a manifest; the scaling's name is its `kind`."""
    if rope.scaling is None:
        return {"theta": rope.theta, "scaling": None}
    kind = next(name for name, scaling in _SCALINGS.items() if isinstance(rope.scaling, scaling))
    return {"theta": rope.theta, "scaling": {"kind": kind, **dataclasses.asdict(rope.scaling)}}


def rope_from_json(fields: Mapping[str, Any]) -> Rope:
    """The inverse of `rope_to_json`."""
    if fields["scaling"] is None:
        return Rope(fields["theta"])
    scaling = dict(fields["scaling"])
    return Rope(fields["theta"], _SCALINGS[scaling.pop("kind")](**scaling))


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
