"""Cached decoding writes what the full forward pass would."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from instruct_jax.errors import InputError
from instruct_jax.inference import decode
from instruct_jax.inference.decode import generate
from instruct_jax.inference.sampling import Sampling


@functools.partial(jax.jit, static_argnums=0)
def full_logits(graphdef, state, tokens, segment_ids, positions):
    model = nnx.merge(graphdef, state)
    return model.logits(model(tokens, segment_ids, positions))


def teacher_forced(model, prompt: np.ndarray, steps: int) -> tuple[int, ...]:
    """Greedy tokens by a full forward pass over the whole sequence for each of them."""
    tokens = prompt.tolist()
    graphdef, state = nnx.split(model)
    for _ in range(steps):
        padded = np.zeros((1, 64), np.int32)
        padded[0, : len(tokens)] = tokens
        segment_ids = (np.arange(64) < len(tokens)).astype(np.int32)[None]
        logits = full_logits(graphdef, state, padded, segment_ids, np.arange(64, dtype=np.int32)[None] * segment_ids)
        tokens.append(int(jnp.argmax(logits[0, len(tokens) - 1])))
    return tuple(tokens[len(prompt) :])


def test_cached_decode_equals_teacher_forcing(model, prompts):
    written = generate(model, prompts, max_new_tokens=6, stop_ids=())
    for prompt, one in zip(prompts, written, strict=True):
        assert one.tokens == teacher_forced(model, prompt, 6)
        assert not one.stopped


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(1.0, top_p=0.95)])
def test_batching_changes_no_answer(model, prompts, sampling):
    together = generate(model, prompts, max_new_tokens=5, stop_ids=(), sampling=sampling)
    small = generate(model, prompts, max_new_tokens=5, stop_ids=(), sampling=sampling, batch_tokens=80)
    assert small == together
    for item in (0, 5):
        alone = generate(model, prompts[item : item + 1], max_new_tokens=5, stop_ids=(), sampling=sampling, items=[item])
        assert alone == together[item : item + 1]


def test_a_row_ends_on_its_stop_id_and_the_others_go_on(model, prompts):
    free = generate(model, prompts, max_new_tokens=6, stop_ids=())
    stop = free[4].tokens[2]
    stopped = generate(model, prompts, max_new_tokens=6, stop_ids=(stop,))
    for before, after in zip(free, stopped, strict=True):
        if stop in before.tokens:
            assert after.tokens == before.tokens[: before.tokens.index(stop)]
            assert after.stopped
        else:
            assert after == before
    assert stopped[4].stopped


def test_ids_beyond_the_tokenizer_are_never_written(model, prompts):
    free = generate(model, prompts, max_new_tokens=6, stop_ids=())
    limit = max(max(one.tokens) for one in free)
    bounded = generate(model, prompts, max_new_tokens=6, stop_ids=(), vocab_size=limit)
    assert max(max(one.tokens) for one in bounded) < limit


def test_few_shapes_are_compiled_for_many_lengths(model):
    prompts = [np.full(size, 7, np.int32) for size in range(1, 129)]
    decode._generated.clear_cache()
    generate(model, prompts, max_new_tokens=3, stop_ids=(), batch_tokens=8 * 140)
    assert decode._generated._cache_size() == 2


def test_an_empty_prompt_and_no_room_are_refused(model, prompts):
    with pytest.raises(InputError, match="prompt 1 has no tokens"):
        generate(model, [prompts[0], prompts[0][:0]], max_new_tokens=3, stop_ids=())
    with pytest.raises(InputError, match="max_new_tokens is 0"):
        generate(model, prompts, max_new_tokens=0, stop_ids=())
