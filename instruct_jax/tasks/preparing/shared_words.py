"""Refuse a preparation whose training examples share long runs of words with its evaluation items."""

import collections
from collections.abc import Iterator, Sequence

from rich.console import Console

from instruct_jax.artifacts.items import Item
from instruct_jax.curation.overlap import ContaminationIndex
from instruct_jax.errors import InputError
from instruct_jax.progress import progress
from instruct_jax.tasks.files.records import MalformedRow
from instruct_jax.tasks.order import Draw
from instruct_jax.tasks.preparing.opening import OpenPreparation
from instruct_jax.tasks.report.suites import OWN, own_suites
from instruct_jax.tasks.report.texts import Text
from instruct_jax.text.conversation import Conversation

_PER_WORDING = 24  # training texts by which a wording is told from what it is about
_SHOWN = 60  # characters of the shared words


def refuse_shared_words(opened: OpenPreparation, items: Sequence[Item], console: Console) -> None:
    """Look for every evaluation item in every training example, by the rules of `instruct_jax.curation.overlap`.

    What is the wording's own is set aside, as in the data report, which finds the same in a finished dataset and shows it.

    Args:
      opened: the preparation.
      items: its evaluation items.
      console: hears how far it is.

    Raises:
      InputError: an example and an item share too much; names both, and what they share.
    """
    by_wording: dict[tuple[str, str], list[Text]] = collections.defaultdict(list)
    for text in _texts(opened):
        task = opened.tasks[text.task]
        if text.template >= 0:
            names = opened.renderer.examples[text.task].instruct.templates
            known = by_wording[task.dataset, names[text.template].id]
            if len(known) < _PER_WORDING:
                known.append(text)
    suites = own_suites([item for item in items if item.split != "plain_text"], by_wording)
    if not suites:
        return
    index = ContaminationIndex(suites)
    with progress(console, "looking for items in examples", len(opened.order), "examples") as advance:
        for text in _texts(opened):
            advance(1)
            for hit in index.check(text.whole):
                where = opened.renderer.examples[text.task].records.where(text.example)
                task = opened.tasks[text.task].task.name
                raise InputError(
                    f"task {task}, {where}: shares {hit.words} words with the evaluation item {hit.item} of "
                    f"{hit.suite.removeprefix(OWN)} ({hit.rule}: {hit.span[:_SHOWN]!r}); hold the task out, curate its records, "
                    "or set CHECK_WORDS = False and read the data report"
                )


def _texts(opened: OpenPreparation) -> Iterator[Text]:
    """Every example that is in words, once for each use; those that cannot be read have been met, or skipped, before."""
    for draw in opened.order.draws():
        content, template = _read(opened, draw)
        if isinstance(content, Conversation):
            *asked, answer = (message.text for message in content.messages)
            yield Text(-1, -1, draw.task, template, draw.index, draw.epoch, "\n".join(asked), answer)


def _read(opened: OpenPreparation, draw: Draw) -> tuple[object, int]:
    try:
        example = opened.renderer.examples[draw.task].example(draw.index, draw.epoch)
    except MalformedRow:
        return None, -1
    return example.content, example.template
