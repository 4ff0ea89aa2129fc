"""The decoder: embed, scan over the blocks, norm, project to words."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from instruct_jax.core.mesh import constrain
from instruct_jax.model.layers import Block, Linear, RMSNorm, parameter
from instruct_jax.model.spec import DecoderSpec

# What the backward pass keeps of each block; the rest it computes again. None: it keeps everything.
REMAT = {
    "none": None,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}

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
        self.layers = _stack(spec, jax.random.split(layer_key, spec.layers))
        self.norm = RMSNorm(spec.embed, spec.norm_epsilon)
        if not spec.tied:
            self.head = Linear(head_key, (spec.embed,), (spec.vocab_size,), ("embed", "vocab"))

    def __call__(self, tokens: jax.Array, segment_ids: jax.Array, positions: jax.Array) -> jax.Array:
        """Final hidden states.

        Args:
          tokens, segment_ids, positions: i32[B, T], as in `core.batch.Batch`.

        Returns:
          [B, T, D] of the compute dtype.
        """
        graph, layers = nnx.split(self.layers)

        def block(hidden: jax.Array, layer: Any) -> tuple[jax.Array, None]:
            return nnx.merge(graph, layer)(hidden, segment_ids, positions), None

        if (policy := REMAT[self.remat]) is not None:
            block = jax.checkpoint(block, policy=policy, prevent_cse=False)
        hidden, _ = jax.lax.scan(block, self._embed(tokens), layers)
        return self.norm(hidden)

    def logits(self, hidden: jax.Array) -> jax.Array:
        """Scores of every word, f32[B, T, V], from final hidden states [B, T, D]."""
        matrix = self.embedding[...].T if self.spec.tied else self.head.kernel[...]
        scores = jnp.einsum("btd,dv->btv", hidden, matrix.astype(hidden.dtype), preferred_element_type=jnp.float32)
        return constrain(scores, "batch", None, "vocab")

    def empty_cache(self, rows: int, slots: int) -> Cache:
        """Room for the keys and values of `slots` positions in each row."""
        shape = (self.spec.layers, rows, slots, self.spec.kv_heads, self.spec.head_dim)
        return jnp.zeros(shape, self.dtype), jnp.zeros(shape, self.dtype)

    def extend(self, tokens: jax.Array, positions: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
        """Final hidden states of new tokens that continue cached ones.

        Slot s of the cache holds position s: a token at position p writes slot p and sees slots 0 to p. What right-padding
        writes beyond a row's end is not seen by real tokens, and is overwritten when the row grows there.

        Args:
          tokens: i32[B, T]; positions: i32[B, T], consecutive within a row.
          cache: keys and values, [L, B, S, K, h], with T more slots free from positions[:, 0] on.

        Returns:
          [B, T, D], and the cache with the new tokens in it.
        """
        graph, layers = nnx.split(self.layers)

        def block(hidden: jax.Array, layer: Any) -> tuple[jax.Array, Cache]:
            parameters, keys, values = layer
            hidden, keys, values = nnx.merge(graph, parameters).extend(hidden, positions, keys, values)
            return hidden, (keys, values)

        hidden, cache = jax.lax.scan(block, self._embed(tokens), (layers, *cache))
        return self.norm(hidden), cache

    def _embed(self, tokens: jax.Array) -> jax.Array:
        # At rest the table is cut along its width too; looked up so, its gradient would be rebuilt whole on every device.
        table = constrain(self.embedding[...].astype(self.dtype), "vocab", None)
        return constrain(jnp.take(table, tokens, axis=0), "batch", None, None)


def _stack(spec: DecoderSpec, keys: jax.Array) -> Block:
    """One block whose every parameter holds all layers, [L, ...]."""
    graph, single = nnx.split(Block(spec, keys[0]))
    arrays = jax.vmap(lambda key: jax.tree.leaves(nnx.split(Block(spec, key))[1]))(keys)
    return nnx.merge(graph, jax.tree.unflatten(jax.tree.structure(single), arrays))
