"""Adapters in PEFT's format: a folder with adapter_config.json and adapter_model.safetensors, written and read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from instruct_jax.artifacts.checkpoint import copy_tokenizer, locate, save_parameters
from instruct_jax.artifacts.manifest import (
    NAME,
    file_sha256,
    fresh_partial,
    identity_of,
    inherited,
    require_one_process,
    require_unused,
    versions,
    write_manifest,
)
from instruct_jax.artifacts.saved_parameters import SavedParameters, base_record
from instruct_jax.convert import config as configs
from instruct_jax.convert.families import Family
from instruct_jax.convert.fields import Fields
from instruct_jax.convert.names import tensors
from instruct_jax.convert.peft_layout import PREFIX, adapter_tensors, module_name
from instruct_jax.convert.tensor_files import DTYPES, Entry, read_header, write_file
from instruct_jax.core import mesh as meshes
from instruct_jax.core import modules
from instruct_jax.errors import InputError
from instruct_jax.model.loading import DecoderSource, source_of, spec_of
from instruct_jax.model.lora import Lora
from instruct_jax.model.lora_source import LoraSource
from instruct_jax.model.spec import DecoderSpec
from instruct_jax.progress import say
from instruct_jax.text.json_object import read_object

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
# Keys that say nothing about what the adapter computes once it is trained, or nothing that its tensors do not say.
_INERT = {
    **dict.fromkeys(("base_model_name_or_path", "peft_version", "revision", "megatron_core", "layers_pattern"), (str, list)),
    **dict.fromkeys(("target_modules", "modules_to_save", "exclude_modules"), (list, str)),
    **dict.fromkeys(("layers_to_transform",), (list, int)),
    **dict.fromkeys(("auto_mapping", "runtime_config"), (dict,)),
    "inference_mode": (bool,),
    "qalora_group_size": (int,),
}
# Keys that would change what it computes, with the values at which they do not. Other ways of drawing the first values
# (PiSSA, OLoRA, ...) change the base itself.
_FIXED: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(("fan_in_fan_out", "lora_bias", "use_qalora"), (False,)),
    **dict.fromkeys(("eva_config", "corda_config", "lora_ga_config", "arrow_config", "kasa_config", "velora_config"), (None,)),
    **dict.fromkeys(("megatron_config", "layer_replication"), (None,)),
    **dict.fromkeys(("trainable_token_indices", "target_parameters"), (None, [])),
    **dict.fromkeys(("alora_invocation_tokens", "use_bdlora", "monteclora_config"), (None,)),
    "bias": ("none",),
    "loftq_config": ({}, None),
    "init_lora_weights": (True, False, "gaussian"),
    "task_type": ("CAUSAL_LM", None),
    "peft_type": ("LORA",),
}


def export_peft(checkpoint: str | Path, workdir: str | Path, base_model: str | None = None) -> None:
    """Program: an adapter's checkpoint becomes a folder that peft loads over the base's HF folder.

    Args:
      checkpoint: a run's folder (its newest state), or `run/checkpoints/<step>`.
      workdir: the folder to write; it must not hold anything else.
      base_model: what the folder says of where the base is; None: the HF folder that it was imported from, if any.

    Raises:
      InputError: there is no such checkpoint, it is no adapter's, or PEFT cannot express it.
    """
    require_one_process("an export")
    workdir = require_unused(workdir)
    saved = SavedParameters(*locate(checkpoint))
    source = source_of(saved.manifest)
    if not isinstance(source, LoraSource):
        raise InputError(f"{saved.run} is no adapter but a whole model; export it with gin_configs/runs/export_hf.gin")
    family, folder = _family(saved, source.base.spec)
    _, shapes = modules.abstract(lambda: source.build(jax.random.key(0)))
    planned = list(adapter_tensors(source.base.spec, family, shapes, saved.own))
    arrays = {
        path: np.asarray(array)
        for path, array in saved.read({path: meshes.placed(None, shapes[path]) for path in saved.own}).items()
    }
    turned = {}
    for tensor in planned:
        (part,) = tensor.parts
        turned[tensor.name] = part.turn_back(arrays[part.path][part.cell], np.dtype(np.float32)).reshape(tensor.shape)
    adapted = sorted({module_name(one) for one in planned if ".lora_" in one.name})
    beside = sorted({module_name(one) for one in planned if ".lora_" not in one.name})
    lora, tied = source.lora, source.base.spec.tied
    if tied and "embed_tokens" in beside:
        beside.remove("lm_head")  # ensure_weight_tying brings it
    partial = fresh_partial(workdir)
    write_file(partial / TENSORS, turned)
    content = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model or folder,
        "r": lora.rank,
        "lora_alpha": int(lora.alpha) if float(lora.alpha).is_integer() else lora.alpha,
        "lora_dropout": lora.dropout,
        "use_rslora": lora.rank_stabilised,
        "use_dora": lora.weight_decomposed,
        "target_modules": adapted,
        "modules_to_save": beside or None,
        # Otherwise peft would go on with the old table as the output layer.
        "ensure_weight_tying": tied and "embed_tokens" in beside,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    (partial / CONFIG).write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(workdir)
    say(Console(stderr=True), f"export: an adapter of rank {lora.rank} over {family.model_type} is in {workdir}")


def import_peft(peft_dir: str | Path, checkpoint: str | Path, workdir: str | Path, config: str = "") -> None:
    """Program: a folder of peft's becomes the checkpoint of an adapter over a base, to load, to train on or to merge.

    Args:
      peft_dir: holds adapter_config.json and adapter_model.safetensors.
      checkpoint: the base: an imported model, or any other checkpoint that an HF folder can hold.
      workdir: the checkpoint's folder; it must not hold anything else.
      config: the operative gin text, for the manifest.

    Raises:
      InputError: the folder is damaged, does not fit the base, or asks for what is not done here.
    """
    require_one_process("an import of an adapter")
    folder, workdir = Path(peft_dir), require_unused(workdir)
    base = SavedParameters(*locate(checkpoint))
    if "adapter" in base.manifest["model"]:
        raise InputError(f"{base.run} is an adapter itself; give its base, or merge it first (gin_configs/runs/merge.gin)")
    family, _ = _family(base, spec_of(checkpoint))
    entries = read_header(folder / TENSORS)
    source = _source(folder, base, family, entries)
    parameters = _read(folder, entries, source, family)
    origin = {"asked": str(base.run), "folder": str(base.run.resolve()), "step": base.step, "identity": base.manifest["identity"]}
    files = {name: file_sha256(folder / name) for name in (CONFIG, TENSORS)}
    manifest = {
        "model": source.describe(),
        "tokenizer": base.manifest["tokenizer"],
        "chat_template": base.manifest["chat_template"],
        **inherited(base.manifest),
        "base": base_record(base.run, base.step),
        "identity": identity_of([files, base.manifest["identity"], base.step]),
        "parents": {"init_from": origin, "peft": {"folder": str(folder.resolve()), "files": files}},
        "config": config,
        "versions": versions("jax", "flax", "orbax-checkpoint", "instruct-jax"),
    }
    partial = fresh_partial(workdir)
    save_parameters(partial, 0, parameters)
    if base.manifest["tokenizer"] is not None:
        copy_tokenizer(base.run, partial)
    write_manifest(partial, "checkpoint", manifest)
    partial.replace(workdir)
    say(Console(stderr=True), f"import: an adapter of rank {source.lora.rank} over {base.run} is in {workdir}")


def _family(saved: SavedParameters, spec: DecoderSpec) -> tuple[Family, str | None]:
    """The family whose names a model's HF folder has, and that folder, where it was imported from one."""
    hf = saved.manifest.get("hf")
    if hf is None:
        return configs.write_config(spec, "float32")[0], None
    return configs.read_config(hf["config"], f"{saved.run / NAME}: hf: config").family, hf["folder"]


def _source(folder: Path, base: SavedParameters, family: Family, entries: Mapping[str, Entry]) -> LoraSource:
    """What the configuration and the names of the tensors say of the adapter."""
    fields = Fields(read_object(folder / CONFIG, "the adapter's configuration"), str(folder / CONFIG))
    decoder = DecoderSource(DecoderSpec.from_json(base.manifest["model"]["spec"]))
    named = [(f"{PREFIX}{tensor.name}", part.path) for tensor in tensors(decoder.spec, family) for part in tensor.parts]
    adapted = {path.removesuffix("/kernel") for name, path in named if f"{name.removesuffix('.weight')}.lora_A.weight" in entries}
    beside = {path for name, path in named if name in entries}
    if not adapted:
        raise InputError(f"{folder / TENSORS} adapts no dense product of {base.run}; give the base that it was trained over")
    rank, alpha = fields.integer("r", 8), fields.number("lora_alpha", 8)
    for key, whole in (("rank_pattern", rank), ("alpha_pattern", alpha)):
        given = {} if fields.raw(key) is None else fields.raw(key)
        if not isinstance(given, dict) or any(type(one) not in (int, float) or one != whole for one in given.values()):
            raise fields.refuse(key, f"none, or {whole:g} everywhere: one adapter has one rank and one alpha here")
    tied = fields.flag("ensure_weight_tying", False)
    if decoder.spec.tied and "embedding" in beside and not tied:
        raise fields.refuse(
            "ensure_weight_tying", "true: this base's output layer is its embedding, which the adapter changed alone"
        )
    lora = Lora(
        rank=rank,
        alpha=alpha,
        targets=tuple(f"{path}$" for path in sorted(adapted)),
        dropout=fields.number("lora_dropout", 0.0, low=-1.0),
        rank_stabilised=fields.flag("use_rslora", False),
        weight_decomposed=fields.flag("use_dora", False),
        beside=tuple(f"{path}$" for path in sorted(beside)),
    )
    fields.nothing_left(_INERT, _FIXED)
    narrow = {base.shapes[f"{path}/kernel"].dtype for path in adapted} == {jnp.dtype(jnp.bfloat16)}
    return LoraSource(decoder, lora, "bfloat16" if narrow else "float32")


def _read(folder: Path, entries: Mapping[str, Entry], source: LoraSource, family: Family) -> dict[str, jax.Array]:
    """The adapter's parameters by path, fp32; every tensor of the file has its place."""
    _, shapes = modules.abstract(lambda: source.build(jax.random.key(0)))
    stacks = {path: np.zeros(shape.shape, np.float32) for path, shape in shapes.items() if source.saved(path)}
    left, filled = set(entries), set()
    for tensor in adapter_tensors(source.base.spec, family, shapes, stacks):
        if tensor.name not in entries:
            raise InputError(f"{folder / TENSORS} lacks {tensor.name}; an adapter takes hold in every layer here")
        entry = entries[tensor.name]
        if entry.shape != tensor.shape or entry.kind not in DTYPES:
            raise InputError(
                f"{folder / TENSORS}: {tensor.name} is {entry.kind} of shape {list(entry.shape)}; expected floats of shape "
                f"{list(tensor.shape)}: the configuration and the base do not fit the file"
            )
        (part,) = tensor.parts
        cell = entry.read().astype(np.float32).reshape(part.split).transpose(part.order)
        if (part.path, part.cell) in filled and not np.array_equal(stacks[part.path][part.cell], cell):
            raise InputError(f"{folder / TENSORS}: {tensor.name} is not the embedding, to which this base ties its output layer")
        stacks[part.path][part.cell] = cell
        filled.add((part.path, part.cell))
        left.discard(tensor.name)
    if left:
        raise InputError(
            f"{folder / TENSORS} holds {sorted(left)[0]}, which has no place here; it adapts what is no dense product"
        )
    return {path: jnp.asarray(stack) for path, stack in stacks.items()}
