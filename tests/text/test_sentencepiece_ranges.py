"""Ranges of characters are found among a SentencePiece model's ids as the library itself maps them."""

import io
import os
import random
from pathlib import Path

import pytest
import sentencepiece

from instruct_jax.text.pieces import Piece, ranges_of
from instruct_jax.text.sentencepiece_tokenizer import SentencePieceTokenizer

LETTERS = ["a", "b", " ", "  ", "\n", "é", "ﬁ", "½", "東", "word ", "\u2581", "🙂", "\t", "Ａ"]


def _trained(**options):
    model = io.BytesIO()
    lines = ["a word, abba; é ﬁ ½ 東", "b word ba a b"] * 20
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=300, hard_vocab_limit=False, minloglevel=2, **options
    )
    return model.getvalue()


def _models():
    yield "nfkc", _trained(model_type="unigram")
    kept = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    yield "bytes", _trained(model_type="unigram", byte_fallback=True, **kept)
    data = Path(os.environ.get("INSTRUCT_JAX_DATA", "/nowhere")) / "tokenizers" / "mistral-v1.model"
    if data.exists():
        yield "mistral", data.read_bytes()


def _whole_characters(known):
    """Offsets where every byte of a character has the character's: the library gives it to the last byte alone."""
    pairs = zip(known["pieces"], known["offsets"], strict=True)
    return [(start, start + 1) if piece.startswith("<0x") else (start, end) for piece, (start, end) in pairs]


@pytest.mark.parametrize(("name", "model"), [pytest.param(*one, id=one[0]) for one in _models()])
def test_ranges_are_those_of_the_librarys_own_offsets(name, model):
    tokenizer, draw, by_spelling = SentencePieceTokenizer(model), random.Random(0), 0
    for _ in range(400):
        text = "".join(draw.choices(LETTERS, k=draw.randint(1, 12)))
        continued = draw.random() < 0.5
        cuts = sorted(draw.sample(range(len(text) + 1), 2))
        piece = Piece(text, continued=continued, ranges=((0, len(text)), (cuts[0], cuts[1])))
        processor = tokenizer._continuing if continued else tokenizer._processor
        known = processor.encode(text, out_type="offset_mapping")
        ((ids, ranges),) = tokenizer.encode_pieces([piece])
        assert ids == known["ids"]
        assert ranges == ranges_of(piece.ranges, _whole_characters(known))
        by_spelling += tokenizer._ranges_by_spelling(ids, piece) is not None
    assert by_spelling > 200 or name == "nfkc"
    assert by_spelling < 400 or name != "nfkc"
