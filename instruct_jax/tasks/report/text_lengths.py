"""The length of every text before it was fitted to a row: as prepare kept it, or as far as the rows still tell."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from instruct_jax.errors import InputError
from instruct_jax.tasks.report.census import Census

FIELDS = ("task", "template", "setting", "example", "epoch", "tokens", "supervised", "fixed", "document")
_INTEGERS = [(name, np.int64) for name in FIELDS if name != "document"]


def text_lengths(folder: Path, manifest: Mapping[str, Any], census: Census) -> tuple[np.ndarray, bool]:
    """A structured array of FIELDS, one entry a text, and whether it is what prepare kept.

    `fixed` counts the tokens that trimming must keep. A dataset without `texts-*.npy` beside its rows tells less: its
    texts are those in the rows, as long as they are there, so that dropped ones are missing; and of turns all but the
    prompt is taken as fixed.

    Args:
      folder: of the dataset.
      manifest: of the dataset.
      census: of its rows.

    Raises:
      InputError: a file lacks a field.
    """
    files = sorted(folder.glob("texts-*.npy"))
    if files:
        return np.concatenate([_read(file) for file in files]), True
    return _from_rows(manifest, census), False


def _read(file: Path) -> np.ndarray:
    try:
        found = np.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"{file} cannot be read ({str(error).splitlines()[0]}); prepare the dataset again") from None
    missing = [name for name in FIELDS if name not in (found.dtype.names or ())]
    if missing:
        raise InputError(f"{file} has no field {missing[0]!r}; expected {', '.join(FIELDS)}: prepare the dataset again")
    out = np.zeros(found.size, [*_INTEGERS, ("document", bool)])
    for name in FIELDS:
        out[name] = found[name]
    return out


def _from_rows(manifest: Mapping[str, Any], census: Census) -> np.ndarray:
    number = census.examples()
    count = int(number.max(initial=-1)) + 1
    out = np.zeros(count, [*_INTEGERS, ("document", bool)])
    for name in ("task", "template", "example", "epoch"):
        out[name][number] = getattr(census, name)
    for name in ("tokens", "supervised"):
        out[name] = np.bincount(number, getattr(census, name), count).astype(np.int64)
    kinds = np.array([task.get("kind") == "text" for task in manifest["tasks"]])
    # Of a plain document all is trained but the first token of each piece, which has nothing before it.
    pieces = np.bincount(number, minlength=count)
    out["document"] = kinds[out["task"]] | ((out["template"] < 0) & (out["tokens"] - out["supervised"] <= pieces))
    out["fixed"] = np.where(out["document"], out["tokens"], np.minimum(out["supervised"] + 1, out["tokens"]))
    return out
