"""train_tokenizer: a SentencePiece model learned from the texts of a mixture (a program)."""

import io
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import sentencepiece
from rich.console import Console

from instruct_jax.artifacts.manifest import NAME, fresh_partial, identity_of, read_manifest, versions, write_manifest
from instruct_jax.errors import InputError
from instruct_jax.tasks.examples import open_examples
from instruct_jax.tasks.instruct import ZERO_SHOT
from instruct_jax.tasks.mixing import largest_remainder
from instruct_jax.tasks.mixture import MixtureTask, import_modules, mixture_tasks
from instruct_jax.tasks.order import Order
from instruct_jax.tasks.preparing.preparation import task_identity
from instruct_jax.tasks.splits import NOTHING_HELD_OUT, HeldOut
from instruct_jax.text.conversation import Conversation
from instruct_jax.text.tokenizer import ByteTokenizer, SentencePieceTokenizer

MODEL_TYPES = ("bpe", "unigram")


def train_tokenizer(
    workdir: str,
    mixture: str,
    vocab_size: int,
    seed: int,
    sentences: int,
    modules: Sequence[str] = (),
    model_type: str = "bpe",
    byte_fallback: bool = True,
    split: str = "train",
    held_out: HeldOut = NOTHING_HELD_OUT,
    config: str = "",
) -> None:
    """Learn a vocabulary from examples of a mixture; write `tokenizer.model` and a manifest, or find them there already.

    Ids 0, 1, 2 are unknown, begin and end of text; digits stand alone; spaces and line breaks are kept as they are. The
    same arguments and sources give the same bytes.

    Args:
      workdir: the folder to write; a tokenizer made from the same is left as it is, another one is replaced.
      mixture: name of a registered SeqIO mixture or task.
      vocab_size: pieces in all, the three control pieces and, with byte fallback, 256 bytes among them.
      seed: which examples, and in which wordings.
      sentences: how many examples to learn from.
      modules: imported first; they register tasks.
      model_type: one of MODEL_TYPES.
      byte_fallback: spell what the vocabulary lacks in bytes rather than losing it.
      split: the split to read.
      held_out: clusters and datasets to leave out.
      config: the configuration text, for the manifest.

    Raises:
      InputError: bad arguments, something that is no tokenizer lies in `workdir`, or too little text for so many pieces.
    """
    if model_type not in MODEL_TYPES:
        raise InputError(f"model_type is {model_type!r}; expected one of {', '.join(MODEL_TYPES)}")
    if sentences < 1:
        raise InputError(f"sentences is {sentences}; expected at least 1")
    console, start, folder = Console(), time.monotonic(), Path(workdir).resolve()
    import_modules(modules)
    tasks = mixture_tasks(mixture, held_out)
    made_from = {
        "mixture": mixture,
        "vocab_size": vocab_size,
        "seed": seed,
        "sentences": sentences,
        "model_type": model_type,
        "byte_fallback": byte_fallback,
        "split": split,
        "held_out": {"clusters": list(held_out.clusters), "datasets": list(held_out.datasets)},
        "task_identities": {one.task.name: task_identity(one, [split]) for one in tasks},
    }
    identity = identity_of(made_from)
    if _is_finished(folder, identity):
        line = f"{workdir} is finished and was made from the same; it stays as it is"
        console.print(f"train_tokenizer: {line}", markup=False, highlight=False, soft_wrap=True)
        return
    partial = fresh_partial(folder)
    lines = _texts(tasks, seed, sentences, split, partial / "scratch")
    model = learn(lines, vocab_size, model_type, byte_fallback)
    shutil.rmtree(partial / "scratch", ignore_errors=True)
    tokenizer = SentencePieceTokenizer(model)
    tokenizer.save(partial)
    known = {"identity": identity, "fingerprint": tokenizer.fingerprint, **made_from}
    write_manifest(partial, "tokenizer", {**known, "config": config, "versions": versions("sentencepiece")})
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    line = f"{workdir}: {tokenizer.vocab_size:,} pieces from {sentences:,} examples in {time.monotonic() - start:.1f} s"
    console.print(f"train_tokenizer: {line}", markup=False, highlight=False, soft_wrap=True)


def learn(lines: Iterator[str], vocab_size: int, model_type: str = "bpe", byte_fallback: bool = True) -> bytes:
    """A SentencePiece model of these texts.

    Raises:
      InputError: the trainer refuses; its own words are in the message.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=model,
            vocab_size=vocab_size,
            model_type=model_type,
            byte_fallback=byte_fallback,
            character_coverage=1.0,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            split_digits=True,
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=-1,
            num_threads=1,  # the order in which threads finish would decide ties
            minloglevel=2,
        )
    except RuntimeError as error:
        raise InputError(
            f"SentencePiece cannot learn {vocab_size} pieces ({error}); ask for fewer, or give more sentences"
        ) from None
    return model.getvalue()


def _is_finished(folder: Path, identity: str) -> bool:
    """Whether this very tokenizer lies in the folder; refuses a folder of anything else, which replacing would destroy."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if not (folder / NAME).exists():
        raise InputError(f"{folder} exists and is no tokenizer; choose another WORKDIR, or remove it")
    return read_manifest(folder, "tokenizer").get("identity") == identity


def _texts(tasks: Sequence[MixtureTask], seed: int, sentences: int, split: str, scratch: Path) -> Iterator[str]:
    """The texts of the tasks' examples, message by message."""
    opened = {
        place: open_examples(one.task, split, ByteTokenizer(), seed, ZERO_SHOT, scratch)
        for place, one in enumerate(tasks)
        if one.rate > 0
    }
    sizes = [opened[place].records.size if place in opened else 0 for place in range(len(tasks))]
    shares = largest_remainder([one.rate for one in tasks], sentences)
    for draw in Order([one.task.name for one in tasks], sizes, sizes, shares, seed).draws():
        content = opened[draw.task].example(draw.index, draw.epoch).content
        if not isinstance(content, Conversation):
            raise InputError(f"task {tasks[draw.task].task.name} gives token ids; a tokenizer is learned from text")
        for message in content.messages:
            yield from filter(None, message.text.split("\n"))
