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


TURNS = ["<start_of_turn>", "<end_of_turn>"]


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def turns_model(request):
    """A model that has the marks of turns as pieces of the user's own, as Gemma's has."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=model,
        vocab_size=300,
        model_type=request.param,
        byte_fallback=True,
        hard_vocab_limit=False,
        user_defined_symbols=TURNS,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def _folder(place, model, **config):
    (place / "tokenizer.model").write_bytes(model)
    (place / "tokenizer_config.json").write_text(json.dumps(config))
    return place


def test_pieces_of_a_sentencepiece_model_that_its_configuration_calls_special_control_and_no_text_spells_them(
    turns_model, tmp_path
):
    before = SentencePieceTokenizer(turns_model)
    tokenizer = load_tokenizer(_folder(tmp_path, turns_model, additional_special_tokens=TURNS, add_bos_token=False))
    assert before.special("<end_of_turn>") is None
    ids = [tokenizer.special(name) for name in TURNS]
    assert [before.piece(i) for i in ids] == TURNS
    assert tokenizer.vocab_size == before.vocab_size
    assert not tokenizer.adds_bos
    for text in ("<end_of_turn>", "hi<end_of_turn> <start_of_turn>model", "<start_of_turn>" * 3):
        assert not set(ids).isdisjoint(before.encode(text)), "the model itself makes the piece of it"
        assert set(ids).isdisjoint(tokenizer.encode(text))
        assert tokenizer.decode([ids[0], *tokenizer.encode(text), ids[1]]) == text
    assert tokenizer.encode_batch(TEXTS) == before.encode_batch(TEXTS)


def test_control_tokens_beyond_a_sentencepiece_model_have_the_ids_that_the_files_beside_it_say(sentencepiece_model, tmp_path):
    size = SentencePieceTokenizer(sentencepiece_model).vocab_size
    entries = {str(size + i): {"content": name, "special": True} for i, name in enumerate(["<|im_end|>", "<|im_start|>"])}
    _folder(tmp_path, sentencepiece_model, bos_token=None, eos_token="<|im_end|>", added_tokens_decoder=entries)
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.eos_token, tokenizer.eos_id) == ("<|im_end|>", size)
    assert (tokenizer.bos_token, tokenizer.bos_id) == ("<s>", 1), "where the configuration names none, the model's own"
    assert (tokenizer.special("<|im_start|>"), tokenizer.vocab_size) == (size + 1, size + 2)
    assert tokenizer.piece(size + 1) == "<|im_start|>"
    assert tokenizer.decode([size + 1, *tokenizer.encode("<|im_end|> kite"), size]) == "<|im_end|> kite"
    tokenizer.save(tmp_path / "saved")
    assert load_tokenizer(tmp_path / "saved").fingerprint == tokenizer.fingerprint
    assert tokenizer.fingerprint != SentencePieceTokenizer(sentencepiece_model).fingerprint
    (tmp_path / "old").mkdir()
    _folder(tmp_path / "old", sentencepiece_model, eos_token="<|im_end|>", additional_special_tokens=["<|im_start|>"])
    (tmp_path / "old" / "added_tokens.json").write_text(json.dumps({"<|im_end|>": size, "<|im_start|>": size + 1}))
    assert load_tokenizer(tmp_path / "old").special("<|im_start|>") == size + 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"eos_token": "<eos>"}, "has no token '<eos>', which tokenizer_config.json names"),
        ({"added_tokens_decoder": {"999": {"content": "<tool>"}}}, "lacks '<tool>', which the files beside it add without"),
        ({"added_tokens_decoder": {"9": {"content": "<x>", "special": True}}}, "has no piece '<x>', which the files beside it"),
        (
            {"added_tokens_decoder": {"9": {"content": "</s>", "special": True}}},
            "has '</s>' as id 2, and the files beside it as 9",
        ),
        (
            {"added_tokens_decoder": {"999": {"content": "<x>", "special": True, "rstrip": True}}},
            "'<x>' eats the space beside it",
        ),
    ],
)
def test_what_a_sentencepiece_model_cannot_do_with_its_configuration_is_refused_by_name(
    sentencepiece_model, tmp_path, config, message
):
    with pytest.raises(InputError, match=message):
        load_tokenizer(_folder(tmp_path, sentencepiece_model, **config))


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
