"""A file of byte strings and their ranks, as tiktoken keeps a vocabulary: turned into a `tokenizer.json`."""

import base64
import json
import re

from instruct_jax.errors import InputError
from instruct_jax.text.tokenizer_config import TokenizerConfig

# How text is cut into words first: the pattern of Llama 3, which is that of cl100k with letters and digits as Unicode has them.
PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def is_tiktoken(content: bytes) -> bool:
    """Whether a file begins as such a file does: a byte string in base64, and its rank."""
    return re.match(rb"[A-Za-z0-9+/]+={0,2} \d+\r?\n", content) is not None


def tokenizer_json(content: bytes, config: TokenizerConfig, name: str) -> bytes:
    """The same vocabulary as a `tokenizer.json`: byte-level BPE, with the added tokens of the configuration.

    Two neighbours are joined if what they make is in the vocabulary, the lowest rank first; so every pair that makes a
    token is a merge of that token's rank.

    Args:
      content: lines of a byte string in base64 and its rank.
      config: of the files beside it; its added tokens are not in the ranks.
      name: the file, for errors.

    Raises:
      InputError: a line is no such line, or two have the same bytes or rank.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            word, rank = line.split()
            ranks[base64.b64decode(word, validate=True)] = int(rank)
        except ValueError:
            raise InputError(f"{name}:{number} is {line!r:.60}; expected bytes in base64 and their rank") from None
    if len(set(ranks.values())) < len(ranks):
        raise InputError(f"{name} gives one rank to several byte strings; download the file again")
    merges = []
    for word, rank in ranks.items():
        pairs = [(word[:cut], word[cut:]) for cut in range(1, len(word))]
        known = [(ranks[left], ranks[right], left, right) for left, right in pairs if left in ranks and right in ranks]
        merges += [(rank, *pair) for pair in sorted(known)]
    letters = _letters()
    fields = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": token.token_id,
                "content": token.content,
                "single_word": False,
                "lstrip": token.lstrip,
                "rstrip": token.rstrip,
                "normalized": token.normalized,
                "special": token.special,
            }
            for token in config.added
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,
            "vocab": {_spelled(word, letters): rank for word, rank in ranks.items()},
            "merges": [[_spelled(left, letters), _spelled(right, letters)] for _, _, _, left, right in sorted(merges)],
        },
    }
    return json.dumps(fields, ensure_ascii=False).encode()


def _letters() -> list[str]:
    """A printable letter for each byte, as byte-level BPE writes them: printable Latin-1 as it is, the others from U+0100 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def _spelled(word: bytes, letters: list[str]) -> str:
    return "".join(letters[byte] for byte in word)
