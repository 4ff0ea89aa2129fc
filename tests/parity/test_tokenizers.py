"""Ids equal those of transformers: real texts, hostile texts, and whole conversations with control tokens between."""

import base64
import io
import itertools
import json
import os
from pathlib import Path

import pytest
import sentencepiece

from instruct_jax.text.chat import render
from instruct_jax.text.conversation import conversation_of
from instruct_jax.text.jinja_chat import JinjaTemplate
from instruct_jax.text.tokenizer import load_tokenizer
from tests.text import tokenizer_shapes

transformers = pytest.importorskip("transformers")

REAL = 10_000


def _real_texts() -> list[str]:
    """Prompts and answers of T0, whole, evenly over its tasks."""
    if "INSTRUCT_JAX_DATA" not in os.environ:
        pytest.skip("INSTRUCT_JAX_DATA names no folder of real data")
    files = sorted(Path(os.environ["INSTRUCT_JAX_DATA"]).glob("t0/*/*/*.jsonl"))
    per_file = -(-REAL // len(files))
    texts = []
    for file in files:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n")[:per_file] if line]
        texts += [row["prompt"] if number % 4 else row["completion"] for number, row in enumerate(rows)]
    return texts[:REAL]


@pytest.fixture(scope="module", params=tokenizer_shapes.SHAPES)
def folder(request, tmp_path_factory):
    place = tmp_path_factory.mktemp(request.param)
    tokenizer_shapes.write(request.param, place)
    return place


def _theirs(folder):
    return transformers.PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)


def test_ids_of_real_texts_equal(folder):
    texts = _real_texts()
    assert len(texts) > 9_000
    expected = _theirs(folder)(texts, add_special_tokens=False)["input_ids"]
    assert load_tokenizer(folder).encode_batch(texts) == expected


def test_ids_of_hostile_texts_equal(folder):
    ours, theirs = load_tokenizer(folder), _theirs(folder)
    texts = [left + right for left, right in itertools.product(tokenizer_shapes.HOSTILE, repeat=2)]
    expected = theirs(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    wrong = [text for text, left, right in zip(texts, ours.encode_batch(texts), expected, strict=True) if left != right]
    assert not wrong


def test_texts_that_spell_control_tokens_have_the_ids_of_their_characters(folder):
    """As transformers gives them when it splits control tokens; but a unigram vocabulary makes them of text in transformers."""
    ours, theirs = load_tokenizer(folder), _theirs(folder)
    names = [*dict.fromkeys([*ours.special_tokens, "<unk>", "[UNK]"])]
    texts = [form.format(name) for form in ("{}", "a {}", "{} b", "a{0}b {0}\n", "\n{}\n") for name in names]
    texts += [left + right for left, right in itertools.product(names, repeat=2)]
    texts += [name + text + name for name in names for text in tokenizer_shapes.HOSTILE]
    controls = {ours.special(name) for name in ours.special_tokens if name not in ("<unk>", "[UNK]")}
    found = ours.encode_batch(texts)
    assert not [text for text, ids in zip(texts, found, strict=True) if controls & set(ids)]
    expected = theirs(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    made = [text for text, ids in zip(texts, expected, strict=True) if controls & set(ids)]
    assert bool(made) == folder.name.startswith("unigram")
    compared = [one for one in zip(texts, found, expected, strict=True) if one[0] not in made]
    assert not [text for text, left, right in compared if left != right]
    assert len(compared) > len(texts) // 8


def test_ids_of_a_rendered_prompt_equal(folder):
    """Control tokens at the beginning, in the middle and at the end, with every hostile text between them."""
    ours, theirs = load_tokenizer(folder), _theirs(folder)
    first, last = ours.special_tokens[-2:] if len(ours.special_tokens) > 1 else ours.special_tokens * 2
    source = (
        f"{{{{ bos_token or '' }}}}{{% for m in messages %}}{first}{{{{ m.role }}}}\n{{{{ m.content }}}}{last}\n{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{first}assistant\n{{% endif %}}"
    )
    template = JinjaTemplate(source, ours.bos_token, ours.eos_token, ours.special_tokens)
    for text in tokenizer_shapes.HOSTILE:
        if "<unk>" in text:
            continue
        messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": text}]
        messages += [{"role": "assistant", "content": " yes" + text, "trained": False}, {"role": "user", "content": text * 2}]
        clean = [{name: one[name] for name in ("role", "content")} for one in messages]
        expected = theirs.apply_chat_template(
            clean, chat_template=source, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        assert render(messages, template, ours, add_generation_prompt=True).tokens.tolist() == expected, text


def test_the_text_of_a_conversation_with_nothing_trained_is_tokenised_as_one_string(folder):
    ours, theirs = load_tokenizer(folder), _theirs(folder)
    last = ours.special_tokens[-1]
    source = f"{{% for m in messages %}}[{{{{ m.role }}}}] {{{{ m.content }}}} {{% endfor %}}{last}"
    template = JinjaTemplate(source, None, ours.eos_token, ours.special_tokens)
    messages = [{"role": "user", "content": "naïve  kite\n"}, {"role": "user", "content": " over the hill"}]
    expected = theirs(template.text(conversation_of(messages)), add_special_tokens=False)["input_ids"]
    assert render(messages, template, ours).tokens.tolist() == expected


def test_a_real_sentencepiece_model_gives_the_ids_of_transformers(tmp_path):
    """But where spaces follow each other: there transformers' conversion of the merges parts from SentencePiece itself."""
    if "INSTRUCT_JAX_DATA" not in os.environ:
        pytest.skip("INSTRUCT_JAX_DATA names no folder of real data")
    file = Path(os.environ["INSTRUCT_JAX_DATA"]) / "tokenizers" / "mistral-v1.model"
    texts = [text for text in _real_texts() if "  " not in text and not text.startswith(" ")]
    assert len(texts) > 5_000
    (tmp_path / "tokenizer.model").write_bytes(file.read_bytes())
    config = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "legacy": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    theirs = transformers.LlamaTokenizer.from_pretrained(tmp_path, local_files_only=True)
    ours = load_tokenizer(tmp_path).encode_batch(texts)
    expected = theirs(texts, add_special_tokens=False)["input_ids"]
    wrong = [text for text, left, right in zip(texts, ours, expected, strict=True) if left != right]
    assert not wrong, (len(wrong), wrong[:3])


TURNS = ["<start_of_turn>", "<end_of_turn>"]


def test_a_sentencepiece_model_with_a_configuration_beside_it_gives_the_ids_of_transformers(tmp_path):
    """As Gemma ships: marks of turns are pieces of the user's own that the configuration calls special; two ids are added."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(tokenizer_shapes.WORDS * 20),
        model_writer=model,
        vocab_size=500,
        model_type="bpe",
        byte_fallback=True,
        add_dummy_prefix=False,
        user_defined_symbols=TURNS,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    size = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).vocab_size()
    (tmp_path / "tokenizer.model").write_bytes(model.getvalue())
    added = {str(size + i): {"content": name, "special": True} for i, name in enumerate(["<|im_end|>", "<|im_start|>"])}
    config = {"tokenizer_class": "GemmaTokenizer", "bos_token": "<s>", "eos_token": "<|im_end|>", "unk_token": "<unk>"}
    config |= {"pad_token": "<unk>", "additional_special_tokens": TURNS, "added_tokens_decoder": added}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    ours, theirs = load_tokenizer(tmp_path), transformers.GemmaTokenizer.from_pretrained(tmp_path, local_files_only=True)
    names = ["<s>", "<|im_end|>", "<|im_start|>", *TURNS]
    assert [ours.special(name) for name in names] == theirs.convert_tokens_to_ids(names)
    assert (ours.bos_id, ours.eos_id) == (theirs.bos_token_id, theirs.eos_token_id)
    texts = [*tokenizer_shapes.WORDS, *names, "hi<end_of_turn>\n<start_of_turn>model\n", "a <|im_end|>b", "a <unk> b"]
    assert ours.encode_batch(texts) == theirs(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    source = (
        "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}<|im_end|>"
    )
    template = JinjaTemplate(source, ours.bos_token, ours.eos_token, ours.special_tokens)
    for text in tokenizer_shapes.WORDS:
        messages = [{"role": "user", "content": text}, {"role": "user", "content": "naïve  " + text}]
        expected = theirs(template.text(conversation_of(messages)), add_special_tokens=False)["input_ids"]
        assert render(messages, template, ours).tokens.tolist() == expected


def test_a_tiktoken_file_gives_the_ids_of_the_same_vocabulary_in_transformers(tmp_path):
    tokenizer_shapes.write("llama3", tmp_path / "hf")
    fields = json.loads((tmp_path / "hf" / "tokenizer.json").read_text(encoding="utf-8"))
    letters = {letter: byte for byte, letter in enumerate(_letters())}
    ranks = {bytes(letters[one] for one in word): rank for word, rank in fields["model"]["vocab"].items()}
    # As tiktoken has it: bytes first, then what was merged, in order; the ids of the vocabulary are those of the file.
    file = tmp_path / "tokenizer.model"
    file.write_bytes(b"".join(base64.b64encode(word) + b" %d\n" % rank for word, rank in ranks.items()))
    texts = [*_real_texts()[::5], *tokenizer_shapes.HOSTILE]
    expected = _theirs(tmp_path / "hf")(texts, add_special_tokens=False)["input_ids"]
    assert load_tokenizer(file).encode_batch(texts) == expected


def _letters():
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return [letter for _, letter in sorted(bytes_to_unicode().items())]
