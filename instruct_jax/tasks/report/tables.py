"""Who contributes what: examples and tokens by cluster, task and template, asked against realised, and how evenly."""

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import chdtrc

from instruct_jax.tasks.report.census import Census
from instruct_jax.tasks.report.lengths import distribution

_OUTCOMES = ("trimmed", "split", "dropped", "unsupervised", "unrolled", "skipped")
_SUMS = ("asked", "examples", "distinct", "repeats", "tokens", "supervised", *_OUTCOMES)


def task_table(manifest: Mapping[str, Any], census: Census, texts: np.ndarray) -> list[dict[str, Any]]:
    """One entry a task of the manifest that is not held out, in its order.

    Counts are of the rows as they are: an example counts once each time it is used, however many pieces it is in.
    `distinct` are the examples behind them, `repeats` the uses beyond each one's first; `epochs` the passes that the mixture
    asked for. Outcomes (dropped and the like) and shares asked are the manifest's.

    Args:
      manifest: of the dataset.
      census: of its rows.
      texts: lengths before fitting; see `text_lengths`.
    """
    uses = _Uses(census)
    asked = sum(task["asked"] for task in manifest["tasks"]) or 1
    count = len(manifest["tasks"])
    by_task, by_use, by_text = (_grouped(task, count) for task in (census.task, uses.task, texts["task"]))
    total_examples, total_tokens = uses.task.size, int(census.tokens.sum())
    out = []
    for place, task in enumerate(manifest["tasks"]):
        if task["held_out"]:
            continue
        here, mine = by_task[place], by_use[place]
        tokens, supervised = int(census.tokens[here].sum()), int(census.supervised[here].sum())
        distinct = np.unique(uses.example[mine]).size
        out.append(
            {
                "name": task["name"],
                "cluster": task["cluster"] or "none",
                "dataset": task["dataset"],
                "kind": task["kind"],
                "size": task["size"],
                "epochs": task["epochs"],
                "asked": task["asked"],
                "asked_share": task.get("share", task["asked"] / asked),
                "examples": int(mine.size),
                "realised_share": mine.size / total_examples,
                "distinct": int(distinct),
                "repeats": int(mine.size - distinct),
                "tokens": tokens,
                "token_share": tokens / total_tokens,
                "supervised": supervised,
                "supervised_share": supervised / tokens if tokens else None,
                **{name: task[name] for name in _OUTCOMES},
                "lengths": lengths_of(texts[by_text[place]]),
                "templates": _templates(task, uses, mine),
                "evenness": _evenness(task, uses.template[mine]),
                "settings": task.get("settings", {}),
            }
        )
    return out


def lengths_of(texts: np.ndarray) -> dict[str, Any]:
    """Distributions of whole texts, their prompts (tokens not trained) and their responses (trained), plain documents apart.

    A plain document has no prompt: it counts as a whole text only.
    """
    turns = texts[~texts["document"]]
    return {
        "total": distribution(texts["tokens"]),
        "prompt": distribution(turns["tokens"] - turns["supervised"]),
        "response": distribution(turns["supervised"]),
    }


def cluster_table(tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry a cluster, summed over its tasks, the largest first.

    Args:
      tasks: of `task_table`.
    """
    groups: dict[str, list[Mapping[str, Any]]] = collections.defaultdict(list)
    for task in tasks:
        groups[task["cluster"]].append(task)
    out = []
    for cluster, members in groups.items():
        sums = {name: sum(task[name] for task in members) for name in _SUMS}
        shares = {name: sum(task[name] for task in members) for name in ("asked_share", "realised_share", "token_share")}
        share = sums["supervised"] / sums["tokens"] if sums["tokens"] else None
        out.append({"name": cluster, "tasks": len(members), **sums, **shares, "supervised_share": share})
    return sorted(out, key=lambda one: (-one["examples"], one["name"]))


def settings_table(tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Examples by prompt setting over all tasks, the most used first; empty where the dataset does not say."""
    counts: collections.Counter[str] = collections.Counter()
    users: collections.Counter[str] = collections.Counter()
    for task in tasks:
        for name, count in task["settings"].items():
            counts[name] += count
            users[name] += count > 0
    total = sum(counts.values()) or 1
    rows = [{"name": name, "examples": n, "share": n / total, "tasks": users[name]} for name, n in counts.items()]
    return sorted(rows, key=lambda row: (-row["examples"], row["name"]))


def evenness(counts: Sequence[int]) -> dict[str, Any] | None:
    """Pearson's chi-square test that these counts were drawn with equal chances; None where there is nothing to compare.

    Returns:
      {"chi_square", "freedom", "p", "least", "most"}; p is the chance of counts at least as uneven.

    >>> evenness([10, 10, 10])["p"]
    1.0
    >>> round(evenness([30, 10])["p"], 4)
    0.0016
    """
    total = sum(counts)
    if len(counts) < 2 or not total:
        return None
    expected = total / len(counts)
    statistic = sum((count - expected) ** 2 for count in counts) / expected
    freedom = len(counts) - 1
    return {
        "chi_square": statistic,
        "freedom": freedom,
        "p": float(chdtrc(freedom, statistic)),
        "least": min(counts),
        "most": max(counts),
    }


def _grouped(labels: np.ndarray, count: int) -> list[np.ndarray]:
    """The places of each label from 0 to count - 1, in order."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(1, count)))


class _Uses:
    """The uses of examples: where each came from, and its tokens, its pieces taken together."""

    def __init__(self, census: Census):
        number = census.examples()
        count = int(number.max(initial=-1)) + 1
        self.task, self.template, self.example = (np.zeros(count, np.int64) for _ in range(3))
        for name in ("task", "template", "example"):
            getattr(self, name)[number] = getattr(census, name)
        self.tokens = np.bincount(number, census.tokens, count).astype(np.int64)
        self.supervised = np.bincount(number, census.supervised, count).astype(np.int64)


def _templates(task: Mapping[str, Any], uses: _Uses, mine: np.ndarray) -> list[dict[str, Any]]:
    out = []
    for index, name in enumerate(task["templates"]):
        here = mine[uses.template[mine] == index]
        out.append(
            {
                "id": name,
                "reserved": name in task["reserved_templates"],
                "examples": int(here.size),
                "tokens": int(uses.tokens[here].sum()),
                "supervised": int(uses.supervised[here].sum()),
            }
        )
    return out


def _evenness(task: Mapping[str, Any], templates: np.ndarray) -> dict[str, Any] | None:
    """Over the templates that may be trained."""
    reserved = set(task["reserved_templates"])
    return evenness([int(np.sum(templates == i)) for i, name in enumerate(task["templates"]) if name not in reserved])
