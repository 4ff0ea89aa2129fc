"""A `tokenizer.json` as a tokenizer: the ids of Hugging Face's libraries, with control tokens out of reach of any text."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.text.pieces import Encoded, Piece, Tokenizer, content_hash, ranges_of, refuse_surrogates, write_file

# Noncharacters that stand for the control token beside a text, so that the library treats the text as it would there.
# A fourth one tells whether the control token eats the space to its left and to its right.
_MARK = "\ufdd0\ufdef\ufdd0"


class HuggingFaceTokenizer(Tokenizer):
    """A `tokenizer.json` of the `tokenizers` library.

    Texts are encoded as `transformers` encodes a rendered conversation: added tokens that are not special are found in
    them, a control token beside them may eat their space, and only a text that begins the conversation gets the space
    that some tokenizers put before a first word.

    Args:
      content: the file's bytes.
      bos, eos: literal names of the control tokens; `load_tokenizer` reads them from `tokenizer_config.json` beside it.
      adds_bos: see `Tokenizer`.
      name: the file, for errors.
    """

    def __init__(
        self,
        content: bytes,
        bos: str | None = None,
        eos: str | None = None,
        name: str = "tokenizer.json",
        adds_bos: bool = False,
    ):
        import tokenizers

        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(content.decode())
        except Exception as error:  # the library raises bare Exception
            raise InputError(f"{name} is no tokenizer file ({error}); give a tokenizer.json of the tokenizers library") from None
        fields = json.loads(content)
        self._beginning = _marked(tokenizers, fields)
        self._continuing = _marked(tokenizers, _without_prefix(fields))
        self._content, self._names, self._file = content, {"bos_token": bos, "eos_token": eos}, name
        self._added = {
            token.content: (i, token) for i, token in self._tokenizer.get_added_tokens_decoder().items() if token.special
        }
        self._control_ids = {i for i, _ in self._added.values()}
        self.special_tokens = tuple(self._added)
        self.vocab_size = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1  # ids may have gaps
        self.bos_id, self.bos_token = self._named(bos), bos
        self.eos_id, self.eos_token = self._named(eos), eos
        self.adds_bos = adds_bos
        self.fingerprint = content_hash(b"tokenizers\0" + content + json.dumps([self._names, adds_bos]).encode())

    def _named(self, token: str | None) -> int | None:
        if token is None:
            return None
        token_id = self._tokenizer.token_to_id(token)
        if token_id is None:
            raise InputError(f"{self._file} has no token {token!r}, which tokenizer_config.json names; mend one of the two files")
        return token_id

    def encode_pieces(self, pieces: Sequence[Piece]) -> list[Encoded]:
        refuse_surrogates(pieces)
        out: list[Encoded] = [([], ())] * len(pieces)
        for continued, tokenizer in ((False, self._beginning), (True, self._continuing)):
            for ranged, encode in ((False, tokenizer.encode_batch_fast), (True, tokenizer.encode_batch)):
                chosen = [i for i, piece in enumerate(pieces) if piece.continued == continued and bool(piece.ranges) == ranged]
                marked = [self._between_marks(pieces[i]) for i in chosen]
                encodings = encode([left + pieces[i].text + right for i, (left, right) in zip(chosen, marked, strict=True)])
                for i, (left, right), encoding in zip(chosen, marked, encodings, strict=True):
                    begin, end = bool(left), len(encoding.ids) - bool(right)
                    ids = encoding.ids[begin:end]
                    offsets = [(a - len(left), b - len(left)) for a, b in encoding.offsets[begin:end]] if ranged else []
                    if not self._control_ids.isdisjoint(ids):
                        ids, offsets = self._spelled_out(pieces[i])
                    out[i] = (ids, ranges_of(pieces[i].ranges, offsets))
        return out

    def _between_marks(self, piece: Piece) -> tuple[str, str]:
        """The marks that stand for the control tokens to the left and right of a piece."""
        if _MARK in piece.text:
            raise InputError(f"the text {piece.text!a:.60} holds the noncharacters {_MARK!a}, which no text may; drop the row")
        left, right = (self._added.get(name, (None, None))[1] for name in (piece.after, piece.before))
        return (
            "" if piece.after is None else _marks(False, left is not None and left.rstrip),
            "" if piece.before is None else _marks(right is not None and right.lstrip, False),
        )

    def _spelled_out(self, piece: Piece) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids of a text whose vocabulary would make a control token of what the user wrote: cut within that, it cannot."""
        names = "|".join(re.escape(name) for name in sorted(self.special_tokens, key=len, reverse=True))
        cuts = [0, *(match.start() + 1 for match in re.finditer(f"(?={names})", piece.text)), len(piece.text)]
        left, right = self._between_marks(piece)
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        for begin, end in itertools.pairwise(cuts):
            first = left if begin == 0 else ""
            last = right if end == len(piece.text) else ""
            tokenizer = self._continuing if begin or piece.continued else self._beginning
            encoding = tokenizer.encode(first + piece.text[begin:end] + last)
            kept = slice(bool(first), len(encoding.ids) - bool(last))
            ids += encoding.ids[kept]
            offsets += [(a - len(first) + begin, b - len(first) + begin) for a, b in encoding.offsets[kept]]
        if not self._control_ids.isdisjoint(ids):
            raise InputError(
                f"{self._file} makes a control token of the plain text {piece.text!a:.60}; drop the row, or mend the tokenizer"
            )
        return ids, offsets

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode([int(i) for i in ids], skip_special_tokens=True)

    def piece(self, token_id: int) -> str:
        return self._tokenizer.id_to_token(int(token_id)) or f"<{token_id}>"

    def special(self, name: str) -> int | None:
        return self._added[name][0] if name in self._added else None

    def save(self, folder: Path) -> None:
        write_file(folder / "tokenizer.json", self._content)
        write_file(folder / "tokenizer_config.json", json.dumps(self._names).encode())


def _marked(library: Any, fields: Mapping[str, Any]) -> Any:
    """The library's tokenizer, which finds no control token in a text, but the marks that stand for them."""
    # The post-processor only adds control tokens, and trims the offsets.
    tokenizer = library.Tokenizer.from_str(json.dumps({**fields, "post_processor": None}))
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    strips = [(left, right) for left in (False, True) for right in (False, True)]
    tokenizer.add_tokens(
        [library.AddedToken(_marks(*strip), lstrip=strip[0], rstrip=strip[1], normalized=False) for strip in strips]
    )
    return tokenizer


def _marks(lstrip: bool, rstrip: bool) -> str:
    return _MARK + chr(0xFDD1 + 2 * lstrip + rstrip)


def _without_prefix(entry: Any) -> Any:
    """A tokenizer's JSON without the space that it puts before a first word."""
    if isinstance(entry, list):
        return [_without_prefix(one) for one in entry if not (isinstance(one, dict) and one.get("type") == "Prepend")]
    if not isinstance(entry, dict):
        return entry
    changed = {name: value if name in ("model", "added_tokens") else _without_prefix(value) for name, value in entry.items()}
    if isinstance(entry.get("normalizer"), dict) and entry["normalizer"].get("type") == "Prepend":
        changed["normalizer"] = None
    if entry.get("type") == "Metaspace":
        changed |= {"prepend_scheme": "never", "add_prefix_space": False}
    if entry.get("type") == "ByteLevel":
        changed["add_prefix_space"] = False
    return changed
