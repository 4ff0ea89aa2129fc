"""The tokenizer and chat template of an HF folder: read for a manifest, kept beside the weights, written back."""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instruct_jax.convert.tokenizer_json import write_tokenizer
from instruct_jax.text.chat import BARE, TurnTemplate, stop_ids, template_from_json
from instruct_jax.text.chat_files import folder_files, folder_source, load_chat_template, turns_as_jinja, with_given
from instruct_jax.text.hugging_face_tokenizer import HuggingFaceTokenizer
from instruct_jax.text.json_object import read_object
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


def copy_words(folder: Path, target: Path) -> None:
    """Copy the files of a tokenizer and its chat template, byte for byte."""
    for pattern in (*_TOKENIZERS, *_BESIDE):
        for file in sorted(folder.glob(pattern)):
            target.mkdir(exist_ok=True)
            shutil.copyfile(file, target / file.name)


def write_words(run: Path, manifest: Mapping[str, Any], origin: Path | None, folder: Path) -> dict[str, Any]:
    """Write the tokenizer and the chat template of a checkpoint into an HF folder.

    Args:
      run: the checkpoint's folder.
      manifest: its manifest.
      origin: the imported checkpoint that it was trained from, if any: where it had the same tokenizer, and the same chat
        template, its files are written as they came.
      folder: the HF folder.

    Returns:
      bos_token_id and eos_token_id, the tokens on which generation stops; nothing where the words are the origin's.

    Raises:
      InputError: the tokenizer cannot be written as transformers reads it.
    """
    if manifest["tokenizer"] is None:
        return {}
    known = {} if origin is None else read_object(origin / "manifest.json", "the manifest of the import")
    same_tokenizer = known.get("tokenizer") == manifest["tokenizer"]
    if same_tokenizer:
        copy_words(origin / "tokenizer", folder)
        if known["chat_template"]["fingerprint"] == manifest["chat_template"]["fingerprint"]:  # whatever it is called
            return {}
    tokenizer = load_tokenizer(run / "tokenizer")
    if not same_tokenizer:
        if isinstance(tokenizer, HuggingFaceTokenizer):
            copy_words(run / "tokenizer", folder)
        else:
            write_tokenizer(tokenizer, folder)
    template = template_from_json(manifest["chat_template"])
    stops = stop_ids(template, tokenizer)
    if isinstance(template, TurnTemplate):
        template = turns_as_jinja(template, tokenizer)
    for name, text in folder_files(template).items():
        (folder / name).write_text(text, newline="")
    _forget_template(folder)
    return {"bos_token_id": tokenizer.bos_id, "eos_token_id": list(stops)}


def _forget_template(folder: Path) -> None:
    """Let no other file of the folder name another chat template than chat_template.jinja does."""
    (folder / "chat_template.json").unlink(missing_ok=True)
    if (folder / _CONFIG).exists():
        config = read_object(folder / _CONFIG, "the tokenizer's configuration")
        if config.pop("chat_template", None) is not None:
            (folder / _CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
