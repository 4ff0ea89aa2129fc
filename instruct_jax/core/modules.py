"""A flax module as a flat dictionary of arrays, and back: the keyhole through which the house looks at NNX."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import nnx


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

    def merge(self, arrays: Mapping[str, Any]) -> Any:
        """The module with these arrays, by path."""
        return nnx.merge(self.graph, jax.tree.unflatten(self.structure, [arrays[path] for path in self.paths]))


def split(module: nnx.Module) -> tuple[Blueprint, dict[str, Any]]:
    """A module as its blueprint and its arrays by path."""
    graph, state = nnx.split(module)
    leaves, structure = jax.tree_util.tree_flatten_with_path(state)
    paths = tuple(_name(path) for path, _ in leaves)
    variables = jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, nnx.Variable))
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


def _name(path: tuple[Any, ...]) -> str:
    return "/".join(str(entry.key) for entry in path if isinstance(entry, jax.tree_util.DictKey))
