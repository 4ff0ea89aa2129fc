"""Which tensor of a PEFT folder is which part of which of an adapter's parameters.

| ours, of one layer | theirs, after base_model.model. |
|---|---|
| <module>/lora_a [inputs, R] | <module>.lora_A.weight [R, in] |
| <module>/lora_b [R, outputs] | <module>.lora_B.weight [out, R] |
| <module>/lora_magnitude [outputs] | <module>.lora_magnitude_vector [out] |
| trained beside | the tensor's name in the model's own folder; a tied embedding a second time as lm_head |
"""

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from instruct_jax.convert.families import Family
from instruct_jax.convert.names import HEAD, Part, Tensor, tensors
from instruct_jax.errors import InputError
from instruct_jax.model.spec import DecoderSpec

PREFIX = "base_model.model."


def adapter_tensors(spec: DecoderSpec, family: Family, shapes: Mapping[str, Any], saved: Collection[str]) -> Iterator[Tensor]:
    """The tensors of a PEFT file, in the model's order.

    Args:
      spec, family: of the base.
      shapes: of the adapted model's parameters, by path.
      saved: which of them the adapter's checkpoint holds.

    Raises:
      InputError: PEFT has no place for one of them.
    """
    placed: set[str] = set()
    for tensor in tensors(spec, family):
        for part in tensor.parts:
            module = part.path.removesuffix("/kernel")
            if part.path in saved:
                yield _beside(tensor, part)
                placed.add(part.path)
                if part.path == "embedding" and spec.tied:  # PEFT's file has the table once more, as the output layer
                    yield dataclasses.replace(_beside(tensor, part), name=PREFIX + HEAD)
            elif f"{module}/lora_a" in saved and part.path.endswith("/kernel"):
                if len(tensor.parts) > 1:
                    raise InputError(
                        f"{family.model_type} holds {', '.join(one.path for one in tensor.parts)} in one matrix, over which PEFT "
                        f"lays one adapter, and here each has its own; merge it (gin_configs/runs/merge.gin) and export the whole"
                    )
                for one in _adapter(tensor, part, module, shapes):
                    yield one
                    placed.add(one.parts[0].path)
    if odd := sorted(set(saved) - placed):
        raise InputError(f"PEFT has no place for {odd[0]}; merge the adapter (gin_configs/runs/merge.gin) and export the whole")


def module_name(tensor: Tensor) -> str:
    """The module whose weight a tensor of a PEFT file is, in transformers' words, without layers' numbers.

    >>> module_name(Tensor("base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight", (), ()))
    'q_proj'
    >>> module_name(Tensor("base_model.model.model.norm.weight", (), ()))
    'model.norm'
    >>> module_name(Tensor("base_model.model.model.embed_tokens.weight", (), ()))
    'embed_tokens'
    """
    path = tensor.name.removeprefix(PREFIX).removesuffix(".weight")
    for end in (".lora_A", ".lora_B", ".lora_magnitude_vector"):
        path = path.removesuffix(end)
    # PEFT compares ends of names: "norm" alone would mean every norm.
    return path if path == "model.norm" else path.rpartition(".")[2]


def _adapter(tensor: Tensor, part: Part, module: str, shapes: Mapping[str, Any]) -> Iterator[Tensor]:
    at = PREFIX + tensor.name.removesuffix(".weight")
    (rank, *outputs), (*inputs, _) = shapes[f"{module}/lora_b"].shape[1:], shapes[f"{module}/lora_a"].shape[1:]
    wide, high = math.prod(inputs), math.prod(outputs)
    first = Part(f"{module}/lora_a", part.cell, rank, (rank, *inputs), (*range(1, len(inputs) + 1), 0))
    yield Tensor(f"{at}.lora_A.weight", (rank, wide), (first,))
    second = Part(f"{module}/lora_b", part.cell, high, (*outputs, rank), (len(outputs), *range(len(outputs))))
    yield Tensor(f"{at}.lora_B.weight", (high, rank), (second,))
    if f"{module}/lora_magnitude" in shapes:
        magnitude = Part(f"{module}/lora_magnitude", part.cell, high, tuple(outputs), tuple(range(len(outputs))))
        yield Tensor(f"{at}.lora_magnitude_vector", (high,), (magnitude,))


def _beside(tensor: Tensor, part: Part) -> Tensor:
    if not part.path.endswith("/scale") and part.path not in ("embedding", "head/kernel"):
        raise InputError(
            f"an adapter with {part.path} trained in full beside it has no PEFT form here (embedding, head and norms have); "
            "merge it (gin_configs/runs/merge.gin) and export the whole"
        )
    return Tensor(PREFIX + tensor.name, tensor.shape, (part,))
