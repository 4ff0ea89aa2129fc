"""One process at a time makes a folder: two that wrote the same parts would take them from each other."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from instruct_jax.errors import InputError


@contextlib.contextmanager
def sole_maker(folder: Path) -> Iterator[None]:
    """Within it, no other process makes the folder.

    The lock is a file beside the folder, gone afterwards; one that a killed process left behind locks nothing. File systems
    without locks do without.

    Args:
      folder: to be made.

    Raises:
      InputError: another process is at it, or there is no place for the lock.
    """
    whole = folder.resolve()
    file = whole.with_name(f"{whole.name}.making") if whole.name else whole
    descriptor = _locked(file, folder)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)  # before the lock goes, so that nobody gets a lock on a file that is about to go
        os.close(descriptor)


def _locked(file: Path, folder: Path) -> int:
    while True:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise InputError(f"{folder} cannot be made ({error.strerror}); choose another WORKDIR") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise InputError(f"another process is making {folder}; wait for it, or choose another WORKDIR") from None
        except OSError:
            return descriptor
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(file)):
                return descriptor
        os.close(descriptor)  # its maker ended between our two steps, and took the file away
