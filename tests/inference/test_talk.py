"""generate answers prompts, files, pipes and people, through the real command line."""

import io
import json
import subprocess
import sys

import jax
import pytest
from rich.console import Console

from instruct_jax.artifacts import manifest as manifests
from instruct_jax.artifacts.checkpoint import Checkpoints
from instruct_jax.core import modules
from instruct_jax.errors import InputError
from instruct_jax.inference import session, talk
from instruct_jax.model.decoder import Decoder
from instruct_jax.text.chat import DIALOGUE
from instruct_jax.text.conversation import Conversation, Message
from instruct_jax.text.pieces import ByteTokenizer


@pytest.fixture(scope="module")
def checkpoint(spec, tmp_path_factory):
    """A run folder with random weights over bytes, asked in several turns."""
    folder, tokenizer = tmp_path_factory.mktemp("talk") / "run", ByteTokenizer()
    tokenizer.save(folder / "tokenizer")
    described = {"fingerprint": tokenizer.fingerprint, "vocab_size": tokenizer.vocab_size}
    content = {"identity": "run", "model": {"spec": spec.to_json()}, "tokenizer": described, "chat_template": DIALOGUE.to_json()}
    manifests.write_manifest(folder, "checkpoint", content)
    checkpoints = Checkpoints(folder, keep=1)
    checkpoints.save(
        3, modules.split(jax.jit(Decoder, static_argnums=0)(spec, jax.random.key(0)))[1], {"count": jax.numpy.zeros(())}
    )
    checkpoints.close()
    return str(folder)


def command(repository, checkpoint, *flags, lines=""):
    flags = ["--gin_file=gin_configs/runs/generate.gin", f"--gin.CHECKPOINT={checkpoint}", "--gin.MAX_NEW_TOKENS=4", *flags]
    arguments = [sys.executable, "-m", "instruct_jax", *flags]
    return subprocess.run(arguments, cwd=repository, input=lines, capture_output=True, text=True, timeout=120)


def test_the_command_answers_each_line_that_is_piped_to_it(repository, checkpoint):
    done = command(repository, checkpoint, "--gin.TEMPERATURE=0.5", "--gin.TOP_P=0.9", lines="Hello\n  two words \n")
    assert done.returncode == 0, done.stderr
    wanted = session.open(checkpoint).generate(["Hello", "  two words "], max_tokens=4, temperature=0.5, top_p=0.9)
    # The last line's own end belongs to the answers' frame, not to any of them.
    assert done.stdout.split("\n")[:-1] == [" ".join(answer.split()) for answer in wanted]


def test_conversations_of_a_file_are_written_back_with_their_answers(checkpoint, tmp_path, capsys):
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "龘"}]
    lines = [{"messages": turns}, {"prompt": "a", "completion": "left out"}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, lines)))
    talk.generate(checkpoint, jsonl=str(tmp_path / "in.jsonl"), output=str(tmp_path / "new" / "out.jsonl"), max_new_tokens=4)
    written = [json.loads(line) for line in (tmp_path / "new" / "out.jsonl").read_text().splitlines()]
    answers = session.open(checkpoint).generate([turns, "a"], max_tokens=4)
    assert written == [
        {"messages": [*turns, {"role": "assistant", "content": answers[0]}]},
        {"messages": [turns[0], {"role": "assistant", "content": answers[1]}]},
    ]
    assert capsys.readouterr().out == ""


def test_a_chat_remembers_until_it_is_reset(checkpoint):
    model = session.open(checkpoint)
    printed = io.StringIO()
    lines = io.StringIO("one\n\ntwo\n/reset\nthree\n")
    held = talk._chat(model, lines, Console(file=printed), 4, talk.GREEDY, 0)
    assert [[one.role for one in conversation.messages] for conversation in held] == [
        ["user", "assistant"] * 2,
        ["user", "assistant"],
    ]
    first, second = held[0].messages[1].text, held[0].messages[3].text
    turns = [("user", "one"), ("assistant", first), ("user", "two")]
    assert model.generate(["one", turns, "three"], max_tokens=4) == [first, second, held[1].messages[1].text]
    assert "/reset begins anew" in printed.getvalue()


def test_an_answer_cannot_steer_the_terminal():
    assert talk._printable("a\x1b[2Jb\n") == "a\ufffd[2Jb\n"
    assert talk._printable("") == "(nothing)"


def test_a_question_and_its_role_are_printed_as_they_are_spelled(capsys):
    """Brackets are no markup, and codes of the terminal no codes."""
    turns = [Message("[/bold]", "[red]q\x1b[2J"), Message("assistant", "a")]
    talk._print([Conversation(tuple(turns))], Console(width=100))
    (asked, *_) = capsys.readouterr().out.splitlines()
    assert asked.split() == ["[/bold]", "[red]q\ufffd[2J"]


def test_what_cannot_be_asked_is_told_in_one_line(repository, checkpoint, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"messages": [{"role": "assistant", "content": "alone"}]}')
    for settings, message in [
        ({"prompts": "a", "jsonl": "b"}, "not both"),
        ({"prompts": []}, "nothing to ask"),
        ({"prompts": [3]}, "PROMPTS holds 3"),
        ({"jsonl": str(tmp_path / "in.jsonl")}, "in.jsonl:1: there is no turn to answer"),
    ]:
        with pytest.raises(InputError, match=message):
            talk.generate(checkpoint, **settings)
    done = command(repository, tmp_path / "nowhere", lines="a")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
