"""A sequence's log-probability is its own, however sequences are batched."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from instruct_jax.inference.score import Logprob, packed, sequence_logprobs
from instruct_jax.text.chat import Rendered


@pytest.fixture(scope="module")
def sequences() -> list[Rendered]:
    """Ragged sequences with ragged masks: some all trained, some not at all, one of one token, one beyond the short row."""
    random = np.random.default_rng(1)
    out = []
    for size in (1, 2, 3, 7, 12, 30, 41, 60, 5, 9, 150, 17):
        weights = (np.arange(size) >= random.integers(0, size + 1)).astype(np.float32)
        out.append(Rendered(random.integers(0, 259, size).astype(np.int32), weights))
    return out


@functools.partial(jax.jit, static_argnums=0)
def logprobs_of(graphdef, state, tokens, segment_ids):
    model = nnx.merge(graphdef, state)
    hidden = model(tokens, segment_ids, jnp.arange(tokens.shape[1])[None] * segment_ids)
    return jax.nn.log_softmax(model.logits(hidden)[0], axis=-1)


def by_hand(model, sequence: Rendered) -> float:
    """One sequence in a row of its own, its logits normalised and its shift made here."""
    count = len(sequence.tokens)
    tokens = np.pad(sequence.tokens, (0, 160 - count))[None]
    logprobs = np.asarray(logprobs_of(*nnx.split(model), tokens, (np.arange(160) < count).astype(np.int32)[None]))
    return sum(logprobs[t - 1, sequence.tokens[t]] for t in range(1, count) if sequence.weights[t])


def test_packed_equals_alone(model, sequences):
    scored = sequence_logprobs(model, sequences)
    for sequence, one in zip(sequences, scored, strict=True):
        assert one.total == pytest.approx(by_hand(model, sequence), abs=2e-4)
        assert one.tokens == int(sequence.weights[1:].sum())


@pytest.mark.parametrize("batch_tokens", [1, 300, 1024])
def test_sums_do_not_depend_on_the_batch_size(model, sequences, batch_tokens):
    together = sequence_logprobs(model, sequences)
    other = sequence_logprobs(model, sequences, batch_tokens)
    assert [one.tokens for one in other] == [one.tokens for one in together]
    nats, tokens = (sum(getattr(one, name) for one in together) for name in ("total", "tokens"))
    assert sum(one.total for one in other) / tokens == pytest.approx(nats / tokens, rel=1e-6)
    np.testing.assert_allclose([one.total for one in other], [one.total for one in together], rtol=1e-5, atol=1e-5)


def test_sums_do_not_depend_on_the_order(model, sequences):
    turned = sequence_logprobs(model, sequences[::-1])[::-1]
    np.testing.assert_allclose(
        [one.total for one in turned], [one.total for one in sequence_logprobs(model, sequences)], rtol=1e-5, atol=1e-5
    )


def test_every_sequence_is_packed_once_and_fits():
    random = np.random.default_rng(2)
    lengths = random.integers(1, 400, 300).tolist()
    rows = packed(lengths)
    assert sorted(index for _, members in rows for index in members) == list(range(300))
    assert all(sum(lengths[index] for index in members) <= capacity for capacity, members in rows)
    assert sum(lengths) / sum(capacity for capacity, _ in rows) > 0.9


def test_nothing_to_predict_scores_nothing(model, sequences):
    assert sequence_logprobs(model, sequences[:1]) == [Logprob(0.0, 0)]
    assert sequence_logprobs(model, []) == []
