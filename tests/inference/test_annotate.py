"""annotate writes each answer's two losses as the logits give them, whatever is batched with it and however often it stops."""

import dataclasses
import fcntl
import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from scipy.special import log_softmax

from instruct_jax.artifacts import manifest as manifests
from instruct_jax.artifacts.checkpoint import Checkpoints
from instruct_jax.core import modules
from instruct_jax.errors import InputError
from instruct_jax.inference import annotate as program
from instruct_jax.inference import session
from instruct_jax.inference.annotate import FIELDS, annotate
from instruct_jax.inference.ifd import answer_pairs
from instruct_jax.model.decoder import Decoder
from instruct_jax.text.chat import BARE, DIALOGUE
from instruct_jax.text.conversation import Conversation, Message
from instruct_jax.text.jinja_chat import JinjaTemplate
from instruct_jax.text.pieces import ByteTokenizer


@pytest.fixture(scope="module")
def checkpoint(spec, tmp_path_factory):
    """A run folder with random weights over bytes, asked in several turns."""
    folder, tokenizer = tmp_path_factory.mktemp("annotate") / "run", ByteTokenizer()
    tokenizer.save(folder / "tokenizer")
    described = {"fingerprint": tokenizer.fingerprint, "vocab_size": tokenizer.vocab_size}
    content = {"identity": "run", "model": {"spec": spec.to_json()}, "tokenizer": described, "chat_template": DIALOGUE.to_json()}
    manifests.write_manifest(folder, "checkpoint", content)
    checkpoints = Checkpoints(folder, keep=1)
    weights = modules.split(jax.jit(Decoder, static_argnums=0)(spec, jax.random.key(0)))[1]
    # Random weights of the usual size predict next to nothing: larger ones make prompts matter.
    checkpoints.save(3, jax.tree.map(lambda leaf: 3 * leaf, weights), {"count": jax.numpy.zeros(())})
    checkpoints.close()
    return str(folder)


@pytest.fixture(scope="module")
def examples():
    """Ragged: short and long, several turns, a system's turn, an empty answer, fields of the user's own."""
    turns = [("system", "Be brief."), ("user", "a"), ("assistant", "first"), ("user", "and 龘?"), ("assistant", "second")]
    return [
        {"prompt": "Name a bird.", "completion": "robin", "id": 7, "nested": {"kept": [1, None]}},
        {"messages": [{"role": role, "content": text} for role, text in turns], "quality": 0.5},
        {"prompt": "long " * 30, "completion": "b" * 41},
        {"prompt": "", "completion": "x"},
        {"prompt": "Say nothing.", "completion": ""},
    ]


@pytest.fixture(scope="module")
def file(examples, tmp_path_factory):
    found = tmp_path_factory.mktemp("lines") / "in.jsonl"
    found.write_text("\n\n".join(json.dumps(one, ensure_ascii=False) for one in examples))
    return found


@pytest.fixture(scope="module")
def done(checkpoint, file, tmp_path_factory):
    """The folder of the annotated examples."""
    folder = tmp_path_factory.mktemp("done") / "out"
    annotate(folder, checkpoint, file)
    return folder


def lines(folder):
    return [json.loads(line) for line in (folder / "annotated.jsonl").read_text().splitlines()]


def mean_loss(loaded, given: list[int], answer: list[int]) -> float:
    """Mean loss of an answer behind some ids, from the logits of that row alone; what comes after them changes nothing."""
    ids = np.array([*given, *answer])
    logits = np.asarray(loaded.logits(np.pad(ids, (0, 256 - ids.size))[None])[0], np.float64)
    logprobs = log_softmax(logits, axis=-1)
    return -np.mean([logprobs[place - 1, ids[place]] for place in range(len(given), len(ids))])


def by_hand(loaded, before: str, answer: str) -> float:
    """Mean loss of an answer and its eos behind the bos and a text."""
    tokenizer = loaded.tokenizer
    return mean_loss(loaded, [tokenizer.bos_id, *tokenizer.encode(before)], [*tokenizer.encode(answer), tokenizer.eos_id])


def test_the_losses_are_those_of_the_logits(checkpoint, examples, done):
    loaded, found = session.open(checkpoint), lines(done)
    assert len(found) == len(examples)
    ratios = []
    for example, line in zip(examples, found, strict=True):
        if "messages" in example:
            continue  # an earlier answer ends with eos inside the text; see the next test
        before, answer = f"User: {example['prompt']}\nAssistant:\n", example["completion"]
        given, alone = by_hand(loaded, before, answer), by_hand(loaded, "Assistant:\n", answer)
        assert line["nll_conditioned"] == pytest.approx(given, rel=1e-5)
        assert line["nll_unconditioned"] == pytest.approx(alone, rel=1e-5)
        assert line["ifd"] == pytest.approx(given / alone, rel=2e-5)
        assert line["answer_tokens"] == len(answer.encode()) + 1
        ratios.append(line["ifd"])
    assert max(ratios) - min(ratios) > 1e-3  # the prompts do matter, so that equal numbers say something


def test_the_last_answer_of_several_counts_behind_all_before_it(checkpoint, done):
    loaded, line = session.open(checkpoint), lines(done)[1]
    tokenizer = loaded.tokenizer
    texts = ("Be brief.\nUser: a\nAssistant:\n", "first", "User: and 龘?\nAssistant:\n", "second")
    parts = [tokenizer.encode(text) for text in texts]
    before = [tokenizer.bos_id, *parts[0], *parts[1], tokenizer.eos_id, *parts[2]]
    given = mean_loss(loaded, before, [*parts[3], tokenizer.eos_id])
    assert line["nll_conditioned"] == pytest.approx(given, rel=1e-5)
    assert line["nll_unconditioned"] == pytest.approx(by_hand(loaded, "Assistant:\n", "second"), rel=1e-5)
    assert line["answer_tokens"] == len(parts[3]) + 1


def test_the_fields_of_a_line_stay_as_they_were(examples, done):
    for example, line in zip(examples, lines(done), strict=True):
        assert list(line) == [*example, *FIELDS]
        assert {name: line[name] for name in example} == example


def test_neither_the_batch_nor_the_neighbours_change_a_score(checkpoint, examples, file, done, tmp_path):
    annotate(tmp_path / "small", checkpoint, file, batch_tokens=1)
    (tmp_path / "turned.jsonl").write_text("\n".join(json.dumps(one) for one in [examples[2]] * 9 + examples[::-1]))
    annotate(tmp_path / "turned", checkpoint, tmp_path / "turned.jsonl")
    whole = [[line[name] for name in FIELDS] for line in lines(done)]
    for other in (lines(tmp_path / "small"), lines(tmp_path / "turned")[9:][::-1]):
        np.testing.assert_allclose([[line[name] for name in FIELDS] for line in other], whole, rtol=1e-5)


def test_a_run_cut_anywhere_goes_on_to_the_same_bytes(checkpoint, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(program, "_CHUNK", 3)
    file = tmp_path / "in.jsonl"
    file.write_text("\n".join(json.dumps(one) for one in examples[:1] * 4 + examples))
    annotate(tmp_path / "whole", checkpoint, file)
    content = (tmp_path / "whole" / "annotated.jsonl").read_bytes()
    size = len(content)
    scored = []
    scores = program.difficulties
    monkeypatch.setattr(
        program, "difficulties", lambda model, pairs, room: scored.append(len(pairs)) or scores(model, pairs, room)
    )
    for cut, anew in ((size // 8, 9), (size // 2, 6), (size - 1, 3), (size, 0)):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / "settings.json").write_bytes((tmp_path / "whole" / "settings.json").read_bytes())
        (folder / "annotated.jsonl.partial").write_bytes(content[:cut])
        scored.clear()
        annotate(folder, checkpoint, file)
        assert (folder / "annotated.jsonl").read_bytes() == content
        assert sum(scored) == anew, cut


def test_a_text_that_is_too_long_gets_no_score_and_is_counted(checkpoint, file, tmp_path, capsys):
    annotate(tmp_path / "out", checkpoint, file, longest=60)
    found = lines(tmp_path / "out")
    assert [line["ifd"] is None for line in found] == [False, True, True, False, False]
    assert [line["answer_tokens"] for line in found] == [6, 7, 42, 2, 1]
    out = capsys.readouterr().out
    assert f"annotate: 3 of 5 examples scored in {tmp_path / 'out' / 'annotated.jsonl'}" in " ".join(out.splitlines())
    summary = manifests.read_manifest(tmp_path / "out", "conversations")["summary"]
    scores = [line["ifd"] for line in found if line["ifd"] is not None]
    assert summary["ifd"]["50%"] == pytest.approx(np.median(scores))
    assert summary["at_least_one"] == pytest.approx(np.mean([one >= 1 for one in scores]))


def test_nothing_scored_is_said_so(checkpoint, file, tmp_path):
    annotate(tmp_path / "out", checkpoint, file, longest=1)
    summary = manifests.read_manifest(tmp_path / "out", "conversations")["summary"]
    assert (summary["scored"], summary["at_least_one"], summary["nll_conditioned"]) == (0, None, None)


CHATML = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
HEADER = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
NAMED = {"<|im_start|>": 300, "<|im_end|>": 301}


class Marked(ByteTokenizer):
    """Bytes, with two control tokens."""

    def special(self, literal):
        return NAMED.get(literal)


@pytest.mark.parametrize("end", ["{% endif %}", "{% else %}{{ '<|im_end|>' }}{% endif %}"], ids=["open", "closed"])
def test_an_answer_alone_keeps_its_ids_and_the_assistants_header(end):
    """Whether or not the template closes a text that nobody is to answer."""
    text, template = ByteTokenizer().encode, JinjaTemplate(CHATML + HEADER + end, None, "<|im_end|>", tuple(NAMED))
    asked = Conversation((Message("system", "s"), Message("user", "u"), Message("assistant", "answer")))
    ((given, alone),) = answer_pairs([asked], template, Marked())
    answer = [*text("answer"), 301]
    assert alone.tokens.tolist() == [300, *text("assistant\n"), *answer]
    turns = [id for turn in ("system\ns", "user\nu") for id in (300, *text(turn), 301, *text("\n"))]
    assert given.tokens.tolist() == [*turns, 300, *text("assistant\n"), *answer]
    assert given.weights.sum() == alone.weights.sum() == len(answer)


def test_a_template_that_rewrites_its_question_is_refused():
    source = "{% if messages|length > 1 or add_generation_prompt %}answered: {% endif %}" + CHATML + HEADER + "{% endif %}"
    asked = Conversation((Message("user", "u"), Message("assistant", "answer")))
    with pytest.raises(InputError, match="writes a question otherwise once it is answered"):
        answer_pairs([asked], JinjaTemplate(source, None, "<|im_end|>", tuple(NAMED)), Marked())


def test_an_answer_with_nothing_before_it_loses_its_first_token_in_both():
    template = dataclasses.replace(BARE, bos=False)
    asked = Conversation((Message("user", "u"), Message("assistant", "abc")))
    ((given, alone),) = answer_pairs([asked], template, ByteTokenizer())
    assert given.weights.tolist() == [0, 0, 1, 1, 1]
    assert alone.weights.tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", r"in\.jsonl:2: expected an object"),
        ("{", r"in\.jsonl:2: not valid JSON"),
        ('{"messages": [{"role": "user", "content": "a"}]}', r"in\.jsonl:2: there is no answer at its end"),
        ('{"messages": [{"role": "text", "content": "a"}]}', r"in\.jsonl:2: there is no answer at its end"),
        ('{"prompt": "a", "completion": "b", "ifd": 1}', r"in\.jsonl:2: it has 'ifd' already"),
    ],
)
def test_a_line_that_cannot_be_scored_is_named(checkpoint, tmp_path, line, message):
    (tmp_path / "in.jsonl").write_text('{"prompt": "a", "completion": "b"}\n' + line)
    with pytest.raises(InputError, match=message):
        annotate(tmp_path / "out", checkpoint, tmp_path / "in.jsonl")


def test_a_second_process_is_kept_out(checkpoint, file, tmp_path):
    annotate(tmp_path / "out", checkpoint, file)
    (tmp_path / "out" / "annotated.jsonl").rename(tmp_path / "out" / "annotated.jsonl.partial")
    with open(tmp_path / "out" / "annotated.jsonl.partial", "rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is at work in"):
            annotate(tmp_path / "out", checkpoint, file)
    annotate(tmp_path / "out", checkpoint, file)
    assert len(lines(tmp_path / "out")) == 5


def test_a_file_may_be_mended_where_nothing_was_scored(checkpoint, tmp_path):
    wrong, right = '{"messages": [{"role": "user", "content": "a"}]}', '{"prompt": "a", "completion": "b"}'
    (tmp_path / "in.jsonl").write_text(wrong)
    with pytest.raises(InputError, match="no answer at its end"):
        annotate(tmp_path / "out", checkpoint, tmp_path / "in.jsonl")
    (tmp_path / "in.jsonl").write_text(right)
    annotate(tmp_path / "out", checkpoint, tmp_path / "in.jsonl")
    assert len(lines(tmp_path / "out")) == 1


def test_a_folder_of_another_model_or_file_is_left_alone(checkpoint, file, done, tmp_path):
    before = (done / "annotated.jsonl").read_bytes()
    with pytest.raises(InputError, match="begun with another longest"):
        annotate(done, checkpoint, file, longest=7)
    (tmp_path / "other.jsonl").write_text('{"prompt": "a", "completion": "b"}')
    with pytest.raises(InputError, match="begun with another jsonl"):
        annotate(done, checkpoint, tmp_path / "other.jsonl")
    assert (done / "annotated.jsonl").read_bytes() == before
    with pytest.raises(InputError, match="holds something already"):
        annotate(tmp_path, checkpoint, file)


def test_the_command_annotates(repository, checkpoint, file, done, tmp_path):
    flags = [f"--gin.CHECKPOINT={checkpoint}", f"--gin.JSONL={file}", f"--gin.WORKDIR={tmp_path / 'out'}"]
    arguments = [sys.executable, "-m", "instruct_jax", "--gin_file=gin_configs/runs/annotate.gin", *flags]
    ran = subprocess.run(arguments, cwd=repository, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert "Instruction-following difficulty" in ran.stdout
    assert (tmp_path / "out" / "annotated.jsonl").read_bytes() == (done / "annotated.jsonl").read_bytes()
