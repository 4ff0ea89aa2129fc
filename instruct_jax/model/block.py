"""One block of a decoder: attention and feed-forward, each added to the residual stream."""

from typing import Any

import jax
from flax import nnx

from instruct_jax.core.mesh import constrain
from instruct_jax.model.attention import Attention, Turn, Window
from instruct_jax.model.experts import MixtureOfExperts
from instruct_jax.model.layers import FeedForward, RMSNorm, unchanged
from instruct_jax.model.spec import DecoderSpec


class Block(nnx.Module):
    """Attention and feed-forward, normed before, after or both (`pre_norm`, `post_norm`), added to the residual stream."""

    def __init__(self, spec: DecoderSpec, key: jax.Array):
        attention_key, mlp_key = jax.random.split(key)
        self.attention_norm = _norm(spec, spec.pre_norm)
        self.attention = Attention(spec, attention_key)
        self.attention_post_norm = _norm(spec, spec.post_norm)
        self.mlp_norm = _norm(spec, spec.pre_norm)
        self.mlp = FeedForward(spec, mlp_key) if spec.experts is None else MixtureOfExperts(spec, mlp_key)
        self.mlp_post_norm = _norm(spec, spec.post_norm)

    def __call__(
        self, hidden: jax.Array, segment_ids: jax.Array, positions: jax.Array, turn: Turn, window: Window
    ) -> tuple[jax.Array, jax.Array]:
        """The block over packed rows.

        Args:
          hidden: [B, T, D].
          segment_ids, positions: i32[B, T].
          turn: cosines and sines of the layer's rotary angles, f32[B, T, h/2] each.
          window: i32[], how many latest positions the layer's queries see; None: all.

        Returns:
          [B, T, D], and the load balance of each row's experts, f32[B], 0 without experts.
        """
        mixed = self.attention(self.attention_norm(hidden), segment_ids, positions, turn, window)
        return self._rest(hidden, mixed, segment_ids > 0)

    def extend(
        self,
        hidden: jax.Array,
        positions: jax.Array,
        real: jax.Array,
        turn: Turn,
        window: Window,
        keys: jax.Array,
        values: jax.Array,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The block over new tokens that also see cached ones; see `Attention.extend`. `real`, bool[B, T]: no padding."""
        mixed, keys, values = self.attention.extend(self.attention_norm(hidden), positions, turn, window, keys, values)
        return self._rest(hidden, mixed, real)[0], keys, values

    def _rest(self, hidden: jax.Array, mixed: jax.Array, real: jax.Array) -> tuple[jax.Array, jax.Array]:
        hidden = constrain(hidden + self.attention_post_norm(mixed), "batch", None, None)
        fed, balance = self.mlp(self.mlp_norm(hidden), real)
        return constrain(hidden + self.mlp_post_norm(fed), "batch", None, None), balance


def _norm(spec: DecoderSpec, present: bool) -> Any:
    return RMSNorm(spec.embed, spec.norm_epsilon, spec.norm_offset) if present else unchanged


def stacked(spec: DecoderSpec, keys: jax.Array) -> Block:
    """One block whose every parameter holds all layers, [L, ...], drawn from a key each."""
    graph, single = nnx.split(Block(spec, keys[0]))
    arrays = jax.vmap(lambda key: jax.tree.leaves(nnx.split(Block(spec, key))[1]))(keys)
    return nnx.merge(graph, jax.tree.unflatten(jax.tree.structure(single), arrays))
