"""A tokenizer from where it is kept: a file of any known kind, a folder that holds one, or plain bytes."""

import json
from pathlib import Path

from instruct_jax.errors import InputError
from instruct_jax.text.hugging_face_tokenizer import HuggingFaceTokenizer
from instruct_jax.text.pieces import ByteTokenizer, Tokenizer
from instruct_jax.text.sentencepiece_tokenizer import SentencePieceTokenizer


def load_tokenizer(path: str | Path) -> Tokenizer:
    """The tokenizer at a path: "bytes", a SentencePiece file, a `tokenizer.json`, or a folder that holds one.

    A checkpoint or run folder works too: its tokenizer is in `tokenizer/`.

    Raises:
      InputError: there is no such file, or it is no tokenizer.
    """
    if str(path) == "bytes":
        return ByteTokenizer()
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no tokenizer at {path}; give 'bytes', a .model file, a tokenizer.json, or a folder with one")
    if path.is_dir():
        for name in ("tokenizer.json", "tokenizer.model", "bytes.json"):
            if (path / name).exists():
                return load_tokenizer(path / name)
        if (path / "tokenizer").is_dir():
            return load_tokenizer(path / "tokenizer")
        raise InputError(f"{path} holds no tokenizer.json and no tokenizer.model; give the file itself")
    if path.name == "bytes.json":
        return ByteTokenizer()
    content = path.read_bytes()
    if path.suffix == ".json":
        config_file = path.with_name("tokenizer_config.json")
        config = _config(config_file) if config_file.exists() else {}
        return HuggingFaceTokenizer(
            content, _token_text(config.get("bos_token")), _token_text(config.get("eos_token")), str(path)
        )
    return SentencePieceTokenizer(content, str(path))


def _config(file: Path) -> dict:
    try:
        config = json.loads(file.read_bytes())
    except ValueError as error:
        raise InputError(
            f"{file} is not valid JSON ({error}); mend it, or remove it if the tokenizer has no bos and eos"
        ) from None
    if not isinstance(config, dict):
        raise InputError(f"{file} holds a JSON {type(config).__name__}; expected an object with bos_token and eos_token")
    return config


def _token_text(entry: str | dict | None) -> str | None:
    return entry["content"] if isinstance(entry, dict) else entry
