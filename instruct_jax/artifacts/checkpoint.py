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

from instruct_jax.artifacts.manifest import NAME, read_manifest
from instruct_jax.core import trees
from instruct_jax.errors import InputError

_STEPS = "checkpoints"
# What to do about a broken state of a run that trains.
GO_ON = "remove that folder to go on from an earlier one"


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
        except Exception as error:  # a file cut short is a bare Exception
            raise unreadable(self._manager.directory / str(step), error, GO_ON) from None
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


def parameters_folder(run: Path, step: int) -> Path:
    """Where the parameters of a saved state lie."""
    return (run / _STEPS / str(step) / "parameters").resolve()


def unreadable(folder: Path, error: Exception, advice: str) -> InputError:
    """What to raise where the files of a state are broken."""
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return InputError(f"the state at {folder} cannot be read ({reason}); {advice}")


def copy_tokenizer(source: Path, run: Path) -> None:
    """Keep the tokenizer beside the weights that were trained with it."""
    shutil.rmtree(run / "tokenizer", ignore_errors=True)
    shutil.copytree(source / "tokenizer", run / "tokenizer")


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


def _leaves(tree: Any) -> dict[str, Any]:
    """A tree's arrays by number: optax states are nested tuples, whose names are not worth keeping on disk."""
    return {str(index): leaf for index, leaf in enumerate(jax.tree.leaves(tree))}
