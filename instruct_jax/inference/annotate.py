"""annotate: how much each prompt of a file helps a model to its answer, written beside the example (a program)."""

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from instruct_jax.artifacts import lock
from instruct_jax.artifacts import manifest as manifests
from instruct_jax.errors import InputError
from instruct_jax.inference import session as sessions
from instruct_jax.inference.ifd import answer_pairs, difficulties
from instruct_jax.inference.session import Session
from instruct_jax.progress import progress, say
from instruct_jax.text.conversation import Conversation
from instruct_jax.text.conversation_lines import line_conversation

ANNOTATED, PARTIAL, SETTINGS = "annotated.jsonl", "annotated.jsonl.partial", "settings.json"
FIELDS = ("ifd", "nll_conditioned", "nll_unconditioned", "answer_tokens")
# So many lines are scored before they are on disk, and scored anew when that is cut short: always the same lines together,
# so that a resumed run rounds as one that was not.
_CHUNK = 512


def annotate(
    workdir: str | Path,
    checkpoint: str,
    jsonl: str | Path,
    longest: int = 4096,
    batch_tokens: int = 8192,
    dtype: str = "float32",
    template_date: str | None = None,
    template_variables: Mapping[str, Any] | None = None,
    config: str = "",
) -> None:
    """Write a file's lines with their instruction-following difficulty (arXiv:2308.12032; see `ifd`).

    WORKDIR gets `annotated.jsonl`: each line as it was, with "ifd", "nll_conditioned" and "nll_unconditioned" (nats a token)
    and "answer_tokens"; the scores are null where the text is too long, or its answer has nothing to predict. The answer is the
    last turn of the assistant. A run that was stopped goes on with the line after those it finished.

    Args:
      workdir: the folder to write, new or of a run of the same model and file.
      checkpoint: what `session.open` takes.
      jsonl: a file of conversations: {"messages": [...]}, or {"prompt", "completion"}, a line, and whatever else.
      longest: tokens; a longer text gets no scores.
      batch_tokens: tokens in one forward pass: a matter of memory and speed, not of results.
      dtype: of the computation.
      template_date, template_variables: of a chat template in Jinja; see `with_given`.
      config: the operative configuration, for the manifest.

    Raises:
      InputError: there is no such model or file, a line is no conversation with an answer at its end or has one of the new
        fields already, or WORKDIR is of something else.
    """
    manifests.require_one_process("annotating")
    folder, file, console = Path(workdir).resolve(), Path(jsonl), Console()
    lines = sum(1 for where, text in _lines(file) if _parsed(where, text))
    if not lines:
        raise InputError(f"{file} is empty; give a .jsonl with a conversation a line")
    session = sessions.open(checkpoint, None, dtype, template_date, template_variables)
    template = session.words()[1].fingerprint()
    settings = {
        "model": session.fingerprint(),
        "template": template,
        "dtype": dtype,
        "jsonl": manifests.file_sha256(file),
        "longest": longest,
    }
    _claim(folder, settings)
    if not (folder / ANNOTATED).exists():
        _annotate(folder, session, file, lines, longest, batch_tokens, console)
    found = summary(folder / ANNOTATED)
    files = {ANNOTATED: manifests.file_sha256(folder / ANNOTATED)}
    content = {"settings": settings, "files": files, "summary": found, "config": config}
    parent = {"identity": session.manifest.get("identity"), "folder": str(session.folder), "step": session.step}
    identity = manifests.identity_of([settings, files])
    versions = manifests.versions("jax", "numpy")
    manifests.write_manifest(
        folder, "conversations", {"identity": identity, "checkpoint": parent, **content, "versions": versions}
    )
    _print(found, console)
    say(console, f"annotate: {found['scored']:,} of {lines:,} examples scored in {folder / ANNOTATED}")


def summary(file: Path) -> dict[str, Any]:
    """An annotated file in numbers.

    Returns:
      {"examples", "scored", "at_least_one": share whose prompt does not help (IFD >= 1), "ifd": {quantile: value},
      "nll_conditioned", "nll_unconditioned": means over examples}; None where nothing is scored.
    """
    rows = [[json.loads(line)[name] for name in FIELDS[:3]] for _, line in _lines(file)]
    scores = np.array([row for row in rows if row[0] is not None], np.float64).reshape(-1, 3)
    some = len(scores) > 0
    quantiles = {f"{q:.0%}": float(np.quantile(scores[:, 0], q)) if some else None for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
    return {
        "examples": len(rows),
        "scored": len(scores),
        "at_least_one": float(np.mean(scores[:, 0] >= 1)) if some else None,
        "ifd": quantiles,
        **{name: float(scores[:, at].mean()) if some else None for at, name in ((1, FIELDS[1]), (2, FIELDS[2]))},
    }


class _Line(NamedTuple):
    where: str
    fields: dict[str, Any]
    conversation: Conversation


def _claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """Take the folder for these settings, or find that it is theirs, or that nothing has been scored in it yet."""
    partial = folder / PARTIAL
    begun = (folder / ANNOTATED).exists() or (partial.exists() and partial.stat().st_size > 0)
    if not (folder / SETTINGS).exists():
        manifests.write_json(manifests.require_unused(folder) / SETTINGS, settings)
    elif not begun:
        manifests.write_json(folder / SETTINGS, settings)
    elif (held := json.loads((folder / SETTINGS).read_text())) != settings:
        other = ", ".join(name for name in settings if held.get(name) != settings[name])
        raise InputError(f"{folder} was begun with another {other}; choose another WORKDIR, or give what it was begun with")


def _annotate(folder: Path, session: Session, file: Path, lines: int, longest: int, batch_tokens: int, console: Console) -> None:
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(open(folder / PARTIAL, "a+b"))
        lock.hold(stream, folder)
        if (folder / ANNOTATED).exists():  # another process finished it between the first look and the lock
            (folder / PARTIAL).unlink(missing_ok=True)
            return
        advance = stack.enter_context(progress(console, "annotate", lines, "examples"))
        done = _whole_chunks(stream)
        advance(done)
        chunk: list[_Line] = []
        for number, (where, text) in enumerate(_lines(file), 1):
            if number > done:
                chunk.append(_parsed(where, text))
            if chunk and (number % _CHUNK == 0 or number == lines):
                for line in _scored(session, chunk, longest, batch_tokens):
                    stream.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
                stream.flush()
                os.fsync(stream.fileno())
                advance(len(chunk))
                chunk = []
        (folder / PARTIAL).replace(folder / ANNOTATED)


def _scored(session: Session, chunk: list[_Line], longest: int, batch_tokens: int) -> Iterator[dict[str, Any]]:
    """The lines with their scores."""
    tokenizer, template = session.words()
    pairs = []
    for line in chunk:
        try:
            pairs += answer_pairs([line.conversation], template, tokenizer)
        except InputError as error:
            raise InputError(f"{line.where}: {error}") from None
        if (largest := int(pairs[-1][0].tokens.max())) >= session.spec.vocab_size:
            raise InputError(
                f"{line.where} holds {tokenizer.piece(largest)!r}, id {largest}; the model knows ids up to "
                f"{session.spec.vocab_size - 1}: leave that token out"
            )
    fit = [place for place, (given, _) in enumerate(pairs) if given.tokens.size <= longest]
    scores = dict(zip(fit, difficulties(session, [pairs[place] for place in fit], batch_tokens), strict=True))
    for place, line in enumerate(chunk):
        values: tuple[float | None, ...] = (None, None, None)
        if (found := scores.get(place)) is not None and found.tokens:
            values = (found.ratio, found.conditioned, found.unconditioned)
            if not math.isfinite(found.conditioned) or not math.isfinite(found.unconditioned):
                raise InputError(f"{line.where}: the model gives its answer no finite probability; check the checkpoint")
            values = tuple(value if math.isfinite(value) else None for value in values)
        tokens = int(np.count_nonzero(pairs[place][0].weights[1:]))
        yield line.fields | dict(zip(FIELDS, (*values, tokens), strict=True))


def _whole_chunks(stream: Any) -> int:
    """Cut an unfinished file after the last whole chunk; how many lines that leaves."""
    stream.seek(0)
    ends = [0]
    for line in stream:
        if line.endswith(b"\n"):
            ends.append(ends[-1] + len(line))
    done = (len(ends) - 1) // _CHUNK * _CHUNK
    stream.truncate(ends[done])
    return done


def _lines(file: Path) -> Iterator[tuple[str, bytes]]:
    """The lines of a file that hold something, with where they stand."""
    if not file.is_file():
        raise InputError(f"there is no file {file}; give a .jsonl with a conversation a line")
    with open(file, "rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.isspace():
                yield f"{file}:{number}", line


def _parsed(where: str, text: bytes) -> _Line:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise InputError(f"{where}: not valid JSON ({error}); mend the line") from None
    try:
        conversation = line_conversation(fields)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if taken := [name for name in FIELDS if name in fields]:
        raise InputError(f"{where}: it has {taken[0]!r} already; rename that field, or take it out")
    return _Line(where, fields, conversation)


def _print(found: Mapping[str, Any], console: Console) -> None:
    table = Table(title="Instruction-following difficulty", title_justify="left")
    for name in (*found["ifd"], "at least 1", "nats/token given the prompt", "alone"):
        table.add_column(name, justify="right")
    share = found["at_least_one"]
    numbers = (*found["ifd"].values(), share, found["nll_conditioned"], found["nll_unconditioned"])
    table.add_row(*("none" if one is None else f"{one:.1%}" if place == 5 else f"{one:.3f}" for place, one in enumerate(numbers)))
    console.print(table)
