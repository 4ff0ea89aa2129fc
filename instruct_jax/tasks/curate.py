"""curate: files of conversations in, those that stay out, with a reason for each that does not (a program)."""

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from instruct_jax.artifacts import manifest as manifests
from instruct_jax.curation.balance import label_balance
from instruct_jax.curation.decisions import Decision, Row, Step, record
from instruct_jax.curation.parts import response, whole
from instruct_jax.curation.steps import Leaks
from instruct_jax.errors import InputError
from instruct_jax.progress import progress, say
from instruct_jax.tasks.curation_rows import SampleRow, sample_rows
from instruct_jax.tasks.formats import Samples, open_samples
from instruct_jax.tasks.identity import function_identity

KEPT, DECISIONS, REPORT = "kept.jsonl", "decisions.jsonl", "report.json"
_SHOWN = 100  # characters of an example in the table


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one step did.

    Attributes:
      rule: the step's.
      seen, dropped: how many rows.
      example: a dropped row's provenance, text and reason; None where none was.
      seconds: how long it took; in no file, since it differs from run to run.
    """

    rule: str
    seen: int
    dropped: int
    example: Mapping[str, str] | None
    seconds: float


def curate(
    files: str | Sequence[str],
    workdir: str,
    steps: Sequence[Step],
    malformed: str = "error",
    measures: bool = False,
    format: str | None = None,
    split: str = "train",
    config: str = "",
) -> None:
    """Apply the steps of a curation to the conversations of some files.

    WORKDIR gets kept.jsonl, the rows that stay in their order, each with the "provenance" that it came from and the fields
    that it carried; decisions.jsonl, a line for each dropped row with rule, reason and measure; report.json, what each rule
    did and how the labels are balanced; and a manifest, written last. Equal inputs give equal bytes. A WORKDIR that holds
    the result of the same inputs is left as it is.

    Args:
      files: a file, glob, folder or URL, or several of them; see `formats.read`.
      workdir: the folder to write.
      steps: rules, in order; each sees the rows that those before it kept.
      malformed: of a row that cannot be read: "error" or "skip".
      measures: whether decisions.jsonl also has a line for each rule that a kept row passed.
      format: the row form of the files; None: it is told from the rows.
      split: which to read of a folder that has several.
      config: the operative configuration, kept in the report.

    Raises:
      InputError: a file or a row cannot be read, a step lacks what it decides by, or WORKDIR holds something else.
    """
    if not steps:
        raise InputError("STEPS is empty; name at least one rule, such as @steps.Exact()")
    if malformed not in ("error", "skip"):
        raise InputError(f"MALFORMED is {malformed!r}; expected error or skip")
    console, folder = Console(), Path(workdir).resolve()
    opened = [open_samples(one, format, split) for one in ([files] if isinstance(files, str | Path) else files)]
    read = {file.name: {"rows": file.size, "sha256": file.sha256} for one in opened for file in one.records.files}
    identity = manifests.identity_of([_identity(steps), list(read.items()), malformed, measures, format])
    if _finished(folder, identity):
        say(console, f"curate: {folder} holds the result of these inputs already")
        return
    for step in steps:
        if isinstance(step, Leaks):
            step.open()
    samples, lines = _read(console, opened, malformed)
    rows = [sample.row for sample in samples]
    outcomes, left = [], list(range(len(rows)))
    for step in steps:
        seen = [rows[place] for place in left]
        began = time.monotonic()
        with progress(console, f"curate: {step.rule}", len(seen), "rows") as advance:
            decisions = step.decide(seen, advance)
        lines += [record(row, step.rule, one) for row, one in zip(seen, decisions, strict=True) if _told(one, measures)]
        outcomes.append(_outcome(step.rule, seen, decisions, time.monotonic() - began))
        left = [place for place, one in zip(left, decisions, strict=True) if one.keep]
    partial = manifests.fresh_partial(folder)
    _write_lines(partial / KEPT, (samples[place].line() for place in left))
    _write_lines(partial / DECISIONS, lines)
    counts = {"rows": len(rows), "kept": len(left), "malformed": sum(line["rule"] == "malformed" for line in lines)}
    told = [_told_of(step, outcome) for step, outcome in zip(steps, outcomes, strict=True)]
    balance = [dataclasses.asdict(one) for one in label_balance(_answers(rows[place] for place in left))]
    manifests.write_json(partial / REPORT, counts | {"steps": told, "balance": balance})
    content = {"identity": identity, "files": read, **counts, "config": config}
    versions = manifests.versions("datasketch", "py3langid", "numpy")
    manifests.write_manifest(partial, "conversations", content | {"versions": versions})
    if folder.exists():
        folder.rmdir()  # empty, as _finished made sure
    partial.rename(folder)
    console.print(_table(outcomes))
    if any(isinstance(step, Leaks) and not step.evaluations for step in steps):
        say(console, "curate: no EVALUATIONS are given, so no leaks were looked for")
    share = len(left) / len(rows)
    skipped = f"; {counts['malformed']:,} malformed skipped" if counts["malformed"] else ""
    say(console, f"curate: {len(left):,} of {len(rows):,} rows kept ({share:.1%}) in {folder / KEPT}{skipped}")


def _finished(folder: Path, identity: str) -> bool:
    """Whether the folder holds the result of the same inputs.

    Raises:
      InputError: it holds something else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    file = folder / manifests.NAME
    try:
        found = json.loads(file.read_text())["identity"] if file.is_file() else None
    except (ValueError, KeyError, TypeError):
        found = None
    if found != identity:
        what = "the result of other inputs" if found else "something already"
        raise InputError(f"{folder} holds {what}; choose another WORKDIR")
    return True


def _identity(steps: Sequence[Step]) -> Any:
    suites = [Path(path) for step in steps if isinstance(step, Leaks) for path in step.evaluations.values()]
    texts = [suite / "items.jsonl" if suite.is_dir() else suite for suite in suites]
    return [[function_identity(step) for step in steps], [manifests.file_sha256(file) for file in texts if file.is_file()]]


def _read(console: Console, opened: Sequence[Samples], malformed: str) -> tuple[list[SampleRow], list[dict[str, Any]]]:
    rows, lines = [], []
    with progress(console, "curate: read", sum(one.records.size for one in opened), "rows") as advance:
        for samples in opened:
            say(console, f"curate: {samples.description()}")
            for one in sample_rows(samples):
                if isinstance(one, SampleRow):
                    rows.append(one)
                elif malformed == "error":
                    raise one
                else:
                    place, _, reason = str(one).partition(": ")
                    lines.append({"row": place, "rule": "malformed", "keep": False, "reason": reason})
            advance(samples.records.size)
    if not rows:
        raise InputError(f"every one of {len(lines)} rows is malformed; the first: {lines[0]['row']}: {lines[0]['reason']}")
    return rows, lines


def _told(decision: Decision, measures: bool) -> bool:
    return measures or not decision.keep or bool(decision.reason)


def _outcome(rule: str, rows: Sequence[Row], decisions: Sequence[Decision], seconds: float) -> Outcome:
    dropped = [(row, one) for row, one in zip(rows, decisions, strict=True) if not one.keep]
    example = None
    if dropped:
        row, decision = dropped[0]
        example = {"row": row.provenance, "text": whole(row.conversation)[:300], "reason": decision.reason}
    return Outcome(rule, len(rows), len(dropped), example, seconds)


def _told_of(step: Step, outcome: Outcome) -> dict[str, Any]:
    told = {name: value for name, value in dataclasses.asdict(outcome).items() if name != "seconds"}
    share = outcome.dropped / outcome.seen if outcome.seen else 0.0
    return told | {"share": round(share, 6), "settings": _settings(step)}


def _settings(value: Any) -> Any:
    """A step's fields for people: values within it by theirs, functions by name."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"is": type(value).__name__} | {one.name: _settings(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _settings(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_settings(one) for one in value]
    return getattr(value, "__qualname__", value)


def _answers(rows: Iterator[Row]) -> Iterator[tuple[str, str]]:
    for row in rows:
        answer = response(row.conversation)
        if answer.strip():
            yield str(row.fields.get("task") or row.provenance.rpartition(":")[0]), answer


def _write_lines(file: Path, lines: Iterator[Mapping[str, Any]] | Sequence[Mapping[str, Any]]) -> None:
    with open(file, "w", encoding="utf-8") as stream:
        for line in lines:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table("rule", "seen", "dropped", "share", "seconds", "example")
    for column in table.columns[1:5]:
        column.justify = "right"
    table.columns[5].overflow = "fold"  # a file's line stands behind its name
    for one in outcomes:
        share = one.dropped / one.seen if one.seen else 0.0
        example = "" if one.example is None else f"{Path(one.example['row']).name}: {one.example['reason']}"
        example = example if len(example) <= _SHOWN else f"{example[:_SHOWN]}…"
        table.add_row(one.rule, f"{one.seen:,}", f"{one.dropped:,}", f"{share:.1%}", f"{one.seconds:.1f}", example)
    return table
