"""index.html: the data report as one self-contained page, every number of it from report.json."""

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from instruct_jax.tasks.report import plots
from instruct_jax.text import picture_page
from instruct_jax.text.picture import Picture

_BARS = 40  # rows of a drawing; tables below it hold more
_TABLE = 500  # rows of a table; report.json holds all
_LABELS = 8  # answers named beside a bar


def write_page(file: Path, report: Mapping[str, Any], pictures: Sequence[Picture]) -> None:
    """Write the page of a report.

    Args:
      file: where.
      report: the content of report.json.
      pictures: some of the dataset's texts.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"count": "{:,}".format, "percent": percent, "tokens": tokens, "tightly": tightly}
    template = environment.from_string(resources.files("instruct_jax.tasks.report").joinpath("page.html").read_text("utf-8"))
    length = report["dataset"]["length"]
    tasks = sorted(report["tasks"], key=lambda task: (-task["realised_share"], task["name"]))
    shown = [task for task in tasks if task["examples"] or task["asked"]][:_BARS]
    content = template.render(
        report=report,
        name=report["dataset"]["mixture"] or report["dataset"]["name"],
        totals=report["totals"],
        tasks=tasks,
        table_rows=_TABLE,
        cluster_bars=_scaled(
            [
                _bar(one["name"], one["realised_share"], one["token_share"], f"{percent(one['token_share'])} of the tokens")
                for one in report["clusters"]
            ]
        ),
        share_bars=_scaled([_share_bar(task) for task in shown]),
        supervised_bars=_supervised(shown),
        label_bars=[_label_bar(one) for one in sorted(report["labels"], key=lambda one: -one["majority"])[:_BARS]],
        setting_bars=_scaled([_bar(one["name"], one["share"], None) for one in report["settings_used"]]),
        leaks_by_suite=_by_suite(report["contamination"]["shown"]),
        template_rows=_template_rows(tasks),
        length_plots=[
            plots.length_plot(report["lengths"][part], title, length)
            for part, title in (("total", "whole texts"), ("prompt", "prompts"), ("response", "responses"))
            if report["lengths"][part]["n"]
        ],
        cost_plots=[
            plots.cost_plot(report["overflow"], "tokens_lost_share", "tokens lost", length),
            plots.cost_plot(report["overflow"], "supervised_lost_share", "trained tokens lost", length),
        ],
        costs=_costs(report["overflow"]),
        density_plot=plots.density_plot(report["density"]),
        pictures=picture_page.part(pictures) if pictures else None,
        picture_style=picture_page.style(),
    )
    temporary = file.with_name(file.name + ".partial")
    temporary.write_text(content, encoding="utf-8")
    temporary.replace(file)


def percent(share: float | None) -> str:
    """A share in percent, with as many digits as it takes to see that it is not nothing.

    >>> [percent(share) for share in (0, 0.00012, 0.034, 0.5, 1, None)]
    ['0 %', '0.012 %', '3.4 %', '50.0 %', '100 %', '–']
    """
    if share is None:
        return "–"
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    return f"{100 * share:.1f} %" if 100 * share >= 0.1 else f"{100 * share:.2g} %"


def tokens(number: float | None) -> str:
    """A number of tokens, rounded for reading.

    >>> tokens(12_402_345), tokens(873.5), tokens(None)
    ('12.4 M', '874', '–')
    """
    if number is None:
        return "–"
    for size, letter in ((1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:.1f} {letter}"
    return f"{number:,.0f}"


def tightly(text: str) -> str:
    """A text with one empty line at most where it has several.

    >>> tightly("a\\n \\n\\n\\nb\\nc")
    'a\\n\\nb\\nc'
    """
    return re.sub(r"\n\s*\n", "\n\n", text)


def _bar(label: str, share: float, tick: float | None, note: str = "") -> dict[str, Any]:
    return {"label": label, "share": share, "tick": tick, "value": percent(share), "note": note}


def _scaled(bars: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The bars with the widths that make the longest of them fill its track."""
    longest = max([value for bar in bars for value in (bar["share"], bar["tick"] or 0)] + [1e-9])
    return [
        {**bar, "width": 100 * bar["share"] / longest, "at": None if bar["tick"] is None else 100 * bar["tick"] / longest}
        for bar in bars
    ]


def _share_bar(task: Mapping[str, Any]) -> dict[str, Any]:
    epochs = task["epochs"]
    notes = [f"asked {percent(task['asked_share'])}", f"{task['examples']:,} examples"]
    notes += [f"{epochs:.2g} epoch{'s' * (epochs != 1)}"] if epochs is not None else []
    notes += [f"{task['repeats']:,} repeated"] if task["repeats"] else []
    notes += [f"{task[name]:,} {name}" for name in ("dropped", "trimmed", "skipped") if task[name]]
    return _bar(task["name"], task["realised_share"], task["asked_share"], " · ".join(notes))


def _supervised(tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    bars = [_bar(task["name"], task["supervised_share"], None, f"{tokens(task['supervised'])} of {tokens(task['tokens'])}")
            for task in tasks if task["supervised_share"] is not None]  # fmt: skip
    bars = sorted(bars, key=lambda bar: -bar["share"])
    return [{**bar, "width": 100 * bar["share"], "at": None} for bar in bars]


def _label_bar(one: Mapping[str, Any]) -> dict[str, Any]:
    answers = list(one["labels"].items())
    named = ", ".join(f"{_clipped(answer)} {percent(count / one['examples'])}" for answer, count in answers[:_LABELS])
    more = f" and {len(answers) - _LABELS} more" if len(answers) > _LABELS else ""
    bar = _bar(one["task"], one["majority"], one["even"], named + more)
    return {**bar, "width": 100 * one["majority"], "at": 100 * one["even"]}


def _costs(overflow: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Mapping[str, Any]]]:
    """The costs by row length and policy."""
    out: dict[int, dict[str, Mapping[str, Any]]] = {}
    for one in overflow:
        out.setdefault(one["length"], {})[one["policy"]] = one
    return out


def _by_suite(hits: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Leaks by suite, those of the most words in common first."""
    out: dict[str, list[Mapping[str, Any]]] = {}
    for hit in sorted(hits, key=lambda hit: -hit["words"]):
        out.setdefault(hit["suite"], []).append(hit)
    return out


def _clipped(answer: str) -> str:
    answer = " ".join(answer.split())
    return f"“{answer if len(answer) <= 24 else answer[:23] + '…'}”"


def _template_rows(tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Templates by task, each with its share of the task's examples."""
    return [
        {"task": task["name"], **template, "share": template["examples"] / task["examples"] if task["examples"] else None}
        for task in tasks
        for template in task["templates"]
    ]
