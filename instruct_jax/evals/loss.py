"""Loss on a dataset kept back, measured while training goes on: the sum over its tokens, divided once."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from instruct_jax.artifacts.dataset import Dataset, batch_of
from instruct_jax.core import mesh as meshes
from instruct_jax.core import modules
from instruct_jax.core.metrics import Mean
from instruct_jax.core.protocols import Objective
from instruct_jax.errors import InputError


class DatasetLoss:
    """An evaluator: an objective over every row of a dataset, each counted once.

    The result depends neither on the number of rows in a batch nor on what is left over at the end: the last batch is
    filled up with empty rows, which weigh nothing.

    Args:
      dataset: a prepared dataset's folder.
      objective: what to measure, such as `CrossEntropy()`.
      rows: rows of a batch, over all devices.
    """

    def __init__(self, dataset: str | Path, objective: Objective, rows: int):
        self._dataset, self._objective, self._rows = Dataset(dataset), objective, rows
        if rows % jax.process_count():
            raise InputError(f"batches of {rows} rows cannot be shared by {jax.process_count()} hosts; make them a multiple")
        self._measure: Callable[[Any, Any], dict[str, Mean]] | None = None

    def __call__(self, step: int, model: Callable[[], Any]) -> dict[str, float]:
        """The objective's means over the dataset: "loss" and whatever else it tells."""
        del step
        blueprint, arrays = modules.split(model())
        if self._measure is None:
            self._measure = jax.jit(lambda arrays, batch: self._means(blueprint.merge(arrays), batch))
        mesh = next(iter(arrays.values())).sharding.mesh
        local = self._rows // jax.process_count()
        total: dict[str, Mean] = {}
        for start in range(0, len(self._dataset), self._rows):
            first = start + jax.process_index() * local
            rows = [self._dataset[index] for index in range(first, min(first + local, len(self._dataset)))]
            batch = jax.tree.map(lambda array: _filled(array, local), batch_of(rows, self._dataset.length))
            means = jax.device_get(self._measure(arrays, meshes.global_batch(mesh, batch)))
            total = {name: total[name] + mean for name, mean in means.items()} if total else means
        return {name: mean.value() for name, mean in total.items()}

    def _means(self, model: Any, batch: Any) -> dict[str, Mean]:
        loss, metrics = self._objective(model, batch)
        return {"loss": loss, **metrics}


def dataset_losses(datasets: Mapping[str, str], objective: Objective, rows: int) -> dict[str, DatasetLoss]:
    """An evaluator for each dataset folder, by name."""
    return {name: DatasetLoss(folder, objective, rows) for name, folder in datasets.items()}


def _filled(array: np.ndarray, rows: int) -> np.ndarray:
    """The array with rows of zeros appended, up to `rows`."""
    return np.pad(array, [(0, rows - array.shape[0])] + [(0, 0)] * (array.ndim - 1))
