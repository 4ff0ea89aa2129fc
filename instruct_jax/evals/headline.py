"""The one table to look at first: each split, each checkpoint, with intervals and chance."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import rich.box
import rich.table

from instruct_jax.artifacts.items import SPLITS
from instruct_jax.evals.metrics import LOSS, METRICS, RANK_NORMALIZED
from instruct_jax.evals.tables import ALL

SPLIT_TITLES = {
    "held_in_seen": "held-in, seen wordings",
    "held_in_unseen": "held-in, unseen wordings",
    "held_out_dataset": "held-out datasets",
    "held_out_cluster": "held-out clusters",
    "plain_text": "plain text (forgetting)",
}
MARKS = {"better": "▲", "worse": "▼", "not distinguishable": "="}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One checkpoint's number. `mark` compares it with the first checkpoint: one of MARKS, or "" for the first itself."""

    value: str
    interval: str
    mark: str
    difference: str


@dataclasses.dataclass(frozen=True)
class Line:
    """One split and metric: `cells` by checkpoint, in the report's order; `chance` is "" where there is none."""

    split: str
    metric: str
    n: int
    chance: str
    cells: tuple[Cell, ...]


def lines(report: Mapping[str, Any], level: Mapping[str, str] | None = None, limit: int | None = None) -> list[Line]:
    """The lines of one level of a report, in words.

    Args:
      report: the content of report.json.
      level: its cluster, dataset and template; None: everything of each split.
      limit: at most so many metrics a split, in the order of `metrics.METRICS`, length-normalised ranking left out.
    """
    level = {"cluster": ALL, "dataset": ALL, "template": ALL} | dict(level or {})
    out = []
    for split in SPLITS:
        here = dict(level, split=split)
        rows = {(row["checkpoint"], row["metric"]): row for row in _at(report["scores"], here)}
        others = {(row["reference"], row["checkpoint"], row["metric"]): row for row in _at(report["comparisons"], here)}
        chance = next((row["value"] for row in _at(report["chance"], here)), None)
        metrics = [name for name in METRICS if any(metric == name for _, metric in rows)]
        if limit is not None:
            metrics = [name for name in metrics if name != RANK_NORMALIZED][:limit]
        first, *_ = names = list(report["checkpoints"])
        for metric in metrics:
            known = [rows.get((name, metric)) for name in names]
            cells = (_cell(metric, row, others.get((first, name, metric))) for name, row in zip(names, known, strict=True))
            n = next(row["n"] for row in known if row)
            ranked = metric.startswith("rank_") and chance is not None
            out.append(Line(split, metric, n, f"{100 * chance:.1f}" if ranked else "", tuple(cells)))
    return out


def headline(report: Mapping[str, Any]) -> rich.table.Table:
    """The headline table of a report, for a terminal of 80 columns.

    Args:
      report: the content of report.json.
    """
    names = list(report["checkpoints"])
    caption = "95 % intervals over items in parentheses"
    if len(names) > 1:
        caption += f"; against {names[0]}, item by item: ▲ better, ▼ worse, = not distinguishable"
    title = f"{report['benchmark']}: percent, and nats per token"
    table = rich.table.Table(title=title, caption=caption, box=rich.box.SIMPLE_HEAD)
    table.add_column("split and metric", no_wrap=True)
    for title in ("chance", *names):
        table.add_column(title, justify="right", no_wrap=True)
    split = None
    for line in lines(report, limit=2):
        if line.split != split:
            split = line.split
            table.add_row(SPLIT_TITLES[split], style="bold")
        cells = (f"{cell.value} {cell.interval}{' ' * bool(cell.mark)}{cell.mark}" for cell in line.cells)
        table.add_row(f"  {METRICS[line.metric].title}, n {line.n}", line.chance, *cells)
    return table


def _at(rows: list[dict[str, Any]], level: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    return (row for row in rows if all(row[name] == value for name, value in level.items()))


def _cell(metric: str, row: Mapping[str, Any] | None, comparison: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell("", "", "", "")
    scale, digits = (1, 3) if metric == LOSS else (100, 1)
    value = f"{scale * row['value']:.{digits}f}"
    interval = _span(row["interval"], scale, 2 if metric == LOSS else 0, "–")
    if comparison is None:
        return Cell(value, interval, "", "")
    difference = f"{scale * comparison['difference']:+.{digits}f} {_span(comparison['interval'], scale, digits, ' to ')}"
    return Cell(value, interval, MARKS[comparison["verdict"]], difference)


def _span(interval: tuple[float, float] | None, scale: int, digits: int, between: str) -> str:
    if interval is None:
        return "(unknown)"
    low, high = interval
    return f"({scale * low:.{digits}f}{between}{scale * high:.{digits}f})"
