"""Containers: the rows of any file or folder that rows come in, told by its first bytes, its ending and its neighbours."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.arrow_files import ARROW_FILE, ARROW_STREAM, PARQUET, ArrowFile, ParquetFile
from instruct_jax.tasks.files.csv_file import CsvFile
from instruct_jax.tasks.files.packed_files import unpacked
from instruct_jax.tasks.files.places import Place, places
from instruct_jax.tasks.files.records import ArrayFile, FileRecords, LineFile, RowFile

_SUFFIXES = (".parquet", ".arrow", ".jsonl", ".ndjson", ".json", ".csv", ".tsv")
_PACKINGS = (".gz", ".zst", ".zstd")
# What lies beside rows in a folder and holds none.
_DESCRIPTIONS = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "features.json")
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}


def open_container(paths: str | Path | Sequence[str | Path], split: str = "train") -> FileRecords:
    """The rows of files, folders, globs and URLs, by index.

    A file is JSON (an array, or an object a line), CSV or TSV, Parquet or Arrow; the first two may be packed by gzip or zstd.
    A folder is a TFDS dataset's, one that `datasets.Dataset.save_to_disk` wrote, or holds files of one of these kinds whose
    names tell their splits as the Hugging Face hub has it (data/train-00000-of-00004.parquet); names that tell none are train.

    Args:
      paths: one or several.
      split: which to read of a folder that has several; a lone file has none.

    Raises:
      InputError: a path names nothing, a file is damaged or of no known kind, or a folder lacks the split.
    """
    files: list[RowFile] = []
    for place in places(paths):
        files += _folder_files(place, split) if place.is_folder else [_row_file(place)]
    return FileRecords(files)


def _row_file(place: Place) -> RowFile:
    try:
        return _opened(place)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{place.name} cannot be read ({reason}); check its permissions and its disk") from None


def _opened(place: Place) -> RowFile:
    path = unpacked(place.path, place.name)
    with open(path, "rb") as stream:
        start = stream.read(256)
    if start.startswith(PARQUET):
        return ParquetFile(path, place.name)
    if start.startswith((ARROW_FILE, ARROW_STREAM)):
        return ArrowFile(path, place.name)
    suffix = suffix_of(place.name)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if suffix in (".csv", ".tsv"):
        return CsvFile(path, place.name, "," if suffix == ".csv" else "\t")
    if re.match(rb"\[\s*[{\]]", text) or (suffix == ".json" and not text.startswith(b"{")):
        return ArrayFile(path, place.name)
    if suffix in (".jsonl", ".ndjson") or text.startswith(b"{"):
        return LineFile(path, place.name)
    if suffix in (".parquet", ".arrow"):
        raise InputError(f"{place.name} does not begin as a file of its kind does: it is damaged, or misnamed; fetch it again")
    raise InputError(
        f"{place.name} is of no known kind; expected JSON, JSONL, CSV, TSV, Parquet or Arrow (the first four also as .gz or .zst)"
    )


def suffix_of(name: str) -> str:
    """The ending that tells a file's kind, its packing left off.

    >>> suffix_of("rows.jsonl.gz"), suffix_of("README")
    ('.jsonl', '')
    """
    path = PurePosixPath(name.lower())
    return PurePosixPath(path.stem).suffix if path.suffix in _PACKINGS else path.suffix


def _folder_files(folder: Place, split: str) -> list[RowFile]:
    here = {file.name.removeprefix(folder.name).lstrip("/"): file for file in folder.inside()}
    if "features.json" in here and "dataset_info.json" in here:
        if folder.path is None:
            raise InputError(f"{folder.name}: a TFDS dataset is read from this disk; copy the folder here first")
        # TensorFlow takes seconds to import, and no other container needs it.
        from instruct_jax.tasks.tfds_folder import TfdsFolder

        return list(TfdsFolder(folder.path).read(split).files)
    if "dataset_dict.json" in here:
        splits = _described(here["dataset_dict.json"], lambda found: [str(split) for split in found["splits"]])
        _check_split(folder, split, splits)
        here = {name.removeprefix(f"{split}/"): file for name, file in here.items() if name.startswith(f"{split}/")}
    if "state.json" in here:
        names = _described(here["state.json"], lambda found: [str(entry["filename"]) for entry in found["_data_files"]])
        missing = [name for name in names if name not in here]
        if missing:
            raise InputError(f"{folder.name} lacks {missing[0]}, which its state.json names; fetch it again")
        return [_row_file(here[name]) for name in names]
    rows = {name: file for name, file in here.items() if suffix_of(name) in _SUFFIXES}
    rows = {name: file for name, file in rows.items() if PurePosixPath(name).name not in _DESCRIPTIONS}
    if not rows:
        raise InputError(f"{folder.name} holds no file of rows; expected some that end in {', '.join(_SUFFIXES)}")
    endings = sorted({suffix_of(name) for name in rows})
    if len(endings) > 1:
        raise InputError(f"{folder.name} holds files that end in {' and in '.join(endings)}; give a glob that names one kind")
    by_split: dict[str, list[Place]] = {}
    for name, file in rows.items():
        by_split.setdefault(split_of(name), []).append(file)
    _check_split(folder, split, by_split)
    return [_row_file(file) for file in by_split[split]]


def split_of(name: str) -> str:
    """The split that a file's name tells, or else the nearest folder's; train where none does.

    >>> split_of("data/validation-00000-of-00001.parquet"), split_of("en/test/part.jsonl"), split_of("rows.csv")
    ('validation', 'test', 'train')
    """
    for part in reversed(PurePosixPath(name).parts):
        words = re.split(r"[^a-z]+", part.lower())
        for split, names in _SPLIT_NAMES.items():
            if any(word in names for word in words):
                return split
    return "train"


def _check_split(folder: Place, split: str, splits: Sequence[str] | dict[str, list[Place]]) -> None:
    if split not in splits:
        raise InputError(f"{folder.name} has no split {split!r}; it has: {', '.join(sorted(splits))}")


def _described(file: Place, names: Callable[[Any], list[str]]) -> list[str]:
    """Names in one of the JSON files that `datasets` writes beside the rows."""
    try:
        return names(json.loads(file.path.read_bytes()))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file.name} is damaged ({type(error).__name__}: {error}); fetch the folder again") from None
