"""A tokenizer from where it is kept: a file of any known kind, a folder that holds one, or plain bytes."""

from pathlib import Path

from instruct_jax.errors import InputError
from instruct_jax.text.hugging_face_tokenizer import HuggingFaceTokenizer
from instruct_jax.text.pieces import ByteTokenizer, Tokenizer
from instruct_jax.text.sentencepiece_tokenizer import SentencePieceTokenizer
from instruct_jax.text.tiktoken_file import is_tiktoken, tokenizer_json
from instruct_jax.text.tokenizer_config import FILES, read_config


def load_tokenizer(path: str | Path) -> Tokenizer:
    """The tokenizer at a path: "bytes", a file, or a folder that holds one.

    Files are a `tokenizer.json`, a SentencePiece model, and byte strings with their ranks as tiktoken keeps them. What
    tokenizer_config.json, special_tokens_map.json and added_tokens.json beside any of them say of bos, eos and other control
    tokens goes before what the file says. A checkpoint or run folder works: its tokenizer is in `tokenizer/`.

    Raises:
      InputError: there is no such file, it is no tokenizer, or the files beside it name tokens that it lacks.
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
        if found := sorted(path.glob("*.tiktoken")):
            return load_tokenizer(found[0])
        if (path / "tokenizer").is_dir():
            return load_tokenizer(path / "tokenizer")
        raise InputError(f"{path} holds no tokenizer.json and no tokenizer.model; give the file itself")
    if path.name == "bytes.json":
        return ByteTokenizer()
    content = path.read_bytes()
    beside = {name: path.with_name(name).read_bytes() for name in FILES if path.with_name(name).exists()}
    config = read_config(path.parent)
    if path.suffix == ".json":
        return HuggingFaceTokenizer(content, config, str(path), {"tokenizer.json": content, **beside})
    if is_tiktoken(content):
        made = tokenizer_json(content, config, str(path))
        return HuggingFaceTokenizer(made, config, str(path), {path.name: content, **beside})
    return SentencePieceTokenizer(content, str(path), config, {"tokenizer.model": content, **beside})
