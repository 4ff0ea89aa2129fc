"""From records to the loss through the real pipeline: a SeqIO task, prepare, the batch source, the decoder, cross-entropy."""

import dataclasses
import io
import json

import jax
import numpy as np
import pytest
import sentencepiece
import seqio

from instruct_jax.core import modules
from instruct_jax.data.source import DatasetSource
from instruct_jax.model.loading import DecoderSource
from instruct_jax.model.logprobs import token_logprobs
from instruct_jax.model.spec import DecoderSpec
from instruct_jax.objectives.supervised import CrossEntropy
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.sources import JsonLines
from instruct_jax.text.chat import INSTRUCT
from instruct_jax.text.templates import Template

RESPONSES = ("a snowman ☃ here", "no", "☃☃ twice", "a longer answer without any", "yes")
LENGTH = 64


@pytest.fixture(scope="module", params=["unk", "eos"])
def prepared(request, tmp_path_factory):
    """A packed batch whose padding value 0 is also the id of the unknown piece, or of the end of text; and that name."""
    folder = tmp_path_factory.mktemp(request.param)
    ids = {"unk": {"unk_id": 0, "bos_id": 1, "eos_id": 2}, "eos": {"unk_id": 2, "bos_id": 1, "eos_id": 0}}[request.param]
    model, letters = (
        io.BytesIO(),
        "what do you say to this, number 0123456789? yes no a longer answer snowman here twice without any",
    )
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([letters] * 20),
        model_writer=model,
        model_type="char",
        vocab_size=40,
        hard_vocab_limit=False,
        pad_id=-1,
        minloglevel=2,
        **ids,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    rows = [{"number": index, "answer": RESPONSES[index % len(RESPONSES)]} for index in range(40)]
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    name = f"pipeline_{request.param}"
    seqio.TaskRegistry.add(
        name,
        source=JsonLines({"train": str(folder / "rows.jsonl")}),
        preprocessors=[Instruct((Template("only", "{number}?"),), cluster="none", dataset=name)],
        output_features=text_features(),
    )
    prepare(str(folder / "data"), name, str(folder / "tokenizer.model"), INSTRUCT, LENGTH, seed=0)
    seqio.TaskRegistry.remove(name)
    source = DatasetSource(folder / "data", rows=4)
    spec = DecoderSpec(embed=16, layers=2, heads=2, kv_heads=1, head_dim=8, mlp=32)
    decoder = DecoderSource(spec).fit(source.manifest).build(jax.random.key(0))
    return source(0), decoder, request.param


def test_what_id_zero_stands_for_is_trained_and_padding_is_not(prepared):
    batch, decoder, zero = prepared
    padding = batch.segment_ids == 0
    assert padding.any()
    assert not batch.tokens[padding].any()
    trained = (batch.tokens == 0) & (batch.weights > 0)
    documents = sum(int(row.max()) for row in batch.segment_ids)
    if zero == "eos":  # each response's end is trained, once
        assert trained.sum() == documents
    else:
        assert 0 < trained.sum() < documents * 2
    logprobs = np.asarray(token_logprobs(decoder, batch))
    assert (logprobs[trained] < 0).all()
    assert not logprobs[padding].any()
    mean, _ = CrossEntropy()(decoder, batch)
    np.testing.assert_allclose(mean.weight, batch.weights.sum())
    np.testing.assert_allclose(mean.total, -(logprobs * batch.weights).sum(), rtol=1e-5)


def test_each_zero_token_moves_the_loss_s_gradient(prepared):
    batch, decoder, _ = prepared
    blueprint, arrays = modules.split(decoder)

    def gradient(weights):
        changed = dataclasses.replace(batch, weights=weights)
        return jax.grad(lambda arrays: CrossEntropy()(blueprint.merge(arrays), changed)[0].total)(arrays)["embedding"]

    without = np.where(batch.tokens == 0, 0, batch.weights).astype(np.float32)
    assert np.abs(gradient(batch.weights) - gradient(without)).max() > 1e-3
    padded = np.where(batch.segment_ids == 0, 1, batch.weights).astype(np.float32)
    np.testing.assert_array_equal(gradient(padded), gradient(batch.weights))


def test_a_changed_neighbour_in_the_row_changes_no_bit(prepared):
    batch, decoder, _ = prepared
    tokens = batch.tokens.copy()
    first = batch.segment_ids[0] == 1
    tokens[0, first] = (tokens[0, first] + 1) % 30
    before, after = (
        np.asarray(token_logprobs(decoder, dataclasses.replace(batch, tokens=one))) for one in (batch.tokens, tokens)
    )
    assert batch.segment_ids[0].max() > 1
    assert not np.array_equal(before[0][first], after[0][first])
    np.testing.assert_array_equal(before[0][~first], after[0][~first])


def test_a_changed_future_changes_no_bit_of_the_past(prepared):
    batch, decoder, _ = prepared
    tokens = batch.tokens.copy()
    middle = int((batch.segment_ids[0] == 1).sum()) // 2
    tokens[0, middle:] = (tokens[0, middle:] + 1) % 30
    before, after = (
        np.asarray(token_logprobs(decoder, dataclasses.replace(batch, tokens=one))) for one in (batch.tokens, tokens)
    )
    np.testing.assert_array_equal(before[0, :middle], after[0, :middle])
    assert before[0, middle] != after[0, middle]
