"""Checkpoint to HF folder: a configuration that says the same, the tensors one parameter at a time, and the words."""

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from instruct_jax.artifacts.checkpoint import locate
from instruct_jax.artifacts.manifest import NAME, fresh_partial, read_manifest
from instruct_jax.artifacts.saved_parameters import SavedParameters
from instruct_jax.convert import config as configs
from instruct_jax.convert.families import Family
from instruct_jax.convert.hf import GENERATION
from instruct_jax.convert.names import Tensor, tensors
from instruct_jax.convert.tensor_files import DTYPES, Planned, write_folder
from instruct_jax.convert.words import write_words
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
    console, workdir = Console(stderr=True), Path(workdir).resolve()
    if dtype is not None and dtype not in {kind.name for kind in DTYPES.values()}:
        raise InputError(f"DTYPE={dtype!r}; choose float32, float16 or bfloat16, or None: as in the checkpoint")
    if workdir.exists() and (not workdir.is_dir() or any(workdir.iterdir())):
        raise InputError(f"{workdir} holds something already; choose another WORKDIR, or remove that folder")
    saved = SavedParameters(*locate(checkpoint))
    model = saved.manifest["model"]
    if model.get("adapter") is not None:
        raise InputError(
            f"{saved.run} is an adapter over {saved.manifest['base']['folder']}; merge it with gin_configs/runs/merge.gin, "
            "or export it with export_peft.gin"
        )
    spec = DecoderSpec.from_json(model["spec"])
    source = hf_origin(saved.manifest, saved.run)
    kinds = {path: jnp.dtype(dtype or shape.dtype) for path, shape in saved.shapes.items()}
    if odd := [path for path, kind in kinds.items() if kind not in DTYPES.values()]:
        raise InputError(f"parameter {odd[0]} of {saved.run} is of dtype {kinds[odd[0]]}, which no HF folder holds; give DTYPE")
    common = Counter(kind.name for kind in kinds.values()).most_common(1)[0][0]
    family, content = _config(spec, common, source)
    groups = _groups(spec, family)
    widened = {} if dtype is not None else _widened(saved.manifest)
    planned = [
        Planned(tensor.name, jnp.dtype(widened.get(tensor.name, kinds[tensor.parts[0].path])), tensor.shape)
        for group in groups.values()
        for tensor in group
    ]
    partial = fresh_partial(workdir)
    with progress(console, f"export {saved.run.name}", len(planned), "tensors") as report:
        write_folder(partial, planned, _values(saved, groups, planned, report), max_shard_bytes)
    ends = write_words(saved.run, saved.manifest, None if source is None else source.folder, partial)
    # Also in config.json: what a family's own defaults say would be taken else.
    (partial / configs.NAME).write_text(json.dumps(content | ends, indent=2) + "\n")
    generation = {} if source is None else dict(source.manifest["generation"])
    (partial / GENERATION).write_text(json.dumps(generation | ends, indent=2) + "\n")
    partial.replace(workdir)
    size = sum(math.prod(tensor.shape) for tensor in planned)
    say(console, f"export: {family.model_type} of {size:,} parameters is in {workdir}")


@dataclasses.dataclass(frozen=True)
class Origin:
    """The import that a checkpoint was trained from.

    Attributes:
      manifest: of the imported checkpoint.
      folder: that checkpoint.
    """

    manifest: Mapping[str, Any]
    folder: Path


def hf_origin(manifest: Mapping[str, Any], folder: Path) -> Origin | None:
    """The import at the root of a checkpoint's parents, as far as they are still where they were; None: there is none."""
    while "hf" not in manifest:
        parent = manifest["parents"].get("init_from") or manifest.get("base")
        if parent is None or not (Path(parent["folder"]) / NAME).exists():
            return None
        folder, identity = Path(parent["folder"]), parent["identity"]
        manifest = read_manifest(folder, "checkpoint")
        if manifest["identity"] != identity:
            return None
    return Origin(manifest, folder)


def _config(spec: DecoderSpec, dtype: str, source: Origin | None) -> tuple[Family, dict[str, Any]]:
    if source is None:
        return configs.write_config(spec, dtype)
    read = configs.read_config(source.manifest["hf"]["config"], f"{source.folder / NAME}: hf: config")
    return configs.write_config(spec, dtype, read.family.model_type, read.kept)


def _widened(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """The dtypes that an import's files had of tensors whose parameter is wider; no training has used its range since."""
    as_in_files = "hf" in manifest and manifest["dtype"] is None
    return manifest["hf"].get("dtypes", {}) if as_in_files else {}


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
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    for paths, group in groups.items():
        shapes = {
            path: jax.ShapeDtypeStruct(saved.shapes[path].shape, saved.shapes[path].dtype, sharding=device) for path in paths
        }
        stacks = {path: np.asarray(array) for path, array in saved.read(shapes).items()}
        for tensor in group:
            rows = [part.turn_back(stacks[part.path][part.cell], kinds[tensor.name]) for part in tensor.parts]
            yield (rows[0] if len(rows) == 1 else np.concatenate(rows)).reshape(tensor.shape)
            report(1)
        del stacks
