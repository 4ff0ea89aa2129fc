"""What prepare tells of each task: what was asked, what came of it, and why the rest did not."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

from rich.console import Console
from rich.table import Table


@dataclasses.dataclass
class TaskCounts:
    """Running counts of one task.

    Attributes:
      examples: of those that the mixture asked for, how many are in the rows.
      tokens, supervised: tokens in the rows, and those with a loss weight.
      trimmed: texts whose prompt was shortened.
      split: documents cut into pieces.
      dropped: texts too long for a row, under the overflow policy.
      unsupervised: texts (or pieces) left out because no token of theirs would have been trained.
      unrolled: texts beyond one for each conversation, where the chat template writes earlier turns otherwise than it
        served them, so that they are trained in a text of their own.
      skipped: malformed records passed over.
      settings: examples by number of their prompt setting.
    """

    examples: int = 0
    tokens: int = 0
    supervised: int = 0
    trimmed: int = 0
    split: int = 0
    dropped: int = 0
    unsupervised: int = 0
    unrolled: int = 0
    skipped: int = 0
    settings: dict[int, int] = dataclasses.field(default_factory=dict)

    def __add__(self, other: Self) -> Self:
        """The counts of both.

        >>> (TaskCounts(examples=2, settings={0: 2}) + TaskCounts(examples=1, settings={1: 1})).settings
        {0: 2, 1: 1}
        """
        numbers = {name: getattr(self, name) + getattr(other, name) for name in NUMBERS}
        together = {*self.settings, *other.settings}
        settings = {one: self.settings.get(one, 0) + other.settings.get(one, 0) for one in sorted(together)}
        return type(self)(**numbers, settings=settings)

    def to_json(self) -> dict[str, Any]:
        """What is not zero, as JSON values."""
        found: dict[str, Any] = {name: getattr(self, name) for name in NUMBERS if getattr(self, name)}
        return {**found, "settings": {str(one): count for one, count in sorted(self.settings.items())}}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        settings = {int(one): count for one, count in fields["settings"].items()}
        return cls(**{name: fields.get(name, 0) for name in NUMBERS}, settings=settings)


NUMBERS = tuple(field.name for field in dataclasses.fields(TaskCounts) if field.name != "settings")
_REASONS = ("trimmed", "split", "dropped", "unsupervised", "unrolled", "skipped")
_ROWS_SHOWN = 100
_LOG_WIDTH = 160
_NAME_WIDTH = 24
_HELD_OUT = "held out"


def print_table(tasks: Sequence[Mapping[str, Any]], console: Console) -> None:
    """One line a task of the manifest's table, with those columns that have something to tell; the largest of very many."""
    columns = ["share", "asked", "examples", "epochs", "tokens", "supervised"]
    if all(task["asked"] == task["examples"] for task in tasks):
        columns.remove("asked")
    columns += [name for name in _REASONS if any(task[name] for task in tasks)]
    # A log has no width of its own: there the table takes what it needs.
    console = console if console.is_terminal else Console(width=_LOG_WIDTH)
    columns = _fitting(columns, tasks, console.width)
    table = Table(title="tasks in the dataset")
    table.add_column("task", overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    largest = sorted(tasks, key=lambda task: -task["tokens"])[:_ROWS_SHOWN]
    shown = tasks if len(tasks) <= _ROWS_SHOWN else largest
    for task in shown:
        if task["held_out"]:
            table.add_row(task["name"], _HELD_OUT)
        else:
            table.add_row(task["name"], *(_cell(name, task) for name in columns))
    if len(shown) < len(tasks):
        table.add_row(f"and {len(tasks) - len(shown):,} smaller ones")
    table.add_section()
    names = ("asked", "examples", "tokens", "supervised", *_REASONS)
    table.add_row("all", *(_cell(name, {n: sum(task[n] for task in tasks) for n in names}) for name in columns))
    console.print(table)


def _fitting(columns: Sequence[str], tasks: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """Those columns that a terminal has room for with whole numbers in them: a cut number is a wrong one."""
    totals = {name: sum(task[name] for task in tasks) for name in columns if name not in ("share", "epochs")}
    cells = {name: _cell(name, {"share": 1.0, "epochs": 10.0, **totals}) for name in columns}
    sizes = {name: max(map(len, (name, cell, _HELD_OUT))) + 3 for name, cell in cells.items()}
    for name in ("epochs", "share", "supervised", *reversed(_REASONS)):
        if _NAME_WIDTH + sum(sizes.values()) <= width:
            break
        sizes.pop(name, None)
    return list(sizes)


def _cell(name: str, values: Mapping[str, Any]) -> str:
    if values.get(name) is None:
        return ""
    return {"share": "{:.2%}", "epochs": "{:.2f}"}.get(name, "{:,}").format(values[name])
