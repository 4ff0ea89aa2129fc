"""The token cache: rendered texts by what decides them, so that another mixture of the same tasks tokenises nothing again.

A folder holds files of texts. A file is written whole and never changed:

    magic, number of task keys K, number of texts N, bytes of content, CRC-32 of what follows up to the content
    K task keys of 16 bytes
    N entries of INDEX: which task key, example, epoch, and where in the content, with its CRC-32
    content: for each text what `encode_text` gives

Nothing in it is trusted: a file whose size or index does not agree with its header is passed over, and a text whose
checksum does not agree is made anew.
"""

import dataclasses
import functools
import hashlib
import os
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from instruct_jax.text.chat import Rendered

INDEX = np.dtype([("task", "<u4"), ("epoch", "<u4"), ("example", "<i8"), ("offset", "<u8"), ("bytes", "<u4"), ("crc", "<u4")])
SUFFIX = ".tokens"
_MAGIC = b"ijtok\0\0\1"
_FILE = struct.Struct("<8sIIQI")
_KEY_BYTES = 16
_TEXT = struct.Struct("<iiBBH")  # template, setting, whether a document, bytes a token, rows
_ROW = struct.Struct("<III")  # tokens, changes between untrained and trained, ranges
_EPOCHS = 1 << 20  # later epochs are not kept


@dataclasses.dataclass(frozen=True)
class Text:
    """An example as it was rendered, before it is fitted to a row.

    Attributes:
      rows: its texts; more than one where the chat template needs several to train every turn.
      template, setting: indices of its wording and of its prompt setting, as `examples.Example` has them.
      document: whether it is a plain document.
    """

    rows: tuple[Rendered, ...]
    template: int
    setting: int
    document: bool


def encode_text(text: Text) -> bytes:
    """A text as bytes; its weights must all be 0 or 1.

    >>> row = Rendered(np.array([7, 8, 9], np.int32), np.array([0, 1, 1], np.float32), ((0, 1),))
    >>> decode_text(encode_text(Text((row,), 4, 0, False))).rows[0].weights.tolist()
    [0.0, 1.0, 1.0]
    """
    width = 2 if all(row.tokens.size == 0 or row.tokens.max() < 1 << 16 for row in text.rows) else 4
    parts = [_TEXT.pack(text.template, text.setting, text.document, width, len(text.rows))]
    for row in text.rows:
        trained = row.weights != 0
        changes = np.flatnonzero(trained[1:] != trained[:-1]) + 1
        changes = np.concatenate([[0], changes]) if trained[:1].any() else changes
        parts.append(_ROW.pack(row.tokens.size, changes.size, len(row.trimmable)))
        parts.append(changes.astype("<u4").tobytes())
        parts.append(np.array(row.trimmable, "<u4").tobytes())
        parts.append(row.tokens.astype(f"<u{width}").tobytes())
    return b"".join(parts)


def decode_text(content: bytes) -> Text:
    """The inverse of `encode_text`."""
    template, setting, document, width, count = _TEXT.unpack_from(content)
    at, rows = _TEXT.size, []
    for _ in range(count):
        size, changes, ranges = _ROW.unpack_from(content, at)
        at += _ROW.size
        numbers = struct.unpack_from(f"<{changes + 2 * ranges}I", content, at)
        at += 4 * len(numbers)
        tokens = np.frombuffer(content, f"<u{width}", size, at).astype(np.int32)
        at += width * size
        weights = np.zeros(size, np.float32)
        edges = [*numbers[:changes], size]
        for start, end in zip(edges[0::2], edges[1::2], strict=False):
            weights[start:end] = 1.0
        pairs = numbers[changes:]
        rows.append(Rendered(tokens, weights, tuple(zip(pairs[0::2], pairs[1::2], strict=True))))
    return Text(tuple(rows), template, setting, bool(document))


def write_texts(folder: Path, texts: Mapping[tuple[bytes, int, int], bytes]) -> None:
    """Write one file of texts; its name says what is in it.

    Args:
      folder: the cache's folder for this tokenizer and chat template.
      texts: by task key, example and epoch, as `encode_text` gives them.
    """
    kept = sorted(place for place in texts if place[2] < _EPOCHS)
    if not kept:
        return
    keys = sorted({key for key, _, _ in kept})
    numbers = {key: number for number, key in enumerate(keys)}
    contents = [texts[place] for place in kept]
    index = np.zeros(len(kept), INDEX)
    index["task"] = [numbers[key] for key, _, _ in kept]
    index["example"] = [example for _, example, _ in kept]
    index["epoch"] = [epoch for _, _, epoch in kept]
    index["bytes"] = sizes = np.array([len(content) for content in contents])
    index["offset"] = np.cumsum(sizes) - sizes
    index["crc"] = [zlib.crc32(content) for content in contents]
    head = b"".join(keys) + index.tobytes()
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(head).hexdigest()[:24]
    partial = folder / f"{name}.{os.getpid()}.partial"
    with open(partial, "wb") as stream:
        stream.write(_FILE.pack(_MAGIC, len(keys), len(kept), int(sizes.sum()), zlib.crc32(head)) + head)
        stream.writelines(contents)
    partial.replace(folder / f"{name}{SUFFIX}")


class TokenCache:
    """The texts of some tasks that lie in a cache folder, found by arrays that forked processes share.

    Args:
      folder: the cache's folder for this tokenizer and chat template; it need not exist.
      keys: the task keys, each once: `task_key` of what decides a task's texts.

    Attributes:
      refused: files that are damaged or no files of texts.
    """

    def __init__(self, folder: Path, keys: Sequence[bytes]):
        self.folder, self.refused = folder, []
        numbers = {key: number for number, key in enumerate(keys)}
        files = sorted(folder.glob(f"*{SUFFIX}"), key=lambda file: (file.stat().st_mtime_ns, file.name))
        self._files: list[Path] = []
        parts = []
        for file in files:
            found = _read_index(file)
            if found is None:
                self.refused.append(file)
                continue
            theirs, index, begin = found
            tasks = np.array([numbers.get(key, -1) for key in theirs], np.int64)[index["task"]]
            mine = tasks >= 0
            if mine.any():
                parts.append((tasks[mine], index[mine], np.full(int(mine.sum()), len(self._files)), begin))
                self._files.append(file)
        tasks = np.concatenate([part[0] for part in parts] or [np.zeros(0, np.int64)])
        index = np.concatenate([part[1] for part in parts] or [np.zeros(0, INDEX)])
        places = _places(index["example"], index["epoch"])
        # Stable: of two texts with one key the later file's comes last, and is found.
        order = np.lexsort((places, tasks))
        self._places = places[order]
        starts = np.searchsorted(tasks[order], np.arange(len(keys) + 1)).tolist()
        self._bounds = {key: (starts[number], starts[number + 1]) for number, key in enumerate(keys)}
        self._file = np.concatenate([part[2] for part in parts] or [np.zeros(0, np.int64)])[order].astype(np.int32)
        begins = np.concatenate([np.full(len(part[1]), part[3], np.uint64) for part in parts] or [np.zeros(0, np.uint64)])
        self._offsets = (index["offset"] + begins)[order]
        self._bytes, self._crc = index["bytes"][order], index["crc"][order]

    def __len__(self) -> int:
        return self._places.size

    def find(self, key: bytes, examples: np.ndarray, epochs: np.ndarray) -> np.ndarray:
        """Where the texts of these uses of a task are: a number for `read`, or -1 for each that is not there."""
        start, end = self._bounds[key]
        mine, wanted = self._places[start:end], _places(examples, epochs)
        if not mine.size:
            return np.full(wanted.size, -1)
        found = np.searchsorted(mine, wanted, side="right") - 1
        there = (found >= 0) & (mine[found] == wanted) & (epochs < _EPOCHS)
        return np.where(there, found + start, -1)

    def read(self, number: int) -> Text | None:
        """The text that `find` found; None where it is damaged or gone."""
        size = int(self._bytes[number])
        try:
            content = os.pread(_open(self._files[self._file[number]]).descriptor, size, int(self._offsets[number]))
        except OSError:
            return None
        if len(content) != size or zlib.crc32(content) != self._crc[number]:
            return None
        return decode_text(content)


def task_key(identity: str) -> bytes:
    """The key of a task's texts, from the identity of all that decides them."""
    return hashlib.sha256(identity.encode()).digest()[:_KEY_BYTES]


def _places(examples: Iterable[int], epochs: Iterable[int]) -> np.ndarray:
    """Example and epoch as one number that sorts: examples are below 2^43."""
    return np.asarray(examples, np.int64) * _EPOCHS + np.asarray(epochs, np.int64)


def _read_index(file: Path) -> tuple[list[bytes], np.ndarray, int] | None:
    """Task keys, entries and where the content begins; None for a file that is not what it should be."""
    with open(file, "rb") as stream:
        header = stream.read(_FILE.size)
        if len(header) < _FILE.size:
            return None
        magic, keys, entries, content, crc = _FILE.unpack(header)
        head_bytes = keys * _KEY_BYTES + entries * INDEX.itemsize
        if magic != _MAGIC or file.stat().st_size != _FILE.size + head_bytes + content:
            return None
        head = stream.read(head_bytes)
    if zlib.crc32(head) != crc:
        return None
    table = [head[at : at + _KEY_BYTES] for at in range(0, keys * _KEY_BYTES, _KEY_BYTES)]
    index = np.frombuffer(head, INDEX, entries, keys * _KEY_BYTES)
    if (index["task"] >= keys).any():
        return None
    return table, index, _FILE.size + head_bytes


class _Handle:
    """A file open for reading, closed when nobody holds it any more."""

    def __init__(self, file: Path):
        self.descriptor = -1
        self.descriptor = os.open(file, os.O_RDONLY)

    def __del__(self):
        if self.descriptor >= 0:
            os.close(self.descriptor)


_open = functools.lru_cache(maxsize=128)(_Handle)
