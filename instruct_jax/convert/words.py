"""The tokenizer and chat template of an HF folder: read for a manifest, and kept beside the weights as they are."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instruct_jax.text.chat import BARE
from instruct_jax.text.tokenizer import load_tokenizer

# Any of these makes a folder one with a tokenizer; the others belong to it.
TOKENIZERS = ("tokenizer.json", "tokenizer.model")
BESIDE = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt")
TEMPLATE = "chat_template.jinja"


def read_words(folder: Path) -> dict[str, Any]:
    """What the manifest of a checkpoint says of its tokenizer and chat template; None for either that there is none of.

    Raises:
      InputError: one of them is damaged.
    """
    if not any((folder / name).exists() for name in TOKENIZERS):
        return {"tokenizer": None, "chat_template": None}
    tokenizer = load_tokenizer(folder)
    return {
        "tokenizer": {"fingerprint": tokenizer.fingerprint, "vocab_size": tokenizer.vocab_size},
        # A model that was never taught to chat is asked with nothing between prompt and answer.
        "chat_template": BARE.to_json(),
    }


def copy_words(folder: Path, run: Path) -> None:
    """Keep the files of the tokenizer and the chat template beside the weights, byte for byte."""
    _copy(folder, run / "tokenizer")


def write_words(run: Path, manifest: Mapping[str, Any], origin: Path | None, folder: Path) -> dict[str, Any]:
    """Write the tokenizer and the chat template of a checkpoint into an HF folder.

    Args:
      run: the checkpoint.
      manifest: its manifest.
      origin: the imported checkpoint that it was trained from, if any: its files are the published ones.
      folder: the HF folder.

    Returns:
      bos_token_id and eos_token_id for generation_config.json, as far as they are known.
    """
    if manifest["tokenizer"] is None:
        return {}
    _copy(run / "tokenizer", folder)
    return {}


def _copy(source: Path, target: Path) -> None:
    for name in (*TOKENIZERS, *BESIDE, TEMPLATE):
        if (source / name).exists():
            target.mkdir(exist_ok=True)
            shutil.copyfile(source / name, target / name)
