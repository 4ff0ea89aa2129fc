"""Arrow and Parquet files by row: memory-mapped, so that what lies in memory is what was read lately."""

import base64
import bisect
import datetime
import decimal
import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from instruct_jax.artifacts.manifest import file_sha256
from instruct_jax.errors import InputError
from instruct_jax.tasks.files.records import MalformedRow, RowFile
from instruct_jax.tasks.files.scratch import scratch_file, version_of

ARROW_FILE, ARROW_STREAM, PARQUET = b"ARROW1", b"\xff\xff\xff\xff", b"PAR1"
_ROWS_PER_BATCH = 1_000


class ArrowFile(RowFile):
    """An Arrow file or stream (IPC), such as `datasets` writes; every batch is checked once, so that none is read astray.

    Values are as JSON would hold them: see `plain_value`.

    Args:
      path: where it lies.
      name: how the user knows it, if otherwise.

    Raises:
      InputError: it is damaged.
    """

    kind = "Arrow"

    def __init__(self, path: Path, name: str | None = None):
        self.name = name or str(path)
        self.sha256 = file_sha256(path)
        try:
            self._batches = _batches(path)
            for batch in self._batches:
                batch.validate(full=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise damaged(self.name, error) from None
        self._starts = [0, *itertools.accumulate(batch.num_rows for batch in self._batches)]
        self.size = self._starts[-1]

    def number(self, row: int) -> int:
        return row + 1

    def where(self, row: int) -> str:
        return f"{self.name} row {row + 1}"

    def fields(self, row: int) -> dict[str, Any]:
        number = bisect.bisect_right(self._starts, row) - 1
        try:
            (values,) = self._batches[number].slice(row - self._starts[number], 1).to_pylist()
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise MalformedRow(f"{self.where(row)}: cannot be read ({error}); mend the row, or skip malformed rows") from None
        return {name: plain_value(value) for name, value in values.items()}


class ParquetFile(RowFile):
    """A Parquet file, unpacked once into an Arrow file in scratch, a row group after the other.

    Args:
      path: where it lies.
      name: how the user knows it, if otherwise.

    Raises:
      InputError: it is damaged.
    """

    kind = "Parquet"

    def __init__(self, path: Path, name: str | None = None):
        self.name = name or str(path)

        def write(file: Path) -> None:
            # A stream, since the batches of a dictionary column need not share their dictionary.
            with (
                pyarrow.parquet.ParquetFile(path, memory_map=True, page_checksum_verification=True) as parquet,
                pa.ipc.new_stream(str(file), parquet.schema_arrow) as arrow,
            ):
                for batch in parquet.iter_batches(_ROWS_PER_BATCH, use_threads=False):
                    arrow.write_batch(batch)

        try:
            self._rows = ArrowFile(scratch_file(f"parquet\0{version_of(path)}", write), self.name)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise damaged(self.name, error) from None
        self.size, self.sha256 = self._rows.size, file_sha256(path)

    def number(self, row: int) -> int:
        return row + 1

    def where(self, row: int) -> str:
        return self._rows.where(row)

    def fields(self, row: int) -> dict[str, Any]:
        return self._rows.fields(row)


def plain_value(value: Any) -> Any:
    """What Arrow holds as JSON would hold it.

    A field of a struct that is null goes: in a column of structs every one has the fields of all, so null says that this one
    has no such field. Times and decimals become text; so do bytes, in base64 where they are no text.

    >>> plain_value({"role": "user", "name": None, "at": datetime.date(2026, 1, 2), "tags": [b"a", None]})
    {'role': 'user', 'at': '2026-01-02', 'tags': ['a', None]}
    """
    if isinstance(value, dict):
        return {name: plain_value(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [plain_value(one) for one in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta | decimal.Decimal):
        return str(value)
    if isinstance(value, tuple):  # an entry of a map
        return [plain_value(one) for one in value]
    return value


def damaged(name: str, error: Exception) -> InputError:
    """What to say of a file that its library refuses."""
    return InputError(f"{name} is damaged ({' '.join(str(error).split())[:150]}); fetch it again")


def _batches(path: Path) -> list[pa.RecordBatch]:
    with open(path, "rb") as stream:
        if not stream.read(1):
            raise ValueError("it is empty")
    mapped = pa.memory_map(str(path))
    if mapped.read(len(ARROW_FILE)) == ARROW_FILE:
        reader = pa.ipc.open_file(mapped)
        return [reader.get_batch(number) for number in range(reader.num_record_batches)]
    mapped.seek(0)
    return list(pa.ipc.open_stream(mapped))
