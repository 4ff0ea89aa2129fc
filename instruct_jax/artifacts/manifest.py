"""manifest.json: what a folder is, what made it, and from what. For a dataset or a report it is written last: finished."""

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from instruct_jax.errors import InputError

NAME = "manifest.json"
KINDS = ("dataset", "checkpoint", "report", "tokenizer", "conversations")


def write_manifest(folder: Path, kind: str, content: Mapping[str, Any]) -> None:
    """Write the manifest of a finished folder, atomically."""
    assert kind in KINDS, kind
    write_json(folder / NAME, {"kind": kind, **content})


def read_manifest(folder: str | Path, kind: str) -> dict[str, Any]:
    """The manifest of a folder of this kind.

    Raises:
      InputError: there is no such folder, it was never finished, or it is something else.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no {kind} at {folder}: no such folder; check the path, or make it first")
    file = folder / NAME
    if not file.exists():
        raise InputError(f"{folder} holds no {NAME}: it is no {kind}, or making it was cut short; make it again")
    try:
        manifest = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise InputError(f"{file} is not valid JSON ({error}); make the {kind} again") from None
    found = manifest.get("kind") if isinstance(manifest, dict) else None
    if found != kind:
        raise InputError(f"{folder} is a {found or 'folder of no known kind'}; expected a {kind}")
    return manifest


def inherited(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint's manifest passes on to those made from it: how an imported model's answers end, where it is one's.

    >>> inherited({"generation": {"eos_token_id": [2]}, "identity": "a"})
    {'generation': {'eos_token_id': [2]}}
    """
    kept = {"generation": manifest["generation"]} if "generation" in manifest else {}
    if "hf" in manifest:  # but for what its files had, which training may leave
        kept["hf"] = {key: value for key, value in manifest["hf"].items() if key != "dtypes"}
    return kept


def identity_of(content: Any) -> str:
    """A short stable hash of anything JSON can hold: equal content, equal identity."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def file_sha256(file: Path) -> str:
    """The checksum of a file, read in pieces."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """Versions of python and of these packages."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def write_json(file: Path, content: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".partial")
    with open(temporary, "w") as stream:
        stream.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)


def require_unused(folder: str | Path) -> Path:
    """The folder, made absolute, once it is known to hold nothing.

    Raises:
      InputError: it holds something, or is a file.
    """
    folder = Path(folder).resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} holds something already; choose another WORKDIR")
    return folder


def require_one_process(what: str) -> None:
    """Fail where several processes would write one folder.

    Args:
      what: is being made, for the message.

    Raises:
      InputError: there are several.
    """
    if jax.process_count() > 1:
        raise InputError(f"{what} is the work of one process, and here are {jax.process_count()}; run it on one host alone")


def fresh_partial(folder: Path) -> Path:
    """An empty folder beside `folder` to build it in; what an earlier, interrupted attempt left there is removed.

    Raises:
      InputError: the folder is the root, beside which there is nothing.
    """
    folder = folder.resolve()  # "." has no name that one could add to
    if not folder.name:
        raise InputError(f"cannot write a folder in the place of {folder}; choose another WORKDIR")
    partial = folder.with_name(folder.name + ".partial")
    if partial.exists():
        shutil.rmtree(partial)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made ({error.strerror}); choose another WORKDIR") from None
    return partial
