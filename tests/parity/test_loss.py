"""The loss of packed rows and its gradient, against TRL's supervised fine-tuning of the same sequences apart."""

import dataclasses

import jax
import numpy as np
import pytest
import tokenizers
import torch
import transformers
import trl
from datasets import Dataset

from instruct_jax.core import modules
from instruct_jax.core.batch import Batch
from instruct_jax.objectives.supervised import CrossEntropy
from tests.parity import ours, reference
from tests.parity.cases import BY_NAME, FIXTURES

# (prompt, response) lengths; a mean of means would differ from the mean.
_SIZES = ((9, 4), (3, 14), (5, 1))
_LENGTH = 32  # of a packed row


@pytest.fixture(scope="module", params=["llama_3_1", "gemma_2", "mixtral"])
def folder(request):
    return FIXTURES / request.param


@pytest.fixture(scope="module")
def documents(folder):
    """Token ids with the mask of what is trained, of unequal lengths and shares."""
    random = np.random.default_rng(3)
    words = BY_NAME[folder.name].shape["vocab_size"]
    return [(random.integers(0, words, prompt + response), np.repeat([0, 1], [prompt, response])) for prompt, response in _SIZES]


def their_loss_and_gradient(folder, documents, workspace):
    """TRL's loss of the documents as one padded batch, and the gradient of its embedding table."""
    empty = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<pad>": 0, "<eos>": 1}, unk_token="<pad>"))
    words = transformers.PreTrainedTokenizerFast(tokenizer_object=empty, eos_token="<eos>", pad_token="<pad>")
    rows = [{"input_ids": tokens.tolist(), "completion_mask": mask.tolist()} for tokens, mask in documents]
    model = reference.loaded(folder)
    settings = trl.SFTConfig(
        output_dir=str(workspace),
        per_device_train_batch_size=len(rows),
        completion_only_loss=True,
        gradient_checkpointing=False,
        bf16=False,
        router_aux_loss_coef=0.0 if hasattr(model.config, "router_aux_loss_coef") else None,  # see the test of the balance
        use_cpu=True,
        report_to="none",
    )
    trainer = trl.SFTTrainer(model, settings, train_dataset=Dataset.from_list(rows), processing_class=words)
    batch = next(iter(trainer.get_train_dataloader()))
    loss = trainer.compute_loss(model, batch)
    loss.backward()
    return loss.item(), model.get_input_embeddings().weight.grad.numpy()


def our_loss_and_gradient(folder, documents):
    """The loss of the documents packed into rows, and the gradient of the embedding table."""
    packs = [documents[:2], documents[2:]]
    columns = [ours.row([tokens for tokens, _ in pack], _LENGTH) for pack in packs]
    tokens, segment_ids, positions = (np.stack(column) for column in zip(*columns, strict=True))
    weights = np.zeros(tokens.shape, np.float32)
    for row, pack in enumerate(packs):
        mask = np.concatenate([mask for _, mask in pack])
        weights[row, : len(mask)] = mask
    blueprint, arrays = modules.split(ours.decoder(folder))

    @jax.jit
    @jax.value_and_grad
    def loss(arrays):
        mean, _ = CrossEntropy()(blueprint.merge(arrays), Batch(tokens, segment_ids, positions, weights))
        return mean.total / mean.weight

    value, gradient = loss(arrays)
    return float(value), np.asarray(gradient["embedding"])


def test_packed_rows_have_the_loss_and_gradient_of_trl_s_separate_ones(folder, documents, tmp_path):
    their_loss, their_gradient = their_loss_and_gradient(folder, documents, tmp_path)
    our_loss, our_gradient = our_loss_and_gradient(folder, documents)
    assert our_loss == pytest.approx(their_loss, rel=1e-5)
    assert ours.difference(our_gradient, their_gradient) <= 1e-4


@pytest.mark.parametrize("name", ["mixtral", "olmoe"])
def test_the_balance_of_one_row_s_experts_in_one_layer_is_transformers_auxiliary_loss(name, tmp_path):
    case = BY_NAME[name]
    shallow = dataclasses.replace(case, shape={**case.shape, "num_hidden_layers": 1}, dtype="float32")
    model = reference.random_model(shallow, seed=1)
    model.save_pretrained(tmp_path)
    tokens = np.random.default_rng(1).integers(0, case.shape["vocab_size"], (1, 30))
    with torch.no_grad():
        wanted = model(torch.tensor(tokens), output_router_logits=True).aux_loss.item()
    positions = np.arange(30, dtype=np.int32)[None]
    balance = ours.decoder(tmp_path).hidden_and_balance(tokens.astype(np.int32), np.ones_like(positions), positions)[1]
    assert balance.item() == pytest.approx(wanted, rel=1e-5)
    assert wanted > 1.01 * case.shape["num_experts_per_tok"]
