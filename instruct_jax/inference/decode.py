"""Generation with a key-value cache: one prefill, then one compiled loop, over ragged prompts."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from instruct_jax.errors import InputError
from instruct_jax.inference.sampling import GREEDY, Sampling, item_keys, sampled, step_keys

# Prompts are right-padded to a power of two, at least this many tokens: few shapes to compile.
SHORTEST_WIDTH = 64
_NOTHING = -1


@dataclasses.dataclass(frozen=True)
class Generation:
    """What a model wrote after a prompt.

    Attributes:
      tokens: the new ids, without the stop id.
      stopped: whether it ended by itself, on a stop id; False means it was cut at `max_new_tokens`.
    """

    tokens: tuple[int, ...]
    stopped: bool


def generate(
    model: Any,
    prompts: Sequence[np.ndarray],
    *,
    max_new_tokens: int,
    stop_ids: tuple[int, ...],
    vocab_size: int | None = None,
    sampling: Sampling = GREEDY,
    seed: int = 0,
    items: Sequence[int] | None = None,
    batch_tokens: int = 8192,
) -> list[Generation]:
    """What the model writes after each prompt.

    Prompts are grouped by length; neither the grouping nor the neighbours change a row, since a row attends to itself
    alone and draws with its own key.

    Args:
      model: has `empty_cache(rows, slots)`, `extend(tokens, positions, cache, lengths)` and `logits(hidden)`.
      prompts: i32[T] each, of unequal lengths, at least one token each.
      max_new_tokens: at most so many tokens are written.
      stop_ids: writing one of these ends a row.
      vocab_size: ids from here on are never written, for a model with more ids than its tokenizer; None: all may be.
      sampling: greedy, or how to draw.
      seed: of the draws.
      items: a number for each prompt that keys its draws; by default its place in `prompts`.
      batch_tokens: cache slots in one batch.

    Raises:
      InputError: an empty prompt, or no room to write.
    """
    if max_new_tokens < 1:
        raise InputError(f"max_new_tokens is {max_new_tokens}; expected at least 1")
    items = range(len(prompts)) if items is None else items
    groups: dict[int, list[int]] = {}
    for index, prompt in enumerate(prompts):
        if len(prompt) == 0:
            raise InputError(f"prompt {index} has no tokens; a model without a bos token needs at least one to start from")
        groups.setdefault(max(SHORTEST_WIDTH, power_of_two(len(prompt))), []).append(index)

    graphdef, state = nnx.split(model)
    results: list[Generation | None] = [None] * len(prompts)
    for width, members in sorted(groups.items()):
        rows = batch_rows(len(members), batch_tokens // (width + max_new_tokens))
        for start in range(0, len(members), rows):
            chosen = members[start : start + rows]
            tokens = np.zeros((rows, width), np.int32)
            lengths = np.zeros(rows, np.int32)
            numbers = np.zeros(rows, np.uint32)
            for row, index in enumerate(chosen):
                lengths[row] = len(prompts[index])
                tokens[row, : lengths[row]] = prompts[index]
                numbers[row] = items[index] % 2**32
            keys = item_keys(seed, numbers)
            arrays = _generated(graphdef, state, tokens, lengths, keys, max_new_tokens, stop_ids, vocab_size, sampling)
            written = np.asarray(arrays)
            for row, index in enumerate(chosen):
                results[index] = _cut(written[row], stop_ids)
    return results


@functools.partial(jax.jit, static_argnums=(0, 5, 6, 7, 8))
def _generated(graphdef, state, prompts, lengths, keys, max_new_tokens, stop_ids, vocab_size, sampling):
    """i32[B, max_new_tokens]: what each row writes, its stop id included, and _NOTHING after it.

    Rows of length 0 fill the batch and write nothing. A prompt's right padding leaves garbage in its cache slots; each
    such slot is overwritten by the row's own new token before any query can see it.
    """
    model = nnx.merge(graphdef, state)
    rows, width = prompts.shape
    positions = jnp.broadcast_to(jnp.arange(width, dtype=jnp.int32), (rows, width))
    hidden, cache = model.extend(prompts, positions, model.empty_cache(rows, width + max_new_tokens), lengths)
    last = jnp.take_along_axis(hidden, jnp.maximum(lengths - 1, 0)[:, None, None], axis=1)
    stops = jnp.array(stop_ids, jnp.int32)

    def chosen(hidden, step):
        logits = model.logits(hidden)[:, 0, :vocab_size].astype(jnp.float32)
        return sampled(logits, step_keys(keys, step), sampling)

    def record(token, step, done, written):
        written = written.at[:, step].set(jnp.where(done, _NOTHING, token))
        return token, step + 1, done | jnp.isin(token, stops), written

    def unfinished(carry):
        _, step, done, _, _ = carry
        return (step < max_new_tokens) & ~jnp.all(done)

    def write_one(carry):
        token, step, done, written, cache = carry
        hidden, cache = model.extend(token[:, None], (lengths + step - 1)[:, None], cache)
        return *record(chosen(hidden, step), step, done, written), cache

    written = jnp.full((rows, max_new_tokens), _NOTHING, jnp.int32)
    first = record(chosen(last, 0), jnp.int32(0), lengths == 0, written)
    return jax.lax.while_loop(unfinished, write_one, (*first, cache))[3]


def _cut(written: np.ndarray, stop_ids: tuple[int, ...]) -> Generation:
    tokens = []
    for token in written.tolist():
        if token in stop_ids:
            return Generation(tuple(tokens), stopped=True)
        if token == _NOTHING:
            break
        tokens.append(token)
    return Generation(tuple(tokens), stopped=False)


def batch_rows(count: int, limit: int) -> int:
    """How many rows a batch gets: the smallest power of eight that holds `count`, at most `limit`, at least one.

    Compiling a shape costs more than computing some empty rows, so there are few heights: 1, 8, 64, ..., `limit`.

    >>> [batch_rows(count, 100) for count in (1, 5, 9, 70, 700)]
    [1, 8, 64, 100, 100]
    """
    rows = 1
    while rows < min(count, limit):
        rows *= 8
    return max(1, min(rows, limit))


def power_of_two(count: int) -> int:
    """The smallest power of two that is at least `count`.

    >>> [power_of_two(n) for n in (1, 2, 3, 64, 65)]
    [1, 2, 4, 64, 128]
    """
    return 1 << (count - 1).bit_length()
