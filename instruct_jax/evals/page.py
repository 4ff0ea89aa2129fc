"""index.html: the report as one self-contained page for people."""

import hashlib
import statistics
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from instruct_jax.artifacts.items import SPLITS
from instruct_jax.evals import plots
from instruct_jax.evals.headline import SPLIT_TITLES, lines
from instruct_jax.evals.metrics import LOSS, METRICS
from instruct_jax.evals.tables import ALL, Prediction

_SAMPLES_PER_SPLIT = 6


def write_page(file: Path, report: Mapping[str, Any], predictions: Mapping[str, Sequence[Prediction]]) -> None:
    """Write the page of a report.

    Args:
      file: where.
      report: the content of report.json.
      predictions: by checkpoint, over the same items in the same order.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(resources.files("instruct_jax.evals").joinpath("page.html").read_text())
    names = list(report["checkpoints"])
    measured = {row["metric"] for row in report["scores"]}
    drawn = plots.figure_metrics(report)
    splits = [split for split in SPLITS if any(row["split"] == split for row in report["scores"])]
    asked = [split for split in splits if split != "plain_text"]
    content = template.render(
        report=report,
        names=names,
        colours=dict(zip(names, (plots.COLOURS[i % len(plots.COLOURS)] for i in range(len(names))), strict=True)),
        metrics=[metric for name, metric in METRICS.items() if name in measured],
        titles={name: metric.title for name, metric in METRICS.items()},
        split_titles=SPLIT_TITLES,
        headline=lines(report),
        clusters=_below(report, ("cluster",)),
        datasets=_below(report, ("cluster", "dataset")),
        split_plot=Markup(plots.split_plot(report)) if asked else None,
        dataset_plots={split: Markup(plots.dataset_plot(report, split)) for split in asked},
        wording_plots={METRICS[name].title: Markup(plots.wording_plot(report, name)) for name in drawn},
        wordings=_wordings(report, drawn),
        samples={split: _samples(predictions, split) for split in splits if split != "plain_text"},
        loss=LOSS,
    )
    temporary = file.with_name(file.name + ".partial")
    temporary.write_text(content)
    temporary.replace(file)


def _below(report: Mapping[str, Any], columns: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    """The headline's lines again for each cluster or dataset: (its names, line)."""
    inner = {tuple(row[column] for column in columns) for row in report["scores"]}
    out = []
    for place in sorted(place for place in inner if ALL not in place):
        level = dict(zip(columns, place, strict=True))
        out += [(place, line) for line in lines(report, level)]
    return out


def _wordings(report: Mapping[str, Any], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Spread over wordings: mean, worst, best and standard deviation of the wordings' scores, in percent."""
    groups: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for row in report["scores"]:
        if row["template"] != ALL and row["metric"] in metrics:
            place = (row["split"], row["cluster"], row["dataset"], row["metric"])
            groups.setdefault(place, {}).setdefault(row["checkpoint"], []).append(100 * row["value"])
    out = []
    for (split, cluster, dataset, metric), values in groups.items():
        cells = {
            name: (statistics.fmean(v), min(v), max(v), statistics.stdev(v) if len(v) > 1 else None) for name, v in values.items()
        }
        count = max(len(v) for v in values.values())
        out.append({"split": split, "cluster": cluster, "dataset": dataset, "metric": metric, "count": count, "cells": cells})
    return out


def _samples(predictions: Mapping[str, Sequence[Prediction]], split: str) -> list[dict[str, Any]]:
    """A few items of a split, from as many datasets as there are, chosen by a hash of their id and never by their score."""
    ids = [(one["dataset"], one["id"]) for one in next(iter(predictions.values())) if one["split"] == split]
    by_dataset: dict[str, list[str]] = {}
    for dataset, name in sorted(ids, key=lambda pair: hashlib.sha256(pair[1].encode()).digest()):
        by_dataset.setdefault(dataset, []).append(name)
    # The first of each dataset, then the second of each, and so on.
    ranked = sorted(
        (place, index, name) for index, d in enumerate(sorted(by_dataset)) for place, name in enumerate(by_dataset[d])
    )
    found = {checkpoint: {one["id"]: one for one in rows} for checkpoint, rows in predictions.items()}
    samples = []
    for _, _, name in ranked[:_SAMPLES_PER_SPLIT]:
        answers = {checkpoint: rows[name] for checkpoint, rows in found.items()}
        samples.append({"item": next(iter(answers.values())), "answers": {c: _answer(one) for c, one in answers.items()}})
    return samples


def _answer(prediction: Prediction) -> dict[str, Any]:
    ranking = []
    if prediction["options"]:
        totals = [total for total, _ in prediction["option_logprobs"]]
        ranking = sorted(zip(prediction["options"], totals, strict=True), key=lambda pair: -pair[1])
    shown = {name: value for name, value in prediction["scores"].items() if not name.startswith("rank_")}
    return {"output": prediction["output"], "ranking": ranking[:4], "scores": shown}
