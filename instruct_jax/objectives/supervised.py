"""Supervised learning: cross-entropy on the tokens that carry weight."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from instruct_jax.core.batch import Batch
from instruct_jax.core.metrics import Mean
from instruct_jax.model.logprobs import logprobs_and_normalisers


@dataclasses.dataclass(frozen=True)
class CrossEntropy:
    """Mean negative log-likelihood of the weighted tokens, in nats, plus a pull of the softmax's sum towards 1.

    loss = sum_t w_t (-log p_t + z_loss * log(Z_t)^2) / sum_t w_t, over all rows of all microbatches and devices.

    A segment's first token has no prediction; its weight does not count.

    Attributes:
      z_loss: weight of log(Z)^2 (Chowdhery et al. 2022, arXiv:2204.02311, section 5: 1e-4).
    """

    z_loss: float = 0.0

    def __call__(self, model: Any, batch: Batch) -> tuple[Mean, dict[str, Mean]]:
        logprobs, normalisers = logprobs_and_normalisers(model, batch)
        weights = jnp.where(batch.positions > 0, batch.weights, 0.0)
        weight = weights.sum()
        nll = -(weights * logprobs).sum()
        # `nll` is what runs with and without z-loss are compared by.
        if not self.z_loss:
            return Mean(nll, weight), {"nll": Mean(nll, weight)}
        penalty = (weights * normalisers**2).sum()
        return Mean(nll + self.z_loss * penalty, weight), {"nll": Mean(nll, weight), "log_z_squared": Mean(penalty, weight)}
