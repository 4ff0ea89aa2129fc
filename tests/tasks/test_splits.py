"""Held-out splits: siblings fall together, relatives stay out, and what both sides share is refused by name and by file."""

import dataclasses

import pytest

from instruct_jax.errors import InputError
from instruct_jax.tasks.splits import NEAR_RELATIVES, HeldOut, Member, check_disjoint, check_named, leave_one_cluster_out

FILE = ["train.jsonl", 20, "ab" * 32]
MEMBERS = (
    Member("flan_rte", "entailment", "glue_rte", ("one", "two"), [["other.jsonl", 9, "cd" * 32]]),
    Member("flan_mrpc", "paraphrase", "mrpc", ("one",), [FILE]),
    Member("t0_rte", "nli", "rte", ("three",), [["rte.jsonl", 9, "ef" * 32]]),
    Member("chat", "", "chat", (), [[FILE, "a" * 32]]),
)


def test_nothing_held_out_refuses_nothing():
    check_named(HeldOut(), MEMBERS)
    check_disjoint(HeldOut(), MEMBERS)


def test_one_dataset_under_two_names_is_not_split():
    with pytest.raises(InputError, match=r"t0_rte would be trained, and flan_rte is held out.*rte and glue_rte"):
        check_disjoint(HeldOut(clusters=("entailment",)), MEMBERS)
    check_disjoint(HeldOut(clusters=("entailment", "nli")), MEMBERS)
    check_disjoint(HeldOut(clusters=("entailment",), allowed=("rte",)), MEMBERS)


def test_one_file_under_two_tasks_is_not_split():
    with pytest.raises(InputError, match=r"chat would be trained, and flan_mrpc is held out: both read the file train.jsonl"):
        check_disjoint(HeldOut(clusters=("paraphrase",)), MEMBERS)
    moved = dataclasses.replace(MEMBERS[3], source=[["train.jsonl", 20, "12" * 32]])
    check_disjoint(HeldOut(clusters=("paraphrase",)), (*MEMBERS[:3], moved))


def test_siblings_fall_together_in_both_directions():
    groups = (("anli_r1", "anli_r2", "anli_r3"), ("squad", "squad_v2"))
    for name in groups[0]:
        split = HeldOut(datasets=(name,), siblings=groups)
        assert {one for group in groups for one in group if split.covers("x", one)} == set(groups[0])


def test_leaving_one_cluster_out_gives_every_cluster_its_run_and_relatives_to_neither():
    clusters = ["entailment", "paraphrase", "sentiment", "commonsense", "reading_comprehension"]
    runs = leave_one_cluster_out(clusters)
    assert list(runs) == sorted(clusters)
    left = {name: {one for one in clusters if not split.covers(one, "any")} for name, split in runs.items()}
    assert left["sentiment"] == set(clusters) - {"sentiment"}
    assert left["entailment"] == left["paraphrase"] == set(clusters) - {"entailment", "paraphrase"}
    assert left["commonsense"] == set(clusters) - set(NEAR_RELATIVES[0])


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (HeldOut(clusters=("entailmnt",)), "did you mean 'entailment'"),
        (HeldOut(datasets=("mrcp",)), "did you mean 'mrpc'"),
        (HeldOut(templates=("mrpc/two",)), "did you mean"),
    ],
)
def test_names_that_are_not_there_are_refused(split, message):
    with pytest.raises(InputError, match=message):
        check_named(split, MEMBERS)


@pytest.mark.parametrize("fields", [{"templates": ("one",)}, {"siblings": (("alone",),)}, {"relatives": ("ab",)}])
def test_a_split_that_cannot_be_is_refused_when_it_is_made(fields):
    with pytest.raises(InputError, match=r"HeldOut\."):
        HeldOut(**fields)


def test_a_single_name_may_be_given_for_many():
    assert HeldOut(clusters="a", datasets="b") == HeldOut(("a",), ("b",))
