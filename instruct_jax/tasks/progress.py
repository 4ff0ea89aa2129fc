"""How far a preparation is: a bar in a terminal, a plain line now and then in a log."""

import contextlib
import time
from collections.abc import Callable, Iterator

import rich.progress
from rich.console import Console

_SECONDS_BETWEEN_LINES = 5.0


def say(console: Console, line: str) -> None:
    """One plain line."""
    console.print(f"prepare: {line}", markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def progress(console: Console, title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Within it, call what it yields with how many of `total` are done."""
    if console.is_terminal:
        columns = (
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeRemainingColumn(),
        )
        with rich.progress.Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda done: bar.update(task, completed=done)
        return
    said = time.monotonic()

    def show(done: int) -> None:
        nonlocal said
        if time.monotonic() - said >= _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            say(console, f"{title}: {done:,} of {total:,}")

    yield show
