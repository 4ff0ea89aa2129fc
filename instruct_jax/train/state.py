"""TrainState: arrays only, born sharded."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from instruct_jax.core import mesh as meshes
from instruct_jax.core import modules, trees
from instruct_jax.core.protocols import ModelSource


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that training changes or needs: no functions, no random state, no iterator.

    Attributes:
      step: i32[], how many batches have been seen.
      skipped: i32[], how many of them had no supervised token and changed nothing.
      trainable, frozen: parameters by path.
      opt_state: of the optax chain, over `trainable`.
    """

    step: Any
    skipped: Any
    trainable: Mapping[str, Any]
    frozen: Mapping[str, Any]
    opt_state: Any

    def parameters(self) -> dict[str, Any]:
        """All parameters by path."""
        return {**self.trainable, **self.frozen}

    def optimiser(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the parameters."""
        return {"step": self.step, "skipped": self.skipped, "opt_state": self.opt_state}

    def restored(self, parameters: Mapping[str, Any], optimiser: Mapping[str, Any]) -> "TrainState":
        """This state, or its shapes, with a checkpoint's content."""
        trainable = {path: parameters[path] for path in self.trainable}
        frozen = {path: parameters[path] for path in self.frozen}
        return TrainState(trainable=trainable, frozen=frozen, **optimiser)


def abstract_state(
    model: ModelSource, optimizer: optax.GradientTransformation, mesh: jax.sharding.Mesh
) -> tuple[modules.Blueprint, TrainState]:
    """The model's blueprint, and the state as shapes with their shardings; nothing is allocated."""
    blueprint, shapes = modules.abstract(lambda: model.build(jax.random.key(0)))
    trainable, frozen = trees.select(shapes, model.trainable)
    opt_state = jax.eval_shape(optimizer.init, trainable)
    counter = jax.ShapeDtypeStruct((), jnp.int32)

    def lay(path: tuple[Any, ...], shape: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        # A moment lies as its parameter: same path, same shape. Counters and factored moments are small: copied.
        name = next(
            (entry.key for entry in reversed(path) if isinstance(entry, jax.tree_util.DictKey) and entry.key in shapes), None
        )
        if name is not None and shapes[name].shape == shape.shape:
            sharding = meshes.parameter_sharding(mesh, shape.shape, blueprint.axes[name])
        else:
            sharding = meshes.replicated(mesh)
        return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding)

    return blueprint, jax.tree_util.tree_map_with_path(lay, TrainState(counter, counter, trainable, frozen, opt_state))


def fresh_state(
    model: ModelSource,
    optimizer: optax.GradientTransformation,
    shapes: TrainState,
    seed: int,
    given: Mapping[str, Any] | None = None,
) -> TrainState:
    """A state at step 0, every array made on its own shards.

    Args:
      model, optimizer: what to make a state of.
      shapes: of `abstract_state`.
      seed: what new parameters are drawn from.
      given: parameters that are there already, by path; they are not drawn, and take no second place in memory.
    """
    given = given or {}

    def draw(key: jax.Array) -> dict[str, Any]:
        return {path: array for path, array in modules.split(model.build(key))[1].items() if path not in given}

    # `jit(optimizer.init)` alone would copy the moments to every device, hence the explicit shardings.
    def begin(trainable: Mapping[str, Any]) -> dict[str, Any]:
        zero = jnp.zeros((), jnp.int32)
        return {"step": zero, "skipped": zero, "opt_state": optimizer.init(trainable)}

    def placed(function: Callable[..., Any], wanted: Any) -> Callable[..., Any]:
        # Run once, so not worth optimising: on CPUs LLVM would spend ten times longer on it than it ever runs.
        on_cpu = shapes.step.sharding.mesh.devices.flat[0].platform == "cpu"
        options = {"xla_backend_optimization_level": 0} if on_cpu else None
        shardings = jax.tree.map(lambda shape: shape.sharding, wanted)
        return jax.jit(function, out_shardings=shardings, compiler_options=options)

    missing = {path: shape for path, shape in shapes.parameters().items() if path not in given}
    parameters = {**given, **placed(draw, missing)(jax.random.key(seed))}
    trainable = {path: parameters[path] for path in shapes.trainable}
    return shapes.restored(parameters, placed(begin, shapes.optimiser())(trainable))
