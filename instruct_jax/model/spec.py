"""DecoderSpec: all that one decoder-only transformer differs in from another, as a value."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.model.rope import UNSCALED, Rope, rope_from_json, rope_to_json

QK_NORMS = ("head", "width")
ACTIVATIONS = ("silu", "gelu_tanh")


@dataclasses.dataclass(frozen=True)
class LayerKind:
    """What may differ from one layer to the next; it travels through the scan as data.

    Attributes:
      window: a query sees this many latest positions, its own included; None: all before it.
      rope: rotary frequencies.
    """

    window: int | None = None
    rope: Rope = UNSCALED

    def __post_init__(self):
        if self.window is not None and self.window < 1:
            raise InputError(f"LayerKind: window is {self.window}; expected at least 1, or None to see everything before")


@dataclasses.dataclass(frozen=True)
class Experts:
    """A feed-forward of many experts, of which a router picks a few for each token (Shazeer et al. 2017, arXiv:1701.06538).

    Attributes:
      count: experts (E).
      per_token: how many each token goes to.
      normalised: whether the chosen experts' weights are made to add up to 1 (Mixtral, Qwen 3), or stay what the softmax
        over all experts says (OLMoE).
    """

    count: int
    per_token: int
    normalised: bool = True

    def __post_init__(self):
        if not 1 <= self.per_token <= self.count:
            raise InputError(f"Experts: per_token={self.per_token} is not between 1 and count={self.count}")


@dataclasses.dataclass(frozen=True)
class DecoderSpec:
    """Sizes and choices of a decoder: RMSNorm, rotary positions, grouped-query attention, gated feed-forward.

    Attributes:
      embed: width of the residual stream (D).
      layers: number of blocks (L).
      heads: query heads (H).
      kv_heads: key and value heads (K); divides `heads`.
      head_dim: width of a head (h), even.
      mlp: hidden units of the gated feed-forward (F), or of each expert.
      vocab_size: number of tokens (V); None: that of the dataset's tokenizer.
      tied: whether the output layer is the embedding table.
      kinds: windows and rotary frequencies, repeated over the layers: layer l is of kind l modulo their number.
      norm_epsilon: added to the mean square before its root.
      norm_offset: added to a norm's stored scale (Gemma: 1).
      pre_norm: whether attention and feed-forward see normed input.
      post_norm: whether their output is normed before it is added to the residual stream (OLMo 2; with pre_norm: Gemma).
      qk_norm: norm queries and keys: "head", each head by itself (Qwen 3, Gemma 3), "width", all heads at once (OLMo 2), or
        None.
      qkv_bias: whether queries, keys and values have a bias (Qwen 2.5).
      activation: of the gate: "silu" or "gelu_tanh".
      embedding_scale: multiplies embeddings after the lookup (Gemma: the root of `embed`).
      attention_scale: multiplies scores; None: 1 / sqrt(head_dim).
      attention_softcap, logit_softcap: c in c * tanh(x / c), which bounds scores and logits (Gemma 2); None: unbounded.
      experts: a mixture of experts in the place of the one feed-forward.
    """

    embed: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    vocab_size: int | None = None
    tied: bool = True
    kinds: tuple[LayerKind, ...] = (LayerKind(),)
    norm_epsilon: float = 1e-6
    norm_offset: float = 0.0
    pre_norm: bool = True
    post_norm: bool = False
    qk_norm: str | None = None
    qkv_bias: bool = False
    activation: str = "silu"
    embedding_scale: float | None = None
    attention_scale: float | None = None
    attention_softcap: float | None = None
    logit_softcap: float | None = None
    experts: Experts | None = None

    def __post_init__(self):
        object.__setattr__(self, "kinds", tuple(self.kinds))  # gin and JSON give lists
        for name in ("embed", "layers", "heads", "kv_heads", "head_dim", "mlp"):
            if getattr(self, name) < 1:
                raise InputError(f"DecoderSpec: {name} is {getattr(self, name)}; expected at least 1")
        if self.heads % self.kv_heads:
            raise InputError(
                f"DecoderSpec: kv_heads={self.kv_heads} does not divide heads={self.heads}; each kv head serves whole groups"
            )
        if self.head_dim % 2:
            raise InputError(f"DecoderSpec: head_dim={self.head_dim} is odd; rotary positions turn pairs of coordinates")
        if not 1 <= len(self.kinds) <= self.layers:
            raise InputError(f"DecoderSpec: {len(self.kinds)} kinds for {self.layers} layers; expected 1 to {self.layers}")
        if self.qk_norm not in (None, *QK_NORMS):
            raise InputError(f"DecoderSpec: qk_norm={self.qk_norm!r}; choose one of {', '.join(QK_NORMS)}, or None")
        if self.activation not in ACTIVATIONS:
            raise InputError(f"DecoderSpec: activation={self.activation!r}; choose one of {', '.join(ACTIVATIONS)}")
        for name in ("embedding_scale", "attention_scale", "attention_softcap", "logit_softcap"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise InputError(f"DecoderSpec: {name} is {getattr(self, name)}; expected more than 0, or None")

    def layer_kinds(self) -> tuple[LayerKind, ...]:
        """The kind of each layer, L of them."""
        return tuple(self.kinds[layer % len(self.kinds)] for layer in range(self.layers))

    def to_json(self) -> dict[str, Any]:
        """The fields, for a manifest."""
        kinds = [{"window": kind.window, "rope": rope_to_json(kind.rope)} for kind in self.kinds]
        return {**dataclasses.asdict(self), "kinds": kinds}

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> "DecoderSpec":
        """The inverse of `to_json`.

        Raises:
          InputError: a field is unknown: the checkpoint comes from a newer version.
        """
        known = {field.name for field in dataclasses.fields(DecoderSpec)}
        if unknown := sorted(set(fields) - known):
            raise InputError(
                f"this checkpoint's spec has fields this version does not know: {', '.join(unknown)}; update instruct_jax"
            )
        values = dict(fields)
        if "kinds" in values:
            values["kinds"] = tuple(LayerKind(kind["window"], rope_from_json(kind["rope"])) for kind in values["kinds"])
        if values.get("experts") is not None:
            values["experts"] = Experts(**values["experts"])
        return DecoderSpec(**values)
