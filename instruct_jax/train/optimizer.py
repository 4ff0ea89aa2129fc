"""Optimisers and learning-rate schedules as optax values, clipped and decayed as the field does."""

from collections.abc import Mapping
from typing import Any

import optax


def warmup_cosine(peak: float, steps: int, warmup: int = 0, final: float = 0.1) -> optax.Schedule:
    """Linear from 0 to `peak` over `warmup` steps, then half a cosine down to `final * peak` at `steps`."""
    return optax.join_schedules(
        [_rise(peak, warmup), optax.cosine_decay_schedule(peak, max(steps - warmup, 1), alpha=final)], [warmup]
    )


def warmup_linear(peak: float, steps: int, warmup: int = 0, final: float = 0.0) -> optax.Schedule:
    """Linear from 0 to `peak` over `warmup` steps, then linear down to `final * peak` at `steps`."""
    return optax.join_schedules(
        [_rise(peak, warmup), optax.linear_schedule(peak, final * peak, max(steps - warmup, 1))], [warmup]
    )


def warmup_constant(peak: float, warmup: int = 0) -> optax.Schedule:
    """Linear from 0 to `peak` over `warmup` steps, then `peak` for ever."""
    return optax.join_schedules([_rise(peak, warmup), optax.constant_schedule(peak)], [warmup])


def adamw(
    learning_rate: optax.Schedule,
    b1: float = 0.9,
    b2: float = 0.95,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    clip_norm: float | None = 1.0,
) -> optax.GradientTransformation:
    """AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101) after clipping by global norm; norm scales are not decayed."""
    return _clipped(
        clip_norm,
        optax.adamw(learning_rate, b1=b1, b2=b2, eps=epsilon, weight_decay=weight_decay, mask=_decayed if weight_decay else None),
    )


def adafactor(
    learning_rate: optax.Schedule, weight_decay: float | None = None, clip_norm: float | None = 1.0
) -> optax.GradientTransformation:
    """Adafactor (Shazeer and Stern 2018, arXiv:1804.04235): second moments kept as row and column sums; FLAN's optimiser."""
    return _clipped(clip_norm, optax.adafactor(learning_rate, weight_decay_rate=weight_decay, weight_decay_mask=_decayed))


def _rise(peak: float, warmup: int) -> optax.Schedule:
    # The first update already learns: step 0 takes peak / warmup, not 0.
    return lambda step: peak * (step + 1) / max(warmup, 1)


def _clipped(clip_norm: float | None, optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    return optimizer if clip_norm is None else optax.chain(optax.clip_by_global_norm(clip_norm), optimizer)


def _decayed(parameters: Mapping[str, Any]) -> dict[str, bool]:
    return {path: not path.endswith("/scale") for path in parameters}
