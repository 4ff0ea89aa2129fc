"""Keys and values as the families' authors publish them in config.json mean the models that their papers describe."""

import dataclasses

import pytest

from instruct_jax.convert.config import read_config
from instruct_jax.convert.families import FAMILIES
from instruct_jax.errors import InputError
from instruct_jax.model import families
from instruct_jax.model.rope import Llama3, Rope
from instruct_jax.model.spec import LayerKind


def sizes(hidden, mlp, layers, heads, kv_heads, vocabulary, longest):
    return {
        "hidden_size": hidden,
        "intermediate_size": mlp,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": longest,
        "initializer_range": 0.02,
        "use_cache": True,
    }


LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5}
LLAMA_3 = LLAMA | {
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 128000,
    "mlp_bias": False,
    "pretraining_tp": 1,
    "rope_theta": 500000.0,
    "torch_dtype": "bfloat16",
}
STRETCHED = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"}
QWEN = {"attention_dropout": 0.0, "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "torch_dtype": "bfloat16"}
QWEN_2_5 = QWEN | {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "bos_token_id": 151643,
    "max_window_layers": 28,
    "sliding_window": 131072,
    "transformers_version": "4.40.1",
    "use_mrope": False,
    "use_sliding_window": False,
}
QWEN_3 = QWEN | {
    "attention_bias": False,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "head_dim": 128,
    "rope_scaling": None,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
}
GEMMA = {
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 2,
    "cache_implementation": "hybrid",
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "pad_token_id": 0,
    "query_pre_attn_scalar": 256,
    "rms_norm_eps": 1e-6,
}
GEMMA_2 = GEMMA | {
    "architectures": ["Gemma2ForCausalLM"],
    "model_type": "gemma2",
    "attn_logit_softcapping": 50.0,
    "eos_token_id": 1,
    "final_logit_softcapping": 30.0,
    "hidden_act": "gelu_pytorch_tanh",
    "rope_theta": 10000.0,
    "sliding_window": 4096,
}
GEMMA_3 = GEMMA | {
    "architectures": ["Gemma3ForCausalLM"],
    "model_type": "gemma3_text",
    "attn_logit_softcapping": None,
    "eos_token_id": [1, 106],
    "final_logit_softcapping": None,
    "rope_local_base_freq": 10000,
    "rope_theta": 1000000,
    "sliding_window_pattern": 6,
}
MISTRAL = {
    "architectures": ["MistralForCausalLM"],
    "model_type": "mistral",
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
PHI_3 = {
    "_name_or_path": "Phi-3-mini-4k-instruct",
    "architectures": ["Phi3ForCausalLM"],
    "model_type": "phi3",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config", "AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM"},
    "bos_token_id": 1,
    "embd_pdrop": 0.0,
    "eos_token_id": 32000,
    "hidden_act": "silu",
    "original_max_position_embeddings": 4096,
    "pad_token_id": 32000,
    "resid_pdrop": 0.0,
    "rms_norm_eps": 1e-5,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "sliding_window": 2047,
    "tie_word_embeddings": False,
}
ROUTER = {"output_router_logits": False, "router_aux_loss_coef": 0.001}

CASES = {
    "Llama 2 7B": (
        LLAMA | sizes(4096, 11008, 32, 32, 32, 32000, 4096) | {"pretraining_tp": 1, "rope_scaling": None, "pad_token_id": 0},
        families.LLAMA_2_7B,
    ),
    "Llama 2 7B, an early file": (
        {**LLAMA, **sizes(4096, 11008, 32, 32, 32, 32000, 4096), "max_length": 4096, "tie_word_embeddings": False},
        families.LLAMA_2_7B,
    ),
    "Llama 3 8B": (LLAMA_3 | sizes(4096, 14336, 32, 32, 8, 128256, 8192) | {"rope_scaling": None}, families.LLAMA_3_8B),
    "Llama 3.1 8B": (
        LLAMA_3 | sizes(4096, 14336, 32, 32, 8, 128256, 131072) | {"rope_scaling": STRETCHED | {"factor": 8.0}},
        families.LLAMA_3_1_8B,
    ),
    "Llama 3.2 1B": (
        LLAMA_3
        | sizes(2048, 8192, 16, 32, 8, 128256, 131072)
        | {"rope_scaling": STRETCHED | {"factor": 32.0}, "head_dim": 64, "tie_word_embeddings": True},
        dataclasses.replace(
            families.LLAMA_3_8B,
            embed=2048,
            mlp=8192,
            layers=16,
            head_dim=64,
            tied=True,
            kinds=(LayerKind(rope=Rope(500_000.0, Llama3(32.0, 1.0, 4.0, 8192))),),
        ),
    ),
    "Mistral 7B v0.1": (
        MISTRAL | sizes(4096, 14336, 32, 32, 8, 32000, 32768) | {"rope_theta": 10000.0, "sliding_window": 4096},
        families.MISTRAL_7B,
    ),
    "Mistral 7B v0.3": (
        MISTRAL | sizes(4096, 14336, 32, 32, 8, 32768, 32768) | {"rope_theta": 1e6, "sliding_window": None},
        dataclasses.replace(families.MISTRAL_7B, vocab_size=32768, kinds=(LayerKind(rope=Rope(1e6)),)),
    ),
    "Qwen2.5 7B": (
        QWEN_2_5 | sizes(3584, 18944, 28, 28, 4, 152064, 131072) | {"eos_token_id": 151643, "tie_word_embeddings": False},
        families.QWEN_2_5_7B,
    ),
    "Qwen2.5 0.5B": (
        QWEN_2_5
        | sizes(896, 4864, 24, 14, 2, 151936, 32768)
        | {"max_window_layers": 24, "sliding_window": 32768, "eos_token_id": 151643, "tie_word_embeddings": True},
        dataclasses.replace(
            families.QWEN_2_5_7B, embed=896, mlp=4864, layers=24, heads=14, kv_heads=2, head_dim=64, vocab_size=151936, tied=True
        ),
    ),
    "Qwen3 8B": (
        QWEN_3
        | sizes(4096, 12288, 36, 32, 8, 151936, 40960)
        | {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "max_window_layers": 36},
        families.QWEN_3_8B,
    ),
    "Qwen3 30B A3B": (
        QWEN_3
        | sizes(2048, 6144, 48, 32, 4, 151936, 40960)
        | ROUTER
        | {
            "architectures": ["Qwen3MoeForCausalLM"],
            "model_type": "qwen3_moe",
            "decoder_sparse_step": 1,
            "max_window_layers": 48,
            "mlp_only_layers": [],
            "moe_intermediate_size": 768,
            "norm_topk_prob": True,
            "num_experts": 128,
            "num_experts_per_tok": 8,
        },
        families.QWEN_3_30B_A3B,
    ),
    "Gemma 2 9B": (GEMMA_2 | sizes(3584, 14336, 42, 16, 8, 256000, 8192) | {"sliding_window_size": 4096}, families.GEMMA_2_9B),
    "Gemma 2 27B": (
        GEMMA_2 | sizes(4608, 36864, 46, 32, 16, 256000, 8192) | {"head_dim": 128, "query_pre_attn_scalar": 144},
        dataclasses.replace(
            families.GEMMA_2_9B,
            embed=4608,
            mlp=36864,
            layers=46,
            heads=32,
            kv_heads=16,
            head_dim=128,
            embedding_scale=4608**0.5,
            attention_scale=144**-0.5,
        ),
    ),
    "Gemma 3 1B": (
        GEMMA_3 | sizes(1152, 6912, 26, 4, 1, 262144, 32768) | {"rope_scaling": None, "sliding_window": 512},
        dataclasses.replace(
            families.GEMMA_3_4B,
            embed=1152,
            mlp=6912,
            layers=26,
            heads=4,
            kv_heads=1,
            vocab_size=262144,
            embedding_scale=1152**0.5,
            kinds=(*[LayerKind(window=512)] * 5, LayerKind(rope=Rope(1_000_000.0))),
        ),
    ),
    "Gemma 3 4B, its text model": (
        GEMMA_3
        | sizes(2560, 10240, 34, 8, 4, 262208, 131072)
        | {"rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024},
        families.GEMMA_3_4B,
    ),
    "OLMo 2 7B": (
        sizes(4096, 11008, 32, 32, 32, 100352, 4096)
        | {
            "architectures": ["Olmo2ForCausalLM"],
            "model_type": "olmo2",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "eos_token_id": 100257,
            "hidden_act": "silu",
            "pad_token_id": 100277,
            "rms_norm_eps": 1e-6,
            "rope_scaling": None,
            "rope_theta": 500000,
            "tie_word_embeddings": False,
            "torch_dtype": "float32",
        },
        families.OLMO_2_7B,
    ),
    "Phi 3 mini 4k": (PHI_3 | sizes(3072, 8192, 32, 32, 32, 32064, 4096), families.PHI_3_MINI),
    "Mixtral 8x7B": (
        {key: value for key, value in MISTRAL.items() if key != "architectures"}
        | sizes(4096, 14336, 32, 32, 8, 32000, 32768)
        | ROUTER
        | {
            "architectures": ["MixtralForCausalLM"],
            "model_type": "mixtral",
            "attention_dropout": 0.0,
            "num_experts_per_tok": 2,
            "num_local_experts": 8,
            "rope_theta": 1e6,
            "router_jitter_noise": 0.0,
            "sliding_window": None,
        },
        families.MIXTRAL_8X7B,
    ),
    "OLMoE 1B 7B": (
        sizes(2048, 1024, 16, 16, 16, 50304, 4096)
        | ROUTER
        | {
            "architectures": ["OlmoeForCausalLM"],
            "model_type": "olmoe",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "clip_qkv": None,
            "eos_token_id": 50279,
            "hidden_act": "silu",
            "norm_topk_prob": False,
            "num_experts": 64,
            "num_experts_per_tok": 8,
            "pad_token_id": 1,
            "rms_norm_eps": 1e-5,
            "rope_scaling": None,
            "rope_theta": 10000.0,
            "tie_word_embeddings": False,
        },
        families.OLMOE_1B_7B,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_published_configuration_means_its_model(name):
    content, wanted = CASES[name]
    assert read_config(content, "config.json").spec == wanted


def test_every_family_has_a_published_case():
    assert {content["model_type"] for content, _ in CASES.values()} == set(FAMILIES)


@pytest.mark.parametrize(
    ("name", "changes", "named"),
    [
        ("Qwen2.5 7B", {"use_mrope": True}, "use_mrope is true"),
        ("Qwen2.5 7B", {"quantization_config": {"bits": 4}}, "quantization_config is {'bits': 4}; expected null"),
        ("Qwen2.5 7B", {"dual_chunk_attention_config": {"chunk_size": 262144}}, "dual_chunk_attention_config"),
        ("Phi 3 mini 4k", {"partial_rotary_factor": 0.75, "full_attn_mod": 1}, "partial_rotary_factor is 0.75"),  # Phi-4-mini
        ("Phi 3 mini 4k", {"rope_scaling": {"type": "longrope", "long_factor": [1.0], "short_factor": [1.0]}}, "type"),
        ("Qwen3 8B", {"rope_scaling": {"type": "yarn", "factor": 4.0}, "rope_theta": 1.0}, "rope_theta is 1.0"),
        ("Llama 2 7B", {"hidden_size": 4000, "num_attention_heads": 800, "num_key_value_heads": 8}, "hidden_size is 4000"),
    ],
)
def test_a_variant_that_computes_something_else_is_refused_by_name(name, changes, named):
    with pytest.raises(InputError) as caught:
        read_config(CASES[name][0] | changes, "config.json")
    assert named in str(caught.value)
