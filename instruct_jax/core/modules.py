"""A flax module as a flat dictionary of arrays, and back: the keyhole through which the house looks at NNX."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


class Seed(nnx.Variable):
    """Where a layer's noise in training is drawn from: u32 of the shape that it is made with, or None: no noise.

    It is no parameter: nothing holds, saves or shards it. A module is built, and merged, with None; a training step merges
    with a key, from which every Seed of the module gets numbers of its own.

    Args:
      shape: the stack of layers that share the module, (L,), or ().
    """

    def __init__(self, shape: tuple[int, ...] = ()):
        super().__init__(None, shape=shape)


@dataclasses.dataclass(frozen=True)
class Blueprint:
    """What is left of a module when its arrays are taken out: enough to put other arrays in.

    Attributes:
      paths: the parameters' names, such as "layers/attention/query/kernel", in tree order.
      axes: the logical axes of each parameter, by path.
    """

    graph: Any
    structure: Any
    paths: tuple[str, ...]
    axes: Mapping[str, tuple[str | None, ...]]

    def merge(self, arrays: Mapping[str, Any], noise: jax.Array | None = None) -> Any:
        """The module with these arrays, by path; `noise` is the key of its random numbers in training, None: it has none."""
        state = jax.tree.unflatten(self.structure, [arrays[path] for path in self.paths])
        return nnx.merge(self.graph, state if noise is None else _seeded(state, noise))


def split(module: nnx.Module) -> tuple[Blueprint, dict[str, Any]]:
    """A module as its blueprint and its arrays by path."""
    graph, state = nnx.split(module)
    leaves, structure = jax.tree_util.tree_flatten_with_path(state)
    paths = tuple(_name(path) for path, _ in leaves)
    variables = [variable for variable in jax.tree.leaves(state, is_leaf=_is_variable) if not isinstance(variable, Seed)]
    # A parameter names the axes of one layer; the stack of layers comes before them.
    axes = {
        path: (None,) * (leaf.ndim - len(variable.axes)) + tuple(variable.axes)
        for path, (_, leaf), variable in zip(paths, leaves, variables, strict=True)
    }
    return Blueprint(graph, structure, paths, axes), {path: leaf for path, (_, leaf) in zip(paths, leaves, strict=True)}


def abstract(build: Callable[[], nnx.Module]) -> tuple[Blueprint, dict[str, jax.ShapeDtypeStruct]]:
    """`split(build())` in shapes alone: nothing is computed and no memory is taken."""
    blueprints = []

    def arrays() -> dict[str, Any]:
        blueprint, flat = split(build())
        blueprints.append(blueprint)
        return flat

    shapes = jax.eval_shape(arrays)
    return blueprints[0], shapes


def _is_variable(node: Any) -> bool:
    return isinstance(node, nnx.Variable)


def _seeded(state: Any, noise: jax.Array) -> Any:
    """The state with every Seed filled, each with numbers of its own."""
    numbers = itertools.count()

    def fill(variable: nnx.Variable) -> nnx.Variable:
        if not isinstance(variable, Seed):
            return variable
        return variable.replace(jax.random.bits(jax.random.fold_in(noise, next(numbers)), variable.shape, jnp.uint32))

    return jax.tree.map(fill, state, is_leaf=_is_variable)


def _name(path: tuple[Any, ...]) -> str:
    return "/".join(str(entry.key) for entry in path if isinstance(entry, jax.tree_util.DictKey))
