"""The tokenizer and chat template of an HF folder: read for a manifest, kept beside the weights, written back."""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instruct_jax.convert.tokenizer_json import write_tokenizer
from instruct_jax.errors import InputError
from instruct_jax.text.chat import BARE, TurnTemplate, stop_ids, template_from_json
from instruct_jax.text.chat_files import folder_files, folder_source, load_chat_template, turns_as_jinja, with_given
from instruct_jax.text.conversation import ChatTemplate
from instruct_jax.text.hugging_face_tokenizer import HuggingFaceTokenizer
from instruct_jax.text.json_object import read_object
from instruct_jax.text.pieces import Tokenizer
from instruct_jax.text.tokenizer import load_tokenizer

# Any of these makes a folder one with a tokenizer.
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "*.tiktoken")
_CONFIG = "tokenizer_config.json"
_BESIDE = (_CONFIG, "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template.*")


def read_words(folder: Path, date: str | None = None, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the manifest of a checkpoint says of its tokenizer and chat template; None for both where there is no tokenizer.

    Args:
      folder: an HF folder.
      date, variables: of its chat template; see `with_given`.

    Raises:
      InputError: one of them is damaged, or the template does not take what is given.
    """
    if not any(file for pattern in _TOKENIZERS for file in folder.glob(pattern)):
        return {"tokenizer": None, "chat_template": None}
    tokenizer = load_tokenizer(folder)
    if folder_source(folder) is None:
        # A model that was never taught to chat is asked with nothing between prompt and answer, and begins with bos only
        # where its tokenizer begins every text so.
        template = with_given(dataclasses.replace(BARE, bos=tokenizer.adds_bos), date, variables)
    else:
        template = load_chat_template(folder, tokenizer, date, variables)
    described = {"fingerprint": tokenizer.fingerprint, "vocab_size": tokenizer.vocab_size}
    return {"tokenizer": described, "chat_template": template.to_json()}


def fingerprints(manifest: Mapping[str, Any]) -> dict[str, str] | None:
    """What tells the words of one manifest from those of another, whatever they are called; None: there are none."""
    if manifest["tokenizer"] is None:
        return None
    return {key: manifest[key]["fingerprint"] for key in ("tokenizer", "chat_template")}


def copy_words(folder: Path, target: Path) -> None:
    """Copy the files of a tokenizer and its chat template, byte for byte."""
    for pattern in (*_TOKENIZERS, *_BESIDE):
        for file in sorted(folder.glob(pattern)):
            target.mkdir(exist_ok=True)
            shutil.copyfile(file, target / file.name)


def write_words(run: Path, manifest: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write the tokenizer and the chat template of a checkpoint into an HF folder.

    Words that were imported, with the model or with the one that it was trained from, are written as they came.

    Args:
      run: the checkpoint's folder.
      manifest: its manifest.
      folder: the HF folder.

    Returns:
      bos_token_id and eos_token_id, the tokens on which generation stops; nothing where the words are those imported.

    Raises:
      InputError: the tokenizer is not the one that the model was trained with, or transformers cannot read its like.
    """
    if manifest["tokenizer"] is None:
        return {}
    tokenizer = load_tokenizer(run / "tokenizer")
    require_same_tokenizer(tokenizer, manifest, run / "tokenizer")
    words, imported = fingerprints(manifest), manifest.get("hf", {}).get("words") or {}
    if words["tokenizer"] == imported.get("tokenizer") or isinstance(tokenizer, HuggingFaceTokenizer):
        copy_words(run / "tokenizer", folder)
    else:
        write_tokenizer(tokenizer, folder)
    template = template_from_json(manifest["chat_template"])
    unchanged = words == imported
    if not (unchanged and folder_source(folder) == getattr(template, "source", None)):
        _write_template(template, tokenizer, folder)
    if unchanged:
        return {}
    more = manifest.get("generation", {}).get("eos_token_id", ()) if words["tokenizer"] == imported.get("tokenizer") else ()
    stops = list(dict.fromkeys((*stop_ids(template, tokenizer), *more)))
    return {"bos_token_id": tokenizer.bos_id, **({"eos_token_id": stops} if stops else {})}


def require_same_tokenizer(tokenizer: Tokenizer, manifest: Mapping[str, Any], folder: Path) -> None:
    """Fail where a checkpoint's tokenizer is not the one that its model was trained with.

    Raises:
      InputError: it is another.
    """
    expected = manifest["tokenizer"]["fingerprint"]
    if tokenizer.fingerprint != expected:
        raise InputError(
            f"{folder} is not the tokenizer of this checkpoint (fingerprint {tokenizer.fingerprint[:12]}, "
            f"expected {expected[:12]}); restore the one that the model was trained with"
        )


def _write_template(template: ChatTemplate, tokenizer: Tokenizer, folder: Path) -> None:
    if isinstance(template, TurnTemplate):
        template = turns_as_jinja(template, tokenizer)
    for name, text in folder_files(template).items():
        (folder / name).write_text(text, newline="")
    _forget_template(folder)


def _forget_template(folder: Path) -> None:
    """Let no other file of the folder name another chat template than chat_template.jinja does."""
    (folder / "chat_template.json").unlink(missing_ok=True)
    if (folder / _CONFIG).exists():
        config = read_object(folder / _CONFIG, "the tokenizer's configuration")
        if config.pop("chat_template", None) is not None:
            (folder / _CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
