"""What instruct_jax says of an HF folder: its live decoder, logits of packed and single rows, greedy continuations."""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from instruct_jax.convert import hf
from instruct_jax.core import modules
from instruct_jax.inference.decode import generate
from instruct_jax.model.decoder import Decoder
from tests.parity.cases import GENERATED


def decoder(folder: Path) -> Decoder:
    """The model of an HF folder, as the importer reads it, computed in fp32."""
    spec, parameters, _ = hf.read_model(folder, dtype=jnp.float32)
    blueprint, _ = modules.abstract(lambda: Decoder(spec, jax.random.key(0)))
    return blueprint.merge(parameters)


def row(documents: Sequence[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """tokens, segment_ids, positions i32[length] of documents packed one after another, padding behind them."""
    padding = length - sum(map(len, documents))
    parts = [(tokens, np.full(len(tokens), number + 1), np.arange(len(tokens))) for number, tokens in enumerate(documents)]
    parts.append((np.zeros(padding), np.zeros(padding), np.zeros(padding)))
    return tuple(np.concatenate(column).astype(np.int32) for column in zip(*parts, strict=True))


def logits(model: Decoder, rows: Sequence[Sequence[np.ndarray]], length: int) -> np.ndarray:
    """f32[B, length, V] of rows of packed documents, in one call."""
    graph, state = nnx.split(model)
    tokens, segment_ids, positions = (np.stack(column) for column in zip(*(row(one, length) for one in rows), strict=True))

    @jax.jit
    def scores(state, tokens, segment_ids, positions):
        merged = nnx.merge(graph, state)
        return merged.logits(merged(tokens, segment_ids, positions))

    return np.asarray(scores(state, tokens, segment_ids, positions))


def greedy(model: Decoder, prompts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """i32[GENERATED] after each prompt, through the key-value cache, ends of text written like any other token."""
    written = generate(model, prompts, max_new_tokens=GENERATED, stop_ids=())
    return [np.array(one.tokens, np.int32) for one in written]


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, relative to the largest expected magnitude.

    >>> difference(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    0.5
    """
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
