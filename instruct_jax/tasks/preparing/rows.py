"""The training rows of a preparation: its shards by any number of workers, and what the manifest tells of them."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from instruct_jax.errors import InputError
from instruct_jax.progress import say
from instruct_jax.tasks.examples import instruct_of
from instruct_jax.tasks.preparing.counts import NUMBERS, TaskCounts
from instruct_jax.tasks.preparing.opening import OpenPreparation
from instruct_jax.tasks.preparing.shard import ShardResult, Told, finished_shard, rows_file, texts_file, write_shard
from instruct_jax.tasks.preparing.task_progress import TaskProgress
from instruct_jax.tasks.preparing.workers import Crew
from instruct_jax.tasks.prompts import PromptSettings


def write_rows(opened: OpenPreparation, folder: Path, workers: int, console: Console) -> list[ShardResult]:
    """Write every shard of a preparation that does not lie in the folder yet.

    Args:
      opened: the preparation.
      folder: where the shards are written.
      workers: how many processes.
      console: hears how far it is.

    Returns:
      What came of each shard, in order: the same for any number of workers.
    """
    results = {number: finished_shard(folder, number) for number in range(opened.shards)}
    waiting = [number for number, result in results.items() if result is None]
    if len(waiting) < opened.shards:
        say(console, f"prepare: {opened.shards - len(waiting):,} of {opened.shards:,} shards are there from an earlier attempt")

    begin, first = time.monotonic(), True

    def hear(told: Told) -> None:
        nonlocal first
        if first and told.rows:
            say(console, f"prepare: first row {time.monotonic() - begin:.1f} s after the tasks were opened")
            first = False
        shown.tell(told.places)

    def write(number: int, tell: Callable[[Told], None]) -> ShardResult:
        return write_shard(opened, number, folder, tell)

    asked = _asked(opened, waiting)
    # The workers are forked before the progress bar starts its thread.
    with (
        Crew(write, max(1, min(workers, len(waiting)))) as crew,
        TaskProgress(console, [one.task.name for one in opened.tasks], asked) as shown,
    ):
        for number, result in crew.results(waiting, hear):
            results[number] = result
    found = [result for result in results.values() if result is not None]
    made = [results[number] for number in waiting]
    if opened.cache is not None and made:
        texts = sum(asked)
        say(console, f"prepare: {sum(one.cached for one in made):,} of {texts:,} texts were in the cache {opened.cache.folder}")
    return found


def _asked(opened: OpenPreparation, shards: Sequence[int]) -> list[int]:
    """How many places each task has in these shards."""
    if len(shards) == opened.shards:
        return list(opened.allotment.counts)
    counts = [0] * len(opened.tasks)
    for number in shards:
        for draw in opened.draws(number):
            counts[draw.task] += 1
    return counts


def summary(opened: OpenPreparation, results: Sequence[ShardResult]) -> dict[str, Any]:
    """What the manifest tells of the rows: their number, density, tokens, shards, and the table of tasks.

    Args:
      opened: the preparation.
      results: of all its shards, in order.

    Raises:
      InputError: there are no rows.
    """
    job = opened.preparation
    counts = [TaskCounts() for _ in opened.tasks]
    for result in results:
        for task, one in result.counts.items():
            counts[task] += one
    rows = sum(result.rows for result in results)
    if not rows:
        raise InputError(
            f"mixture {job.mixture!r}: no example leaves a token to train within {job.length} tokens; prepare longer rows"
        )
    whole = TaskCounts()
    for one in counts:
        whole += one
    titles = _titles(job.prompts)
    return {
        "rows": rows,
        "density": whole.tokens / (rows * job.length),
        "tokens": whole.tokens,
        "supervised": whole.supervised,
        "largest_id": max(result.largest_id for result in results),
        "settings": titles,
        "tasks": [_entry(opened, place, counts[place], whole, titles) for place in range(len(opened.tasks))],
        "shards": [_shard(result) for result in results if result.rows],
    }


def _shard(result: ShardResult) -> dict[str, Any]:
    """A shard's line in the manifest: its rows, and the table of its texts."""
    rows, texts = rows_file(result.number), texts_file(result.number)
    table = {"texts": texts, "texts_bytes": result.files[texts]["bytes"], "texts_sha256": result.files[texts]["sha256"]}
    return {"file": rows, "rows": result.rows, **result.files[rows], **table}


def _entry(opened: OpenPreparation, place: int, counts: TaskCounts, whole: TaskCounts, titles: Sequence[str]) -> dict[str, Any]:
    """A task's line in the manifest."""
    one, allotment = opened.tasks[place], opened.allotment
    instruct, examples = instruct_of(one.task), opened.renderer.examples.get(place)
    asked, pool = allotment.counts[place], allotment.pools[place]
    return {
        "name": one.task.name,
        "cluster": one.cluster,
        "dataset": one.dataset,
        "kind": "" if examples is None else type(examples).__name__.removesuffix("Examples").lower(),
        "templates": [template.id for template in instruct.templates] if instruct else [],
        "reserved_templates": [template.id for template in instruct.templates if template.reserved] if instruct else [],
        "templates_fingerprint": instruct.fingerprint() if instruct else "",
        "held_out": one.held_out,
        "why_held_out": one.why,
        "rate": one.rate,
        "share": allotment.rates[place],
        "realised": counts.examples / max(1, whole.examples),
        "realised_tokens": counts.tokens / max(1, whole.tokens),
        "size": opened.sizes[place],
        "pool": pool,
        "epochs": asked / pool if pool else None,
        "asked": asked,
        **{name: getattr(counts, name) for name in NUMBERS},
        "truncated": counts.trimmed + counts.split,
        "settings": {titles[one]: count for one, count in sorted(counts.settings.items())},
    }


def _titles(prompts: Sequence[PromptSettings]) -> list[str]:
    """The settings in words, each in its own: those that read alike are numbered."""
    titles = [setting.title() for setting in prompts]
    return [title if titles.count(title) == 1 else f"{title} [{place}]" for place, title in enumerate(titles)]
