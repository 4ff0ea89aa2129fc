"""show: examples as the model will see them, token by token, in a terminal or as a page (a program)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.artifacts.records import Row
from instruct_jax.errors import InputError
from instruct_jax.progress import say
from instruct_jax.tasks.files.row_form import RowForm
from instruct_jax.tasks.files.row_forms import CONVERSATION_LINES
from instruct_jax.tasks.formats import Paths, Samples, open_samples
from instruct_jax.tasks.prompts import ZERO_SHOT, PromptSettings, as_settings
from instruct_jax.tasks.words import load_words
from instruct_jax.text import picture_page, picture_terminal
from instruct_jax.text.chat import INSTRUCT, Rendered, render_rows
from instruct_jax.text.conversation import ChatTemplate, Conversation
from instruct_jax.text.overflow import POLICIES, fit
from instruct_jax.text.picture import Picture, Segment, glyphs, summary
from instruct_jax.text.pieces import Tokenizer
from instruct_jax.text.tokenizer import load_tokenizer


def show(
    mixture: str | None = None,
    dataset: str | None = None,
    jsonl: str | None = None,
    tokenizer: str | None = None,
    chat_template: ChatTemplate | str = INSTRUCT,
    template_date: str | None = None,
    template_variables: Mapping[str, Any] | None = None,
    length: int | None = None,
    modules: Sequence[str] = (),
    split: str = "train",
    overflow: str = "trim_prompt",
    count: int = 3,
    seed: int = 0,
    task: str | None = None,
    positions: bool = False,
    html: str | None = None,
    svg: str | None = None,
    files: Paths | None = None,
    format: RowForm | str | None = None,
    prompts: PromptSettings | Sequence[PromptSettings] = ZERO_SHOT,
) -> None:
    """Print some examples of a mixture, some rows of a prepared dataset, or some conversations of files.

    Examples of a mixture are those that `prepare` draws first with this seed, each from another task as long as there are
    any. Rows and conversations are a random sample.

    Args:
      mixture: name of a registered SeqIO mixture or task; or else
      dataset: folder of a prepared dataset; or else
      jsonl: a file of messages, or of prompt and completion, or of both; or else
      files: files of rows of any kind; see `instruct_jax.tasks.formats.read`. Their description is printed first.
      format: how rows of `files` are read, by name or as a value; None: by looking at them.
      tokenizer: what `load_words` reads; a dataset has its own.
      chat_template: how turns are written, or a path that `load_words` reads; a dataset's already are.
      template_date, template_variables: of a Jinja template; see `with_given`.
      length: tokens that a row has; None for no bound. A dataset's is its own.
      modules: imported first; they register tasks.
      split: of the mixture.
      overflow: what to do with texts longer than a row; see `instruct_jax.text.overflow.fit`.
      count: how many.
      seed: which.
      task: a regular expression; only tasks whose names it matches somewhere.
      positions: whether to print positions.
      html, svg: the page, or the image of the terminal, to write instead of printing.
      prompts: of a mixture: one prompt setting, or several of which each example wears one.

    Raises:
      InputError: not exactly one source, a setting that its source does not take, or nothing to show.
    """
    sources = {"MIXTURE": mixture, "DATASET": dataset, "JSONL": jsonl, "FILES": files or None}
    given = [name for name, value in sources.items() if value is not None]
    if len(given) != 1:
        raise InputError(f"show takes one of {', '.join(sources)}; {' and '.join(given) or 'none'} is set")
    if count < 1:
        raise InputError(f"COUNT is {count}; expected at least 1")
    if overflow not in POLICIES:
        raise InputError(f"OVERFLOW is {overflow!r}; expected one of {', '.join(POLICIES)}")
    if length is not None and length < 2:
        raise InputError(f"LENGTH is {length}; rows need at least 2 tokens, and None stands for no bound")
    wanted, console = _pattern(task), Console()
    if dataset is not None:
        if tokenizer is not None or length is not None:
            raise InputError("a dataset has its own tokenizer and length; leave TOKENIZER and LENGTH unset")
        found = dataset_pictures(Dataset(dataset), count, seed, wanted)
    else:
        if tokenizer is None:
            raise InputError(f"TOKENIZER is not set; {given[0]} needs one: a file, a folder that holds one, or bytes")
        loaded, template = load_words(tokenizer, chat_template, template_date, template_variables)
        if mixture is None:
            if task is not None:
                raise InputError(f"TASK chooses among the tasks of a mixture or dataset; {given[0]} has none: leave it unset")
            samples = open_samples(files or jsonl, format if files else CONVERSATION_LINES, split)
            if files:
                say(console, f"show: {samples.description()}")
            found = sample_pictures(samples, loaded, template, length, overflow, count, seed)
        else:
            # TensorFlow takes seconds to import, and only a mixture needs it.
            from instruct_jax.tasks.show_mixture import mixture_pictures

            settings = as_settings(prompts)
            found = mixture_pictures(mixture, modules, split, loaded, template, length, overflow, count, seed, wanted, settings)
    pictures = list(found)
    if html is None and svg is None:
        picture_terminal.draw(pictures, console, positions)
    title = str(mixture or dataset or jsonl or files)
    for file, write in ((html, picture_page.page), (svg, picture_terminal.svg)):
        if file is not None:
            _write(Path(file), write(pictures, title, positions))
            console.print(f"show: {file}: {summary(pictures)}", markup=False, highlight=False, soft_wrap=True)


def dataset_pictures(dataset: Dataset, count: int, seed: int, wanted: re.Pattern) -> Iterator[Picture]:
    """Some rows of a dataset, in order; of each, the segments of the tasks that are wanted.

    Raises:
      InputError: no row holds such a task.
    """
    names = [entry["name"] for entry in dataset.manifest["tasks"]]
    matching = np.array([wanted.search(name) is not None for name in names])
    if not matching.any():
        raise InputError(f"no task of {dataset.folder} matches {wanted.pattern!r}; it has: {', '.join(names)}")
    tokenizer = load_tokenizer(dataset.folder / "tokenizer")
    chosen = []
    for index in np.random.default_rng(seed).permutation(len(dataset)).tolist():
        if matching[dataset[index].provenance[:, 0]].any():
            chosen.append(index)
        if len(chosen) == count:
            break
    if not chosen:
        raise InputError(f"no row of {dataset.folder} holds a task that matches {wanted.pattern!r}; try another")
    for index in sorted(chosen):
        row = dataset[index]
        keep = matching[row.provenance[:, 0]]
        shown = [dataset_segment(dataset, row, place, tokenizer) for place in np.flatnonzero(keep).tolist()]
        hidden = int(np.sum(~keep))
        notes = [f"{row.lengths.size} segments in {row.tokens.size:,} of {dataset.length:,} tokens"]
        notes += [f"without {hidden} of other tasks"] if hidden else []
        yield Picture(f"row {index:,} of {len(dataset):,}", (" · ".join(notes),), tuple(shown))


def dataset_segment(dataset: Dataset, row: Row, place: int, tokenizer: Tokenizer) -> Segment:
    """One segment of a dataset's row as it is drawn, with where it came from."""
    end = int(np.sum(row.lengths[: place + 1]))
    part = slice(end - int(row.lengths[place]), end)
    task, template, example, epoch = row.provenance[place].tolist()
    entry = dataset.manifest["tasks"][task]
    notes = [f"template {entry['templates'][template]}"] if template >= 0 else []
    notes.append(f"example {example:,}" + (f", epoch {epoch}" if epoch else ""))
    return Segment(entry["name"], (" · ".join(notes),), glyphs(row.tokens[part], row.weights[part], tokenizer))


def sample_pictures(
    samples: Samples,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    length: int | None,
    overflow: str,
    count: int,
    seed: int,
) -> Iterator[Picture]:
    """Some samples of files, in order, rejected answers after chosen ones; one that does not fit the row is shown whole."""
    chosen = np.random.default_rng(seed).permutation(len(samples))[:count]
    for index in sorted(chosen.tolist()):
        sample, where = samples[index], samples.where(index)
        told = [] if sample.answer is None else [f"answer {sample.answer:.80}"]
        told += [] if sample.label is None else ["desired" if sample.label else "not desired"]
        sides = [("chosen", sample.conversation), ("rejected", sample.rejected)]
        for side, conversation in sides if sample.rejected is not None else [("", sample.conversation)]:
            try:
                pieces = _pieces(conversation, template, tokenizer, length, overflow)
            except (InputError, OverflowError) as error:
                raise InputError(f"{where}: {error}") from None
            for number, (piece, outcome) in enumerate(pieces, 1):
                notes = [f"{len(conversation.messages)} message{'s' * (len(conversation.messages) != 1)}"]
                notes += [f"part {number} of {len(pieces)}"] if len(pieces) > 1 else []
                notes = [note for note in (side, *notes, outcome, *told) if note]
                drawn = glyphs(piece.tokens, _without_first(piece.weights), tokenizer)
                yield Picture("", (), (Segment(where, (" · ".join(notes),), drawn),))


def _pieces(
    conversation: Conversation, template: ChatTemplate, tokenizer: Tokenizer, length: int | None, overflow: str
) -> list[tuple[Rendered, str]]:
    """What a conversation becomes, and what to say of each piece."""
    (rows,) = render_rows([conversation], template, tokenizer)
    fitted = [_fitted(row, length, overflow, conversation.is_document()) for row in rows]
    return [(piece, outcome) for row_pieces, outcome in fitted for piece in row_pieces]


def _fitted(rendered: Rendered, length: int | None, overflow: str, document: bool) -> tuple[Sequence[Rendered], str]:
    """The pieces to show, and what to say of them."""
    if length is None:
        return (rendered,), ""
    fitted = fit(rendered, length, overflow, document)
    if not fitted.pieces:
        return (rendered,), f"left out: longer than {length:,} tokens"
    return fitted.pieces, "" if fitted.outcome == "fits" else fitted.outcome


def _without_first(weights: np.ndarray) -> np.ndarray:
    """Weights as training has them: nothing stands before a segment's first token to predict it from."""
    return np.where(np.arange(weights.size) == 0, 0, weights).astype(np.float32)


def _write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".partial")
    temporary.write_text(content, encoding="utf-8")
    temporary.replace(file)


def _pattern(task: str | None) -> re.Pattern:
    try:
        return re.compile(task or "")
    except re.error as error:
        raise InputError(f"TASK {task!r} is no regular expression ({error}); mend it") from None
