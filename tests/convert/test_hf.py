"""HF folder to checkpoint and back: the same bits, on any mesh, with its words; nothing half-done is left behind."""

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from instruct_jax.artifacts import checkpoint
from instruct_jax.artifacts.manifest import read_manifest, write_json
from instruct_jax.convert import export, hf
from instruct_jax.convert.tensor_files import INDEX, SINGLE, Entry, read_folder, write_file
from instruct_jax.convert.tokenizer_json import write_tokenizer
from instruct_jax.core import mesh as meshes
from instruct_jax.core import modules
from instruct_jax.errors import InputError
from instruct_jax.inference import session
from instruct_jax.model.decoder import Decoder
from instruct_jax.model.loading import DecoderSource
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


def identity(folder: Path) -> str:
    return hf.inspect(folder).identity(Console(quiet=True))


@pytest.mark.parametrize("block", [7, 1 << 20])
def test_one_changed_byte_is_another_model_and_another_cut_into_files_is_not(make_hf, tiny, monkeypatch, block):
    monkeypatch.setattr("instruct_jax.convert.identity._BLOCK", block)
    one, many = make_hf(tiny), make_hf(tiny, seed=1, max_bytes=300)
    assert identity(one) != identity(many)
    values = {name: entry.read() for name, entry in read_folder(many).items()}
    for file in one.glob("model*"):
        file.unlink()
    write_file(one / SINGLE, dict(reversed(values.items())))
    assert len(list(many.glob("model*"))) > 3
    same = identity(one)
    assert same == identity(many)
    content = bytearray((one / SINGLE).read_bytes())
    content[-3] ^= 1
    (one / SINGLE).write_bytes(content)
    assert identity(one) != same


def test_the_identity_is_of_what_a_configuration_means(make_hf, tiny):
    source = make_hf(tiny)
    before, config = identity(source), json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"transformers_version": "9.9", "use_cache": False}))
    assert identity(source) == before
    (source / "config.json").write_text(json.dumps(config | {"rope_theta": 20000.0}))
    assert identity(source) != before


def test_a_finished_import_is_done_again_only_for_the_same_words(make_hf, tiny, tmp_path, capsys):
    source = make_hf(dataclasses.replace(tiny, vocab_size=ByteTokenizer().vocab_size + 1))
    write_tokenizer(ByteTokenizer(), source)
    hf.import_hf(source, tmp_path / "checkpoint")
    moved = tmp_path / "moved"
    shutil.copytree(source, moved)
    hf.import_hf(moved, tmp_path / "checkpoint")
    assert "holds this model already" in capsys.readouterr().err
    changes = {
        "generation": ("generation_config.json", '{"eos_token_id": 5}'),
        "chat_template": ("chat_template.jinja", "{% for one in messages %}{{ one.content }}{{ eos_token }}{% endfor %}"),
    }
    for name, (file, text) in changes.items():
        (moved / file).write_text(text)
        with pytest.raises(InputError, match=f"something else already: .*{name}.* differ"):
            hf.import_hf(moved, tmp_path / "checkpoint")
        (moved / file).unlink()
    tokenizer = json.loads((moved / "tokenizer.json").read_text())
    tokenizer["added_tokens"][0]["content"] += "!"
    (moved / "tokenizer.json").write_text(json.dumps(tokenizer))
    (moved / "tokenizer_config.json").unlink()
    with pytest.raises(InputError, match=r"something else already: its tokenizer.* differ"):
        hf.import_hf(moved, tmp_path / "checkpoint")


def test_an_import_never_lands_on_the_folder_it_reads(make_hf, tiny):
    source = make_hf(tiny)
    with pytest.raises(InputError, match="WORKDIR is HF_DIR") as caught:
        hf.import_hf(source, source)
    assert "remove" not in str(caught.value)
    assert (source / SINGLE).exists()


def test_a_number_too_large_for_float16_is_refused_by_its_tensor(make_hf, tiny, tmp_path):
    source = make_hf(tiny)
    values = {name: entry.read() for name, entry in read_folder(source).items()}
    values["model.layers.1.mlp.up_proj.weight"][3, 2] = 1e5
    write_file(source / SINGLE, values)
    with pytest.raises(InputError, match=r"model\.layers\.1\.mlp\.up_proj\.weight holds numbers beyond float16"):
        hf.import_hf(source, tmp_path / "checkpoint", dtype="float16")
    hf.import_hf(source, tmp_path / "checkpoint")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"eos_token_id": "x"}, "eos_token_id is 'x'"),
        ({"eos_token_id": [1, 11]}, r"eos_token_id is \[1, 11\]; expected ids of the model's 11 tokens"),
        ({"bos_token_id": 11}, "bos_token_id is 11"),
        ({"pad_token_id": 1.5}, "pad_token_id is 1.5"),
    ],
)
def test_generation_settings_that_cannot_be_are_refused(make_hf, tiny, content, named):
    source = make_hf(tiny)
    (source / hf.GENERATION).write_text(json.dumps(content))
    with pytest.raises(InputError, match=named):
        hf.inspect(source)


def test_the_ends_of_texts_are_those_of_the_generation_settings_and_else_of_the_configuration(make_hf, tiny):
    source = make_hf(tiny)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"eos_token_id": 3}))
    assert hf.inspect(source).generation == {"eos_token_id": [3]}
    (source / hf.GENERATION).write_text(json.dumps({"eos_token_id": [4, 5], "top_k": 3}))
    assert hf.inspect(source).generation == {"eos_token_id": [4, 5], "top_k": 3}
    (source / hf.GENERATION).write_text(json.dumps({"eos_token_id": None, "top_k": 3}))
    assert hf.inspect(source).generation == {"top_k": 3}


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
    with pytest.raises(InputError, match="MAX_SHARD_BYTES is 0"):
        export.export_hf(tmp_path / "run", tmp_path / "another", max_shard_bytes=0)
    ByteTokenizer().save(tmp_path / "run" / "tokenizer")
    file.write_text(json.dumps(manifest | {"tokenizer": {"fingerprint": "0" * 64, "vocab_size": 259}}))
    with pytest.raises(InputError, match="is not the tokenizer of this checkpoint"):
        export.export_hf(tmp_path / "run", tmp_path / "another")
    shutil.rmtree(tmp_path / "run" / "tokenizer")
    with pytest.raises(InputError, match="there is no tokenizer at"):
        export.export_hf(tmp_path / "run", tmp_path / "another")


def test_a_model_that_was_never_imported_is_exported_with_the_familys_defaults_and_says_so(make_hf, tiny, tmp_path, capsys):
    hf.import_hf(make_hf(tiny), tmp_path / "run")
    manifest = read_manifest(tmp_path / "run", "checkpoint")
    del manifest["hf"], manifest["generation"]
    write_json(tmp_path / "run" / "manifest.json", manifest)
    export.export_hf(tmp_path / "run", tmp_path / "out")
    assert "was never imported: config.json says max_position_embeddings 4,096" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / hf.GENERATION).read_text()) == {}


def test_an_export_in_float16_refuses_numbers_that_it_cannot_hold(make_hf, tiny, tmp_path):
    source = make_hf(tiny)
    values = {name: entry.read() for name, entry in read_folder(source).items()}
    values["model.layers.1.mlp.up_proj.weight"][3, 2] = 1e5
    write_file(source / SINGLE, values)
    hf.import_hf(source, tmp_path / "run")
    with pytest.raises(InputError, match="parameter layers/mlp/up/kernel holds numbers beyond float16"):
        export.export_hf(tmp_path / "run", tmp_path / "out", dtype="float16")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_one_line(make_hf, tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        hf.import_hf(make_hf(tiny), tmp_path / "file" / "run")


@pytest.mark.parametrize("padding", [-3, 0, 1, 5])
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
        known = min(size, size + padding)
        np.testing.assert_array_equal(new[:known], old[:known])
        fresh = np.stack([old[:known].mean(0)] * (size + 2 - known))  # the ids that the model lacked before the new ones too
        np.testing.assert_allclose(new[known : size + 2], fresh, atol=1e-6)
        np.testing.assert_array_equal(new[size + 2 :], old[size + 2 :])
    with pytest.raises(InputError, match="has '</s>' already"):
        hf.import_hf(source, tmp_path / "another", add_tokens=("</s>",))


def test_a_tokenizer_with_more_ids_than_the_model_is_named_and_refused_only_where_they_occur(make_hf, tiny, tmp_path, capsys):
    size = ByteTokenizer().vocab_size
    source = make_hf(dataclasses.replace(tiny, vocab_size=size - 1))  # all but byte 255, which UTF-8 never has
    write_tokenizer(ByteTokenizer(), source)
    hf.import_hf(source, tmp_path / "run")
    assert f"one of the ids from {size - 1} to {size - 1} will be refused" in capsys.readouterr().err
    opened = session.open(tmp_path / "run")
    assert len(opened.generate(["abc"], max_tokens=2)) == 1
    small = dataclasses.replace(opened, model=session.open(make_hf(dataclasses.replace(tiny, vocab_size=90), seed=1)).model)
    with pytest.raises(InputError, match=r"a text holds '.*z.*', id 125; the model knows ids up to 89"):
        small.generate(["z"], max_tokens=2)
    with pytest.raises(InputError, match="id 125"):
        small.document_logprobs(["z"])
    small.document_logprobs(["A"])
    source = DecoderSource(dataclasses.replace(tiny, vocab_size=size - 1))
    data = {"tokenizer": {"vocab_size": size}}
    assert source.fit(data | {"largest_id": size - 2}).spec == source.spec
    with pytest.raises(InputError, match=f"id {size - 1} is used"):
        source.fit(data | {"largest_id": size - 1})
