"""Which tensor of an HF folder is which part of which of our parameters, and how it must be turned.

| difference | tensors |
|---|---|
| norms before, after, or both | NORMS |
| query, key and value in one; gate and up in one (Phi-3) | FUSED |
| what experts are called (Mixtral) | EXPERTS |
| output layer apart from the embedding | lm_head |
"""

import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from instruct_jax.convert.families import Family
from instruct_jax.convert.tensor_files import DTYPES, Entry
from instruct_jax.errors import InputError
from instruct_jax.model.spec import DecoderSpec

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
# (pre_norm, post_norm) -> our norm: its module's name.
NORMS: Mapping[tuple[bool, bool], Mapping[str, str]] = {
    (True, False): {"attention_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm"},
    (False, True): {"attention_post_norm": "post_attention_layernorm", "mlp_post_norm": "post_feedforward_layernorm"},
    (True, True): {
        "attention_norm": "input_layernorm",
        "attention_post_norm": "post_attention_layernorm",
        "mlp_norm": "pre_feedforward_layernorm",
        "mlp_post_norm": "post_feedforward_layernorm",
    },
}
# Matrices whose rows follow one another in one tensor.
FUSED = {"qkv_proj": ("query", "key", "value"), "gate_up_proj": ("gate", "up")}
APART = {"q_proj": ("query",), "k_proj": ("key",), "v_proj": ("value",), "gate_proj": ("gate",), "up_proj": ("up",)}
# The folder of experts -> our matrix: its module's name.
EXPERTS = {
    "mlp": {"gate": "gate_proj", "up": "up_proj", "down": "down_proj"},
    "block_sparse_moe": {"gate": "w1", "up": "w3", "down": "w2"},
}
# Bytes of a tensor that are read and turned at a time.
_STRIP = 8 << 20
# Columns of a matrix that are transposed at a time.
_COLUMNS = 128
# Buffers that older versions of transformers saved, and which are computed from the configuration.
_HARMLESS = re.compile(r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq")


@dataclasses.dataclass(frozen=True)
class Part:
    """Some rows of a tensor, and the cell of one of our parameters that they are: rows.reshape(split).transpose(order).

    Attributes:
      path: our parameter.
      cell: layer, or layer and expert; () for what is not stacked.
      rows: how many.
      split: their shape with heads apart; the first axis is of rows alone.
      order: of axes.
      start: the first of the rows.
    """

    path: str
    cell: tuple[int, ...]
    rows: int
    split: tuple[int, ...]
    order: tuple[int, ...]
    start: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The cell's shape."""
        return tuple(self.split[axis] for axis in self.order)

    def strips(
        self, entry: Entry, index: Sequence[slice], dtype: np.dtype | None = None
    ) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
        """A block of the cell, a few rows of the tensor at a time; no row is read that does not touch it.

        Args:
          entry: the tensor.
          index: of the block, with its bounds, in the cell.
          dtype: of the block; None: the tensor's.

        Yields:
          Where in the block a strip of it begins, and the strip: rows as they were read, whose axes alone are turned.
        """
        first, *others = (index[self.order.index(axis)] for axis in range(len(self.split)))
        each = self.rows // self.split[0]
        strip = max(1, _STRIP // (math.prod(self.split[1:]) * entry.dtype.itemsize))
        for at in range(first.start, first.stop, strip):
            stop = min(at + strip, first.stop)
            rows = entry.read(self.start + at * each, self.start + stop * each).reshape(-1, *self.split[1:])[:, *others]
            begin = tuple(at - first.start if axis == 0 else 0 for axis in self.order)
            yield begin, rows.astype(dtype or entry.dtype, copy=False).transpose(self.order)

    def turn_back(self, cell: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """The rows that a cell is, [rows, numbers of a row], of a dtype."""
        if self.order == tuple(range(len(self.split))):
            return cell.reshape(self.rows, -1).astype(dtype, copy=False)
        # Heads stay side by side on either hand: what turns is a matrix.
        return _transposed(cell.reshape(-1, self.rows)).astype(dtype, copy=False)


def _transposed(matrix: np.ndarray) -> np.ndarray:
    """A transposed copy: numpy alone takes five times as long, for rows of 2^n bytes fall on few lines of the cache."""
    bits = matrix.view(f"<u{matrix.itemsize}")  # numpy copies these at full speed, and bfloat16 element by element
    out = np.empty(matrix.shape[::-1], bits.dtype)
    strip = np.empty((len(bits), _COLUMNS + 32), bits.dtype)[:, :_COLUMNS]  # rows that begin at many lines
    for at in range(0, len(out), _COLUMNS):
        columns = bits[:, at : at + _COLUMNS]
        strip[:, : columns.shape[1]] = columns
        out[at : at + _COLUMNS] = strip[:, : columns.shape[1]].T
    return out.view(matrix.dtype)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of an HF folder, made of parts whose rows follow one another."""

    name: str
    shape: tuple[int, ...]
    parts: tuple[Part, ...]


def tensors(spec: DecoderSpec, family: Family) -> Iterator[Tensor]:
    """Every tensor of a model's HF folder, in the model's order."""
    yield _tensor(EMBEDDING, _plain("embedding", (), spec.vocab_size, spec.embed))
    for layer in range(spec.layers):
        yield from _layer(spec, family, layer)
    yield _tensor("model.norm.weight", _plain("norm/scale", (), spec.embed))
    if not spec.tied:
        yield _tensor(HEAD, _matrix("head/kernel", (), spec.embed, spec.vocab_size))


def _layer(spec: DecoderSpec, family: Family, layer: int) -> Iterator[Tensor]:
    at, cell = f"model.layers.{layer}", (layer,)
    widths = {"query": spec.heads, "key": spec.kv_heads, "value": spec.kv_heads}
    for ours, theirs in NORMS[spec.pre_norm, spec.post_norm].items():
        yield _tensor(f"{at}.{theirs}.weight", _plain(f"layers/{ours}/scale", cell, spec.embed))
    inner = {
        name: _heads_first(f"layers/attention/{name}/kernel", cell, heads, spec.head_dim, spec.embed)
        for name, heads in widths.items()
    }
    if spec.experts is None:
        inner |= {name: _matrix(f"layers/mlp/{name}/kernel", cell, spec.embed, spec.mlp) for name in ("gate", "up")}
    folders = {"query": "self_attn", "key": "self_attn", "value": "self_attn", "gate": "mlp", "up": "mlp"}
    for module, names in (FUSED if family.fused else APART).items():
        if names[0] in inner:
            yield _tensor(f"{at}.{folders[names[0]]}.{module}.weight", *(inner[name] for name in names))
    if spec.qkv_bias:
        for name, heads in widths.items():
            bias = _plain(f"layers/attention/{name}/bias", cell, heads, spec.head_dim)
            bias = dataclasses.replace(bias, rows=heads * spec.head_dim)
            yield _tensor(f"{at}.self_attn.{name[0]}_proj.bias", bias)
    if spec.qk_norm is not None:
        for name in ("query", "key"):
            width = spec.head_dim * (widths[name] if spec.qk_norm == "width" else 1)
            yield _tensor(f"{at}.self_attn.{name[0]}_norm.weight", _plain(f"layers/attention/{name}_norm/scale", cell, width))
    split = (spec.embed, spec.heads, spec.head_dim)
    yield _tensor(f"{at}.self_attn.o_proj.weight", Part("layers/attention/output/kernel", cell, spec.embed, split, (1, 2, 0)))
    if spec.experts is None:
        yield _tensor(f"{at}.mlp.down_proj.weight", _matrix("layers/mlp/down/kernel", cell, spec.mlp, spec.embed))
        return
    folder = f"{at}.{family.expert_folder}"
    yield _tensor(f"{folder}.gate.weight", _matrix("layers/mlp/router/kernel", cell, spec.embed, spec.experts.count))
    for expert in range(spec.experts.count):
        for ours, theirs in EXPERTS[family.expert_folder].items():
            sizes = (spec.mlp, spec.embed) if ours == "down" else (spec.embed, spec.mlp)
            matrix = _matrix(f"layers/mlp/{ours}/kernel", (layer, expert), *sizes)
            yield _tensor(f"{folder}.experts.{expert}.{theirs}.weight", matrix)


def _plain(path: str, cell: tuple[int, ...], *shape: int) -> Part:
    return Part(path, cell, shape[0], shape, tuple(range(len(shape))))


def _matrix(path: str, cell: tuple[int, ...], inputs: int, outputs: int) -> Part:
    return Part(path, cell, outputs, (outputs, inputs), (1, 0))


def _heads_first(path: str, cell: tuple[int, ...], heads: int, width: int, inputs: int) -> Part:
    return Part(path, cell, heads * width, (heads, width, inputs), (2, 0, 1))


def _tensor(name: str, *parts: Part) -> Tensor:
    starts = list(itertools.accumulate((part.rows for part in parts), initial=0))
    columns = math.prod(parts[0].split) // parts[0].rows
    vector = name.endswith(".bias") or len(parts[0].split) == 1
    placed = tuple(dataclasses.replace(part, start=start) for part, start in zip(parts, starts, strict=False))
    return Tensor(name, (starts[-1],) if vector else (starts[-1], columns), placed)


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One of our parameters: its shape, and the dtype that holds all its parts as they are."""

    shape: tuple[int, ...]
    dtype: np.dtype


def parameters(spec: DecoderSpec, family: Family, entries: Mapping[str, Entry]) -> dict[str, Parameter]:
    """Our parameters by path, once every tensor of the folder is known to fit.

    Raises:
      InputError: a tensor is missing, left over, of another shape, or not made of floating-point numbers.
    """
    found: dict[str, Parameter] = {}
    expected = set()
    for tensor in tensors(spec, family):
        entry = entries.get(tensor.name)
        if entry is None:
            raise InputError(
                f"tensor {tensor.name} of shape {list(tensor.shape)} is missing from the HF folder; fetch all its files"
            )
        if entry.shape != tensor.shape:
            raise InputError(
                f"{entry.file}: tensor {tensor.name} has shape {list(entry.shape)}; its config.json means {list(tensor.shape)}; "
                "one of the two is of another model"
            )
        if entry.kind not in DTYPES:
            raise InputError(
                f"{entry.file}: tensor {tensor.name} is of dtype {entry.kind}; expected {', '.join(DTYPES)}: give a model whose "
                "weights are not quantised"
            )
        expected.add(tensor.name)
        for part in tensor.parts:
            shape = (*(size + 1 for size in part.cell), *part.shape)  # the last cell is the largest
            before = found.get(part.path)
            found[part.path] = Parameter(shape, entry.dtype if before is None else jnp.promote_types(before.dtype, entry.dtype))
    for name, entry in entries.items():
        if name not in expected and name != HEAD and not _HARMLESS.fullmatch(name):
            raise InputError(f"{entry.file}: tensor {name} is left over: no part of a {family.model_type} of this config.json")
    return found
