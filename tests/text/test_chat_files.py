"""Chat templates by name and by place."""

import pytest

from instruct_jax.errors import InputError
from instruct_jax.text.chat import BUILT_IN
from instruct_jax.text.chat_files import load_chat_template
from instruct_jax.text.pieces import ByteTokenizer


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_template_is_found_by_its_name(name):
    assert load_chat_template(name, ByteTokenizer()) == BUILT_IN[name]


def test_a_file_goes_before_a_built_in_template_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "instruct").write_text("{{ messages }}")
    assert load_chat_template("instruct", ByteTokenizer()).source == "{{ messages }}"


def test_a_name_that_is_no_template_is_answered_with_those_there_are():
    with pytest.raises(InputError, match=r"there is no chat template at chatty; .* built-in template: instruct, bare, dialogue"):
        load_chat_template("chatty", ByteTokenizer())


def test_a_manifest_that_says_a_thing_twice_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text('{"chat_template": {}, "chat_template": null}')
    with pytest.raises(InputError, match=r"manifest\.json, the manifest, is damaged: key 'chat_template' comes twice"):
        load_chat_template(tmp_path, ByteTokenizer())
