"""self_instruct makes the same files however often it is killed, and accounts for all that was made."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from instruct_jax.artifacts.manifest import read_manifest
from instruct_jax.errors import InputError
from instruct_jax.synthesis import filters
from instruct_jax.synthesis import self_instruct as program
from instruct_jax.synthesis.method import Method
from instruct_jax.synthesis.seeds import OWN, read_seeds
from instruct_jax.synthesis.self_instruct import self_instruct
from instruct_jax.tasks import formats

FILES = ("pool.jsonl", "generated.jsonl", "rejected.jsonl", "summary.json", "journal.jsonl")
METHOD = Method(
    requests=2,
    instruction_filters=(
        filters.InstructionLength(4, 150),
        filters.Keywords(filters.KEYWORDS),
        filters.Openings(("Write a program",)),
        filters.PunctuationStart(),
        filters.NonEnglishStart(),
    ),
    instance_filters=(*filters.INSTANCE_FILTERS, filters.InstanceLength(500, 500)),
)


def make(folder, endpoint, **settings):
    settings = {"seeds": OWN, "method": METHOD, "count": 12, "rounds_most": 9, "barren_rounds": 3} | settings
    self_instruct(folder, endpoint, **settings)


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def contents(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def texts():
    return {one.id: one.instruction for one in read_seeds(OWN)}


def test_what_is_made_is_kept_or_rejected_and_adds_up(make_endpoint, server, tmp_path, texts):
    make(tmp_path / "run", make_endpoint())
    pool, generated, rejected = (lines(tmp_path / "run" / name) for name in FILES[:3])
    found = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert found["stopped"] == "12 were wanted"
    assert found["useful_instructions"] == sum(one["instances"] > 0 for one in pool) >= 12
    for kind, kept in (("instruction", len(pool)), ("instance", len(generated))):
        part = found[f"{kind}s"]
        assert part["kept"] == kept
        assert part["made"] == kept + sum(one["kind"] == kind for one in rejected) == kept + sum(part["dropped"].values())
    assert found["cost"]["all"]["requests"] == len(server.asked)
    assert found["per_example"]["requests"] == len(server.asked) / len(generated)
    assert found["cost"]["propose"]["prompt_tokens"] == sum(
        len(fields["messages"][0]["content"].split())
        for _, _, fields in server.asked
        if fields["messages"][0]["content"].startswith("A list of 15")
    )
    texts = texts | {one["id"]: one["instruction"] for one in pool}
    for one in pool:
        assert one["model"] == "stub"
        assert 0 <= one["rouge_l"] < 0.7
        assert len(one["nearest"]) == 10
        assert {*one["shown"], *(name for name, _ in one["nearest"])} <= set(texts)
        assert len(one["shown"]) == 8
    late = [one for one in pool if one["round"] > 0]
    assert late
    assert all(sum(not name.startswith("own_") for name in one["shown"]) == 2 for one in late)
    manifest = read_manifest(tmp_path / "run", "conversations")
    assert manifest["summary"] == found


def test_every_planted_fault_meets_its_filter(make_endpoint, tmp_path):
    make(tmp_path / "run", make_endpoint(), count=1000, rounds_most=12, barren_rounds=12)
    rejected = lines(tmp_path / "run" / "rejected.jsonl")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["stopped"] == "no more rounds were allowed"
    met = {one["text"]: one["filter"] for one in rejected if one["kind"] == "instruction" and one["filter"] != "cut"}
    assert met["Name birds."] == "length"
    assert met["Draw a plan of the old town with its walls."] == "keyword"
    assert met["- list the ingredients of a good soup"] == "punctuation_start"
    assert met["Écris un poème sur la mer en hiver."] == "non_english_start"
    assert met["Write a program that sorts the names of rivers."] == "opening"
    assert met["Sort the words by the alphabet!"] == "rouge_l"
    assert {
        one["measure"] for one in rejected if one["text"] == "Sort the words by the alphabet!" and one["filter"] == "rouge_l"
    } == {"1.0000 to own_5"}
    kinds = {one["filter"] for one in rejected if one["kind"] == "instance"}
    assert kinds >= {"output_is_input", "empty_output", "unfinished", "duplicate", "cut"}


def test_classifications_are_written_output_first_and_others_input_first(make_endpoint, server, tmp_path):
    make(tmp_path / "run", make_endpoint())
    generated = lines(tmp_path / "run" / "generated.jsonl")
    for one in generated:
        decides = one["metadata"]["instruction"].startswith("Decide")
        assert one["metadata"]["is_classification"] == decides
        assert (one["completion"] in ("yes", "no")) == decides
        assert one["prompt"] == f"{one['metadata']['instruction']}\n\n{one['metadata']['input']}"
    assert {one["metadata"]["is_classification"] for one in generated} == {True, False}
    asked = [fields["messages"][0]["content"] for _, _, fields in server.asked]
    assert sum(text.endswith("Label:") for text in asked) == sum(
        one["is_classification"] for one in lines(tmp_path / "run" / "pool.jsonl")
    )


def test_the_file_is_read_as_samples_of_prompt_and_completion(make_endpoint, tmp_path):
    make(tmp_path / "run", make_endpoint(), count=1)
    wanted = lines(tmp_path / "run" / "generated.jsonl")
    read = list(formats.read(tmp_path / "run" / "generated.jsonl"))
    assert len(read) == len(wanted) > 0
    for sample, one in zip(read, wanted, strict=True):
        assert [(message.role, message.text) for message in sample.conversation.messages] == [
            ("user", one["prompt"]),
            ("assistant", one["completion"]),
        ]


def test_a_run_cut_at_any_request_goes_on_as_if_it_had_not_been(make_endpoint, server, tmp_path):
    make(tmp_path / "whole", make_endpoint())
    requests = len(server.asked)
    journal = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    assert len(journal) > 6
    for kept in range(len(journal)):
        folder = tmp_path / f"cut-{kept}"
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(b"".join(journal[:kept]) + journal[kept][: len(journal[kept]) // 2])
        server.asked.clear()
        make(folder, make_endpoint())
        assert contents(folder) == contents(tmp_path / "whole")
        answered = sum(len(json.loads(line)["completions"]) for line in journal[1:kept])
        assert len(server.asked) == requests - answered


def test_a_finished_run_asks_for_nothing_and_a_higher_count_goes_on(make_endpoint, server, tmp_path):
    make(tmp_path / "run", make_endpoint(), count=6)
    before, asked = contents(tmp_path / "run"), len(server.asked)
    make(tmp_path / "run", make_endpoint(), count=6)
    assert contents(tmp_path / "run") == before
    assert len(server.asked) == asked
    make(tmp_path / "run", make_endpoint(), count=12)
    make(tmp_path / "whole", make_endpoint(), count=12)
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_a_server_that_fails_midway_loses_nothing(make_endpoint, server, tmp_path):
    make(tmp_path / "whole", make_endpoint())
    server.asked.clear()
    server.faults = [0.0] * 5 + [(401, {}, "")] * 4
    with pytest.raises(InputError, match="401"):
        make(tmp_path / "run", make_endpoint())
    server.faults = []
    make(tmp_path / "run", make_endpoint())
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_a_generator_that_only_repeats_ends_the_run_with_what_there_is(make_endpoint, server, tmp_path, capsys):
    body = json.dumps({"choices": [{"message": {"content": "9. Sort the words by the alphabet."}, "finish_reason": "stop"}]})
    server.faults = [(200, {}, body)] * 6
    make(tmp_path / "run", make_endpoint())
    found = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (found["stopped"], found["rounds"]) == ("the last 3 of them brought none", 3)
    assert found["instructions"]["dropped"] == {"rouge_l": 6}
    assert found["per_example"] == dict.fromkeys(("requests", "prompt_tokens", "tokens"))
    assert found["cost"]["all"] == {"requests": 6, "prompt_tokens": None, "tokens": None}
    assert (tmp_path / "run" / "generated.jsonl").read_text() == ""
    assert "0 instructions with 0 examples" in capsys.readouterr().out


def test_a_long_run_says_now_and_then_how_far_it_is(make_endpoint, tmp_path, capsys, monkeypatch):
    make(tmp_path / "silent", make_endpoint(), count=1, rounds_most=1)
    assert "in round" not in capsys.readouterr().out
    monkeypatch.setattr(program, "_SECONDS_BETWEEN_LINES", 0.0)
    make(tmp_path / "run", make_endpoint(), count=1000, rounds_most=2)
    out = capsys.readouterr().out
    assert "self_instruct: 0 instructions with examples; in round 1, propose: 2 answers\n" in out
    first = sum(one["round"] == 0 and one["instances"] > 0 for one in lines(tmp_path / "run" / "pool.jsonl"))
    assert f"self_instruct: {first} instructions with examples; in round 2, propose: 2 answers\n" in out


def test_what_holds_an_evaluation_question_is_left_out(make_endpoint, tmp_path):
    make(tmp_path / "free", make_endpoint(), count=1000, rounds_most=2)
    pool = lines(tmp_path / "free" / "pool.jsonl")
    leaked, other = pool[0]["instruction"], lines(tmp_path / "free" / "generated.jsonl")[-1]
    questions = [{"question": leaked.upper()}, {"messages": [{"role": "user", "content": other["completion"]}]}]
    (tmp_path / "suite.jsonl").write_text("\n".join(map(json.dumps, questions)))
    suites = {"exam": str(tmp_path / "suite.jsonl")}
    make(tmp_path / "run", make_endpoint(), count=1000, rounds_most=2, evaluations=suites)
    rejected = [one for one in lines(tmp_path / "run" / "rejected.jsonl") if one["filter"] == "evaluation_leak"]
    assert [one["text"] for one in rejected if one["kind"] == "instruction"] == [leaked]
    assert "exam 1 (" in rejected[0]["measure"]
    texts = (tmp_path / "run" / "generated.jsonl").read_text()
    assert other["completion"] not in [json.loads(line)["completion"] for line in texts.splitlines()]
    with pytest.raises(InputError, match=r"begun with other settings: evaluations"):
        make(tmp_path / "run", make_endpoint())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": 1}, "begun with other settings: seed was 0 and is 1"),
        ({"method": Method(requests=3)}, r"other settings: method\.instance_filters"),
        ({"count": 0}, "COUNT, ROUNDS_MOST and BARREN_ROUNDS are 0, 9 and 3"),
        ({"seeds": "/nowhere"}, "the seeds /nowhere cannot be read"),
        ({"evaluations": {"exam": "/nowhere"}}, "there is no evaluation suite at /nowhere"),
    ],
)
def test_a_folder_of_other_settings_is_left_alone(make_endpoint, server, tmp_path, settings, message):
    make(tmp_path / "run", make_endpoint(), count=1)
    before = contents(tmp_path / "run")
    server.asked.clear()
    with pytest.raises(InputError, match=message):
        make(tmp_path / "run", make_endpoint(), **({"count": 1} | settings))
    assert contents(tmp_path / "run") == before
    assert not server.asked


def test_a_folder_of_something_else_is_left_alone(make_endpoint, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="holds something already"):
        make(tmp_path, make_endpoint())


def command(repository, server, workdir, *flags):
    flags = [f"--gin.ENDPOINT={server.url}", "--gin.MODEL=stub", f"--gin.WORKDIR={workdir}", "--gin.REQUESTS=2", *flags]
    recipe = "--gin_file=gin_configs/recipes/self_instruct_endpoint.gin"
    arguments = [sys.executable, "-m", "instruct_jax", recipe, *flags]
    environment = {**os.environ, "COLUMNS": "120"}
    return subprocess.Popen(arguments, cwd=repository, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_the_command_killed_twice_writes_what_one_run_writes(repository, server, tmp_path):
    whole = command(repository, server, tmp_path / "whole", "--gin.COUNT=20")
    out, err = whole.communicate(timeout=120)
    assert whole.returncode == 0, err
    assert "What it cost" in out
    assert f"in {tmp_path / 'whole'}; stopped after" in out
    server.pause = 0.05
    for least in (2, 5):  # lines of the journal after which it is killed
        run = command(repository, server, tmp_path / "run", "--gin.COUNT=20", "--gin.THREADS=1")
        journal, deadline = tmp_path / "run" / "journal.jsonl", time.monotonic() + 60
        while not journal.exists() or journal.read_bytes().count(b"\n") < least:
            assert time.monotonic() < deadline
            assert run.poll() is None, run.communicate()
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=60)
        assert not (tmp_path / "run" / "manifest.json").exists()
    server.pause = 0.0
    last = command(repository, server, tmp_path / "run", "--gin.COUNT=20")
    out, err = last.communicate(timeout=120)
    assert last.returncode == 0, err
    assert "answered requests in" in out
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_bad_dials_are_told_in_one_line(repository, server, tmp_path):
    run = command(repository, server, tmp_path / "run", "--gin.COUNT=1", "--gin.SERIES=8")
    _, err = run.communicate(timeout=120)
    assert run.returncode == 2
    assert err == "instruct-jax: a list of 8 instructions has no room after 6 + 2 that are shown; raise SERIES, or show fewer\n"
