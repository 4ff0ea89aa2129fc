"""Records by index: JSON files whose rows are read at need, without TensorFlow."""

import abc
import bisect
import functools
import glob
import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from instruct_jax.errors import InputError


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


class JsonRecords(Records):
    """The objects of JSON files, in order of file and line."""

    def __init__(self, files: Sequence[Path]):
        self._files = [_array_file(file) if file.suffix == ".json" else _LineFile(file) for file in files]
        self._starts = [0, *itertools.accumulate(file.size for file in self._files)]
        self.size = self._starts[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        file, row = self._locate(index)
        fields = file.fields(row)
        if not isinstance(fields, dict):
            raise MalformedRow(
                f"{file.where(row)}: expected a JSON object with fields, got {type(fields).__name__}; mend the row"
            )
        return fields

    def where(self, index: int) -> str:
        file, row = self._locate(index)
        return file.where(row)

    def values(self, field: str) -> Iterator[Any]:
        """One field of every record in order, at the price of one pass; None where it is missing or the row is broken."""
        for file in self._files:
            for fields in file.scan():
                yield fields.get(field) if isinstance(fields, dict) else None

    def identity(self) -> Any:
        """Name, records and checksum of each file."""
        return [[file.path.name, file.size, file.sha256] for file in self._files]

    def _locate(self, index: int) -> "tuple[_LineFile | _ArrayFile, int]":
        if not 0 <= index < self.size:
            raise IndexError(index)
        number = bisect.bisect_right(self._starts, index) - 1
        return self._files[number], index - self._starts[number]


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


class _LineFile:
    """One .jsonl file: offset, size and number of each line that is not empty, and the file's checksum."""

    def __init__(self, path: Path):
        digest, offset, starts, sizes, numbers = hashlib.sha256(), 0, [], [], []
        with open(path, "rb") as stream:
            for number, line in enumerate(stream, 1):
                digest.update(line)
                if not line.isspace():
                    starts.append(offset)
                    sizes.append(len(line))
                    numbers.append(number)
                offset += len(line)
        self.path, self.sha256, self.size = path, digest.hexdigest(), len(starts)
        self._starts, self._sizes, self._numbers = np.array(starts, np.int64), np.array(sizes, np.int32), np.array(numbers)

    def where(self, row: int) -> str:
        return f"{self.path}:{self._numbers[row]}"

    def fields(self, row: int) -> Any:
        line = os.pread(_open(self.path, self.sha256).descriptor, int(self._sizes[row]), int(self._starts[row]))
        try:
            return _parsed(line)
        except (json.JSONDecodeError, UnicodeError) as error:
            raise MalformedRow(f"{self.where(row)}: not valid JSON ({error}); mend the row, or skip malformed rows") from None

    def scan(self) -> Iterator[Any]:
        """The fields of every row, None for a broken one."""
        with open(self.path, "rb") as stream:
            for line in stream:
                if not line.isspace():
                    try:
                        yield _parsed(line)
                    except (json.JSONDecodeError, UnicodeError):
                        yield None


class _Handle:
    """A file open for reading, closed when nobody holds it any more."""

    def __init__(self, path: Path, sha256: str):
        del sha256  # part of the cache's key: a file that was written anew is opened anew
        self.descriptor = os.open(path, os.O_RDONLY)

    def __del__(self):
        os.close(self.descriptor)


_open = functools.lru_cache(maxsize=256)(_Handle)


def _parsed(line: bytes) -> Any:
    fields = json.loads(line)
    if b"\\ud" in line:  # half of a surrogate pair is legal JSON and no text
        json.dumps(fields, ensure_ascii=False).encode()
    return fields


class _ArrayFile:
    """One .json file that holds an array."""

    def __init__(self, path: Path, rows: list[Any], sha256: str):
        self.path, self.sha256, self.size, self._rows = path, sha256, len(rows), rows

    def where(self, row: int) -> str:
        return f"{self.path} element {row}"

    def fields(self, row: int) -> Any:
        return self._rows[row]

    def scan(self) -> Iterator[Any]:
        return iter(self._rows)


def _array_file(path: Path) -> _ArrayFile:
    content = path.read_bytes()
    try:
        rows = json.loads(content)
    except (json.JSONDecodeError, UnicodeError) as error:
        raise InputError(
            f"{path} is not valid JSON ({error}); mend the file, or name it .jsonl if it has an object a line"
        ) from None
    if not isinstance(rows, list):
        raise InputError(f"{path} holds a {type(rows).__name__}; expected an array of objects (a .jsonl file has one a line)")
    return _ArrayFile(path, rows, hashlib.sha256(content).hexdigest())
