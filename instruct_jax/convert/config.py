"""config.json and DecoderSpec: read one from the other, and refuse every key and field that would be lost on the way."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from instruct_jax.convert.families import FAMILIES, FIXED, INERT, Family
from instruct_jax.convert.fields import Fields
from instruct_jax.convert.rope_fields import longest_position, read_rope, read_two_ropes, write_rope
from instruct_jax.errors import InputError
from instruct_jax.model.spec import DecoderSpec, Experts, LayerKind

NAME = "config.json"
# Activations by the names they have in config.json.
_ACTIVATIONS = {"silu": "silu", "swish": "silu", "gelu_pytorch_tanh": "gelu_tanh"}
_DTYPES = ("float32", "float16", "bfloat16", "auto", None)
_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")
# What programs that serve a model take as its longest text, where nothing is known.
_LONGEST = 4096
_MOST_LAYERS, _MOST_EXPERTS = 10_000, 100_000


@dataclasses.dataclass(frozen=True)
class ReadConfig:
    """What a config.json says.

    Attributes:
      family: what its model_type means.
      spec: sizes and choices, with its vocab_size.
      kept: keys that do not touch the computation, to be written back by an export.
      eos_ids: tokens that end a text.
    """

    family: Family
    spec: DecoderSpec
    kept: Mapping[str, Any]
    eos_ids: tuple[int, ...]


def read_config(content: Mapping[str, Any], where: str) -> ReadConfig:
    """A spec from what config.json holds.

    Args:
      content: the JSON object, as transformers 4 or 5 writes it.
      where: the file's name, for error messages.

    Raises:
      InputError: an unknown family, a key that is neither handled nor at a value that changes nothing, or a value that
        cannot be.
    """
    fields = Fields(content, where)
    model_type = fields.raw("model_type")
    if model_type == "gemma3":
        raise fields.refuse("model_type", "gemma3_text: this folder reads pictures too; give one of the text model alone")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise fields.refuse("model_type", f"one of {', '.join(FAMILIES)}")
    family = FAMILIES[model_type]
    architectures = fields.raw("architectures")
    if architectures not in (None, [family.architecture]):
        raise fields.refuse("architectures", f"[{family.architecture!r}]: a model of words, with no other head")
    for key in ("dtype", "torch_dtype"):
        fields.choice(key, _DTYPES, None)
    tokens = {key: fields.token_ids(key) for key in _TOKENS}
    spec = _spec(fields, family)
    kept = fields.nothing_left(INERT | family.inert, FIXED | family.fixed)
    kept |= {key: content[key] for key in (*_TOKENS, "max_position_embeddings") if key in content}
    return ReadConfig(family, spec, kept, tuple(tokens["eos_token_id"]))


def _spec(fields: Fields, family: Family) -> DecoderSpec:
    embed, layers = fields.integer("hidden_size"), fields.integer("num_hidden_layers")
    heads = fields.integer("num_attention_heads")
    if layers > _MOST_LAYERS:
        raise fields.refuse("num_hidden_layers", f"at most {_MOST_LAYERS:,}")
    kv_heads = fields.integer("num_key_value_heads", family.kv_heads, optional=True) or heads
    if kv_heads > heads or heads % kv_heads:
        raise fields.refuse("num_key_value_heads", f"a divisor of num_attention_heads, which is {heads}")
    head_dim = fields.integer("head_dim", family.head_dim, low=2, optional=True)
    if head_dim is None:
        if embed % heads or embed // heads % 2:
            raise fields.refuse(
                "hidden_size",
                f"an even multiple of num_attention_heads, {heads}, as head_dim is not given and rotary positions turn pairs",
            )
        head_dim = embed // heads
    elif head_dim % 2:
        raise fields.refuse("head_dim", "an even number: rotary positions turn pairs of coordinates")
    if family.square and heads * head_dim != embed:
        raise fields.refuse("head_dim", f"hidden_size / num_attention_heads in a {family.model_type}")
    windows = [None] * layers if family.windows is None else family.windows.read(fields, layers)
    if family.local_theta is None:
        full = local = read_rope(fields, family.theta, family.scalings)
    else:
        full, local = read_two_ropes(fields, family.theta, family.local_theta)
    kinds = tuple(LayerKind(window, full if window is None else local) for window in windows)
    key, default = family.activation_key
    query_scalar = None if family.query_scalar is None else fields.integer("query_pre_attn_scalar", family.query_scalar)
    caps: tuple[float | None, float | None] = (None, None)
    if family.softcaps is not None:
        keys = ("attn_logit_softcapping", "final_logit_softcapping")
        caps = tuple(fields.number(key, default, optional=True) for key, default in zip(keys, family.softcaps, strict=True))
    return shortest(
        DecoderSpec(
            embed=embed,
            layers=layers,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            mlp=fields.integer(family.experts.width if family.experts else "intermediate_size"),
            vocab_size=fields.integer("vocab_size"),
            tied=fields.flag("tie_word_embeddings", family.tied),
            kinds=kinds,
            norm_epsilon=fields.number("rms_norm_eps", family.epsilon),
            activation=_ACTIVATIONS[fields.choice(key, tuple(_ACTIVATIONS), default)],
            embedding_scale=math.sqrt(embed) if family.scaled_embedding else None,
            attention_scale=None if query_scalar in (None, head_dim) else query_scalar**-0.5,
            attention_softcap=caps[0],
            logit_softcap=caps[1],
            experts=_experts(fields, family),
            **family.traits,
        )
    )


def _experts(fields: Fields, family: Family) -> Experts | None:
    keys = family.experts
    if keys is None:
        return None
    present = [key for key in keys.count if key in fields] or [keys.count[0]]
    counts = [fields.integer(key) for key in present]
    if len(set(counts)) > 1 or counts[0] > _MOST_EXPERTS:
        raise fields.refuse(
            present[-1], f"{counts[0]}, as {present[0]} has it" if len(counts) > 1 else f"at most {_MOST_EXPERTS:,}"
        )
    chosen = fields.integer("num_experts_per_tok")
    if chosen > counts[0]:
        raise fields.refuse("num_experts_per_tok", f"at most {present[0]}, which is {counts[0]}")
    return Experts(counts[0], chosen, True if keys.normalised is None else fields.flag(keys.normalised, False))


def shortest(spec: DecoderSpec) -> DecoderSpec:
    """The same spec with its layer kinds in their shortest repetition, so that equal models are equal values."""
    kinds = spec.layer_kinds()
    period = next(n for n in range(1, len(kinds) + 1) if all(kind == kinds[k % n] for k, kind in enumerate(kinds)))
    return dataclasses.replace(spec, kinds=kinds[:period])


def write_config(
    spec: DecoderSpec, dtype: str, model_type: str | None = None, kept: Mapping[str, Any] | None = None
) -> tuple[Family, dict[str, Any]]:
    """A config.json that transformers 4 and 5 read as this spec.

    Args:
      spec: with its vocab_size.
      dtype: of the tensors beside it.
      model_type: the family it should be of; None: the plainest that can express it.
      kept: keys that do not touch the computation, from the config.json that the model came with.

    Returns:
      The family, and the content.

    Raises:
      InputError: no family, or not the one asked for, can express the spec.
    """
    candidates = FAMILIES.values() if model_type is None else (FAMILIES[model_type],)
    failures: dict[str, list[str]] = {}
    for family in candidates:
        content = {**_write(spec, family, dtype), "max_position_embeddings": _LONGEST, **(kept or {})}
        content["max_position_embeddings"] = longest_position(spec.kinds[0].rope, content["max_position_embeddings"])
        lost = _lost(spec, family, content)
        if not lost:
            return family, content
        failures[family.model_type] = lost
    nearest = min(failures, key=lambda name: len(failures[name]))
    raise InputError(
        f"no config.json can say what this model's spec says: {nearest} comes nearest, but cannot express "
        f"{', '.join(failures[nearest])}"
    )


def _lost(spec: DecoderSpec, family: Family, content: Mapping[str, Any]) -> list[str]:
    """The fields that another reader would not see as they are."""
    if family.whole_heads and spec.embed % spec.heads:
        return [f"embed={spec.embed} with heads={spec.heads}"]
    try:
        read = read_config(content, NAME).spec
    except InputError as error:
        return [str(error).removeprefix(f"{NAME}: ").partition(";")[0]]
    wanted = shortest(spec)
    fields = (field.name for field in dataclasses.fields(DecoderSpec))
    return [f"{name}={getattr(wanted, name)!r}" for name in fields if getattr(read, name) != getattr(wanted, name)]


def _write(spec: DecoderSpec, family: Family, dtype: str) -> dict[str, Any]:
    kinds = spec.layer_kinds()
    full = next((kind.rope for kind in kinds if kind.window is None), kinds[0].rope)
    local = next((kind.rope for kind in kinds if kind.window is not None), None)
    names = {ours: name for name, ours in reversed(_ACTIVATIONS.items())}
    content = {
        "architectures": [family.architecture],
        "model_type": family.model_type,
        "torch_dtype": dtype,
        "hidden_size": spec.embed,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads,
        "head_dim": spec.head_dim,
        family.experts.width if family.experts else "intermediate_size": spec.mlp,
        "vocab_size": spec.vocab_size,
        "tie_word_embeddings": spec.tied,
        "rms_norm_eps": spec.norm_epsilon,
        family.activation_key[0]: names[spec.activation],
        **write_rope(full),
    }
    if family.windows is not None:
        content |= family.windows.write([kind.window for kind in kinds])
    if family.local_theta is not None:
        content["rope_local_base_freq"] = family.local_theta if local is None else local.theta
    if family.query_scalar is not None:
        scale = spec.attention_scale or spec.head_dim**-0.5
        content["query_pre_attn_scalar"] = max(1, round(scale**-2))
    if family.softcaps is not None:
        content |= {"attn_logit_softcapping": spec.attention_softcap, "final_logit_softcapping": spec.logit_softcap}
    if family.experts is not None and spec.experts is not None:
        content |= {family.experts.count[0]: spec.experts.count, "num_experts_per_tok": spec.experts.per_token}
        if family.experts.normalised is not None:
            content[family.experts.normalised] = spec.experts.normalised
    # Says all the same where the reader's default differs.
    return content | {key: False for key in ("attention_bias", "mlp_bias") if key in family.fixed}
