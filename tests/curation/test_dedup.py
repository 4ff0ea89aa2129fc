"""Duplicates: planted ones are found, clean texts stay, and every number agrees with brute force over sets of words."""

import itertools
import json
import random

import numpy as np
import pytest

from instruct_jax.curation.dedup import (
    NearDuplicates,
    clusters,
    exact_duplicates,
    jaccard,
    near_duplicates,
    runs_of,
)
from instruct_jax.curation.words import words
from instruct_jax.errors import InputError
from tests.curation.corpus import disguised, substituted, texts


def runs(text: str, n: int) -> set[tuple[str, ...]]:
    """The reference: a text's runs of words as plain tuples."""
    found = words(text)
    return {tuple(found[k : k + n]) for k in range(max(len(found) - n + 1, 1))} if found else set()


def by_brute_force(rows: list[str], numbers: NearDuplicates) -> list[tuple[int, int, float]]:
    """The reference: every text against every text kept before it."""
    kept, dropped, sets = [], [], [runs(text, numbers.words) for text in rows]
    for place, own in enumerate(sets):
        best = max(((len(own & sets[k]) / len(own | sets[k]), -k) for k in kept if own and sets[k]), default=(0, 0))
        if best[0] >= numbers.threshold:
            dropped.append((place, -best[1], best[0]))
        elif own:
            kept.append(place)
    return dropped


@pytest.mark.parametrize("n", [1, 3, 5])
def test_similarity_is_that_of_plain_sets_of_words(n):
    rows = [*texts(12, seed=3, shortest=1, longest=30), "one", "", "one two"]
    rows += [substituted(rows[0], 0.1, seed=1), rows[1] + " " + rows[2]]
    for first, second in itertools.combinations(rows, 2):
        a, b = runs(first, n), runs(second, n)
        expected = len(a & b) / len(a | b) if a | b else 0.0
        assert jaccard(runs_of(first, n), runs_of(second, n)) == expected


def test_near_duplicates_are_those_of_brute_force():
    clean = texts(150, seed=0)
    copies = [substituted(text, share, seed=k) for k, text in enumerate(clean[:40]) for share in (0.01, 0.04, 0.08)]
    rows = clean + copies
    random.Random(0).shuffle(rows)
    # 256 permutations leave no pair of this fixture out; a smaller number may miss one that is just over the threshold.
    numbers = NearDuplicates(threshold=0.7, permutations=256)
    found = [(one.index, one.kept, one.similarity) for one in near_duplicates(rows, numbers)]
    expected = by_brute_force(rows, numbers)
    assert len(expected) > 60
    assert found == expected


def test_planted_duplicates_are_found_and_clean_texts_stay():
    clean = texts(600, seed=1, shortest=40)
    planted = [substituted(text, 0.09, seed=k) for k, text in enumerate(clean[:100])]
    dropped = near_duplicates(clean + planted)
    assert all(one.index >= len(clean) for one in dropped)  # no false positive among independent texts
    assert all(one.kept == one.index - len(clean) for one in dropped)
    assert len(dropped) >= 98


def test_a_real_row_copied_with_words_replaced_is_found(real_data):
    lines = (real_data / "gsm8k" / "train.jsonl").read_text().splitlines()[:800]
    rows = [json.loads(line)["question"] for line in lines]
    before = {one.index for one in near_duplicates(rows)}
    assert len(before) <= 2  # of 800 questions that people wrote
    planted = [substituted(rows[k], 0.09, seed=k) for k in range(0, 200, 4)]
    after = near_duplicates(rows + planted)
    assert {one.index for one in after if one.index < len(rows)} == before
    assert len(after) - len(before) >= 48
    assert len(exact_duplicates([*rows, "  " + rows[5].upper().replace(" ", "\n")])) == 1


def test_exact_duplicates_differ_in_case_and_space_alone():
    rows = ["The cat.", "2+3", "the  CAT.\n", "2-3", "THE CAT!", "2 + 3", "The cat."]
    assert [(one.index, one.kept) for one in exact_duplicates(rows)] == [(2, 0), (6, 0)]


def test_a_disguised_copy_is_a_near_duplicate_of_similarity_one():
    rows = texts(20, seed=2)
    (found,) = near_duplicates([*rows, disguised(rows[7])])
    assert (found.index, found.kept, found.similarity) == (20, 7, 1.0)


def test_the_preferred_text_is_kept():
    rows = texts(5, seed=4, shortest=30)
    rows += [substituted(rows[1], 0.03, seed=1), rows[1]]
    assert [(one.index, one.kept) for one in near_duplicates(rows)] == [(5, 1), (6, 1)]
    assert [(one.index, one.kept) for one in near_duplicates(rows, prefer=[0, 0, 0, 0, 0, 9, 1])] == [(1, 5), (6, 5)]
    assert [(one.index, one.kept) for one in exact_duplicates(rows, prefer=[0, 0, 0, 0, 0, 0, 1])] == [(1, 6)]


def test_no_chain_drops_a_text_that_resembles_nothing_kept():
    base = texts(1, seed=5, shortest=100, longest=100)[0].split()
    chain = [" ".join([f"new{k}" for k in range(shift)] + base[shift:]) for shift in (0, 15, 30, 45)]
    found = near_duplicates(chain)
    kept = set(range(4)) - {one.index for one in found}
    assert kept == {0, 2}
    assert all(jaccard(runs_of(chain[one.index], 2), runs_of(chain[one.kept], 2)) >= 0.6 for one in found)


def test_records_in_one_long_wording_are_not_duplicates_of_each_other():
    wording = texts(1, seed=6, shortest=60, longest=60)[0]
    records = texts(50, seed=7, shortest=8, longest=8)
    rows = [f"{wording} {record}" for record in records] + [f"{wording} {records[3]}"]
    assert len(near_duplicates(rows)) > 25
    found = near_duplicates(rows, NearDuplicates(template_rows=20))
    assert [(one.index, one.kept) for one in found] == [(50, 3)]


def test_texts_without_words_are_nobodys_duplicates():
    assert near_duplicates(["", "!!!", "?", "a", "a"])[0].index == 4
    assert len(near_duplicates(["", "!!!", "?", "a", "a"])) == 1
    assert near_duplicates([]) == []


def test_clusters_list_what_is_dropped_for_each_kept_text():
    rows = ["a b c", "x y z", "a b c", "a b  c", "x y z"]
    assert {kept: [one.index for one in dropped] for kept, dropped in clusters(exact_duplicates(rows)).items()} == {
        0: [2, 3],
        1: [4],
    }


def test_progress_counts_every_text():
    counted = []
    near_duplicates([*texts(30, seed=8), ""], advance=counted.append)
    assert sum(counted) == 31


def test_numbers_out_of_range_are_refused():
    with pytest.raises(InputError, match="threshold is 0"):
        NearDuplicates(threshold=0)
    with pytest.raises(InputError, match="template_rows is 1"):
        NearDuplicates(template_rows=1)
    with pytest.raises(InputError, match="1 scores for 2 texts"):
        near_duplicates(["a", "b"], prefer=np.ones(1))
