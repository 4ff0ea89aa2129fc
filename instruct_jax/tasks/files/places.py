"""Files that a path, a glob or a URL names: where each lies on this disk, and what the user calls it."""

import dataclasses
import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fsspec

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.scratch import scratch_file

_INSTALL = {
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "s3": "s3fs",
    "s3a": "s3fs",
    "hf": "huggingface_hub",
    "http": "aiohttp",
    "https": "aiohttp",
}


@dataclasses.dataclass(frozen=True)
class Place:
    """One file or folder.

    Attributes:
      path: where it lies on this disk; None for a folder elsewhere.
      name: the path or URL by which it is known.
      files: of a folder elsewhere, everything in it.
    """

    path: Path | None
    name: str
    files: "tuple[Place, ...]" = ()

    @property
    def is_folder(self) -> bool:
        return self.path is None or self.path.is_dir()

    def inside(self) -> "list[Place]":
        """Every file of a folder and of its folders, sorted by name; hidden ones are passed over."""
        if self.path is None:
            return list(self.files)
        files = (file for file in sorted(self.path.rglob("*")) if file.is_file())
        within = [file for file in files if not any(part.startswith(".") for part in file.relative_to(self.path).parts)]
        return [Place(file, str(file)) for file in within]


def places(paths: "str | Path | Sequence[str | Path]") -> list[Place]:
    """The files and folders that paths, globs and URLs name, each one's sorted. Remote files are fetched into scratch.

    Args:
      paths: one or several; URLs such as gs://bucket/rows-*.jsonl are read with `fsspec`, as credentials it finds allow.

    Raises:
      InputError: one of them matches nothing, or its driver is missing or refuses.
    """
    listed = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not listed:
        raise InputError("no file is given; give a file, a glob, a folder, a URL, or several of them")
    found = []
    for path in map(str, listed):
        found += _remote(path) if "://" in path else _local(path)
    return found


def _local(pattern: str) -> list[Place]:
    if Path(pattern).exists():  # a name may hold what a glob gives a meaning
        return [Place(Path(pattern), pattern)]
    found = sorted(glob.glob(pattern, recursive=True))
    if not found:
        raise InputError(f"no file matches {pattern}; check the path")
    return [Place(Path(one), one) for one in found]


def _remote(url: str) -> list[Place]:
    protocol = url.partition("://")[0]
    try:
        files, within = fsspec.core.url_to_fs(url)
        alone = [within] if files.exists(within) else []
        matched = sorted(files.glob(within)) if glob.has_magic(within) else alone
        if not matched:
            raise InputError(f"no file matches {url}; check the URL")
        return [_fetched(files, one) for one in matched]
    except ImportError as error:
        package = _INSTALL.get(protocol)
        advice = f"pip install {package}" if package else " ".join(str(error).split())
        raise InputError(f"{url}: the driver for {protocol}:// is not installed; {advice}") from None
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{url} cannot be read ({reason}); check the URL and the credentials") from None


def _fetched(files: Any, path: str) -> Place:
    name = files.unstrip_protocol(path)
    if files.isdir(path):
        inside = tuple(_fetched(files, one) for one in sorted(files.find(path)) if "/." not in one.removeprefix(path))
        return Place(None, name, inside)
    key = f"fetched\0{name}\0{files.ukey(path)}"
    return Place(scratch_file(key, lambda file: files.get_file(path, str(file))), name)
