"""The loss on a dataset kept back."""

import jax
import numpy as np
import pytest

from instruct_jax.artifacts.dataset import Dataset, batch_of
from instruct_jax.core.mesh import make_mesh
from instruct_jax.evals.loss import DatasetLoss
from instruct_jax.model.loading import DecoderSource
from instruct_jax.model.logprobs import token_logprobs
from instruct_jax.model.spec import DecoderSpec
from instruct_jax.objectives.supervised import CrossEntropy
from instruct_jax.train import optimizer
from instruct_jax.train.state import abstract_state, fresh_state

MODEL = DecoderSource(DecoderSpec(embed=16, layers=2, heads=4, kv_heads=2, head_dim=4, mlp=32, vocab_size=259))


def live_on(mesh):
    transform = optimizer.adamw(optimizer.warmup_constant(1e-3))
    blueprint, shapes = abstract_state(MODEL, transform, mesh)
    state = fresh_state(MODEL, transform, shapes, seed=0)
    return lambda: blueprint.merge(state.parameters())


@pytest.mark.parametrize(("rows", "sizes"), [(8, {"data": 8}), (16, {"data": 2, "fsdp": 2, "tensor": 2}), (24, {"data": 8})])
def test_the_loss_depends_on_neither_batch_size_nor_mesh(make_dataset, rows, sizes):
    folder = make_dataset("held", documents=50)
    mesh = make_mesh(**sizes)
    model = live_on(mesh)
    with jax.set_mesh(mesh):
        found = DatasetLoss(folder, CrossEntropy(), rows)(0, model)
    dataset = Dataset(folder)
    assert len(dataset) % rows  # a remainder is left at the end
    batch = batch_of([dataset[index] for index in range(len(dataset))], dataset.length)
    logprobs = np.asarray(token_logprobs(MODEL.build(jax.random.key(0)), batch))
    counted = batch.weights * (batch.positions > 0)
    np.testing.assert_allclose(found["loss"], -(counted * logprobs).sum() / counted.sum(), rtol=1e-5)
