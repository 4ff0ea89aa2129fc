"""config.json in every dialect means one spec; what a spec cannot say, and what a config cannot, is refused by name."""

import dataclasses

import pytest

from instruct_jax.convert.config import read_config, write_config
from instruct_jax.convert.families import FAMILIES
from instruct_jax.errors import InputError
from instruct_jax.model.rope import DynamicNTK, LinearScaling, Llama3, Rope, YaRN
from instruct_jax.model.spec import DecoderSpec, Experts, LayerKind

SIZES = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 61,
}
PLAIN = DecoderSpec(embed=24, layers=4, heads=4, kv_heads=2, head_dim=6, mlp=40, vocab_size=61)
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12}


def spec_of(model_type: str, **fields) -> DecoderSpec:
    return read_config({"model_type": model_type, **SIZES, **fields}, "config.json").spec


def refusal(model_type: str, **fields) -> str:
    with pytest.raises(InputError) as caught:
        spec_of(model_type, **fields)
    return str(caught.value)


@pytest.mark.parametrize(
    ("scaling", "meant"),
    [
        ({"rope_type": "default"}, None),
        ({"rope_type": "linear", "factor": 2}, LinearScaling(2.0)),
        ({"rope_type": "dynamic", "factor": 2.0}, DynamicNTK(2.0, 64)),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}, YaRN(4.0, 16)),
        (
            {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            },
            Llama3(8.0, 1.0, 4.0, 16),
        ),
    ],
)
def test_ropes_of_transformers_4_and_5_mean_the_same(scaling, meant):
    newer = spec_of("llama", max_position_embeddings=64, rope_parameters={**scaling, "rope_theta": 5e5})
    older = spec_of("llama", max_position_embeddings=64, rope_scaling=scaling, rope_theta=5e5)
    oldest = {"type" if key == "rope_type" else key: value for key, value in scaling.items()}
    assert newer == older == spec_of("llama", max_position_embeddings=64, rope_scaling=oldest, rope_theta=5e5)
    assert newer.kinds == (LayerKind(None, Rope(5e5, meant)),)


def test_the_two_ropes_of_gemma_3_mean_the_same_in_both_forms():
    older = spec_of("gemma3_text", rope_theta=1e6, rope_local_base_freq=1e4, rope_scaling={"rope_type": "linear", "factor": 8.0})
    nested = {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }
    assert older == spec_of("gemma3_text", rope_parameters=nested)
    windowed = spec_of("gemma3_text", rope_parameters=nested, sliding_window=5, sliding_window_pattern=2)
    assert windowed.kinds == (LayerKind(5, Rope(1e4)), LayerKind(None, Rope(1e6, LinearScaling(8.0))))


def test_absent_keys_mean_what_the_family_takes_them_to_mean():
    assert spec_of("gemma2").head_dim == 256
    assert spec_of("gemma2").tied
    assert spec_of("gemma2").attention_softcap == 50.0
    assert spec_of("qwen3").head_dim == 128
    assert not spec_of("llama").tied
    assert spec_of("llama").head_dim == spec_of("llama", head_dim=None).head_dim == 6
    assert spec_of("mistral").kinds == (LayerKind(4096),)
    assert spec_of("mistral", sliding_window=None).kinds == (LayerKind(None),)
    assert spec_of("mixtral", num_local_experts=4, num_experts_per_tok=2).kinds[0].rope.theta == 1e6
    assert spec_of("olmoe", num_experts=4, num_experts_per_tok=2).experts == Experts(4, 2, normalised=False)
    assert spec_of("qwen3_moe", **EXPERTS).mlp == 12


def test_windows_of_qwen_begin_at_a_layer_and_only_when_switched_on():
    on = spec_of("qwen2", use_sliding_window=True, sliding_window=7, max_window_layers=3)
    assert [kind.window for kind in on.layer_kinds()] == [None, None, None, 7]
    assert spec_of("qwen2", sliding_window=7, max_window_layers=0).kinds == (LayerKind(None),)
    types = ["sliding_attention", "full_attention", "full_attention", "sliding_attention"]
    listed = spec_of("qwen2", use_sliding_window=True, sliding_window=7, layer_types=types)
    assert [kind.window for kind in listed.layer_kinds()] == [7, None, None, 7]
    assert "sliding_window" in refusal("qwen2", layer_types=types)


@pytest.mark.parametrize(
    ("model_type", "fields", "named"),
    [
        ("llama", {"attention_bias": True}, "attention_bias"),
        ("llama", {"mlp_bias": True}, "mlp_bias"),
        ("llama", {"sliding_window": 8}, "sliding_window"),
        ("llama", {"layer_types": ["full_attention"] * 4}, "layer_types"),
        ("llama", {"quantization_config": {"bits": 4}}, "quantization_config"),
        ("llama", {"hidden_act": "gelu"}, "hidden_act"),
        ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ("llama", {"rope_scaling": {"type": "linear"}}, "factor"),
        ("llama", {"rope_scaling": {"type": "mrope", "mrope_section": [1]}}, "type"),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0, "beta": 1}}, "beta"),
        ("llama", {"rope_scaling": {"type": "linear", "rope_type": "dynamic", "factor": 2.0}}, "rope_type"),
        ("llama", {"rope_theta": 1e4, "rope_parameters": {"rope_theta": 1e6}}, "rope_theta"),
        ("llama", {"architectures": ["LlamaForSequenceClassification"]}, "architectures"),
        ("llama", {"num_key_value_heads": 3}, "num_key_value_heads"),
        ("llama", {"hidden_size": "24"}, "hidden_size"),
        ("llama", {"rms_norm_eps": float("nan")}, "rms_norm_eps"),
        ("llama", {"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ("llama", {"eos_token_id": "2"}, "eos_token_id"),
        ("gemma2", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ("phi3", {"rope_scaling": {"type": "longrope", "short_factor": [], "long_factor": []}}, "type"),
        ("phi3", {"rope_scaling": {"type": "su"}}, "type"),
        ("phi3", {"resid_pdrop": 0.1}, "resid_pdrop"),
        ("olmoe", {"clip_qkv": 8.0, "num_experts": 4, "num_experts_per_tok": 2}, "clip_qkv"),
        ("qwen3_moe", {**EXPERTS, "mlp_only_layers": [0]}, "mlp_only_layers"),
        ("qwen3_moe", {**EXPERTS, "decoder_sparse_step": 2}, "decoder_sparse_step"),
        ("qwen3_moe", {**EXPERTS, "num_local_experts": 8}, "num_local_experts"),
        ("mixtral", {"num_local_experts": 4, "num_experts_per_tok": 5}, "num_experts_per_tok"),
        ("gemma3", {}, "gemma3_text"),
        ("gpt2", {}, "llama, mistral, qwen2"),
    ],
)
def test_what_would_change_the_computation_is_refused_by_name(model_type, fields, named):
    message = refusal(model_type, **fields)
    assert named in message
    assert "\n" not in message


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_config_written_from_a_spec_means_that_spec(model_type):
    wanted = spec_of(model_type, **({**EXPERTS, "num_local_experts": 4} if model_type == "qwen3_moe" else _experts(model_type)))
    family, content = write_config(wanted, "bfloat16", model_type)
    assert family.model_type == model_type
    assert read_config(content, "config.json").spec == wanted


def _experts(model_type: str) -> dict[str, int]:
    keys = FAMILIES[model_type].experts
    return {} if keys is None else {keys.count[0]: 4, "num_experts_per_tok": 2}


@pytest.mark.parametrize(
    ("changes", "model_type"),
    [
        ({}, "llama"),
        ({"kinds": (LayerKind(9),)}, "mistral"),
        ({"head_dim": 8, "heads": 5, "kv_heads": 1}, "mistral"),  # transformers wants llama's heads to divide its width
        ({"qkv_bias": True}, "qwen2"),
        ({"qk_norm": "head"}, "qwen3"),
        ({"qk_norm": "width", "pre_norm": False, "post_norm": True}, "olmo2"),
        ({"experts": Experts(4, 2)}, "mixtral"),
        ({"experts": Experts(4, 2, normalised=False), "qk_norm": "head"}, "qwen3_moe"),
        ({"experts": Experts(4, 2, normalised=False), "qk_norm": "width"}, "olmoe"),
    ],
)
def test_a_spec_of_our_own_becomes_the_plainest_family_that_can_say_it(changes, model_type):
    spec = dataclasses.replace(PLAIN, **changes)
    family, content = write_config(spec, "float32")
    assert family.model_type == content["model_type"] == model_type
    assert read_config(content, "config.json").spec == spec


def test_a_spec_that_no_family_can_say_is_refused_with_the_field():
    with pytest.raises(InputError, match=r"llama comes nearest, but cannot express logit_softcap=5\.0"):
        write_config(dataclasses.replace(PLAIN, logit_softcap=5.0), "float32")
    mixed = (LayerKind(None, Rope(1e4)), LayerKind(None, Rope(1e6)))
    with pytest.raises(InputError, match="cannot express"):
        write_config(dataclasses.replace(PLAIN, kinds=mixed), "float32")


def test_keys_that_do_not_touch_the_computation_are_kept():
    read = read_config(
        {"model_type": "llama", **SIZES, "use_cache": True, "eos_token_id": [2, 5], "pretraining_tp": 1}, "config.json"
    )
    assert read.eos_ids == (2, 5)
    _, content = write_config(read.spec, "float32", "llama", read.kept)
    assert [content[key] for key in ("use_cache", "eos_token_id", "pretraining_tp")] == [True, [2, 5], 1]
