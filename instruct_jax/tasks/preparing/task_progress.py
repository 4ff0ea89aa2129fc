"""How far a preparation is, task by task: bars in a terminal, a plain line now and then in a log."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import numpy as np
import rich.progress
from rich.console import Console

from instruct_jax.progress import say

_SECONDS_BETWEEN_LINES = 10.0
_TASKS_SHOWN = 8
_NAME_WIDTH = 32


class TaskProgress:
    """Within it, `tell` what is done; a terminal shows all examples, and the tasks with most left to do.

    Args:
      console: where to show it.
      names: of the tasks.
      asked: examples that each is to give.
    """

    def __init__(self, console: Console, names: Sequence[str], asked: Sequence[int]):
        self._console, self._names = console, list(names)
        self._asked, self._done = np.array(asked, np.int64), np.zeros(len(names), np.int64)
        self._start = self._said = time.monotonic()
        self._bars: rich.progress.Progress | None = None
        self._lines: dict[int, rich.progress.TaskID] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            columns = (
                rich.progress.TextColumn("{task.description}"),
                rich.progress.BarColumn(),
                rich.progress.MofNCompleteColumn(),
                rich.progress.TimeRemainingColumn(),
            )
            self._bars = rich.progress.Progress(*columns, console=self._console, transient=True)
            self._all = self._bars.add_task(self._title(), total=int(self._asked.sum()))
            for task in np.argsort(-self._asked, kind="stable")[:_TASKS_SHOWN].tolist():
                if self._asked[task]:
                    self._lines[task] = self._bars.add_task(f"  {_shown(self._names[task])}", total=int(self._asked[task]))
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()
        if kind is None and self._asked.sum():
            say(self._console, f"prepare: {self._done.sum():,} examples in {time.monotonic() - self._start:.1f} s")

    def tell(self, counts: Mapping[int, int]) -> None:
        """So many more places of these tasks are done."""
        for task, count in counts.items():
            self._done[task] += count
        seconds = time.monotonic() - self._start
        if self._bars is not None:
            self._bars.update(self._all, completed=int(self._done.sum()), description=self._title())
            self._show_busiest()
        elif time.monotonic() - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            done, asked = int(self._done.sum()), int(self._asked.sum())
            say(self._console, f"{self._title()}: {done:,} of {asked:,} examples, {done / seconds:,.0f} a second")

    def _title(self) -> str:
        wanted = self._asked > 0
        return f"prepare: {int((self._done >= self._asked)[wanted].sum()):,} of {int(wanted.sum()):,} tasks done"

    def _show_busiest(self) -> None:
        """Put a task with work left in the place of each one shown that is done."""
        for task in [task for task in self._lines if self._done[task] >= self._asked[task]]:
            waiting = [int(one) for one in np.argsort(self._done - self._asked, kind="stable")[: 2 * _TASKS_SHOWN]]
            following = next((one for one in waiting if one not in self._lines and self._done[one] < self._asked[one]), None)
            if following is not None:
                line = self._lines.pop(task)
                self._lines[following] = line
                self._bars.update(line, description=f"  {_shown(self._names[following])}", total=int(self._asked[following]))
        for task, line in self._lines.items():
            self._bars.update(line, completed=int(self._done[task]))


def _shown(name: str) -> str:
    """A name that leaves a terminal room for the numbers beside it.

    >>> _shown("a_rather_long_name_of_a_task_number_0001")
    'a_rather_long_na…task_number_0001'
    """
    return name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH // 2]}…{name[-(_NAME_WIDTH // 2) :]}"
