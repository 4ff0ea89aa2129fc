"""A checkpoint folder: a run's saved states by step, its tokenizer, and the manifest that says how to build the model.

workdir/manifest.json          the model's spec, tokenizer, chat template, parents, the operative config
workdir/tokenizer/             as the dataset had it
workdir/checkpoints/<step>/    parameters, optimiser state and step, written by orbax
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from instruct_jax.artifacts.manifest import NAME, file_sha256, read_manifest
from instruct_jax.core import trees
from instruct_jax.errors import InputError

_STEPS = "checkpoints"


class Checkpoints:
    """The saved states of one run. Saving is asynchronous; an unfinished save is never mistaken for a finished one.

    Args:
      workdir: the run's folder.
      keep: how many of the latest states to keep.
    """

    def __init__(self, workdir: Path, keep: int):
        self.workdir = workdir
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True, cleanup_tmp_directories=True)
        self._manager = ocp.CheckpointManager((workdir / _STEPS).resolve(), options=options)

    def latest_step(self) -> int | None:
        """The newest finished state's step; None where there is none."""
        return self._manager.latest_step()

    def save(self, step: int, parameters: Mapping[str, Any], optimiser: Any) -> None:
        """Save a state in the background; a step that is saved already is left as it is.

        Args:
          step: how many batches the state has seen.
          parameters: arrays by path.
          optimiser: the rest of the training state, any tree of arrays.
        """
        if step in self._manager.all_steps():
            return
        items = {
            "parameters": ocp.args.StandardSave(trees.nest(parameters)),
            "optimiser": ocp.args.StandardSave(_leaves(optimiser)),
        }
        if not self._manager.save(step, args=ocp.args.Composite(**items)):
            raise RuntimeError(f"orbax refused to save step {step}; it holds {self._manager.all_steps()}")

    def restore(self, step: int, parameters: Mapping[str, Any], optimiser: Any) -> tuple[dict[str, Any], Any]:
        """The state of a step, laid out as the given arrays or shapes with shardings."""
        items = {
            "parameters": ocp.args.StandardRestore(trees.nest(parameters)),
            "optimiser": ocp.args.StandardRestore(_leaves(optimiser)),
        }
        try:
            restored = self._manager.restore(step, args=ocp.args.Composite(**items))
        except (OSError, ValueError, KeyError) as error:
            raise _unreadable(self._manager.directory / str(step), error) from None
        leaves = restored["optimiser"]
        order = [leaves[name] for name in sorted(leaves, key=int)]
        return trees.flatten(restored["parameters"]), jax.tree.unflatten(jax.tree.structure(optimiser), order)

    def wait(self) -> None:
        """Block until what is being saved is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Finish saving and let go of the folder."""
        self.wait()
        self._manager.close()


def locate(path: str | Path) -> tuple[Path, int]:
    """The run folder and step that a checkpoint path means: a run (its newest state) or `run/checkpoints/<step>`.

    Raises:
      InputError: there is no such run or state.
    """
    path = Path(path)
    if path.name.isdigit() and path.parent.name == _STEPS and not (path / NAME).exists():
        run, wanted = path.parent.parent, int(path.name)
    else:
        run, wanted = path, None
    read_manifest(run, "checkpoint")
    steps = saved_steps(run)
    if not steps:
        raise InputError(f"the run at {run} has saved no state yet; train it to its first save, or give another checkpoint")
    if wanted is not None and wanted not in steps:
        raise InputError(f"{run} has no state of step {wanted}; it has {', '.join(map(str, steps))}")
    return run, steps[-1] if wanted is None else wanted


def saved_steps(run: Path) -> list[int]:
    """The steps of the finished states in a run's folder, oldest first."""
    folder = run / _STEPS
    if not folder.is_dir():
        return []
    return sorted(ocp.utils.checkpoint_steps(folder))


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
        self._folder = (run / _STEPS / str(step) / "parameters").resolve()
        with ocp.StandardCheckpointer() as checkpointer:
            try:
                own = trees.flatten(checkpointer.metadata(self._folder).item_metadata.tree)
            except (OSError, ValueError, AttributeError) as error:
                raise _unreadable(self._folder, error) from None
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
                except (OSError, ValueError, KeyError) as error:
                    raise _unreadable(self._folder, error) from None
        return {path: arrays[path] for path in parameters}

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


def read_parameters(run: Path, step: int, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a saved state, laid out as the given shapes with shardings say.

    Raises:
      InputError: the state's parameters are not the model's, or the files are broken.
    """
    saved = SavedParameters(run, step)
    saved.require_only(parameters)
    return saved.read(parameters)


def base_record(run: Path, step: int) -> dict[str, Any]:
    """What the manifest of an adapter over this state says of it; the base's own record where it is an adapter's itself.

    `state` tells this very state from any other that was ever written, even one of the same run begun anew.
    """
    manifest = read_manifest(run, "checkpoint")
    if manifest.get("base"):
        return manifest["base"]
    return {"folder": str(run.resolve()), "step": step, "identity": manifest["identity"], "state": _state_hash(run, step)}


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
    return file_sha256(run / _STEPS / str(step) / "parameters" / "manifest.ocdbt")


def copy_tokenizer(source: Path, run: Path) -> None:
    """Keep the tokenizer beside the weights that were trained with it."""
    shutil.rmtree(run / "tokenizer", ignore_errors=True)
    shutil.copytree(source / "tokenizer", run / "tokenizer")


def _unreadable(folder: Any, error: Exception) -> InputError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return InputError(f"the state at {folder} cannot be read ({reason}); remove that folder to go on from an earlier one")


def _leaves(tree: Any) -> dict[str, Any]:
    """A tree's arrays by number: optax states are nested tuples, whose names are not worth keeping on disk."""
    return {str(index): leaf for index, leaf in enumerate(jax.tree.leaves(tree))}


def save_parameters(run: Path, step: int, parameters: Mapping[str, Any]) -> None:
    """Write a state that holds parameters alone, and wait until it is on disk.

    Uncompressed and each shard in one piece, parameters are written from where they lie: on a CPU no copy is made.

    Args:
      run: the run's folder.
      step: how many batches the state has seen.
      parameters: arrays by path.
    """
    # Orbax holds this much at a time where it must copy, and has to be able to hold the largest shard.
    largest = max(shard.data.nbytes for array in parameters.values() for shard in array.addressable_shards)
    handler = ocp.PyTreeCheckpointHandler(save_concurrent_gb=largest // 10**9 + 2, use_compression=False)
    options = ocp.CheckpointManagerOptions(create=True, enable_async_checkpointing=False)
    with ocp.CheckpointManager((run / _STEPS).resolve(), options=options, item_handlers={"parameters": handler}) as manager:
        manager.save(step, args=ocp.args.Composite(parameters=ocp.args.PyTreeSave(trees.nest(parameters))))
