"""Log-probability of each token: the one shift by which a position predicts the next."""

from typing import Any

import jax
import jax.numpy as jnp

from instruct_jax.core.batch import Batch


def token_logprobs(model: Any, batch: Batch) -> jax.Array:
    """Log-probability of each token given those before it in its segment, aligned with the tokens.

    A segment's first token has nothing before it and scores 0, as does padding.

    Args:
      model: a decoder: (tokens, segment_ids, positions) -> hidden, with `logits`.
      batch: B rows of T tokens.

    Returns:
      f32[B, T], nats.
    """
    return logprobs_and_normalisers(model, batch)[0]


def logprobs_and_normalisers(model: Any, batch: Batch) -> tuple[jax.Array, jax.Array]:
    """`token_logprobs`, and the log of each softmax's sum, f32[B, T], 0 where nothing is predicted (for z-loss)."""
    hidden = model(batch.tokens, batch.segment_ids, batch.positions)
    logits = model.logits(hidden[:, :-1])
    normalisers = jax.nn.logsumexp(logits, axis=-1)
    chosen = jnp.take_along_axis(logits, batch.tokens[:, 1:, None], axis=-1)[..., 0]
    follows = (batch.segment_ids[:, 1:] == batch.segment_ids[:, :-1]) & (batch.segment_ids[:, 1:] > 0)
    return _aligned(chosen - normalisers, follows), _aligned(normalisers, follows)


def _aligned(predictions: jax.Array, follows: jax.Array) -> jax.Array:
    """Predictions made at t for t + 1, moved to t + 1; 0 where a segment begins."""
    return jnp.pad(jnp.where(follows, predictions, 0.0), ((0, 0), (1, 0)))
