"""Scratch: what has to lie unpacked on this disk to be read by index, kept until the process ends.

gzip and zstd cannot be entered in the middle, Parquet's pages only from their beginning, and a remote file only by asking for
it: an example drawn at random would cost a block's unpacking or a round trip. So each such file is unpacked or fetched once,
on the disk and not in memory, and read there like any other. The folder lies where TMPDIR says; what a killed process left
there, the next one removes.
"""

import atexit
import errno
import fcntl
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from instruct_jax.errors import InputError


def scratch_file(key: str, write: Callable[[Path], None]) -> Path:
    """The file that `write` writes, made once in a process for each key.

    Args:
      key: says what decides the file's content.
      write: given the path to write; what it raises goes on, and no file is left.

    Raises:
      InputError: the disk is full.
    """
    file = _folder() / hashlib.sha256(key.encode()).hexdigest()[:32]
    if not file.exists():
        partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
        try:
            write(partial)
        except OSError as error:
            partial.unlink(missing_ok=True)
            if error.errno == errno.ENOSPC:
                raise InputError(f"{partial.parent} is full; set TMPDIR to a folder with more room") from None
            raise
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        partial.replace(file)
    return file


def version_of(path: Path) -> str:
    """A file's path, size and time of writing: the part of a key that changes when the file is written anew."""
    status = path.stat()
    return f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"


@functools.cache
def _folder() -> Path:
    _remove_abandoned()
    unlocked, owner = Path(tempfile.mkdtemp(prefix="instruct_jax_new-")), os.getpid()
    _lock(unlocked)
    folder = unlocked.rename(unlocked.with_name(unlocked.name.replace("_new-", "-")))

    def remove() -> None:
        if os.getpid() == owner:  # a forked worker leaves what its parent made
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def _lock(folder: Path) -> int:
    """Hold a folder until this process and all that it forked have ended.

    Raises:
      OSError: another holds it, or it belongs to another user.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove_abandoned() -> None:
    """Remove the scratch of processes that were killed, which had no time to."""
    for folder in Path(tempfile.gettempdir()).glob("instruct_jax-*"):
        try:
            descriptor = _lock(folder)
        except OSError:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)
