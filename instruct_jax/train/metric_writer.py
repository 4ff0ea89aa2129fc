"""Where numbers go: metrics.jsonl always, TensorBoard events, Weights & Biases if installed, and one line a step."""

import importlib.util
import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import rich.console
import rich.progress
from tensorboardX import SummaryWriter

from instruct_jax.artifacts.manifest import identity_of
from instruct_jax.errors import InputError


class MetricWriter:
    """Writes rows of numbers by step.

    Args:
      workdir: `metrics.jsonl` and `tensorboard/` are written here.
      step: rows of this step and later, left by a run that went on beyond the state it is resumed from, are dropped.
      steps: the last step, for the progress bar and the time to go.
    """

    def __init__(self, workdir: Path, step: int, steps: int):
        self._first = jax.process_index() == 0  # one host writes for all
        if not self._first:
            return
        self._file = _truncated(workdir / "metrics.jsonl", step)
        self._board = SummaryWriter(str(workdir / "tensorboard"), purge_step=step or None)
        self._wandb = _start_wandb(workdir)
        self._steps = steps
        console = rich.console.Console(stderr=True)
        self._progress = None
        if console.is_terminal:
            columns = (
                rich.progress.TextColumn("step {task.completed}/{task.total}"),
                rich.progress.BarColumn(),
                rich.progress.TimeRemainingColumn(),
                rich.progress.TextColumn("{task.description}"),
            )
            self._progress = rich.progress.Progress(*columns, console=console)
            self._task = self._progress.add_task("compiling", total=steps, completed=step)
            self._progress.start()

    def write(self, step: int, row: Mapping[str, Any]) -> None:
        """Append a row to every place; a number that is not finite is null in the file, for JSON has no word for it."""
        if not self._first:
            return
        finite = {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()}
        self._file.write(json.dumps({"step": step, **finite}, allow_nan=False) + "\n")
        self._file.flush()
        for name, value in row.items():
            if isinstance(value, (int, float)):
                self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(dict(row), step=step)
        line = "  ".join(f"{name} {_short(value)}" for name, value in row.items())
        if self._progress is None:
            print(f"step {step}/{self._steps}  {line}", file=sys.stderr, flush=True)
        else:
            shown = ("loss", "grad_norm", "tokens_per_second")
            description = "  ".join(f"{name} {_short(row[name])}" for name in shown if name in row)
            self._progress.update(self._task, completed=step + 1, description=description)

    def close(self) -> None:
        """Flush and close everything."""
        if not self._first:
            return
        if self._progress is not None:
            self._progress.stop()
        self._file.close()
        self._board.close()
        if self._wandb is not None:
            self._wandb.finish()


def _truncated(file: Path, step: int) -> Any:
    """The metrics file, open for appending, without rows of `step` and later and without a last line cut short."""
    kept = []
    if file.exists():
        for line in file.read_text().splitlines():
            try:
                if json.loads(line)["step"] < step:
                    kept.append(line + "\n")
            except json.JSONDecodeError:
                break
        temporary = file.with_suffix(".partial")
        temporary.write_text("".join(kept))
        os.replace(temporary, file)
    return open(file, "a")


def _start_wandb(workdir: Path) -> Any:
    if importlib.util.find_spec("wandb") is None or os.environ.get("WANDB_MODE") == "disabled":
        return None
    import wandb

    project, run = os.environ.get("WANDB_PROJECT", "instruct_jax"), identity_of(str(workdir.resolve()))
    try:
        return wandb.init(project=project, name=workdir.name, dir=str(workdir), id=run, resume="allow")
    except wandb.Error as error:
        raise InputError(f"Weights & Biases: {error}; log in, or set WANDB_MODE=offline or WANDB_MODE=disabled") from None


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
