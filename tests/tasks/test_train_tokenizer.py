"""train_tokenizer: the same bytes twice, control ids where they are expected, every text survives a round trip."""

import pytest

from instruct_jax.artifacts.manifest import read_manifest, write_manifest
from instruct_jax.errors import InputError
from instruct_jax.tasks.instruct import text_features
from instruct_jax.tasks.sources import Generated
from instruct_jax.tasks.train_tokenizer import train_tokenizer
from instruct_jax.text.tokenizer import load_tokenizer


@pytest.fixture
def mixture(registry):
    """Plain text of few words."""
    source = Generated(lambda index, _split: {"text": f"the {('red', 'green', 'blue')[index % 3]} kite\nnumber {index}"}, 300)
    registry.TaskRegistry.add("tt_text", source=source, preprocessors=[], output_features=text_features())
    return "tt_text"


def _train(folder, mixture, **changes):
    train_tokenizer(str(folder), mixture, **{"vocab_size": 320, "seed": 0, "sentences": 200, **changes})
    return load_tokenizer(folder)


def test_training_twice_gives_the_same_bytes(mixture, tmp_path):
    for name in ("one", "two"):
        _train(tmp_path / name, mixture)
    for file in ("tokenizer.model", "manifest.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    manifest = read_manifest(tmp_path / "one", "tokenizer")
    assert manifest["fingerprint"] == load_tokenizer(tmp_path / "one").fingerprint


def test_ids_and_pieces_are_as_the_project_expects(mixture, tmp_path):
    tokenizer = _train(tmp_path / "t", mixture)
    assert (tokenizer.vocab_size, tokenizer.bos_id, tokenizer.eos_id) == (320, 1, 2)
    assert all(len([c for c in tokenizer.piece(i) if c.isdigit()]) <= 1 for i in tokenizer.encode("number 1234567"))


@pytest.mark.parametrize("text", ["the red kite", " two  spaces ", "line\nbreak\n\n", "東京 🙂 </s> <s>", "tab\there", ""])
def test_every_text_survives_a_round_trip(mixture, tmp_path, text):
    tokenizer = _train(tmp_path / "t", mixture)
    ids = tokenizer.encode(text)
    assert not {tokenizer.bos_id, tokenizer.eos_id} & set(ids)
    assert tokenizer.decode(ids) == text


def test_a_folder_that_is_no_tokenizer_is_left_alone(mixture, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("dear")
    with pytest.raises(InputError, match="photos exists and is no tokenizer"):
        _train(tmp_path / "photos", mixture)
    (tmp_path / "data").mkdir()
    write_manifest(tmp_path / "data", "dataset", {})
    with pytest.raises(InputError, match="data is a dataset; expected a tokenizer"):
        _train(tmp_path / "data", mixture)
    assert (tmp_path / "photos" / "one.jpg").read_text() == "dear"
    assert read_manifest(tmp_path / "data", "dataset")


@pytest.mark.parametrize("change", [{"seed": 1}, {"vocab_size": 321}, {"sentences": 201}])
def test_finished_work_is_reused_and_made_anew_from_anything_else(mixture, tmp_path, change):
    _train(tmp_path / "t", mixture)
    before = (tmp_path / "t" / "manifest.json").stat().st_mtime_ns
    _train(tmp_path / "t", mixture)
    assert (tmp_path / "t" / "manifest.json").stat().st_mtime_ns == before
    _train(tmp_path / "t", mixture, **change)
    assert (tmp_path / "t" / "manifest.json").stat().st_mtime_ns != before


def test_the_manifest_tells_what_the_tokenizer_was_learned_from(mixture, tmp_path):
    _train(tmp_path / "t", mixture)
    manifest = read_manifest(tmp_path / "t", "tokenizer")
    assert (manifest["split"], manifest["held_out"]) == ("train", {"clusters": [], "datasets": []})
    assert list(manifest["task_identities"]) == [mixture]


def test_more_pieces_than_the_text_holds_are_refused(mixture, tmp_path):
    with pytest.raises(InputError, match="cannot learn 9000 pieces"):
        _train(tmp_path / "t", mixture, vocab_size=9_000)
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("change", "message"), [({"model_type": "word"}, "model_type is 'word'"), ({"sentences": 0}, "sentences is 0")]
)
def test_arguments_that_cannot_be_are_refused(mixture, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        _train(tmp_path / "t", mixture, **change)
