"""Supervised learning: cross-entropy on the tokens that carry weight."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from instruct_jax.core.batch import Batch
from instruct_jax.core.metrics import Mean
from instruct_jax.model.logprobs import predictions


@dataclasses.dataclass(frozen=True)
class CrossEntropy:
    """Mean negative log-likelihood of the weighted tokens, in nats, plus two pulls.

    loss = sum_t w_t (-log p_t + z_loss * log(Z_t)^2 + balance * b_row(t)) / sum_t w_t, over all rows of all microbatches
    and devices: a row's load balance b counts as much as the row has to teach.

    A segment's first token has no prediction; its weight does not count.

    Attributes:
      z_loss: weight of log(Z)^2, which pulls the softmax's sum towards 1 (Chowdhery et al. 2022, arXiv:2204.02311, section
        5: 1e-4).
      balance: weight of the experts' load balance (`model.experts.load_balance`; Mixtral .001 to .02, OLMoE .01).
    """

    z_loss: float = 0.0
    balance: float = 0.0

    def __call__(self, model: Any, batch: Batch) -> tuple[Mean, dict[str, Mean]]:
        said = predictions(model, batch)
        weights = jnp.where(batch.positions > 0, batch.weights, 0.0)
        weight = weights.sum()
        total = -(weights * said.logprobs).sum()
        metrics = {"nll": Mean(total, weight)}  # what runs with and without the pulls are compared by
        if self.z_loss:
            penalty = (weights * said.normalisers**2).sum()
            metrics["log_z_squared"] = Mean(penalty, weight)
            total += self.z_loss * penalty
        if self.balance:
            unevenness = (weights.sum(axis=1) * said.balance).sum()
            metrics["balance"] = Mean(unevenness, weight)
            total += self.balance * unevenness
        return Mean(total, weight), metrics
