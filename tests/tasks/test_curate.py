"""curate: planted rows are dropped with their reason, all else stays as it was; through the command line, and in a task."""

import json
import subprocess
import sys

import pytest

from instruct_jax.artifacts.manifest import read_manifest
from instruct_jax.curation.filters import Length
from instruct_jax.curation.steps import Exact, Leaks
from instruct_jax.errors import InputError
from instruct_jax.program import main
from instruct_jax.tasks.curate import curate
from instruct_jax.tasks.curated import Curated, Fields
from instruct_jax.tasks.formats import read
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.sources import Generated
from instruct_jax.text.chat import INSTRUCT
from instruct_jax.text.templates import Template
from tests.curation.corpus import disguised, substituted, texts


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def write(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


@pytest.fixture
def planted(tmp_path):
    """Clean rows, then one that each rule drops, by the rule's name."""
    prose = [
        " ".join(["In the morning the", *text.split()[:3], f"went to see number {k}."]) for k, text in enumerate(texts(30, 0))
    ]
    clean = [{"prompt": f"Tell me about {text}", "completion": f"{text} I think it was good."} for text in texts(30, 1)]
    suite = texts(20, 2, shortest=30)
    german = "Der schnelle braune Fuchs springt über den faulen Hund, während die Katze am Fenster schläft und träumt."
    bad = {
        "answered": {"prompt": prose[0], "completion": ""},
        "language": {"prompt": "Was geschieht hier?", "completion": german},
        "repetition": {"prompt": prose[1], "completion": "buy it now " * 50},
        "refusal": {"prompt": prose[2], "completion": "I’m sorry, I can't do it. As an AI language model, I do not."},
        "boilerplate": {"prompt": prose[3], "completion": "Lorem ipsum dolor"},
        "answer in prompt": {"prompt": f"{prose[4]} Answer: Paris", "completion": "Paris"},
        "exact duplicate": {"prompt": clean[3]["prompt"].upper() + " ", "completion": clean[3]["completion"]},
        "near duplicate": {name: substituted(text, 0.03, 1) for name, text in clean[4].items()},
        "evaluation leak": {"prompt": f"{prose[5]} {disguised(suite[7])}", "completion": "Yes."},
    }
    write(tmp_path / "suite.jsonl", [{"question": text} for text in suite])
    rows = [{**row, "kept": number} for number, row in enumerate(clean)]
    return write(tmp_path / "rows.jsonl", [*rows, *bad.values()]), str(tmp_path / "suite.jsonl"), list(bad), rows


def test_the_command_drops_each_planted_row_by_its_rule_and_keeps_the_rest(planted, tmp_path, capsys):
    file, suite, rules, clean = planted
    command = [
        *("--gin_file=gin_configs/runs/curate.gin", f"--gin.FILES={file}", f"--gin.WORKDIR={tmp_path / 'out'}"),
        *(f"--gin.EVALUATIONS={{'s': '{suite}'}}", "--gin.LANGUAGES=('en', 'la', 'it', 'sl', 'sw', 'id', 'tl', 'eo')"),
    ]
    assert main(command) == 0
    kept, dropped = lines(tmp_path / "out" / "kept.jsonl"), lines(tmp_path / "out" / "decisions.jsonl")
    by_row = {line["row"]: line["rule"] for line in dropped}
    assert by_row == {f"{file}:{31 + k}": rule for k, rule in enumerate(rules)}
    assert [row["kept"] for row in kept] == list(range(30))
    assert [row["messages"][1]["content"] for row in kept] == [row["completion"] for row in clean]
    assert kept[7]["provenance"] == f"{file}:8"
    leak = next(line for line in dropped if line["rule"] == "evaluation leak")
    assert leak["about"]["item"] == "8"
    assert leak["about"]["words"] >= 30
    near = next(line for line in dropped if line["rule"] == "near duplicate")
    assert near["about"]["kept"] == f"{file}:5"
    assert 0.6 <= near["measure"] < 1
    printed = capsys.readouterr().out
    assert "30 of 39 rows kept (76.9%)" in printed
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [(step["rule"], step["dropped"]) for step in report["steps"] if step["dropped"]] == [(rule, 1) for rule in rules]
    manifest = read_manifest(tmp_path / "out", "conversations")
    assert (manifest["rows"], manifest["kept"]) == (39, 30)
    assert "steps.Leaks.evaluations" in manifest["config"]
    # The same inputs again leave everything as it is; other ones are refused.
    before = {one.name: (one.read_bytes(), one.stat().st_mtime_ns) for one in (tmp_path / "out").iterdir()}
    assert main(command) == 0
    assert {one.name: (one.read_bytes(), one.stat().st_mtime_ns) for one in (tmp_path / "out").iterdir()} == before
    assert main([*command, "--gin.SIMILARITY=0.9"]) == 2
    assert "holds the result of other inputs; choose another WORKDIR" in capsys.readouterr().err
    # Equal inputs give equal bytes.
    command[2] = f"--gin.WORKDIR={tmp_path / 'again'}"
    assert main(command) == 0
    for name in ("kept.jsonl", "decisions.jsonl", "report.json"):
        assert (tmp_path / "again" / name).read_bytes() == before[name][0]


def test_what_stays_reads_as_it_was_whatever_its_format(tmp_path):
    pair = {"chosen": "\n\nHuman: hi\n\nAssistant: Hello you.", "rejected": "\n\nHuman: hi\n\nAssistant: No."}
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}
    tools = [{"type": "function", "function": {"name": "f"}}]
    said = [{"role": "user", "content": "q"}, call, {"role": "assistant", "content": "a", "trained": False}]
    forms = {
        "pairs": [pair],
        "labels": [{"prompt": "p", "completion": "c", "label": False}],
        "messages": [{"messages": said, "tools": tools, "task": "t"}],
        "worked": [{"question": "1+1?", "answer": "It is 2.\n#### 2"}],
        "checkable": [{"prompt": "1+1?", "ground_truth": "2"}],
        "seeds": [{"instruction": "Do.", "instances": [{"input": "x", "output": "y"}, {"input": "z", "output": "w"}]}],
        "alpaca": [{"instruction": "Do.", "input": "x", "output": "y", "origin": "me"}],
    }
    for name, rows in forms.items():
        file = write(tmp_path / f"{name}.jsonl", rows)
        curate(file, str(tmp_path / name), (Exact(),))
        before, after = list(read(file)), list(read(tmp_path / name / "kept.jsonl"))
        assert len(before) == len(after) > 0
        for one, other in zip(before, after, strict=True):
            assert (one.conversation, one.rejected, one.label) == (other.conversation, other.rejected, other.label), name
            assert [m.fields for m in one.conversation.messages] == [m.fields for m in other.conversation.messages]
            assert one.conversation.tools == other.conversation.tools
            assert name == "worked" or one.answer == other.answer
    assert lines(tmp_path / "worked" / "kept.jsonl")[0]["answer"] == "2"
    assert lines(tmp_path / "messages" / "kept.jsonl")[0]["task"] == "t"
    curate(str(tmp_path / "alpaca" / "kept.jsonl"), str(tmp_path / "twice"), (Exact(),))
    assert lines(tmp_path / "twice" / "kept.jsonl")[0]["provenance"] == f"{tmp_path / 'alpaca' / 'kept.jsonl'}:1"


def test_malformed_rows_stop_or_are_recorded_and_counted(tmp_path, capsys):
    file = tmp_path / "f.jsonl"
    file.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": 3}\n{"prompt": "c", "completion": "d"}\n{\n')
    with pytest.raises(InputError, match=r"f.jsonl:2: "):
        curate(str(file), str(tmp_path / "out"), (Exact(),))
    assert not (tmp_path / "out").exists()
    curate(str(file), str(tmp_path / "out"), (Exact(),), malformed="skip")
    found = lines(tmp_path / "out" / "decisions.jsonl")
    assert [(line["row"], line["rule"]) for line in found] == [(f"{file}:2", "malformed"), (f"{file}:4", "malformed")]
    assert len(lines(tmp_path / "out" / "kept.jsonl")) == 2
    assert "2 of 2 rows kept" in (printed := capsys.readouterr().out)
    assert printed.rstrip().endswith("; 2 malformed skipped")


def test_the_split_of_a_folder_may_be_said(tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    for split in ("train", "test"):
        write(folder / f"{split}.jsonl", [{"prompt": split, "completion": "b"}])
    curate(str(folder), str(tmp_path / "out"), (Exact(),), split="test")
    assert [line["messages"][0]["content"] for line in lines(tmp_path / "out" / "kept.jsonl")] == ["test"]


def test_a_missing_suite_is_told_before_rows_are_read(tmp_path, capsys):
    file = write(tmp_path / "f.jsonl", [{"prompt": "a", "completion": "b"}])
    with pytest.raises(InputError, match=r"there is no evaluation suite at .*nowhere\.jsonl"):
        curate(file, str(tmp_path / "out"), (Exact(), Leaks({"s": str(tmp_path / "nowhere.jsonl")})))
    assert "read" not in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_an_allowed_suite_is_told_of_and_kept(tmp_path):
    (leak,) = texts(1, 5, shortest=30)
    suite = write(tmp_path / "s.jsonl", [{"text": leak}])
    file = write(tmp_path / "f.jsonl", [{"prompt": f"So {leak}", "completion": "b"}, {"prompt": "a", "completion": "b"}])
    curate(file, str(tmp_path / "out"), (Leaks({"s": suite}, allowed=("s",)),))
    (told,) = lines(tmp_path / "out" / "decisions.jsonl")
    assert told["keep"] is True
    assert told["about"]["suite"] == "s"
    assert len(lines(tmp_path / "out" / "kept.jsonl")) == 2
    with pytest.raises(InputError, match="'t' is no rule and no suite"):
        Leaks({"s": suite}, allowed=("t",))


def test_measures_of_kept_rows_are_recorded_on_request(tmp_path):
    file = write(tmp_path / "f.jsonl", [{"prompt": "a", "completion": "b c"}])
    curate(file, str(tmp_path / "out"), (Length(), Exact()), measures=True)
    found = lines(tmp_path / "out" / "decisions.jsonl")
    assert [(line["rule"], line["keep"], line.get("measure")) for line in found] == [
        ("length", True, 2),
        ("exact duplicate", True, None),
    ]


def test_bad_settings_are_refused(tmp_path):
    file = write(tmp_path / "f.jsonl", [{"prompt": "a", "completion": "b"}])
    with pytest.raises(InputError, match="STEPS is empty"):
        curate(file, str(tmp_path / "out"), ())
    with pytest.raises(InputError, match="MALFORMED is 'ignore'"):
        curate(file, str(tmp_path / "out"), (Exact(),), malformed="ignore")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("keep me")
    with pytest.raises(InputError, match="holds something already"):
        curate(file, str(tmp_path / "mine"), (Exact(),))


def test_curate_needs_no_tensorflow():
    script = "import sys, instruct_jax.tasks.curate; print(sorted({'tensorflow', 'seqio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_task_carries_its_curation_into_prepare(registry, tmp_path):
    words = texts(12, 6)

    def fields(index, split):
        return {"ask": f"{split} {words[index % 12]}", "say": "" if index % 4 == 0 else f"Number {index % 12}", "n": [index]}

    steps = (Length(), Exact())
    log = tmp_path / "decisions.jsonl"
    registry.TaskRegistry.add(
        "curated_task",
        source=Generated(fields, 24),
        preprocessors=[
            Curated(steps, Fields("ask", "say"), str(log)),
            Instruct((Template("t", "{ask}", response="{say}"),), "c", "d"),
        ],
        output_features=text_features(),
    )
    prepare(str(tmp_path / "out"), "curated_task", "bytes", INSTRUCT, length=512, seed=0, evaluation=None, workers=1)
    (task,) = read_manifest(tmp_path / "out", "dataset")["tasks"]
    assert task["examples"] == 9  # of 24: 6 without an answer, and of the 18 others 9 twice
    found = lines(log)
    assert [line["row"] for line in found if line["rule"] == "length"] == [f"record {k}" for k in range(0, 24, 4)]
    assert [line["row"] for line in found if line["rule"] == "exact duplicate"] == [f"record {k}" for k in range(12, 24) if k % 4]
