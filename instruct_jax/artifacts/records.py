"""One packed row as bytes: tokens, segment lengths, loss weights and where each segment came from."""

import dataclasses
import struct

import numpy as np

_HEADER = struct.Struct("<4sIIB")
_MAGIC = b"ijr1"


@dataclasses.dataclass(frozen=True)
class Row:
    """Documents laid end to end, without padding. N tokens in G segments.

    Attributes:
      tokens: i32[N].
      weights: f32[N].
      lengths: i32[G], at least 1 each, summing to N.
      provenance: i64[G, 4], columns of PROVENANCE. Task and template are indices into the manifest's tables, -1 for none.
    """

    tokens: np.ndarray
    weights: np.ndarray
    lengths: np.ndarray
    provenance: np.ndarray


PROVENANCE = ("task", "template", "example", "epoch")


def encode_row(row: Row) -> bytes:
    """The row as bytes; weights that are all 0 or 1 take a byte each."""
    binary = bool(np.isin(row.weights, (0.0, 1.0)).all())
    return b"".join(
        (
            _HEADER.pack(_MAGIC, row.tokens.size, row.lengths.size, binary),
            row.tokens.astype("<i4").tobytes(),
            row.weights.astype("u1" if binary else "<f4").tobytes(),
            row.lengths.astype("<i4").tobytes(),
            row.provenance.astype("<i8").tobytes(),
        )
    )


def decode_row(content: bytes) -> Row:
    """The inverse of `encode_row`.

    Raises:
      ValueError: the bytes are no row.
    """
    if len(content) < _HEADER.size or content[:4] != _MAGIC:
        raise ValueError("these bytes are not a packed row of this format")
    _, count, segments, binary = _HEADER.unpack_from(content)
    weight_type = "u1" if binary else "<f4"
    expected = _HEADER.size + count * (4 + np.dtype(weight_type).itemsize) + segments * (4 + 8 * len(PROVENANCE))
    if len(content) != expected:
        raise ValueError(f"a packed row of {count} tokens and {segments} segments takes {expected} bytes; found {len(content)}")
    offset = _HEADER.size
    arrays = []
    for dtype, size in (("<i4", count), (weight_type, count), ("<i4", segments), ("<i8", segments * len(PROVENANCE))):
        arrays.append(np.frombuffer(content, dtype, size, offset))
        offset += arrays[-1].nbytes
    tokens, weights, lengths, provenance = arrays
    return Row(tokens, weights.astype(np.float32), lengths, provenance.reshape(segments, len(PROVENANCE)))
