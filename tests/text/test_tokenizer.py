"""Tokenizers: three libraries behind one interface; no text spells a control id; what is saved is what was loaded."""

import io

import pytest
import sentencepiece
import tokenizers

from instruct_jax.errors import InputError
from instruct_jax.text.tokenizer import ByteTokenizer, HuggingFaceTokenizer, SentencePieceTokenizer, load_tokenizer

TEXTS = ["the red kite", "a kite flies over the hill", "red and blue and green", "</s> <s> in the text"] * 20


@pytest.fixture(scope="module")
def sentencepiece_model():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=model,
        vocab_size=320,
        model_type="bpe",
        byte_fallback=True,
        num_threads=1,
        minloglevel=2,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
    )
    return model.getvalue()


@pytest.fixture(scope="module")
def hugging_face_file():
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>", "<|im_end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer.to_str().encode()


@pytest.fixture(params=["bytes", "sentencepiece", "tokenizers"])
def tokenizer(request, sentencepiece_model, hugging_face_file):
    if request.param == "bytes":
        return ByteTokenizer()
    if request.param == "sentencepiece":
        return SentencePieceTokenizer(sentencepiece_model)
    return HuggingFaceTokenizer(hugging_face_file, "<s>", "</s>")


@pytest.mark.parametrize("text", ["the red kite", "naïve 東京 🙂", "</s>", "<s>the</s>", "two\nlines", ""])
def test_every_text_survives_a_round_trip_and_spells_no_control_id(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not {tokenizer.bos_id, tokenizer.eos_id} & set(ids)
    assert all(0 <= i < tokenizer.vocab_size for i in ids)


def test_a_batch_is_its_texts_one_by_one(tokenizer):
    assert tokenizer.encode_batch(TEXTS[:4]) == [tokenizer.encode(text) for text in TEXTS[:4]]


def test_control_ids_are_left_out_of_decoded_text(tokenizer):
    assert tokenizer.decode([tokenizer.bos_id, *tokenizer.encode("kite"), tokenizer.eos_id]) == "kite"


def test_control_tokens_are_found_by_name_and_text_is_none(tokenizer):
    assert tokenizer.special("</s>") == tokenizer.eos_id
    assert tokenizer.special("kite") is None
    assert tokenizer.special("<|no_such|>") is None


def test_what_is_saved_is_what_was_loaded(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "run" / "tokenizer")
    for place in (tmp_path / "run" / "tokenizer", tmp_path / "run"):
        loaded = load_tokenizer(place)
        assert loaded.fingerprint == tokenizer.fingerprint
        assert loaded.encode("the red kite </s>") == tokenizer.encode("the red kite </s>")
        assert (loaded.bos_id, loaded.eos_id) == (tokenizer.bos_id, tokenizer.eos_id)


def test_fingerprints_follow_the_content(sentencepiece_model, hugging_face_file):
    fingerprints = {
        ByteTokenizer().fingerprint,
        SentencePieceTokenizer(sentencepiece_model).fingerprint,
        HuggingFaceTokenizer(hugging_face_file, "<s>", "</s>").fingerprint,
        HuggingFaceTokenizer(hugging_face_file, None, "</s>").fingerprint,
    }
    assert len(fingerprints) == 4


def test_files_that_are_no_tokenizers_are_named(tmp_path):
    (tmp_path / "broken.model").write_bytes(b"nothing of the kind")
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "broken.model", r"broken\.model is not a SentencePiece model"),
        (tmp_path / "tokenizer.json", r"tokenizer\.json is no tokenizer file"),
        (tmp_path / "empty", r"holds no tokenizer\.json"),
        (tmp_path / "none.model", "there is no tokenizer at"),
    ):
        with pytest.raises(InputError, match=message):
            load_tokenizer(path)


def test_a_configured_token_that_is_not_there_is_named(hugging_face_file):
    with pytest.raises(InputError, match="has no token '<eos>'"):
        HuggingFaceTokenizer(hugging_face_file, "<s>", "<eos>")
