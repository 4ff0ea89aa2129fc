"""prepare: a mixture of SeqIO tasks becomes a dataset folder of packed rows (a program)."""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from instruct_jax.artifacts.dataset import DatasetWriter
from instruct_jax.artifacts.items import write_items
from instruct_jax.artifacts.manifest import versions
from instruct_jax.progress import say
from instruct_jax.tasks.counts import print_table
from instruct_jax.tasks.evaluation import Evaluation, evaluation_items
from instruct_jax.tasks.instruct import ZERO_SHOT, PromptSettings
from instruct_jax.tasks.mixture import import_modules, mixture_tasks
from instruct_jax.tasks.preparation import Preparation, is_finished
from instruct_jax.tasks.rows import write_rows
from instruct_jax.tasks.splits import NOTHING_HELD_OUT, HeldOut
from instruct_jax.tasks.words import load_words
from instruct_jax.text.conversation import ChatTemplate


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
    prompts: PromptSettings = ZERO_SHOT,
    template_date: str | None = None,
    template_variables: Mapping[str, Any] | None = None,
    config: str = "",
) -> None:
    """Write the dataset of a mixture: rows of `length` tokens, evaluation items, tokenizer and manifest.

    A finished dataset made from the same is used again; what an interrupted attempt left is made anew. The same arguments
    and sources give the same bytes.

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
      prompts: how prompts are made.
      template_date: "YYYY-MM-DD" for a Jinja template that writes today's date; None: as the template has it.
      template_variables: what else a Jinja template is given, such as {"enable_thinking": False}.
      config: the configuration text, for the manifest.

    Raises:
      InputError: bad arguments or records, or something else lies in `workdir`.
    """
    console, start, folder = Console(), time.monotonic(), Path(workdir)
    import_modules(modules)
    words, template = load_words(tokenizer, chat_template, template_date, template_variables)
    job = Preparation(
        mixture=mixture,
        tokenizer=words,
        chat_template=template,
        length=length,
        seed=seed,
        examples=examples,
        split=split,
        overflow=overflow,
        malformed=malformed,
        held_out=held_out,
        evaluation=evaluation,
        prompts=prompts,
    )
    tasks = mixture_tasks(mixture, held_out)
    description = job.description(tasks)
    if is_finished(folder, description):
        say(console, f"prepare: {folder} is finished and was made from the same; it stays as it is")
        return
    writer = DatasetWriter(folder)
    scratch = writer.folder / "scratch"
    rows = write_rows(job, tasks, writer, scratch, console)
    manifest = {**description, "config": config, "versions": versions(*_PACKAGES), **rows}
    if evaluation is not None:
        trained = {task["name"] for task in rows["tasks"] if task["examples"]}
        items, without, skipped = evaluation_items(
            evaluation, tasks, held_out, prompts, job.tokenizer, malformed, scratch, trained
        )
        manifest["items"], manifest["items_skipped"] = write_items(writer.folder, items), skipped
        notes = [f"; none from {', '.join(without)}" if without else "", f"; {skipped:,} malformed skipped" if skipped else ""]
        say(console, f"prepare: {manifest['items']:,} evaluation items" + "".join(notes))
    job.tokenizer.save(writer.folder / "tokenizer")
    shutil.rmtree(scratch, ignore_errors=True)
    writer.finish(manifest)
    print_table(manifest["tasks"], console)
    tokens, seconds = manifest["tokens"], time.monotonic() - start
    say(
        console,
        f"prepare: {folder}: rows of {length} tokens, density {manifest['density']:.4f}; {tokens:,} tokens, of which "
        f"{manifest['supervised']:,} supervised, in {seconds:.1f} s ({tokens / seconds:,.0f} tokens/s)",
    )


_PACKAGES = ("instruct-jax", "array-record", "numpy", "sentencepiece", "seqio", "tensorflow", "tokenizers")
