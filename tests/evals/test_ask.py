"""ask prints each checkpoint's answer to each prompt, and opens only what belongs together."""

import json
import shutil

import pytest

from instruct_jax.errors import InputError
from instruct_jax.evals.ask import ask
from instruct_jax.inference import session as sessions
from instruct_jax.text.chat import BARE, INSTRUCT


def test_a_session_asks_as_its_checkpoint_was_trained(checkpoints):
    session = sessions.open(checkpoints["tuned"])
    assert session.template == INSTRUCT
    assert session.step == 3
    assert sessions.open(checkpoints["base"]).template == BARE
    assert session.prompt_text([("user", "Hello </s>")]) == "<|bos|>Hello </s>\n"
    one, two = session.generate(["Hello", "What?"], max_tokens=4)
    assert session.generate(["What?"], max_tokens=4) == [two]
    assert one != session.generate(["Hello"], max_tokens=4, temperature=2.0)[0]


def test_equal_weights_have_equal_fingerprints(checkpoints):
    again, other = sessions.open(checkpoints["base"]), sessions.open(checkpoints["tuned"])
    assert sessions.open(checkpoints["base"]).fingerprint() == again.fingerprint()
    assert again.fingerprint() != other.fingerprint()


def test_a_tokenizer_or_template_that_is_not_the_checkpoints_is_refused(checkpoints, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(checkpoints["base"], folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    tokenizer = manifest["tokenizer"] | {"fingerprint": "0" * 64}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"tokenizer": tokenizer}))
    with pytest.raises(InputError, match="is not the tokenizer of this checkpoint"):
        sessions.open(folder)
    template = manifest["chat_template"] | {"fingerprint": "0" * 64}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"chat_template": template}))
    with pytest.raises(InputError, match="renders otherwise today"):
        sessions.open(folder)


def test_answers_are_printed_side_by_side(checkpoints, questions, capsys):
    both = [f"{name}={folder}" for name, folder in checkpoints.items()]
    ask(both, prompts=["Is it?"], max_new_tokens=5)
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("Is it?", "base", "tuned"))
    ask(both, dataset=str(questions), split="held_out_cluster", count=2, max_new_tokens=5)
    printed = capsys.readouterr().out
    assert printed.count("<b>Tell</b>") == 2
    assert printed.count("a story") == 2


def test_ask_wants_one_source_of_questions(checkpoints, questions):
    base = str(checkpoints["base"])
    for settings, message in [
        ({}, "either prompts or a dataset"),
        ({"prompts": ["a"], "dataset": str(questions)}, "either prompts or a dataset"),
        ({"prompts": []}, "nothing to ask"),
        ({"dataset": str(questions)}, "no question in split 'held_out_dataset'"),
    ]:
        with pytest.raises(InputError, match=message):
            ask(base, **settings)
