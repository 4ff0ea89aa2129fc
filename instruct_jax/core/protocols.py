"""The trainer's four sockets: a model, a source of batches, an objective and evaluators."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from instruct_jax.core.metrics import Mean


class Objective(Protocol):
    """What is optimised: a frozen value, pure in (model, batch)."""

    def __call__(self, model: Any, batch: Any) -> tuple[Mean, dict[str, Mean]]:
        """The loss as a total and a weight, and further metrics to log, likewise."""


class BatchSource(Protocol):
    """Where batches come from: a pure function of the step, so that resuming needs no iterator state.

    Attributes:
      folder: the dataset's folder.
      manifest: its manifest: "identity", "tokenizer", "chat_template", "length", "rows", ...
    """

    folder: Path
    manifest: Mapping[str, Any]

    def __call__(self, step: int, model: Callable[[], Any]) -> Any:
        """The batch of `step`: host arrays with this process's rows. `model()` is the live model, built on demand."""

    def describe_order(self) -> Mapping[str, Any]:
        """What decides which batch comes at which step; a run is resumed only where this is the same."""

    def describe(self, step: int) -> list[str]:
        """The provenance of each row of that batch, in words, for error messages."""


class ModelSource(Protocol):
    """How the model comes to be."""

    def fit(self, data: Mapping[str, Any]) -> "ModelSource":
        """This source made to fit a dataset, given its manifest; raises InputError where it cannot be."""

    def build(self, key: Any) -> Any:
        """A flax.nnx.Module with fresh parameters; each Param carries its logical `axes`."""

    def trainable(self, path: str) -> bool:
        """Whether the parameter at this path is trained; the others are frozen."""

    def saved(self, path: str) -> bool:
        """Whether this run's checkpoints hold the parameter at this path; the others are read from the base it names."""

    def adopt(self, saved: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the wanted parameters that a saved state gives; what it leaves out is drawn as `build` draws it.

        Args:
          saved: an `artifacts.saved_parameters.SavedParameters`.
          wanted: shapes with shardings, by path.

        Raises:
          InputError: the state is not one of this model.
        """

    def describe(self) -> Mapping[str, Any]:
        """What a checkpoint's manifest must hold to build the same model again."""


class Evaluator(Protocol):
    """A measurement made during training."""

    def __call__(self, step: int, model: Callable[[], Any]) -> Mapping[str, float]:
        """Named numbers for the state that has seen exactly `step` batches."""
