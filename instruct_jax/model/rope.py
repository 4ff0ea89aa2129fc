"""Rotary position embedding: turn pairs of coordinates by an angle that grows with position; and how it is stretched."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from instruct_jax.errors import InputError


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

    def __post_init__(self):
        if not 1 < self.theta < math.inf:
            raise InputError(f"the base of rotary frequencies is theta={self.theta!r}; expected a number above 1, as 10000 is")
        for name in ("factor", "original_length", "low_frequency_factor", "beta_fast", "beta_slow"):
            value = getattr(self.scaling, name, 1)
            if not 0 < value < math.inf:
                raise InputError(f"{type(self.scaling).__name__} has {name}={value!r}; expected a number above 0")
        if isinstance(self.scaling, Llama3) and self.scaling.high_frequency_factor <= self.scaling.low_frequency_factor:
            raise InputError(
                f"Llama3 has high_frequency_factor={self.scaling.high_frequency_factor!r}; expected one above "
                f"low_frequency_factor, {self.scaling.low_frequency_factor!r}"
            )


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


def frequencies(rope: Rope, head_dim: int) -> tuple[np.ndarray, float]:
    """Radians a position by which each pair of coordinates turns, and what multiplies cosines and sines.

    Computed in fp32 in the order in which transformers does. Under `DynamicNTK` these hold up to its original length;
    `turns` slows them beyond.

    Returns:
      f32[h/2], and the multiplier (1 but for YaRN).

    >>> frequencies(Rope(10_000.0), 4)[0].round(4).tolist()
    [1.0, 0.009999999776482582]
    """
    periods = np.float32(rope.theta) ** (np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim))
    plain = np.float32(1) / periods
    match rope.scaling:
        case None | DynamicNTK():
            return plain, 1.0
        case LinearScaling(factor):
            return plain / np.float32(factor), 1.0
        case Llama3():
            return _llama3(plain, rope.scaling), 1.0
        case YaRN():
            return _yarn(periods, rope.theta, head_dim, rope.scaling)


def _llama3(plain: np.ndarray, scaling: Llama3) -> np.ndarray:
    wavelengths = np.float32(2 * math.pi) / plain
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    # How far between the two limits a wavelength lies: 0 slowed by the factor, 1 kept.
    kept = np.clip((np.float32(scaling.original_length) / wavelengths - np.float32(low)) / np.float32(high - low), 0, 1)
    return (1 - kept) * plain / np.float32(scaling.factor) + kept * plain


def _yarn(periods: np.ndarray, theta: float, head_dim: int, scaling: YaRN) -> tuple[np.ndarray, float]:
    def coordinate(rotations: float) -> float:
        """The coordinate that turns so often within the original length (equation 18 solved for it)."""
        return head_dim * math.log(scaling.original_length / (rotations * 2 * math.pi)) / (2 * math.log(theta))

    first, last = coordinate(scaling.beta_fast), coordinate(scaling.beta_slow)
    if scaling.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, head_dim - 1)
    last += 0.001 if first == last else 0  # a ramp needs a length
    ramp = (np.arange(head_dim // 2, dtype=np.float32) - np.float32(first)) / np.float32(last - first)
    slowed = np.clip(ramp, 0, 1)
    stretched = np.float32(1) / (np.float32(scaling.factor) * periods) * slowed + np.float32(1) / periods * (1 - slowed)
    if scaling.attention_factor is not None:
        return stretched, scaling.attention_factor
    return stretched, 0.1 * math.log(scaling.factor) + 1 if scaling.factor > 1 else 1.0


def turns(ropes: Sequence[Rope], head_dim: int, positions: jax.Array, lengths: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cosines and sines of every angle, for each of a model's few ropes, once for all its layers.

    Args:
      ropes: R different ones.
      head_dim: h.
      positions: i32[B, T].
      lengths: i32[B, T], of the sequence that each token belongs to; only `DynamicNTK` asks.

    Returns:
      f32[R, B, T, h/2] each.
    """
    tables = []
    for rope in ropes:
        frequency, multiplier = frequencies(rope, head_dim)
        angles = positions[..., None].astype(jnp.float32) * (frequency * _slowing(rope.scaling, head_dim, lengths))
        tables.append((jnp.cos(angles) * multiplier, jnp.sin(angles) * multiplier))
    cosines, sines = zip(*tables, strict=True)
    return jnp.stack(cosines), jnp.stack(sines)


def _slowing(scaling: Any, head_dim: int, lengths: jax.Array) -> jax.Array | float:
    """f32[B, T, h/2]: what dynamic NTK multiplies frequencies by; 1 up to the original length.

    A base that grows to theta * g ** (h / (h - 2)) divides the frequency of pair i by g ** (2 i / (h - 2)): the fastest
    stays, the slowest is slowed by g = 1 + factor * (length / original - 1).
    """
    if not isinstance(scaling, DynamicNTK):
        return 1.0
    beyond = jnp.maximum(lengths / scaling.original_length - 1, 0)
    exponents = np.arange(head_dim // 2, dtype=np.float32) * np.float32(2 / max(head_dim - 2, 1))
    return (1 + scaling.factor * beyond)[..., None] ** -exponents


def rotate(heads: jax.Array, turn: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Heads with their positions turned in (Su et al. 2021, arXiv:2104.09864, equation 34, halves as pairs).

    Args:
      heads: [B, T, heads, h].
      turn: cosines and sines, f32[B, T, h/2] each.

    Returns:
      [B, T, heads, h], of the dtype of `heads`.
    """
    cos, sin = (table[:, :, None].astype(heads.dtype) for table in turn)
    first, second = jnp.split(heads, 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
