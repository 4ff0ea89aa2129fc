"""Places in the mixture to segments of tokens: read, render in batches, fit to the row, count."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from instruct_jax.data.packing import Segment
from instruct_jax.errors import InputError
from instruct_jax.tasks.counts import TaskCounts
from instruct_jax.tasks.examples import Example, Examples
from instruct_jax.tasks.order import Draw
from instruct_jax.tasks.records import MalformedRow
from instruct_jax.text.chat import Rendered, render_rows
from instruct_jax.text.conversation import ChatTemplate, Conversation
from instruct_jax.text.overflow import Fitted, fit
from instruct_jax.text.tokenizer import Tokenizer

_TOGETHER = 1_024


def segments(
    draws: Iterable[Draw],
    examples: Mapping[int, Examples],
    counts: Sequence[TaskCounts],
    tokenizer: Tokenizer,
    template: ChatTemplate,
    length: int,
    overflow: str,
    malformed: str,
) -> Iterator[Segment]:
    """Every example of the mixture as segments of at most `length` tokens, in order.

    The first token of a segment has no loss: nothing stands before it to predict it from.

    Args:
      draws: the places in order; `task` indexes `examples` and `counts`.
      examples: by task.
      counts: by task; added to.
      tokenizer, template: what the text is rendered with.
      length: T.
      overflow: one of `instruct_jax.text.overflow.POLICIES`.
      malformed: "error" or "skip", of a record that is damaged or that the template refuses.

    Raises:
      InputError: a malformed record, or a text that is too long, where the policy is to stop.
    """
    draws = iter(draws)
    while chunk := list(itertools.islice(draws, _TOGETHER)):
        read = list(_read(chunk, examples, counts, malformed))
        spoken = [(draw, example.content) for draw, example in read if isinstance(example.content, Conversation)]
        in_words = iter(_rendered(spoken, examples, counts, tokenizer, template, malformed))
        for draw, example in read:
            rows = next(in_words) if isinstance(example.content, Conversation) else [example.content]
            if rows is None:
                counts[draw.task].skipped += 1
                continue
            try:
                fitted = [fit(rendered, length, overflow, example.document) for rendered in rows]
            except OverflowError as error:
                where = examples[draw.task].records.where(draw.index)
                raise InputError(f"{where}: {error}; use longer rows, or another overflow policy") from None
            yield from _count(draw, example, fitted, counts[draw.task])


def _rendered(
    spoken: Sequence[tuple[Draw, Conversation]],
    examples: Mapping[int, Examples],
    counts: Sequence[TaskCounts],
    tokenizer: Tokenizer,
    template: ChatTemplate,
    malformed: str,
) -> list[list[Rendered] | None]:
    """The texts of each conversation; None for one that the template refuses, where such are skipped.

    Raises:
      InputError: one is refused and they are not skipped; or all are from the beginning on, which is the template's doing.
    """
    with contextlib.suppress(InputError):
        return render_rows([content for _, content in spoken], template, tokenizer)
    found: list[list[Rendered] | None] = []
    first = None
    for draw, content in spoken:
        try:
            found += render_rows([content], template, tokenizer)
        except InputError as error:
            first = first or InputError(f"{examples[draw.task].records.where(draw.index)}: {error}")
            if malformed == "error":
                raise first from None
            found.append(None)
    if first and not any(found) and not any(one.examples for one in counts):
        raise first
    return found


def _read(
    chunk: Sequence[Draw], examples: Mapping[int, Examples], counts: Sequence[TaskCounts], malformed: str
) -> Iterator[tuple[Draw, Example]]:
    for draw in chunk:
        try:
            yield draw, examples[draw.task].example(draw.index, draw.epoch)
        except MalformedRow:
            if malformed == "error":
                raise
            counts[draw.task].skipped += 1


def _count(draw: Draw, example: Example, rows: Sequence[Fitted], counts: TaskCounts) -> Iterator[Segment]:
    outcomes = [row.outcome for row in rows]
    counts.trimmed += outcomes.count("trimmed")
    counts.split += outcomes.count("split")
    counts.dropped += outcomes.count("dropped")
    counts.unrolled += len(rows) - 1
    used = False
    for piece in (piece for row in rows for piece in row.pieces):
        weights = np.array(piece.weights, np.float32)
        weights[:1] = 0.0
        supervised = int(np.count_nonzero(weights))
        if not supervised:
            counts.unsupervised += 1
            continue
        used = True
        counts.tokens += piece.tokens.size
        counts.supervised += supervised
        yield Segment(piece.tokens, weights, (draw.task, example.template, draw.index, draw.epoch))
    counts.examples += used
