"""The next token from its logits: greedy, temperature, top-k and top-p, keyed by item so that batches do not matter."""

import dataclasses

import jax
import jax.numpy as jnp

from instruct_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. The filters apply in the order of the fields.

    Attributes:
      temperature: divides the logits; None means greedy: the most probable token, no chance involved.
      top_k: keep only the k most probable tokens.
      top_p: keep the smallest set of tokens whose probabilities add up to at least p (nucleus sampling, arXiv:1904.09751).
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self):
        if self.temperature is None and (self.top_k is not None or self.top_p is not None):
            raise InputError("top_k or top_p without a temperature: greedy decoding draws nothing; set a temperature as well")
        if self.temperature is not None and self.temperature <= 0:
            raise InputError(f"temperature is {self.temperature}; expected more than 0, or None for greedy decoding")
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k is {self.top_k}; expected at least 1, or None to keep every token")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p}; expected more than 0 and at most 1, or None to keep every token")


GREEDY = Sampling()


def filtered_logits(logits: jax.Array, sampling: Sampling) -> jax.Array:
    """The logits to draw from: scaled, and minus infinity where a filter removes a token.

    Args:
      logits: f32[B, V].
      sampling: with a temperature.

    Returns:
      f32[B, V].

    >>> import numpy as np
    >>> probabilities = np.array([[0.5, 0.25, 0.15, 0.1]])
    >>> np.isfinite(filtered_logits(jnp.log(probabilities), Sampling(1.0, top_p=0.7))).tolist()
    [[True, True, False, False]]
    """
    logits = logits / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < logits.shape[-1]:
        smallest = jax.lax.top_k(logits, sampling.top_k)[0][..., -1:]
        logits = jnp.where(logits < smallest, -jnp.inf, logits)
    if sampling.top_p is not None and sampling.top_p < 1:
        order = jnp.argsort(-logits, axis=-1)
        probabilities = jax.nn.softmax(jnp.take_along_axis(logits, order, axis=-1), axis=-1)
        # A token stays if those before it have not reached p yet; the first one always stays.
        keep = jnp.cumsum(probabilities, axis=-1) - probabilities < sampling.top_p
        keep = jnp.take_along_axis(keep, jnp.argsort(order, axis=-1), axis=-1)
        logits = jnp.where(keep, logits, -jnp.inf)
    return logits


def sampled(logits: jax.Array, keys: jax.Array, sampling: Sampling) -> jax.Array:
    """One token a row.

    Args:
      logits: f32[B, V].
      keys: one random key a row, [B]; a row's draw depends on its own key and logits alone. Unused when greedy.
      sampling: how to choose.

    Returns:
      i32[B].
    """
    if sampling.temperature is None:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    return jax.vmap(jax.random.categorical)(keys, filtered_logits(logits, sampling)).astype(jnp.int32)


def item_keys(seed: int, items: jax.Array) -> jax.Array:
    """One random key an item: u32[B] item numbers -> keys [B]."""
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), items)


def step_keys(keys: jax.Array, step: jax.Array) -> jax.Array:
    """The items' keys for the token of one step: keys [B] -> keys [B]."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, step)
