"""The value table of small models that stand for the families: config, storage type and what each one is odd in."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent.parent / "fixtures" / "hf"  # a folder for each case, as transformers made it
PROMPT = 24  # tokens read before greedy generation
GENERATED = 64  # tokens written after them
LENGTH = 40  # tokens of the row whose logits are compared


@dataclasses.dataclass(frozen=True)
class Case:
    """One small random model.

    Attributes:
      name: of its folder in tests/fixtures/hf.
      model_type: as transformers calls the architecture.
      shape: what the config says besides the defaults of the architecture.
      dtype: how its weights are stored; every computation is in fp32.
      covers: what this case has that others lack, in a few words.
    """

    name: str
    model_type: str
    shape: Mapping[str, Any]
    dtype: str
    covers: str


def _sizes(**changes: Any) -> dict[str, Any]:
    """Sizes that no multiple of 128 is among, and a context that every case outgrows while it generates."""
    return {
        "vocab_size": 99,
        "hidden_size": 24,
        "intermediate_size": 36,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32,
        "rms_norm_eps": 0.01,  # so large that a norm which forgets it moves the logits
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": None,
        **changes,
    }


def _rope(theta: float, kind: str = "default", **scaling: Any) -> dict[str, Any]:
    return {"rope_theta": theta, "rope_type": kind, **scaling}


_WIDE = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16}  # eight frequencies a head
_LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
_YARN = {"factor": 4.0, "original_max_position_embeddings": 32, "beta_fast": 4.0, "beta_slow": 0.5}

CASES = (
    Case(
        "llama_2",
        "llama",
        _sizes(hidden_size=32, num_key_value_heads=8, rope_parameters=_rope(10_000.0)),
        "float16",
        "every head its own key; float16",
    ),
    Case(
        "llama_3",
        "llama",
        _sizes(vocab_size=151, head_dim=4, rope_parameters=_rope(500_000.0)),
        "bfloat16",
        "4 queries a key; head_dim 4, not 24/8; 151 words",
    ),
    Case(
        "llama_3_1",
        "llama",
        _sizes(
            **_WIDE,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            eos_token_id=[2, 3, 5],
            rope_parameters=_rope(500.0, "llama3", **_LLAMA3),
        ),
        "bfloat16",
        "llama3 scaling past its original length; tied; one key head; three ends of text",
    ),
    Case(
        "llama_linear",
        "llama",
        _sizes(hidden_size=32, rope_parameters=_rope(10_000.0, "linear", factor=4.0)),
        "bfloat16",
        "linear scaling past the original length",
    ),
    Case(
        "llama_dynamic",
        "llama",
        _sizes(**_WIDE, rope_parameters=_rope(1_000.0, "dynamic", factor=4.0)),
        "bfloat16",
        "dynamic NTK scaling, its base growing while it generates",
    ),
    Case(
        "llama_yarn",
        "llama",
        _sizes(
            **_WIDE,
            max_position_embeddings=128,
            rope_parameters=_rope(1_000.0, "yarn", **_YARN, attention_factor=1.3, truncate=False),
        ),
        "bfloat16",
        "YaRN with a given attention factor and unrounded ramp",
    ),
    Case(
        "mistral",
        "mistral",
        _sizes(head_dim=8, sliding_window=7, rope_parameters=_rope(10_000.0)),
        "bfloat16",
        "a window of 7 in every layer; head_dim 8, not 24/8",
    ),
    Case(
        "qwen_2_5",
        "qwen2",
        _sizes(hidden_size=32, num_key_value_heads=1, vocab_size=151, tie_word_embeddings=True, rope_parameters=_rope(1e6)),
        "bfloat16",
        "biases of queries, keys and values; one key head; tied",
    ),
    Case(
        "qwen_2_5_window",
        "qwen2",
        _sizes(
            hidden_size=32,
            num_hidden_layers=3,
            intermediate_size=20,
            use_sliding_window=True,
            sliding_window=9,
            max_window_layers=1,
            rope_parameters=_rope(10_000.0),
        ),
        "float32",
        "windows from the second layer on; float32",
    ),
    Case(
        "qwen_3",
        "qwen3",
        _sizes(head_dim=8, tie_word_embeddings=True, rope_parameters=_rope(1e6)),
        "bfloat16",
        "queries and keys normed by head; head_dim 8, not 24/8; tied",
    ),
    Case(
        "qwen_3_yarn",
        "qwen3",
        _sizes(
            **_WIDE,
            max_position_embeddings=128,
            rope_parameters=_rope(1_000.0, "yarn", factor=4.0, original_max_position_embeddings=32),
        ),
        "bfloat16",
        "YaRN by its defaults, past the original length",
    ),
    Case(
        "gemma_2",
        "gemma2",
        _sizes(
            num_hidden_layers=3,
            num_key_value_heads=1,
            head_dim=8,
            query_pre_attn_scalar=3,
            sliding_window=7,
            attn_logit_softcapping=5.0,
            final_logit_softcapping=1.5,
            rope_parameters=_rope(10_000.0),
        ),
        "bfloat16",
        "both soft-caps; four norms a layer; windows in every other layer; scores scaled by 1/sqrt(3)",
    ),
    Case(
        "gemma_3",
        "gemma3_text",
        _sizes(
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=7,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            query_pre_attn_scalar=6,
            sliding_window=7,
            rope_parameters={
                "full_attention": _rope(1e6, "linear", factor=8.0),
                "sliding_attention": _rope(10_000.0),
            },
        ),
        "bfloat16",
        "five windowed layers to one that sees all; two rotary bases, one scaled; queries and keys normed",
    ),
    Case(
        "olmo_2",
        "olmo2",
        _sizes(hidden_size=32, rope_parameters=_rope(500_000.0)),
        "bfloat16",
        "norms after attention and feed-forward only; queries and keys normed over all heads",
    ),
    Case(
        "phi_3",
        "phi3",
        _sizes(hidden_size=32, sliding_window=9, original_max_position_embeddings=32, rope_parameters=_rope(10_000.0)),
        "bfloat16",
        "queries, keys and values in one matrix, gate and up in another; a window of 9",
    ),
    Case(
        "mixtral",
        "mixtral",
        _sizes(
            hidden_size=16,
            intermediate_size=12,
            num_local_experts=4,
            num_experts_per_tok=2,
            head_dim=4,
            rope_parameters=_rope(1e6),
        ),
        "bfloat16",
        "2 of 4 experts, their weights adding up to 1",
    ),
    Case(
        "qwen_3_moe",
        "qwen3_moe",
        _sizes(
            hidden_size=16,
            intermediate_size=28,
            moe_intermediate_size=12,
            num_experts=6,
            num_experts_per_tok=3,
            norm_topk_prob=True,
            head_dim=4,
            tie_word_embeddings=True,
            rope_parameters=_rope(1e6),
        ),
        "bfloat16",
        "3 of 6 experts, weights adding up to 1; queries and keys normed by head; tied",
    ),
    Case(
        "olmoe",
        "olmoe",
        _sizes(
            hidden_size=32,
            intermediate_size=8,
            num_key_value_heads=8,
            num_experts=6,
            num_experts_per_tok=2,
            norm_topk_prob=False,
            rope_parameters=_rope(10_000.0),
        ),
        "bfloat16",
        "2 of 6 experts, weights as the softmax says; queries and keys normed over all heads",
    ),
)
BY_NAME = {case.name: case for case in CASES}
