"""What a run of Self-Instruct made, which filter took what of it, and what a kept example cost: as JSON and as tables."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from instruct_jax.synthesis.generator import Completion
from instruct_jax.synthesis.rounds import Harvest


def summary(harvest: Harvest) -> dict[str, Any]:
    """A run in numbers, as JSON values.

    Returns:
      {"instructions", "instances": {"made", "dropped": {filter: count}, "kept"}}, where what was made is what was dropped
      and what was kept; "useful_instructions" with an instance at least, and how many of those are classifications; "cost"
      by stage and in all, each {"requests", "prompt_tokens", "tokens"}, with None where the server does not count; and the
      same "per_example" and "per_instruction" that is useful.
    """
    dropped = {
        kind: Counter(one.filter for one in harvest.rejections if one.kind == kind) for kind in ("instruction", "instance")
    }
    kept = {"instruction": len(harvest.tasks), "instance": sum(len(task.instances) for task in harvest.tasks)}
    cost = {stage: _cost(completions) for stage, completions in harvest.costs.items()}
    cost["all"] = _cost(one for completions in harvest.costs.values() for one in completions)
    return {
        **{
            f"{kind}s": {
                "made": kept[kind] + dropped[kind].total(),
                "dropped": dict(sorted(dropped[kind].items(), key=lambda pair: (-pair[1], pair[0]))),
                "kept": kept[kind],
            }
            for kind in kept
        },
        "useful_instructions": harvest.useful,
        "useful_classifications": sum(bool(task.instances) and task.is_classification for task in harvest.tasks),
        "cost": cost,
        "per_example": _shares(cost["all"], kept["instance"]),
        "per_instruction": _shares(cost["all"], harvest.useful),
    }


def print_summary(found: Mapping[str, Any], console: Console) -> None:
    """The rejection table and the cost table of a `summary`."""
    table = Table(title="What was made, and what of it was left out", title_justify="left")
    for name in ("", "filter"):
        table.add_column(name)
    for name in ("count", "share of made"):
        table.add_column(name, justify="right")
    for kind in ("instructions", "instances"):
        part = found[kind]
        rows = [("made", part["made"]), *part["dropped"].items(), ("kept", part["kept"])]
        for name, count in rows:
            share = f"{count / part['made']:.1%}" if part["made"] else ""
            table.add_row(kind if name == "made" else "", name, f"{count:,}", share, end_section=name == "kept")
    console.print(table)
    table = Table(title="What it cost", title_justify="left")
    table.add_column("")
    for name in ("requests", "tokens read", "tokens written"):
        table.add_column(name, justify="right")
    for stage, one in found["cost"].items():
        table.add_row(stage, *map(_shown, one.values()), end_section=stage == "all")
    for name, share, count in (
        ("per example kept", "per_example", found["instances"]["kept"]),
        ("per instruction with an example", "per_instruction", found["useful_instructions"]),
    ):
        table.add_row(name, *(_shown(one) if count else "none kept" for one in found[share].values()))
    console.print(table)


def _cost(completions: Iterable[Completion]) -> dict[str, int | None]:
    all_of_them = list(completions)
    counts = {name: [getattr(one, name) for one in all_of_them] for name in ("prompt_tokens", "tokens")}
    return {"requests": len(all_of_them)} | {name: None if None in found else sum(found) for name, found in counts.items()}


def _shares(cost: Mapping[str, int | None], count: int) -> dict[str, float | None]:
    return {name: None if one is None or not count else one / count for name, one in cost.items()}


def _shown(number: float | None) -> str:
    if number is None:
        return "unknown"
    return f"{number:,}" if isinstance(number, int) else f"{number:,.1f}"
