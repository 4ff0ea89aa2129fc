"""Ranges of characters are found among the ids of every shape of tokenizer.json as all offsets together tell them."""

import random

import pytest

from instruct_jax.text.pieces import Piece, ranges_of
from instruct_jax.text.tokenizer import load_tokenizer
from tests.text import tokenizer_shapes

LETTERS = ["a", "b", " ", "  ", "\n", "é", "ﬁ", "½", "東", "word ", "\u2581", "🙂", "\t", "Ａ", "<s>", "the ", "ing", "\u0301"]


@pytest.mark.parametrize("name", sorted(tokenizer_shapes.SHAPES))
def test_ranges_are_those_of_all_offsets(name, tmp_path):
    tokenizer_shapes.write(name, tmp_path)
    tokenizer, draw, found = load_tokenizer(tmp_path), random.Random(0), 0
    controls = [None, *tokenizer.special_tokens[:3]]
    for _ in range(300):
        text = "".join(draw.choices(LETTERS, k=draw.randint(1, 12)))
        cuts = sorted(draw.sample(range(len(text) + 1), 2))
        ranges = ((0, len(text)), (cuts[0], cuts[1]), (0, len(text) - 1))
        piece = Piece(text, draw.choice(controls), draw.choice(controls), draw.random() < 0.5, ranges)
        ((ids, ours),) = tokenizer.encode_pieces([piece])
        left, right = tokenizer._between_marks(piece)
        library = tokenizer._continuing if piece.continued else tokenizer._beginning
        encoding = library.encode(left + text + right)
        kept = slice(bool(left), len(encoding.ids) - bool(right))
        if encoding.ids[kept] == ids:  # not spelled out for want of a control token
            offsets = [(start - len(left), end - len(left)) for start, end in encoding.offsets[kept]]
            assert ours == ranges_of(ranges, offsets), (text, cuts, offsets)
            found += 1
    assert found > 150
