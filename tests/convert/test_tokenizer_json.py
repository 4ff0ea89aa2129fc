"""Tokenizers of ours as tokenizer.json: the same ids and the same text, on real and hostile strings."""

import io
import random
from pathlib import Path

import pytest
import sentencepiece
import tokenizers

from instruct_jax.convert.tokenizer_json import write_tokenizer
from instruct_jax.errors import InputError
from instruct_jax.tasks.train_tokenizer import learn
from instruct_jax.text.pieces import ByteTokenizer
from instruct_jax.text.sentencepiece_tokenizer import SentencePieceTokenizer
from instruct_jax.text.tokenizer import load_tokenizer

# Prose and code, in which no control token is spelled: the library finds those in any text.
TEXTS = [
    line
    for line in Path(tokenizers.__file__).read_text().splitlines() + Path(__file__).read_text().splitlines()
    if "<" not in line
]
SIGNS = "abAB  \n\t12é日👩‍▁\u200b\x00\u0301,"


@pytest.mark.parametrize("kind", ["bytes", "bpe"])
def test_ids_and_text_are_the_same(tmp_path, kind):
    tokenizer = ByteTokenizer() if kind == "bytes" else SentencePieceTokenizer(learn(iter(TEXTS * 2), 500))
    write_tokenizer(tokenizer, tmp_path)
    made = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    choose = random.Random(0)
    hostile = ["".join(choose.choices(SIGNS, k=choose.randrange(30))) for _ in range(500)]
    for text in [*TEXTS, *hostile]:
        ids = tokenizer.encode(text)
        assert made.encode(text, add_special_tokens=False).ids == ids, text
        assert made.decode(ids) == tokenizer.decode(ids), text
    assert made.encode("a").ids == [tokenizer.bos_id, *tokenizer.encode("a")]
    assert made.encode("a</s>", add_special_tokens=False).ids[-1] == tokenizer.eos_id
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert again.encode_batch(hostile) == tokenizer.encode_batch(hostile)
    assert (again.bos_id, again.eos_id, again.vocab_size) == (tokenizer.bos_id, tokenizer.eos_id, tokenizer.vocab_size)


def test_a_model_that_changes_its_text_is_refused(tmp_path):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_writer=model, vocab_size=300, hard_vocab_limit=False, minloglevel=2
    )
    with pytest.raises(InputError, match="normalises characters"):
        write_tokenizer(SentencePieceTokenizer(model.getvalue()), tmp_path)
