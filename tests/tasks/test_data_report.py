"""data_report: its numbers against brute force on a small ragged dataset, and planted leaks through the real command line."""

import collections
import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.artifacts.manifest import read_manifest
from instruct_jax.errors import InputError
from instruct_jax.tasks.data_report import data_report
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.sources import Generated
from instruct_jax.text.chat import INSTRUCT
from instruct_jax.text.overflow import POLICIES, fit
from instruct_jax.text.templates import Template
from tests.tasks.told_dataset import LENGTH, SECRET, fitted_texts, make_dataset

REPORT = "gin_configs/runs/data_report.gin"


@pytest.fixture
def make(tmp_path):
    """A function (extra prompts, with_texts=True) -> (folder of a dataset, what it was made from)."""
    return functools.partial(make_dataset, tmp_path / "data")


@pytest.fixture
def report(make, tmp_path):
    """The report on the dataset without leaks, what it was made from, and its folder."""
    folder, told = make()
    data_report(str(tmp_path / "report"), str(folder), lengths=(64, 100, LENGTH, 512))
    return json.loads((tmp_path / "report" / "report.json").read_text()), told, tmp_path / "report"


def test_counts_by_task_and_template_are_those_of_the_rows(report):
    found, told, _ = report
    for place, task in enumerate(found["tasks"]):
        mine = [(one, pieces) for one, pieces in fitted_texts(told) if one.task == place and pieces]
        assert task["examples"] == len(mine) > 0
        assert task["distinct"] == len({one.example for one, _ in mine})
        assert task["repeats"] == len(mine) - task["distinct"]
        assert task["tokens"] == sum(piece.tokens.size for _, pieces in mine for piece in pieces)
        assert task["supervised"] == sum(int((piece.weights[1:] > 0).sum()) for _, pieces in mine for piece in pieces)
        used = collections.Counter(one.template for one, _ in mine)
        assert [one["examples"] for one in task["templates"]] == [used[i] for i in range(len(task["templates"]))]
    assert found["tasks"][0]["repeats"] == 5
    assert found["totals"]["tokens"] == sum(task["tokens"] for task in found["tasks"])
    assert sum(task["realised_share"] for task in found["tasks"]) == pytest.approx(1)
    assert {one["name"]: one["examples"] for one in found["clusters"]} == {"sentiment": 65, "questions": 33, "none": 8}


def test_every_overflow_policy_costs_what_fitting_itself_does(report):
    found, told, _ = report
    seen = set()
    for cost in found["overflow"]:
        length, policy = cost["length"], cost["policy"]
        if policy == "error":
            assert cost["stops"] == any(one.rendered.tokens.size > length for one in told)
            continue
        outcomes, left, supervised = collections.Counter(), 0, 0
        for one in told:
            fitted = fit(one.rendered, length, policy, one.document)
            outcomes[fitted.outcome] += 1
            left += sum(piece.tokens.size for piece in fitted.pieces)
            supervised += sum(int((piece.weights[1:] > 0).sum()) for piece in fitted.pieces)
        seen |= {outcome for outcome, count in outcomes.items() if count}
        assert {name: cost[name] for name in ("dropped", "trimmed", "split")} == {
            name: outcomes[name] for name in ("dropped", "trimmed", "split")
        }
        assert cost["tokens_lost"] == sum(one.rendered.tokens.size for one in told) - left
        assert cost["supervised_lost"] == sum(int((one.rendered.weights[1:] > 0).sum()) for one in told) - supervised
    assert seen == {"fits", "dropped", "trimmed", "split"}
    assert {cost["policy"] for cost in found["overflow"]} == set(POLICIES)


def test_lengths_are_those_before_fitting(report):
    found, told, _ = report
    sizes = [one.rendered.tokens.size for one in told]
    total = found["lengths"]["total"]
    assert found["lengths"]["as_prepared"]
    assert (total["n"], total["max"], total["mean"]) == (len(sizes), max(sizes), pytest.approx(np.mean(sizes)))
    assert max(sizes) > LENGTH
    bins = zip(total["edges"], total["edges"][1:], total["counts"], strict=False)
    assert all(count == sum(low < size <= high for size in sizes) for low, high, count in bins)
    assert sum(total["counts"]) == len(sizes)


def test_density_is_that_of_the_rows(report, tmp_path):
    found = report[0]
    data = Dataset(tmp_path / "data")
    full = [data[index].tokens.size / LENGTH for index in range(len(data))]
    assert found["density"]["mean"] == pytest.approx(np.mean(full))
    assert found["density"]["min"] == min(full) < 1
    assert sum(found["density"]["counts"]) == len(data)


def test_labels_and_the_majority_are_those_of_the_answers(report):
    found, told, _ = report
    (shop,) = found["labels"]  # the quiz has too many answers to be labels
    answers = collections.defaultdict(collections.Counter)
    for one in told:
        if one.task == 0:
            answers[one.template][one.response] += 1
    assert shop["labels"] == dict(sum(answers.values(), collections.Counter()))
    assert shop["majority"] == sum(max(counts.values()) for counts in answers.values()) / 65
    assert shop["even"] == 0.5


def test_templates_are_tested_for_evenness(report):
    tested = report[0]["tasks"][0]["evenness"]
    one, other = (template["examples"] for template in report[0]["tasks"][0]["templates"][:2])
    assert tested["chi_square"] == pytest.approx((one - other) ** 2 / (one + other))
    assert tested["freedom"] == 1  # the reserved template is not expected
    assert tested["p"] < 0.01
    assert report[0]["tasks"][1]["evenness"] is None


def test_planted_duplicates_and_disagreements_are_found(report):
    copies = report[0]["duplicates"]
    assert copies["exact"]["duplicates"] == 1
    assert [text["example"] for text in copies["exact"]["shown"][0]["texts"]] == [30, 31]
    assert copies["exact"]["unasked"] == {"quiz": 1}
    assert copies["near"]["duplicates"] >= 1
    assert (copies["disagreements"]["disagreeing"], copies["disagreements"]["texts"]) == (1, 3)
    assert copies["compared"] == copies["examples"] == 60 + 33 + 8  # an example that is used twice is no duplicate


def test_a_sample_is_compared_where_there_are_too_many(make, tmp_path):
    folder, _ = make()
    data_report(str(tmp_path / "report"), str(folder), compared=20)
    copies = json.loads((tmp_path / "report" / "report.json").read_text())["duplicates"]
    assert (copies["compared"], copies["examples"]) == (20, 101)
    assert "sample of 20 of 101" in (tmp_path / "report" / "index.html").read_text()


def test_wording_is_no_leak_and_a_clean_dataset_passes(make, tmp_path):
    folder, _ = make(extra=["Read the following short passage with care and then say what it is about: geese fly south"] * 3)
    data_report(str(tmp_path / "report"), str(folder))
    assert json.loads((tmp_path / "report" / "report.json").read_text())["contamination"]["texts_hit"] == 0


@pytest.mark.parametrize("leak", [SECRET, SECRET.upper().replace(" BEFORE ", " (before) ")])
def test_a_planted_leak_stops_the_command_after_the_page_is_written(make, tmp_path, repository, leak):
    folder, _ = make(extra=[f"Once more: {leak}! What next?"])
    done = run(repository, folder, tmp_path / "report")
    assert done.returncode == 2
    assert re.search(r"^instruct-jax: 1 training text holds text of evaluation suites: items/quiz \(1 of 5", done.stderr)
    assert done.stderr.count("\n") == 1
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    (shown,) = found["contamination"]["shown"]
    assert (shown["item"], shown["task"], shown["example"]) == ("quiz/4", "quiz", 100)
    assert shown["trained"]["span"] == leak
    assert shown["evaluated"]["span"] == SECRET
    assert leak in (tmp_path / "report" / "index.html").read_text()
    assert read_manifest(tmp_path / "report", "report")["parents"]["dataset"]["folder"] == str(folder)


@pytest.mark.parametrize("allowed", ["items/quiz", "quiz"])
def test_a_leak_allowed_by_name_passes(make, tmp_path, allowed):
    folder, _ = make(extra=[f"Once more: {SECRET}! What next?"])
    data_report(str(tmp_path / "report"), str(folder), allow=[allowed])
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (found["contamination"]["texts_hit"], found["contamination"]["refused"]) == (1, 0)


def test_a_suite_in_a_file_is_checked_field_by_field(make, tmp_path):
    folder, _ = make(extra=[f"Once more: {SECRET}! What next?"])
    suite = tmp_path / "suite.jsonl"
    rows = [{"key": 1, "question": "Which candle burns longest of all the candles?"}, {"key": 2, "turns": [{"text": SECRET}]}]
    suite.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match=r"boats \(1 of 2 items\)"):
        data_report(str(tmp_path / "report"), str(folder), {"boats": str(suite)}, allow=["items/quiz"])
    assert json.loads((tmp_path / "report" / "leaks.jsonl").read_text().splitlines()[1])["item"] == f"{suite}:2"


def test_an_unknown_name_in_allow_is_refused_with_the_nearest(make, tmp_path):
    folder, _ = make()
    with pytest.raises(InputError, match=r"ALLOW names 'items/quizz'.*did you mean items/quiz\?"):
        data_report(str(tmp_path / "report"), str(folder), allow=["items/quizz"])


def test_prompts_answered_differently_are_counted_by_task(report):
    assert report[0]["duplicates"]["disagreements"]["tasks"] == {"quiz": 1}


def test_the_report_agrees_with_what_prepare_counted(registry, tmp_path):
    wordings = (Template("is", "Is {n} odd?", choices=("no", "yes")), Template("tell", "{n}:", choices=("even", "odd")))
    source = Generated(lambda index, split: {"n": f"{split} {index} {'1 ' * (index % 40)}", "label": index % 2}, 50)
    steps = [Instruct(wordings, "numbers", "odd", source_field="n")]
    registry.TaskRegistry.add("dr_odd", source=source, preprocessors=steps, output_features=text_features())
    text = Generated(lambda index, split: {"targets": split + " word" * (index % 90)}, 30)
    registry.TaskRegistry.add("dr_text", source=text, preprocessors=[], output_features=text_features())
    registry.MixtureRegistry.add("dr_mix", [("dr_odd", 3.0), ("dr_text", 1.0)])
    prepare(str(tmp_path / "data"), "dr_mix", "bytes", INSTRUCT, length=64, seed=0, examples=120, overflow="trim_prompt")
    data_report(str(tmp_path / "report"), str(tmp_path / "data"), lengths=(64,))
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    manifest = read_manifest(tmp_path / "data", "dataset")
    for task, entry in zip(found["tasks"], manifest["tasks"], strict=True):
        assert {name: task[name] for name in ("examples", "tokens", "supervised")} == {
            name: entry[name] for name in ("examples", "tokens", "supervised")
        }
        assert task["realised_share"] == pytest.approx(entry["realised"])
        assert task["asked_share"] == entry["share"] == pytest.approx(entry["rate"] / 4)
    assert found["tasks"][0]["repeats"] == 90 - 50
    trimmed = next(cost for cost in found["overflow"] if cost["policy"] == "trim_prompt")
    for name in ("trimmed", "split", "dropped"):
        assert trimmed[name] == sum(task[name] for task in manifest["tasks"]), name
    assert trimmed["trimmed"] > 0 < trimmed["split"]
    assert found["lengths"]["as_prepared"]
    assert [row["examples"] for row in found["settings_used"]] == [90]  # plain text is asked in no setting


def test_the_report_needs_no_tensorflow():
    script = "import sys, instruct_jax.tasks.data_report; print(sorted({'tensorflow', 'seqio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def run(repository: Path, folder: Path, report: Path, *flags: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "instruct_jax", f"--gin_file={REPORT}", f"--gin.DATASET={folder}", f"--gin.WORKDIR={report}"]
    return subprocess.run([*command, *flags], capture_output=True, text=True, cwd=repository, check=False)
