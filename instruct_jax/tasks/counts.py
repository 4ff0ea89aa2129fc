"""What prepare tells of each task: what was asked, what came of it, and why the rest did not."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclasses.dataclass
class TaskCounts:
    """Running counts of one task.

    Attributes:
      asked: examples that the mixture allots to it.
      examples: of these, how many are in the rows.
      tokens, supervised: tokens in the rows, and those with a loss weight.
      trimmed: examples whose prompt was shortened.
      split: documents cut into pieces.
      dropped: examples too long for a row, under the overflow policy.
      unsupervised: examples (or pieces) left out because no token of theirs would have been trained.
      unrolled: texts beyond one for each conversation, where the chat template writes earlier turns otherwise than it
        served them, so that they are trained in a text of their own.
      skipped: malformed records passed over.
    """

    asked: int = 0
    examples: int = 0
    tokens: int = 0
    supervised: int = 0
    trimmed: int = 0
    split: int = 0
    dropped: int = 0
    unsupervised: int = 0
    unrolled: int = 0
    skipped: int = 0


_REASONS = ("trimmed", "split", "dropped", "unsupervised", "unrolled", "skipped")


def print_table(tasks: Sequence[Mapping[str, Any]], console: Console) -> None:
    """One line a task of the manifest's table, with those columns that have something to tell."""
    columns = ["share", "asked", "examples", "epochs", "tokens", "supervised"]
    if all(task["asked"] == task["examples"] for task in tasks):
        columns.remove("asked")
    columns += [name for name in _REASONS if any(task[name] for task in tasks)]
    table = Table(title="tasks in the dataset")
    table.add_column("task", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    rate = sum(task["rate"] for task in tasks)
    for task in tasks:
        if task["held_out"]:
            table.add_row(task["name"], "held out")
        else:
            table.add_row(task["name"], *(_cell(name, {**task, "share": task["rate"] / rate}) for name in columns))
    table.add_section()
    names = ("asked", "examples", "tokens", "supervised", *_REASONS)
    table.add_row("all", *(_cell(name, {n: sum(task[n] for task in tasks) for n in names}) for name in columns))
    # A log has no width of its own: there the table takes what it needs.
    (console if console.is_terminal else Console(width=_LOG_WIDTH)).print(table)


_LOG_WIDTH = 160


def _cell(name: str, values: Mapping[str, Any]) -> str:
    if values.get(name) is None:
        return ""
    return {"share": "{:.2%}", "epochs": "{:.2f}"}.get(name, "{:,}").format(values[name])
