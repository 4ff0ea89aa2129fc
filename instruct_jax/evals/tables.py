"""From predictions to rows: scores at every level of a benchmark, comparisons between checkpoints, chance and spread."""

import collections
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from instruct_jax.artifacts.items import SPLITS
from instruct_jax.evals.analysis import Estimate, Score, clustered_mean, distinguishable, paired_difference
from instruct_jax.evals.metrics import LOSS, METRICS, RANK, Metric

ALL = "all"
Prediction = Mapping[str, Any]
Level = tuple[str, str, str, str]  # split, cluster, dataset, template


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One checkpoint against another on the same items: `difference` is checkpoint - reference.

    Attributes:
      verdict: "better" or "worse" where the 95 % interval leaves 0 out, else "not distinguishable".
      others as in `analysis.Score`.
    """

    benchmark: str
    cluster: str
    dataset: str
    template: str
    split: str
    reference: str
    checkpoint: str
    metric: str
    difference: float
    stderr: float | None
    n: int
    interval: tuple[float, float] | None
    verdict: str


def scores(benchmark: str, checkpoint: str, predictions: Sequence[Prediction]) -> list[Score]:
    """One checkpoint's rows: for each split the whole, each cluster, each dataset and each template."""
    rows = []
    for level, metric, members in _groups(predictions):
        split, cluster, dataset, template = level
        estimate = clustered_mean(_values(members, metric), _sources(members), _weights(members, metric), metric.bounds)
        rows.append(
            Score(
                benchmark=benchmark,
                cluster=cluster,
                dataset=dataset,
                template=template,
                split=split,
                checkpoint=checkpoint,
                metric=metric.name,
                value=estimate.value,
                stderr=estimate.stderr,
                n=estimate.n,
                interval=estimate.interval,
            )
        )
    return rows


def comparisons(
    benchmark: str, predictions: Mapping[str, Sequence[Prediction]], tokenizers: Mapping[str, str]
) -> list[Comparison]:
    """Every pair of checkpoints on every level, item by item.

    Losses are compared only between checkpoints of one tokenizer: nats per token of different tokens are different units.

    Args:
      benchmark: the dataset's name.
      predictions: by checkpoint, over the same items in the same order.
      tokenizers: fingerprints, by checkpoint.
    """
    rows = []
    for reference, checkpoint in itertools.combinations(predictions, 2):
        other = {one["id"]: one for one in predictions[reference]}
        for level, metric, members in _groups(predictions[checkpoint]):
            if metric.name == LOSS and tokenizers[reference] != tokenizers[checkpoint]:
                continue
            pairs = [other[one["id"]] for one in members]
            estimate = paired_difference(
                _values(members, metric),
                _values(pairs, metric),
                _sources(members),
                _weights(members, metric),
                metric.bounds,
            )
            rows.append(_comparison(benchmark, level, reference, checkpoint, metric, estimate))
    return rows


def chance(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """On each level, the rank accuracy of a coin with as many sides as each item has options."""
    ranked = {one["id"]: _chance(one) for one in predictions if RANK in one["scores"]}
    rows = []
    for level, metric, members in _groups(predictions):
        if metric.name == RANK:
            value = sum(ranked[one["id"]] for one in members) / len(members)
            rows.append(dict(zip(("split", "cluster", "dataset", "template"), level, strict=True)) | {"value": value})
    return rows


def _chance(prediction: Prediction) -> float:
    options = prediction["options"]
    return options.count(prediction["target"]) / len(options)


def _comparison(benchmark: str, level: Level, reference: str, checkpoint: str, metric: Metric, estimate: Estimate) -> Comparison:
    split, cluster, dataset, template = level
    verdict = "not distinguishable"
    if distinguishable(estimate):
        verdict = "better" if (estimate.value > 0) == metric.higher_is_better else "worse"
    return Comparison(
        benchmark=benchmark,
        cluster=cluster,
        dataset=dataset,
        template=template,
        split=split,
        reference=reference,
        checkpoint=checkpoint,
        metric=metric.name,
        difference=estimate.value,
        stderr=estimate.stderr,
        n=estimate.n,
        interval=estimate.interval,
        verdict=verdict,
    )


def _groups(predictions: Sequence[Prediction]) -> Iterator[tuple[Level, Metric, list[Prediction]]]:
    """Every level and metric that occurs, with its predictions: wide levels first, splits and metrics in their order."""
    groups: dict[tuple[Level, str], list[Prediction]] = collections.defaultdict(list)
    for one in predictions:
        split, cluster, dataset, template = one["split"], one["cluster"], one["dataset"], one["template"]
        levels = [(split, ALL, ALL, ALL), (split, cluster, ALL, ALL), (split, cluster, dataset, ALL)]
        if template:  # plain text has no wordings
            levels.append((split, cluster, dataset, template))
        for level in levels:
            for metric in one["scores"]:
                groups[level, metric].append(one)
    metrics = list(METRICS)

    def order(key: tuple[Level, str]) -> tuple:
        (split, *names), metric = key
        return SPLITS.index(split), -names.count(ALL), *names, metrics.index(metric)

    for level, metric in sorted(groups, key=order):
        yield level, METRICS[metric], groups[level, metric]


def _values(members: Sequence[Prediction], metric: Metric) -> list[float]:
    return [one["scores"][metric.name] for one in members]


def _sources(members: Sequence[Prediction]) -> list[tuple[str, str]]:
    return [(one["dataset"], one["source"]) for one in members]


def _weights(members: Sequence[Prediction], metric: Metric) -> list[int] | None:
    return [one["tokens"] for one in members] if metric.name == LOSS else None
