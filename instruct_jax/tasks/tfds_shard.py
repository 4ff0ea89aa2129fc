"""TfdsShard: one file of a TFDS dataset by row, from TFRecord or ArrayRecord."""

import functools
import mmap
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from array_record.python import array_record_module
from google.protobuf.message import DecodeError

from instruct_jax.artifacts.manifest import file_sha256
from instruct_jax.errors import InputError
from instruct_jax.tasks.files.records import MalformedRow, RowFile, read_at
from instruct_jax.tasks.instruct import plain

_LENGTH = struct.Struct("<Q")
_HEAD, _TAIL = 12, 4  # bytes around a TFRecord's content: its length and that one's checksum; the content's checksum


class TfdsShard(RowFile):
    """The examples of one file, read at need; of a TFRecord file memory holds an offset for each.

    Args:
      path: the file.
      parse: an example's bytes -> its features.
      total: how many examples the dataset's description says there are.
      skip, take: which of them to read.

    Raises:
      InputError: the file is not there, is cut off, or holds another number of examples.
    """

    kind = "TFDS"

    def __init__(self, path: Path, parse: Callable[[bytes], Any], total: int, skip: int, take: int):
        self.name, self._path, self._parse, self._skip = str(path), path, parse, skip
        try:
            self._starts = None if _is_array_record(path) else _record_starts(path)
            held = _reader(path, os.getpid()).num_records() if self._starts is None else self._starts.size - 1
        except (OSError, ValueError, RuntimeError, IndexError) as error:
            raise InputError(f"{path} is damaged ({' '.join(str(error).split())[:150]}); fetch it again") from None
        if held != total:
            raise InputError(f"{path} holds {held:,} examples; its dataset_info.json says {total:,}: fetch it again")
        self.size = total - skip if take < 0 else take

    @functools.cached_property
    def sha256(self) -> str:
        return file_sha256(self._path)

    def number(self, row: int) -> int:
        return self._skip + row + 1

    def where(self, row: int) -> str:
        return f"{self.name} example {self.number(row)}"

    def fields(self, row: int) -> dict[str, Any]:
        place = self._skip + row
        try:
            if self._starts is None:
                (content,) = _reader(self._path, os.getpid()).read([place])
            else:
                start, end = int(self._starts[place]), int(self._starts[place + 1])
                content = read_at(self._path, "", start + _HEAD, end - start - _HEAD - _TAIL)
            return plain(self._parse(content))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, DecodeError) as error:
            reason = " ".join(str(error).split())[:150]
            raise MalformedRow(
                f"{self.where(row)}: cannot be read ({reason}); fetch the file again, or skip malformed rows"
            ) from None


@functools.lru_cache(maxsize=64)
def _reader(path: Path, process: int) -> Any:
    del process  # a reader has threads, which a fork leaves behind
    return array_record_module.ArrayRecordReader(str(path))


def _is_array_record(path: Path) -> bool:
    return ".array_record" in path.name or ".arrayrecord" in path.name


def _record_starts(path: Path) -> np.ndarray:
    """Where each record of a TFRecord file begins, and where the last one ends; only lengths are read."""
    size, starts, place = os.path.getsize(path), [], 0
    if size:
        with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            while place < size:
                starts.append(place)
                if place + _HEAD > size:
                    raise ValueError(f"it is cut off within record {len(starts)}")
                place += _HEAD + _LENGTH.unpack_from(content, place)[0] + _TAIL
                if place > size:
                    raise ValueError(f"it is cut off within record {len(starts)}")
    return np.array([*starts, place], np.int64)
