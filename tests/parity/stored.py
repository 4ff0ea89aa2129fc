"""The tensors of an HF folder as they lie on disk, read by the format's definition and no library."""

import json
from pathlib import Path
from typing import Any


def tensors(folder: Path) -> dict[str, tuple[Any, ...]]:
    """dtype, shape and bytes of every tensor in a folder's safetensors files, by name.

    A file is the length of its header in eight bytes, little-endian; the header, JSON; and the data it points into.
    """
    found: dict[str, tuple[Any, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        content = file.read_bytes()
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start])
        header.pop("__metadata__", None)
        for name, entry in header.items():
            first, last = entry["data_offsets"]
            found[name] = (entry["dtype"], tuple(entry["shape"]), content[start + first : start + last])
    return found
