"""A run's folder: whose it is, what its manifest says, and the state that training begins with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optax

from instruct_jax.artifacts import checkpoint
from instruct_jax.artifacts.manifest import NAME, identity_of, read_manifest, versions, write_manifest
from instruct_jax.core import trees
from instruct_jax.core.protocols import BatchSource, ModelSource
from instruct_jax.errors import InputError
from instruct_jax.train.state import TrainState, fresh_state


def run_manifest(model: ModelSource, source: BatchSource, seed: int, init_from: str | Path | None, config: str) -> dict[str, Any]:
    """What the checkpoint folder's manifest will say; `identity` covers all that decides the result but the number of steps."""
    data = source.manifest
    content = {
        "model": model.describe(),
        "tokenizer": data["tokenizer"],
        "chat_template": data["chat_template"],
        "data": source.describe_order(),
        "seed": seed,
    }
    parents: dict[str, Any] = {"dataset": {"folder": str(source.folder), "identity": data["identity"]}}
    if init_from is not None:
        run, step = checkpoint.locate(init_from)
        parents["init_from"] = {"folder": str(run), "step": step, "identity": read_manifest(run, "checkpoint")["identity"]}
        content["init_from"] = {"identity": parents["init_from"]["identity"], "step": step}
    made_by = versions("jax", "flax", "optax", "orbax-checkpoint", "instruct-jax")
    return {**content, "identity": identity_of(content), "parents": parents, "config": config, "versions": made_by}


def claim(workdir: Path, manifest: dict[str, Any], dataset: Path) -> None:
    """Make the folder this run's, or make sure that it is already."""
    if (workdir / NAME).exists():
        found = read_manifest(workdir, "checkpoint")
        if found["identity"] != manifest["identity"]:
            keys = ("model", "tokenizer", "chat_template", "data", "seed", "init_from")
            difference = _difference({key: found.get(key) for key in keys}, {key: manifest.get(key) for key in keys})
            raise InputError(f"{workdir} holds another run: {difference}; choose another WORKDIR, or remove that folder")
        return
    workdir.mkdir(parents=True, exist_ok=True)
    checkpoint.copy_tokenizer(dataset, workdir)
    write_manifest(workdir, "checkpoint", manifest)


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
        return shapes.restored(*checkpoints.restore(newest, shapes.parameters(), shapes.optimiser())), f"resumed at step {newest}"
    state = fresh_state(model, optimizer, shapes, seed)
    if init_from is None:
        return state, f"fresh parameters from seed {seed}"
    run, step = checkpoint.locate(init_from)
    parent = read_manifest(run, "checkpoint")
    for what in ("model", "tokenizer"):
        mine, theirs = manifest[what], parent[what]
        if mine != theirs:
            raise InputError(f"INIT_FROM {run} has another {what}: {_difference(theirs, mine)}; make the recipe agree with it")
    return state.starting_from(checkpoint.read_parameters(run, step, shapes.parameters())), f"parameters of {run} at step {step}"


def _difference(theirs: Any, mine: Any) -> str:
    """The first place where two trees of plain values differ, in words."""
    theirs, mine = (trees.flatten(tree if isinstance(tree, Mapping) else {"": tree}) for tree in (theirs, mine))
    path = next(path for path in sorted(set(theirs) | set(mine)) if theirs.get(path) != mine.get(path))
    return f"{path} is {theirs.get(path)!r} there and {mine.get(path)!r} here"
