"""How far an evaluation is: a bar in a terminal, a plain line now and then in a log."""

import contextlib
import time
from collections.abc import Callable, Iterator

import rich.progress
from rich.console import Console

_SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def progress(console: Console, title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Within it, call what it yields with the number of items just done."""
    start = time.monotonic()
    if console.is_terminal:
        columns = (
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeRemainingColumn(),
        )
        with rich.progress.Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda count: bar.advance(task, count)
    else:
        done, said = 0, start

        def advance(count: int) -> None:
            nonlocal done, said
            done += count
            if time.monotonic() - said >= _SECONDS_BETWEEN_LINES and done < total:
                said = time.monotonic()
                _say(console, f"{title}: {done} of {total} items")

        yield advance
    _say(console, f"{title}: {total} items in {time.monotonic() - start:.1f} s")


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
