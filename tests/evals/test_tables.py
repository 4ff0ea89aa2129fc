"""Tables of scores and comparisons follow from predictions alone."""

import pytest

from instruct_jax.evals.tables import chance, comparisons, scores


def prediction(number: int, template: str, right: float, cluster="topic", dataset="news", split="held_in_seen", **more) -> dict:
    return {
        "id": f"{dataset}/{template}/{number}",
        "source": str(number),
        "cluster": cluster,
        "dataset": dataset,
        "template": template,
        "split": split,
        "options": ["yes", "no"],
        "target": "yes",
        "scores": {"rank_accuracy": right},
    } | more


def test_wordings_of_one_record_are_one_cluster():
    rows = scores("b", "m", [prediction(n, t, float(n < 4)) for n in range(8) for t in ("t1", "t2", "t3")])
    whole, wording = rows[0], rows[-1]
    assert (whole.cluster, whole.template, whole.n) == ("all", "all", 24)
    assert (wording.template, wording.n) == ("t3", 8)
    # Three wordings that always agree say no more than one.
    assert whole.stderr == pytest.approx(wording.stderr)


def test_equal_record_numbers_of_two_datasets_are_two_records():
    both = [prediction(n, "t", float(n % 2), dataset=dataset) for n in range(8) for dataset in ("news", "mail")]
    alone = scores("b", "m", both[::2])[0]
    together = scores("b", "m", both)[0]
    assert together.stderr == pytest.approx(alone.stderr / 2**0.5, rel=0.1)


def test_a_lower_loss_is_better_and_needs_the_same_tokenizer():
    def documents(loss):
        more = {"split": "plain_text", "options": None}
        return [prediction(n, "", 0, **more, scores={"loss": loss + n / 100}, tokens=10 + n) for n in range(6)]

    found = {"base": documents(2.0), "tuned": documents(1.5)}
    rows = comparisons("b", found, {"base": "x", "tuned": "x"})
    assert {row.verdict for row in rows} == {"better"}
    assert {round(row.difference, 6) for row in rows} == {-0.5}
    assert comparisons("b", found, {"base": "x", "tuned": "y"}) == []


def test_every_pair_of_checkpoints_is_compared():
    found = {name: [prediction(n, "t", float(n < right)) for n in range(10)] for name, right in (("a", 2), ("b", 9), ("c", 2))}
    rows = [row for row in comparisons("b", found, dict.fromkeys(found, "x")) if row.cluster == "all"]
    assert {(row.reference, row.checkpoint): row.verdict for row in rows} == {
        ("a", "b"): "better",
        ("a", "c"): "not distinguishable",
        ("b", "c"): "worse",
    }


def test_chance_is_the_mean_over_items_of_their_own():
    found = [prediction(0, "t", 1.0), prediction(1, "t", 1.0, options=["yes", "no", "maybe", "never"])]
    assert chance(found)[0]["value"] == pytest.approx((1 / 2 + 1 / 4) / 2)
