"""HF folder to checkpoint: tensors streamed one at a time onto their shards; refuses whatever it does not know."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import multihost_utils
from rich.console import Console

from instruct_jax.artifacts import checkpoint
from instruct_jax.artifacts.manifest import NAME as MANIFEST
from instruct_jax.artifacts.manifest import fresh_partial, identity_of, read_manifest, versions, write_manifest
from instruct_jax.convert import added_tokens, names
from instruct_jax.convert import config as configs
from instruct_jax.convert.fields import Fields
from instruct_jax.convert.identity import model_identity
from instruct_jax.convert.streaming import stream
from instruct_jax.convert.tensor_files import Entry, read_folder, require_dtype
from instruct_jax.convert.words import copy_words, fingerprints, read_words
from instruct_jax.errors import InputError
from instruct_jax.model.spec import DecoderSpec
from instruct_jax.progress import progress, say
from instruct_jax.text.json_object import read_object

GENERATION = "generation_config.json"


def read_model(
    hf_dir: str | Path, mesh: jax.sharding.Mesh | None = None, dtype: Any = None
) -> tuple[DecoderSpec, dict[str, jax.Array], dict[str, Any]]:
    """The model of an HF folder, without writing a checkpoint.

    Args:
      hf_dir: holds config.json and safetensors files.
      mesh: where to lay the parameters; None: this process's first device.
      dtype: of the parameters; None: as in the files.

    Returns:
      The spec, the parameters by path, and what the manifest of an imported checkpoint would hold, but for its identity.

    Raises:
      InputError: the folder is no model of a known family, or is damaged.
    """
    found = inspect(hf_dir)
    return found.config.spec, found.stream(mesh, dtype), found.manifest()


@dataclasses.dataclass(frozen=True)
class HFFolder:
    """An HF folder whose every tensor is known to have its place.

    Attributes:
      folder: where it is.
      content: of its config.json.
      config: what that means.
      entries: its tensors.
      parameters: ours, by path.
      generation: of its generation_config.json, where the tokens that end a text are a list if there are any.
    """

    folder: Path
    content: Mapping[str, Any]
    config: configs.ReadConfig
    entries: Mapping[str, Entry]
    parameters: Mapping[str, names.Parameter]
    generation: Mapping[str, Any]

    def stream(
        self, mesh: jax.sharding.Mesh | None, dtype: Any = None, report: Callable[[int], None] = lambda _: None
    ) -> dict[str, jax.Array]:
        """The parameters by path, on their shards; see `streaming.stream`."""
        return stream(self.config.spec, self.config.family, self.entries, self.parameters, mesh, dtype, report)

    def manifest(self, template_date: str | None = None, template_variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the manifest of a checkpoint with this model says of it."""
        words = read_words(self.folder, template_date, template_variables)
        hf = {"folder": str(self.folder), "config": dict(self.content), "words": fingerprints(words)}
        return {
            "model": {"spec": self.config.spec.to_json()},
            **words,
            "hf": {**hf, "dtypes": self._widened()},
            "generation": dict(self.generation),
            "versions": versions("jax", "flax", "orbax-checkpoint", "instruct-jax"),
        }

    def identity(self, console: Console) -> str:
        """Which model it is; see `model_identity`."""
        return model_identity(self.config.spec, self.entries, console, f"identify {self.folder.name}")

    def _widened(self) -> dict[str, str]:
        """The dtypes of the tensors whose parameter is of another, for it holds tensors of several."""
        return {
            tensor.name: self.entries[tensor.name].dtype.name
            for tensor in names.tensors(self.config.spec, self.config.family)
            if any(self.parameters[part.path].dtype != self.entries[tensor.name].dtype for part in tensor.parts)
        }


def inspect(hf_dir: str | Path) -> HFFolder:
    """All of an HF folder but the numbers in its tensors, checked.

    Raises:
      InputError: the folder is no model of a known family, or its parts do not fit together.
    """
    folder = Path(hf_dir)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; give one with a {configs.NAME} and safetensors files")
    content = read_object(folder / configs.NAME, "the model's configuration")
    config = configs.read_config(content, str(folder / configs.NAME))
    entries = read_folder(folder)
    parameters = names.parameters(config.spec, config.family, entries)
    return HFFolder(folder.resolve(), content, config, entries, parameters, _generation(folder, config))


def _generation(folder: Path, config: configs.ReadConfig) -> dict[str, Any]:
    """What generation_config.json says; where it does not name the tokens that end a text, config.json does.

    Raises:
      InputError: it is damaged, or names a token that the model has not.
    """
    file, content = folder / GENERATION, {}
    if file.exists():
        content = read_object(file, "the settings of its generation")
    fields = Fields(content, str(file))
    for key in ("bos_token_id", "eos_token_id"):
        if any(one >= config.spec.vocab_size for one in fields.token_ids(key)):
            raise fields.refuse(key, f"ids of the model's {config.spec.vocab_size:,} tokens")
    fields.token_ids("pad_token_id")  # never generated: some folders name one past the last
    ends = fields.token_ids("eos_token_id") if "eos_token_id" in fields else list(config.eos_ids)
    content.pop("eos_token_id", None)
    return content | ({"eos_token_id": ends} if ends else {})


def import_hf(
    hf_dir: str | Path,
    workdir: str | Path,
    mesh: jax.sharding.Mesh | None = None,
    dtype: str | None = None,
    add_tokens: Sequence[str] = (),
    template_date: str | None = None,
    template_variables: Mapping[str, Any] | None = None,
    config: str = "",
) -> None:
    """Program: an HF folder becomes a checkpoint, to train from, ask, evaluate or export again.

    Args:
      hf_dir: the folder, as transformers saves it.
      workdir: the checkpoint's folder; it must not hold anything else.
      mesh: the devices to lay the parameters on meanwhile.
      dtype: "float32", "float16" or "bfloat16" for all parameters; None: as in the files.
      add_tokens: control tokens that the tokenizer lacks, such as "<|im_start|>"; their rows begin as the mean of the others.
      template_date: "YYYY-MM-DD" for a chat template that writes today's date; None: it cannot ask for it.
      template_variables: what else the chat template is given, such as {"enable_thinking": False}.
      config: the operative gin text, for the manifest.

    Raises:
      InputError: the folder is no model of a known family, or is damaged; or workdir holds something else.
    """
    console, workdir = Console(stderr=True), Path(workdir).resolve()
    require_dtype(dtype)
    tokens = added_tokens.checked(add_tokens)
    found = inspect(hf_dir)
    before = _manifest_there(workdir, found.folder)
    settings = {"dtype": dtype, "add_tokens": list(tokens)}
    given = {"template_date": template_date, "template_variables": dict(template_variables or {})}
    manifest = {**found.manifest(**given), **given, **settings, "config": config}
    origin = {
        "identity": found.identity(console),
        "config": identity_of(manifest["hf"]["config"]),
        **{key: identity_of(manifest[key]) for key in ("tokenizer", "chat_template", "generation")},
    }
    manifest["parents"] = {"hf": {"folder": str(found.folder), **origin}}
    manifest["identity"] = identity_of([origin["identity"], settings])
    if dtype is not None:  # an export asks for what the files had where the import did not
        del manifest["hf"]["dtypes"]
    if before is not None:
        _require_same_import(workdir, before, origin, settings)
        say(console, f"import: {workdir} holds this model already")
        return
    _warn_of_words(console, found, manifest["tokenizer"], tokens)
    first = added_tokens.first_free(found.folder, tokens) if tokens else None
    count = sum(1 for _ in names.tensors(found.config.spec, found.config.family))
    with progress(console, f"import {found.folder.name}", count, "tensors") as report:
        parameters = found.stream(mesh, dtype and jnp.dtype(dtype), report)
    if tokens:
        spec, parameters = added_tokens.add_rows(found.config.spec, parameters, first, len(tokens))
        manifest["model"] = {"spec": spec.to_json()}

    def begin() -> None:
        words = fresh_partial(workdir) / "tokenizer"
        copy_words(found.folder, words)
        if tokens:
            added_tokens.add_to_tokenizer(words, tokens)
            manifest.update(read_words(words, template_date, template_variables))
            manifest["hf"]["words"] = fingerprints(manifest)

    partial = _on_one_host(begin, workdir)
    checkpoint.save_parameters(partial, 0, parameters)

    def finish() -> None:
        write_manifest(partial, "checkpoint", manifest)
        partial.replace(workdir)

    _on_one_host(finish, workdir)
    size = sum(array.size for array in parameters.values())
    say(console, f"import: {found.config.family.model_type} of {size:,} parameters is in {workdir}")


def _manifest_there(workdir: Path, hf_dir: Path) -> dict[str, Any] | None:
    """The manifest of the finished checkpoint that the folder holds already; None: it holds nothing.

    Raises:
      InputError: it holds something else.
    """
    if workdir == hf_dir:
        raise InputError(f"WORKDIR is HF_DIR, {workdir}; choose another WORKDIR")
    if not workdir.exists() or (workdir.is_dir() and not any(workdir.iterdir())):
        return None
    if not (workdir / MANIFEST).exists() or checkpoint.saved_steps(workdir) != [0]:
        raise InputError(f"{workdir} holds something else already; choose another WORKDIR")
    return read_manifest(workdir, "checkpoint")


def _require_same_import(
    workdir: Path, before: Mapping[str, Any], origin: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    """Fail where a finished checkpoint is another import than the one asked for.

    Raises:
      InputError: it is.
    """
    there = {**before["parents"].get("hf", {}), **{key: before.get(key) for key in settings}}
    odd = [key for key, value in {**origin, **settings}.items() if there.get(key) != value]
    if odd:
        called = {"identity": "weights", "config": "config.json", "dtype": "DTYPE", "add_tokens": "ADD_TOKENS"}
        raise InputError(
            f"{workdir} holds something else already: its {', '.join(called.get(key, key) for key in odd)} differ; "
            "choose another WORKDIR, or remove that checkpoint"
        )


def _warn_of_words(console: Console, found: HFFolder, tokenizer: Mapping[str, Any] | None, tokens: Sequence[str]) -> None:
    """Say where the tokenizer is missing, or has ids that the model has not."""
    size = found.config.spec.vocab_size
    if tokenizer is None:
        say(console, f"import: warning: {found.folder} holds no tokenizer; its checkpoint knows ids, and cannot be asked")
    elif tokenizer["vocab_size"] > size and not tokens:
        say(
            console,
            f"import: warning: the model has {size:,} tokens, its tokenizer {tokenizer['vocab_size']:,}; a text that needs one "
            f"of the ids from {size} to {tokenizer['vocab_size'] - 1} will be refused",
        )


def _on_one_host(act: Callable[[], None], workdir: Path) -> Path:
    """Do what touches the disk on one host, and let the others wait for it; returns the unfinished folder's name."""
    if jax.process_index() == 0:
        act()
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("import")
    return workdir.with_name(workdir.name + ".partial")
