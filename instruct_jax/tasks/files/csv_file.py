"""CSV and TSV files by row: every value is text, and rows are read at need."""

import codecs
import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.records import MalformedRow, RowFile, read_at

_LONGEST_VALUE = 1 << 30  # characters; Python's own limit of 131,072 is less than some documents have


class CsvFile(RowFile):
    """A table whose first row names the fields; memory holds offset, size and line of each row.

    Quotes are as RFC 4180 has them, so a value may hold line breaks. Empty lines are passed over.

    Args:
      path: where it lies.
      name: how the user knows it, if otherwise.
      delimiter: between two values.

    Raises:
      InputError: its first row does not name the fields, each once.
    """

    def __init__(self, path: Path, name: str | None = None, delimiter: str = ","):
        self.kind = "TSV" if delimiter == "\t" else "CSV"
        self.name, self._path, self._delimiter = name or str(path), path, delimiter
        before = csv.field_size_limit(_LONGEST_VALUE)
        try:
            with open(path, "rb") as stream:
                places = np.array(list(_places(stream, delimiter)), np.int64).reshape(-1, 3)
                stream.seek(0)
                self.sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        finally:
            csv.field_size_limit(before)
        if not len(places):
            raise InputError(f"{self.name} is empty; expected a first row with the names of the fields")
        self._starts, self._sizes, self._lines = places.T
        self.size = len(places) - 1
        self._header = self._header_row()

    def number(self, row: int) -> int:
        return int(self._lines[row + 1])

    def where(self, row: int) -> str:
        return f"{self.name}:{self._lines[row + 1]}"

    def fields(self, row: int) -> dict[str, str]:
        values = self._values(row + 1)
        if len(values) != len(self._header):
            raise MalformedRow(
                f"{self.where(row)}: {len(values)} values; expected {len(self._header)}, as many as the first row names: "
                "mend the row (a value with a comma or a line break needs quotes), or skip malformed rows"
            )
        return dict(zip(self._header, values, strict=True))

    def _header_row(self) -> list[str]:
        header = self._values(0)
        odd = [name for name in header if not name.strip() or header.count(name) > 1]
        if len(header) == 1 and any(mark in header[0] for mark in ",;\t"):
            between = "tabs" if self.kind == "TSV" else "commas"
            raise InputError(
                f"{self.name}: the first row names one field, {header[0]!r:.80}; expected {between} between values: "
                "write the file anew, with commas for a .csv and tabs for a .tsv"
            )
        if odd:
            raise InputError(f"{self.name}: the first row names the field {odd[0]!r}; expected names, each of them once")
        return header

    def _values(self, place: int) -> list[str]:
        content = read_at(self._path, self.sha256, int(self._starts[place]), int(self._sizes[place]))
        before = csv.field_size_limit(_LONGEST_VALUE)
        try:
            text = content.decode("utf-8-sig" if place == 0 else "utf-8")
            return next(csv.reader([text], delimiter=self._delimiter, strict=True))
        except (csv.Error, UnicodeError) as error:
            where = f"{self.name}:{self._lines[place]}"
            raise MalformedRow(f"{where}: not valid CSV ({error}); mend the row, or skip malformed rows") from None
        finally:
            csv.field_size_limit(before)


def _places(stream: BinaryIO, delimiter: str) -> Iterator[tuple[int, int, int]]:
    """Offset, size and line of each row that is not empty."""
    taken, lines = 0, 0

    def texts() -> Iterator[str]:
        nonlocal taken, lines
        for line in stream:
            taken, lines = taken + len(line), lines + 1
            yield line.removeprefix(codecs.BOM_UTF8 if lines == 1 else b"").decode(
                "latin-1"
            )  # every byte a character: quotes and delimiters are where they were

    reader, start, number = csv.reader(texts(), delimiter=delimiter, strict=True), 0, 1
    while True:
        try:
            values: Any = next(reader, None)
        except csv.Error:  # told when the row is read
            values = ["damaged"]
        if values is None:
            return
        if values:
            yield start, taken - start, number
        start, number = taken, lines + 1
