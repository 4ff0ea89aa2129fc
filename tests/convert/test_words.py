"""What an import keeps of a folder's words: date and variables of its template, and how answers end, whoever is made of it."""

import dataclasses
import json
import shutil

import jax
import pytest
from jax.sharding import AxisType

from instruct_jax.artifacts.manifest import read_manifest, write_json
from instruct_jax.convert import export, hf
from instruct_jax.convert.merge import merge
from instruct_jax.convert.tokenizer_json import write_tokenizer
from instruct_jax.convert.words import read_words
from instruct_jax.core.mesh import AXES
from instruct_jax.data.source import DatasetSource
from instruct_jax.errors import InputError
from instruct_jax.inference import session
from instruct_jax.model.loading import DecoderSource
from instruct_jax.model.lora import Lora
from instruct_jax.model.lora_source import LoraSource
from instruct_jax.objectives.supervised import CrossEntropy
from instruct_jax.text.chat import DIALOGUE, template_from_json
from instruct_jax.text.conversation import conversation_of
from instruct_jax.text.pieces import ByteTokenizer
from instruct_jax.train import optimizer
from instruct_jax.train.loop import train

DATED = (
    "{% for m in messages %}{{ m.role }}:{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}{{ strftime_now('%Y') }}{{ '!' if loud }}assistant:{% endif %}"
)


@pytest.fixture
def spec(tiny):
    return dataclasses.replace(tiny, vocab_size=ByteTokenizer().vocab_size)


@pytest.fixture
def folder(make_hf, spec):
    """An HF folder over bytes, whose template writes a date and heeds a variable."""
    source = make_hf(spec)
    write_tokenizer(ByteTokenizer(), source)
    (source / "chat_template.jinja").write_text(DATED)
    return source


def asked(path):
    manifest = read_manifest(path, "checkpoint")
    return template_from_json(manifest["chat_template"]).text(conversation_of([("user", "a")]), add_generation_prompt=True)


def test_an_imported_template_keeps_its_date_and_variables(folder, tmp_path):
    hf.import_hf(folder, tmp_path / "run", template_date="2031-05-06", template_variables={"loud": True})
    assert asked(tmp_path / "run") == "user:a</s>2031!assistant:"
    assert session.open(tmp_path / "run").prompt_text([("user", "a")]) == "user:a</s>2031!assistant:"
    hf.import_hf(folder, tmp_path / "run", template_date="2031-05-06", template_variables={"loud": True})
    with pytest.raises(InputError, match="something else"):
        hf.import_hf(folder, tmp_path / "run", template_date="2032-05-06", template_variables={"loud": True})
    hf.import_hf(folder, tmp_path / "added", add_tokens=("<|x|>",), template_date="2032-05-06")
    assert asked(tmp_path / "added") == "user:a</s>2032assistant:"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"date": "yesterday"}, "TEMPLATE_DATE is 'yesterday'"),
        ({"date": 2031}, "TEMPLATE_DATE is 2031"),
        ({"variables": {"loud": {1, 2}}}, "TEMPLATE_VARIABLES holds what JSON has not"),
        ({"variables": ["loud"]}, r"TEMPLATE_VARIABLES is \['loud'\]"),
    ],
)
def test_what_is_no_date_and_no_variables_is_refused_by_the_dials_name(folder, given, message):
    with pytest.raises(InputError, match=message):
        read_words(folder, **given)


def test_a_folder_without_a_template_takes_neither(folder):
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="leave TEMPLATE_DATE and TEMPLATE_VARIABLES unset"):
        read_words(folder, date="2031-05-06")


def test_a_folder_of_another_name_is_exported_as_it_came(folder, tmp_path):
    """What a run was prepared with may be called otherwise than the import; its words are the same."""
    hf.import_hf(folder, tmp_path / "import", template_date="2031-05-06")
    folder.rename(folder.with_name("moved"))
    moved = read_words(folder.with_name("moved"), "2031-05-06")["chat_template"]
    manifest = read_manifest(tmp_path / "import", "checkpoint")
    assert moved["name"] != manifest["chat_template"]["name"]
    assert moved["fingerprint"] == manifest["chat_template"]["fingerprint"]
    write_json(tmp_path / "import" / "manifest.json", {**manifest, "chat_template": moved})
    export.export_hf(tmp_path / "import", tmp_path / "out")
    assert (tmp_path / "out" / "chat_template.jinja").read_text() == DATED


def test_the_ends_of_an_imports_answers_reach_what_is_trained_and_merged_from_it(make_hf, make_dataset, spec, tmp_path):
    dataset, base = make_dataset("words"), tmp_path / "import"
    source = make_hf(spec, "mistral")
    config = json.loads((source / "config.json").read_text()) | {"max_position_embeddings": 77}
    (source / "config.json").write_text(json.dumps(config))
    hf.import_hf(source, base)
    words = ByteTokenizer()
    words.save(base / "tokenizer")
    described = {"fingerprint": words.fingerprint, "vocab_size": words.vocab_size}
    own = {"tokenizer": described, "chat_template": DIALOGUE.to_json(), "generation": {"eos_token_id": [7], "top_k": 3}}
    write_json(base / "manifest.json", {**read_manifest(base, "checkpoint"), **own})
    schedule = optimizer.warmup_constant(1e-2)
    mesh = jax.make_mesh((1,) * len(AXES), AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=jax.devices()[:1])
    for steps in (1, 2):  # the second time it is resumed, by when the import may be gone
        train(
            tmp_path / "run",
            LoraSource(DecoderSource(spec), Lora(rank=2, alpha=4.0)),
            DatasetSource(dataset, 8),
            CrossEntropy(),
            optimizer.adamw(schedule),
            schedule,
            mesh,
            steps,
            init_from=base,
        )
        assert read_manifest(tmp_path / "run", "checkpoint")["generation"] == own["generation"]
    merge(tmp_path / "run", tmp_path / "merged")
    assert json.loads((tmp_path / "merged" / "manifest.json").read_text())["generation"] == own["generation"]
    assert session.open(tmp_path / "merged").stop_ids() == (words.eos_id, 7)
    shutil.rmtree(base)
    export.export_hf(tmp_path / "merged", tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["model_type"], config["max_position_embeddings"]) == ("mistral", 77)
    assert json.loads((tmp_path / "out" / hf.GENERATION).read_text())["top_k"] == 3
