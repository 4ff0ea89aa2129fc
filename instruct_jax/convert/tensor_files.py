"""safetensors files: checked headers, tensors read row by row, shards written one tensor at a time.

A file is 8 bytes (the header's length, little-endian), a JSON header from tensor name to dtype, shape and byte range, and
the tensors' bytes, without holes. A folder holds `model.safetensors`, or several files and an index from name to file.
"""

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from instruct_jax.errors import InputError
from instruct_jax.text.json_object import parse_object, read_object

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
# Bytes of an element, for all that the format names with whole bytes; parameters are of the first three.
SIZES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "U64": 8, "C64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2}
SIZES |= {"BOOL": 1, "I8": 1, "U8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1}
DTYPES = {"F32": np.dtype(np.float32), "F16": np.dtype(np.float16), "BF16": np.dtype(jnp.bfloat16)}
DTYPE_NAMES = tuple(dtype.name for dtype in DTYPES.values())
# The library that the format comes from reads no longer headers.
_MAX_HEADER = 100_000_000


@dataclasses.dataclass(frozen=True)
class Entry:
    """Where one tensor lies.

    Attributes:
      file: the file that holds it.
      kind: dtype in the format's words, such as "BF16".
      shape: as stored.
      offset: first byte, from the file's beginning.
    """

    file: Path
    kind: str
    shape: tuple[int, ...]
    offset: int

    @property
    def dtype(self) -> np.dtype:
        return DTYPES[self.kind]

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """The tensor's rows from start to stop, along its first axis; nothing else is read from the file."""
        stop = self.shape[0] if stop is None else stop
        row = math.prod(self.shape[1:])
        count, size = (stop - start) * row, self.dtype.itemsize
        # Plain integers: numpy copies these at full speed, and bfloat16 element by element.
        bits = np.fromfile(self.file, f"<u{size}", count, offset=self.offset + start * row * size)
        if bits.size != count:
            raise InputError(f"{self.file} has become shorter while it was read; fetch it again")
        return bits.view(self.dtype).reshape(stop - start, *self.shape[1:])


def require_dtype(dtype: str | None) -> None:
    """Fail where DTYPE is none that parameters can have; None leaves each its own.

    Raises:
      InputError: it is none.
    """
    if dtype is not None and dtype not in DTYPE_NAMES:
        raise InputError(f"DTYPE={dtype!r}; choose one of {', '.join(DTYPE_NAMES)}, or None: each as it is")


def narrowed(array: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    """An array in another dtype; itself where it has it already.

    Args:
      name: of what it is, for error messages.

    Raises:
      InputError: it holds a number that float16 cannot.
    """
    with np.errstate(over="ignore"):
        cast = array.astype(dtype, copy=False)
    if dtype == np.float16 and array.dtype != np.float16 and not np.isfinite(cast).all():
        raise beyond_float16(name)
    return cast


def beyond_float16(name: str) -> InputError:
    """What to raise where float16 cannot hold a number of what is named."""
    return InputError(f"{name} holds numbers beyond float16, whose largest is 65,504; choose DTYPE bfloat16 or float32")


def read_header(file: Path) -> dict[str, Entry]:
    """The tensors of one file by name.

    Raises:
      InputError: the file is not there, or its header says what cannot be.
    """
    try:
        length = file.stat().st_size
        with open(file, "rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            if length < 8 or size > min(length - 8, _MAX_HEADER):
                raise _damaged(file, f"its header claims {size:,} bytes, the file has {length:,}")
            header = parse_object(stream.read(size), str(file), "whose header is JSON")
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); fetch it again") from None
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        raise _damaged(file, "its __metadata__ is no table of texts")
    ranges = []
    entries = {}
    for name, fields in header.items():
        entries[name], end = _entry(file, name, fields, 8 + size)
        ranges.append((entries[name].offset, end, name))
    at = 8 + size
    for start, end, name in sorted(ranges):
        if start != at:
            raise _damaged(file, f"tensor {name} begins at byte {start:,}, where byte {at:,} is expected: an overlap or a hole")
        at = end
    if at != length:
        raise _damaged(file, f"its tensors end at byte {at:,}, the file at {length:,}")
    return entries


def _entry(file: Path, name: str, fields: object, data: int) -> tuple[Entry, int]:
    if not isinstance(fields, dict) or set(fields) != {"dtype", "shape", "data_offsets"}:
        raise _damaged(file, f"tensor {name} is not described by dtype, shape and data_offsets")
    kind, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(kind, str) or kind not in SIZES:
        raise _damaged(file, f"tensor {name} is of the unknown dtype {str(kind)[:40]!r}")
    for what, numbers in (("shape", shape), ("data_offsets", offsets)):
        if not isinstance(numbers, list) or not all(type(number) is int and 0 <= number < 1 << 62 for number in numbers):
            raise _damaged(file, f"tensor {name} has {what} {str(numbers)[:80]}; expected whole numbers from 0")
    if len(offsets) != 2 or len(shape) > 16 or offsets[1] - offsets[0] != math.prod(shape) * SIZES[kind]:
        raise _damaged(file, f"tensor {name}, {kind} of shape {shape}, does not fill the bytes {offsets} given to it")
    return Entry(file, kind, tuple(shape), data + offsets[0]), data + offsets[1]


def read_folder(folder: Path) -> dict[str, Entry]:
    """The tensors of a folder by name, in one file or in several under an index.

    Raises:
      InputError: there are none, a file is missing or damaged, or the index and the files do not agree.
    """
    single, index = folder / SINGLE, folder / INDEX
    if single.exists() and index.exists():
        raise InputError(f"{folder} holds both {SINGLE} and {INDEX}: two models; remove the one that is not meant")
    if single.exists():
        return read_header(single)
    if not index.exists():
        if list(folder.glob("*.bin")):
            raise InputError(f"{folder} holds its tensors as pickled .bin files only; save it again as safetensors")
        raise InputError(f"{folder} holds neither {SINGLE} nor {INDEX}; give a folder as transformers saves it")
    listed = read_object(index, "the index of the tensors").get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise InputError(f"{index}: weight_map is no table from tensor name to file; fetch it again")
    entries: dict[str, Entry] = {}
    for name in dict.fromkeys(str(name) for name in listed.values()):
        if Path(name).name != name or not name.endswith(".safetensors") or "\\" in name or "\0" in name:
            raise InputError(f"{index}: {name[:100]!r} is no name of a safetensors file in this folder; fetch the index again")
        if not (folder / name).is_file():
            raise InputError(f"{index} names {name}, which is not in {folder}; fetch that file too")
        for tensor, entry in read_header(folder / name).items():
            if tensor in entries:
                raise InputError(
                    f"tensor {tensor} is both in {entries[tensor].file.name} and in {name} of {folder}; fetch it again"
                )
            entries[tensor] = entry
    for tensor, name in listed.items():
        if tensor not in entries or entries[tensor].file.name != name:
            raise InputError(
                f"{index} says that tensor {tensor} is in {str(name)[:100]}, which does not hold it; fetch both again"
            )
    if unlisted := sorted(set(entries) - set(listed)):
        where = entries[unlisted[0]].file.name
        raise InputError(f"{folder}/{where} holds tensor {unlisted[0]}, which {INDEX} does not list; fetch both again")
    return entries


def _damaged(file: Path, what: str) -> InputError:
    return InputError(f"{file} is damaged: {what}; fetch it again")


@dataclasses.dataclass(frozen=True)
class Planned:
    """A tensor that is to be written."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def shards(tensors: Sequence[Planned], max_bytes: int) -> list[list[Planned]]:
    """Tensors in order, in files of at most `max_bytes`; one that is larger gets a file of its own."""
    files: list[list[Planned]] = []
    room = 0
    for tensor in tensors:
        if not files or tensor.nbytes > room:
            files.append([])
            room = max_bytes
        files[-1].append(tensor)
        room -= tensor.nbytes
    return files


def write_folder(folder: Path, tensors: Sequence[Planned], values: Iterator[np.ndarray], max_bytes: int) -> None:
    """Write tensors into a folder as transformers does, each let go before the next is asked for.

    Args:
      tensors: in the order of the files.
      values: their values, in the same order.
      max_bytes: the most a file holds.
    """
    files = shards(tensors, max_bytes)
    names = [SINGLE] if len(files) == 1 else [f"model-{k:05d}-of-{len(files):05d}.safetensors" for k in range(1, len(files) + 1)]
    for name, held in zip(names, files, strict=True):
        _write_file(folder / name, held, values)
    if len(files) > 1:
        where = {tensor.name: name for name, held in zip(names, files, strict=True) for tensor in held}
        index = {"metadata": {"total_size": sum(tensor.nbytes for tensor in tensors)}, "weight_map": where}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")


def write_file(file: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write small tensors that are in memory already, by name, into one file."""
    planned = [Planned(name, value.dtype, value.shape) for name, value in tensors.items()]
    _write_file(file, planned, iter(tensors.values()))


def _write_file(file: Path, tensors: Sequence[Planned], values: Iterator[np.ndarray]) -> None:
    kinds = {dtype: kind for kind, dtype in DTYPES.items()}
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for tensor in tensors:
        offsets = [at, at := at + tensor.nbytes]
        header[tensor.name] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    with open(file, "wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors:
            value = next(values)
            assert (value.shape, value.dtype) == (tensor.shape, tensor.dtype), tensor
            np.ascontiguousarray(value).reshape(-1).view(f"<u{tensor.dtype.itemsize}").tofile(stream)
        stream.flush()
        os.fsync(stream.fileno())
