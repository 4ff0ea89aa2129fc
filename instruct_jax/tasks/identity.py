"""What decides a task's examples, as values that can be hashed: code, files, versions."""

import dataclasses
import functools
import hashlib
import inspect
from typing import Any


def function_identity(function: Any) -> Any:
    """What a callable computes, as JSON can hold it: its name and a hash of its source text.

    Partial applications add their arguments, dataclass values their fields. Code that it calls in turn and data that it
    reads are not seen: sources built on such functions take a `version`.
    """
    if isinstance(function, functools.partial):
        keywords = sorted((name, _value(value)) for name, value in function.keywords.items())
        return ["partial", function_identity(function.func), [_value(value) for value in function.args], keywords]
    if dataclasses.is_dataclass(function) and not isinstance(function, type):
        fields = [[field.name, _value(getattr(function, field.name))] for field in dataclasses.fields(function)]
        return [type(function).__qualname__, fields]
    if hasattr(function, "__self__") and not inspect.ismodule(function.__self__):
        return ["method", _value(function.__self__), function.__qualname__]
    if not inspect.isroutine(function):
        function = type(function)
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', function)}"
    try:
        return [name, hashlib.sha256(inspect.getsource(function).encode()).hexdigest()]
    except (OSError, TypeError):  # built in, or typed at a prompt
        return [name]


def _value(value: Any) -> Any:
    if callable(value):
        return function_identity(value)
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, list | tuple):
        return [_value(one) for one in value]
    if isinstance(value, dict):
        return sorted([str(name), _value(one)] for name, one in value.items())
    if dataclasses.is_dataclass(value):
        return function_identity(value)
    return type(value).__qualname__
