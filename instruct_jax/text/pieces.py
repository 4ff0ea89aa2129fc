"""Text to ids and back: the contract of every tokenizer, and plain bytes as the simplest one."""

import abc
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from instruct_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Piece:
    """A text between control tokens, or between the seams of a conversation: what is tokenised as one.

    Attributes:
      text: not empty.
      after: the control token right before it, by its literal name; some tokenizers treat a text otherwise there.
      before: the control token right after it.
      continued: whether other text stands right before it: it then never gets the space that some tokenizers begin with.
      ranges: (start, end) characters to be found again among the tokens.
    """

    text: str
    after: str | None = None
    before: str | None = None
    continued: bool = False
    ranges: tuple[tuple[int, int], ...] = ()


# Ids, and for each range of characters the (start, end) range of the tokens that lie wholly within it.
Encoded = tuple[list[int], tuple[tuple[int, int], ...]]


class Tokenizer(abc.ABC):
    """Ids of ordinary text, and a few control ids that no text can produce.

    Whatever a text contains, encoding returns ordinary pieces only: a user who types "</s>" gets its characters, never
    the control id. Control ids enter through `special` alone.

    Attributes:
      vocab_size: number of ids, padding included.
      bos_id, eos_id: begin and end of text; None where the tokenizer has none.
      bos_token, eos_token: their literal names.
      special_tokens: the literal names of all control tokens.
      adds_bos: whether the tokenizer, asked for a plain text, begins it with bos by itself. Nothing here does: it tells
        how other libraries serve plain documents.
      fingerprint: hash of everything that decides the ids.
    """

    vocab_size: int
    bos_id: int | None
    eos_id: int | None
    bos_token: str | None
    eos_token: str | None
    special_tokens: tuple[str, ...]
    adds_bos: bool
    fingerprint: str

    @abc.abstractmethod
    def encode_pieces(self, pieces: Sequence[Piece]) -> list[Encoded]:
        """Ids of each piece in its surroundings, and where its ranges are among them.

        Raises:
          InputError: a text holds half a surrogate pair, which is no character.
        """

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

    def eats(self, special: str) -> tuple[bool, bool]:
        """Whether a control token swallows the space to its left and to its right, as some are made to."""
        del special
        return False, False

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text standing alone, with no bos or eos added."""
        return [ids for ids, _ in self.encode_pieces([Piece(text) for text in texts])]

    def encode(self, text: str) -> list[int]:
        """Ids of one text standing alone, with no bos or eos added."""
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
        self.bos_token, self.eos_token = self.special_tokens = ("<s>", "</s>")
        self.adds_bos = True
        self.fingerprint = content_hash(b"bytes offset 3 bos 1 eos 2")

    def encode_pieces(self, pieces: Sequence[Piece]) -> list[Encoded]:
        refuse_surrogates(pieces)
        return [
            (
                [byte + self._OFFSET for byte in piece.text.encode()],
                tuple((len(piece.text[:a].encode()), len(piece.text[:b].encode())) for a, b in piece.ranges),
            )
            for piece in pieces
        ]

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(i - self._OFFSET for i in ids if i >= self._OFFSET).decode(errors="replace")

    def piece(self, token_id: int) -> str:
        names = {0: "<unused>", 1: "<s>", 2: "</s>"}
        return names.get(token_id) or repr(bytes([token_id - self._OFFSET]))[2:-1]

    def special(self, name: str) -> int | None:
        return {"<s>": 1, "</s>": 2}.get(name)

    def save(self, folder: Path) -> None:
        write_file(folder / "bytes.json", json.dumps({"kind": "bytes"}).encode())


def refuse_surrogates(pieces: Sequence[Piece]) -> None:
    """Stop at a text with half a surrogate pair: it stands for no character, and every library makes something else of it.

    Raises:
      InputError: naming the text.
    """
    for piece in pieces:
        try:
            piece.text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"the text {piece.text!a:.60} holds a lone surrogate at character {error.start}; "
                "decode the source as UTF-8, or drop the row"
            ) from None


def ranges_of(ranges: Sequence[tuple[int, int]], offsets: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The tokens that lie wholly within each range of characters.

    >>> ranges_of([(2, 6)], [(0, 1), (1, 3), (3, 5), (5, 6), (6, 8)])  # the second token straddles the edge
    ((2, 4),)
    """
    found = []
    for start, end in ranges:
        first = next((i for i, (begin, _) in enumerate(offsets) if begin >= start), len(offsets))
        last = next((i + 1 for i in range(len(offsets) - 1, first - 1, -1) if offsets[i][1] <= end), first)
        found.append((first, last))
    return tuple(found)


def content_hash(content: bytes) -> str:
    """SHA-256 in hexadecimal, as tokenizers are told apart."""
    return hashlib.sha256(content).hexdigest()


def write_file(file: Path, content: bytes) -> None:
    """Write a file and the folders it lies in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
