"""A config.json of transformers 5 as transformers 4 wrote it, by rule."""

from collections.abc import Mapping
from typing import Any

# Until 4.52 windows were said by these, and no list of layer types was written.
_WINDOWED = {"qwen2", "qwen3", "gemma2", "gemma3_text"}


def older(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same model, said in the keys of transformers 4.

    >>> older({"model_type": "llama", "dtype": "bfloat16", "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}})
    {'model_type': 'llama', 'torch_dtype': 'bfloat16', 'rope_theta': 1000000.0, 'transformers_version': '4.51.3'}
    """
    fields = dict(config)
    if "dtype" in fields:
        fields["torch_dtype"] = fields.pop("dtype")
    rope = fields.pop("rope_parameters")
    kind = (
        "rope_type" if "full_attention" in rope or rope["rope_type"] == "llama3" else "type"
    )  # newer families never said `type`
    if "full_attention" in rope:
        rope, local = rope["full_attention"], rope["sliding_attention"]
        fields["rope_local_base_freq"] = local["rope_theta"]
        fields["sliding_window_pattern"] = fields.pop("_sliding_window_pattern", 6)
    fields["rope_theta"] = rope["rope_theta"]
    if rope["rope_type"] != "default":
        elsewhere = ("rope_type", "rope_theta", "partial_rotary_factor")
        scaling = {name: value for name, value in rope.items() if name not in elsewhere}
        fields["rope_scaling"] = {kind: rope["rope_type"], **scaling}
    if fields["model_type"] in _WINDOWED:
        fields.pop("layer_types", None)
    fields["transformers_version"] = "4.51.3"
    return fields
