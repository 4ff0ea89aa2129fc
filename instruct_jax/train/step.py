"""One training step: gradients of totals, summed over microbatches, divided once."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from instruct_jax.core import trees
from instruct_jax.core.metrics import Mean
from instruct_jax.core.modules import Blueprint
from instruct_jax.core.protocols import Objective
from instruct_jax.errors import InputError
from instruct_jax.train.state import TrainState

Step = Callable[[TrainState, Any], tuple[TrainState, dict[str, Any]]]


def make_train_step(
    blueprint: Blueprint, objective: Objective, optimizer: optax.GradientTransformation, microbatches: int, seed: int
) -> Step:
    """The step as a pure function (state, batch) -> (state, metrics).

    Metrics hold "loss" and the objective's own, as Means over the whole batch; "grad_norm", of the final gradient before
    clipping; "finite", whether that and the loss are; "skipped", how many batches so far had nothing to learn from. Such
    a batch leaves parameters and moments alone; so does one that is not finite, and the loop stops there.

    The model's noise (dropout) is a function of the seed, the step and the microbatch: a resumed run draws the same.
    """

    def total_loss(
        trainable: Mapping[str, Any], frozen: Mapping[str, Any], batch: Any, noise: jax.Array
    ) -> tuple[jax.Array, dict[str, Mean]]:
        loss, metrics = objective(blueprint.merge({**trainable, **frozen}, noise), batch)
        return loss.total, {"loss": loss, **metrics}

    def train_step(state: TrainState, batch: Any) -> tuple[TrainState, dict[str, Any]]:
        gradient = jax.grad(total_loss, has_aux=True)
        noise = jax.random.fold_in(jax.random.key(seed), state.step)

        def evaluate(part: Any, index: Any) -> Any:
            return gradient(state.trainable, state.frozen, part, jax.random.fold_in(noise, index))

        grads, metrics = _sum_over_microbatches(evaluate, batch, microbatches)
        weight = metrics["loss"].weight
        grads = jax.tree.map(lambda grad: grad / jnp.where(weight > 0, weight, 1.0), grads)
        norm = optax.tree.norm(grads)
        finite = jnp.isfinite(norm) & jnp.isfinite(metrics["loss"].total)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.trainable)
        trainable = optax.apply_updates(state.trainable, updates)
        learned = finite & (weight > 0)
        trainable, opt_state = jax.tree.map(
            lambda new, old: jnp.where(learned, new, old), (trainable, opt_state), (state.trainable, state.opt_state)
        )
        skipped = state.skipped + (weight <= 0)
        state = TrainState(state.step + 1, skipped, trainable, state.frozen, opt_state)
        return state, {**metrics, "grad_norm": norm, "finite": finite, "skipped": skipped}

    return train_step


def _sum_over_microbatches(evaluate: Callable[[Any, Any], Any], batch: Any, microbatches: int) -> Any:
    """`evaluate` of each microbatch and its number, added up in fp32."""
    if microbatches == 1:
        return evaluate(batch, 0)

    def cut(array: jax.Array) -> jax.Array:
        if array.shape[0] % microbatches:
            raise InputError(
                f"a batch of {array.shape[0]} rows cannot be cut into {microbatches} microbatches; make it a multiple"
            )
        # Row r goes to microbatch r % k: each device keeps its rows, and every microbatch has some of each device's.
        return jnp.swapaxes(array.reshape(-1, microbatches, *array.shape[1:]), 0, 1)

    parts = jax.tree.map(cut, batch)
    first = jax.tree.map(lambda part: part[0], parts)
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), jax.eval_shape(evaluate, first, 0))

    def accumulate(total: Any, numbered: tuple[Any, jax.Array]) -> tuple[Any, None]:
        return trees.add(total, evaluate(*numbered)), None

    total, _ = jax.lax.scan(accumulate, zeros, (parts, jnp.arange(microbatches)))
    return total
