"""The texts of an evaluation suite, from whatever file holds it: a prepared dataset's items, JSONL, a JSON array, plain lines."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from instruct_jax.curation.overlap import EvaluationText
from instruct_jax.errors import InputError

# Where a suite's question stands, the first that a line has; the fields of one entry together are the text.
QUESTIONS = (("prompt",), ("question",), ("instruction", "input"), ("instruction",), ("problem",), ("text",))
_NAMES = ("id", "key", "task_id", "name")


def read_suite(path: str | Path) -> list[EvaluationText]:
    """The texts of a suite: what is asked, never what is answered.

    Args:
      path: a folder with items.jsonl (a prepared dataset), a .jsonl, a .json array of objects, or a .txt with a text a line;
        .gz is unpacked. An object's question is its "messages" up to the last answer, without system messages, or the first
        of QUESTIONS that it has. An item is called by its "id", "key", "task_id" or "name", or by its line.

    Raises:
      InputError: there is no such file, or a line has no question.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "items.jsonl"
    if not file.is_file():
        raise InputError(f"there is no evaluation suite at {path}; give a file, or the folder of a dataset with items.jsonl")
    texts = [
        EvaluationText(item, text, record)
        for number, fields in _objects(file)
        for item, text, record in [_text(fields, f"{file}:{number}", str(number))]
        if text.strip()
    ]
    if not texts:
        raise InputError(f"evaluation suite {file} holds no text; give another file")
    return texts


def _objects(file: Path) -> Iterator[tuple[int, Any]]:
    """Each entry of a file with its line, or its place counted from 1."""
    packed = file.suffix == ".gz"
    kind = file.with_suffix("").suffix if packed else file.suffix
    with gzip.open(file, "rt", encoding="utf-8") if packed else open(file, encoding="utf-8") as stream:
        if kind == ".json":
            content = _value(stream.read(), str(file))
            if not isinstance(content, list):
                raise InputError(f"{file}: expected an array of objects, got {type(content).__name__}; give one, or a .jsonl")
            yield from enumerate(content, 1)
            return
        for number, line in enumerate(stream, 1):
            if not line.isspace():
                yield number, line.strip() if kind == ".txt" else _value(line, f"{file}:{number}")


def _value(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{where}: not valid JSON ({error}); mend it, or name a file of plain lines .txt") from None


def _text(fields: Any, where: str, number: str) -> tuple[str, str, str | None]:
    if isinstance(fields, str):
        return number, fields, None
    if not isinstance(fields, Mapping):
        raise InputError(f"{where}: expected an object or a text, got {type(fields).__name__}; mend the entry")
    item = next((str(fields[name]) for name in _NAMES if fields.get(name) is not None), number)
    record = fields.get("source")
    record = record if isinstance(record, str) and "messages" in fields else None  # as items.jsonl has it
    if isinstance(fields.get("messages"), list):
        return item, "\n\n".join(_asked(fields["messages"], where)), record
    for names in QUESTIONS:
        if all(isinstance(fields.get(name), str) for name in names):
            return item, "\n\n".join(fields[name] for name in names).strip(), record
    expected = ", ".join("+".join(names) for names in QUESTIONS)
    raise InputError(f"{where}: no question in fields {', '.join(map(str, fields)) or 'none'}; expected messages, {expected}")


def _asked(messages: list[Any], where: str) -> list[str]:
    turns = []
    for one in messages:
        role, text = (
            (one.get("role"), one.get("content"))
            if isinstance(one, Mapping)
            else (tuple(one) if isinstance(one, list) and len(one) == 2 else (None, None))
        )
        if not isinstance(role, str) or not isinstance(text, str):
            raise InputError(f"{where}: {one!s:.60} is no message; expected a role and a text")
        turns.append((role, text))
    if turns and turns[-1][0] == "assistant":
        turns = turns[:-1]
    return [text for role, text in turns if role != "system"]
