"""A SentencePiece model file as a tokenizer, with what the files beside it say of its control tokens."""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from instruct_jax.errors import InputError
from instruct_jax.text.pieces import Encoded, Piece, Tokenizer, content_hash, ranges_of, refuse_surrogates, write_file
from instruct_jax.text.tokenizer_config import NOTHING_SAID, TokenizerConfig

# A model file is a protocol buffer, and a message written twice is merged: this tail sets
# normalizer_spec.add_dummy_prefix (field 3 of field 3) to false, whatever stands before it.
_NO_PREFIX = b"\x1a\x02\x18\x00"
_PIECES = b"\x0a"  # field 1 of the model, repeated: its pieces
_CONTROL = b"\x18\x03"  # field 3 of a piece, its type: that of control tokens


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece model. A text after a control token begins as a text of its own does; continued text does not.

    Pieces that the configuration calls special control, whatever the model says of them: no text spells them. Control
    tokens with ids beyond the model's are known by name.

    Args:
      model: the file's bytes.
      name: the file, for errors.
      config: what the files beside it say of its control tokens.
      files: what to save, by name; without them the model and the configuration are saved.

    Attributes:
      model: the model's bytes, in which every piece that controls is a control token.

    Raises:
      InputError: the file is no such model, or the configuration names tokens that it can do nothing with.
    """

    def __init__(
        self,
        model: bytes,
        name: str = "SentencePiece model",
        config: TokenizerConfig = NOTHING_SAID,
        files: Mapping[str, bytes] | None = None,
    ):
        import sentencepiece

        try:
            own = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise InputError(f"{name} is not a SentencePiece model ({error}); give a file trained by SentencePiece") from None
        pieces = {own.id_to_piece(i): i for i in range(own.vocab_size())}
        self._beyond = _beyond(config, pieces, name)
        named = {token for token in config.controls() if token in pieces}
        kept = (own.is_control, own.is_unknown, own.is_byte)
        changed = {pieces[token] for token in named if not any(is_kept(pieces[token]) for is_kept in kept)}
        self.model = _controlled(model, changed) if changed else model
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=self.model)
        self._continuing = sentencepiece.SentencePieceProcessor(model_proto=self.model + _NO_PREFIX)
        controls = {token: i for token, i in pieces.items() if self._processor.is_control(i)}
        self._controls = {**controls, **self._beyond}
        self._names = {i: token for token, i in self._controls.items()}
        self.special_tokens = tuple(self._controls)
        self.vocab_size = max([own.vocab_size(), *(i + 1 for i in self._beyond.values())])
        self.bos_token, self.bos_id = self._end(config.bos, own.bos_id(), name)
        self.eos_token, self.eos_id = self._end(config.eos, own.eos_id(), name)
        self.adds_bos = self.bos_id is not None and config.adds_bos is not False
        said = b"" if config == NOTHING_SAID else json.dumps(config.to_json()).encode()
        self._files = dict(files or {"tokenizer.model": model, **({"tokenizer_config.json": said} if said else {})})
        self.fingerprint = content_hash(b"sentencepiece\0" + model + said)

    def _end(self, named: str | None, own: int, name: str) -> tuple[str | None, int | None]:
        """The token that begins or ends a text, and its id: as it is named, or else the model's own."""
        if named is None:
            return (self._processor.id_to_piece(own), own) if own >= 0 else (None, None)
        if named not in self._controls:
            raise InputError(f"{name} has no token {named!r}, which tokenizer_config.json names; mend one of the two files")
        return named, self._controls[named]

    def encode_pieces(self, pieces: Sequence[Piece]) -> list[Encoded]:
        refuse_surrogates(pieces)
        out: list[Encoded] = [([], ())] * len(pieces)
        for continued, processor in ((False, self._processor), (True, self._continuing)):
            plain = [i for i, piece in enumerate(pieces) if piece.continued == continued and not piece.ranges]
            for i, ids in zip(plain, processor.encode([pieces[i].text for i in plain], out_type=int), strict=True):
                out[i] = (ids, ())
            ranged = [i for i, piece in enumerate(pieces) if piece.continued == continued and piece.ranges]
            changed = []
            for i, ids in zip(ranged, processor.encode([pieces[i].text for i in ranged], out_type=int), strict=True):
                found = self._ranges_by_spelling(ids, pieces[i])
                if found is None:
                    changed.append(i)
                else:
                    out[i] = (ids, found)
            mapped = processor.encode([pieces[i].text for i in changed], out_type="offset_mapping")
            for i, one in zip(changed, mapped, strict=True):
                # The library gives a character to the last of its bytes alone; here each has it.
                bytes_too = zip(map(processor.is_byte, one["ids"]), one["offsets"], strict=True)
                offsets = [(start, start + 1 if is_byte else end) for is_byte, (start, end) in bytes_too]
                out[i] = (one["ids"], ranges_of(pieces[i].ranges, offsets))
        return out

    def _ranges_by_spelling(self, ids: Sequence[int], piece: Piece) -> tuple[tuple[int, int], ...] | None:
        """The piece's ranges among its ids; None where the ids do not spell the text, which was changed before it was cut.

        What the library tells of offsets costs as much again as the ids.
        """
        spellings, sizes = self._spellings
        text, spelt = piece.text.encode(), b"".join([spellings[i] for i in ids])
        if spelt != text and spelt != b" " + text:
            return None
        ends = np.cumsum(sizes[ids]) - (len(spelt) - len(text))
        begins = np.maximum(ends - sizes[ids], 0)
        found = []
        for characters in piece.ranges:
            start, end = (len(piece.text[:place].encode()) for place in characters)
            first, last = int(np.searchsorted(begins, start)), int(np.searchsorted(ends, end, side="right"))
            found.append((first, max(first, last)))
        return tuple(found)

    @functools.cached_property
    def _spellings(self) -> tuple[list[bytes], np.ndarray]:
        """The bytes that each id stands for, and how many they are; those of ids without a text occur in none."""
        own, found = self._processor, []
        for i in range(own.vocab_size()):
            if own.is_byte(i):
                found.append(bytes([int(own.id_to_piece(i)[1:-1], 16)]))
            elif own.is_control(i) or own.is_unknown(i):
                found.append(b"\xff")
            else:
                found.append(own.id_to_piece(i).replace("\u2581", " ").encode())
        return found, np.array([len(one) for one in found])

    def decode(self, ids: Sequence[int]) -> str:
        return self._processor.decode([int(i) for i in ids if int(i) not in self._names])

    def piece(self, token_id: int) -> str:
        token_id = int(token_id)
        if token_id in self._names:
            return self._names[token_id]
        return self._processor.id_to_piece(token_id) if token_id < self._processor.vocab_size() else f"<{token_id}>"

    def special(self, name: str) -> int | None:
        return self._controls.get(name)

    def save(self, folder: Path) -> None:
        for name, content in self._files.items():
            write_file(folder / name, content)


def _beyond(config: TokenizerConfig, pieces: Mapping[str, int], name: str) -> dict[str, int]:
    """Control tokens that the configuration adds to the model's pieces, with their ids."""
    controls, found = config.controls(), {}
    for token in config.added:
        if token.content in controls and (token.lstrip or token.rstrip):
            raise InputError(
                f"{name}: the control token {token.content!r} eats the space beside it, which a SentencePiece model "
                "cannot do; save the tokenizer as a tokenizer.json"
            )
        if token.content in pieces:
            if token.token_id not in (None, pieces[token.content]):
                raise InputError(
                    f"{name} has {token.content!r} as id {pieces[token.content]}, and the files beside it as "
                    f"{token.token_id}; mend one of them"
                )
        elif token.token_id is None or token.token_id < len(pieces):
            raise InputError(f"{name} has no piece {token.content!r}, which the files beside it add; mend one of them")
        elif token.content not in controls:
            raise InputError(
                f"{name} lacks {token.content!r}, which the files beside it add without calling it special; "
                "save the tokenizer as a tokenizer.json"
            )
        else:
            found[token.content] = token.token_id
    return found


def _controlled(model: bytes, ids: set[int]) -> bytes:
    """The model with these pieces as control tokens: of a field that is written twice, the last one counts."""
    parts, number = [], 0
    for field, begin, end in _fields(model):
        content = model[begin:end]
        if field == _PIECES:
            content += _CONTROL if number in ids else b""
            content = _varint(len(content)) + content
            number += 1
        parts += [field, content]
    return b"".join(parts)


def _fields(message: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each field of a protocol buffer: its tag, and where its content is; with the length before it but for pieces."""
    place = 0
    while place < len(message):
        tag, begin = _read_varint(message, place)
        kind, end = tag & 7, begin
        if kind == 2:  # its length, and so many bytes
            size, content = _read_varint(message, begin)
            end = content + size
            begin, field = (content if tag >> 3 == 1 else begin), message[place:begin]
        else:  # a number: of any length, of eight bytes, of four
            field = message[place:begin]
            end = _read_varint(message, begin)[1] if kind == 0 else begin + (8 if kind == 1 else 4)
        yield field, begin, end
        place = end


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    """A whole number as protocol buffers write it, seven bits a byte, and the place after it."""
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _varint(value: int) -> bytes:
    found = []
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
