"""Small tokenizers trained on the spot in the shapes of the open families: pre-tokenizers, prefixes, byte fallback, flags."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

WORDS = (
    "The red kite flies over the hill, doesn't it? naïve café — 12345 times!",
    "def add(a, b):\n    return a + b  # two  spaces\n\n\tand a tab",
    "東京の空は青い。Привет, мир! مرحبا بالعالم",
    "It's what they'd say: we'll see; 3.14 and 1,000,000 things",
)
# What breaks tokenizers, and spells no control token of any shape.
HOSTILE = (
    "",
    " ",
    "   ",
    "\n",
    "\n\n\n",
    "\t \r\n",
    " leading",
    "trailing ",
    "🙂👩‍👩‍👧‍👦🏳️‍🌈",
    "zero\u200bwidth\u200d\ufeff",
    "\x00\x01\x1f\x7f control",
    "e\u0301 é \u1e9b\u0323 ﬁ ①",
    "▁already▁there ▁",
    "\u202eright to left\u202c",
    "a" * 300,
    "\u2028\u2029\u00a0\u3000",
    "<0x0A> <unk> of",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \U0010fffd",
)
_LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def _byte_level(pre: Any, specials: Sequence[str], added: Sequence[str] = (), normalizer: Any = None, **model: Any) -> Any:
    tokenizer = tokenizers.Tokenizer(models.BPE(**model))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(WORDS * 5, trainer)
    tokenizer.add_special_tokens([AddedToken(one, special=True, normalized=False) for one in specials])
    tokenizer.add_tokens([AddedToken(one, special=False, normalized=False) for one in added])
    return tokenizer


def _split(pattern: str) -> Any:
    cut = pre_tokenizers.Split(Regex(pattern), "isolated")
    return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def gpt2() -> Any:
    return _byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), ["<|endoftext|>"])


def llama3() -> Any:
    names = ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
    tokenizer = _byte_level(_split(_LLAMA_3), names, ignore_merges=True)
    begin = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[(names[0], tokenizer.token_to_id(names[0]))]
    )
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), begin])
    return tokenizer


def qwen() -> Any:
    thinking = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
    return _byte_level(_split(_QWEN), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], thinking, normalizers.NFC())


def _byte_fallback(specials: Sequence[AddedToken], normalizer: Any, pre: Any, learned: Any = None) -> Any:
    """BPE over ▁ with bytes for what it lacks, as converted from SentencePiece."""
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, learned or pre
    spelled = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=["<unk>", *spelled], show_progress=False)
    tokenizer.train_from_iterator(WORDS * 5, trainer)
    fields = json.loads(tokenizer.to_str())
    fields["added_tokens"] = fields["added_tokens"][:1]  # the bytes are pieces of the vocabulary, not added tokens
    made = tokenizers.Tokenizer.from_str(json.dumps(fields))
    made.pre_tokenizer = pre
    made.add_special_tokens(specials)
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return made


def _special(*names: str, **flags: bool) -> list[AddedToken]:
    return [AddedToken(one, special=True, normalized=False, **flags) for one in names]


def gemma() -> Any:
    specials = _special("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>")
    space = normalizers.Replace(" ", "▁")
    return _byte_fallback(specials, space, pre_tokenizers.Split(" ", "merged_with_previous"), pre_tokenizers.Metaspace())


def llama2() -> Any:
    legacy = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return _byte_fallback(_special("<s>", "</s>"), legacy, None, pre_tokenizers.Metaspace())


def mistral() -> Any:
    first = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return _byte_fallback(_special("<s>", "</s>", "[INST]", "[/INST]"), None, first, pre_tokenizers.Metaspace())


def phi3() -> Any:
    legacy = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    eating = _special("<|user|>", "<|assistant|>", "<|system|>", "<|end|>", rstrip=True)
    return _byte_fallback([*_special("<s>", "<|endoftext|>"), *eating], legacy, None, pre_tokenizers.Metaspace())


def unigram() -> Any:
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=260, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(WORDS * 5, trainer)
    return tokenizer


def wordpiece() -> Any:
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False)
    tokenizer.train_from_iterator(WORDS * 5, trainer)
    return tokenizer


# By name: what makes it, and the names of its bos and eos.
SHAPES: dict[str, tuple[Callable[[], Any], str | None, str | None]] = {
    "gpt2": (gpt2, "<|endoftext|>", "<|endoftext|>"),
    "llama3": (llama3, "<|begin_of_text|>", "<|eot_id|>"),
    "qwen": (qwen, None, "<|im_end|>"),
    "gemma": (gemma, "<bos>", "<eos>"),
    "llama2": (llama2, "<s>", "</s>"),
    "mistral": (mistral, "<s>", "</s>"),
    "phi3": (phi3, "<s>", "<|endoftext|>"),
    "unigram": (unigram, None, "</s>"),
    "wordpiece": (wordpiece, "[CLS]", "[SEP]"),
}


def config_json(name: str) -> dict[str, Any]:
    """The tokenizer_config.json that belongs to a shape."""
    _, bos, eos = SHAPES[name]
    return {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": bos, "eos_token": eos}


def write(name: str, folder: Any) -> None:
    """A shape as the files of a Hugging Face folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(SHAPES[name][0]().to_str(), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config_json(name)), encoding="utf-8")
