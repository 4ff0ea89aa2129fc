"""Which model an HF folder holds: a hash that any training, and any change of its configuration, would change."""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

from instruct_jax.artifacts.manifest import identity_of
from instruct_jax.convert.tensor_files import Entry

# Of each tensor, so many pieces of so many bytes, evenly spread: reading all of a large model would take minutes.
_PIECES, _BYTES = 16, 256


def model_identity(config: Mapping[str, Any], entries: Mapping[str, Entry]) -> str:
    """Hash of the configuration, of each tensor's name, dtype and shape, and of a sample of its bytes.

    It does not depend on how the tensors are spread over files.
    """
    digest = hashlib.sha256()
    for name, entry in sorted(entries.items()):
        digest.update(f"{name} {entry.kind} {entry.shape}\n".encode())
        size = math.prod(entry.shape) * entry.dtype.itemsize
        with open(entry.file, "rb") as stream:
            for k in range(_PIECES):
                stream.seek(entry.offset + max(0, size - _BYTES) * k // (_PIECES - 1))
                digest.update(stream.read(min(_BYTES, size)))
    return identity_of([dict(config), digest.hexdigest()])
