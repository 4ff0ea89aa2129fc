"""Whether a SeqIO task's own vocabulary is the recipe's tokenizer."""

import seqio

from instruct_jax.errors import InputError
from instruct_jax.text.tokenizer import SentencePieceTokenizer, Tokenizer

_PROBES = ("The quick brown fox, 12,345 of them.", "  two\nlines\tand tabs ", "naïve — 東京 🙂", "x = {'a': [1, 2]}")


def check_vocabulary(task: seqio.Task, tokenizer: Tokenizer) -> None:
    """Compare the vocabularies behind a task's token ids with the tokenizer that training will use.

    Size, end-of-text id and the ids of a few probe texts must agree, and for SentencePiece every piece. A pass-through
    vocabulary knows nothing but its size.

    Raises:
      InputError: they differ; the message says in what.
    """
    for name in ("inputs", "targets"):
        feature = task.output_features.get(name)
        if feature is None:
            continue
        difference = _difference(feature.vocabulary, tokenizer)
        if difference:
            raise InputError(
                f"task {task.name}, feature {name!r}: its token ids come from another vocabulary than the tokenizer's: "
                f"{difference}; prepare with that vocabulary's model, or let the task give text"
            )


def _difference(vocabulary: seqio.Vocabulary, tokenizer: Tokenizer) -> str:
    if isinstance(vocabulary, seqio.PassThroughVocabulary):
        size = vocabulary.vocab_size
        return f"size {size}, tokenizer {tokenizer.vocab_size}" if size > tokenizer.vocab_size else ""
    if vocabulary.vocab_size != tokenizer.vocab_size:
        return f"size {vocabulary.vocab_size}, tokenizer {tokenizer.vocab_size}"
    if vocabulary.eos_id != tokenizer.eos_id:
        return f"end of text is id {vocabulary.eos_id}, tokenizer {tokenizer.eos_id}"
    if isinstance(vocabulary, seqio.SentencePieceVocabulary) and isinstance(tokenizer, SentencePieceTokenizer):
        for token_id in range(tokenizer.vocab_size):
            theirs, ours = vocabulary.tokenizer.id_to_piece(token_id), tokenizer.piece(token_id)
            if theirs != ours:
                return f"id {token_id} is {theirs!r}, tokenizer {ours!r}"
    for probe in _PROBES:
        theirs, ours = list(vocabulary.encode(probe)), tokenizer.encode(probe)
        if theirs != ours:
            return f"{probe!r} is {theirs[:6]}..., tokenizer {ours[:6]}..."
    return ""
