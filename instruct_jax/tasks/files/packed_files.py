"""gzip and zstd files, unpacked once into scratch."""

import gzip
import shutil
import zlib
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.scratch import scratch_file, version_of

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def unpacked(path: Path, name: str) -> Path:
    """The file itself, or what a gzip or zstd file holds, told by its first bytes.

    Args:
      path: where it lies.
      name: how the user knows it.

    Raises:
      InputError: it is damaged or cut off.
    """
    with open(path, "rb") as stream:
        magic = stream.read(4)
    if not magic.startswith((GZIP, ZSTD)):
        return path

    def write(file: Path) -> None:
        with open(path, "rb") as packed, _opened(packed, magic) as content, open(file, "wb") as plain:
            shutil.copyfileobj(content, plain, 1 << 20)

    try:
        return scratch_file(f"unpacked\0{version_of(path)}", write)
    except (OSError, EOFError, zlib.error, pa.ArrowInvalid) as error:
        raise InputError(f"{name} is damaged ({' '.join(str(error).split())[:150]}); fetch it again") from None


def _opened(packed: BinaryIO, magic: bytes) -> BinaryIO:
    if magic.startswith(GZIP):
        return gzip.open(packed)
    return pa.CompressedInputStream(packed, "zstd")
