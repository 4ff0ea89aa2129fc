"""SavedParameters: the parameters of a saved state, where an adapter's are its own and those of the base that it names."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from instruct_jax.artifacts.checkpoint import GO_ON, parameters_folder, saved_steps, unreadable
from instruct_jax.artifacts.manifest import NAME, file_sha256, read_manifest
from instruct_jax.core import trees
from instruct_jax.errors import InputError


class SavedParameters:
    """The parameters of a saved state, to be read in parts; what the state of an adapter lacks comes from the base it names.

    Args:
      run: the run's folder.
      step: which of its states.

    Attributes:
      run, step, manifest: of the state.
      base: the base's; None: it has none.
      own: shape and dtype of each parameter that the state itself holds, by path.
      shapes: shape and dtype of each parameter, by path, the base's included.

    Raises:
      InputError: the files are broken, or the base is not there, or is not the one that the manifest names.
    """

    def __init__(self, run: Path, step: int):
        self.run, self.step, self.manifest = run, step, read_manifest(run, "checkpoint")
        self._folder = parameters_folder(run, step)
        # A checkpointer would look for a file that no item of a state has, and warn of it.
        with contextlib.closing(ocp.PyTreeCheckpointHandler()) as handler:
            try:
                own = trees.flatten(handler.metadata(self._folder).tree)
            except Exception as error:  # a file cut short is a bare Exception
                raise self._unreadable(error) from None
        self.own = {path: jax.ShapeDtypeStruct(tuple(found.shape), found.dtype) for path, found in own.items()}
        self.base = _open_base(run, self.manifest["base"]) if self.manifest.get("base") else None
        self.shapes = {**(self.base.shapes if self.base else {}), **self.own}

    def read(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """These parameters, laid out as the given shapes with shardings say, and cast to their dtypes.

        Raises:
          InputError: one of them is missing or has another shape, or the files are broken.
        """
        for path, shape in parameters.items():
            if path not in self.shapes:
                raise InputError(
                    f"parameter {path} is in the model but not in the checkpoint {self._folder}; "
                    "build the model from the checkpoint's own spec"
                )
            if (found := tuple(self.shapes[path].shape)) != tuple(shape.shape):
                raise InputError(f"parameter {path} has shape {found} in {self._folder}; the model wants {tuple(shape.shape)}")
        own, others = trees.select(parameters, lambda path: path in self.own)
        arrays = self.base.read(others) if others else {}
        if own:
            wanted = trees.nest(own)
            options = ocp.args.PyTreeRestore(
                item=wanted, restore_args=ocp.checkpoint_utils.construct_restore_args(wanted), partial_restore=True
            )
            with ocp.PyTreeCheckpointer() as checkpointer:
                try:
                    arrays.update(trees.flatten(checkpointer.restore(self._folder, args=options)))
                except Exception as error:  # a file cut short is a bare Exception
                    raise self._unreadable(error) from None
        return {path: arrays[path] for path in parameters}

    def _unreadable(self, error: Exception) -> InputError:
        trained = "dataset" in self.manifest["parents"]
        return unreadable(self._folder, error, GO_ON if trained else f"make {self.run} again")

    def require_only(self, parameters: Mapping[str, Any]) -> None:
        """Fail where the state has a parameter that is not among these.

        Raises:
          InputError: it has one.
        """
        if odd := sorted(set(self.shapes) - set(parameters)):
            raise InputError(
                f"parameter {odd[0]} is in the checkpoint but not in the model {self._folder}; "
                "build the model from the checkpoint's own spec"
            )


def base_record(run: Path, step: int) -> dict[str, Any]:
    """What the manifest of an adapter over this state says of it; the base's own record where it is an adapter's itself.

    The identity of an import is that of all its numbers. A trained run's is that of its recipe: there `state` tells this very
    state from any other that was ever written, even one of the same run begun anew.
    """
    manifest = read_manifest(run, "checkpoint")
    if manifest.get("base"):
        return manifest["base"]
    record = {"folder": str(run.resolve()), "step": step, "identity": manifest["identity"]}
    return record if "hf" in manifest["parents"] else {**record, "state": _state_hash(run, step)}


def _open_base(run: Path, record: Mapping[str, Any]) -> SavedParameters:
    """The state that an adapter was trained over: where its manifest says, or else, moved with it, beside its own folder."""
    places = (Path(record["folder"]), run.resolve().parent / Path(record["folder"]).name)
    folder = next((place for place in places if (place / NAME).exists()), None)
    if folder is None:
        raise InputError(
            f"the adapter {run} needs its base, which is neither at {places[0]} nor at {places[1]}; put it there, or write "
            f"where it is under base, folder, in {run / NAME}"
        )
    step = record["step"]
    if (found := read_manifest(folder, "checkpoint")["identity"]) != record["identity"]:
        raise InputError(
            f"the base {folder} of the adapter {run} has been replaced: its identity is {found}, the adapter was trained over "
            f"{record['identity']}; put that one back"
        )
    if step not in saved_steps(folder):
        raise InputError(f"the base {folder} of the adapter {run} has lost its state of step {step}; put it back")
    if record.get("state") not in (None, _state_hash(folder, step)):
        raise InputError(
            f"the base {folder} of the adapter {run} has been replaced: its state of step {step} was written anew since; put "
            "the one that the adapter was trained over back"
        )
    return SavedParameters(folder, step)


def _state_hash(run: Path, step: int) -> str:
    # The index of a state's files names each by a number drawn when it was written.
    return file_sha256(parameters_folder(run, step) / "manifest.ocdbt")
