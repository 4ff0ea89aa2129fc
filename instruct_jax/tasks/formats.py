"""Formats: samples from any file, folder, glob or URL, its container and the form of its rows told by looking."""

import collections
import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.containers import open_container
from instruct_jax.tasks.files.records import FileRecords, MalformedRow
from instruct_jax.tasks.files.row_form import Fields, RowForm, names_of
from instruct_jax.tasks.files.row_forms import DETECTED, row_form
from instruct_jax.tasks.files.samples import Provenance, Sample

_LOOKED_AT = 64  # rows, of those that can be read

Paths = str | Path | Sequence[str | Path]


def read(path: Paths, format: RowForm | str | None = None, split: str = "train") -> Iterator[Sample]:
    """The samples of files, in order.

    Args:
      path: a file, a glob, a folder, a URL, or several of them; see `containers.open_container`.
      format: how rows are to be read, by name or as a value; None: by looking at them, see `detected`.
      split: which to read of a folder that has several.

    Raises:
      InputError: there is nothing to read, or no row form fits.
      MalformedRow: a row does not fit; the message begins with its file and line.
    """
    samples = open_samples(path, format, split)
    for row in range(samples.records.size):
        yield from samples.of_row(row)


def describe(path: Paths, format: RowForm | str | None = None, split: str = "train") -> str:
    """One line on what files hold: "12 rows of Alpaca in Parquet: instruction, input, output"."""
    return open_samples(path, format, split).description()


def open_samples(path: Paths, format: RowForm | str | None = None, split: str = "train") -> "Samples":
    """The samples of files by index; see `read`.

    Raises:
      InputError: there is nothing to read, or no row form fits.
    """
    records = open_container(path, split)
    if not records.size:
        raise InputError(f"{records.files[0].name if records.files else path} holds no rows; give a file that does")
    if format is None:
        return Samples(records, detected(records))
    return Samples(records, row_form(format) if isinstance(format, str) else format)


class Samples:
    """The samples of files by index.

    Attributes:
      records: the rows.
      form: how they are read.
    """

    def __init__(self, records: FileRecords, form: RowForm):
        self.records, self.form = records, form

    def __len__(self) -> int:
        return self.records.size if self.form.one_each else len(self._places)

    def __getitem__(self, index: int) -> Sample:
        """One sample.

        Raises:
          MalformedRow: its row does not fit.
        """
        row, instance = self.place(index)
        return self.of_row(row)[instance]

    def place(self, index: int) -> tuple[int, int]:
        """The row of a sample, counted from 0 over all files, and which of the row's samples it is."""
        return (index, 0) if self.form.one_each else self._places[index]

    def of_row(self, row: int) -> tuple[Sample, ...]:
        """What a row says.

        Raises:
          MalformedRow: it does not fit; the message begins with its file and line.
        """
        fields = self.records[row]
        file, place = self.records.locate(row)
        try:
            return self.form.samples(fields, Provenance(file.name, file.number(place), self.form.name))
        except InputError as error:
            raise MalformedRow(
                f"{file.where(place)}: as {self.form.title}: {error}; mend the row, give another format, or skip malformed rows"
            ) from None

    def where(self, index: int) -> str:
        """File and line of a sample."""
        return self.records.where(self.place(index)[0])

    def description(self) -> str:
        """What there is and how it is read, in one line; and how else it could be."""
        kinds = collections.Counter(file.kind for file in self.records.files if file.size)
        held = " and ".join(f"{count} files of {kind}" if count > 1 else kind for kind, count in kinds.items())
        rows = [fields for _, fields in _readable(self.records)]
        first = next((fields for fields in rows if self.form.fits(fields)), {})
        size = self.records.size
        line = f"{size:,} row{'s' * (size != 1)} of {self.form.title} in {held}"
        line += f": {', '.join(self.form.reads(first))}" if first else ", none of which it fits"
        others = [form.name for form in DETECTED if form.name != self.form.name and form.fits(first)]
        return f"{line}; the rows also fit the format {' or '.join(others)}" if others else line

    @functools.cached_property
    def _places(self) -> list[tuple[int, int]]:
        """Row and instance of every sample, by one pass over all rows; a broken row has one, so that it is told when read."""
        places = []
        for row in range(self.records.size):
            try:
                count = len(self.of_row(row))
            except MalformedRow:
                count = 1
            places += [(row, instance) for instance in range(count)]
        return places


def detected(records: FileRecords) -> RowForm:
    """The first form of `row_forms.DETECTED` that fits most of the first rows; the others are told when they are read.

    Raises:
      InputError: none does; or rows have the fields of a form that guards its rows, and do not fit it.
    """
    rows = list(_readable(records))
    if not rows:
        records[0]  # tells what is wrong with it
    fitting = {form: [form.fits(fields) for _, fields in rows] for form in DETECTED}
    for form, fits in fitting.items():
        if 2 * sum(fits) > len(rows):
            return form
        odd = next((row for row, fit in zip(rows, fits, strict=True) if not fit and _has_fields(form, row[1])), None)
        if form.guards and (odd or any(fits)):
            index, fields = odd or rows[fits.index(False)]
            raise InputError(
                f"{records.where(index)}: as {form.title}, which {sum(fits)} of the first {len(rows)} rows are: "
                f"{form.misfit(fields)}; mend the rows, or give the format that all of them have"
            )
    lost = [row for place, row in enumerate(rows) if not any(fits[place] for fits in fitting.values())]
    if not lost:
        held = ", ".join(f"{sum(fits)} of {form.name}" for form, fits in fitting.items() if any(fits))
        raise InputError(f"{records.where(0)} and its neighbours are of several formats ({held}); give files of one format each")
    index, fields = lost[0]
    likely = sorted((form for form in DETECTED if any(fitting[form])), key=lambda form: -sum(fitting[form]))
    reasons = ((form, _misfit_of_values(form, fields)) for form in DETECTED)
    known = [(form, reason) for form, reason in reasons if reason is not None]
    known += [(form, form.misfit(fields)) for form in likely]
    if known:
        form, reason = known[0]
        raise InputError(f"{records.where(index)}: as {form.title}: {reason}; mend the rows, or give the format they are in")
    small = {str(name).lower(): value for name, value in fields.items()}
    for form in DETECTED:
        if form.fits(small):
            raise InputError(
                f"{records.where(index)}: no known format fits its fields ({names_of(fields)}); "
                f"rename them to {', '.join(form.reads(small))}: then it is {form.title}"
            )
    needs = "; ".join(f"{form.name} ({form.needs})" for form in DETECTED)
    raise InputError(
        f"{records.where(index)}: no known format fits its fields ({names_of(fields)}); rename them to those of one of: {needs}"
    )


def _misfit_of_values(form: RowForm, fields: Fields) -> str | None:
    """What is wrong with the values of a row that has the fields a form needs; None where it lacks one."""
    return form.misfit(fields) if _has_fields(form, fields) else None


def _has_fields(form: RowForm, fields: Fields) -> bool:
    try:
        form.reads(fields)
    except InputError:
        return False
    return True


def _readable(records: FileRecords) -> Iterator[tuple[int, Fields]]:
    """The first rows that can be read, each with its index."""

    def rows() -> Iterator[tuple[int, Fields]]:
        for index in range(min(records.size, 16 * _LOOKED_AT)):
            try:
                yield index, records[index]
            except MalformedRow:
                continue

    return itertools.islice(rows(), _LOOKED_AT)
