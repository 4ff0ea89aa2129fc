"""The decoder: embed, scan over the blocks, norm, project to words."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from instruct_jax.core.mesh import constrain
from instruct_jax.model.block import stacked
from instruct_jax.model.layers import Linear, RMSNorm, parameter
from instruct_jax.model.rope import Rope, turns
from instruct_jax.model.spec import DecoderSpec

# What the backward pass keeps of each block; the rest it computes again. None: it keeps everything.
REMAT = {
    "none": None,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}

_EVERYTHING = np.iinfo(np.int32).max  # the window of a layer that sees all before it, beside layers that do not

Cache = tuple[jax.Array, jax.Array]  # keys and values, [L, B, S, K, h]; slot s holds position s


class Decoder(nnx.Module):
    """A decoder-only transformer over packed rows.

    The blocks' parameters are stacked, [L, ...], and run by one scan: compile time does not grow with depth.

    Args:
      spec: sizes and choices; its vocab_size is set.
      key: where the initial parameters are drawn from.
      dtype: of the computation; parameters are fp32.
      remat: a name in REMAT.
    """

    def __init__(self, spec: DecoderSpec, key: jax.Array, dtype: Any = jnp.float32, remat: str = "none"):
        embed_key, layer_key, head_key = jax.random.split(key, 3)
        self.spec, self.dtype, self.remat = spec, dtype, remat
        # Unit variance after the lookup would drown the blocks' first steps; .02 is the field's habit.
        self.embedding = parameter(embed_key, (spec.vocab_size, spec.embed), ("vocab", "embed"), fan_in=2_500)
        self.layers = stacked(spec, jax.random.split(layer_key, spec.layers))
        self.norm = RMSNorm(spec.embed, spec.norm_epsilon, spec.norm_offset)
        if not spec.tied:
            self.head = Linear(head_key, (spec.embed,), (spec.vocab_size,), ("embed", "vocab"))

    def __call__(self, tokens: jax.Array, segment_ids: jax.Array, positions: jax.Array) -> jax.Array:
        """Final hidden states.

        Args:
          tokens, segment_ids, positions: i32[B, T], as in `core.batch.Batch`.

        Returns:
          [B, T, D] of the compute dtype.
        """
        return self.hidden_and_balance(tokens, segment_ids, positions)[0]

    def hidden_and_balance(self, tokens: jax.Array, segment_ids: jax.Array, positions: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Final hidden states, and how unevenly each row uses its experts: f32[B], the mean over layers; 0 without experts."""
        graph, layers = nnx.split(self.layers)
        ropes, kinds = _kinds(self.spec)
        same = segment_ids[:, :, None] == segment_ids[:, None, :]
        cosines, sines = turns(ropes, self.spec.head_dim, positions, same.sum(axis=-1))

        def block(hidden: jax.Array, layer: Any) -> tuple[jax.Array, jax.Array]:
            parameters, (rope, window) = layer
            turn = cosines[rope], sines[rope]
            return nnx.merge(graph, parameters)(hidden, segment_ids, positions, turn, window)

        if (policy := REMAT[self.remat]) is not None:
            block = jax.checkpoint(block, policy=policy, prevent_cse=False)
        hidden, balances = jax.lax.scan(block, self._embed(tokens), (layers, kinds))
        return self.norm(hidden), balances.mean(axis=0)

    def logits(self, hidden: jax.Array) -> jax.Array:
        """Scores of every word, f32[B, T, V], from final hidden states [B, T, D]."""
        if self.spec.tied:
            table = self.embedding[...].astype(hidden.dtype)
            scores = jnp.einsum("btd,vd->btv", hidden, table, preferred_element_type=jnp.float32)
        else:
            scores = self.head(hidden, jnp.float32)
        if (cap := self.spec.logit_softcap) is not None:
            scores = cap * jnp.tanh(scores / cap)
        return constrain(scores, "batch", None, "vocab")

    def empty_cache(self, rows: int, slots: int) -> Cache:
        """Room for the keys and values of `slots` positions in each row."""
        shape = (self.spec.layers, rows, slots, self.spec.kv_heads, self.spec.head_dim)
        return jnp.zeros(shape, self.dtype), jnp.zeros(shape, self.dtype)

    def extend(
        self, tokens: jax.Array, positions: jax.Array, cache: Cache, lengths: jax.Array | None = None
    ) -> tuple[jax.Array, Cache]:
        """Final hidden states of new tokens that continue cached ones.

        Slot s of the cache holds position s: a token at position p writes slot p and sees slots 0 to p, or the latest of
        them that its layer's window holds. What right-padding writes beyond a row's end is not seen by real tokens, and is
        overwritten when the row grows there. Under `DynamicNTK` new tokens are turned by the length their row now has, and
        cached keys stay as they were, as in transformers.

        Args:
          tokens: i32[B, T]; positions: i32[B, T], consecutive within a row.
          cache: keys and values, [L, B, S, K, h], with T more slots free from positions[:, 0] on.
          lengths: i32[B], tokens of each row by now, cached ones included, right-padding not; None: no padding.

        Returns:
          [B, T, D], and the cache with the new tokens in it.
        """
        graph, layers = nnx.split(self.layers)
        ropes, kinds = _kinds(self.spec)
        lengths = positions[:, -1:] + 1 if lengths is None else lengths[:, None]
        cosines, sines = turns(ropes, self.spec.head_dim, positions, jnp.broadcast_to(lengths, positions.shape))
        real = positions < lengths

        def block(hidden: jax.Array, layer: Any) -> tuple[jax.Array, Cache]:
            parameters, (rope, window), (keys, values) = layer
            turn = cosines[rope], sines[rope]
            hidden, *cached = nnx.merge(graph, parameters).extend(hidden, positions, real, turn, window, keys, values)
            return hidden, tuple(cached)

        hidden, cache = jax.lax.scan(block, self._embed(tokens), (layers, kinds, cache))
        return self.norm(hidden), cache

    def _embed(self, tokens: jax.Array) -> jax.Array:
        # At rest the table is cut along its width too; looked up so, its gradient would be rebuilt whole on every device.
        table = constrain(self.embedding[...].astype(self.dtype), "vocab", None)
        hidden = constrain(jnp.take(table, tokens, axis=0), "batch", None, None)
        scale = self.spec.embedding_scale
        return hidden if scale is None else hidden * jnp.asarray(scale, self.dtype)


def _kinds(spec: DecoderSpec) -> tuple[list[Rope], tuple[np.ndarray, np.ndarray | None]]:
    """What differs between layers: the different ropes; and, i32[L] each, every layer's rope and window, data for the scan."""
    kinds = spec.layer_kinds()
    ropes = list(dict.fromkeys(kind.rope for kind in kinds))
    windows = None
    if any(kind.window is not None for kind in kinds):
        windows = np.array([kind.window or _EVERYTHING for kind in kinds], np.int32)
    return ropes, (np.array([ropes.index(kind.rope) for kind in kinds], np.int32), windows)
