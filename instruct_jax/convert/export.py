"""Checkpoint to HF folder: a configuration that says the same, the tensors one parameter at a time, and the words."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from rich.console import Console

from instruct_jax.artifacts.checkpoint import locate
from instruct_jax.artifacts.manifest import NAME, fresh_partial, require_one_process, require_unused
from instruct_jax.artifacts.saved_parameters import SavedParameters
from instruct_jax.convert import config as configs
from instruct_jax.convert.families import Family
from instruct_jax.convert.hf import GENERATION
from instruct_jax.convert.names import Tensor, tensors
from instruct_jax.convert.tensor_files import DTYPES, Planned, narrowed, require_dtype, write_folder
from instruct_jax.convert.words import write_words
from instruct_jax.core import mesh as meshes
from instruct_jax.errors import InputError
from instruct_jax.model.spec import DecoderSpec
from instruct_jax.progress import progress, say


def export_hf(
    checkpoint: str | Path, workdir: str | Path, dtype: str | None = None, max_shard_bytes: int = 5_000_000_000
) -> None:
    """Program: a checkpoint becomes an HF folder that transformers, vLLM and llama.cpp load.

    Args:
      checkpoint: a run's folder (its newest state), or `run/checkpoints/<step>`.
      workdir: the HF folder; it must not hold anything else.
      dtype: "float32", "float16" or "bfloat16" for all tensors; None: as in the checkpoint, or, of an import, in its files.
      max_shard_bytes: the most that a file of tensors holds.

    Raises:
      InputError: there is no such checkpoint, no family of transformers can express its model, or workdir holds something.
    """
    require_one_process("an export")
    console, workdir = Console(stderr=True), require_unused(workdir)
    require_dtype(dtype)
    if type(max_shard_bytes) is not int or max_shard_bytes < 1:
        raise InputError(f"MAX_SHARD_BYTES is {max_shard_bytes!r}; expected a number of bytes, such as 5_000_000_000")
    saved = SavedParameters(*locate(checkpoint))
    model = saved.manifest["model"]
    if model.get("adapter") is not None:
        raise InputError(
            f"{saved.run} is an adapter over {saved.manifest['base']['folder']}; merge it with gin_configs/runs/merge.gin, "
            "or export it with export_peft.gin"
        )
    spec = DecoderSpec.from_json(model["spec"])
    kinds = {path: jnp.dtype(dtype or shape.dtype) for path, shape in saved.shapes.items()}
    if odd := [path for path, kind in kinds.items() if kind not in DTYPES.values()]:
        raise InputError(f"parameter {odd[0]} of {saved.run} is of dtype {kinds[odd[0]]}, which no HF folder holds; give DTYPE")
    common = Counter(kind.name for kind in kinds.values()).most_common(1)[0][0]
    family, content = _config(console, saved, spec, common)
    groups = _groups(spec, family)
    # What an import's files had where its parameter is wider: no training has used its range since.
    widened = {} if dtype is not None else saved.manifest.get("hf", {}).get("dtypes", {})
    planned = [
        Planned(tensor.name, jnp.dtype(widened.get(tensor.name, kinds[tensor.parts[0].path])), tensor.shape)
        for group in groups.values()
        for tensor in group
    ]
    partial = fresh_partial(workdir)
    with progress(console, f"export {saved.run.name}", len(planned), "tensors") as report:
        write_folder(partial, planned, _values(saved, groups, planned, report), max_shard_bytes)
    ends = write_words(saved.run, saved.manifest, partial)
    # Also in config.json: what a family's own defaults say would be taken else.
    (partial / configs.NAME).write_text(json.dumps(content | ends, indent=2) + "\n")
    (partial / GENERATION).write_text(json.dumps(saved.manifest.get("generation", {}) | ends, indent=2) + "\n")
    partial.replace(workdir)
    size = sum(math.prod(tensor.shape) for tensor in planned)
    say(console, f"export: {family.model_type} of {size:,} parameters is in {workdir}")


def _config(console: Console, saved: SavedParameters, spec: DecoderSpec, dtype: str) -> tuple[Family, dict[str, Any]]:
    hf = saved.manifest.get("hf")
    if hf is None:
        family, content = configs.write_config(spec, dtype)
        longest = content["max_position_embeddings"]
        say(console, f"export: {saved.run} was never imported: {configs.NAME} says max_position_embeddings {longest:,}")
        return family, content
    read = configs.read_config(hf["config"], f"{saved.run / NAME}: hf: config")
    return configs.write_config(spec, dtype, read.family.model_type, read.kept)


def _groups(spec: DecoderSpec, family: Family) -> dict[tuple[str, ...], list[Tensor]]:
    """The tensors by the parameters that they are made of: each parameter is read once, and let go."""
    groups: dict[tuple[str, ...], list[Tensor]] = {}
    for tensor in tensors(spec, family):
        groups.setdefault(tuple(part.path for part in tensor.parts), []).append(tensor)
    return groups


def _values(
    saved: SavedParameters,
    groups: Mapping[tuple[str, ...], list[Tensor]],
    planned: Sequence[Planned],
    report: Callable[[int], None],
) -> Iterator[np.ndarray]:
    kinds = {one.name: one.dtype for one in planned}
    for paths, group in groups.items():
        shapes = {path: meshes.placed(None, saved.shapes[path]) for path in paths}
        stacks = {path: np.asarray(array) for path, array in saved.read(shapes).items()}
        for tensor in group:
            cells = [stacks[part.path][part.cell] for part in tensor.parts]
            rows = [
                narrowed(part.turn_back(cell, cell.dtype), kinds[tensor.name], f"parameter {part.path}")
                for part, cell in zip(tensor.parts, cells, strict=True)
            ]
            yield (rows[0] if len(rows) == 1 else np.concatenate(rows)).reshape(tensor.shape)
            report(1)
        del stacks
