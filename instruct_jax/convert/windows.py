"""Attention windows in config.json: which layers have one, in each family's own keys."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any

from instruct_jax.convert.fields import Fields
from instruct_jax.convert.rope_fields import FULL, SLIDING


class Windows(abc.ABC):
    """How a family says which layers see only a window."""

    @abc.abstractmethod
    def read(self, fields: Fields, layers: int) -> list[int | None]:
        """The window of each layer."""

    @abc.abstractmethod
    def write(self, windows: Sequence[int | None]) -> dict[str, Any]:
        """Keys of config.json that say so, as far as the family can; whether it can shows when they are read again."""


@dataclasses.dataclass(frozen=True)
class OneWindow(Windows):
    """All layers have the same window, or none (Mistral).

    Attributes:
      default: where the key is absent.
      switched: whether a second key turns it on (Qwen 3 of experts).
    """

    default: int | None = None
    switched: bool = False

    def read(self, fields: Fields, layers: int) -> list[int | None]:
        window = fields.integer("sliding_window", self.default, optional=True)
        if self.switched and not fields.flag("use_sliding_window", False):
            window = None
        return [window] * layers

    def write(self, windows: Sequence[int | None]) -> dict[str, Any]:
        keys: dict[str, Any] = {"sliding_window": windows[0]}
        return keys | ({"use_sliding_window": windows[0] is not None} if self.switched else {})


@dataclasses.dataclass(frozen=True)
class UpperLayers(Windows):
    """Layers from `max_window_layers` on have a window, if `use_sliding_window`; or `layer_types` says which (Qwen)."""

    def read(self, fields: Fields, layers: int) -> list[int | None]:
        window = fields.integer("sliding_window", 4096, optional=True)
        if not fields.flag("use_sliding_window", False):
            window = None
        first = fields.integer("max_window_layers", 28, low=0)
        types = fields.strings("layer_types", layers, (FULL, SLIDING))
        if types is None:
            types = [SLIDING if window is not None and layer >= first else FULL for layer in range(layers)]
        return _of_types(fields, types, window)

    def write(self, windows: Sequence[int | None]) -> dict[str, Any]:
        first = next((layer for layer, window in enumerate(windows) if window is not None), len(windows))
        some = first < len(windows)
        sliding = {"use_sliding_window": some, "sliding_window": windows[first] if some else None, "max_window_layers": first}
        return sliding | {"layer_types": _types(windows)}


@dataclasses.dataclass(frozen=True)
class EveryFewLayers(Windows):
    """Each `period`-th layer sees everything, the others a window; or `layer_types` says which (Gemma).

    Attributes:
      period: where no key says.
      keys: that may say.
    """

    period: int
    keys: tuple[str, ...] = ()

    def read(self, fields: Fields, layers: int) -> list[int | None]:
        window = fields.integer("sliding_window", 4096, optional=True)
        periods = {fields.integer(key) for key in self.keys if fields.raw(key) is not None} or {self.period}
        if len(periods) > 1:
            raise fields.refuse(self.keys[0], f"the same as {self.keys[1]}")
        types = fields.strings("layer_types", layers, (FULL, SLIDING))
        if types is None:
            types = [SLIDING if (layer + 1) % min(periods) else FULL for layer in range(layers)]
        return _of_types(fields, types, window)

    def write(self, windows: Sequence[int | None]) -> dict[str, Any]:
        window = next((window for window in windows if window is not None), None)
        # Versions of transformers before layer_types go by the period alone.
        period = windows.index(None) + 1 if None in windows else len(windows) + 1
        return {"sliding_window": window, "layer_types": _types(windows)} | ({self.keys[0]: period} if self.keys else {})


def _of_types(fields: Fields, types: Sequence[str], window: int | None) -> list[int | None]:
    if SLIDING in types and window is None:
        raise fields.refuse("sliding_window", "a width, and switched on, as layer_types names sliding_attention")
    return [window if one == SLIDING else None for one in types]


def _types(windows: Sequence[int | None]) -> list[str]:
    return [FULL if window is None else SLIDING for window in windows]
