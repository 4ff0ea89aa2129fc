"""The tokenizer and template that a recipe names: from a run's state too, with a date and variables, whatever the folder."""

import json

import pytest

from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.artifacts.manifest import write_manifest
from instruct_jax.errors import InputError
from instruct_jax.program import main
from instruct_jax.tasks import conversations
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.show import show
from instruct_jax.tasks.words import load_words
from instruct_jax.text.chat import DIALOGUE, INSTRUCT
from instruct_jax.text.chat_files import load_chat_template
from instruct_jax.text.conversation import conversation_of
from instruct_jax.text.tokenizer import ByteTokenizer

DATED = (
    "{{ strftime_now('%Y') }}{{ '!' if loud }}{% for m in messages %}{{ m.role }}:{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
THINKING = DATED.replace("{{ strftime_now('%Y') }}", "").replace("assistant:{% endif %}", "assistant:<think>{% endif %}")
TURNS = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


@pytest.fixture
def jsonl(tmp_path):
    (tmp_path / "chats.jsonl").write_text(json.dumps({"messages": TURNS}))
    return tmp_path / "chats.jsonl"


@pytest.fixture
def dated(tmp_path):
    (tmp_path / "dated.jinja").write_text(DATED)
    return tmp_path / "dated.jinja"


def written(dataset):
    return ByteTokenizer().decode(Dataset(dataset)[0].tokens)


@pytest.mark.usefixtures("registry")
def test_a_recipe_gives_a_template_its_date_and_variables(jsonl, dated, tmp_path):
    recipe = "--gin_file=gin_configs/recipes/messages_prepare.gin"
    flags = {"JSONL": jsonl, "TOKENIZER": "bytes", "CHAT_TEMPLATE": dated, "LENGTH": 64, "WORKDIR": tmp_path / "data"}
    given = {"TEMPLATE_DATE": "2031-11-12", "TEMPLATE_VARIABLES": "{'loud': True}"}
    assert main([recipe, *(f"--gin.{name}={value}" for name, value in {**flags, **given}.items())]) == 0
    assert written(tmp_path / "data") == "2031!user:aassistant:b"
    template = Dataset(tmp_path / "data").manifest["chat_template"]
    assert (template["date"], template["variables"]) == ("2031-11-12", {"loud": True})
    # A dataset's own template is what it was prepared with, and may be given another date.
    kept = load_chat_template(tmp_path / "data", ByteTokenizer())
    assert kept.fingerprint() == template["fingerprint"]
    later = load_chat_template(tmp_path / "data", ByteTokenizer(), "2040-01-01", {"loud": False})
    assert later.text(conversation_of([("user", "c")])) == "2040user:c</s>"


def test_show_takes_them_too_and_says_which_dial_is_missing(jsonl, dated, capsys):
    settings = {"jsonl": str(jsonl), "tokenizer": "bytes", "chat_template": str(dated)}
    show(**settings, template_date="2031-11-12", template_variables={"loud": True})
    assert "2031!user" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"chats\.jsonl:1: .*TEMPLATE_DATE"):
        show(**settings)
    with pytest.raises(InputError, match=r"'dialogue' is a table of turns.*leave TEMPLATE_DATE and TEMPLATE_VARIABLES unset"):
        show(**{**settings, "chat_template": DIALOGUE}, template_variables={"loud": True})


@pytest.mark.parametrize("length", [1, 0, -5])
def test_show_and_prepare_refuse_a_row_that_can_hold_nothing(jsonl, tmp_path, registry, length):
    del registry
    with pytest.raises(InputError, match=f"LENGTH is {length}; rows need at least 2 tokens"):
        show(jsonl=str(jsonl), tokenizer="bytes", length=length)
    with pytest.raises(InputError, match=f"length is {length}; rows need at least 2 tokens"):
        prepare(str(tmp_path / "data"), conversations.add_task(str(jsonl)), "bytes", INSTRUCT, length=length, seed=0)


def test_a_state_of_a_run_stands_for_its_run(tmp_path):
    run, words = tmp_path / "run", ByteTokenizer()
    words.save(run / "tokenizer")
    write_manifest(run, "checkpoint", {"chat_template": DIALOGUE.to_json()})
    (run / "checkpoints" / "30").mkdir(parents=True)
    for path in (run, run / "checkpoints" / "30", run / "checkpoints" / "30" / ""):
        tokenizer, template = load_words(str(path), str(path), None, None)
        assert tokenizer.fingerprint == words.fingerprint
        assert template == DIALOGUE


@pytest.mark.usefixtures("registry")
def test_a_folder_of_another_name_gives_the_same_dataset(jsonl, dated, tmp_path, capsys):
    name = conversations.add_task(str(jsonl))
    for index, folder in enumerate(("one", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "chat_template.jinja").write_text(DATED)
        settings = {"length": 64, "seed": 0, "template_date": "2031-11-12"}
        prepare(str(tmp_path / "data"), name, "bytes", str(tmp_path / folder), **settings)
        assert ("is finished and was made from the same" in capsys.readouterr().out) == bool(index)
    with pytest.raises(InputError, match=r"made differently \(chat_template\)"):
        prepare(str(tmp_path / "data"), name, "bytes", str(dated), length=64, seed=0, template_date="2032-11-12")


@pytest.mark.usefixtures("registry")
def test_a_template_that_gives_no_mask_is_refused_with_the_reason(jsonl, tmp_path):
    (tmp_path / "thinking.jinja").write_text(THINKING)
    name = conversations.add_task(str(jsonl))
    with pytest.raises(InputError, match=r"chats\.jsonl:1: .*the loss mask of turn 1 cannot be derived: .*generation prompt"):
        prepare(str(tmp_path / "data"), name, "bytes", str(tmp_path / "thinking.jinja"), length=64, seed=0)
    assert not (tmp_path / "data").exists()
