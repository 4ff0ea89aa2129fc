"""What each section of the page shows, in one sentence with its figures, so that a drawing need not be read to be understood."""

from collections.abc import Mapping
from typing import Any

from instruct_jax.tasks.report.findings import UNEVEN_P
from instruct_jax.tasks.report.numbers import percent, tokens


def leads(report: Mapping[str, Any]) -> dict[str, str]:
    """A sentence by section: contents, mixture, lengths, overflow, supervised, labels, templates.

    Args:
      report: the content of report.json.
    """
    return {
        "contents": _contents(report),
        "mixture": _mixture(report),
        "lengths": _lengths(report),
        "overflow": _overflow(report),
        "supervised": _supervised(report),
        "labels": _labels(report),
        "templates": _templates(report),
    }


def _contents(report: Mapping[str, Any]) -> str:
    by_examples = report["clusters"][0]
    by_tokens = max(report["clusters"], key=lambda one: one["token_share"])
    if len(report["clusters"]) == 1:
        return f"All {by_examples['examples']:,} examples are of one cluster."
    first = f"{by_examples['name']} has the most examples, {percent(by_examples['realised_share'])},"
    if by_tokens is by_examples:
        return f"{first} and the most tokens, {percent(by_tokens['token_share'])}."
    return f"{first} {by_tokens['name']} the most tokens, {percent(by_tokens['token_share'])}."


def _mixture(report: Mapping[str, Any]) -> str:
    tasks = report["tasks"]
    shift = sum(abs(task["asked_share"] - task["realised_share"]) for task in tasks) / 2
    said = f"{percent(shift)} of the examples are in other tasks than the mixture asked for."
    if shift < 0.0005:
        said = "Every task has the share that the mixture asked for."
    epochs = [task["epochs"] for task in tasks if task["epochs"] is not None]
    if not epochs:
        return said
    if max(epochs) - min(epochs) < 0.005:
        return f"{said} Every task is passed over {_times(epochs[0])}."
    return f"{said} Tasks are passed over from {min(epochs):.2g} to {max(epochs):.2g} times."


def _lengths(report: Mapping[str, Any]) -> str:
    total, length = report["lengths"]["total"], report["dataset"]["length"]
    if not total["n"]:
        return "There is no text."
    return (
        f"Half of the {total['n']:,} texts are longer than {tokens(total['p50'])} tokens, one in twenty longer than "
        f"{tokens(total['p95'])}; the longest has {total['max']:,}. Rows have {length:,}."
    )


def _overflow(report: Mapping[str, Any]) -> str:
    """The least row length at which no policy loses a hundredth of the trained tokens."""
    worst: dict[int, float] = {}
    for cost in report["overflow"]:
        worst[cost["length"]] = max(worst.get(cost["length"], 0.0), cost["supervised_lost_share"])
    enough = [length for length in sorted(worst) if worst[length] < 0.01]
    if not enough:
        longest = max(worst)
        return f"Even rows of {longest:,} tokens lose up to {percent(worst[longest])} of the trained tokens, by the policy."
    return f"From {enough[0]:,} tokens on, no policy loses more than {percent(worst[enough[0]])} of the trained tokens."


def _supervised(report: Mapping[str, Any]) -> str:
    shares = {task["name"]: task["supervised_share"] for task in report["tasks"] if task["supervised_share"] is not None}
    whole = f"The loss is taken on {percent(report['totals']['supervised_share'])} of all tokens"
    if len(shares) < 2:
        return f"{whole}."
    least, most = min(shares, key=shares.get), max(shares, key=shares.get)
    return f"{whole}: from {percent(shares[least])} of {least} to {percent(shares[most])} of {most}."


def _labels(report: Mapping[str, Any]) -> str:
    found = report["labels"]
    if not found:
        return "No template chooses among a few answers."
    worst = max(found, key=lambda one: one["majority"])
    return (
        f"{len(found)} tasks choose among a few answers. Always giving each template's most common one is right in "
        f"{percent(worst['majority'])} of {worst['task']}."
    )


def _templates(report: Mapping[str, Any]) -> str:
    tested = [task for task in report["tasks"] if task["evenness"]]
    uneven = sum(task["evenness"]["p"] < UNEVEN_P for task in tested)
    if not tested:
        return "No task has several templates to choose from."
    if not uneven:
        return f"No task of the {len(tested)} with several templates uses them more unevenly than chance would (p < {UNEVEN_P})."
    verb = "uses" if uneven == 1 else "use"
    return (
        f"Of {len(tested)} tasks with several templates, {uneven} {verb} them more unevenly than chance would (p < {UNEVEN_P})."
    )


def _times(epochs: float) -> str:
    return "once" if abs(epochs - 1) < 0.005 else f"{epochs:.2g} times"
