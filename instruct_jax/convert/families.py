"""The families of models that HF folders hold, as values: what each means by its config.json beyond the sizes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from instruct_jax.convert.rope_fields import KINDS
from instruct_jax.convert.windows import EveryFewLayers, OneWindow, UpperLayers, Windows


@dataclasses.dataclass(frozen=True)
class ExpertKeys:
    """Under which keys a family gives its experts.

    Attributes:
      count: keys for their number, the one to write first.
      width: key for the hidden units of each.
      normalised: key for whether chosen weights add up to 1; None: they do.
    """

    count: tuple[str, ...]
    width: str = "intermediate_size"
    normalised: str | None = "norm_topk_prob"


@dataclasses.dataclass(frozen=True)
class Family:
    """What one value of model_type means.

    Defaults are what transformers takes where a key is absent.

    Attributes:
      model_type: in config.json.
      architecture: the class that transformers builds.
      traits: fields of DecoderSpec that every member shares.
      windows: which layers see a window; None: none does.
      epsilon, tied, kv_heads, head_dim: defaults; kv_heads None: as many as heads; head_dim None: embed / heads.
      activation_key: the key that names the activation, and its default.
      theta: default base of the rotary frequencies.
      local_theta: that of the layers with a window, where they have their own.
      scalings: kinds of rotary scaling that it knows.
      scaled_embedding: whether embeddings are multiplied by the root of their width.
      query_scalar: default of query_pre_attn_scalar; None: scores are divided by the root of head_dim.
      softcaps: defaults of attn_logit_softcapping and final_logit_softcapping; None: it has no such keys.
      experts: keys of its experts.
      fused: whether query, key and value are stored as one matrix, and gate and up as another.
      expert_folder: what the tensors of experts are called: "mlp" or "block_sparse_moe".
      whole_heads: whether heads must divide the width of the stream, for transformers to load it.
      square: whether heads times head_dim must be that width.
      fixed: further keys, with the values at which they change nothing.
      inert: further keys that change nothing.
    """

    model_type: str
    architecture: str
    traits: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    windows: Windows | None = None
    epsilon: float = 1e-6
    tied: bool = False
    kv_heads: int | None = None
    head_dim: int | None = None
    activation_key: tuple[str, str] = ("hidden_act", "silu")
    theta: float = 10_000.0
    local_theta: float | None = None
    scalings: tuple[str, ...] = KINDS
    scaled_embedding: bool = False
    query_scalar: int | None = None
    softcaps: tuple[float | None, float | None] | None = None
    experts: ExpertKeys | None = None
    fused: bool = False
    expert_folder: str = "mlp"
    whole_heads: bool = False
    square: bool = False
    fixed: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    inert: Mapping[str, tuple[type, ...]] = dataclasses.field(default_factory=dict)


_OFF = (False, None)
_NONE = (0.0, 0, None)
_GEMMA = {
    "epsilon": 1e-6,
    "tied": True,
    "kv_heads": 4,
    "head_dim": 256,
    "activation_key": ("hidden_activation", "gelu_pytorch_tanh"),
    "scaled_embedding": True,
    "query_scalar": 256,
    "whole_heads": True,
    "fixed": {"attention_bias": _OFF, "use_bidirectional_attention": _OFF},
    # Read by no version of transformers, but found in published files.
    "inert": {"hidden_act": (str,), "sliding_window_size": (int,), "cache_implementation": (str,)},
}
_GEMMA_NORMS = {"norm_offset": 1.0, "post_norm": True}
_ROUTER = {"output_router_logits": (bool,), "router_aux_loss_coef": (float, int)}

# In the order in which an export tries them: the plainest that can express a spec is the one most programs load.
_FAMILIES = (
    Family(
        "llama",
        "LlamaForCausalLM",
        whole_heads=True,
        fixed={"attention_bias": _OFF, "mlp_bias": _OFF, "rope_interleaved": _OFF},
        inert={"pretraining_tp": (int,), "is_llama_config": (bool,), "transformers.js_config": (dict,)},
    ),
    Family("mistral", "MistralForCausalLM", windows=OneWindow(4096), kv_heads=8),
    Family(
        "qwen2",
        "Qwen2ForCausalLM",
        {"qkv_bias": True},
        UpperLayers(),
        kv_heads=32,
        fixed={"use_mrope": _OFF},  # in published files; positions of one axis alone
    ),
    Family(
        "qwen3",
        "Qwen3ForCausalLM",
        {"qk_norm": "head"},
        UpperLayers(),
        kv_heads=32,
        head_dim=128,
        fixed={"attention_bias": _OFF},
    ),
    Family("gemma2", "Gemma2ForCausalLM", _GEMMA_NORMS, EveryFewLayers(2), softcaps=(50.0, 30.0), **_GEMMA),
    Family(
        "gemma3_text",
        "Gemma3ForCausalLM",
        {**_GEMMA_NORMS, "qk_norm": "head"},
        EveryFewLayers(6, ("sliding_window_pattern", "_sliding_window_pattern")),
        softcaps=(None, None),
        theta=1_000_000.0,
        local_theta=10_000.0,
        **_GEMMA,
    ),
    Family(
        "olmo2",
        "Olmo2ForCausalLM",
        {"pre_norm": False, "post_norm": True, "qk_norm": "width"},
        epsilon=1e-5,
        fixed={"attention_bias": _OFF},
    ),
    Family(
        "phi3",
        "Phi3ForCausalLM",
        windows=OneWindow(None),
        epsilon=1e-5,
        scalings=("default",),
        fused=True,
        fixed={
            **dict.fromkeys(("attention_bias", "mlp_bias", "lm_head_bias"), _OFF),
            **dict.fromkeys(("resid_pdrop", "embd_pdrop"), _NONE),
        },
        inert=dict.fromkeys(("original_max_position_embeddings", "full_attn_mod", "interpolate_factor"), (int,)),
    ),
    Family(
        "mixtral",
        "MixtralForCausalLM",
        windows=OneWindow(None),
        epsilon=1e-5,
        kv_heads=8,
        theta=1_000_000.0,
        experts=ExpertKeys(("num_local_experts",), normalised=None),
        expert_folder="block_sparse_moe",
        fixed={"router_jitter_noise": _NONE},
        inert=_ROUTER,
    ),
    Family(
        "qwen3_moe",
        "Qwen3MoeForCausalLM",
        {"qk_norm": "head"},
        OneWindow(4096, switched=True),
        kv_heads=4,
        experts=ExpertKeys(("num_experts", "num_local_experts"), "moe_intermediate_size"),
        fixed={"attention_bias": _OFF, "decoder_sparse_step": (1,), "mlp_only_layers": ([], None)},
        inert=_ROUTER | {"intermediate_size": (int,), "max_window_layers": (int,)},
    ),
    Family(
        "olmoe",
        "OlmoeForCausalLM",
        {"qk_norm": "width"},
        epsilon=1e-5,
        experts=ExpertKeys(("num_experts",)),
        square=True,
        fixed={"attention_bias": _OFF, "clip_qkv": (None,)},
        inert=_ROUTER,
    ),
)
FAMILIES = {family.model_type: family for family in _FAMILIES}

# Keys of any family that leave the computation as it is, and what they may hold.
INERT: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("transformers_version", "_name_or_path", "_attn_implementation", "attn_implementation"), (str,)),
    **dict.fromkeys(("use_cache", "return_dict", "_attn_implementation_autoset", "_flash_attn_2_enabled"), (bool,)),
    **dict.fromkeys(("output_attentions", "output_hidden_states", "unsloth_fixed"), (bool,)),
    **dict.fromkeys(("initializer_range", "temperature", "top_p", "repetition_penalty"), (float, int)),
    **dict.fromkeys(("max_length", "min_length", "top_k", "num_beams", "chunk_size_feed_forward"), (int,)),
    **dict.fromkeys(("model_max_length", "max_sequence_length", "tokenizer_model_max_length"), (int,)),
    **dict.fromkeys(("sep_token_id", "cls_token_id", "unk_token_id", "decoder_start_token_id"), (int,)),
    **dict.fromkeys(("tokenizer_class", "finetuning_task", "problem_type"), (str,)),
    **dict.fromkeys(("torchscript", "output_scores", "return_dict_in_generate", "remove_invalid_values"), (bool,)),
    **dict.fromkeys(("do_sample",), (bool,)),
    **dict.fromkeys(("cache_implementation", "_commit_hash", "unsloth_version"), (str,)),
    **dict.fromkeys(("auto_map", "id2label", "label2id", "task_specific_params"), (dict,)),
}
# Keys of any family that could change it.
FIXED: Mapping[str, Sequence[Any]] = {
    "sliding_window": (None,),
    "attention_dropout": _NONE,
    "is_encoder_decoder": _OFF,
    "is_decoder": (True, *_OFF),
    **dict.fromkeys(("add_cross_attention", "tie_encoder_decoder"), _OFF),
    # Weights of fewer bits, which the tensors then hold under other names.
    **dict.fromkeys(("quantization_config", "compression_config"), (None,)),
    "pruned_heads": ({}, None),
}
