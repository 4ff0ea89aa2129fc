"""How far a long work is: a bar in a terminal, a plain line now and then in a log."""

import contextlib
import time
from collections.abc import Callable, Iterator

import rich.progress
from rich.console import Console

_SECONDS_BETWEEN_LINES = 10.0


def say(console: Console, line: str) -> None:
    """One plain line, as it is: no markup, no wrapping."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def progress(console: Console, title: str, total: int, unit: str = "items") -> Iterator[Callable[[int], None]]:
    """Within it, call what it yields with how many more of `total` are done; its last line says how long all took."""
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
                say(console, f"{title}: {done:,} of {total:,} {unit}")

        yield advance
    say(console, f"{title}: {total:,} {unit} in {time.monotonic() - start:.1f} s")
