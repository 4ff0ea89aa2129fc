"""Adapters, live against peft: what it makes is read with equal logits, and what is written it loads with equal logits."""

import jax
import jax.numpy as jnp
import numpy as np
import peft
import pytest
import torch
from flax import nnx

from instruct_jax.artifacts.checkpoint import save_parameters
from instruct_jax.artifacts.manifest import read_manifest, write_manifest
from instruct_jax.artifacts.saved_parameters import SavedParameters, base_record
from instruct_jax.convert.export import export_hf
from instruct_jax.convert.hf import import_hf
from instruct_jax.convert.merge import merge
from instruct_jax.convert.peft import export_peft, import_peft
from instruct_jax.core import modules
from instruct_jax.model.loading import DecoderSource, load_model, spec_of
from instruct_jax.model.lora import Lora
from instruct_jax.model.lora_source import LoraSource
from tests.parity import reference
from tests.parity.cases import FIXTURES

BOUND = 1e-4
TOKENS = np.random.default_rng(5).integers(0, 99, 20).astype(np.int32)
# name: the base, our adapter, and PEFT's settings of the like.
ADAPTERS = {
    "lora": ("llama_3", {"targets": ("layers/attention/(query|value)",)}, {"target_modules": ["q_proj", "v_proj"]}),
    "biases, all products, rslora": (
        "qwen_2_5",
        {"rank_stabilised": True},
        {"target_modules": "all-linear", "use_rslora": True},
    ),
    "dora": (
        "qwen_3",
        {"weight_decomposed": True, "targets": ("layers/attention/", "layers/mlp/down")},
        {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "down_proj"], "use_dora": True},
    ),
    "tied embedding and norms beside": (
        "gemma_3",
        {"beside": ("embedding", ".*norm/scale")},
        {
            "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
            "modules_to_save": ["embed_tokens", "norm", "layernorm"],
            "ensure_weight_tying": True,
        },
    ),
    "embedding, head and the last norm beside": (
        "olmo_2",
        {"beside": ("embedding", "head", "norm")},
        {"target_modules": ["o_proj", "up_proj"], "modules_to_save": ["embed_tokens", "lm_head", "model.norm"]},
    ),
    "experts": ("mixtral", {"targets": ("layers/attention/",)}, {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}),
}


@pytest.fixture(scope="module", params=ADAPTERS)
def adapter(request, tmp_path_factory):
    """(base in transformers' format, its import, our adapter's fields, PEFT's, a folder of its own)."""
    family, ours, theirs = ADAPTERS[request.param]
    folder = tmp_path_factory.mktemp("peft")
    import_hf(FIXTURES / family, folder / "base")
    return FIXTURES / family, folder / "base", ours, theirs, folder


def our_logits(path, **options):
    graph, state = nnx.split(load_model(path, **options).model)

    @jax.jit
    def scores(state, tokens):
        model = nnx.merge(graph, state)
        return model.logits(model(tokens, jnp.ones_like(tokens), jnp.arange(tokens.shape[1])[None]))

    return np.asarray(scores(state, jnp.asarray(TOKENS)[None])[0])


def their_logits(base, folder):
    model = peft.PeftModel.from_pretrained(reference.loaded(base), folder).eval()
    with torch.no_grad():
        return model(torch.tensor(TOKENS[None], dtype=torch.long)).logits[0].numpy()


def assert_near(found, wanted):
    assert np.abs(found - wanted).max() <= BOUND * np.abs(wanted).max()


def random_adapter(base, fields, folder):
    """A checkpoint of an adapter over a base, as training leaves it, with every number that it trains at random."""
    source = LoraSource(DecoderSource(spec_of(base)), Lora(rank=3, alpha=7.0, **fields))
    source = source.fit({"tokenizer": {"vocab_size": 1}})
    _, shapes = modules.abstract(lambda: source.build(jax.random.key(0)))
    saved = SavedParameters(base, 0)
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    wanted = {path: jax.ShapeDtypeStruct(one.shape, one.dtype, sharding=device) for path, one in shapes.items()}
    random, given = np.random.default_rng(0), source.adopt(saved, wanted)
    trained = {}
    for path, shape in shapes.items():
        if source.saved(path):
            start = given.get(path, 0.0)
            trained[path] = jnp.asarray(start + 0.2 * random.standard_normal(shape.shape), jnp.float32)
    save_parameters(folder, 3, trained)
    manifest = {key: value for key, value in read_manifest(base, "checkpoint").items() if key != "hf"}
    record = base_record(base, 0)
    parents = {"init_from": {**record, "asked": str(base)}}
    write_manifest(folder, "checkpoint", {**manifest, "model": source.describe(), "base": record, "parents": parents})


def test_an_exported_adapter_gives_equal_logits_in_peft(adapter):
    hf, base, ours, _, folder = adapter
    random_adapter(base, ours, folder / "ours")
    export_peft(folder / "ours", folder / "exported")
    found = our_logits(folder / "ours")
    assert np.abs(found - our_logits(base)).max() > 0.01 * np.abs(found).max()
    assert_near(found, their_logits(hf, folder / "exported"))


def test_an_exported_adapter_comes_back_bit_for_bit(adapter):
    _, base, ours, _, folder = adapter
    if not (folder / "exported").exists():
        random_adapter(base, ours, folder / "ours")
        export_peft(folder / "ours", folder / "exported")
    import_peft(folder / "exported", base, folder / "back")
    np.testing.assert_array_equal(our_logits(folder / "back"), our_logits(folder / "ours"))


def test_an_adapter_of_peft_gives_equal_logits_here_and_merged_in_transformers(adapter):
    hf, base, _, theirs, folder = adapter
    model = peft.get_peft_model(reference.loaded(hf), peft.LoraConfig(r=2, lora_alpha=5, task_type="CAUSAL_LM", **theirs))
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=draw) * 0.2)
    model.save_pretrained(folder / "theirs")
    wanted = their_logits(hf, folder / "theirs")
    import_peft(folder / "theirs", base, folder / "imported")
    assert_near(our_logits(folder / "imported"), wanted)
    merge(folder / "imported", folder / "merged", dtype="float32")
    assert_near(our_logits(folder / "merged"), wanted)
    export_hf(folder / "merged", folder / "whole")
    assert_near(reference.logits(reference.loaded(folder / "whole"), TOKENS), wanted)
