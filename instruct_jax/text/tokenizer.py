"""Text to ids and back: SentencePiece, Hugging Face `tokenizers` and plain bytes behind one interface."""

import abc
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from instruct_jax.errors import InputError


class Tokenizer(abc.ABC):
    """Ids of ordinary text, and a few control ids that no text can produce.

    Whatever a text contains, `encode` returns ordinary pieces only: a user who types "</s>" gets its characters, never
    the control id. Control ids enter through `special` alone.

    Attributes:
      vocab_size: number of ids, padding included.
      bos_id, eos_id: begin and end of text; None where the tokenizer has none.
      fingerprint: hash of everything that decides the ids.
    """

    vocab_size: int
    bos_id: int | None
    eos_id: int | None
    fingerprint: str

    @abc.abstractmethod
    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, with no bos or eos added."""

    @abc.abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of these ids; control ids are left out."""

    @abc.abstractmethod
    def piece(self, token_id: int) -> str:
        """The printable name of one id, as for a table of tokens."""

    @abc.abstractmethod
    def special(self, name: str) -> int | None:
        """The id of a control token by its literal name, such as "<|im_end|>"; None where there is none."""

    @abc.abstractmethod
    def save(self, folder: Path) -> None:
        """Write what `load_tokenizer(folder)` reads."""

    def encode(self, text: str) -> list[int]:
        """Ids of one text, with no bos or eos added."""
        return self.encode_batch([text])[0]


class ByteTokenizer(Tokenizer):
    """UTF-8 bytes as ids 3 to 258; 0 is unused, 1 begins and 2 ends a text.

    >>> ByteTokenizer().encode("hi")
    [107, 108]
    >>> ByteTokenizer().decode([1, 107, 108, 2])
    'hi'
    """

    _OFFSET = 3

    def __init__(self):
        self.vocab_size = 256 + self._OFFSET
        self.bos_id, self.eos_id = 1, 2
        self.fingerprint = _hash(b"bytes offset 3 bos 1 eos 2")

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [[byte + self._OFFSET for byte in text.encode()] for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(i - self._OFFSET for i in ids if i >= self._OFFSET).decode(errors="replace")

    def piece(self, token_id: int) -> str:
        names = {0: "<unused>", 1: "<s>", 2: "</s>"}
        return names.get(token_id) or repr(bytes([token_id - self._OFFSET]))[2:-1]

    def special(self, name: str) -> int | None:
        return {"<s>": 1, "</s>": 2}.get(name)

    def save(self, folder: Path) -> None:
        _write(folder / "bytes.json", json.dumps({"kind": "bytes"}).encode())


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece model file."""

    def __init__(self, model: bytes, name: str = "SentencePiece model"):
        import sentencepiece

        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise InputError(f"{name} is not a SentencePiece model ({error}); give a file trained by SentencePiece") from None
        self._model = model
        self.vocab_size = self._processor.vocab_size()
        self.bos_id = _or_none(self._processor.bos_id())
        self.eos_id = _or_none(self._processor.eos_id())
        self.fingerprint = _hash(b"sentencepiece\0" + model)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return self._processor.encode(list(texts), out_type=int, add_bos=False, add_eos=False)

    def decode(self, ids: Sequence[int]) -> str:
        return self._processor.decode([int(i) for i in ids if not self._processor.is_control(int(i))])

    def piece(self, token_id: int) -> str:
        return self._processor.id_to_piece(int(token_id))

    def special(self, name: str) -> int | None:
        token_id = self._processor.piece_to_id(name)
        return token_id if self._processor.is_control(token_id) else None

    def save(self, folder: Path) -> None:
        _write(folder / "tokenizer.model", self._model)


class HuggingFaceTokenizer(Tokenizer):
    """A `tokenizer.json` of the `tokenizers` library.

    Args:
      content: the file's bytes.
      bos, eos: literal names of the control tokens; `load_tokenizer` reads them from `tokenizer_config.json` beside it.
    """

    def __init__(self, content: bytes, bos: str | None = None, eos: str | None = None, name: str = "tokenizer.json"):
        import tokenizers

        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(content.decode())
        except Exception as error:  # the library raises bare Exception
            raise InputError(f"{name} is no tokenizer file ({error}); give a tokenizer.json of the tokenizers library") from None
        # Text that spells a control token is encoded as the characters it is made of.
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._content, self._names = content, {"bos_token": bos, "eos_token": eos}
        self._added = {token.content: i for i, token in self._tokenizer.get_added_tokens_decoder().items() if token.special}
        self.vocab_size = max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1  # ids may have gaps
        self.bos_id = self._named(bos, name)
        self.eos_id = self._named(eos, name)
        self.fingerprint = _hash(b"tokenizers\0" + content + json.dumps(self._names).encode())

    def _named(self, token: str | None, name: str) -> int | None:
        if token is None:
            return None
        token_id = self._tokenizer.token_to_id(token)
        if token_id is None:
            raise InputError(f"{name} has no token {token!r}, which tokenizer_config.json names; mend one of the two files")
        return token_id

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode([int(i) for i in ids], skip_special_tokens=True)

    def piece(self, token_id: int) -> str:
        return self._tokenizer.id_to_token(int(token_id)) or f"<{token_id}>"

    def special(self, name: str) -> int | None:
        return self._added.get(name)

    def save(self, folder: Path) -> None:
        _write(folder / "tokenizer.json", self._content)
        _write(folder / "tokenizer_config.json", json.dumps(self._names).encode())


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


def _or_none(token_id: int) -> int | None:
    return token_id if token_id >= 0 else None


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
