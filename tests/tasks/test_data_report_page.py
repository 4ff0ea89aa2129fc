"""The data report's page: whole in itself, its sentences and numbers those of report.json, short however many tasks there are."""

import collections
import functools
import html
import json
import re

import pytest

from instruct_jax.tasks.data_report import data_report
from instruct_jax.tasks.report.leads import leads
from instruct_jax.tasks.report.page import write_page
from tests.tasks.told_dataset import LENGTH, SECRET, fitted_texts, make_dataset


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


def test_a_dataset_without_a_table_of_texts_says_so(make, tmp_path):
    folder, told = make(with_texts=False)
    data_report(str(tmp_path / "report"), str(folder))
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert not found["lengths"]["as_prepared"]
    assert found["lengths"]["texts"] == sum(bool(pieces) for _, pieces in fitted_texts(told))
    assert "kept no table of its texts" in (tmp_path / "report" / "index.html").read_text()


def test_every_finding_but_a_good_one_says_what_to_do_and_the_page_shows_it(make, tmp_path):
    folder, _ = make(extra=[f"Once more: {SECRET}! What next?"])
    data_report(str(tmp_path / "report"), str(folder), allow=["quiz"])
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    page = html.unescape((tmp_path / "report" / "index.html").read_text())
    gravities = collections.Counter(one["gravity"] for one in found["findings"])
    assert gravities["warning"] > 2
    for one in found["findings"]:
        assert bool(one["advice"]) == (one["gravity"] != "good"), one
        assert one["advice"] in page
        assert f'id="{one["section"]}"' in page


def test_a_section_begins_with_its_figures_in_a_sentence(report):
    found, told, _ = report
    said = leads(found)
    median = sorted(one.rendered.tokens.size for one in told)[len(told) // 2]
    assert f"longer than {median} tokens" in said["lengths"]
    assert said["contents"].startswith("sentiment has the most examples, 61.3\u00a0%")
    assert said["templates"].startswith("No task of the 1 with several templates")
    costs = {cost["length"]: 0.0 for cost in found["overflow"]}
    for cost in found["overflow"]:
        costs[cost["length"]] = max(costs[cost["length"]], cost["supervised_lost_share"])
    least = min(length for length, cost in costs.items() if cost < 0.01)
    assert said["overflow"].startswith(f"From {least} tokens on")


def test_a_report_on_two_thousand_tasks_stays_small(report):
    found, _, folder = report
    many = json.loads(json.dumps(found))
    many["tasks"] = [{**task, "name": f"{task['name']}_{i}"} for i in range(667) for task in found["tasks"]]
    many["totals"]["held_out"] = [f"held_{i}" for i in range(2_000)]
    suite = found["contamination"]["suites"][0]
    many["contamination"]["suites"] = [{**suite, "name": f"items/suite_{i}"} for i in range(2_000)]
    write_page(folder / "many.html", many, [])
    page = (folder / "many.html").read_text()
    assert len(page) < 1_000_000
    assert "The 40 largest of 2001 tasks" in page
    assert "and 1960 more" in page


def test_the_page_is_self_contained_and_its_numbers_are_those_of_the_json(report):
    found, _, folder = report
    page = (folder / "index.html").read_text()
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!#)|@import|url\(", page)
    assert "default-src 'none'" in page
    shown = re.sub(r"<style>.*?</style>|<article>.*?</article>|<[^>]*>", " ", page, flags=re.DOTALL)
    for task in found["tasks"]:
        for number in (task["tokens"], task["supervised"], task["examples"]):
            assert f"{number:,}" in shown
    changed = json.loads(json.dumps(found).replace(str(found["totals"]["tokens"]), "987654"))
    write_page(folder / "other.html", changed, [])
    assert "987,654" in (folder / "other.html").read_text()


def test_the_same_command_writes_the_same_page(make, tmp_path):
    folder, _ = make()
    for name in ("one", "two"):
        data_report(str(tmp_path / name), str(folder))
    first, second = ((tmp_path / name / "index.html").read_bytes() for name in ("one", "two"))
    assert first == second
