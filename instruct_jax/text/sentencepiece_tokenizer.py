"""A SentencePiece model file as a tokenizer."""

from collections.abc import Sequence
from pathlib import Path

from instruct_jax.errors import InputError
from instruct_jax.text.pieces import Encoded, Piece, Tokenizer, content_hash, ranges_of, refuse_surrogates, write_file

# A model file is a protocol buffer, and a message written twice is merged: this tail sets
# normalizer_spec.add_dummy_prefix (field 3 of field 3) to false, whatever stands before it.
_NO_PREFIX = b"\x1a\x02\x18\x00"


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece model. A text after a control token begins as a text of its own does; continued text does not."""

    def __init__(self, model: bytes, name: str = "SentencePiece model"):
        import sentencepiece

        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
            self._continuing = sentencepiece.SentencePieceProcessor(model_proto=model + _NO_PREFIX)
        except RuntimeError as error:
            raise InputError(f"{name} is not a SentencePiece model ({error}); give a file trained by SentencePiece") from None
        self._model = model
        self.vocab_size = self._processor.vocab_size()
        self.bos_id = _or_none(self._processor.bos_id())
        self.eos_id = _or_none(self._processor.eos_id())
        self.bos_token = None if self.bos_id is None else self._processor.id_to_piece(self.bos_id)
        self.eos_token = None if self.eos_id is None else self._processor.id_to_piece(self.eos_id)
        controls = filter(self._processor.is_control, range(self.vocab_size))
        self.special_tokens = tuple(map(self._processor.id_to_piece, controls))
        self.adds_bos = self.bos_id is not None
        self.fingerprint = content_hash(b"sentencepiece\0" + model)

    def encode_pieces(self, pieces: Sequence[Piece]) -> list[Encoded]:
        refuse_surrogates(pieces)
        out: list[Encoded] = [([], ())] * len(pieces)
        for continued, processor in ((False, self._processor), (True, self._continuing)):
            plain = [i for i, piece in enumerate(pieces) if piece.continued == continued and not piece.ranges]
            for i, ids in zip(plain, processor.encode([pieces[i].text for i in plain], out_type=int), strict=True):
                out[i] = (ids, ())
            ranged = [i for i, piece in enumerate(pieces) if piece.continued == continued and piece.ranges]
            mapped = processor.encode([pieces[i].text for i in ranged], out_type="offset_mapping")
            for i, one in zip(ranged, mapped, strict=True):
                out[i] = (one["ids"], ranges_of(pieces[i].ranges, one["offsets"]))
        return out

    def decode(self, ids: Sequence[int]) -> str:
        return self._processor.decode([int(i) for i in ids if not self._processor.is_control(int(i))])

    def piece(self, token_id: int) -> str:
        return self._processor.id_to_piece(int(token_id))

    def special(self, name: str) -> int | None:
        token_id = self._processor.piece_to_id(name)
        return token_id if self._processor.is_control(token_id) else None

    def save(self, folder: Path) -> None:
        write_file(folder / "tokenizer.model", self._model)


def _or_none(token_id: int) -> int | None:
    return token_id if token_id >= 0 else None
