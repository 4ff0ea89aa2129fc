"""The keys of config.json, taken one by one as what they should be; a key that nobody takes is refused."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from instruct_jax.errors import InputError

# No dimension of a model is larger; what is, is damage.
LARGEST = 2**31 - 1
# In the place of a default: the key must be there.
REQUIRED: Any = object()


class Fields:
    """A JSON object whose keys are read with their types, and which knows what has not been read.

    Args:
      content: the object.
      where: the file, and the path inside it, for error messages.
    """

    def __init__(self, content: Mapping[str, Any], where: str):
        self._content, self._where, self._taken = dict(content), where, set()

    def refuse(self, key: str, expected: str) -> InputError:
        """The error that says what a key holds, and what it should."""
        found = "is missing" if key not in self._content else f"is {_shown(self._content[key])}"
        return InputError(f"{self._where}: {key} {found}; expected {expected}")

    def raw(self, key: str, default: Any = None) -> Any:
        """A key's value, whatever it is."""
        self._taken.add(key)
        if key not in self._content and default is REQUIRED:
            raise self.refuse(key, "the key to be there")
        return self._content.get(key, default)

    def integer(self, key: str, default: Any = REQUIRED, low: int = 1, optional: bool = False) -> Any:
        """A whole number from `low` on; with `optional`, or null."""
        value = self.raw(key, default)
        if value is None and optional:
            return None
        if type(value) is not int or not low <= value <= LARGEST:
            raise self.refuse(key, f"a whole number from {low} to {LARGEST:,}" + (", or null" if optional else ""))
        return value

    def number(self, key: str, default: Any = REQUIRED, low: float = 0.0, optional: bool = False) -> Any:
        """A finite number above `low`; with `optional`, or null."""
        value = self.raw(key, default)
        if value is None and optional:
            return None
        # Compared before it is made a float: a whole number of JSON may be too large to be one.
        if type(value) not in (int, float) or not low < value < 1e30 or not math.isfinite(value):
            raise self.refuse(key, f"a number above {low:g}" + (", or null" if optional else ""))
        return float(value)

    def flag(self, key: str, default: Any = REQUIRED) -> bool:
        """True or false."""
        value = self.raw(key, default)
        if type(value) is not bool:
            raise self.refuse(key, "true or false")
        return value

    def choice(self, key: str, allowed: Sequence[Any], default: Any = REQUIRED) -> Any:
        """One of some values; true is not 1 here, and 0 is 0.0."""
        value = self.raw(key, default)
        if not any(type(value) is type(one) and value == one for one in allowed):
            raise self.refuse(key, " or ".join(_json(one) for one in allowed))
        return value

    def object(self, key: str) -> "Fields | None":
        """A nested object, or None where there is none or null."""
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.refuse(key, "an object, or null")
        return Fields(value, f"{self._where}: {key}")

    def strings(self, key: str, length: int, allowed: Sequence[str]) -> list[str] | None:
        """A list of so many of the allowed words, or None where there is none or null."""
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != length or not all(word in allowed for word in value):
            raise self.refuse(key, f"a list of {length}, each {' or '.join(allowed)}, or null")
        return value

    def token_ids(self, key: str) -> list[int]:
        """Token ids: none, one or a list."""
        value = self.raw(key)
        ids = value if isinstance(value, list) else [] if value is None else [value]
        if not all(type(one) is int and -1 <= one <= LARGEST for one in ids):  # some write -1 for none
            raise self.refuse(key, "a token id, a list of them, or null")
        return [one for one in ids if one >= 0]

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def nothing_left(self, inert: Mapping[str, tuple[type, ...]], fixed: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """Make sure that every key was taken, cannot change the computation, or has a value that does not.

        Args:
          inert: keys that cannot, with the types they may have; null is always allowed.
          fixed: keys that could, with the values at which they do not.

        Returns:
          The inert and fixed keys that are there.

        Raises:
          InputError: another key, or another value.
        """
        kept = {}
        for key, value in self._content.items():
            if key in self._taken:
                continue
            if key in fixed:
                self.choice(key, fixed[key])
            elif key not in inert:
                raise InputError(
                    f"{self._where}: key {key[:60]!r} ({_shown(value)}) is not known here; if it changes nothing about the "
                    "computation, remove it"
                )
            elif value is not None and type(value) not in inert[key]:
                raise self.refuse(key, " or ".join(one.__name__ for one in inert[key]))
            kept[key] = value
        return kept


def _shown(value: Any) -> str:
    text = _json(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _json(value: Any) -> str:
    return {True: "true", False: "false", None: "null"}.get(value, repr(value)) if isinstance(value, bool | None) else repr(value)
