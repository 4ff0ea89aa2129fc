"""Schedules and optimisers."""

import jax.numpy as jnp
import numpy as np
import pytest

from instruct_jax.train import optimizer


def test_warmup_cosine_rises_to_its_peak_and_falls_to_its_end():
    schedule = optimizer.warmup_cosine(1.0, 100, warmup=10, final=0.1)
    np.testing.assert_allclose([schedule(step) for step in (0, 4, 9, 55, 100)], [0.1, 0.5, 1.0, 0.55, 0.1], atol=1e-6)


def test_warmup_linear_falls_in_a_straight_line():
    schedule = optimizer.warmup_linear(1.0, 100, warmup=20)
    np.testing.assert_allclose([schedule(step) for step in (19, 20, 60, 100)], [1.0, 1.0, 0.5, 0.0], atol=1e-6)


@pytest.mark.parametrize("optimise", [optimizer.adamw, optimizer.adafactor])
def test_norm_scales_are_not_decayed(optimise):
    parameters = {"norm/scale": jnp.ones(4), "layers/mlp/up": jnp.ones((4, 4))}
    transform = optimise(optimizer.warmup_constant(0.1), weight_decay=0.5)
    nothing = {path: jnp.zeros_like(array) for path, array in parameters.items()}
    updates, _ = transform.update(nothing, transform.init(parameters), parameters)
    np.testing.assert_allclose(updates["norm/scale"], 0.0, atol=1e-7)
    assert np.all(np.asarray(updates["layers/mlp/up"]) < 0)


def test_the_gradient_is_clipped_by_its_global_norm():
    parameters = {"a": jnp.zeros(2), "b": jnp.zeros(2)}
    gradient = {"a": jnp.array([30.0, 0.0]), "b": jnp.array([0.0, 40.0])}
    schedule = optimizer.warmup_constant(1.0)
    clipped, _ = (lambda t: t.update(gradient, t.init(parameters), parameters))(
        optimizer.adamw(schedule, clip_norm=1.0, epsilon=10.0)
    )
    small = {"a": jnp.array([0.6, 0.0]), "b": jnp.array([0.0, 0.8])}
    wanted, _ = (lambda t: t.update(small, t.init(parameters), parameters))(
        optimizer.adamw(schedule, clip_norm=None, epsilon=10.0)
    )
    np.testing.assert_allclose(clipped["a"], wanted["a"], rtol=1e-5)
    np.testing.assert_allclose(clipped["b"], wanted["b"], rtol=1e-5)
