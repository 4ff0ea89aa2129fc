"""Log-probability of each token: the one shift by which a position predicts the next, in chunks."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from instruct_jax.core.batch import Batch

CHUNK = 256  # positions whose logits are held at a time


def token_logprobs(model: Any, batch: Batch) -> jax.Array:
    """Log-probability of each token given those before it in its segment, aligned with the tokens.

    A segment's first token has nothing before it and scores 0, as does padding.

    Args:
      model: a decoder: `hidden_and_balance(tokens, segment_ids, positions)` and `logits(hidden)`.
      batch: B rows of T tokens.

    Returns:
      f32[B, T], nats.
    """
    return predictions(model, batch).logprobs


class Predictions(NamedTuple):
    """What one forward pass says about a batch.

    Attributes:
      logprobs: f32[B, T], as `token_logprobs`.
      normalisers: f32[B, T], the log of each softmax's sum, 0 where nothing is predicted.
      balance: f32[B], how unevenly each row uses its experts; 0 without experts.
    """

    logprobs: jax.Array
    normalisers: jax.Array
    balance: jax.Array


def predictions(model: Any, batch: Batch) -> Predictions:
    """`token_logprobs`, and what else a loss may want of the same forward pass."""
    hidden, balance = model.hidden_and_balance(batch.tokens, batch.segment_ids, batch.positions)
    chosen, normalisers = _scores(model, hidden[:, :-1], jnp.asarray(batch.tokens)[:, 1:])
    follows = (batch.segment_ids[:, 1:] == batch.segment_ids[:, :-1]) & (batch.segment_ids[:, 1:] > 0)
    return Predictions(_aligned(chosen - normalisers, follows), _aligned(normalisers, follows), balance)


def _scores(model: Any, hidden: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The targets' logits and the logs of the softmaxes' sums, f32[B, T] each, with logits held for CHUNK positions at a time.

    The backward pass computes each chunk's logits again: [B, T, V] would be the largest array of the whole step.
    """

    def score(chunk: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        states, wanted = chunk
        logits = model.logits(states)
        return jnp.take_along_axis(logits, wanted[..., None], axis=-1)[..., 0], jax.nn.logsumexp(logits, axis=-1)

    rows, length = targets.shape
    if length <= CHUNK:
        return score((hidden, targets))

    def cut(array: jax.Array) -> jax.Array:
        padded = jnp.pad(array, [(0, 0), (0, -length % CHUNK)] + [(0, 0)] * (array.ndim - 2))
        return jnp.swapaxes(padded.reshape(rows, -1, CHUNK, *array.shape[2:]), 0, 1)

    def join(chunks: jax.Array) -> jax.Array:
        return jnp.swapaxes(chunks, 0, 1).reshape(rows, -1)[:, :length]

    chosen, normalisers = jax.lax.map(jax.checkpoint(score), (cut(hidden), cut(targets)))
    return join(chosen), join(normalisers)


def _aligned(predictions: jax.Array, follows: jax.Array) -> jax.Array:
    """Predictions made at t for t + 1, moved to t + 1; 0 where a segment begins."""
    return jnp.pad(jnp.where(follows, predictions, 0.0), ((0, 0), (1, 0)))
