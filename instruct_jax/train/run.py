"""A run's folder: whose it is, what its manifest says, and the state that training begins with."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import optax
from jax.experimental import multihost_utils

from instruct_jax.artifacts import checkpoint
from instruct_jax.artifacts.manifest import NAME, identity_of, inherited, read_manifest, versions, write_manifest
from instruct_jax.artifacts.saved_parameters import SavedParameters, base_record
from instruct_jax.core import trees
from instruct_jax.core.protocols import BatchSource, ModelSource
from instruct_jax.errors import InputError
from instruct_jax.train.state import TrainState, fresh_state


def run_manifest(
    workdir: Path,
    model: ModelSource,
    shapes: TrainState,
    source: BatchSource,
    seed: int,
    init_from: str | Path | None,
    config: str,
) -> dict[str, Any]:
    """What the checkpoint folder's manifest will say.

    `identity` covers what a resumed run must share with the run it resumes: model, data and their order, seed, origin, and
    the optimiser state's layout. Dials beside these (steps, learning rate, ...) may change; `claim` says which did.
    """
    data = source.manifest
    parents: dict[str, Any] = {"dataset": {"folder": str(source.folder), "identity": data["identity"]}}
    if init_from is not None:
        parents["init_from"] = _origin(workdir, init_from)
    layout = jax.tree_util.tree_leaves_with_path(shapes.opt_state)
    content = {
        "model": model.describe(),
        "tokenizer": data["tokenizer"],
        "chat_template": data["chat_template"],
        "data": source.describe_order(),
        "seed": seed,
        "init_from": parents.get("init_from"),
        "optimiser": identity_of([[jax.tree_util.keystr(path), list(shape.shape)] for path, shape in layout]),
    }
    made_by = versions("jax", "flax", "optax", "orbax-checkpoint", "instruct-jax")
    base = _base(workdir, model, shapes, init_from)
    return {
        **content,
        **({} if base is None else {"base": base}),
        **_inherited(workdir, init_from),
        "identity": identity_of(content),
        "parents": parents,
        "config": config,
        "versions": made_by,
    }


def claim(workdir: Path, manifest: dict[str, Any], dataset: Path) -> None:
    """Make the folder this run's, or make sure that it is already; one host does so for all.

    Raises:
      InputError: the folder holds states of another run.
    """
    if jax.process_index() == 0:
        _claim(workdir, manifest, dataset)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("run folder claimed")


def _claim(workdir: Path, manifest: dict[str, Any], dataset: Path) -> None:
    if checkpoint.saved_steps(workdir):  # a run that saved nothing yet has nothing to lose
        found = read_manifest(workdir, "checkpoint")
        if found["identity"] != manifest["identity"]:
            keys = ("model", "tokenizer", "chat_template", "data", "seed", "init_from", "optimiser")
            difference = trees.difference({key: found.get(key) for key in keys}, {key: manifest.get(key) for key in keys})
            raise InputError(f"{workdir} holds another run: {difference}; choose another WORKDIR, or remove that folder")
        before = found["config"].splitlines()
        if changed := [line for line in manifest["config"].splitlines() if line not in before]:
            print(f"resumed with other settings: {'; '.join(changed)}", file=sys.stderr)
    elif (workdir / NAME).exists():
        read_manifest(workdir, "checkpoint")  # refuses a folder of another kind
    workdir.mkdir(parents=True, exist_ok=True)
    checkpoint.copy_tokenizer(dataset, workdir)
    write_manifest(workdir, "checkpoint", manifest)


def _origin(workdir: Path, init_from: str | Path) -> dict[str, Any]:
    """Which checkpoint the first parameters are from; a run that has states of its own no longer looks at it."""
    if checkpoint.saved_steps(workdir):
        known = read_manifest(workdir, "checkpoint")["parents"].get("init_from")
        if known is not None and known["asked"] == str(init_from):
            return known
    run, step = checkpoint.locate(init_from)
    return {
        "asked": str(init_from),
        "folder": str(run.resolve()),
        "step": step,
        "identity": read_manifest(run, "checkpoint")["identity"],
    }


def _inherited(workdir: Path, init_from: str | Path | None) -> dict[str, Any]:
    """What the first parameters' manifest passes on; a run that has states of its own has it already."""
    if checkpoint.saved_steps(workdir):
        return inherited(read_manifest(workdir, "checkpoint"))
    return {} if init_from is None else inherited(read_manifest(checkpoint.locate(init_from)[0], "checkpoint"))


def _base(workdir: Path, model: ModelSource, shapes: TrainState, init_from: str | Path | None) -> dict[str, Any] | None:
    """Which state the parameters that this run does not save are from; None: it saves all."""
    if all(model.saved(path) for path in shapes.parameters()):
        return None
    if init_from is None:
        raise InputError("an adapter is trained over a base: set INIT_FROM to that checkpoint")
    if checkpoint.saved_steps(workdir) and (known := read_manifest(workdir, "checkpoint").get("base")):
        return known
    return base_record(*checkpoint.locate(init_from))


def first_state(
    checkpoints: checkpoint.Checkpoints,
    model: ModelSource,
    optimizer: optax.GradientTransformation,
    shapes: TrainState,
    seed: int,
    init_from: str | Path | None,
    manifest: Mapping[str, Any],
) -> tuple[TrainState, str]:
    """The state to begin with and where it is from: the run's own newest, else `init_from`, else drawn from the seed."""
    newest = checkpoints.latest_step()
    if newest is not None:
        own, others = trees.select(shapes.parameters(), model.saved)
        parameters, optimiser = checkpoints.restore(newest, own, shapes.optimiser())
        if others:
            parameters.update(model.adopt(SavedParameters(checkpoints.workdir, newest), others))
        return shapes.restored(parameters, optimiser), f"resumed at step {newest}"
    if init_from is None:
        return fresh_state(model, optimizer, shapes, seed), f"fresh parameters from seed {seed}"
    run, step = checkpoint.locate(init_from)
    saved = SavedParameters(run, step)
    _require_same_words(saved.manifest, manifest, run)
    given = model.adopt(saved, shapes.parameters())
    return fresh_state(model, optimizer, shapes, seed, given), f"parameters of {run} at step {step}"


def _require_same_words(theirs: Mapping[str, Any], mine: Mapping[str, Any], run: Path) -> None:
    """Fail where a dataset was tokenised otherwise than what the first parameters have learned."""
    if theirs["tokenizer"] != mine["tokenizer"]:
        difference = trees.difference(theirs["tokenizer"], mine["tokenizer"])
        raise InputError(
            f"INIT_FROM {run} has another tokenizer than the dataset: {difference}; "
            f"prepare the dataset with that checkpoint's own: TOKENIZER={run}/tokenizer"
        )
