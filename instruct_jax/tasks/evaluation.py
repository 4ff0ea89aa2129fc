"""What a preparation keeps back for evaluation: records of another split, asked in every wording, as items."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import seqio

from instruct_jax.artifacts.items import Item
from instruct_jax.errors import InputError
from instruct_jax.tasks.examples import InstructionExamples, TextExamples, instruct_of, open_examples, open_records
from instruct_jax.tasks.exemplars import Exemplars
from instruct_jax.tasks.files.records import MalformedRow, Records
from instruct_jax.tasks.instruct import Instruct
from instruct_jax.tasks.mixture import MixtureTask
from instruct_jax.tasks.order import seeded_generator
from instruct_jax.tasks.prompted import Prompter
from instruct_jax.tasks.prompts import ZERO_SHOT, PromptSettings, as_settings
from instruct_jax.tasks.splits import HeldOut
from instruct_jax.text.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Which items to write.

    The choice of records depends on nothing but their own content or number and `seed`, so preparations with other seeds,
    rates or lengths ask the same questions.

    Attributes:
      split: the split to take records from; never the training split.
      items_per_template: records asked in each wording of each dataset.
      text_items: documents of each plain-text task.
      seed: of the choice of records and exemplars; a source without end gives its first ones whatever the seed.
      prompts: how the questions are asked. With exemplars, they come from `exemplar_split`, of held-out tasks too; an item
        that gets none is not asked.
      exemplar_split: the split whose records are exemplars; never the one that is asked.
    """

    split: str = "validation"
    items_per_template: int = 50
    text_items: int = 100
    seed: int = 0
    prompts: PromptSettings = ZERO_SHOT
    exemplar_split: str = "train"

    def __post_init__(self):
        for name, needed in (("chain_of_thought", False), ("inversion", None), ("templates", None)):
            if getattr(self.prompts, name) is not needed:
                raise InputError(
                    f"Evaluation.prompts.{name} is {getattr(self.prompts, name)}; every wording that is not turned round is "
                    f"asked for its plain answer, which is what metrics score: leave it {needed}"
                )
        if self.prompts.shots and whole_splits(self.split) & whole_splits(self.exemplar_split):
            raise InputError(
                f"Evaluation.exemplar_split is {self.exemplar_split!r} and its split {self.split!r}: exemplars would be "
                "questions of the evaluation; name another split"
            )


def whole_splits(split: str) -> set[str]:
    """The splits that a TFDS expression takes slices of.

    >>> sorted(whole_splits("train[:5%]+test"))
    ['test', 'train']
    """
    return {part.partition("[")[0].strip() for part in split.split("+")}


def evaluation_items(
    evaluation: Evaluation,
    tasks: Sequence[MixtureTask],
    held_out: HeldOut,
    prompts: PromptSettings | Sequence[PromptSettings],
    tokenizer: Tokenizer,
    malformed: str,
    scratch: Path,
    trained: Collection[str],
) -> tuple[list[Item], list[str], int]:
    """The items of every task that has the split, the names of those that have none to give, and the records skipped.

    Templates turned round are not asked: many answers would be right, and one is known.

    Args:
      evaluation: what to write.
      tasks: of the mixture, held-out ones included.
      held_out: what training never sees.
      prompts: of training; the trained datasets' unreserved templates that none of them uses are not asked.
      tokenizer: what token ids are checked against, and exemplars counted with.
      malformed: "error" or "skip".
      scratch: folder for what has to be kept on disk.
      trained: names of the tasks that gave examples to the rows; the datasets of others are unseen.

    Raises:
      InputError: no task has an item to give.
    """
    items, without, passed = [], [], _Passed(malformed)
    for one in tasks:
        found = []
        if _has_split(one.task, evaluation.split):
            examples = open_examples(one.task, evaluation.split, tokenizer, evaluation.seed, evaluation.prompts, scratch)
            if isinstance(examples, InstructionExamples):
                prompter = _prompter(one.task, evaluation, tokenizer, scratch)
                wordings = _split_and_wordings(examples.instruct, held_out, as_settings(prompts), one.task.name in trained)
                found = list(_asked(examples, prompter, evaluation, *wordings, passed)) if prompter else []
            elif isinstance(examples, TextExamples):
                found = list(_documents(one, examples, evaluation, passed))
        items += found
        if not found:
            without.append(one.task.name)
    if not items:
        raise InputError(
            f"no task of the mixture gives evaluation items from split {evaluation.split!r}; name a split they have, or set "
            "evaluation = None"
        )
    return items, without, passed.count


class _Passed:
    """Counts the records passed over because they cannot be used, unless such a record is to stop everything."""

    def __init__(self, malformed: str):
        self._stop, self.count = malformed == "error", 0

    @contextlib.contextmanager
    def over(self, records: Records, index: int) -> Iterator[None]:
        """Leave the block at an InputError: passed over and counted, or raised with the record's place."""
        try:
            yield
        except InputError as error:
            if self._stop:
                where = "" if isinstance(error, MalformedRow) else f"{records.where(index)}: "
                raise MalformedRow(f"{where}{error}") from None
            self.count += 1


def _has_split(task: seqio.Task, split: str) -> bool:
    return "[" in split or split in task.splits


def _prompter(task: seqio.Task, evaluation: Evaluation, tokenizer: Tokenizer, scratch: Path) -> Prompter | None:
    """What puts questions into words; None where exemplars are wanted and the task has no split to give them."""
    instruct, exemplars = instruct_of(task), None
    if evaluation.prompts.shots:
        if not _has_split(task, evaluation.exemplar_split):
            return None
        records = open_records(task, evaluation.exemplar_split, evaluation.seed, scratch / "exemplars")
        exemplars = Exemplars(records, instruct.template_field, instruct.source_field)
    return Prompter(instruct, [evaluation.prompts], evaluation.seed, exemplars, tokenizer)


def _asked(
    examples: InstructionExamples,
    prompter: Prompter,
    evaluation: Evaluation,
    split: str,
    wordings: Sequence[int],
    passed: _Passed,
) -> Iterator[Item]:
    instruct, records = examples.instruct, examples.records
    for number, index in _chosen(instruct, records, wordings, evaluation, passed):
        template = instruct.templates[number]
        asked = None
        with passed.over(records, index):
            record = records[index]
            source, asked = instruct.source(record, index), prompter.in_words(record, number)
        if asked is None or (evaluation.prompts.shots and not asked.shots):
            continue
        yield Item(
            id=f"{instruct.dataset}/{template.id}/{index}",
            source=source,
            cluster=instruct.cluster,
            dataset=instruct.dataset,
            template=template.id,
            split=split or ("held_in_unseen" if template.reserved else "held_in_seen"),
            messages=tuple((message.role, message.text) for message in asked.conversation.messages[:-1]),
            target=asked.instance.response,
            options=asked.instance.options,
            metrics=instruct.metrics,
        )


def _split_and_wordings(
    instruct: Instruct, held_out: HeldOut, prompts: Sequence[PromptSettings], trained: bool
) -> tuple[str, list[int]]:
    everything = [number for number, template in enumerate(instruct.templates) if template.original_task]
    if held_out.covers(instruct.cluster, ""):  # a relative of a held-out cluster is kept out whole too
        return "held_out_cluster", everything
    if instruct.dataset in held_out.datasets or not trained:
        return "held_out_dataset", everything
    in_use = {number for setting in prompts for number in instruct.trainable(setting)}
    return "", [number for number in everything if number in in_use or instruct.templates[number].reserved]


def _chosen(
    instruct: Instruct, records: Records, wordings: Sequence[int], evaluation: Evaluation, passed: _Passed
) -> Iterator[tuple[int, int]]:
    """(template, record) pairs: the same sources under every wording, as far as they come in it."""
    wanted = evaluation.items_per_template
    if instruct.template_field is None:
        for index in _sample(records.size, wanted, instruct.dataset, evaluation.seed):
            yield from ((number, index) for number in wordings)
        return
    by_wording: dict[str, list[tuple[str, int]]] = {instruct.templates[number].id: [] for number in wordings}
    for index in range(records.size or 0):
        with passed.over(records, index):
            record = records[index]
            name = record.get(instruct.template_field)
            if name in by_wording:
                by_wording[name].append((_rank(instruct.source(record, index), evaluation.seed), index))
    for number in wordings:
        found = sorted(by_wording[instruct.templates[number].id])[:wanted]
        yield from ((number, index) for _, index in found)


def _documents(one: MixtureTask, examples: TextExamples, evaluation: Evaluation, passed: _Passed) -> Iterator[Item]:
    for index in _sample(examples.records.size, evaluation.text_items, one.dataset, evaluation.seed):
        example = None
        with passed.over(examples.records, index):
            example = examples.example(index, 0)
        if example is None:
            continue
        if not example.document:
            return  # turns without templates: there is no telling how their answers are to be scored
        (message,) = example.content.messages
        name = f"{one.dataset}:{index}"
        yield Item(
            id=name,
            source=name,
            cluster=one.cluster or "plain_text",
            dataset=one.dataset,
            template="",
            split="plain_text",
            messages=((message.role, message.text),),
            target="",
            options=None,
            metrics=("loss",),
        )


def _sample(size: int | None, wanted: int, dataset: str, seed: int) -> list[int]:
    if size is None:
        return list(range(wanted))
    return seeded_generator(seed, f"items\0{dataset}").permutation(size)[:wanted].tolist()


def _rank(name: str, seed: int) -> str:
    return hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).hexdigest()
