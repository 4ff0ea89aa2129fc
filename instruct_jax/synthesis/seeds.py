"""Seeds: tasks written by people, from which a model learns in its context what a task is."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from instruct_jax.errors import InputError

# A small set of this project's own; see the seeds of Self-Instruct (arXiv:2212.10560) for a large one.
OWN = str(Path(__file__).with_name("seeds.jsonl"))


@dataclasses.dataclass(frozen=True)
class Instance:
    """One case of a task: its input, "" where the instruction is all there is, and the output."""

    input: str
    output: str


@dataclasses.dataclass(frozen=True)
class Seed:
    """A task that somebody wrote.

    Attributes:
      id: its name in provenance.
      instruction: what to do.
      instances: at least one.
      is_classification: whether its outputs are a small, fixed set of labels.
    """

    id: str
    instruction: str
    instances: tuple[Instance, ...]
    is_classification: bool


def read_seeds(file: str | Path) -> list[Seed]:
    """The seeds of a file in Self-Instruct's format.

    Args:
      file: JSONL, {"instruction", "instances": [{"input", "output"}], "is_classification"} a line, perhaps with an "id".

    Raises:
      InputError: there is no such file, it is empty, a line is no seed, or an id comes twice.
    """
    try:
        lines = Path(file).read_text(encoding="utf-8").split("\n")  # splitlines would cut texts at other line ends, too
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise InputError(f"the seeds {file} cannot be read ({reason}); give a .jsonl with a task a line") from None
    seeds, lines_by_id = [], {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            seed = _seed(line, f"{file}:{number}", f"seed_{len(seeds)}")
            if seed.id in lines_by_id:
                raise InputError(f"{file}:{number}: the id {seed.id!r} is that of line {lines_by_id[seed.id]} too; rename one")
            lines_by_id[seed.id] = number
            seeds.append(seed)
    if not seeds:
        raise InputError(f"the seeds {file} are empty; give a .jsonl with a task a line")
    return seeds


def _seed(line: str, where: str, name: str) -> Seed:
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: not valid JSON ({error}); mend the line") from None
    expected = 'expected {"instruction", "instances": [{"input", "output"}], "is_classification"}'
    if not isinstance(fields, dict):
        raise InputError(f"{where}: got {type(fields).__name__}; {expected}")
    instances = _field(fields, "instances", list, where, expected)
    for instance in instances:
        if not isinstance(instance, dict):
            raise InputError(f"{where}: an instance is {type(instance).__name__}; {expected}")
    if not instances:
        raise InputError(f"{where}: 'instances' is empty; give the task at least one")
    instruction = _field(fields, "instruction", str, where, expected)
    if not instruction.strip():
        raise InputError(f"{where}: 'instruction' is empty; say what is to be done")
    texts = [tuple(_field(one, name, str, where, expected) for name in ("input", "output")) for one in instances]
    return Seed(
        str(fields.get("id", name)),
        instruction,
        tuple(Instance(*pair) for pair in texts),
        _field(fields, "is_classification", bool, where, expected),
    )


def _field(fields: dict[str, Any], name: str, kind: type, where: str, expected: str) -> Any:
    if not isinstance(fields.get(name), kind):
        found = type(fields[name]).__name__ if name in fields else "nothing"
        raise InputError(f"{where}: {name!r} is {found}; {expected}")
    return fields[name]
