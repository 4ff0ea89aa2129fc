"""session.open gives the model, tokenizer and template of any folder, and the reference's own numbers from it."""

import dataclasses
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
    assert opened.template == dataclasses.replace(BARE, bos=False)
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


# An answer begins with thinking that the template never writes back, so that no mask can be derived; tools go on top.
THINKING = (
    "{{ tools|tojson if tools }}{% for m in messages %}{{ 'w3 ' if m.role == 'assistant' else 'w2 ' }}{{ m.content }} "
    "{{ 'w1' if m.role == 'assistant' }}{% endfor %}{% if add_generation_prompt %}w3 w4 {% endif %}"
)
CONTROLS = {"eos_token": "w1", "additional_special_tokens": ["w2", "w3"]}


def with_template(hf_folder, folder, template, config=CONTROLS):
    """The folder with a chat template whose turns begin with w2 and w3."""
    shutil.copytree(hf_folder, folder)
    (folder / "chat_template.jinja").write_text(template)
    words = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    words.add_special_tokens(["w2", "w3"])
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def test_a_model_whose_template_gives_no_mask_is_served_all_the_same(hf_folder, tmp_path, capsys):
    folder = with_template(hf_folder, tmp_path / "model", THINKING)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 7]}))
    loaded = session.open(folder)
    (line,) = capsys.readouterr().err.splitlines()
    assert "neither scored nor trained" in line
    assert "the loss mask of turn 1 cannot be derived" in line
    assert "1 (w1)" in line
    assert "7 (w7)" in line
    assert set(loaded.stop_ids()) == {1, 7}
    asked = [("user", "w5 w6")]
    assert loaded.prompt_text(asked).split() == ["w2", "w5", "w6", "w3", "w4"]
    ids = np.array([[2, 5, 6, 3, 4]])
    greedy = int(np.asarray(loaded.logits(ids))[0, -1].argmax())
    first = list(loaded.answers([asked], max_new_tokens=4)[0].tokens[:1])
    assert first == ([] if greedy in (1, 7) else [greedy])
    with pytest.raises(InputError, match="loss mask of turn 1 cannot be derived"):
        loaded.option_logprobs([(asked, ["w8"])])


def test_a_model_whose_template_gives_a_mask_opens_without_a_word(hf_folder, tmp_path, capsys):
    session.open(with_template(hf_folder, tmp_path / "model", THINKING.replace("w3 w4 ", "w3 ")))
    assert capsys.readouterr().err == ""


def test_a_template_that_needs_a_date_says_so_and_may_be_given_one(hf_folder, tmp_path, capsys):
    folder = with_template(hf_folder, tmp_path / "model", "w2 {{ 'w' ~ strftime_now('%d') if late }}" + THINKING)
    session.open(folder, template_variables={"late": True})
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be asked a question alone" in line
    assert "date" in line
    loaded = session.open(folder, template_date="2031-11-12", template_variables={"late": True})
    assert loaded.prompt_text([("user", "w5")]).split()[:2] == ["w2", "w12w2"]


def test_an_option_is_scored_behind_its_tools(hf_folder, tmp_path):
    loaded = session.open(with_template(hf_folder, tmp_path / "model", THINKING.replace("w3 w4 ", "w3 ")))
    asked = Conversation((Message("user", "w5"),), ({"w9": "w9"},))
    with_tools, without = loaded.option_logprobs([(asked, ["w8"]), (Conversation(asked.messages), ["w8"])])
    rendered = loaded.template.spans(dataclasses.replace(asked, messages=(*asked.messages, Message("assistant", "w8"))))
    assert "w9" in "".join(span.text for span in rendered)
    assert with_tools[0].total != without[0].total


def test_a_base_model_begins_with_bos_only_where_its_tokenizer_does(hf_folder, tmp_path):
    """As transformers encodes a text for these files: a bos that is named is not one that is written."""
    begins = tokenizers.processors.TemplateProcessing(single="w1 $A", special_tokens=[("w1", 1)])
    for name, processor, prompt in (("gpt2", None, [5, 6]), ("llama2", begins, [1, 5, 6])):
        folder = tmp_path / name
        shutil.copytree(hf_folder, folder)
        words = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        if processor is not None:
            words.post_processor = processor
        words.save(str(folder / "tokenizer.json"))
        (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "w1", "eos_token": "w1"}))
        loaded = session.open(folder)
        question = session.conversation_of([("user", "w5 w6")])
        (rendered,) = session.render_batch([question], loaded.template, loaded.tokenizer, add_generation_prompt=True)
        assert rendered.tokens.tolist() == words.encode("w5 w6").ids == prompt


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
