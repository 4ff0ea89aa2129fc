"""Records by index, from files whose rows are read at need; JSON among them. Nothing here needs TensorFlow."""

import abc
import bisect
import contextlib
import functools
import glob
import hashlib
import itertools
import json
import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.json_array import element_ends


class MalformedRow(InputError):
    """One record that cannot be used; `prepare` stops at it or, told so, skips and counts it."""


class Records(abc.ABC):
    """The records of one split, by index.

    Attributes:
      size: how many there are; None for a source without end.
    """

    size: int | None

    @abc.abstractmethod
    def __getitem__(self, index: int) -> dict[str, Any]:
        """The fields of one record.

        Raises:
          MalformedRow: it cannot be read; the message begins with `where(index)`.
        """

    @abc.abstractmethod
    def where(self, index: int) -> str:
        """Where a record lies, in words: "file:line" where there are files."""


class RowFile(abc.ABC):
    """The rows of one file.

    Attributes:
      kind: what sort of file it is, in words.
      name: the path or URL that the user knows it by.
      size: how many rows there are.
      sha256: checksum of what it holds, unpacked.
    """

    kind: str
    name: str
    size: int
    sha256: str

    @abc.abstractmethod
    def number(self, row: int) -> int:
        """What people call a row that is counted from 0: its line, or its number counted from 1."""

    @abc.abstractmethod
    def where(self, row: int) -> str:
        """File and line of a row, in words."""

    @abc.abstractmethod
    def fields(self, row: int) -> Any:
        """What a row holds; an object, if it is in order.

        Raises:
          MalformedRow: it cannot be read; the message begins with `where(row)`.
        """

    def scan(self) -> Iterator[Any]:
        """What every row holds in order, at the price of one pass; None for a broken one."""
        for row in range(self.size):
            try:
                yield self.fields(row)
            except MalformedRow:
                yield None


class FileRecords(Records):
    """The rows of several files as one, in order of file and row."""

    def __init__(self, files: Sequence[RowFile]):
        self.files = tuple(files)
        self._starts = [0, *itertools.accumulate(file.size for file in self.files)]
        self.size = self._starts[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        file, row = self.locate(index)
        fields = file.fields(row)
        if not isinstance(fields, dict):
            raise MalformedRow(
                f"{file.where(row)}: expected a JSON object with fields, got {type(fields).__name__}; mend the row"
            )
        return fields

    def where(self, index: int) -> str:
        file, row = self.locate(index)
        return file.where(row)

    def values(self, field: str) -> Iterator[Any]:
        """One field of every record in order, at the price of one pass; None where it is missing or the row is broken."""
        for (value,) in self.columns(field):
            yield value

    def columns(self, *fields: str) -> Iterator[tuple[Any, ...]]:
        """Several fields of every record in order, as `values` gives one."""
        for file in self.files:
            for record in file.scan():
                found = record if isinstance(record, dict) else {}
                yield tuple(found.get(field) for field in fields)

    def identity(self) -> Any:
        """Name, records and checksum of each file."""
        return [[Path(file.name).name, file.size, file.sha256] for file in self.files]

    def locate(self, index: int) -> tuple[RowFile, int]:
        """The file of a record, and its row there, counted from 0."""
        if not 0 <= index < self.size:
            raise IndexError(index)
        number = bisect.bisect_right(self._starts, index) - 1
        return self.files[number], index - self._starts[number]


def matches(patterns: Sequence[str | Path]) -> list[Path]:
    """The files that these paths and globs name, each pattern's sorted.

    Raises:
      InputError: one of them matches nothing.
    """
    files = []
    for pattern in patterns:
        found = sorted(glob.glob(str(pattern), recursive=True))
        if not found:
            raise InputError(f"no file matches {pattern}; check the path")
        files += [Path(one) for one in found]
    return files


class JsonRecords(FileRecords):
    """The objects of JSON files, in order of file and line: those that end in .json hold an array, others a line each.

    Raises:
      InputError: an array is damaged.
    """

    def __init__(self, files: Sequence[Path]):
        super().__init__([ArrayFile(file) if file.suffix == ".json" else LineFile(file) for file in files])


class LineFile(RowFile):
    """A file with a JSON value a line; memory holds offset, size and number of each line that is not empty.

    Args:
      path: where it lies.
      name: how the user knows it, if otherwise.
    """

    kind = "JSONL"

    def __init__(self, path: Path, name: str | None = None):
        digest, offset, starts, sizes, numbers = hashlib.sha256(), 0, [], [], []
        with open(path, "rb") as stream:
            for number, line in enumerate(stream, 1):
                digest.update(line)
                if not line.isspace():
                    starts.append(offset)
                    sizes.append(len(line))
                    numbers.append(number)
                offset += len(line)
        self.name, self.sha256, self.size, self._path = name or str(path), digest.hexdigest(), len(starts), path
        self._starts, self._sizes, self._numbers = np.array(starts, np.int64), np.array(sizes, np.int64), np.array(numbers)

    def number(self, row: int) -> int:
        return int(self._numbers[row])

    def where(self, row: int) -> str:
        return f"{self.name}:{self._numbers[row]}"

    def fields(self, row: int) -> Any:
        return _value(read_at(self._path, self.sha256, int(self._starts[row]), int(self._sizes[row])), self.where(row))

    def scan(self) -> Iterator[Any]:
        with open(self._path, "rb") as stream:
            for line in stream:
                if not line.isspace():
                    try:
                        yield _parsed(line)
                    except (ValueError, RecursionError):
                        yield None


class ArrayFile(RowFile):
    """A file that holds one JSON array; memory holds where each element begins.

    Args:
      path: where it lies.
      name: how the user knows it, if otherwise.

    Raises:
      InputError: it is no array, or a damaged one. What is wrong within an element is told when the element is read.
    """

    kind = "JSON"

    def __init__(self, path: Path, name: str | None = None):
        self.name, self._path = name or str(path), path
        with open(path, "rb") as stream, _mapped(stream) as content:
            self.sha256 = hashlib.sha256(content).hexdigest()
            self._ends = np.array(element_ends(content, self.name), np.int64)
        self.size = len(self._ends) - 1

    def number(self, row: int) -> int:
        return row + 1

    def where(self, row: int) -> str:
        return f"{self.name} element {row + 1}"

    def fields(self, row: int) -> Any:
        start, end = int(self._ends[row]) + 1, int(self._ends[row + 1])
        return _value(read_at(self._path, self.sha256, start, end - start), self.where(row))


@contextlib.contextmanager
def _mapped(stream: BinaryIO) -> "Iterator[mmap.mmap | bytes]":
    """A file's bytes without a copy of them in memory; no map can be had of an empty file."""
    if os.fstat(stream.fileno()).st_size == 0:
        yield b""
    else:
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


def read_at(path: Path, sha256: str, start: int, size: int) -> bytes:
    """Some bytes of a file, which stays open for the next ones.

    Args:
      path, sha256: the file, and its checksum: a file that was written anew is opened anew.
      start, size: of the bytes.
    """
    return os.pread(_open(path, sha256).descriptor, size, start)


class _Handle:
    """A file open for reading, closed when nobody holds it any more."""

    def __init__(self, path: Path, sha256: str):
        del sha256  # part of the cache's key: a file that was written anew is opened anew
        self.descriptor = os.open(path, os.O_RDONLY)

    def __del__(self):
        os.close(self.descriptor)


_open = functools.lru_cache(maxsize=256)(_Handle)


def _value(content: bytes, where: str) -> Any:
    try:
        return _parsed(content)
    except (ValueError, RecursionError) as error:
        raise MalformedRow(f"{where}: not valid JSON ({error}); mend the row, or skip malformed rows") from None


def _parsed(content: bytes) -> Any:
    fields = json.loads(content)
    if b"\\ud" in content or b"\\uD" in content:  # half of a surrogate pair is legal JSON and no text
        json.dumps(fields, ensure_ascii=False).encode()
    return fields
