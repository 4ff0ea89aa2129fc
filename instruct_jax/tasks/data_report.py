"""data_report (program): what is in a prepared dataset and what is wrong with it, as a page and as JSON, before any training."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from instruct_jax.artifacts import items as items_file
from instruct_jax.artifacts import manifest as manifests
from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.artifacts.items import read_items
from instruct_jax.curation.dedup import NearDuplicates
from instruct_jax.curation.overlap import ContaminationIndex, EvaluationText
from instruct_jax.errors import InputError
from instruct_jax.progress import progress, say
from instruct_jax.tasks.report import duplicates, suites
from instruct_jax.tasks.report.census import Census, take_census
from instruct_jax.tasks.report.contamination import LeakCheck, refusal
from instruct_jax.tasks.report.findings import findings
from instruct_jax.tasks.report.labels import Answers
from instruct_jax.tasks.report.lengths import density, overflow_costs
from instruct_jax.tasks.report.page import write_page
from instruct_jax.tasks.report.tables import cluster_table, lengths_of, settings_table, task_table
from instruct_jax.tasks.report.text_lengths import text_lengths
from instruct_jax.tasks.report.texts import Text, decoded, some_of_each_wording
from instruct_jax.tasks.show import dataset_segment
from instruct_jax.text.picture import Picture
from instruct_jax.text.pieces import Tokenizer
from instruct_jax.text.tokenizer import load_tokenizer

LENGTHS = (512, 1_024, 2_048, 4_096, 8_192)
# A run of words in more texts than this is a template's wording, which makes no two examples alike.
NEARLY_EQUAL = NearDuplicates(template_rows=50)
_PROMPTS_PER_WORDING = 24


def data_report(
    workdir: str,
    dataset: str,
    evaluations: Mapping[str, str] | None = None,
    allow: Sequence[str] = (),
    lengths: Sequence[int] = LENGTHS,
    near_duplicates: NearDuplicates = NEARLY_EQUAL,
    compared: int = 100_000,
    samples: int = 8,
    seed: int = 0,
    config: str = "",
) -> Path:
    """Write the report on a prepared dataset; returns its folder.

    The folder gets report.json with every number, index.html that shows them, leaks.jsonl with every leak found, and
    manifest.json. Nothing is trained and nothing is changed.

    Args:
      workdir: the report's folder.
      dataset: a prepared dataset folder.
      evaluations: further suites that must not be trained on: files by name. The dataset's own items are always checked.
      allow: suites and tasks whose leaks are accepted.
      lengths: row lengths at which the overflow policies are compared.
      near_duplicates: what counts as nearly equal.
      compared: at most so many examples are compared with each other, drawn by the seed; all of them are checked for leaks.
      samples: how many texts to show with their tokens, each of another task as long as there are any.
      seed: of what is drawn.
      config: the operative configuration, for the manifest.

    Raises:
      InputError: bad arguments, no such dataset; or, when all is written, a leak that is not allowed.
    """
    console, folder, data = Console(), Path(workdir), Dataset(dataset)
    if (folder / manifests.NAME).exists():
        manifests.read_manifest(folder, "report")
    if not lengths or min(lengths) < 2:
        raise InputError(f"LENGTHS is {tuple(lengths)}; expected row lengths of at least 2 tokens")
    if compared < 1 or samples < 0:
        raise InputError(f"COMPARED is {compared} and SAMPLES {samples}; expected at least 1 and 0")
    names = [task["name"] for task in data.manifest["tasks"]]
    tokenizer = load_tokenizer(data.folder / "tokenizer")
    given = {name: suites.file_suite(name, path) for name, path in (evaluations or {}).items()}
    with progress(console, "reading rows", len(data), "rows") as advance:
        census = take_census(data, advance)
    leaks = _leak_check(data, census, tokenizer, given, names, allow, seed)
    chosen = duplicates.compared(census, compared, seed)
    answers, disagreements, kept = Answers(), duplicates.Disagreements(names), []
    with progress(console, "checking texts", len(data), "rows") as advance:
        for number, text in enumerate(decoded(data, tokenizer, advance)):
            for check in (leaks, answers, disagreements):
                check.add(text)
            if number in chosen:
                kept.append(text)
    with progress(console, "comparing examples", len(kept), "examples") as advance:
        copies = _duplicates(kept, census, names, near_duplicates, advance)
    copies["disagreements"] = disagreements.table()
    report = _report(data, census, lengths, leaks, answers, copies)
    report["settings"] = {"allow": sorted(allow), "compared": compared, "samples": samples, "seed": seed}
    folder.mkdir(parents=True, exist_ok=True)
    manifests.write_json(folder / "report.json", report)
    (folder / "leaks.jsonl").write_text("".join(json.dumps(hit, ensure_ascii=False) + "\n" for hit in leaks.hits))
    pictures = _samples(data, census, tokenizer, samples, seed)
    write_page(folder / "index.html", json.loads((folder / "report.json").read_text()), pictures)
    _write_manifest(folder, data, report, config)
    for finding in report["findings"]:
        say(console, f"{finding['gravity']:>7}: {finding['title']} ({finding['detail']})")
    say(console, f"data_report: {folder / 'index.html'}")
    if refused := refusal(report["contamination"], folder / "index.html"):
        raise InputError(refused)
    return folder


def _leak_check(
    data: Dataset,
    census: Census,
    tokenizer: Tokenizer,
    given: Mapping[str, Sequence[EvaluationText]],
    names: Sequence[str],
    allow: Sequence[str],
    seed: int,
) -> LeakCheck:
    """The check against the dataset's own items and the suites in files."""
    found, shown = {}, {}
    tasks = data.manifest["tasks"]
    if (data.folder / items_file.NAME).exists():
        items = read_items(data.folder)
        wordings = some_of_each_wording(data, census, tokenizer, _PROMPTS_PER_WORDING, seed)
        named: dict[tuple[str, str], list[Text]] = {
            (tasks[task]["dataset"], tasks[task]["templates"][template]): texts for (task, template), texts in wordings.items()
        }
        found, shown = suites.own_suites(items, named), suites.own_texts(items)
    for name, texts in given.items():
        if name in found:
            raise InputError(f"EVALUATIONS names {name!r}, which is one of the dataset's own; choose another name")
        found[name] = texts
        shown[name] = suites.shown_texts(found[name])
    return LeakCheck(ContaminationIndex(found), {name: shown[name] for name in found}, names, allow)


def _duplicates(
    kept: Sequence[Text], census: Census, names: Sequence[str], numbers: NearDuplicates, advance: Any
) -> dict[str, Any]:
    examples = np.unique(np.stack([census.task, census.example], axis=1), axis=0).shape[0]
    return duplicates.duplicate_table(kept, examples, names, numbers, advance)


def _report(
    data: Dataset, census: Census, lengths: Sequence[int], leaks: LeakCheck, answers: Answers, copies: dict[str, Any]
) -> dict[str, Any]:
    """The content of report.json."""
    manifest = data.manifest
    texts, as_prepared = text_lengths(data.folder, manifest, census)
    tasks = task_table(manifest, census, texts)
    tokens, supervised = int(census.tokens.sum()), int(census.supervised.sum())
    report = {
        "dataset": {
            "folder": str(data.folder),
            "name": data.folder.resolve().name,
            "mixture": manifest.get("mixture", ""),
            "identity": manifest["identity"],
            "length": data.length,
            "overflow": manifest.get("overflow", ""),
        },
        "totals": {
            "tasks": sum(task["examples"] > 0 for task in tasks),
            "clusters": len({task["cluster"] for task in tasks if task["examples"]}),
            "held_out": [task["name"] for task in manifest["tasks"] if task["held_out"]],
            "examples": sum(task["examples"] for task in tasks),
            "distinct": sum(task["distinct"] for task in tasks),
            "rows": len(data),
            "tokens": tokens,
            "supervised": supervised,
            "supervised_share": supervised / tokens,
        },
        "clusters": cluster_table(tasks),
        "tasks": tasks,
        "settings_used": settings_table(tasks),
        "lengths": {"as_prepared": as_prepared, "texts": int(texts.size), **lengths_of(texts)},
        "overflow": overflow_costs(texts, sorted(set(lengths))),
        "density": density(census.row_tokens, census.row_segments, data.length),
        "duplicates": copies,
        "contamination": leaks.table(),
        "labels": answers.table(manifest["tasks"]),
    }
    return {"findings": findings(report), **report}


def _samples(data: Dataset, census: Census, tokenizer: Tokenizer, count: int, seed: int) -> list[Picture]:
    """Some texts, each of another task as long as there are any, in the order of the rows."""
    order = np.random.default_rng(seed).permutation(census.task.size)
    first = {int(census.task[segment]): int(segment) for segment in order[::-1]}
    chosen = [segment for segment in order.tolist() if first[int(census.task[segment])] == segment][:count]
    chosen += [segment for segment in order.tolist() if segment not in chosen][: count - len(chosen)]
    pictures = []
    for segment in sorted(chosen):
        row, place = census.place(segment)
        pictures.append(Picture("", (), (dataset_segment(data, data[row], place, tokenizer),)))
    return pictures


def _write_manifest(folder: Path, data: Dataset, report: Mapping[str, Any], config: str) -> None:
    parent = {"folder": str(data.folder), "manifest_sha256": manifests.file_sha256(data.folder / manifests.NAME)}
    content = {
        "identity": manifests.identity_of([report["dataset"]["identity"], report["settings"], report["contamination"]["suites"]]),
        "parents": {"dataset": parent},
        "settings": report["settings"],
        "config": config,
        "versions": manifests.versions("instruct-jax", "numpy", "datasketch"),
    }
    manifests.write_manifest(folder, "report", content)
