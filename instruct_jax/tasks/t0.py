"""A tree of instruction files, `<cluster>/<dataset>/<template>.jsonl`, as SeqIO tasks: one a dataset, discovered.

This is the layout of T0's training prompts as released with Self-Instruct: a line is {"prompt", "completion"}, the wording
already applied, and a file is one template of its dataset.

About a tenth of every file is the validation split, unless told otherwise; the rest is for training. Rows made from one
source go to one split together, under all their wordings: `shared_sources` finds them by their words, since files of a
dataset may list different items, or the same passage at different places. Rows about one thing that share neither a place
nor a long sentence are not found.
"""

import collections
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import seqio

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.records import JsonRecords, MalformedRow, Records
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.shared_sources import shared_sources, validation_sources
from instruct_jax.tasks.sources import RecordSource
from instruct_jax.text.templates import Template

_MOST_OPTIONS = 20
_ROWS_PER_OPTION = 10
_SPLIT_VERSION = 2  # raise it when the same files would be split otherwise
_TURNED_ROUND = (  # ends of the names, in small letters, of released templates that ask for a part of the question
    "generate_question",
    "generate_question_by_answer",
    "generate_question_from_topic",
    "generate_the_question_from_the_answer",
    "jeopardy_style",
    "topic_prediction_answer_only",
    "topic_prediction_question_only",
    "topic_prediction_question_and_answer_pair",
    "title_generation",
    "guess_title_for_context",
    "build_story_around_qa",
    "generate_story",
    "spice_up_story",
    "generate_review",
    "reverse_writing",
    "expand_reverse_task",
    "write_an_article",
    "write_its_sentence",
    "sentence_to_concepts",
    "topics_from_the_sentence",
    "original_explain_relation",
    "original_generate_subject",
    "original_generate_subject_and_object",
    "which_of_the_following_is_the_supposed_perturbation",
    "what_is_the_missing_first_step",
    "what_might_be_the_first_step_of_the_process",
    "what_might_be_the_last_step_of_the_process",
    "what_is_the_final_step_of_the_following_process",
    "guess_person",
)
_FEWEST_TEMPLATES = 4  # datasets with fewer templates reserve none


def add_mixture(
    folder: str,
    name: str = "t0",
    rate: float | Callable[[seqio.Task], float] = seqio.mixing_rate_num_examples,
    reserved_templates: int = 1,
    validation_share: float = 0.1,
    metrics: Sequence[str] = ("exact_match",),
) -> str:
    """Register a task for each dataset of a tree, and the mixture of them all; a second call replaces the first.

    Args:
      folder: the tree.
      name: of the mixture; tasks are called `<name>_<dataset>`.
      rate: of every task; in proportion to its examples unless told otherwise.
      reserved_templates: how many templates to reserve for evaluation in each dataset that has at least four, by hash of
        their names.
      validation_share: how much of every file is the validation split, at most; 0 for none.
      metrics: scorer names for generated answers.

    Returns:
      The mixture's name.

    Raises:
      InputError: the folder is not such a tree.
    """
    if not 0 <= validation_share < 1:
        raise InputError(f"validation_share is {validation_share}; expected from 0 to below 1")
    datasets = _datasets(Path(folder))
    tasks = [_add_task(name, files, reserved_templates, validation_share, tuple(metrics)) for files in datasets]
    if name in seqio.MixtureRegistry.names():
        seqio.MixtureRegistry.remove(name)
    seqio.MixtureRegistry.add(name, [(task, rate) for task in tasks])
    return name


class TreeSource(RecordSource):
    """The files of one dataset: records of {"prompt", "completion", "template", "source"} and, where inferred, "options".

    Args:
      files: the dataset's files.
      reserved: names of the templates that the training split leaves out.
      validation_share: how much of every file is the validation split, at most.
    """

    def __init__(self, files: Sequence[Path], reserved: Sequence[str], validation_share: float):
        super().__init__(splits=("train", "validation") if validation_share else ("train",))
        self._files, self._reserved, self._validation_share = tuple(files), frozenset(reserved), validation_share

    def __repr__(self) -> str:
        return f"TreeSource({self._files[0].parent})"

    def read(self, split: str) -> "TreeRecords":
        wordings, validation = self._wordings
        places = [
            (number, row)
            for number, wording in enumerate(wordings)
            if split != "train" or wording.name not in self._reserved
            for row, source in enumerate(wording.sources.tolist())
            if (source in validation) == (split == "validation")
        ]
        return TreeRecords(wordings, places)

    def identity(self, split: str) -> Any:
        files = [wording.rows.identity() for wording in self._wordings[0]]
        return [_SPLIT_VERSION, split, sorted(self._reserved), self._validation_share, files]

    @functools.cached_property
    def _wordings(self) -> "tuple[list[_Wording], set[int]]":
        """Every file, and the sources that validation has; one pass over the files for both splits."""
        opened = [JsonRecords([file]) for file in self._files]
        read = [list(rows.columns("prompt", "completion")) for rows in opened]
        completions = [[completion for _, completion in file] for file in read]
        texts = [[f"{prompt}\n{completion}" for prompt, completion in file] for file in read]
        sources = shared_sources(texts)
        everything = [text for file in texts for text in file]
        order = sorted(set(np.concatenate(sources).tolist()), key=lambda source: _sha256(everything[source]))
        wordings = [
            _Wording(file.stem, rows, of_row, answer_options([one for one in answers if isinstance(one, str)]))
            for file, rows, of_row, answers in zip(self._files, opened, sources, completions, strict=True)
        ]
        return wordings, validation_sources(sources, self._validation_share, order)


@dataclasses.dataclass(frozen=True)
class _Wording:
    """One file: its template's name, its rows, the source of each, and the options of its answers."""

    name: str
    rows: JsonRecords
    sources: np.ndarray
    options: list[str] | None


class TreeRecords(Records):
    """The rows of one split of a dataset's files, at these (file, row) places."""

    def __init__(self, wordings: "Sequence[_Wording]", places: Sequence[tuple[int, int]]):
        self._wordings, self._places, self.size = wordings, places, len(places)

    def __getitem__(self, index: int) -> dict[str, Any]:
        number, row = self._places[index]
        wording = self._wordings[number]
        fields = _checked(wording.rows, row)
        record = {"prompt": fields["prompt"], "completion": fields["completion"], "template": wording.name}
        record["source"] = int(wording.sources[row])
        return record if wording.options is None else {**record, "options": wording.options}

    def where(self, index: int) -> str:
        number, row = self._places[index]
        return self._wordings[number].rows.where(row)


def answer_options(completions: Sequence[str]) -> list[str] | None:
    """The alternatives of a classification template, inferred from its completions; None where there are none to infer.

    >>> answer_options(["Yes", "No"] * 10)
    ['No', 'Yes']
    >>> answer_options(["a fine day", "a long road"])
    """
    distinct = sorted(set(completions))
    if 2 <= len(distinct) <= _MOST_OPTIONS and len(completions) >= _ROWS_PER_OPTION * len(distinct):
        return distinct
    return None


def turned_round(name: str) -> bool:
    """Whether a template asks for something other than its dataset's answer; such a one is trained and never scored.

    The files do not say so, and many right answers fit the like of "write a review", so it is told by the released names.

    >>> turned_round("dbert_generate_question"), turned_round("dbert_based_on")
    (True, False)
    """
    return name.lower().endswith(_TURNED_ROUND)


def reserved_names(names: Sequence[str], count: int) -> list[str]:
    """The templates that a dataset reserves: those whose names hash lowest, so that no score and no author chooses them.

    Those turned round are passed over, since they would not be asked.

    >>> reserved_names(["a", "b", "c"], 1)
    []
    """
    if len(names) < _FEWEST_TEMPLATES:
        return []
    return sorted((name for name in names if not turned_round(name)), key=_sha256)[:count]


def _datasets(folder: Path) -> list[list[Path]]:
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; give a tree of <cluster>/<dataset>/<template>.jsonl")
    by_dataset: dict[Path, list[Path]] = collections.defaultdict(list)
    for file in sorted(folder.glob("*/*/*.jsonl")):
        by_dataset[file.parent].append(file)
    if not by_dataset:
        raise InputError(f"{folder} holds no <cluster>/<dataset>/<template>.jsonl; check the path")
    names = collections.Counter(dataset.name for dataset in by_dataset)
    repeated = [name for name, count in names.items() if count > 1]
    if repeated:
        raise InputError(f"{folder}: dataset {repeated[0]!r} is there in two clusters; names of datasets must be unique")
    return list(by_dataset.values())


def _add_task(
    name: str, files: Sequence[Path], reserved_templates: int, validation_share: float, metrics: tuple[str, ...]
) -> str:
    dataset, cluster = files[0].parent.name, files[0].parent.parent.name
    reserved = reserved_names([file.stem for file in files], reserved_templates)
    templates = tuple(
        Template(
            file.stem,
            prompt="{prompt}",
            response="{completion}",
            original_task=not turned_round(file.stem),
            reserved=file.stem in reserved,
        )
        for file in files
    )
    task = f"{name}_{dataset}"
    if task in seqio.TaskRegistry.names():
        seqio.TaskRegistry.remove(task)
    instruct = Instruct(templates, cluster, dataset, metrics, template_field="template", source_field="source")
    source = TreeSource(files, reserved, validation_share)
    seqio.TaskRegistry.add(task, source=source, preprocessors=[instruct], output_features=text_features())
    return task


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _checked(rows: JsonRecords, row: int) -> dict[str, Any]:
    fields = rows[row]
    for name in ("prompt", "completion"):
        if not isinstance(fields.get(name), str):
            found = type(fields[name]).__name__ if name in fields else "nothing"
            raise MalformedRow(
                f"{rows.where(row)}: field {name!r} must be text, found {found}; mend the row, or skip malformed rows"
            )
    return fields
