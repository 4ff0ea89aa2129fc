"""index.html: the data report as one self-contained page, every number of it from report.json."""

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from instruct_jax.tasks.report import plots
from instruct_jax.tasks.report.findings import UNEVEN_P
from instruct_jax.tasks.report.leads import leads
from instruct_jax.tasks.report.numbers import percent, tokens
from instruct_jax.text import picture_page
from instruct_jax.text.picture import Picture

_BARS = 40  # rows of a drawing; tables below it hold more
_TABLE = 500  # rows of a table; report.json holds all
_NAMED = 40  # names in a sentence
_SUITES = 20  # suites of which leaks are shown; leaks.jsonl holds all
_LABELS = 8  # answers named beside a bar


def write_page(file: Path, report: Mapping[str, Any], pictures: Sequence[Picture]) -> None:
    """Write the page of a report.

    Args:
      file: where.
      report: the content of report.json.
      pictures: some of the dataset's texts.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "count": "{:,}".format,
        "percent": percent,
        "tokens": tokens,
        "tightly": tightly,
        "cluster": cluster_name,
    }
    template = environment.from_string(resources.files("instruct_jax.tasks.report").joinpath("page.html").read_text("utf-8"))
    length = report["dataset"]["length"]
    tasks = sorted(report["tasks"], key=lambda task: (-task["realised_share"], task["name"]))
    shown = [task for task in tasks if task["examples"] or task["asked"]][:_BARS]
    content = template.render(
        report=report,
        name=report["dataset"]["mixture"] or report["dataset"]["name"],
        totals=report["totals"],
        leads=leads(report),
        tasks=tasks,
        table_rows=_TABLE,
        named=_NAMED,
        cluster_bars=_scaled(
            [
                _bar(cluster_name(one["name"]), one["realised_share"], one["token_share"], _cluster_note(one))
                for one in report["clusters"]
            ]
        ),
        share_bars=_scaled([_share_bar(task) for task in shown]),
        supervised_bars=_supervised(shown),
        label_bars=[_label_bar(one) for one in sorted(report["labels"], key=lambda one: -one["majority"])[:_BARS]],
        setting_bars=_scaled([_bar(one["name"], one["share"], None) for one in report["settings_used"]]),
        leaks_by_suite=dict(list(_by_suite(report["contamination"]["shown"]).items())[:_SUITES]),
        uneven_templates=[_strip(task) for task in _uneven(tasks)[:_BARS]],
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


def tightly(text: str) -> str:
    """A text with one empty line at most where it has several.

    >>> tightly("a\\n \\n\\n\\nb\\nc")
    'a\\n\\nb\\nc'
    """
    return re.sub(r"\n\s*\n", "\n\n", text)


def cluster_name(name: str) -> str:
    """A cluster's name on the page.

    >>> cluster_name("sentiment"), cluster_name("none")
    ('sentiment', '(no cluster)')
    """
    return "(no cluster)" if name == "none" else name


def _cluster_note(one: Mapping[str, Any]) -> str:
    return f"{one['examples']:,} examples · {tokens(one['tokens'])} tokens, {percent(one['token_share'])} of all"


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


def _uneven(tasks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The tasks whose templates are used more unevenly than by chance, the least even first."""
    tested = [task for task in tasks if task["evenness"] and task["evenness"]["p"] < UNEVEN_P]
    return sorted(tested, key=lambda task: (-task["evenness"]["most"] / max(1, task["evenness"]["least"]), task["name"]))


def _strip(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task's templates as bars side by side, the most used first."""
    used = sorted((one for one in task["templates"] if not one["reserved"]), key=lambda one: (-one["examples"], one["id"]))
    tested = task["evenness"]
    return {
        "label": task["name"],
        "bars": [
            {"height": 100 * one["examples"] / max(1, tested["most"]), "title": f"{one['id']}: {one['examples']:,}"}
            for one in used
        ],
        "note": f"{len(used)} templates, from {tested['least']:,} to {tested['most']:,} examples in each "
        f"· χ² = {tested['chi_square']:,.1f} at {tested['freedom']} degrees of freedom",
    }


def _template_rows(tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Templates by task, the most used first, each with its share of the task's examples."""
    return [
        {"task": task["name"], **template, "share": template["examples"] / task["examples"] if task["examples"] else None}
        for task in tasks
        for template in sorted(task["templates"], key=lambda one: (-one["examples"], one["id"]))
    ]
