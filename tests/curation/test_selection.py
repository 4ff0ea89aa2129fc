"""Selection: the pool by quality, from it those that lie farthest apart; seeded, with quotas."""

import itertools

import numpy as np
import pytest

from instruct_jax.curation.decisions import Row, unwatched
from instruct_jax.curation.selection import Best, Quality, k_center, word_vectors
from instruct_jax.errors import InputError
from instruct_jax.text.conversation import conversation_of
from tests.curation.corpus import substituted, texts


def rows(count: int, seed: int = 0, **fields) -> list[Row]:
    return [
        Row(conversation_of([("user", text), ("assistant", "ok")]), f"f:{k}", {name: make(k) for name, make in fields.items()})
        for k, text in enumerate(texts(count, seed))
    ]


def chosen(step: Best, given: list[Row]) -> list[int]:
    return [place for place, one in enumerate(step.decide(given, unwatched)) if one.keep]


def test_rows_of_ifd_one_and_more_are_dropped():
    given = rows(10, ifd=lambda k: [0.2, 1.0, 0.5, 1.7, 0.9, 0.1, 0.3, 0.4, 0.6, 0.7][k])
    decisions = Best(share=1.0).decide(given, unwatched)
    assert [place for place, one in enumerate(decisions) if not one.keep] == [1, 3]
    assert decisions[3].reason == "ifd 1.700, not below 1"
    assert sorted(decisions[4].about) == ["distance", "rank"]
    assert decisions[4].about["rank"] == 1  # the highest below 1 comes first


def test_a_row_that_was_not_measured_is_dropped_and_says_so():
    decisions = Best(share=1.0).decide(rows(3, ifd=lambda k: [0.5, None, 0.3][k]), unwatched)
    assert [one.keep for one in decisions] == [True, False, True]
    assert (decisions[1].reason, decisions[1].measure) == ("ifd not measured", None)


def test_a_pool_as_large_as_the_choice_is_the_best_by_quality():
    given = rows(40, ifd=lambda k: (k * 7 % 40) / 40)
    best = sorted(range(40), key=lambda k: -given[k].fields["ifd"])[:8]
    assert chosen(Best(count=8, pool=1.0), given) == sorted(best)


def test_copies_are_chosen_last():
    given = rows(20)
    copies = [Row(conversation_of([("user", substituted(one.conversation.messages[0].text, 0.05, 1))]), "c") for one in given]
    assert chosen(Best(count=20, quality=None), given + copies) != list(range(20))
    picked = {place % 20 for place in chosen(Best(count=20, quality=None), given + copies)}
    assert picked == set(range(20))  # one of each pair


def test_the_choice_covers_within_twice_the_least_distance():
    vectors = word_vectors(texts(14, seed=3), 64)
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    least = min(distances[:, list(some)].min(axis=1).max() for some in itertools.combinations(range(14), 3))
    found = [place for place, _ in k_center(vectors, 3, [""] * 14, 14)]
    assert found[0] == 0
    assert distances[:, found].min(axis=1).max() <= 2 * least + 1e-6


def test_each_step_takes_the_farthest_row():
    vectors = word_vectors(texts(30, seed=4), 128)
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    taken = [0]
    for place, distance in itertools.islice(k_center(vectors, 10, [""] * 30, 30), 1, None):
        to_nearest = distances[:, taken].min(axis=1)
        assert distance == pytest.approx(to_nearest.max(), abs=1e-3)
        assert distance == pytest.approx(to_nearest[place], abs=1e-3)
        taken.append(place)


def test_a_cluster_has_a_quota():
    given = rows(60, cluster=lambda k: "big" if k < 50 else f"small{k % 2}")
    picked = chosen(Best(count=10, quality=None, quota=0.4), given)
    counts = [sum(given[place].fields["cluster"] == name for place in picked) for name in ("big", "small0", "small1")]
    assert len(picked) == 10
    assert max(counts) <= 4


def test_the_choice_is_a_function_of_the_seed():
    given = rows(50)
    assert chosen(Best(count=9, quality=None, seed=1), given) == chosen(Best(count=9, quality=None, seed=1), given)
    assert chosen(Best(count=9, quality=None, seed=1), given) != chosen(Best(count=9, quality=None, seed=2), given)


def test_vectors_of_like_texts_are_near_and_of_others_orthogonal():
    some = texts(40, seed=5, shortest=60)
    vectors = word_vectors([*some, substituted(some[0], 0.05, 1)], 512)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    others = vectors[:40] @ vectors[0]
    assert vectors[40] @ vectors[0] > 0.85 > others[1:].max() + 0.2


def test_a_row_without_its_quality_is_refused_by_place():
    with pytest.raises(InputError, match=r"f:0: field 'ifd' is None; expected a number \(the row's fields: none\)"):
        chosen(Best(count=1), rows(2))
    with pytest.raises(InputError, match="f:1: field 'score' is nan"):
        chosen(Best(count=1, quality=Quality("score", None)), rows(2, score=lambda k: [1.0, float("nan")][k]))
    with pytest.raises(InputError, match="set one of them"):
        Best()
