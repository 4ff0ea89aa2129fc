"""One process at a time in a folder: a lock on an open file, which goes with the process, however it ends."""

import fcntl
from pathlib import Path
from typing import IO

from instruct_jax.errors import InputError


def hold(stream: IO, folder: Path) -> None:
    """Lock an open file until it is closed.

    Args:
      stream: of a file in the folder that every process at work there opens.
      folder: for the message.

    Raises:
      InputError: another process holds it.
    """
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"another process is at work in {folder}; wait for it, or choose another WORKDIR") from None
