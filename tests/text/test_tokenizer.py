"""Tokenizers: three libraries behind one interface; no text spells a control id; what is saved is what was loaded."""

import io
import json

import pytest
import sentencepiece
import tokenizers

from instruct_jax.errors import InputError
from instruct_jax.text.hugging_face_tokenizer import HuggingFaceTokenizer
from instruct_jax.text.pieces import ByteTokenizer
from instruct_jax.text.sentencepiece_tokenizer import SentencePieceTokenizer
from instruct_jax.text.tokenizer import load_tokenizer
from instruct_jax.text.tokenizer_config import TokenizerConfig

TEXTS = ["the red kite", "a kite flies over the hill", "red and blue and green", "</s> <s> in the text"] * 20
NAMES = TokenizerConfig("<s>", "</s>")


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
    return HuggingFaceTokenizer(hugging_face_file, NAMES)


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
        HuggingFaceTokenizer(hugging_face_file, NAMES).fingerprint,
        HuggingFaceTokenizer(hugging_face_file, TokenizerConfig(eos="</s>")).fingerprint,
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"bos_token": ', "is damaged: Expecting value"),
        (b"\xff\xfe", "is damaged: .*utf-8"),
        (b"[]", "holds a JSON list"),
        (b'{"eos_token": "</s>", "eos_token": "<s>"}', "is damaged: key 'eos_token' comes twice"),
    ],
)
def test_a_broken_configuration_beside_a_tokenizer_is_named(hugging_face_file, tmp_path, content, message):
    (tmp_path / "tokenizer.json").write_bytes(hugging_face_file)
    (tmp_path / "tokenizer_config.json").write_bytes(content)
    with pytest.raises(InputError, match=rf"tokenizer_config\.json, a file about the tokenizer's tokens, {message}"):
        load_tokenizer(tmp_path)


def test_every_id_is_below_the_vocabulary_size_even_where_ids_have_gaps(hugging_face_file):
    content = json.loads(hugging_face_file)
    vocabulary = content["model"]["vocab"]
    last = max(vocabulary, key=vocabulary.get)
    vocabulary[last] += 100
    assert HuggingFaceTokenizer(json.dumps(content).encode()).vocab_size == vocabulary[last] + 1


def test_a_configured_token_that_is_not_there_is_named(hugging_face_file):
    with pytest.raises(InputError, match="has no token '<eos>'"):
        HuggingFaceTokenizer(hugging_face_file, TokenizerConfig("<s>", "<eos>"))
