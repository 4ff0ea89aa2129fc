"""Rotary frequencies in config.json: transformers 4's rope_theta and rope_scaling, 5's rope_parameters, and our Rope."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from instruct_jax.convert.fields import Fields
from instruct_jax.model.rope import DynamicNTK, LinearScaling, Llama3, Rope, YaRN

KINDS = ("default", "linear", "dynamic", "yarn", "llama3")
FULL, SLIDING = "full_attention", "sliding_attention"


def read_rope(fields: Fields, theta: float, kinds: tuple[str, ...] = KINDS) -> Rope:
    """The rotary frequencies that all layers share.

    Args:
      fields: of config.json.
      theta: their base where the file names none.
      kinds: the scalings that the family knows.

    Raises:
      InputError: an unknown scaling or key, or two keys that contradict each other.
    """
    theta = fields.number("rope_theta", theta, low=1.0)
    longest = fields.integer("max_position_embeddings", None, optional=True)
    _one_of_two(fields)
    scaling, parameters = fields.object("rope_scaling"), fields.object("rope_parameters")
    nested = scaling or parameters
    fields.choice("partial_rotary_factor", (1.0, 1, None), None)
    return Rope(theta) if nested is None else _read(fields, nested, theta, longest, kinds)


def read_two_ropes(fields: Fields, theta: float, local_theta: float) -> tuple[Rope, Rope]:
    """Rotary frequencies of the layers that see everything, and of those with a window (Gemma 3)."""
    theta = fields.number("rope_theta", theta, low=1.0)
    local_theta = fields.number("rope_local_base_freq", local_theta, low=1.0)
    longest = fields.integer("max_position_embeddings", None, optional=True)
    _one_of_two(fields)
    if (scaling := fields.object("rope_scaling")) is not None:  # of the full layers only
        return _read(fields, scaling, theta, longest, KINDS), Rope(local_theta)
    parameters = fields.object("rope_parameters")
    if parameters is None:
        return Rope(theta), Rope(local_theta)
    bases = {FULL: theta, SLIDING: local_theta}
    read = {}
    for kind, base in bases.items():
        nested = parameters.object(kind)
        read[kind] = Rope(base) if nested is None else _read(fields, nested, base, longest, KINDS)
    parameters.nothing_left({}, {})
    return read[FULL], read[SLIDING]


def _one_of_two(fields: Fields) -> None:
    """transformers 5 takes rope_scaling where both are there; we take neither."""
    if fields.raw("rope_scaling") is not None and fields.raw("rope_parameters") is not None:
        raise fields.refuse("rope_scaling", "null beside rope_parameters: remove one of the two")


def _read(fields: Fields, nested: Fields, theta: float, longest: int | None, kinds: tuple[str, ...]) -> Rope:
    kind = nested.choice("type", kinds, "default") if "type" in nested else None
    kind = nested.choice("rope_type", (kind,) if kind else kinds, kind or "default")
    base = nested.number("rope_theta", theta, low=1.0)
    if "rope_theta" in fields and base != theta:
        raise fields.refuse("rope_theta", f"{base:g}, as the nested rope_theta has it")
    nested.choice("partial_rotary_factor", (1.0, 1, None), None)
    scaling: Any = None
    if kind == "linear":
        scaling = LinearScaling(nested.number("factor"))
    elif kind == "dynamic":
        # Versions of transformers disagree on which of two different lengths counts.
        original = _length(fields, nested, "max_position_embeddings", longest)
        nested.choice("original_max_position_embeddings", (original, None), None)
        scaling = DynamicNTK(nested.number("factor"), original)
    elif kind == "llama3":
        low, high = nested.number("low_freq_factor"), nested.number("high_freq_factor")
        if high <= low:
            raise nested.refuse("high_freq_factor", f"a number above low_freq_factor, which is {low:g}")
        original = _length(fields, nested, "original_max_position_embeddings", longest)
        scaling = Llama3(nested.number("factor"), low, high, original)
    elif kind == "yarn":
        scaling = _yarn(fields, nested, longest)
    nested.nothing_left({}, {})
    return Rope(base, scaling)


def _length(fields: Fields, nested: Fields, key: str, longest: int | None) -> int:
    """The length trained at, which is the longest where the scaling does not say."""
    if key in nested:
        return nested.integer(key)
    return fields.integer("max_position_embeddings") if longest is None else longest


def _yarn(fields: Fields, nested: Fields, longest: int | None) -> YaRN:
    original = _length(fields, nested, "original_max_position_embeddings", longest)
    factor = nested.number("factor", optional=True)
    if factor is None:
        factor = fields.integer("max_position_embeddings") / original
    attention = nested.number("attention_factor", None, optional=True)
    one, all_dimensions = (nested.number(key, None, low=-1e-9, optional=True) for key in ("mscale", "mscale_all_dim"))
    if attention is None and one and all_dimensions:
        attention = _sharpening(factor, one) / _sharpening(factor, all_dimensions)
    fast, slow = (nested.number(key, default, optional=True) for key, default in (("beta_fast", 32.0), ("beta_slow", 1.0)))
    return YaRN(factor, original, fast or 32.0, slow or 1.0, attention, nested.flag("truncate", True))


def _sharpening(factor: float, weight: float) -> float:
    return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0


def write_rope(rope: Rope) -> dict[str, Any]:
    """rope_theta and rope_scaling of config.json, in the words of transformers 4, which 5 reads too."""
    return {"rope_theta": rope.theta, "rope_scaling": _write(rope.scaling)}


def longest_position(rope: Rope, wanted: int) -> int:
    """max_position_embeddings: what is wanted, except where the scaling is defined by it."""
    return rope.scaling.original_length if isinstance(rope.scaling, DynamicNTK) else wanted


def _write(scaling: Any) -> Mapping[str, Any] | None:
    if scaling is None:
        return None
    if isinstance(scaling, LinearScaling):
        return {"rope_type": "linear", "factor": scaling.factor}
    if isinstance(scaling, DynamicNTK):
        return {"rope_type": "dynamic", "factor": scaling.factor}
    if isinstance(scaling, Llama3):
        low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
        length = scaling.original_length
        names = {"low_freq_factor": low, "high_freq_factor": high, "original_max_position_embeddings": length}
        return {"rope_type": "llama3", "factor": scaling.factor, **names}
    values = dataclasses.asdict(scaling)
    length = values.pop("original_length")
    if values["attention_factor"] is None:
        del values["attention_factor"]
    return {"rope_type": "yarn", **values, "original_max_position_embeddings": length}
