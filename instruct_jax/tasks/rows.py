"""The training rows of a preparation: draw by rate, render, pack, write, and tell what came of each task."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from instruct_jax.artifacts.dataset import DatasetWriter
from instruct_jax.data.packing import pack
from instruct_jax.errors import InputError
from instruct_jax.progress import progress, say
from instruct_jax.tasks.counts import TaskCounts
from instruct_jax.tasks.examples import Examples, instruct_of, open_examples
from instruct_jax.tasks.mixing import AS_THEY_ARE, TaskShape, allot
from instruct_jax.tasks.mixture import MixtureTask
from instruct_jax.tasks.order import Order
from instruct_jax.tasks.preparation import Preparation
from instruct_jax.tasks.rendering import segments


def write_rows(
    job: Preparation, tasks: Sequence[MixtureTask], writer: DatasetWriter, scratch: Path, console: Console
) -> dict[str, Any]:
    """Write every training row of a preparation.

    Args:
      job: what to make.
      tasks: of the mixture, held-out ones included.
      writer: takes the rows.
      scratch: folder for what has to be kept on disk meanwhile.
      console: hears how far it is.

    Returns:
      What the manifest tells of the rows: density, tokens, supervised tokens, and the table of tasks.
    """
    start = time.monotonic()
    opened = {
        place: open_examples(one.task, job.split, job.tokenizer, job.seed, job.prompts, scratch)
        for place, one in enumerate(tasks)
        if one.rate > 0
    }
    sizes = [opened[place].records.size if place in opened else 0 for place in range(len(tasks))]
    shapes = [TaskShape(one.task.name, one.cluster, one.rate, size) for one, size in zip(tasks, sizes, strict=True)]
    given = allot(AS_THEY_ARE, shapes, job.examples)
    counts = [TaskCounts(asked=share) for share in given.counts]
    total = sum(given.counts)
    order = Order([one.task.name for one in tasks], sizes, given.pools, given.counts, job.seed).draws()
    stream = segments(order, opened, counts, job.tokenizer, job.chat_template, job.length, job.overflow, job.malformed)
    rows = shown = 0
    with progress(console, "prepare", total, "examples") as advance:
        for row in pack(stream, job.length):
            writer.write(row)
            if not rows:
                say(console, f"prepare: first row {time.monotonic() - start:.1f} s after the tasks were known")
            rows += 1
            if rows % 64 == 0:
                done = sum(one.examples for one in counts)
                advance(done - shown)
                shown = done
    if not rows:
        raise InputError(
            f"mixture {job.mixture!r}: no example leaves a token to train within {job.length} tokens; prepare longer rows"
        )
    tokens = sum(one.tokens for one in counts)
    return {
        "density": tokens / (rows * job.length),
        "tokens": tokens,
        "supervised": sum(one.supervised for one in counts),
        "tasks": [_entry(one, counts[place], sizes[place], opened.get(place)) for place, one in enumerate(tasks)],
    }


def _entry(one: MixtureTask, counts: TaskCounts, size: int | None, examples: Examples | None) -> dict[str, Any]:
    """A task's line in the manifest."""
    instruct = instruct_of(one.task)
    return {
        "name": one.task.name,
        "cluster": one.cluster,
        "dataset": one.dataset,
        "kind": "" if examples is None else type(examples).__name__.removesuffix("Examples").lower(),
        "templates": [template.id for template in instruct.templates] if instruct else [],
        "reserved_templates": [template.id for template in instruct.templates if template.reserved] if instruct else [],
        "templates_fingerprint": instruct.fingerprint() if instruct else "",
        "held_out": one.held_out,
        "rate": one.rate,
        "size": size,
        "epochs": counts.asked / size if size else None,
        **vars(counts),
    }
