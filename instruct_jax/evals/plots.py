"""The report's figures: dots with intervals by split and by dataset, and the spread over wordings; as inline SVG."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from instruct_jax.artifacts.items import SPLITS
from instruct_jax.evals.headline import SPLIT_TITLES
from instruct_jax.evals.metrics import LOSS, METRICS, RANK, RANK_NORMALIZED
from instruct_jax.evals.tables import ALL

# Told apart by readers of any colour vision, and in grey (Okabe and Ito, 2008).
COLOURS = ("#8c8c8c", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
_STYLE = {
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "instruct_jax",  # names inside the picture are the same in every run
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}
_ROW_INCHES = 0.24


def figure_metrics(report: Mapping[str, Any]) -> list[str]:
    """The metrics to draw, at most two: ranking first, then the first generation metric that occurs."""
    occurring = {row["metric"] for row in report["scores"]}
    return [name for name in METRICS if name in occurring and name not in (LOSS, RANK_NORMALIZED)][:2]


def split_plot(report: Mapping[str, Any]) -> str:
    """SVG: one row a split."""
    splits = [split for split in SPLITS if _rows(report, split=split, cluster=ALL) and split != "plain_text"]
    rows = [(SPLIT_TITLES[split], {"split": split, "cluster": ALL, "dataset": ALL, "template": ALL}) for split in splits]
    return _forest(report, rows, row_inches=0.42)


def dataset_plot(report: Mapping[str, Any], split: str) -> str:
    """SVG: one row a dataset of one split, grouped by cluster."""
    found = {(row["cluster"], row["dataset"]) for row in _rows(report, split=split) if row["dataset"] != ALL}
    rows = []
    for cluster, dataset in sorted(found):
        level = {"split": split, "cluster": cluster, "dataset": dataset, "template": ALL}
        rows.append((f"{cluster} · {dataset}" if cluster != dataset else dataset, level))
    return _forest(report, rows, _ROW_INCHES)


def wording_plot(report: Mapping[str, Any], metric: str) -> str:
    """SVG: one row a dataset, one dot a wording; hollow dots are wordings reserved from training."""
    rows = [row for row in report["scores"] if row["template"] != ALL and row["metric"] == metric]
    datasets = sorted({(row["cluster"], row["dataset"]) for row in rows})
    names = list(report["checkpoints"])
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.5, 0.9 + 0.28 * max(1, len(datasets))), layout="constrained")
        axes = figure.subplots()
        for y, place in enumerate(datasets):
            for index, name in enumerate(names):
                for row in rows:
                    if (row["cluster"], row["dataset"]) == place and row["checkpoint"] == name:
                        colour = COLOURS[index % len(COLOURS)]
                        fill = "white" if row["split"] == "held_in_unseen" else colour
                        axes.plot(
                            100 * row["value"],
                            y + _offset(index, len(names)),
                            "o",
                            markersize=4.5,
                            markerfacecolor=fill,
                            markeredgecolor=colour,
                            alpha=0.8,
                        )
        _finish(axes, [f"{c} · {d}" if c != d else d for c, d in datasets], METRICS[metric].title)
        return _svg(figure)


def _forest(report: Mapping[str, Any], rows: Sequence[tuple[str, Mapping[str, str]]], row_inches: float) -> str:
    metrics = figure_metrics(report)
    names = list(report["checkpoints"])
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.5, 0.9 + row_inches * max(1, len(rows))), layout="constrained")
        panels = figure.subplots(1, max(1, len(metrics)), sharey=True, squeeze=False)[0]
        for axes, metric in zip(panels, metrics, strict=False):
            for y, (_, level) in enumerate(rows):
                for index, name in enumerate(names):
                    for row in _rows(report, **level, checkpoint=name, metric=metric):
                        _dot(axes, row, y + _offset(index, len(names)), COLOURS[index % len(COLOURS)])
                if metric == RANK:
                    for row in report["chance"]:
                        if all(row[key] == value for key, value in level.items()):
                            axes.plot([100 * row["value"]] * 2, [y - 0.38, y + 0.38], color="black", lw=1, ls=(0, (1, 1)))
            _finish(axes, [title for title, _ in rows], METRICS[metric].title)
        return _svg(figure)


def _dot(axes: Axes, row: Mapping[str, Any], y: float, colour: str) -> None:
    if row["interval"] is not None:
        axes.plot([100 * edge for edge in row["interval"]], [y, y], color=colour, lw=1.6, solid_capstyle="round")
    axes.plot(100 * row["value"], y, "o", color=colour, markersize=4.5)


def _finish(axes: Axes, labels: Sequence[str], title: str) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(-2, 102)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e6e6e6")
    axes.set_axisbelow(True)
    axes.set_title(f"{title}, %", fontsize=9, loc="left")


def _offset(index: int, count: int) -> float:
    return (index - (count - 1) / 2) * min(0.26, 0.7 / count)


def _rows(report: Mapping[str, Any], **wanted: str) -> list[dict[str, Any]]:
    return [row for row in report["scores"] if all(row[key] == value for key, value in wanted.items())]


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    drawing = stream.getvalue()
    return re.sub(r"^.*?(?=<svg)", "", drawing, flags=re.DOTALL)
