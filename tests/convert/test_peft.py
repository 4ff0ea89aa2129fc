"""Adapters in PEFT's format without PEFT: export then import is the identity, and what cannot be expressed is refused."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instruct_jax.artifacts.checkpoint import save_parameters
from instruct_jax.artifacts.manifest import inherited, read_manifest, write_manifest
from instruct_jax.artifacts.saved_parameters import SavedParameters, base_record
from instruct_jax.convert.hf import import_hf
from instruct_jax.convert.merge import merge
from instruct_jax.convert.peft import CONFIG, TENSORS, export_peft, import_peft
from instruct_jax.convert.tensor_files import read_header, write_file
from instruct_jax.core import mesh as meshes
from instruct_jax.core import modules
from instruct_jax.errors import InputError
from instruct_jax.inference import session
from instruct_jax.model.loading import DecoderSource, load_model, spec_of
from instruct_jax.model.lora import Lora
from instruct_jax.model.lora_source import LoraSource
from instruct_jax.model.quantised import Quantisation


def adapter_over(base, folder, quantisation=None, **fields):
    """A checkpoint of an adapter over an imported base, with every number that it trains at random."""
    source = LoraSource(DecoderSource(spec_of(base)), Lora(rank=2, alpha=6.0, **fields), "bfloat16", quantisation)
    _, shapes = modules.abstract(lambda: source.build(jax.random.key(0)))
    random = np.random.default_rng(0)
    trained = {
        path: jnp.asarray(1 + random.standard_normal(shape.shape) / 10, jnp.float32)
        for path, shape in shapes.items()
        if source.saved(path)
    }
    save_parameters(folder, 7, trained)
    manifest, record = read_manifest(base, "checkpoint"), base_record(base, 0)
    parents = {"init_from": {**record, "asked": str(base)}}
    own = {"model": source.describe(), "base": record, "parents": parents, **inherited(manifest)}
    write_manifest(folder, "checkpoint", {**manifest, **own})
    return folder


def parameters(path, **options):
    return {name: np.asarray(array) for name, array in modules.split(load_model(path, **options).model)[1].items()}


@pytest.fixture(scope="module")
def base(tmp_path_factory, repository):
    folder = tmp_path_factory.mktemp("peft") / "base"
    import_hf(repository / "tests" / "fixtures" / "hf" / "gemma_3", folder)
    return folder


@pytest.fixture(scope="module")
def exported(base):
    adapter = adapter_over(base, base.parent / "adapter", weight_decomposed=True, beside=("embedding", ".*norm/scale"))
    export_peft(adapter, base.parent / "exported")
    return base.parent / "exported"


@pytest.fixture
def damaged(exported, tmp_path):
    """A copy of the exported folder, and functions that change its configuration and its tensors."""
    folder = tmp_path / "damaged"
    shutil.copytree(exported, folder)

    def configure(**changes):
        (folder / CONFIG).write_text(json.dumps(json.loads((folder / CONFIG).read_text()) | changes))

    def tensors(change):
        held = {name: entry.read() for name, entry in read_header(folder / TENSORS).items()}
        change(held)
        write_file(folder / TENSORS, held)

    return folder, configure, tensors


def test_export_then_import_is_the_identity(base, exported, tmp_path):
    import_peft(exported, base, tmp_path / "back")
    ours, back = SavedParameters(base.parent / "adapter", 7), parameters(tmp_path / "back")
    wanted = parameters(base.parent / "adapter")
    assert set(SavedParameters(tmp_path / "back", 0).own) == set(ours.own)
    assert all(np.array_equal(back[path], wanted[path]) for path in wanted)


def test_the_configuration_says_what_the_adapter_is(exported):
    content = json.loads((exported / CONFIG).read_text())
    assert content["r"] == 2
    assert content["lora_alpha"] == 6
    assert content["use_dora"] is True
    assert content["target_modules"] == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    assert {"embed_tokens", "model.norm", "input_layernorm"} <= set(content["modules_to_save"])
    assert content["ensure_weight_tying"] is True
    assert read_header(exported / TENSORS)["base_model.model.model.layers.6.self_attn.q_proj.lora_B.weight"].shape == (32, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern is {'q_proj': 4}; expected none, or 2 everywhere"),
        ({"rank_pattern": [4]}, "rank_pattern is [4]; expected none"),
        ({"alpha_pattern": {"q_proj": {"a": 1}}}, "alpha_pattern is {'q_proj': {'a': 1}}; expected none"),
        ({"use_qalora": True}, "use_qalora is true; expected false"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa'"),
        ({"bias": "all"}, "bias is 'all'; expected 'none'"),
        ({"peft_type": "IA3"}, "peft_type is 'IA3'; expected 'LORA'"),
        ({"new_trick": 1}, "key 'new_trick' (1) is not known here"),
        ({"ensure_weight_tying": False}, "ensure_weight_tying is false; expected true"),
        ({"r": 3}, r"of shape [2, 16]; expected floats of shape [3, 16]"),
        ({"use_dora": False}, "lora_magnitude_vector, which has no place here"),
    ],
)
def test_settings_that_would_change_the_computation_are_refused_by_name(damaged, base, tmp_path, changes, message):
    folder, configure, _ = damaged
    configure(**changes)
    with pytest.raises(InputError) as error:
        import_peft(folder, base, tmp_path / "back")
    assert message in str(error.value)
    assert not (tmp_path / "back").exists()


def test_missing_left_over_and_untied_tensors_are_refused_by_name(damaged, base, tmp_path):
    folder, _, tensors = damaged
    name = "base_model.model.model.layers.3.mlp.up_proj.lora_A.weight"
    taken = {}
    tensors(lambda held: taken.update({name: held.pop(name)}))
    with pytest.raises(InputError, match=f"lacks {name}"):
        import_peft(folder, base, tmp_path / "back")
    tensors(lambda held: held.update({name: taken[name], "base_model.model.model.embed_tokens.lora_embedding_A": taken[name]}))
    with pytest.raises(InputError, match=r"embed_tokens.lora_embedding_A, which has no place"):
        import_peft(folder, base, tmp_path / "back")
    tensors(lambda held: held.pop("base_model.model.model.embed_tokens.lora_embedding_A"))
    tensors(lambda held: held.update({"base_model.model.lm_head.weight": held["base_model.model.lm_head.weight"] + 1}))
    with pytest.raises(InputError, match=r"lm_head.weight is not the embedding"):
        import_peft(folder, base, tmp_path / "back")


def test_an_adapter_knows_its_base_when_that_is_imported_anew(repository, tmp_path):
    source = repository / "tests" / "fixtures" / "hf" / "qwen_2_5"
    import_hf(source, tmp_path / "base")
    adapter = adapter_over(tmp_path / "base", tmp_path / "adapter")
    wanted = parameters(adapter)
    shutil.rmtree(tmp_path / "base")
    import_hf(source, tmp_path / "base")
    found = parameters(adapter)
    assert all(np.array_equal(found[path], wanted[path]) for path in wanted)
    shutil.copytree(source, tmp_path / "changed")
    (weights,) = (tmp_path / "changed").glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    for other, dtype in ((tmp_path / "changed", None), (source, "bfloat16")):
        shutil.rmtree(tmp_path / "base")
        import_hf(other, tmp_path / "base", dtype=dtype)
        with pytest.raises(InputError, match="has been replaced: its identity is"):
            load_model(adapter)


def test_two_sessions_share_one_base_in_memory(base, tmp_path):
    first, second = (adapter_over(base, tmp_path / name, beside=("norm/scale",)) for name in ("one", "two"))
    opened = session.open(first)
    shared = session.open(second, sharing=opened)
    mine, theirs = (modules.split(one.model)[1] for one in (shared, opened))
    held = [path for path in mine if mine[path] is theirs[path]]
    assert "embedding" in held
    assert not any("lora" in path for path in held)
    tokens = np.arange(12, dtype=np.int32)[None]
    np.testing.assert_array_equal(shared.logits(tokens), session.open(second).logits(tokens))


def test_a_trained_base_that_was_written_anew_is_refused(base, tmp_path):
    """A recipe's identity says nothing of the numbers that came of it."""
    trained = tmp_path / "trained"
    shutil.copytree(base, trained)
    manifest = read_manifest(base, "checkpoint")
    write_manifest(trained, "checkpoint", {**manifest, "parents": {"dataset": {"folder": "x", "identity": "y"}}})
    adapter = adapter_over(trained, tmp_path / "adapter")
    assert "state" in read_manifest(adapter, "checkpoint")["base"]
    load_model(adapter)
    shutil.rmtree(trained / "checkpoints")
    saved = SavedParameters(base, 0)
    save_parameters(trained, 0, saved.read({path: meshes.placed(None, shape) for path, shape in saved.shapes.items()}))
    with pytest.raises(InputError, match="its state of step 0 was written anew"):
        load_model(adapter)


def test_fused_projections_say_to_merge_first(repository, tmp_path):
    import_hf(repository / "tests" / "fixtures" / "hf" / "phi_3", tmp_path / "base")
    adapter_over(tmp_path / "base", tmp_path / "adapter")
    with pytest.raises(InputError, match=r"phi3 holds layers/attention/query/kernel, .* in one matrix.*merge it"):
        export_peft(tmp_path / "adapter", tmp_path / "exported")


def test_a_whole_model_is_no_adapter(base, tmp_path):
    with pytest.raises(InputError, match=r"is no adapter but a whole model; export it with gin_configs/runs/export_hf.gin"):
        export_peft(base, tmp_path / "exported")
    with pytest.raises(InputError, match="is no adapter but a whole model already"):
        merge(base, tmp_path / "merged")


@pytest.mark.parametrize("quantisation", [None, Quantisation("nf4", 8)])
def test_a_merged_checkpoint_needs_no_base_and_computes_the_same(base, tmp_path, quantisation):
    adapter = adapter_over(base, tmp_path / "adapter", quantisation, weight_decomposed=True, beside=("embedding",))
    merge(adapter, tmp_path / "merged", dtype="float32")
    manifest = read_manifest(tmp_path / "merged", "checkpoint")
    assert "adapter" not in manifest["model"]
    assert "base" not in manifest
    found, wanted = parameters(tmp_path / "merged"), parameters(adapter, merge=True)
    assert set(found) == set(wanted)
    for path in wanted:
        np.testing.assert_allclose(found[path], wanted[path], rtol=1e-5, atol=1e-6, err_msg=path)
    merge(adapter, tmp_path / "narrow")
    assert {one.dtype for one in SavedParameters(tmp_path / "narrow", 0).own.values()} == {jnp.dtype(jnp.bfloat16)}
