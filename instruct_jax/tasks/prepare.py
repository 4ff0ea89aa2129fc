"""prepare: a mixture of SeqIO tasks becomes a dataset folder of packed rows (a program)."""

import inspect
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from instruct_jax.artifacts.dataset import complete, resumable_partial
from instruct_jax.artifacts.items import read_items, write_items
from instruct_jax.artifacts.manifest import versions
from instruct_jax.artifacts.sole_maker import sole_maker
from instruct_jax.errors import InputError
from instruct_jax.progress import say
from instruct_jax.tasks.evaluation import Evaluation, evaluation_items
from instruct_jax.tasks.mixing import AS_THEY_ARE, Mixing
from instruct_jax.tasks.mixture import MixtureTask, import_modules, mixture_tasks
from instruct_jax.tasks.preparing.counts import print_table
from instruct_jax.tasks.preparing.opening import OpenPreparation, materialise_ahead, open_preparation
from instruct_jax.tasks.preparing.preparation import Preparation, is_finished
from instruct_jax.tasks.preparing.rows import summary, write_rows
from instruct_jax.tasks.preparing.shard import ShardResult
from instruct_jax.tasks.preparing.shared_words import refuse_shared_words
from instruct_jax.tasks.preparing.workers import all_cores
from instruct_jax.tasks.prompts import ZERO_SHOT, PromptSettings, as_settings
from instruct_jax.tasks.splits import NOTHING_HELD_OUT, HeldOut
from instruct_jax.tasks.words import load_words
from instruct_jax.text.conversation import ChatTemplate

PACKAGES = ("instruct-jax", "array-record", "numpy", "sentencepiece", "seqio", "tensorflow", "tokenizers")
_CACHE = ".token_cache"  # beside the dataset
_SCRATCH = "scratch"
_NAMES_SHOWN = 20
_NOT_ARRANGED = {"workdir", "workers", "cache", "check_words", "config"}


def prepare(
    workdir: str,
    mixture: str,
    tokenizer: str,
    chat_template: ChatTemplate | str,
    length: int,
    seed: int,
    examples: int | None = None,
    modules: Sequence[str] = (),
    split: str = "train",
    overflow: str = "trim_prompt",
    malformed: str = "error",
    held_out: HeldOut = NOTHING_HELD_OUT,
    evaluation: Evaluation | None = None,
    prompts: PromptSettings | Sequence[PromptSettings] = ZERO_SHOT,
    mixing: Mixing = AS_THEY_ARE,
    template_date: str | None = None,
    template_variables: Mapping[str, Any] | None = None,
    workers: int | None = None,
    cache: str | bool | None = None,
    examples_per_shard: int = 8_192,
    check_words: bool = False,
    config: str = "",
) -> None:
    """Write the dataset of a mixture: rows of `length` tokens, evaluation items, tokenizer and manifest.

    A finished dataset made from the same is used again, and so is what an interrupted attempt at the same left in
    `<workdir>.partial`, shard by shard. The same arguments and sources give the same bytes, whatever `workers` and `cache`
    are and however often the work was interrupted.

    Args:
      workdir: the dataset's folder.
      mixture: name of a registered SeqIO mixture or task.
      tokenizer: what `load_tokenizer` reads, or one of a run's states.
      chat_template: how turns are written; or a path, of which `load_chat_template` reads it, or one of a run's states.
      length: T, tokens a row.
      seed: decides which examples, their order and their wordings.
      examples: how many examples in all; None for the sum of the tasks' sizes.
      modules: imported first; they register tasks.
      split: the split to train on.
      overflow: what to do with texts longer than a row; see `instruct_jax.text.overflow.fit`.
      malformed: "error" stops at a record that cannot be used, "skip" passes it over and counts it.
      held_out: clusters and datasets that training never sees.
      evaluation: which items to keep back for evaluation; None for none.
      prompts: how prompts are made: one setting, or several of which each example wears one.
      mixing: how the tasks are weighed, capped and repeated.
      template_date: "YYYY-MM-DD" for a Jinja template that writes today's date; None: as the template has it.
      template_variables: what else a Jinja template is given, such as {"enable_thinking": False}.
      workers: how many processes; None for one on every core.
      cache: folder of the token cache, which keeps texts as tokens for other mixtures of the same tasks; None for
        `.token_cache` beside `workdir`, False or "" for none. It is never emptied: delete it when it has grown too large.
      examples_per_shard: how many consecutive examples are packed together into a file; memory of each worker holds so many.
      check_words: whether to stop where an example shares long runs of words with an evaluation item; the data report finds
        and shows the same afterwards.
      config: the configuration text, for the manifest.

    Raises:
      InputError: bad arguments or records, examples that hold evaluation items, or something else lies in `workdir`.
    """
    console, start, folder = Console(), time.monotonic(), Path(workdir)
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}; expected at least 1, or None for one on every core")
    workers = workers or all_cores()
    job, tasks = arranged(
        mixture=mixture,
        tokenizer=tokenizer,
        chat_template=chat_template,
        length=length,
        seed=seed,
        examples=examples,
        modules=modules,
        split=split,
        overflow=overflow,
        malformed=malformed,
        held_out=held_out,
        evaluation=evaluation,
        prompts=prompts,
        mixing=mixing,
        template_date=template_date,
        template_variables=template_variables,
        examples_per_shard=examples_per_shard,
    )
    with sole_maker(folder):
        _prepare(job, tasks, folder, workers, _cache_folder(cache, folder), check_words, config, console, start)


def _prepare(
    job: Preparation,
    tasks: list[MixtureTask],
    folder: Path,
    workers: int,
    cache: Path | None,
    check_words: bool,
    config: str,
    console: Console,
    start: float,
) -> None:
    description = job.description(tasks)
    if is_finished(folder, description):
        say(console, f"prepare: {folder} is finished and was made from the same; it stays as it is")
        if check_words and job.evaluation is not None:
            with tempfile.TemporaryDirectory() as scratch:
                refuse_shared_words(open_preparation(job, tasks, Path(scratch), None), read_items(folder), console)
        return
    made_by = versions(*PACKAGES)
    partial = resumable_partial(folder, {"identity": description["identity"], "versions": made_by})
    materialise_ahead(job, tasks, partial / _SCRATCH, workers)
    opened = open_preparation(job, tasks, partial / _SCRATCH, cache)
    for file in [] if opened.cache is None else opened.cache.refused:
        say(console, f"prepare: {file} is damaged, or no file of texts; what it should hold is made anew")
    say(console, f"prepare: {len(tasks):,} tasks opened in {time.monotonic() - start:.1f} s")
    results = write_rows(opened, partial, workers, console)
    about = {**description, "config": config, "versions": made_by}
    manifest = finish(opened, results, partial, folder, about, console, check_words)
    print_table(manifest["tasks"], console)
    tokens, seconds = manifest["tokens"], time.monotonic() - start
    say(
        console,
        f"prepare: {folder}: rows of {job.length} tokens, density {manifest['density']:.4f}; {tokens:,} tokens, of which "
        f"{manifest['supervised']:,} supervised, in {seconds:.1f} s ({tokens / seconds:,.0f} tokens/s, workers: {workers})",
    )


def arranged(
    *,
    modules: Sequence[str],
    tokenizer: str,
    chat_template: ChatTemplate | str,
    template_date: str | None,
    template_variables: Mapping[str, Any] | None,
    prompts: PromptSettings | Sequence[PromptSettings],
    **others: Any,
) -> tuple[Preparation, list[MixtureTask]]:
    """A preparation and the tasks of its mixture, from arguments of `prepare`: those named here and `Preparation`'s own.

    Raises:
      InputError: bad arguments.
    """
    import_modules(modules)
    words, template = load_words(tokenizer, chat_template, template_date, template_variables)
    job = Preparation(tokenizer=words, chat_template=template, prompts=as_settings(prompts), **others)
    return job, mixture_tasks(job.mixture, job.held_out)


def arrangement(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments of `prepare` that `arranged` takes, defaults filled in: what decides the bytes of a dataset."""
    parameters = inspect.signature(prepare).parameters
    return {name: values.get(name, one.default) for name, one in parameters.items() if name not in _NOT_ARRANGED}


def finish(
    opened: OpenPreparation,
    results: Sequence[ShardResult],
    partial: Path,
    folder: Path,
    description: Mapping[str, Any],
    console: Console,
    check_words: bool,
) -> dict[str, Any]:
    """Make a dataset of written shards: evaluation items, tokenizer, manifest, and the folder moved into place.

    Args:
      opened: the preparation.
      results: of all its shards, in order; their files lie in `partial`.
      partial: from `resumable_partial`.
      folder: the dataset's.
      description: what the manifest says besides.
      console: hears of the items.
      check_words: see `prepare`.

    Returns:
      The manifest.

    Raises:
      InputError: there are no rows, no items where some are wanted, or examples hold some of them.
    """
    job, rows = opened.preparation, summary(opened, results)
    manifest = {**description, **rows}
    if job.evaluation is not None:
        trained = {task["name"] for task in rows["tasks"] if task["examples"]}
        items, without, skipped = evaluation_items(
            job.evaluation, opened.tasks, job.held_out, job.prompts, job.tokenizer, job.malformed, partial / _SCRATCH, trained
        )
        if check_words:
            refuse_shared_words(opened, items, console)
        manifest["items"], manifest["items_skipped"] = write_items(partial, items), skipped
        shown = ", ".join(without[:_NAMES_SHOWN]) + (
            f" and {len(without) - _NAMES_SHOWN} others" if without[_NAMES_SHOWN:] else ""
        )
        notes = [f"; none from {shown}" if without else "", f"; {skipped:,} malformed skipped" if skipped else ""]
        say(console, f"prepare: {manifest['items']:,} evaluation items" + "".join(notes))
    shutil.rmtree(partial / "tokenizer", ignore_errors=True)
    job.tokenizer.save(partial / "tokenizer")
    complete(partial, folder, manifest)
    return manifest


def _cache_folder(cache: str | bool | None, workdir: Path) -> Path | None:
    if cache is None or cache is True:
        return workdir.resolve().parent / _CACHE
    return Path(cache) if cache else None
