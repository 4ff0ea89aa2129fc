"""JSON objects from files that others wrote: whatever is wrong with one is an InputError that names the file."""

import json
from pathlib import Path
from typing import Any

from instruct_jax.errors import InputError


def read_object(file: Path, what: str) -> dict[str, Any]:
    """The object that a JSON file holds.

    Args:
      what: what the file is for, in words, for error messages.

    Raises:
      InputError: the file is not there, is no JSON object, or gives one key twice.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}, {what}, cannot be read ({error.strerror}); give a folder that holds it") from None
    return parse_object(content, str(file), what)


def parse_object(content: bytes, where: str, what: str) -> dict[str, Any]:
    """The object that JSON text holds; see `read_object`.

    >>> parse_object(b'{"a": 1, "a": 2}', "config.json", "the model's configuration")
    Traceback (most recent call last):
      ...
    instruct_jax.errors.InputError: config.json, the model's configuration, is damaged: key 'a' comes twice; fetch it again
    """
    try:
        parsed = json.loads(content.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0][:150]
        raise InputError(f"{where}, {what}, is damaged: {reason}; fetch it again") from None
    if not isinstance(parsed, dict):
        raise InputError(f"{where}, {what}, holds a JSON {type(parsed).__name__}; expected an object; fetch it again")
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's keys and values; two values for one key would leave it to chance which counts."""
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} comes twice")
    return values
