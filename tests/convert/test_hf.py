"""HF folder to checkpoint and back: the same bits, on any mesh, with its words; nothing half-done is left behind."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from instruct_jax.artifacts import checkpoint
from instruct_jax.artifacts.manifest import read_manifest
from instruct_jax.convert import export, hf
from instruct_jax.convert.tensor_files import INDEX, SINGLE, Entry, read_folder, write_file
from instruct_jax.convert.tokenizer_json import write_tokenizer
from instruct_jax.core import mesh as meshes
from instruct_jax.core import modules
from instruct_jax.errors import InputError
from instruct_jax.model.decoder import Decoder
from instruct_jax.model.spec import Experts
from instruct_jax.text.chat import DIALOGUE
from instruct_jax.text.pieces import ByteTokenizer
from instruct_jax.text.tokenizer import load_tokenizer


@pytest.fixture
def small_strips(monkeypatch):
    """Tensors move in pieces, of which the last is smaller, as large ones do."""
    monkeypatch.setattr("instruct_jax.convert.names._STRIP", 50)
    monkeypatch.setattr("instruct_jax.convert.names._COLUMNS", 3)


def bits(folder: Path) -> dict[str, tuple[str, bytes]]:
    return {name: (entry.kind, entry.read().tobytes()) for name, entry in read_folder(folder).items()}


@pytest.mark.usefixtures("small_strips")
@pytest.mark.parametrize(
    ("model_type", "changes"),
    [
        ("llama", {}),
        ("phi3", {"head_dim": 4}),
        ("gemma2", {"tied": True, "norm_offset": 1.0, "post_norm": True, "activation": "gelu_tanh", "embedding_scale": 8**0.5}),
        ("mixtral", {"experts": Experts(3, 2)}),
    ],
)
def test_import_then_export_gives_the_same_bits(make_hf, tiny, tmp_path, model_type, changes):
    source = make_hf(dataclasses.replace(tiny, **changes), model_type, max_bytes=700)
    hf.import_hf(source, tmp_path / "checkpoint")
    export.export_hf(tmp_path / "checkpoint", tmp_path / "out", max_shard_bytes=1000)
    assert (tmp_path / "out" / INDEX).exists()
    assert bits(tmp_path / "out") == bits(source)
    before, after = (json.loads((folder / "config.json").read_text()) for folder in (source, tmp_path / "out"))
    assert before == after


@pytest.mark.usefixtures("small_strips")
@pytest.mark.parametrize("model_type", ["llama", "qwen3_moe"])
def test_every_mesh_gets_the_same_parameters(make_hf, tiny, model_type):
    changes = {"experts": Experts(4, 2), "qk_norm": "head"} if model_type == "qwen3_moe" else {}
    spec = dataclasses.replace(tiny, heads=4, kv_heads=2, mlp=12, vocab_size=16, **changes)
    source = make_hf(spec, model_type)
    read, alone, _ = hf.read_model(source)
    assert read == spec
    blueprint, shapes = modules.abstract(lambda: Decoder(spec, jax.random.key(0)))
    assert {path: shape.shape for path, shape in shapes.items()} == {path: array.shape for path, array in alone.items()}
    mesh = meshes.make_mesh(data=1, fsdp=4, tensor=2)
    _, spread, _ = hf.read_model(source, mesh)
    for path, array in spread.items():
        assert array.sharding == meshes.parameter_sharding(mesh, array.shape, blueprint.axes[path])
        np.testing.assert_array_equal(np.asarray(array), np.asarray(alone[path]))
    _, cast, _ = hf.read_model(source, dtype=jnp.float32)
    assert {str(array.dtype) for array in cast.values()} == {"float32"}
    np.testing.assert_array_equal(cast["embedding"], alone["embedding"].astype(jnp.float32))


@pytest.mark.usefixtures("small_strips")
def test_a_device_reads_only_the_rows_of_its_shard(make_hf, tiny, monkeypatch):
    spec = dataclasses.replace(tiny, heads=2, kv_heads=2, mlp=12, vocab_size=16)
    source = make_hf(spec)
    read: dict[int, int] = {}
    whole = Entry.read

    def counted(entry, start=0, stop=None):
        read[entry.offset] = read.get(entry.offset, 0) + (entry.shape[0] if stop is None else stop) - start
        return whole(entry, start, stop)

    monkeypatch.setattr(Entry, "read", counted)
    hf.read_model(source, meshes.make_mesh(data=4, fsdp=1, tensor=2))
    entries = read_folder(source)
    up = entries["model.layers.1.mlp.up_proj.weight"]
    assert read[up.offset] == up.shape[0]  # two devices take half of its rows each, and their copies read nothing


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_every_pattern_of_bits_survives(make_hf, tiny, tmp_path, dtype):
    source = make_hf(dataclasses.replace(tiny, embed=256, vocab_size=256), dtype=jnp.dtype(dtype))
    values = {name: entry.read() for name, entry in read_folder(source).items()}
    every = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256).view(jnp.dtype(dtype))
    write_file(source / SINGLE, values | {"model.embed_tokens.weight": every, "lm_head.weight": every})
    hf.import_hf(source, tmp_path / "checkpoint")
    export.export_hf(tmp_path / "checkpoint", tmp_path / "out")
    assert bits(tmp_path / "out") == bits(source)


def test_a_mixture_of_dtypes_keeps_every_number_and_comes_back_as_it_was(make_hf, tiny, tmp_path):
    source = make_hf(tiny)
    values = {name: entry.read() for name, entry in read_folder(source).items()}
    for name, value in values.items():
        if "layers.1" in name:
            values[name] = value.astype(np.float16)
        elif "layers" not in name:
            values[name] = value.astype(np.float32)
    write_file(source / SINGLE, values)
    _, parameters, _ = hf.read_model(source)
    assert parameters["embedding"].dtype == parameters["layers/mlp/up/kernel"].dtype == jnp.float32
    np.testing.assert_array_equal(parameters["layers/mlp/up/kernel"][1], values["model.layers.1.mlp.up_proj.weight"].T)
    hf.import_hf(source, tmp_path / "checkpoint")
    export.export_hf(tmp_path / "checkpoint", tmp_path / "out")
    assert bits(tmp_path / "out") == bits(source)


def test_a_stored_output_layer_must_be_the_embedding_it_is_tied_to(make_hf, tiny):
    source = make_hf(dataclasses.replace(tiny, tied=True))
    values = {name: entry.read() for name, entry in read_folder(source).items()}
    buffer = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(3, np.float32)}
    write_file(source / SINGLE, {**values, **buffer, "lm_head.weight": values["model.embed_tokens.weight"]})
    assert "head/kernel" not in hf.read_model(source)[1]
    other = values["model.embed_tokens.weight"].copy()
    other[-1, -1] += 1
    write_file(source / SINGLE, {**values, "lm_head.weight": other})
    with pytest.raises(InputError, match="tie_word_embeddings"):
        hf.read_model(source)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda values: values.pop("model.layers.1.mlp.up_proj.weight"), r"model\.layers\.1\.mlp\.up_proj\.weight .* missing"),
        (lambda values: values.update({"model.layers.2.mlp.up_proj.weight": np.ones(1, np.float32)}), "left over"),
        (lambda values: values.update({"model.norm.weight": np.ones(9, np.float32)}), r"shape \[9\].*means \[8\]"),
        (lambda values: values.update({"model.layers.0.self_attn.q_proj.bias": np.ones(12, np.float32)}), "left over"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(make_hf, tiny, change, named):
    source = make_hf(tiny)
    values = {name: entry.read() for name, entry in read_folder(source).items()}
    change(values)
    write_file(source / SINGLE, values)
    with pytest.raises(InputError, match=named):
        hf.read_model(source)


def test_an_interrupted_import_leaves_nothing_that_looks_finished(make_hf, tiny, tmp_path, monkeypatch):
    source, target = make_hf(tiny), tmp_path / "checkpoint"

    def cut_short(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_parameters", cut_short)
        with pytest.raises(KeyboardInterrupt):
            hf.import_hf(source, target)
    assert not target.exists()
    hf.import_hf(source, target)
    assert checkpoint.saved_steps(target) == [0]
    hf.import_hf(source, target)  # there is nothing left to do
    with pytest.raises(InputError, match="holds something else"):
        hf.import_hf(source, target, dtype="float32")
    with pytest.raises(InputError, match="holds something else"):
        hf.import_hf(make_hf(tiny, seed=1), target)


def test_a_folder_without_a_tokenizer_imports_with_a_warning(make_hf, tiny, tmp_path, capsys):
    hf.import_hf(make_hf(tiny), tmp_path / "checkpoint")
    assert "no tokenizer" in capsys.readouterr().err
    manifest = read_manifest(tmp_path / "checkpoint", "checkpoint")
    assert manifest["tokenizer"] is None
    assert manifest["chat_template"] is None


def test_the_identity_tells_models_apart_and_files_not(make_hf, tiny):
    first = hf.inspect(make_hf(tiny)).manifest()["identity"]
    assert first != hf.inspect(make_hf(tiny, seed=1)).manifest()["identity"]
    values = {name: entry.read() for name, entry in read_folder(make_hf(tiny, seed=2)).items()}
    again = make_hf(tiny, seed=3, max_bytes=300)
    before = hf.inspect(again).manifest()["identity"]
    for file in again.glob("model*"):
        file.unlink()
    write_file(again / SINGLE, values)
    assert hf.inspect(again).manifest()["identity"] != before


def test_a_trained_checkpoint_is_exported_with_its_own_words(make_hf, tiny, tmp_path):
    spec = dataclasses.replace(tiny, vocab_size=ByteTokenizer().vocab_size)
    hf.import_hf(make_hf(spec), tmp_path / "run")
    ByteTokenizer().save(tmp_path / "run" / "tokenizer")
    file = tmp_path / "run" / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest |= {
        "tokenizer": {"fingerprint": ByteTokenizer().fingerprint, "vocab_size": 259},
        "chat_template": DIALOGUE.to_json(),
        "parents": {},
    }
    del manifest["hf"], manifest["generation"]
    file.write_text(json.dumps(manifest))
    export.export_hf(tmp_path / "run", tmp_path / "out", dtype="float32")
    out = tmp_path / "out"
    assert {entry.kind for entry in read_folder(out).values()} == {"F32"}
    assert json.loads((out / "config.json").read_text())["eos_token_id"] == [2]
    assert json.loads((out / "generation_config.json").read_text()) == {"bos_token_id": 1, "eos_token_id": [2]}
    read = hf.inspect(out).manifest()
    assert read["chat_template"]["source"] == (out / "chat_template.jinja").read_text()
    assert read["tokenizer"]["vocab_size"] == 259
    with pytest.raises(InputError, match="holds something already"):
        export.export_hf(tmp_path / "run", out)


@pytest.mark.parametrize("padding", [0, 1, 5])
def test_added_tokens_get_ids_and_rows_of_their_own(make_hf, tiny, tmp_path, padding):
    size = ByteTokenizer().vocab_size
    source = make_hf(dataclasses.replace(tiny, vocab_size=size + padding))
    write_tokenizer(ByteTokenizer(), source)
    names = ("<|im_start|>", "<|im_end|>")
    hf.import_hf(source, tmp_path / "checkpoint", dtype="float32", add_tokens=names)
    manifest = read_manifest(tmp_path / "checkpoint", "checkpoint")
    assert manifest["tokenizer"]["vocab_size"] == size + 2
    assert manifest["model"]["spec"]["vocab_size"] == max(size + padding, size + 2)
    tokenizer = load_tokenizer(tmp_path / "checkpoint")
    assert [tokenizer.special(name) for name in names] == [size, size + 1]
    assert tokenizer.encode("a<|im_end|>")[0] == tokenizer.encode("a")[0]
    assert size + 1 not in tokenizer.encode("a<|im_end|>")
    export.export_hf(tmp_path / "checkpoint", tmp_path / "out")
    before, after = (read_folder(folder) for folder in (source, tmp_path / "out"))
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        old, new = before[name].read().astype(np.float32), after[name].read()
        np.testing.assert_array_equal(new[:size], old[:size])
        np.testing.assert_allclose(new[size : size + 2], np.stack([old[:size].mean(0)] * 2), atol=1e-6)
        np.testing.assert_array_equal(new[size + 2 :], old[size + 2 :])
    with pytest.raises(InputError, match="has '</s>' already"):
        hf.import_hf(source, tmp_path / "another", add_tokens=("</s>",))
