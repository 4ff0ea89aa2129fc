"""A dataset folder: packed rows in ArrayRecord shards, and the manifest that says what they are."""

import contextlib
import functools
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from array_record.python import array_record_module

from instruct_jax.artifacts.manifest import file_sha256, fresh_partial, read_manifest, write_json, write_manifest
from instruct_jax.artifacts.records import Row, decode_row, encode_row
from instruct_jax.core.batch import Batch, positions_of
from instruct_jax.errors import InputError

# Rows compress well and are read at random: one row a group, so that a read decodes nothing else.
_WRITER_OPTIONS = "group_size:1,zstd:3"
_CHECKED_BYTES = 1 << 30
_OPEN_FILES = 256  # a dataset may have more shards than a process may open files
_MAKING = "making.json"


class DatasetWriter:
    """Writes rows into `<folder>.partial`, and moves it into place when `finish` has written the manifest."""

    def __init__(self, folder: Path, rows_per_shard: int = 65_536):
        self._folder, self._rows_per_shard = folder, rows_per_shard
        self._partial = fresh_partial(folder)
        self._writer: array_record_module.ArrayRecordWriter | None = None
        self._counts: list[int] = []
        self._largest_id = -1

    @property
    def folder(self) -> Path:
        """Where the unfinished dataset lies; a tokenizer and the like are saved here."""
        return self._partial

    def write(self, row: Row) -> None:
        """Append one row."""
        if self._writer is None or self._counts[-1] == self._rows_per_shard:
            self._close_shard()
            file = self._partial / f"rows-{len(self._counts):05d}.arrayrecord"
            self._writer = array_record_module.ArrayRecordWriter(str(file), _WRITER_OPTIONS)
            self._counts.append(0)
        self._writer.write(encode_row(row))
        self._counts[-1] += 1
        self._largest_id = max(self._largest_id, int(row.tokens.max(initial=-1)))

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Close the shards, write the manifest with their checksums and the largest id last, and move the folder into place."""
        self._close_shard()
        shards = []
        for index, rows in enumerate(self._counts):
            file = self._partial / f"rows-{index:05d}.arrayrecord"
            shards.append({"file": file.name, "rows": rows, "bytes": file.stat().st_size, "sha256": file_sha256(file)})
        counted = {"rows": sum(self._counts), "largest_id": self._largest_id, "shards": shards}
        write_manifest(self._partial, "dataset", {**manifest, **counted})
        if self._folder.exists():
            shutil.rmtree(self._folder)
        self._partial.rename(self._folder)

    def _close_shard(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def write_row_file(file: Path, rows: Iterable[Row]) -> tuple[int, int]:
    """Write rows into a file, which is there only when it is whole; no file where there are no rows.

    Returns:
      How many rows, and the largest id in them (-1 without any).
    """
    count, largest_id, writer = 0, -1, None
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    for row in rows:
        with _told_when_full(file):
            writer = writer or array_record_module.ArrayRecordWriter(str(partial), _WRITER_OPTIONS)
            writer.write(encode_row(row))
        count += 1
        largest_id = max(largest_id, int(row.tokens.max(initial=-1)))
    if writer is not None:
        with _told_when_full(file):
            writer.close()
        partial.replace(file)
    return count, largest_id


@contextlib.contextmanager
def _told_when_full(file: Path) -> Iterator[None]:
    """What ArrayRecord says of a disk that takes no more, in one line."""
    try:
        yield
    except RuntimeError as error:
        reason = " ".join(str(error).partition(";")[0].split())
        raise InputError(
            f"{file} cannot be written ({reason}); make room and run the same again: finished shards are kept"
        ) from None


def resumable_partial(folder: Path, making: Mapping[str, Any]) -> Path:
    """The folder beside `folder` in which it is made: with what an interrupted attempt at the same left there, else empty.

    Args:
      folder: of the dataset.
      making: JSON values that say all that decides its bytes.

    Raises:
      InputError: the folder cannot be made.
    """
    partial = folder.resolve().with_name(folder.resolve().name + ".partial")
    try:
        if json.loads((partial / _MAKING).read_text()) == making:
            for file in partial.glob("*.partial"):  # begun and never finished
                file.unlink()
            return partial
    except (OSError, ValueError):
        pass  # none there, or one that was cut short at its beginning
    partial = fresh_partial(folder)
    write_json(partial / _MAKING, making)
    return partial


def complete(partial: Path, folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest into a folder from `resumable_partial`, and move it into place with those files that it names.

    Args:
      partial: what `resumable_partial` gave.
      folder: of the dataset.
      manifest: "shards" names the files; "tokenizer/" and "items.jsonl" stay too.
    """
    kept = {entry[name] for entry in manifest["shards"] for name in ("file", "texts") if name in entry}
    for file in partial.iterdir():
        if file.name in kept | {"tokenizer", "items.jsonl", _MAKING}:
            continue
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    write_manifest(partial, "dataset", manifest)
    (partial / _MAKING).unlink()
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)


class Dataset:
    """The rows of a finished dataset folder, by index.

    Raises:
      InputError: the folder is no dataset, a shard is missing, or its size (up to 1 GiB: checksum) is not the manifest's.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder, "dataset")
        shards = self.manifest["shards"]
        check = sum(shard["bytes"] for shard in shards) <= _CHECKED_BYTES
        for shard in shards:
            _check_shard(self.folder / shard["file"], shard, check)
        self._reader = functools.lru_cache(_OPEN_FILES)(self._opened)
        self._ends = np.cumsum([shard["rows"] for shard in shards])
        self.length = int(self.manifest["length"])

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard = int(np.searchsorted(self._ends, index, side="right"))
        start = int(self._ends[shard - 1]) if shard else 0
        (content,) = self._reader(shard).read([index - start])
        return decode_row(content)

    def _opened(self, shard: int) -> array_record_module.ArrayRecordReader:
        return array_record_module.ArrayRecordReader(str(self.folder / self.manifest["shards"][shard]["file"]))

    def describe(self, row: Row) -> str:
        """Where each segment of a row came from, in words."""
        return "; ".join(self.segment_name(segment) for segment in row.provenance)

    def segment_name(self, provenance: np.ndarray) -> str:
        """One segment's task, template, example and epoch, in words."""
        task, template, example, epoch = (int(value) for value in provenance)
        entry = self.manifest["tasks"][task]
        wording = f" template {entry['templates'][template]}" if template >= 0 else ""
        return f"{entry['name']}{wording} example {example} epoch {epoch}"


def batch_of(rows: list[Row], length: int) -> Batch:
    """Rows as host arrays padded to `length` tokens.

    >>> two = np.ones((2, 4), np.int64)
    >>> row = Row(np.array([5, 6, 7, 8, 9]), np.array([0, 1, 1, 0, 1], np.float32), np.array([3, 2]), two)
    >>> batch_of([row], 6).segment_ids.tolist()
    [[1, 1, 1, 2, 2, 0]]
    """
    tokens = np.zeros((len(rows), length), np.int32)
    segment_ids = np.zeros((len(rows), length), np.int32)
    weights = np.zeros((len(rows), length), np.float32)
    for index, row in enumerate(rows):
        count = row.tokens.size
        if count > length:
            raise InputError(f"a row of {count} tokens does not fit rows of {length}; prepare the dataset again at this length")
        tokens[index, :count] = row.tokens
        weights[index, :count] = row.weights
        segment_ids[index, :count] = np.repeat(np.arange(1, row.lengths.size + 1), row.lengths)
    return Batch(tokens, segment_ids, positions_of(segment_ids), weights)


def _check_shard(file: Path, shard: Mapping[str, Any], checksum: bool) -> None:
    if not file.exists():
        raise InputError(f"shard {file} is missing, though the manifest names it; prepare the dataset again")
    size = file.stat().st_size
    if size != shard["bytes"]:
        raise InputError(
            f"shard {file} has {size} bytes; the manifest says {shard['bytes']}: it was cut or changed; prepare the dataset again"
        )
    if checksum and file_sha256(file) != shard["sha256"]:
        raise InputError(f"shard {file} does not match its checksum: its content was changed; prepare the dataset again")
