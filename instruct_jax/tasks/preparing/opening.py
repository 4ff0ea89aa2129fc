"""A preparation with its tasks opened: which example stands where, how it is rendered, and what the token cache has."""

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import seqio

from instruct_jax.tasks.examples import Examples, InstructionExamples, TokenExamples, open_examples, open_records
from instruct_jax.tasks.instruct import Instruct
from instruct_jax.tasks.mixing import Allotment, TaskShape, allot
from instruct_jax.tasks.mixture import MixtureTask
from instruct_jax.tasks.order import Draw, Order
from instruct_jax.tasks.preparing.counts import TaskCounts
from instruct_jax.tasks.preparing.preparation import Preparation
from instruct_jax.tasks.preparing.rendering import Renderer
from instruct_jax.tasks.preparing.token_cache import Text, TokenCache, task_key
from instruct_jax.tasks.preparing.workers import Crew, untold
from instruct_jax.tasks.prompted import check_supported
from instruct_jax.tasks.sources import RecordSource
from instruct_jax.tasks.worded_records import WordedRecords

_MEASURED = 128  # examples of a task whose mean stands for all


@dataclasses.dataclass(frozen=True)
class OpenPreparation:
    """All that a shard is written from. Processes forked from this one share it.

    Attributes:
      preparation: the arguments.
      tasks: of the mixture, held-out ones included.
      renderer: makes texts of examples.
      sizes: of the tasks; None for no end.
      allotment: how many examples each task gives.
      order: which example stands where.
      cache: the token cache; None where it is off.
      kept: of each task whose texts the cache keeps, its key.
    """

    preparation: Preparation
    tasks: tuple[MixtureTask, ...]
    renderer: Renderer
    sizes: tuple[int | None, ...]
    allotment: Allotment
    order: Order
    cache: TokenCache | None
    kept: Mapping[int, bytes]

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return -(-len(self.order) // self.preparation.examples_per_shard)

    def draws(self, shard: int) -> list[Draw]:
        """The places of a shard."""
        size = self.preparation.examples_per_shard
        return self.order.stretch(shard * size, min((shard + 1) * size, len(self.order)))

    def cache_place(self, draw: Draw) -> tuple[bytes, int, int]:
        """Under what the cache keeps the text of a place: in another epoch only what wears templates reads otherwise."""
        worn = isinstance(self.renderer.examples[draw.task], InstructionExamples)
        return self.kept[draw.task], draw.index, draw.epoch if worn else 0

    def cached(self, draws: Sequence[Draw]) -> list[Text | None]:
        """The texts that the cache has, None for the others."""
        found: list[Text | None] = [None] * len(draws)
        if self.cache is None or not len(self.cache):
            return found
        by_key: dict[bytes, list[tuple[int, int, int]]] = {}
        for place, draw in enumerate(draws):
            if draw.task in self.kept:
                key, index, epoch = self.cache_place(draw)
                by_key.setdefault(key, []).append((place, index, epoch))
        for key, uses in by_key.items():
            places, indices, epochs = np.array(uses).T
            for place, number in zip(places.tolist(), self.cache.find(key, indices, epochs).tolist(), strict=True):
                if number >= 0:
                    found[place] = self.cache.read(number)
        return found


def open_preparation(job: Preparation, tasks: Sequence[MixtureTask], scratch: Path, cache: Path | None) -> OpenPreparation:
    """Open every task that is trained, and settle how much of each stands where.

    Args:
      job: the arguments.
      tasks: of the mixture, held-out ones included.
      scratch: folder for what has to be kept on disk meanwhile; `materialise_ahead` may have been there.
      cache: folder of the token cache; None for none.

    Raises:
      InputError: a task cannot be read, a prompt setting is supported by none or a task supports none of them, or the
        mixture's wishes contradict each other.
    """
    opened = {place: _opened(one, job, scratch) for place, one in enumerate(tasks) if one.rate > 0}
    check_supported(job.prompts, [one.instruct for one in opened.values() if isinstance(one, InstructionExamples)])
    sizes = tuple(opened[place].records.size if place in opened else 0 for place in range(len(tasks)))
    renderer = Renderer(opened, job.tokenizer, job.chat_template, job.malformed)
    shapes = [TaskShape(one.task.name, one.cluster, one.rate, size) for one, size in zip(tasks, sizes, strict=True)]
    if job.mixing.rates.needs_means():
        shapes = [_measured(shape, place, renderer, job) if place in opened else shape for place, shape in enumerate(shapes)]
    allotment = allot(job.mixing, shapes, job.examples)
    names = [one.task.name for one in tasks]
    order = Order(names, sizes, allotment.pools, allotment.counts, job.seed)
    spoken = [place for place, one in opened.items() if not isinstance(one, TokenExamples)] if cache is not None else []
    kept = {place: task_key(job.text_identity(tasks[place])) for place in spoken}
    texts = None if cache is None else TokenCache(cache / job.words_identity(), tuple(dict.fromkeys(kept.values())))
    return OpenPreparation(job, tuple(tasks), renderer, sizes, allotment, order, texts, kept)


def materialise_ahead(job: Preparation, tasks: Sequence[MixtureTask], scratch: Path, workers: int) -> None:
    """Put every task that tf.data must read on disk, several at once; nothing of TensorFlow is started in this process.

    Args:
      job, tasks, scratch: as for `open_preparation`.
      workers: how many processes; with one nothing is done, since opening a task does the same.

    Raises:
      InputError: a task cannot be read.
    """
    wanted = []
    for one in tasks:
        if isinstance(one.task.source, RecordSource) and not _steps(one.task):
            continue
        if one.rate > 0:
            wanted.append((one.task, job.split, job.seed))
        kept_back = None if job.evaluation is None else job.evaluation.split
        if kept_back is not None and ("[" in kept_back or kept_back in one.task.splits):
            wanted.append((one.task, kept_back, job.evaluation.seed))
    if workers == 1 or not wanted:
        return

    def materialise(number: int, tell: Callable[[None], None]) -> None:
        del tell
        task, split, seed = wanted[number]
        open_records(task, split, seed, scratch)

    with Crew(materialise, min(workers, len(wanted))) as crew:
        for _ in crew.results(range(len(wanted)), untold):
            pass


def _opened(one: MixtureTask, job: Preparation, scratch: Path) -> Examples:
    """The task's examples, without the records that come in a wording which this preparation holds out."""
    examples = open_examples(one.task, job.split, job.tokenizer, job.seed, job.prompts, scratch)
    if not isinstance(examples, InstructionExamples):
        return examples
    records, instruct = examples.records, examples.instruct
    held_out = any(job.held_out.reserves(instruct.dataset, template.id) for template in instruct.templates)
    if instruct.template_field is None or records.size is None or not held_out:
        return examples
    return InstructionExamples(WordedRecords(records, instruct), instruct, job.seed, job.prompts, job.tokenizer)


def _steps(task: seqio.Task) -> list[Callable]:
    return [step for step in task.preprocessors if not isinstance(step, Instruct)]


def _measured(shape: TaskShape, task: int, renderer: Renderer, job: Preparation) -> TaskShape:
    """The shape with what the mean of a sample of its examples leaves in the rows: trimmed, split or dropped as it will be."""
    count = _MEASURED if shape.size is None else min(shape.size, _MEASURED)
    uses = Order([shape.name], [shape.size], [shape.size], [count], job.seed).uses(0, 0, count)
    draws = [Draw(task, index, epoch) for index, epoch in uses]
    counts = TaskCounts()
    for draw, text in zip(draws, renderer.texts(draws, {task: counts}), strict=True):
        if text is not None:
            collections.deque(renderer.fitted(draw, text, job.length, job.overflow, counts), maxlen=0)
    return dataclasses.replace(shape, tokens=counts.tokens / count, supervised=counts.supervised / count)
