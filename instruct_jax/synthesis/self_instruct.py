"""self_instruct: from seeds and a generator, new instructions with instances, and what they cost (a program)."""

import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from instruct_jax.artifacts import manifest as manifests
from instruct_jax.curation.overlap import ContaminationIndex
from instruct_jax.curation.suites import read_suite
from instruct_jax.errors import InputError
from instruct_jax.progress import say
from instruct_jax.synthesis import journal as journals
from instruct_jax.synthesis.contamination import InstanceLeak, InstructionLeak
from instruct_jax.synthesis.costs import print_summary, summary
from instruct_jax.synthesis.generator import Generator
from instruct_jax.synthesis.method import Method
from instruct_jax.synthesis.rounds import Harvest, Rounds, Task
from instruct_jax.synthesis.seeds import Instance, read_seeds

# Raise it when the same settings and answers would give other files than before.
_VERSION = 1
JOURNAL = "journal.jsonl"
_SECONDS_BETWEEN_LINES = 10.0


def self_instruct(
    workdir: str | Path,
    generator: Generator,
    seeds: str | Path,
    method: Method,
    count: int,
    rounds_most: int,
    barren_rounds: int,
    evaluations: Mapping[str, str] | None = None,
    seed: int = 0,
    config: str = "",
) -> None:
    """Make instructions and instances until there are enough (Wang et al. 2022, arXiv:2212.10560).

    WORKDIR gets `generated.jsonl`, {"prompt", "completion", "metadata"} an instance; `pool.jsonl`, the instructions with
    their provenance; `rejected.jsonl`, what was left out by which filter and measure; `summary.json`; `manifest.json`; and
    `journal.jsonl`, every answer of the generator as it came. A run that was stopped goes on where its journal ends, and its
    files are those of a run that was not; so does one that was finished, with a higher count.

    Args:
      workdir: the folder to write, new or of a run with these settings.
      generator: writes the texts.
      seeds: a file of tasks; see `read_seeds`.
      method: the method's numbers and filters.
      count: stop after the round in which so many instructions have an instance; what that round made more is kept.
      rounds_most: stop after so many rounds in any case.
      barren_rounds: stop after so many rounds one after another that brought no such instruction.
      evaluations: by the suite's name, what `read_suite` takes; what holds one of its questions is left out.
      seed: of the choice of examples and of the draws.
      config: the operative configuration, for the manifest.

    Raises:
      InputError: WORKDIR is of other settings or in use, a file is not what it should be, or the generator refuses.
    """
    if count < 1 or rounds_most < 1 or barren_rounds < 1:
        raise InputError(
            f"COUNT, ROUNDS_MOST and BARREN_ROUNDS are {count}, {rounds_most} and {barren_rounds}; expected 1 or more"
        )
    manifests.require_one_process("making instructions")
    folder, console = Path(workdir).resolve(), Console()
    if not (folder / JOURNAL).exists():
        manifests.require_unused(folder)
    tasks = read_seeds(seeds)
    suites = {suite: read_suite(path) for suite, path in (evaluations or {}).items()}
    settings = {
        "version": _VERSION,
        "generator": generator.identity(),
        "seeds": manifests.file_sha256(Path(seeds)),
        "method": dataclasses.asdict(method),
        "evaluations": {
            suite: manifests.identity_of([dataclasses.astuple(one) for one in texts]) for suite, texts in suites.items()
        },
        "seed": seed,
    }
    if suites:
        index = ContaminationIndex(suites)
        method = dataclasses.replace(
            method,
            instruction_filters=(*method.instruction_filters, InstructionLeak(index)),
            instance_filters=(*method.instance_filters, InstanceLeak(index)),
        )
    with journals.opened(folder / JOURNAL, settings) as journal:
        if journal.remembered:
            say(console, f"self_instruct: {journal.remembered:,} answered requests in {folder / JOURNAL}; going on from there")
        rounds = Rounds(tasks, method, generator, journal, seed, _now_and_then(console))
        played, why = _play(rounds, count, rounds_most, barren_rounds)
    found = {"rounds": played, "stopped": why, **summary(rounds.harvest)}
    _write(folder, rounds.harvest, generator, found, {"settings": settings, "config": config})
    print_summary(found, console)
    made = f"{found['useful_instructions']:,} instructions with {found['instances']['kept']:,} examples"
    say(console, f"self_instruct: {made} in {folder}; stopped after {played:,} rounds: {why}")


def _now_and_then(console: Console) -> Callable[[str], None]:
    """A function that says a line where the last was said some time ago."""
    said = time.monotonic()

    def tell(line: str) -> None:
        nonlocal said
        if time.monotonic() - said >= _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            say(console, f"self_instruct: {line}")

    return tell


def _play(rounds: Rounds, count: int, rounds_most: int, barren_rounds: int) -> tuple[int, str]:
    """Play rounds until one of the three ends is reached; how many there were, and which it was."""
    played, fruitful, useful = 0, 0, 0
    while True:
        if useful >= count:
            return played, f"{count:,} were wanted"
        if played - fruitful >= barren_rounds:
            return played, f"the last {barren_rounds:,} of them brought none"
        if played >= rounds_most:
            return played, "no more rounds were allowed"
        rounds.play(played)
        played += 1
        if rounds.harvest.useful > useful:
            fruitful, useful = played, rounds.harvest.useful


def _write(folder: Path, harvest: Harvest, generator: Generator, found: Mapping[str, Any], made_with: Mapping[str, Any]) -> None:
    model = generator.name()
    _write_lines(folder / "pool.jsonl", (_pooled(task, model) for task in harvest.tasks))
    _write_lines(
        folder / "generated.jsonl",
        (
            {
                "prompt": _prompt(task.instruction, instance),
                "completion": instance.output,
                "metadata": {**_named(task, model), "input": instance.input, "number": number},
            }
            for task in harvest.tasks
            for number, instance in enumerate(task.instances)
        ),
    )
    _write_lines(folder / "rejected.jsonl", map(dataclasses.asdict, harvest.rejections))
    manifests.write_json(folder / "summary.json", found)
    files = {name: manifests.file_sha256(folder / name) for name in ("pool.jsonl", "generated.jsonl", "rejected.jsonl")}
    content = {"identity": manifests.identity_of([made_with["settings"], files]), "files": files, "summary": found, **made_with}
    versions = manifests.versions("jax", "numpy", "requests")
    manifests.write_manifest(folder, "conversations", {**content, "versions": versions})


def _named(task: Task, model: str) -> dict[str, Any]:
    return {
        "id": task.id,
        "instruction": task.instruction,
        "is_classification": task.is_classification,
        "rouge_l": task.nearest[0][1],
        "model": model,
    }


def _pooled(task: Task, model: str) -> dict[str, Any]:
    return {
        **_named(task, model),
        "round": task.round,
        "shown": list(task.shown),
        "nearest": [list(one) for one in task.nearest],
        "instances": len(task.instances),
    }


def _prompt(instruction: str, instance: Instance) -> str:
    return f"{instruction}\n\n{instance.input}" if instance.input else instruction


def _write_lines(file: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write the whole file so that a crash leaves the old one or the new one."""
    temporary = file.with_name(file.name + ".partial")
    with open(temporary, "w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
