"""A tree of instruction files, `<cluster>/<dataset>/<template>.jsonl`, as SeqIO tasks: one a dataset, discovered.

This is the layout of T0's training prompts as released with Self-Instruct: a line is {"prompt", "completion"}, the wording
already applied, and a file is one template of its dataset.

The last tenth of every file is the validation split, unless told otherwise; the rest is for training. Files of a dataset
list the same source items in the same order, up to what a template had to leave out, so a contiguous block keeps nearly
every item out of one of the splits under all its wordings. Where files differ in which items they leave out, an item near
the border can fall on both sides: the split is an approximation.
"""

import collections
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import seqio

from instruct_jax.errors import InputError
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.sources import JsonRecords, MalformedRow, Records, RecordSource
from instruct_jax.text.templates import Template

_MOST_OPTIONS = 20
_ROWS_PER_OPTION = 10
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
      validation_share: how much of every file's end is the validation split; 0 for none.
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
    """The files of one dataset: records of {"prompt", "completion", "template", "row"} and, where inferred, "options".

    Args:
      files: the dataset's files.
      reserved: names of the templates that the training split leaves out.
      validation_share: how much of every file's end is the validation split.
    """

    def __init__(self, files: Sequence[Path], reserved: Sequence[str], validation_share: float):
        super().__init__(splits=("train", "validation") if validation_share else ("train",))
        self._files, self._reserved, self._validation_share = tuple(files), frozenset(reserved), validation_share

    def __repr__(self) -> str:
        return f"TreeSource({self._files[0].parent})"

    def read(self, split: str) -> "TreeRecords":
        files = [file for file in self._files if split != "train" or file.stem not in self._reserved]
        return TreeRecords(files, split, self._validation_share)

    def identity(self, split: str) -> Any:
        return [split, sorted(self._reserved), self._validation_share, self.records(split).identity()]


class TreeRecords(Records):
    """The rows of one split of a dataset's files."""

    def __init__(self, files: Sequence[Path], split: str, validation_share: float):
        self._files = [JsonRecords([file]) for file in files]
        self._names = [file.stem for file in files]
        self._options: dict[int, list[str] | None] = {}
        self._places = []
        for number, rows in enumerate(self._files):
            border = rows.size - int(rows.size * validation_share)
            self._places += [(number, row) for row in (range(border) if split == "train" else range(border, rows.size))]
        self.size = len(self._places)

    def __getitem__(self, index: int) -> dict[str, Any]:
        number, row = self._places[index]
        fields = _checked(self._files[number], row)
        record = {"prompt": fields["prompt"], "completion": fields["completion"], "template": self._names[number], "row": row}
        options = self._file_options(number)
        return record if options is None else {**record, "options": options}

    def where(self, index: int) -> str:
        number, row = self._places[index]
        return self._files[number].where(row)

    def identity(self) -> Any:
        return [file.identity() for file in self._files]

    def _file_options(self, number: int) -> list[str] | None:
        if number not in self._options:
            completions = list(self._files[number].values("completion"))
            self._options[number] = answer_options([one for one in completions if isinstance(one, str)])
        return self._options[number]


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


def reserved_names(names: Sequence[str], count: int) -> list[str]:
    """The templates that a dataset reserves: those whose names hash lowest, so that no score and no author chooses them.

    >>> reserved_names(["a", "b", "c"], 1)
    []
    """
    if len(names) < _FEWEST_TEMPLATES:
        return []
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:count]


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
        Template(file.stem, prompt="{prompt}", response="{completion}", reserved=file.stem in reserved) for file in files
    )
    task = f"{name}_{dataset}"
    if task in seqio.TaskRegistry.names():
        seqio.TaskRegistry.remove(task)
    instruct = Instruct(templates, cluster, dataset, metrics, template_field="template", source_field="row")
    source = TreeSource(files, reserved, validation_share)
    seqio.TaskRegistry.add(task, source=source, preprocessors=[instruct], output_features=text_features())
    return task


def _checked(rows: JsonRecords, row: int) -> dict[str, Any]:
    fields = rows[row]
    for name in ("prompt", "completion"):
        if not isinstance(fields.get(name), str):
            found = type(fields[name]).__name__ if name in fields else "nothing"
            raise MalformedRow(
                f"{rows.where(row)}: field {name!r} must be text, found {found}; mend the row, or skip malformed rows"
            )
    return fields
