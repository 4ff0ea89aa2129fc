"""DecoderSpec: all that one decoder-only transformer differs in from another, as a value."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from instruct_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class DecoderSpec:
    """Sizes and choices of a decoder: RMSNorm, rotary positions, grouped-query attention, gated feed-forward.

    Attributes:
      embed: width of the residual stream (D).
      layers: number of blocks (L).
      heads: query heads (H).
      kv_heads: key and value heads (K); divides `heads`.
      head_dim: width of a head (h), even.
      mlp: hidden units of the gated feed-forward (F).
      vocab_size: number of tokens (V); None: that of the dataset's tokenizer.
      tied: whether the output layer is the embedding table.
      rope_theta: base of the rotary frequencies (Su et al. 2021, arXiv:2104.09864).
      norm_epsilon: added to the mean square before its root.
    """

    embed: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    vocab_size: int | None = None
    tied: bool = True
    rope_theta: float = 10_000.0
    norm_epsilon: float = 1e-6

    def __post_init__(self):
        for name in ("embed", "layers", "heads", "kv_heads", "head_dim", "mlp"):
            if getattr(self, name) < 1:
                raise InputError(f"DecoderSpec: {name} is {getattr(self, name)}; expected at least 1")
        if self.heads % self.kv_heads:
            raise InputError(
                f"DecoderSpec: kv_heads={self.kv_heads} does not divide heads={self.heads}; each kv head serves whole groups"
            )
        if self.head_dim % 2:
            raise InputError(f"DecoderSpec: head_dim={self.head_dim} is odd; rotary positions turn pairs of coordinates")

    def to_json(self) -> dict[str, Any]:
        """The fields, for a manifest."""
        return dataclasses.asdict(self)

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
        return DecoderSpec(**fields)
