"""Published models as DecoderSpec values: what each family is, at one of its sizes; other sizes by `dataclasses.replace`."""

import dataclasses

from instruct_jax.model.rope import LinearScaling, Llama3, Rope
from instruct_jax.model.spec import DecoderSpec, Experts, LayerKind

# Touvron et al. 2023, arXiv:2307.09288.
LLAMA_2_7B = DecoderSpec(
    vocab_size=32_000,
    embed=4096,
    layers=32,
    heads=32,
    kv_heads=32,
    head_dim=128,
    mlp=11_008,
    tied=False,
    norm_epsilon=1e-5,
)

# Dubey et al. 2024, arXiv:2407.21783, table 3.
LLAMA_3_8B = DecoderSpec(
    vocab_size=128_256,
    embed=4096,
    layers=32,
    heads=32,
    kv_heads=8,
    head_dim=128,
    mlp=14_336,
    tied=False,
    norm_epsilon=1e-5,
    kinds=(LayerKind(rope=Rope(500_000.0)),),
)

# The same, stretched from 8,192 tokens to 131,072.
LLAMA_3_1_8B = dataclasses.replace(LLAMA_3_8B, kinds=(LayerKind(rope=Rope(500_000.0, Llama3(8.0, 1.0, 4.0, 8192))),))

# Jiang et al. 2023, arXiv:2310.06825, table 1 (version 0.1; later ones have no window).
MISTRAL_7B = DecoderSpec(
    vocab_size=32_000,
    embed=4096,
    layers=32,
    heads=32,
    kv_heads=8,
    head_dim=128,
    mlp=14_336,
    tied=False,
    norm_epsilon=1e-5,
    kinds=(LayerKind(window=4096),),
)

# Qwen 2024, arXiv:2412.15115.
QWEN_2_5_7B = DecoderSpec(
    vocab_size=152_064,
    embed=3584,
    layers=28,
    heads=28,
    kv_heads=4,
    head_dim=128,
    mlp=18_944,
    tied=False,
    qkv_bias=True,
    kinds=(LayerKind(rope=Rope(1_000_000.0)),),
)

# Qwen 2025, arXiv:2505.09388, table 1.
QWEN_3_8B = DecoderSpec(
    vocab_size=151_936,
    embed=4096,
    layers=36,
    heads=32,
    kv_heads=8,
    head_dim=128,
    mlp=12_288,
    tied=False,
    qk_norm="head",
    kinds=(LayerKind(rope=Rope(1_000_000.0)),),
)

# Gemma 2024, arXiv:2408.00118, table 1: every other layer, the first included, sees a window.
GEMMA_2_9B = DecoderSpec(
    vocab_size=256_000,
    embed=3584,
    layers=42,
    heads=16,
    kv_heads=8,
    head_dim=256,
    mlp=14_336,
    norm_offset=1.0,
    post_norm=True,
    activation="gelu_tanh",
    embedding_scale=3584**0.5,
    attention_softcap=50.0,
    logit_softcap=30.0,
    kinds=(LayerKind(window=4096), LayerKind()),
)

# Gemma 2025, arXiv:2503.19786, table 1, the language model of it: five layers with a window, then one without, on another
# base and stretched.
GEMMA_3_4B = DecoderSpec(
    vocab_size=262_208,
    embed=2560,
    layers=34,
    heads=8,
    kv_heads=4,
    head_dim=256,
    mlp=10_240,
    norm_offset=1.0,
    post_norm=True,
    qk_norm="head",
    activation="gelu_tanh",
    embedding_scale=2560**0.5,
    kinds=(*[LayerKind(window=1024)] * 5, LayerKind(rope=Rope(1_000_000.0, LinearScaling(8.0)))),
)

# OLMo 2024, arXiv:2501.00656, table 1.
OLMO_2_7B = DecoderSpec(
    vocab_size=100_352,
    embed=4096,
    layers=32,
    heads=32,
    kv_heads=32,
    head_dim=128,
    mlp=11_008,
    tied=False,
    pre_norm=False,
    post_norm=True,
    qk_norm="width",
    kinds=(LayerKind(rope=Rope(500_000.0)),),
)

# Abdin et al. 2024, arXiv:2404.14219, at a context of 4,096; queries, keys and values lie fused in its files, as do gate and up.
PHI_3_MINI = DecoderSpec(
    vocab_size=32_064,
    embed=3072,
    layers=32,
    heads=32,
    kv_heads=32,
    head_dim=96,
    mlp=8192,
    tied=False,
    norm_epsilon=1e-5,
    kinds=(LayerKind(window=2047),),
)

# Jiang et al. 2024, arXiv:2401.04088, table 1.
MIXTRAL_8X7B = DecoderSpec(
    vocab_size=32_000,
    embed=4096,
    layers=32,
    heads=32,
    kv_heads=8,
    head_dim=128,
    mlp=14_336,
    tied=False,
    norm_epsilon=1e-5,
    experts=Experts(8, 2),
    kinds=(LayerKind(rope=Rope(1_000_000.0)),),
)

# Qwen 2025, arXiv:2505.09388, table 2.
QWEN_3_30B_A3B = DecoderSpec(
    vocab_size=151_936,
    embed=2048,
    layers=48,
    heads=32,
    kv_heads=4,
    head_dim=128,
    mlp=768,
    tied=False,
    qk_norm="head",
    experts=Experts(128, 8),
    kinds=(LayerKind(rope=Rope(1_000_000.0)),),
)

# Muennighoff et al. 2024, arXiv:2409.02060, table 1.
OLMOE_1B_7B = DecoderSpec(
    vocab_size=50_304,
    embed=2048,
    layers=16,
    heads=16,
    kv_heads=16,
    head_dim=128,
    mlp=1024,
    tied=False,
    norm_epsilon=1e-5,
    qk_norm="width",
    experts=Experts(64, 8, normalised=False),
)
