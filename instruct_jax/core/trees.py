"""Pytrees of arrays by path: name, select, count, add, compare."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one dictionary from 'a/b/c' to leaf, in sorted order.

    >>> flatten({"b": 1, "a": {"x": 2, "y": 3}})
    {'a/x': 2, 'a/y': 3, 'b': 1}
    """
    flat = {}
    for key in sorted(tree, key=str):
        value = tree[key]
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{path}/"))
        else:
            flat[path] = value
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`.

    >>> nest({"a/x": 2, "a/y": 3, "b": 1})
    {'a': {'x': 2, 'y': 3}, 'b': 1}
    """
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value
    return tree


def select(flat: Mapping[str, Any], keep: Callable[[str], bool]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The leaves whose path `keep` accepts, and the rest.

    >>> select({"a/x": 2, "b": 1}, lambda path: path.startswith("a"))
    ({'a/x': 2}, {'b': 1})
    """
    chosen = {path: leaf for path, leaf in flat.items() if keep(path)}
    return chosen, {path: leaf for path, leaf in flat.items() if path not in chosen}


def count(tree: Any) -> int:
    """How many numbers a tree of arrays holds.

    >>> count({"a": jnp.zeros((2, 3)), "b": jnp.zeros(4)})
    10
    """
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def size(tree: Any) -> int:
    """How many bytes a tree of arrays, or of their shapes, takes.

    >>> size({"a": jnp.zeros((2, 3)), "b": jnp.zeros(4, jnp.bfloat16)})
    32
    """
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def add(left: Any, right: Any) -> Any:
    """Leafwise sum of two trees of one structure."""
    return jax.tree.map(jnp.add, left, right)


def difference(theirs: Any, mine: Any) -> str:
    """The first place where two trees of plain values differ, in words; they do differ.

    >>> difference({"spec": {"embed": 8, "layers": 2}}, {"spec": {"embed": 8, "layers": 3}})
    'spec/layers is 2 there and 3 here'
    """
    theirs, mine = (flatten(tree if isinstance(tree, Mapping) else {"": tree}) for tree in (theirs, mine))
    path = next(path for path in sorted(set(theirs) | set(mine)) if theirs.get(path) != mine.get(path))
    return f"{path} is {theirs.get(path)!r} there and {mine.get(path)!r} here"
