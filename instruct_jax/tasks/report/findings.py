"""What a reader must know first: the report's findings in words, the gravest first."""

from collections.abc import Mapping
from typing import Any

GRAVITY = ("bad", "warning", "good")
# Muennighoff et al. 2023 (arXiv:2305.16264), section 5: up to four passes teach almost as much as new data.
_MOST_EPOCHS = 4
UNEVEN_P = 0.001  # of the chi-square test that a task uses its templates evenly
_UNEVEN_RATIO = 2
_MAJORITY = 0.9
_DUPLICATE_SHARE = 0.01
_SHIFT = 0.01
_DENSITY = 0.9


def findings(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """One line each: {"gravity": one of GRAVITY, "title", "detail", "advice": what to do, "section": where the page tells more}.

    Args:
      report: the content of report.json, but for its findings.
    """
    found = [_leaks(report), *_copies(report), *_mixture(report), *_answers(report), *_rows(report)]
    return sorted(found, key=lambda one: GRAVITY.index(one["gravity"]))


def _leaks(report: Mapping[str, Any]) -> dict[str, str]:
    leaks = report["contamination"]
    hit = {one["name"]: one for one in leaks["suites"] if one["texts_hit"]}
    if not leaks["suites"]:
        advice = "Name the suites that you will score on in EVALUATIONS."
        return _one("warning", "No evaluation suite was checked", "the dataset keeps no items back", "leaks", advice)
    if leaks["refused"]:
        advice = (
            "Look at the pairs below. Curate the training files against these suites, or hold the tasks out. Where the published "
            "data overlaps with itself, allow the suite by name and do not call its score one on unseen text."
        )
        return _one(
            "bad", f"{_plural(leaks['refused'], 'training text')} with evaluation text", f"of {_named(hit, 8)}", "leaks", advice
        )
    if hit:
        title = f"{_plural(leaks['texts_hit'], 'training text')} with evaluation text, allowed by name"
        return _one("warning", title, f"of {_named(hit, 8)}", "leaks", "Say so wherever you quote a score on these suites.")
    items = sum(one["items"] for one in leaks["suites"])
    return _one(
        "good", "No contamination found", f"{_plural(items, 'item')} of {_plural(len(leaks['suites']), 'suite')}", "leaks"
    )


def _copies(report: Mapping[str, Any]) -> list[dict[str, str]]:
    copies, found = report["duplicates"], []
    for kind, words in (("exact", "equal to another"), ("near", "nearly, but not quite, equal to another")):
        one = copies[kind]
        plain = sum(one["unasked"].values())
        if copies["compared"] and plain / copies["compared"] > _DUPLICATE_SHARE:
            title = f"{100 * plain / copies['compared']:.1f} % of the examples are {words}"
            detail = f"{one['same_wording']:,} to one in the same template, {one['across_tasks']:,} to one of another task"
            advice = (
                f"Most are of {_named(one['unasked'])}: run the curate program on the training files, or weigh these tasks less."
            )
            found.append(_one("warning", title, detail, "copies", advice))
    if not found:
        detail = (
            f"{copies['exact']['duplicates']:,} equal, {copies['near']['duplicates']:,} nearly equal, other templates included"
        )
        found.append(_one("good", "Few duplicates", detail, "copies"))
    if copies["disagreements"]["disagreeing"]:
        many = copies["disagreements"]
        title = f"{_plural(many['disagreeing'], 'prompt')} asked more than once and answered differently"
        advice = (
            f"Most are of {_named(many['tasks'])}. Where a prompt asks for one of many answers, that is as it should be; "
            "where one answer is right, mend the labels."
        )
        found.append(_one("warning", title, f"in {many['texts']:,} texts", "copies", advice))
    return found


def _mixture(report: Mapping[str, Any]) -> list[dict[str, str]]:
    tasks, found = report["tasks"], []
    shift = sum(abs(task["asked_share"] - task["realised_share"]) for task in tasks) / 2
    if shift > _SHIFT:
        worst = max(tasks, key=lambda task: abs(task["asked_share"] - task["realised_share"]))
        detail = f"most in {worst['name']}: {100 * worst['asked_share']:.1f} % asked, {100 * worst['realised_share']:.1f} % there"
        title = f"{100 * shift:.1f} % of the examples are in other tasks than asked"
        advice = "Texts were left out on the way: raise LENGTH, let OVERFLOW trim them, or mend malformed records."
        found.append(_one("warning", title, detail, "mixture", advice))
    often = {task["name"]: task["epochs"] for task in tasks if task["epochs"] is not None and task["epochs"] > _MOST_EPOCHS}
    if often:
        worst = max(often, key=often.get)
        title = f"{_count(often, 'task')} repeated more than {_MOST_EPOCHS} times"
        advice = f"Prepare with MOST_EPOCHS = {_MOST_EPOCHS}, or with lower rates for these tasks."
        found.append(_one("warning", title, f"{worst} {often[worst]:.1f} times", "mixture", advice))
    lost = {name: sum(task[name] for task in tasks) for name in ("dropped", "unsupervised", "skipped")}
    if any(lost.values()):
        detail = ", ".join(f"{count:,} {name}" for name, count in lost.items() if count)
        advice = "What other row lengths and policies would keep is under “What other row lengths would cost”."
        found.append(_one("warning", f"{_plural(sum(lost.values()), 'text')} left out", detail, "mixture", advice))
    uneven = {
        task["name"]: task["evenness"]
        for task in tasks
        if task["evenness"]
        and task["evenness"]["p"] < UNEVEN_P
        and task["evenness"]["most"] > _UNEVEN_RATIO * task["evenness"]["least"]
    }
    if uneven:
        detail = f"p < {UNEVEN_P}, and one more than {_UNEVEN_RATIO} times as often as another: {_named(uneven)}"
        advice = (
            "Templates that only some records or prompt settings have are used less; if that is not it, the files of the rare "
            "ones are short."
        )
        found.append(_one("warning", f"{_count(uneven, 'task')} with unevenly used templates", detail, "templates", advice))
    return found


def _answers(report: Mapping[str, Any]) -> list[dict[str, str]]:
    constant = {
        one["task"]: len(one["labels"]) for one in report["labels"] if any(len(w["labels"]) == 1 for w in one["wordings"])
    }
    skewed = {
        one["task"]: one["majority"] for one in report["labels"] if one["majority"] > _MAJORITY and one["task"] not in constant
    }
    found = []
    if constant:
        title = f"{_count(constant, 'task')} with a template that always has the same answer"
        advice = "A model can answer by the template alone: add records with the other answers, or leave the template out."
        found.append(_one("warning", title, _named(constant), "labels", advice))
    if skewed:
        title = f"{_count(skewed, 'task')} in which one answer is right more than {100 * _MAJORITY:.0f} % of the time"
        advice = "Quote the share of the most common answer beside any accuracy, or balance the answers."
        found.append(_one("warning", title, _named(skewed), "labels", advice))
    return found


def _rows(report: Mapping[str, Any]) -> list[dict[str, str]]:
    density = report["density"]["mean"]
    detail = f"rows of {report['dataset']['length']:,} tokens are {100 * density:.1f} % full"
    if density >= _DENSITY:
        return [_one("good", "Rows are well filled", detail, "density")]
    advice = "Give each shard more examples to pack together (EXAMPLES_PER_SHARD), or choose another LENGTH."
    return [_one("warning", "Rows are badly filled", detail, "density", advice)]


def _named(names: Mapping[str, Any], most: int = 3) -> str:
    shown = list(names)[:most]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def _count(things: Mapping[str, Any], name: str) -> str:
    return _plural(len(things), name)


def _plural(count: int, name: str) -> str:
    return f"{count:,} {name}{'s' * (count != 1)}"


def _one(gravity: str, title: str, detail: str, section: str, advice: str = "") -> dict[str, str]:
    return {"gravity": gravity, "title": title, "detail": detail, "advice": advice, "section": section}
