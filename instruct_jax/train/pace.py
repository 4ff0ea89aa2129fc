"""The logged row of a step: its means, and the rates since the row before."""

import time
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax

from instruct_jax.core.metrics import Mean


class Pace:
    """Turns a step's metrics into the logged row, with rates since the row before."""

    def __init__(self, first: int, steps: int, learning_rate: optax.Schedule):
        self._steps, self._learning_rate = steps, learning_rate
        self._since, self._time = first, time.perf_counter()
        self._all = self._supervised = 0

    def count(self, batch: Any) -> None:
        """Take a batch into the rates."""
        for rows in _token_arrays(batch):
            self._all += int((rows.segment_ids > 0).sum()) * jax.process_count()
            self._supervised += int((rows.weights > 0).sum()) * jax.process_count()

    def row(self, step: int, metrics: Mapping[str, Any], batch: Any, compiled: int) -> dict[str, Any]:
        """The row of `step`, given its metrics, its batch and how many programs the step has been compiled to."""
        means = {name: value.value() for name, value in metrics.items() if isinstance(value, Mean)}
        norm = float(metrics["grad_norm"])  # waits for the device, so that the time below is the step's
        now = time.perf_counter()
        done, seconds = step + 1 - self._since, now - self._time
        arrays = _token_arrays(batch)
        row = {
            **means,
            "grad_norm": norm,
            # The schedule goes by the batches that were learned from.
            "learning_rate": float(self._learning_rate(step - int(metrics["skipped"]))),
            "tokens_per_second": self._all / seconds,
            "supervised_tokens_per_second": self._supervised / seconds,
            "density": float(np.mean([(rows.segment_ids > 0).mean() for rows in arrays])),
            "step_seconds": seconds / done,
            "recompiles": compiled - 1,
            "skipped": int(metrics["skipped"]),
            "eta_seconds": (self._steps - step - 1) * seconds / done,
            "batch_crc": zlib.crc32(b"".join(rows.tokens.tobytes() + rows.weights.tobytes() for rows in arrays)),
        }
        self._since, self._time, self._all, self._supervised = step + 1, now, 0, 0
        return row


def _token_arrays(batch: Any) -> list[Any]:
    """The Batches in whatever the source yields: itself, or the fields of Pairs and the like."""
    if hasattr(batch, "segment_ids"):
        return [batch]
    return [value for value in vars(batch).values() if hasattr(value, "segment_ids")]
