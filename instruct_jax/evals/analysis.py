"""Means with honest intervals: standard errors clustered by source item, and paired differences between checkpoints."""

import dataclasses
import math
from collections.abc import Hashable, Sequence

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95
_NORMAL_QUANTILE = 1.959963984540054


@dataclasses.dataclass(frozen=True)
class Score:
    """One number of a report: a report is a table of these. "all" in a column means: over all of them.

    Attributes:
      benchmark: the evaluated dataset folder's name.
      cluster, dataset, template: which items were counted.
      split: how far from the training mixture they lie.
      checkpoint: which model answered.
      metric: what was measured.
      value: the mean over items; for "loss" the nats of all tokens over their number.
      stderr: its standard error, clustered by source item; None where one source item cannot tell.
      n: how many items.
      interval: (low, high) at 95 %; None where there is no standard error and no bound.
    """

    benchmark: str
    cluster: str
    dataset: str
    template: str
    split: str
    checkpoint: str
    metric: str
    value: float
    stderr: float | None
    n: int
    interval: tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean and what is known of its error.

    Attributes:
      value: the mean.
      stderr: clustered; None with a single cluster.
      n: how many items.
      clusters: how many source items behind them.
      interval: (low, high) at 95 %, or None.
    """

    value: float
    stderr: float | None
    n: int
    clusters: int
    interval: tuple[float, float] | None


def clustered_mean(
    values: Sequence[float],
    clusters: Sequence[Hashable],
    weights: Sequence[float] | None = None,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """The weighted mean of the values, with a standard error and a 95 % interval that know about clusters.

    With items i in clusters c, G clusters, m the mean and e_i = w_i (x_i - m):

        SE^2 = G / (G - 1) * sum_c (sum_{i in c} e_i)^2 / (sum_i w_i)^2

    Without weights this is the clustered standard error of Miller (2024, arXiv:2411.00640, section 2.2), times the
    small-sample factor G / (G - 1), by which it equals the ordinary s / sqrt(n) when every cluster holds one item. With
    weights it is the linearised error of a ratio (nats over tokens).

    The interval is `wilson` on an effective sample size for values with bounds, so that 0 % and 100 % get honest ones,
    and m +- t(G - 1) SE for values without.

    Args:
      values: one an item.
      clusters: each item's source; wordings of one source share it.
      weights: one an item; only for values without bounds. None: all equal.
      bounds: the least and the greatest possible value.

    >>> four = clustered_mean([1, 1, 0, 0], ["a", "a", "b", "b"])  # two independent facts, not four
    >>> four.value, four.stderr, four.clusters
    (0.5, 0.5, 2)
    >>> round(clustered_mean([1, 1, 0, 0], "abcd").stderr, 4)  # sqrt(1/3) / sqrt(4)
    0.2887
    """
    assert weights is None or bounds is None
    x = np.asarray(values, np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, np.float64)
    index: dict[Hashable, int] = {}
    groups = np.array([index.setdefault(cluster, len(index)) for cluster in clusters])
    mean = float(np.sum(w * x) / np.sum(w))
    if bounds is None:
        stderr = _stderr(w * (x - mean), groups, float(np.sum(w)))
        interval = None
        if stderr is not None:
            half = float(stdtrit(len(index) - 1, (1 + CONFIDENCE) / 2)) * stderr
            interval = (mean - half, mean + half)
        return Estimate(mean, stderr, len(x), len(index), interval)
    low, high = bounds
    stderr = _stderr(x - mean, groups, len(x))
    # Negative correlation within clusters may be luck: the interval never profits from it.
    alone = _stderr(x - mean, np.arange(len(x)), len(x))
    position = min(1.0, max(0.0, (mean - low) / (high - low)))
    size = _effective_size(position, max(stderr or 0.0, alone or 0.0) / (high - low), len(x), len(index), stderr is None)
    inner = wilson(position, size)
    return Estimate(mean, stderr, len(x), len(index), tuple(low + (high - low) * edge for edge in inner))


def wilson(proportion: float, n: float) -> tuple[float, float]:
    """The 95 % interval of a proportion by Wilson (1927): (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n).

    Args:
      proportion: from 0 to 1.
      n: sample size, not necessarily whole.

    >>> tuple(round(edge, 4) for edge in wilson(0.8, 10))
    (0.4902, 0.9433)
    >>> tuple(round(edge, 4) for edge in wilson(1.0, 10))  # ten of ten does not mean always
    (0.7225, 1.0)
    """
    z = _NORMAL_QUANTILE
    centre = proportion + z * z / (2 * n)
    half = z * math.sqrt(proportion * (1 - proportion) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # Rounding must not push an end past the proportion itself: at 0 the lower end is 0, at 1 the upper end is 1.
    return max(0.0, min(proportion, (centre - half) / scale)), min(1.0, max(proportion, (centre + half) / scale))


def paired_difference(
    values: Sequence[float],
    reference: Sequence[float],
    clusters: Sequence[Hashable],
    weights: Sequence[float] | None = None,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """The mean of values - reference over the same items (arXiv:2411.00640, section 4.2), clustered.

    Args:
      values, reference: two checkpoints' values, item by item.
      clusters, weights, bounds: as for `clustered_mean`; bounds are those of the values.
    """
    differences = np.asarray(values, np.float64) - np.asarray(reference, np.float64)
    width = None if bounds is None else (bounds[0] - bounds[1], bounds[1] - bounds[0])
    return clustered_mean(differences, clusters, weights, width)


def distinguishable(difference: Estimate) -> bool:
    """Whether a difference's 95 % interval leaves 0 out."""
    return difference.interval is not None and not difference.interval[0] <= 0 <= difference.interval[1]


def _stderr(residuals: np.ndarray, groups: np.ndarray, weight: float) -> float | None:
    sums = np.bincount(groups, residuals)
    count = len(sums)
    if count < 2:
        return None
    return math.sqrt(count / (count - 1) * float(np.sum(sums**2))) / weight


def _effective_size(position: float, stderr: float, n: int, clusters: int, alone: bool) -> float:
    """How many independent yes-or-no answers would leave the same standard error: n over the design effect.

    For yes-or-no values p(1-p)/SE^2 would be n - 1 without clusters; the factor n/(n-1) makes it n, as in the textbook's
    interval. Where no variation was seen, items of one cluster are taken to agree always: one answer a cluster.
    """
    if alone or stderr < 1e-12:
        return clusters
    size = position * (1 - position) / stderr**2 * (n / (n - 1))
    return max(1.0, size)
