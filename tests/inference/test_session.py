"""session.open gives the model, tokenizer and template of any folder, and the reference's own numbers from it."""

import json
import shutil

import numpy as np
import pytest
import tokenizers

from instruct_jax.convert.tensor_files import read_folder
from instruct_jax.errors import InputError
from instruct_jax.inference import session
from instruct_jax.text.chat import BARE
from instruct_jax.text.conversation import Conversation, Message

FAMILY = "llama_3"


@pytest.fixture(scope="module")
def fixture(repository):
    """An HF folder as the reference implementation wrote it, with the numbers that it computes."""
    folder = repository / "tests" / "fixtures" / "hf" / FAMILY
    return folder, np.load(folder / "expected.npz")


@pytest.fixture(scope="module")
def hf_folder(fixture, tmp_path_factory):
    """The same with a tokenizer: word number i is id i, 1 the end of text."""
    folder = tmp_path_factory.mktemp("hf") / "model"
    shutil.copytree(fixture[0], folder)
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({f"w{i}": i for i in range(size)}, unk_token="w0"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.add_special_tokens(["w1"])
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "w1"}))
    return folder


@pytest.fixture(scope="module")
def opened(hf_folder):
    return session.open(hf_folder)


def test_an_hf_folder_gives_the_reference_logits(fixture, opened):
    tokens, logits = fixture[1]["tokens"], fixture[1]["logits"]
    found = np.asarray(opened.logits(tokens[None]))
    assert found.shape == (1, *logits.shape)
    assert found.dtype == np.float32
    assert np.abs(found[0] - logits).max() <= 1e-4 * np.abs(logits).max()


def test_a_base_model_goes_on_from_the_bare_text_as_the_reference_does(fixture, opened):
    text = " ".join(f"w{token}" for token in fixture[1]["tokens"][:24])  # as its README says
    assert opened.template == BARE
    wanted = fixture[1]["greedy"][:8].tolist()
    end = wanted.index(1) if 1 in wanted else 8
    assert opened.generate([text], max_tokens=8) == [" ".join(f"w{token}" for token in wanted[:end])]


def test_a_question_may_be_a_text_or_messages_and_neighbours_do_not_matter(opened):
    as_text, again, longer = opened.generate(
        ["w5 w6", [{"role": "user", "content": "w5 w6"}], [("user", "w5"), ("assistant", "w7"), ("user", "w6 w8")]], max_tokens=8
    )
    assert as_text == again
    assert opened.generate("w5 w6", max_tokens=8) == [as_text]
    held = Conversation((Message("user", "w5"), Message("assistant", "w7", trained=True), Message("user", "w6 w8")))
    assert opened.generate([held], max_tokens=8) == [longer]


def test_draws_depend_on_the_seed(opened):
    first, again, other = (opened.generate(["w5"], 8, temperature=3.0, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


def test_the_folders_own_ends_stop_an_answer_too(opened, hf_folder, tmp_path):
    (first, *_) = opened.generate(["w5 w6"], max_tokens=8)[0].split()
    shutil.copytree(hf_folder, tmp_path / "model")
    ends = {"eos_token_id": [1, int(first[1:])]}
    (tmp_path / "model" / "generation_config.json").write_text(json.dumps(ends))
    assert session.open(tmp_path / "model").generate(["w5 w6"], max_tokens=8) == [""]


def test_a_folder_without_a_tokenizer_opens_and_says_so_when_asked(fixture):
    loaded = session.open(fixture[0])
    assert loaded.tokenizer is None
    assert "tokenizer  none" in repr(loaded)
    with pytest.raises(InputError, match=r"holds no tokenizer, .* cannot be asked in words"):
        loaded.generate(["w5"])


def test_what_it_is_can_be_read_at_a_glance(opened, hf_folder):
    lines = repr(opened).splitlines()
    parameters = sum(_sizes(hf_folder))
    assert lines[0] == f"Session of {hf_folder}, step 0"
    assert f"llama, {parameters:,} parameters: {opened.spec.layers} layers" in lines[1]
    assert "HuggingFaceTokenizer" in lines[2]
    assert lines[3].split() == ["template", "bare"]


def test_ids_that_are_none_are_refused(opened):
    size = opened.spec.vocab_size
    for tokens, message in [
        ([1, 2], r"i32\[B, T\]; got int64\[2\]"),
        ([[0.5]], "float64"),
        ([[0, size]], f"ids are 0 to {size}; the model knows 0 to {size - 1}"),
        ([[-1]], "ids are -1"),
    ]:
        with pytest.raises(InputError, match=message):
            opened.logits(np.array(tokens))


def test_a_folder_of_neither_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match="no checkpoint"):
        session.open(tmp_path / "nowhere")


def _sizes(folder):
    return [int(np.prod(entry.shape)) for entry in read_folder(folder).values()]
