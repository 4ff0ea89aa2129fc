"""A `tokenizer.json` as a tokenizer: the ids of Hugging Face's libraries, with control tokens out of reach of any text."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.text.pieces import Encoded, Piece, Tokenizer, content_hash, ranges_of, refuse_surrogates, write_file
from instruct_jax.text.tokenizer_config import NOTHING_SAID, AddedToken, TokenizerConfig

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
      config: what the files beside it say of its control tokens.
      name: the file, for errors.
      files: what to save, by name; without them the content and the configuration are saved.
    """

    def __init__(
        self,
        content: bytes,
        config: TokenizerConfig = NOTHING_SAID,
        name: str = "tokenizer.json",
        files: Mapping[str, bytes] | None = None,
    ):
        import tokenizers

        try:
            fields = _with_controls(json.loads(content), config)
            self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(fields))
        except Exception as error:  # the library raises bare Exception
            raise InputError(f"{name} is no tokenizer file ({error}); give a tokenizer.json of the tokenizers library") from None
        self._beginning = _marked(tokenizers, fields)
        self._continuing = _marked(tokenizers, _without_prefix(fields))
        written = {"tokenizer.json": content, "tokenizer_config.json": json.dumps(config.to_json()).encode()}
        self._config, self._file, self._files = config, name, dict(files or written)
        self._added = {
            token.content: (i, token) for i, token in self._tokenizer.get_added_tokens_decoder().items() if token.special
        }
        # Text may well be unknown to a vocabulary: the token that says so controls nothing.
        self._control_ids = {i for i, _ in self._added.values()} - {_unknown_id(fields["model"])}
        self.special_tokens = tuple(self._added)
        self.vocab_size = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1  # ids may have gaps
        self.bos_id, self.bos_token = self._named(config.bos), config.bos
        self.eos_id, self.eos_token = self._named(config.eos), config.eos
        begins = self._tokenizer.encode("a", add_special_tokens=True).ids[:1] == [self.bos_id]
        self.adds_bos = begins if config.adds_bos is None else config.adds_bos and config.bos is not None
        self.fingerprint = content_hash(b"tokenizers\0" + content + json.dumps([config.to_json(), self.adds_bos]).encode())

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
                if not chosen:
                    continue
                marked = [self._between_marks(pieces[i]) for i in chosen]
                encodings = encode([left + pieces[i].text + right for i, (left, right) in zip(chosen, marked, strict=True)])
                for i, (left, right), encoding in zip(chosen, marked, encodings, strict=True):
                    begin, end = bool(left), len(encoding.ids) - bool(right)
                    ids = encoding.ids[begin:end]
                    if not self._control_ids.isdisjoint(ids):
                        ids, offsets = self._spelled_out(pieces[i])
                        out[i] = (ids, ranges_of(pieces[i].ranges, offsets))
                    else:
                        out[i] = (ids, _ranges(pieces[i], encoding, len(left), begin, end) if ranged else ())
        return out

    def _between_marks(self, piece: Piece) -> tuple[str, str]:
        """The marks that stand for the control tokens to the left and right of a piece."""
        if _MARK in piece.text:
            raise InputError(f"the text {piece.text!a:.60} holds the noncharacters {_MARK!a}, which no text may; drop the row")
        return (
            "" if piece.after is None else _marks(False, self.eats(piece.after)[1]),
            "" if piece.before is None else _marks(self.eats(piece.before)[0], False),
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

    def eats(self, special: str) -> tuple[bool, bool]:
        _, token = self._added.get(special, (None, None))
        return (False, False) if token is None else (token.lstrip, token.rstrip)

    def save(self, folder: Path) -> None:
        for name, content in self._files.items():
            write_file(folder / name, content)


def _ranges(piece: Piece, encoding: Any, shift: int, begin: int, end: int) -> tuple[tuple[int, int], ...]:
    """What `ranges_of` tells of a piece's ranges, by asking for the tokens at their edges alone where there are such.

    Args:
      piece: what was encoded.
      encoding: its text's, which begins `shift` characters before the piece's own.
      shift: see above.
      begin, end: the piece's own tokens among those of the encoding.
    """
    found = []
    for start, stop in piece.ranges:
        first = encoding.char_to_token(start + shift) if start < stop else None
        last = end if stop == len(piece.text) else encoding.char_to_token(stop + shift)
        if first is None or last is None:  # a character that left no token
            offsets = [(a - shift, b - shift) for a, b in encoding.offsets[begin:end]]
            return ranges_of(piece.ranges, offsets)
        first += encoding.token_to_chars(first)[0] < start + shift
        found.append((first - begin, max(first, last) - begin))
    return tuple(found)


def _with_controls(fields: dict[str, Any], config: TokenizerConfig) -> dict[str, Any]:
    """A tokenizer's JSON in which every token that the configuration calls special is so, as far as the vocabulary has it."""
    added = {entry["content"]: entry for entry in fields.get("added_tokens", [])}
    vocabulary = fields["model"].get("vocab", {})
    if isinstance(vocabulary, list):  # of a unigram model: pieces and their scores
        vocabulary = {entry[0]: i for i, entry in enumerate(vocabulary)}
    flags = {token.content: token for token in config.added}
    for content in dict.fromkeys((*config.controls(), *flags)):
        if content not in added and content not in vocabulary and (content not in flags or flags[content].token_id is None):
            continue
        given = flags.get(content, AddedToken(content, special=True))
        entry = {"single_word": False, "lstrip": given.lstrip, "rstrip": given.rstrip, "normalized": given.normalized}
        entry = {"id": vocabulary.get(content, given.token_id), "content": content, **entry, **added.get(content, {})}
        added[content] = {**entry, "special": entry.get("special", False) or content in config.controls()}
    return {**fields, "added_tokens": sorted(added.values(), key=lambda entry: entry["id"])}


def _unknown_id(model: Mapping[str, Any]) -> int | None:
    return model["unk_id"] if "unk_id" in model else model.get("vocab", {}).get(model.get("unk_token"))


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
