"""One shard of a preparation: a block of consecutive places, rendered, fitted and packed by itself."""

import collections
import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from instruct_jax.artifacts.dataset import write_row_file
from instruct_jax.artifacts.manifest import file_sha256, write_json
from instruct_jax.artifacts.records import Row
from instruct_jax.data.packing import Segment, pack
from instruct_jax.errors import InputError
from instruct_jax.tasks.order import Draw
from instruct_jax.tasks.preparing.counts import TaskCounts
from instruct_jax.tasks.preparing.opening import OpenPreparation
from instruct_jax.tasks.preparing.rendering import in_chunks
from instruct_jax.tasks.preparing.token_cache import Text, encode_text, write_texts
from instruct_jax.tasks.preparing.workers import untold

TEXTS = np.dtype(
    [
        ("task", "<i4"),
        ("template", "<i4"),
        ("setting", "<i2"),
        ("example", "<i8"),
        ("epoch", "<i4"),
        ("tokens", "<i4"),
        ("supervised", "<i4"),
        ("fixed", "<i4"),
        ("document", "?"),
    ]
)
"""A text before it was fitted to a row. `fixed` are the tokens that trimming must keep; the others as in the manifest."""


@dataclasses.dataclass(frozen=True)
class ShardResult:
    """What came of a shard.

    Attributes:
      number: of the shard.
      rows: in its file; without rows there is no such file.
      files: by name, the size in bytes and the checksum of each.
      largest_id: of its tokens; -1 without any.
      counts: by task.
      cached: texts found in the token cache.
    """

    number: int
    rows: int
    files: dict[str, dict[str, Any]]
    largest_id: int
    counts: dict[int, TaskCounts]
    cached: int

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "counts": {str(task): one.to_json() for task, one in sorted(self.counts.items())}}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**{**fields, "counts": {int(task): TaskCounts.from_json(one) for task, one in fields["counts"].items()}})


@dataclasses.dataclass(frozen=True)
class Told:
    """How far a shard is.

    Attributes:
      places: by task, how many more than were told of before.
      rows: written by now.
    """

    places: Mapping[int, int]
    rows: int


def rows_file(number: int) -> str:
    """The name of a shard's rows."""
    return f"rows-{number:05d}.arrayrecord"


def texts_file(number: int) -> str:
    """The name of a shard's table of texts."""
    return f"texts-{number:05d}.npy"


def result_file(number: int) -> str:
    """The name of a shard's result, written last."""
    return f"shard-{number:05d}.json"


def write_shard(opened: OpenPreparation, number: int, folder: Path, tell: Callable[[Told], None] = untold) -> ShardResult:
    """Write a shard's files: rows, table of texts, and last its result. They depend on nothing but the arguments.

    Args:
      opened: the preparation.
      number: of the shard, from 0.
      folder: where to write.
      tell: hears how far it is, now and then.

    Raises:
      InputError: a record cannot be used, or a text is too long, and the preparation is to stop there.
    """
    job = opened.preparation
    counts: dict[int, TaskCounts] = collections.defaultdict(TaskCounts)
    table: list[tuple[Any, ...]] = []
    fresh: dict[tuple[bytes, int, int], bytes] = {}
    found = packed = 0

    def segments() -> Iterator[Segment]:
        nonlocal found
        for chunk in in_chunks(opened.draws(number)):
            texts, hits = _texts(opened, chunk, counts, fresh)
            found += hits
            for draw, text in zip(chunk, texts, strict=True):
                if text is not None:
                    table.extend(_entries(draw, text))
                    yield from opened.renderer.fitted(draw, text, job.length, job.overflow, counts[draw.task])
            tell(Told(collections.Counter(draw.task for draw in chunk), packed))

    def rows_of(stream: Iterator[Segment]) -> Iterator[Row]:
        nonlocal packed
        for row in pack(stream, job.length):
            yield row
            packed += 1

    rows, largest_id = write_row_file(folder / rows_file(number), rows_of(segments()))
    if opened.cache is not None:
        with _told(opened.cache.folder, "give another CACHE, or CACHE = False for none"):
            write_texts(opened.cache.folder, fresh)
    with _told(folder, "make room and run the same again: finished shards are kept"):
        _write_table(folder / texts_file(number), table)
    names = [rows_file(number), texts_file(number)] if rows else [texts_file(number)]
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)} for name in names}
    result = ShardResult(number, rows, files, largest_id, dict(counts), found)
    with _told(folder, "make room and run the same again: finished shards are kept"):
        write_json(folder / result_file(number), result.to_json())
    return result


@contextlib.contextmanager
def _told(folder: Path, advice: str) -> Iterator[None]:
    """An error of the disk in one line."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}); {advice}") from None


def finished_shard(folder: Path, number: int) -> ShardResult | None:
    """The result of a shard that lies there whole; None where it has to be made."""
    try:
        result = ShardResult.from_json(json.loads((folder / result_file(number)).read_text()))
        for name, known in result.files.items():
            if (folder / name).stat().st_size != known["bytes"] or file_sha256(folder / name) != known["sha256"]:
                return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return result


def _texts(
    opened: OpenPreparation,
    chunk: Sequence[Draw],
    counts: Mapping[int, TaskCounts],
    fresh: dict[tuple[bytes, int, int], bytes],
) -> tuple[list[Text | None], int]:
    """The text of each place, from the cache where it has it, and how many those are; new ones are added to `fresh`."""
    if opened.cache is None:
        return opened.renderer.texts(chunk, counts), 0
    texts = opened.cached(chunk)
    missing = [place for place, text in enumerate(texts) if text is None]
    made = opened.renderer.texts([chunk[place] for place in missing], counts) if missing else []
    for place, text in zip(missing, made, strict=True):
        texts[place], draw = text, chunk[place]
        if text is not None and draw.task in opened.kept:
            fresh[opened.cache_place(draw)] = encode_text(text)
    return texts, len(chunk) - len(missing)


def _entries(draw: Draw, text: Text) -> Iterator[tuple[Any, ...]]:
    for row in text.rows:
        size = row.tokens.size
        fixed = size - sum(end - start for start, end in row.trimmable)
        supervised = int(np.count_nonzero(row.weights[1:]))
        yield (
            draw.task, text.template, text.setting, draw.index, draw.epoch, size, supervised, fixed, text.document
        )  # fmt: skip


def _write_table(file: Path, table: Sequence[tuple[Any, ...]]) -> None:
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    with open(partial, "wb") as stream:
        np.save(stream, np.array(table, TEXTS))
    partial.replace(file)
