"""What decides a task's examples, as values that can be hashed: code, files, versions."""

import dataclasses
import functools
import hashlib
import inspect
from typing import Any


def function_identity(function: Any) -> Any:
    """What a callable computes, as JSON can hold it: its name and a hash of its source text.

    Partial applications add their arguments, functions their defaults and the values they close over, dataclass values
    their fields. Code that it calls in turn and data that it reads are not seen: sources built on such functions take a
    `version`.
    """
    return _identity(function, ())


def _identity(function: Any, within: tuple[int, ...]) -> Any:
    """`within` are the callables whose identity is being told: one that closes over itself is not told twice."""
    if id(function) in within:
        return "itself"
    within = (*within, id(function))
    if isinstance(function, functools.partial):
        keywords = sorted((name, _value(value, within)) for name, value in function.keywords.items())
        return ["partial", _identity(function.func, within), [_value(value, within) for value in function.args], keywords]
    if dataclasses.is_dataclass(function) and not isinstance(function, type):
        fields = [[field.name, _value(getattr(function, field.name), within)] for field in dataclasses.fields(function)]
        return [type(function).__qualname__, fields]
    if hasattr(function, "__self__") and not inspect.ismodule(function.__self__):
        return ["method", _value(function.__self__, within), function.__qualname__]
    if not inspect.isroutine(function):
        function = type(function)
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', function)}"
    held = _held_values(function, within)
    source = _source_sha256(getattr(function, "__code__", function))
    return [name, *([source] if source else []), *held]


@functools.lru_cache(maxsize=4_096)
def _source_sha256(code: Any) -> str | None:
    """The hash of a source text; None for what is built in, or was typed at a prompt. Many tasks share one function."""
    try:
        return hashlib.sha256(inspect.getsource(code).encode()).hexdigest()
    except (OSError, TypeError):
        return None


def _held_values(function: Any, within: tuple[int, ...]) -> list[Any]:
    """The defaults of a function and the values it closes over, by name; empty where it has none."""
    defaults = getattr(function, "__defaults__", None) or ()
    keywords = getattr(function, "__kwdefaults__", None) or {}
    held = [["default", _value(value, within)] for value in defaults]
    held += [[name, _value(value, within)] for name, value in sorted(keywords.items())]
    names = function.__code__.co_freevars if inspect.isfunction(function) else ()
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=True):
        try:
            held.append([name, _value(cell.cell_contents, within)])
        except ValueError:  # the name is not bound yet
            held.append([name])
    return held


def _value(value: Any, within: tuple[int, ...]) -> Any:
    if callable(value):
        return _identity(value, within)
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, list | tuple):
        return [_value(one, within) for one in value]
    if isinstance(value, dict):
        return sorted([str(name), _value(one, within)] for name, one in value.items())
    if dataclasses.is_dataclass(value):
        return _identity(value, within)
    return type(value).__qualname__
