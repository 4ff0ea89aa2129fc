"""Filters against evaluation leaks: an instruction or an instance that holds a text of an evaluation suite is left out."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instruct_jax.curation.overlap import ContaminationIndex, EvaluationText
from instruct_jax.errors import InputError
from instruct_jax.synthesis.filters import InstanceFilter, InstructionFilter
from instruct_jax.synthesis.seeds import Instance
from instruct_jax.text.conversation import conversation_of

# The fields in which evaluation files hold what is asked, besides "messages".
_ASKED = ("prompt", "question", "text")


@dataclasses.dataclass(frozen=True, eq=False)
class InstructionLeak(InstructionFilter):
    """Instructions that hold an evaluation text; see `ContaminationIndex` for the rules."""

    index: ContaminationIndex
    name: str = "evaluation_leak"

    def reason(self, instruction: str) -> str | None:
        return _leak(self.index, instruction)


@dataclasses.dataclass(frozen=True, eq=False)
class InstanceLeak(InstanceFilter):
    """Instances that, with their instruction, hold an evaluation text."""

    index: ContaminationIndex
    name: str = "evaluation_leak"

    def reason(self, instruction: str, instance: Instance) -> str | None:
        texts = ("\n\n".join((instruction, instance.input)), instance.input, instance.output)
        return next((leak for text in texts if text.strip() and (leak := _leak(self.index, text))), None)


def read_suites(files: Mapping[str, str]) -> ContaminationIndex:
    """The index of what some evaluation files ask.

    Args:
      files: by the suite's name, a JSONL whose lines have "messages", or what is asked as "prompt", "question" or "text".

    Raises:
      InputError: a file cannot be read, a line asks nothing, or a suite is empty.
    """
    return ContaminationIndex({suite: _questions(Path(file)) for suite, file in files.items()})


def _questions(file: Path) -> list[EvaluationText]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise InputError(f"the evaluation suite {file} cannot be read ({reason}); give a .jsonl with a question a line") from None
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(EvaluationText(f"{file.name}:{number}", _question(json.loads(line))))
            except (InputError, ValueError) as error:
                raise InputError(f"{file}:{number}: {error}") from None
    return found


def _question(fields: Any) -> str:
    if not isinstance(fields, dict):
        raise InputError(f"got {type(fields).__name__}; expected an object with 'messages', 'prompt', 'question' or 'text'")
    if "messages" in fields:
        asked = [message.text for message in conversation_of(fields["messages"]).messages if message.role in ("user", "text")]
        if asked:
            return "\n\n".join(asked)
    text = next((fields[name] for name in _ASKED if isinstance(fields.get(name), str)), None)
    if text is None:
        raise InputError(f"it has {', '.join(fields) or 'nothing'}; expected 'messages', 'prompt', 'question' or 'text'")
    return text


def _leak(index: ContaminationIndex, text: str) -> str | None:
    hits = index.check(text)
    return f"{hits[0].suite} {hits[0].item} ({hits[0].rule}): {hits[0].span[:120]}" if hits else None
