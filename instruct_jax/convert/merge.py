"""An adapter's checkpoint made a whole model's: kernels with the adapter in them, one after another."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from rich.console import Console

from instruct_jax.artifacts.checkpoint import copy_tokenizer, locate, save_parameters
from instruct_jax.artifacts.manifest import (
    fresh_partial,
    identity_of,
    inherited,
    require_one_process,
    require_unused,
    versions,
    write_manifest,
)
from instruct_jax.artifacts.saved_parameters import SavedParameters
from instruct_jax.convert.tensor_files import beyond_float16, require_dtype
from instruct_jax.core import mesh as meshes
from instruct_jax.core import modules
from instruct_jax.errors import InputError
from instruct_jax.model.loading import source_of
from instruct_jax.model.lora import AdaptedLinear
from instruct_jax.model.lora_source import LoraSource
from instruct_jax.model.quantised import QuantisedKernel
from instruct_jax.progress import progress, say


def merge(
    checkpoint: str | Path, workdir: str | Path, mesh: jax.sharding.Mesh | None = None, dtype: str | None = None, config: str = ""
) -> None:
    """Program: an adapter's checkpoint becomes one that needs no base, to export, to train in full or to adapt anew.

    It computes what the adapted model does, over a quantised base too, up to the rounding of its dtype.

    Args:
      checkpoint: a run's folder (its newest state), or `run/checkpoints/<step>`.
      workdir: the new checkpoint's folder; it must not hold anything else.
      mesh: the devices to lay the parameters on meanwhile; None: this process's first device.
      dtype: "float32", "float16" or "bfloat16" for all parameters; None: as the base has each.
      config: the operative gin text, for the manifest.

    Raises:
      InputError: there is no such checkpoint, it is no adapter's, or workdir holds something.
    """
    require_one_process("a merged model")
    console, workdir = Console(stderr=True), require_unused(workdir)
    require_dtype(dtype)
    saved = SavedParameters(*locate(checkpoint))
    source = source_of(saved.manifest)
    if not isinstance(source, LoraSource):
        raise InputError(f"{saved.run} is no adapter but a whole model already; nothing is to be merged")
    parameters = merge_in_turn(saved, source, mesh, dtype, console)
    manifest = saved.manifest
    origin = {"asked": str(checkpoint), "folder": str(saved.run.resolve()), "step": saved.step, "identity": manifest["identity"]}
    partial = fresh_partial(workdir)
    save_parameters(partial, 0, parameters)
    if manifest["tokenizer"] is not None:
        copy_tokenizer(saved.run, partial)
    content = {
        "model": source.base.describe(),
        "tokenizer": manifest["tokenizer"],
        "chat_template": manifest["chat_template"],
        **inherited(manifest),
        "identity": identity_of(["merged", manifest["identity"], saved.step, dtype]),
        "parents": {"init_from": origin},
        "config": config,
        "versions": versions("jax", "flax", "orbax-checkpoint", "instruct-jax"),
    }
    write_manifest(partial, "checkpoint", content)
    partial.replace(workdir)
    say(console, f"merge: {saved.run} at step {saved.step}, its adapter in it, is in {workdir}")


def merge_in_turn(
    saved: SavedParameters, source: LoraSource, mesh: jax.sharding.Mesh | None, dtype: Any, console: Console
) -> dict[str, jax.Array]:
    """The parameters of the ordinary model, by path; of what is being merged, one kernel's stack is held at a time."""
    blueprint, shapes = modules.abstract(lambda: source.build(jax.random.key(0)))
    plain, _ = modules.abstract(lambda: source.base.build(jax.random.key(0)))
    parts = {"/".join(map(str, path)): part for path, part in nnx.iter_modules(blueprint.merge(shapes))}
    merged = {}
    with progress(console, f"merge {saved.run.name}", len(plain.paths), "parameters") as report:
        for path in plain.paths:
            holder = path.removesuffix("/kernel")
            prefix = holder if isinstance(parts.get(holder), AdaptedLinear) and path != holder else path
            wanted = {
                one: meshes.placed(mesh, shape, blueprint.axes[one])
                for one, shape in shapes.items()
                if one == path or (one.startswith(f"{prefix}/") and not one.endswith("/bias"))
            }
            kind = jnp.dtype(dtype or (saved.base or saved).shapes[path].dtype)
            merged[path] = _dense(parts.get(prefix), prefix, source.adopt(saved, wanted), kind)
            if kind == jnp.float16 and not jnp.isfinite(merged[path]).all():
                raise beyond_float16(f"parameter {path}")
            report(1)
    return merged


def _dense(part: nnx.Module | None, prefix: str, arrays: Mapping[str, jax.Array], dtype: Any) -> jax.Array:
    """One parameter of the ordinary model, from what the adapted one holds in its place."""
    if not isinstance(part, AdaptedLinear | QuantisedKernel):
        (array,) = arrays.values()
        return array.astype(dtype)
    blueprint, shapes = modules.split(part)

    def compute(arrays: Mapping[str, jax.Array]) -> jax.Array:
        # A bias, which merging leaves alone, keeps its shape in the place of its numbers.
        whole = blueprint.merge({**shapes, **arrays})
        return (whole.merged() if isinstance(whole, AdaptedLinear) else whole[...]).astype(dtype)

    return jax.jit(compute)({path.removeprefix(f"{prefix}/"): array for path, array in arrays.items()})
