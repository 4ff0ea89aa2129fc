"""evaluate (program): a dataset's questions and some checkpoints become a report folder."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from instruct_jax.artifacts import items as items_file
from instruct_jax.artifacts import manifest as manifests
from instruct_jax.artifacts.items import SPLITS, Item, read_items
from instruct_jax.errors import InputError
from instruct_jax.evals import tables
from instruct_jax.evals.checkpoints import named_checkpoints
from instruct_jax.evals.headline import headline
from instruct_jax.evals.metrics import LOSS, metric_of
from instruct_jax.evals.page import write_page
from instruct_jax.evals.predict import Asking, predictions
from instruct_jax.evals.scorers import SCORERS
from instruct_jax.inference import session as sessions
from instruct_jax.inference.sampling import GREEDY, Sampling
from instruct_jax.inference.session import Session
from instruct_jax.progress import progress


def evaluate(
    workdir: str,
    dataset: str,
    checkpoint: str | Sequence[str],
    splits: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    items_per_template: int | None = None,
    seed: int = 0,
    max_new_tokens: int = 64,
    sampling: Sampling = GREEDY,
    batch_tokens: int = 8192,
    config: str = "",
) -> Path:
    """Ask checkpoints a dataset's questions and write the report; returns its folder.

    The folder gets predictions-<name>.jsonl for each checkpoint, report.json, index.html and manifest.json. Each checkpoint
    is asked in its own chat template and through its own tokenizer. Run again after a crash, it goes on where it was; what
    it writes depends on the arguments alone.

    Args:
      workdir: the report's folder.
      dataset: a prepared dataset folder; its items.jsonl holds the questions.
      checkpoint: a path, "name=path", or several of these, compared side by side; the first is the reference.
      splits: which of `items.SPLITS` to ask; None: all.
      metrics: scorers of generated answers, in place of those each item names.
      items_per_template: at most so many items of each wording and split, drawn by `seed`, and the same records for each
        wording of a dataset; None: all.
      seed: of the draw of items, and of sampled answers.
      max_new_tokens: a generated answer is cut there.
      sampling: greedy, or how answers are drawn.
      batch_tokens: tokens in one forward pass: a matter of memory and speed only.
      config: the operative configuration, for the manifest.

    Raises:
      InputError: a checkpoint, the dataset or its items are missing or unfit, or no item is left to ask.
    """
    folder, source = Path(workdir), Path(dataset)
    _check_free(folder)
    paths = named_checkpoints(checkpoint)
    items = _chosen(read_items(source), source, splits, metrics, items_per_template, seed)
    asking = Asking(max_new_tokens, sampling, seed, batch_tokens)
    console = Console()
    folder.mkdir(parents=True, exist_ok=True)

    found: dict[str, list[dict[str, Any]]] = {}
    described: dict[str, dict[str, Any]] = {}
    for name, path in paths.items():
        session = sessions.open(path)
        described[name] = _description(session)
        with progress(console, f"asking {name}", len(items)) as advance:
            found[name] = predictions(session, items, asking, folder / f"predictions-{name}.jsonl", advance)

    tokenizers = {name: one["tokenizer"] for name, one in described.items()}
    benchmark = source.resolve().name
    report = {
        "benchmark": benchmark,
        "dataset": {"folder": dataset, "items_sha256": manifests.file_sha256(source / items_file.NAME), "asked": len(items)},
        "checkpoints": described,
        "settings": {
            "splits": None if splits is None else list(splits),
            "metrics": None if metrics is None else list(metrics),
            "items_per_template": items_per_template,
            "seed": seed,
            "max_new_tokens": max_new_tokens,
            **dataclasses.asdict(sampling),
        },
        "chance": tables.chance(next(iter(found.values()))),
        "scores": [dataclasses.asdict(row) for name in found for row in tables.scores(benchmark, name, found[name])],
        "comparisons": [dataclasses.asdict(row) for row in tables.comparisons(benchmark, found, tokenizers)],
    }
    manifests.write_json(folder / "report.json", report)
    write_page(folder / "index.html", report, found)
    _write_manifest(folder, source, report, config)
    console.print(headline(report))
    console.print(f"report: {folder / 'index.html'}", markup=False, highlight=False, soft_wrap=True)
    return folder


def _chosen(
    items: Sequence[Item],
    source: Path,
    splits: Sequence[str] | None,
    metrics: Sequence[str] | None,
    items_per_template: int | None,
    seed: int,
) -> list[Item]:
    """The items to ask, checked, in the order of the file."""
    wanted = [splits] if isinstance(splits, str) else splits
    for split in wanted or ():
        if split not in SPLITS:
            raise InputError(f"splits: unknown split {split!r}; expected some of {', '.join(SPLITS)}")
    for metric in metrics or ():
        if metric not in SCORERS:
            raise InputError(f"metrics: unknown metric {metric!r}; expected some of {', '.join(SCORERS)}")
    if items_per_template is not None and items_per_template < 1:
        raise InputError(f"items_per_template is {items_per_template}; expected at least 1, or None for all")
    have = Counter(item.split for item in items)
    chosen = [item for item in items if wanted is None or item.split in wanted]
    if not chosen:
        listed = ", ".join(f"{split} ({count})" for split, count in have.items()) or "none"
        raise InputError(f"{source}: no item in splits {wanted or 'at all'}; it has items in: {listed}")
    chosen = _sample(chosen, items_per_template, seed)
    if metrics is not None:
        chosen = [item if LOSS in item.metrics else dataclasses.replace(item, metrics=tuple(metrics)) for item in chosen]
    repeated = [name for name, count in Counter(item.id for item in chosen).items() if count > 1]
    if repeated:
        raise InputError(f"{source}: two items share the id {repeated[0]!r}; ids must be unique: prepare the dataset again")
    for item in chosen:
        _check_item(source, item)
    return chosen


def _sample(items: Sequence[Item], limit: int | None, seed: int) -> list[Item]:
    """At most `limit` items of each split, dataset and template; the order depends on the record, not on its wording."""
    if limit is None:
        return list(items)

    def order(item: Item) -> tuple[bytes, str]:
        return hashlib.blake2b(f"{seed}\0{item.dataset}\0{item.source}".encode(), digest_size=8).digest(), item.id

    taken: Counter[tuple[str, str, str]] = Counter()
    kept = set()
    for item in sorted(items, key=order):
        wording = (item.split, item.dataset, item.template)
        if taken[wording] < limit:
            taken[wording] += 1
            kept.add(item.id)
    return [item for item in items if item.id in kept]


def _check_item(source: Path, item: Item) -> None:
    where = f"{source / items_file.NAME}: item {item.id!r}"
    for name in item.metrics:
        metric_of(name, where)
    if item.split not in SPLITS:
        raise InputError(f"{where} is in the unknown split {item.split!r}; expected one of {', '.join(SPLITS)}")
    if (LOSS in item.metrics) != (item.split == "plain_text"):
        raise InputError(f"{where}: the metric 'loss' goes with the split 'plain_text' and no other; prepare the dataset again")
    if item.options is not None and item.target not in item.options:
        raise InputError(f"{where}: its target {item.target!r} is not among its options {list(item.options)}; mend its task")
    if item.options is None and not item.metrics:
        raise InputError(f"{where} has neither options nor metrics: it cannot be scored; give its task a metric")


def _check_free(folder: Path) -> None:
    """Refuse to write a report over something else."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder for the report")
    if (folder / manifests.NAME).exists():
        manifests.read_manifest(folder, "report")


def _description(session: Session) -> dict[str, Any]:
    tokenizer, template = session.words()
    manifest = session.folder / manifests.NAME  # an HF folder has none: its weights' fingerprint says which it is
    return {
        "folder": str(session.folder),
        "step": session.step,
        "fingerprint": session.fingerprint(),
        "manifest_sha256": manifests.file_sha256(manifest) if manifest.exists() else None,
        "chat_template": template.name,
        "chat_template_fingerprint": template.fingerprint(),
        "tokenizer": tokenizer.fingerprint,
    }


def _write_manifest(folder: Path, source: Path, report: dict[str, Any], config: str) -> None:
    parents = {
        "dataset": {"folder": str(source), "manifest_sha256": manifests.file_sha256(source / manifests.NAME)},
        "checkpoints": report["checkpoints"],
    }
    asked = [one["fingerprint"] for one in report["checkpoints"].values()]
    content = {
        "identity": manifests.identity_of([report["dataset"]["items_sha256"], asked, report["settings"]]),
        "parents": parents,
        "settings": report["settings"],
        "config": config,
        "versions": manifests.versions("jax", "flax", "numpy", "rouge-score", "sacrebleu"),
    }
    manifests.write_manifest(folder, "report", content)
