"""evaluate: folders in, a report out that is complete, repeatable and fair to each checkpoint."""

import dataclasses
import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

from instruct_jax.errors import InputError
from instruct_jax.evals.headline import headline
from instruct_jax.evals.report import evaluate
from instruct_jax.inference import session as sessions
from instruct_jax.inference.session import Session

FIELDS = ["benchmark", "cluster", "dataset", "template", "split", "checkpoint", "metric", "value", "stderr", "n", "interval"]


@pytest.fixture(scope="module")
def both(checkpoints):
    return [f"{name}={folder}" for name, folder in checkpoints.items()]


@pytest.fixture(scope="module")
def done(tmp_path_factory, questions, both):
    """One finished report, and what it printed nothing of."""
    return evaluate(str(tmp_path_factory.mktemp("reports") / "report"), str(questions), both, max_new_tokens=5)


def read(folder):
    return json.loads((folder / "report.json").read_text())


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_report_holds_scores_at_every_level(done, items):
    report = read(done)
    assert all(list(row) == FIELDS for row in report["scores"])
    levels = {(r["split"], r["cluster"], r["dataset"], r["template"]) for r in report["scores"]}
    assert levels == {
        *(("held_in_seen", *names) for names in _levels("sentiment", "reviews", "t1")),
        *(("held_in_unseen", *names) for names in _levels("sentiment", "reviews", "t2")),
        *(("held_out_cluster", *names) for names in _levels("generation", "stories", "s1")),
        *(("plain_text", *names) for names in _levels("text", "books", None)),
    }
    for row in report["scores"]:
        assert row["n"] == 6
        low, high = row["interval"]
        assert low <= row["value"] <= high
    by_split = {(r["split"], r["metric"]) for r in report["scores"]}
    assert ("held_in_seen", "rank_accuracy_normalized") in by_split
    assert ("held_out_cluster", "rank_accuracy") not in by_split
    assert {name for split, name in by_split if split == "plain_text"} == {"loss"}
    assert len(lines(done / "predictions-base.jsonl")) == len(items)


def _levels(cluster, dataset, template):
    found = [("all", "all", "all"), (cluster, "all", "all"), (cluster, dataset, "all")]
    return found + ([(cluster, dataset, template)] if template else [])


def test_plain_text_loss_is_nats_over_tokens(done):
    predictions = [one for one in lines(done / "predictions-base.jsonl") if one["split"] == "plain_text"]
    nats, tokens = (sum(one[name] for one in predictions) for name in ("nats", "tokens"))
    (row,) = [
        r for r in read(done)["scores"] if r["split"] == "plain_text" and r["cluster"] == "all" and r["checkpoint"] == "base"
    ]
    assert row["value"] == pytest.approx(nats / tokens)
    # Every byte of the document and its end; bos is given.
    assert [one["tokens"] for one in predictions] == [17 * (k + 1) + 1 for k in range(6)]


def test_each_checkpoint_is_asked_in_its_own_template(done):
    base, tuned = (lines(done / f"predictions-{name}.jsonl")[0] for name in ("base", "tuned"))
    assert base["prompt"] == "<|bos|>is it t1?"
    assert tuned["prompt"] == "<|bos|>is it t1?\n"
    assert {name: one["chat_template"] for name, one in read(done)["checkpoints"].items()} == {
        "base": "bare",
        "tuned": "instruct",
    }


def test_chance_counts_each_items_options(done):
    (row,) = [r for r in read(done)["chance"] if r["split"] == "held_in_seen" and r["cluster"] == "all"]
    assert row["value"] == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_ranking_is_the_options_logprob_with_the_turn_end(done, checkpoints):
    session = sessions.open(checkpoints["tuned"])
    (totals,) = session.option_logprobs([((("user", "is it t1?"),), ("yes", "no"))])
    stored = lines(done / "predictions-tuned.jsonl")[0]
    assert [tokens for _, tokens in stored["option_logprobs"]] == [4, 3]
    assert [total for total, _ in stored["option_logprobs"]] == pytest.approx([one.total for one in totals], abs=1e-4)
    assert stored["scores"]["rank_accuracy"] == float(totals[0].total > totals[1].total)


def test_comparisons_are_paired_and_a_checkpoint_is_not_distinguishable_from_itself(tmp_path, questions, checkpoints):
    same = [f"one={checkpoints['base']}", f"two={checkpoints['base']}"]
    report = read(evaluate(str(tmp_path), str(questions), same, max_new_tokens=5))
    assert report["comparisons"]
    assert {row["difference"] for row in report["comparisons"]} == {0.0}
    assert {row["verdict"] for row in report["comparisons"]} == {"not distinguishable"}


def test_the_same_command_writes_the_same_bytes_whatever_the_batch_size(done, tmp_path, questions, both):
    again = evaluate(str(tmp_path / "report"), str(questions), both, max_new_tokens=5)
    for name in ("report.json", "index.html", "predictions-base.jsonl", "predictions-tuned.jsonl", "manifest.json"):
        assert (again / name).read_bytes() == (done / name).read_bytes(), name
    small = evaluate(str(tmp_path / "small"), str(questions), both, max_new_tokens=5, batch_tokens=128)
    assert [row["output"] for row in lines(small / "predictions-base.jsonl")] == [
        row["output"] for row in lines(done / "predictions-base.jsonl")
    ]
    for one, other in zip(read(small)["scores"], read(done)["scores"], strict=True):
        assert one["value"] == pytest.approx(other["value"], rel=1e-5), one


def test_after_a_crash_finished_predictions_are_reused(done, tmp_path, questions, both, monkeypatch):
    file = "predictions-base.jsonl"
    whole = (done / file).read_text()
    cut = whole[: len(whole) * 2 // 3]
    assert not cut.endswith("\n")
    (tmp_path / file).write_text(cut)
    asked = []
    answers, documents = Session.answers, Session.document_logprobs
    monkeypatch.setattr(Session, "answers", lambda self, q, **k: asked.extend(q) or answers(self, q, **k))
    monkeypatch.setattr(Session, "document_logprobs", lambda self, q, *a: asked.extend(q) or documents(self, q, *a))
    evaluate(str(tmp_path), str(questions), both[:1], max_new_tokens=5)
    assert len(asked) == len(whole.splitlines()) - cut.count("\n")
    assert [one["output"] for one in lines(tmp_path / file)] == [one["output"] for one in lines(done / file)]


def test_other_weights_or_another_limit_make_predictions_again(done, tmp_path, questions, checkpoints):
    file = tmp_path / "predictions-model.jsonl"
    file.write_bytes((done / "predictions-base.jsonl").read_bytes())
    evaluate(str(tmp_path), str(questions), [f"model={checkpoints['tuned']}"], max_new_tokens=5)
    assert not {one["key"] for one in lines(file)} & {one["key"] for one in lines(done / "predictions-base.jsonl")}
    evaluate(str(tmp_path), str(questions), [f"model={checkpoints['tuned']}"], max_new_tokens=2)
    assert not {one["key"] for one in lines(file)} & {one["key"] for one in lines(done / "predictions-tuned.jsonl")}


def test_the_page_is_self_contained_and_escapes_what_models_and_data_say(done):
    page = (done / "index.html").read_text()
    assert "&lt;b&gt;Tell&lt;/b&gt;" in page
    assert "<b>Tell</b>" not in page
    assert page.count("<svg") >= 3
    assert "src=" not in page
    assert "<link" not in page


def test_a_limit_keeps_the_same_records_for_every_wording(tmp_path, questions, checkpoints):
    folder = evaluate(str(tmp_path), str(questions), str(checkpoints["base"]), items_per_template=2, max_new_tokens=5)
    kept = {}
    for one in lines(folder / "predictions-base.jsonl"):
        kept.setdefault((one["dataset"], one["template"]), set()).add(one["source"])
    assert {len(sources) for sources in kept.values()} == {2}
    assert kept["reviews", "t1"] == kept["reviews", "t2"]


def test_the_headline_fits_eighty_columns(done):
    stream = io.StringIO()
    Console(width=80, file=stream).print(headline(read(done)))
    text = stream.getvalue()
    assert "…" not in text
    assert "held-out clusters" in text
    assert "plain-text loss" in text


def broken(items, **changes):
    return [dataclasses.replace(items[0], **changes), *items[1:]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": ("no", "perhaps")}, "item 'r/t1/0': its target 'yes' is not among its options"),
        ({"metrics": ("exact_mach",)}, "unknown metric 'exact_mach'; expected one of"),
        ({"id": "r/t2/0"}, "two items share the id 'r/t2/0'"),
        ({"metrics": (), "options": None}, "neither options nor metrics"),
        ({"split": "validation"}, "unknown split 'validation'"),
    ],
)
def test_bad_items_are_refused_by_name(changes, message, tmp_path, make_questions, items, checkpoints):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        evaluate(str(tmp_path / "r"), str(make_questions(broken(items, **changes))), str(checkpoints["base"]))


def test_bad_arguments_are_refused_in_one_line(tmp_path, questions, checkpoints, make_questions, items):
    base, out = str(checkpoints["base"]), str(tmp_path / "r")
    plain = make_questions([item for item in items if item.split == "plain_text"], "plain")
    cases = [
        ((out, str(tmp_path / "none"), base), {}, "there is no dataset at"),
        ((out, base, base), {}, "is a checkpoint; expected a dataset"),
        ((out, str(questions), str(tmp_path / "none")), {}, "there is no checkpoint at"),
        ((out, str(questions), [base, base]), {}, "two checkpoints are called 'base'"),
        ((out, str(questions), []), {}, "no checkpoint was given"),
        ((out, str(questions), base), {"splits": ["held_out"]}, "unknown split 'held_out'"),
        ((out, str(plain), base), {"splits": ["held_in_seen"]}, "no item in splits"),
        ((out, str(questions), base), {"metrics": ["f1"]}, "unknown metric 'f1'"),
        ((out, str(questions), base), {"items_per_template": 0}, "items_per_template is 0"),
        ((base, str(questions), base), {}, "is a checkpoint; expected a report"),
    ]
    for arguments, settings, message in cases:
        with pytest.raises(InputError) as caught:
            evaluate(*arguments, **settings)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_evaluation_imports_no_tensorflow(repository):
    code = "import sys, instruct_jax.evals.report, instruct_jax.evals.ask; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=repository)
