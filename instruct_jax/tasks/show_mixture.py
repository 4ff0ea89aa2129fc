"""Examples of a mixture as pictures: those that `prepare` would draw first, through the same reading and rendering."""

import contextlib
import itertools
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import seqio

from instruct_jax.errors import InputError
from instruct_jax.tasks.examples import instruct_of, open_examples
from instruct_jax.tasks.mixture import import_modules, registered
from instruct_jax.tasks.order import Order, seeded_generator
from instruct_jax.tasks.preparing.counts import TaskCounts
from instruct_jax.tasks.preparing.rendering import Renderer
from instruct_jax.tasks.prompts import PromptSettings
from instruct_jax.text.conversation import ChatTemplate
from instruct_jax.text.picture import Picture, Segment, glyphs
from instruct_jax.text.pieces import Tokenizer

# A task shows no more once so many of its examples in a row were dropped, or so many were drawn in all.
_PATIENCE, _MOST_TRIED = 64, 65_536


def mixture_pictures(
    mixture: str,
    modules: Sequence[str],
    split: str,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    length: int | None,
    overflow: str,
    count: int,
    seed: int,
    wanted: re.Pattern,
    prompts: Sequence[PromptSettings],
) -> Iterator[Picture]:
    """Some examples of a mixture, each from another task as long as there are any.

    Tasks come in an order that the seed decides; rates play no part. Within a task, examples, settings and wordings are those
    that `prepare` draws first with this seed.

    Args:
      mixture, modules, split, tokenizer, template, overflow, seed, prompts: as `prepare` has them.
      length: tokens that a row has; None for no bound.
      count: how many.
      wanted: only tasks whose names it matches somewhere.

    Raises:
      InputError: there is no such mixture or task, or nothing of it can be shown.
    """
    import_modules(modules)
    provider = registered(mixture)
    tasks = provider.tasks if isinstance(provider, seqio.Mixture) else [provider]
    matching = [task for task in tasks if wanted.search(task.name)]
    if not matching:
        names = ", ".join(task.name for task in tasks)
        raise InputError(f"no task of mixture {mixture!r} matches {wanted.pattern!r}; it has: {names}")
    seeded_generator(seed, "show").shuffle(matching)
    limit = sys.maxsize if length is None else length
    with tempfile.TemporaryDirectory() as scratch:
        given = (tokenizer, template, limit, overflow, seed, Path(scratch), prompts)
        running = [_task_pictures(task, split, *given) for task in matching]
        shown = 0
        for picture in itertools.islice(_in_turn(running), count):
            shown += 1
            yield picture
    if not shown:
        raise InputError(
            f"no example of {', '.join(task.name for task in matching)} leaves a token to train within {limit} tokens; "
            "show longer rows, or another overflow policy"
        )


def _in_turn(running: Sequence[Iterator[Picture]]) -> Iterator[Picture]:
    """One of each, then the second of each, and so on, until all have ended."""
    waiting = list(running)
    while waiting:
        for one in list(waiting):
            with contextlib.suppress(StopIteration):
                yield next(one)
                continue
            waiting.remove(one)


def _task_pictures(
    task: seqio.Task,
    split: str,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    length: int,
    overflow: str,
    seed: int,
    scratch: Path,
    prompts: Sequence[PromptSettings],
) -> Iterator[Picture]:
    examples = open_examples(task, split, tokenizer, seed, prompts, scratch)
    instruct = instruct_of(task)
    size = examples.records.size
    asked = _MOST_TRIED if size is None else min(size, _MOST_TRIED)
    counts, fruitless, renderer = TaskCounts(), 0, Renderer({0: examples}, tokenizer, template, "error")
    for draw in Order([task.name], [size], [size], [asked], seed).draws():
        before = vars(counts).copy()
        (text,) = renderer.texts([draw], {0: counts})
        found = list(renderer.fitted(draw, text, length, overflow, counts))
        fruitless = 0 if found else fruitless + 1
        if fruitless == _PATIENCE:
            return
        for number, segment in enumerate(found, 1):
            wording = segment.provenance[1]
            notes = [] if instruct is None or wording < 0 else [f"template {instruct.templates[wording].id}"]
            notes += [prompts[text.setting].title()] if len(prompts) > 1 and text.setting >= 0 else []
            notes.append(examples.records.where(draw.index))
            notes += [name for name in ("trimmed", "split", "unrolled") if getattr(counts, name) > before[name]]
            notes += [f"piece {number} of {len(found)}"] if len(found) > 1 else []
            drawn = glyphs(segment.tokens, segment.weights, tokenizer)
            yield Picture("", (), (Segment(task.name, (" · ".join(notes),), drawn),))
