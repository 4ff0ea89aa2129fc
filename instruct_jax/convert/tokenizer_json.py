"""A tokenizer of ours as the tokenizer.json that gives every text the same ids: from SentencePiece, and from bytes."""

import json
from collections.abc import Mapping
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from instruct_jax.errors import InputError
from instruct_jax.text.pieces import ByteTokenizer, Tokenizer
from instruct_jax.text.sentencepiece_tokenizer import SentencePieceTokenizer

_SPACE = "▁"
_UNIGRAM, _BPE = 1, 2  # TrainerSpec.ModelType of sentencepiece_model.proto
_NORMAL, _UNKNOWN, _CONTROL, _UNUSED, _BYTE = 1, 2, 3, 5, 6  # SentencePiece.Type
# What a conversion is tried on before it is trusted: spaces, digits, scripts, bytes, control characters, joined emoji.
_PROBES = (
    *("a", " a", "  a  b ", "\n\n a\t", "Hello, world! 12345", "naïve — “quoted” … €", "日本語と中文", "עברית العربية"),
    *(
        "👩‍👩‍👧‍👦🏳️‍🌈",
        "\x00\x07\x1b",
        "a\u200bb\u2060c",
        _SPACE,
        f"a{_SPACE}b",
        "e\u0301 é",
        "\U0010ffff",
        "x" * 300,
        *(" " * count for count in range(1, 70)),
    ),
)


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, as transformers loads them.

    Raises:
      InputError: there is no tokenizer.json that would give the same ids.
    """
    if isinstance(tokenizer, ByteTokenizer):
        made = _of_bytes(tokenizer)
    elif isinstance(tokenizer, SentencePieceTokenizer):
        tokenizer.save(folder)
        made = _of_sentencepiece(tokenizer.model)
        made.add_special_tokens([_added(name) for name in tokenizer.special_tokens])
        if wrong := [name for name in tokenizer.special_tokens if made.token_to_id(name) != tokenizer.special(name)]:
            raise InputError(
                f"as tokenizer.json this tokenizer would give {wrong[0]!r} another id; export with another tokenizer"
            )
    else:
        raise InputError(f"a {type(tokenizer).__name__} cannot be written as tokenizer.json; export with one that is known")
    _require_equal(tokenizer, made)
    names = {"bos_token": tokenizer.bos_token, "eos_token": tokenizer.eos_token}
    begin = [tokenizer.bos_token] if tokenizer.adds_bos and tokenizer.bos_token else []
    if begin:
        made.post_processor = processors.TemplateProcessing(
            single=[*begin, "$A"], pair=[*begin, "$A", *begin, "$B"], special_tokens=[(begin[0], tokenizer.bos_id)]
        )
    (folder / "tokenizer.json").write_text(made.to_str(pretty=True) + "\n")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **names, "add_bos_token": bool(begin)}
    config |= {"clean_up_tokenization_spaces": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def _of_bytes(tokenizer: ByteTokenizer) -> tokenizers.Tokenizer:
    """One token a byte; the library spells bytes with printable characters, in the order of their code points."""
    vocabulary = {tokenizer.piece(0): 0} | {name: tokenizer.special(name) for name in tokenizer.special_tokens}
    for byte in range(256):
        vocabulary[_spelled(byte)] = tokenizer.vocab_size - 256 + byte
    made = tokenizers.Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([_added(name) for name in tokenizer.special_tokens])
    return made


def _spelled(byte: int) -> str:
    """The character by which byte-level models spell a byte: itself where it prints, else one from code point 256 on.

    >>> _spelled(ord("a")), _spelled(ord(" ")), _spelled(0)
    ('a', 'Ġ', 'Ā')
    """
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return chr(byte) if byte in prints else chr(256 + sum(other not in prints for other in range(byte)))


def _of_sentencepiece(model: bytes) -> tokenizers.Tokenizer:
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    rules, trainer = proto.normalizer_spec, proto.trainer_spec
    odd = {
        "normalises characters": bool(rules.precompiled_charsmap),
        "removes spaces": rules.remove_extra_whitespaces,
        "does not mark spaces": not rules.escape_whitespaces,
        "writes spaces behind words": trainer.treat_whitespace_as_suffix,
        "has pieces of the user's": any(
            piece.type not in (_NORMAL, _UNKNOWN, _CONTROL, _UNUSED, _BYTE) for piece in proto.pieces
        ),
        "is neither BPE nor unigram": trainer.model_type not in (_BPE, _UNIGRAM),
    }
    if reasons := [what for what, is_so in odd.items() if is_so]:
        raise InputError(
            f"this SentencePiece model {reasons[0]}, which no tokenizer.json is known to do alike; export with another"
        )
    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    unknown = next(i for i, piece in enumerate(proto.pieces) if piece.type == _UNKNOWN)
    learned = {piece.piece: piece.score for piece in proto.pieces if piece.type == _NORMAL}
    if trainer.model_type == _BPE:
        vocabulary = {piece: i for i, (piece, _) in enumerate(pieces)}
        made = tokenizers.Tokenizer(
            models.BPE(
                vocabulary, _merges(learned), unk_token=pieces[unknown][0], fuse_unk=True, byte_fallback=trainer.byte_fallback
            )
        )
    else:
        made = tokenizers.Tokenizer(models.Unigram(pieces, unknown, trainer.byte_fallback))
    marked = [normalizers.Replace(" ", _SPACE)]
    made.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), *marked] if rules.add_dummy_prefix else marked)
    steps = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if rules.add_dummy_prefix else steps)
    made.add_special_tokens([_added(piece.piece) for piece in proto.pieces if piece.type in (_CONTROL, _UNKNOWN)])
    return made


def _merges(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """The pairs whose joining makes each piece, best first: SentencePiece joins whichever pair makes the best piece.

    Of pieces with one score, as runs of spaces may have, the earlier in the model goes first.

    >>> _merges({"a": -3.0, "b": -4.0, "c": -5.0, "ab": -1.0, "abc": -2.0, "bc": -2.5})
    [('a', 'b'), ('ab', 'c'), ('a', 'bc'), ('b', 'c')]
    """
    pairs = [
        (-score, place, -scores[piece[:cut]], -scores[piece[cut:]], (piece[:cut], piece[cut:]))
        for place, (piece, score) in enumerate(scores.items())
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]
    return [pair for *_, pair in sorted(pairs)]


def _added(name: str) -> tokenizers.AddedToken:
    return tokenizers.AddedToken(name, special=True, normalized=False)


def _require_equal(tokenizer: Tokenizer, made: tokenizers.Tokenizer) -> None:
    expected = tokenizer.encode_batch(list(_PROBES))
    found = [one.ids for one in made.encode_batch(list(_PROBES), add_special_tokens=False)]
    # Of cuts with the same pieces in another order, all are the most likely to a unigram model, and rounding chooses.
    equal = sorted if isinstance(made.model, models.Unigram) else list
    for text, right, wrong in zip(_PROBES, expected, found, strict=True):
        if equal(right) != equal(wrong):
            raise InputError(
                f"as tokenizer.json this tokenizer would give {text!a:.40} the ids {wrong[:12]}, not {right[:12]}; "
                "export with another tokenizer"
            )
