"""The pool's ROUGE-L is the reference's, to the last bit, though it compares few texts."""

import random

import numpy as np
import pytest
from rouge_score import rouge_scorer
from rouge_score.tokenize import tokenize

from instruct_jax.synthesis.rouge_pool import RougePool, longest_common, words


@pytest.fixture(scope="module")
def reference():
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    return lambda target, prediction: scorer.score(target, prediction)["rougeL"].fmeasure


def texts(count: int, seed: int) -> list[str]:
    """Ragged texts of few words, so that they share many; some empty, some without a word."""
    drawn = random.Random(seed)
    vocabulary = ["name", "the", "Capital", "of", "a", "country", "it's", "2", "naïve", "—", "write"]
    return ["", "—", *(" ".join(drawn.choices(vocabulary, k=drawn.choice((1, 2, 3, 8, 20, 90)))) for _ in range(count))]


@pytest.mark.parametrize("seed", range(2))
def test_the_nearest_are_those_of_comparing_all_with_the_reference(reference, seed):
    pool, held = RougePool(), texts(150, seed)
    for text in held:
        pool.add(text)
    for text in texts(8, seed + 100):
        scores = sorted((-reference(other, text), index) for index, other in enumerate(held))[:10]
        assert pool.nearest(text) == [(index, -score) for score, index in scores]


def test_words_are_the_references():
    for text in texts(50, 7):
        assert words(text) == tokenize(text, None)


def test_a_text_is_nearest_to_itself_and_an_empty_pool_has_no_nearest():
    pool = RougePool()
    assert pool.nearest("Name a bird.") == []
    pool.add("Name a bird.")
    pool.add("Name a bird or two.")
    assert pool.nearest("name a BIRD", most=1) == [(0, 1.0)]
    assert pool.nearest("", most=1) == [(0, 0.0)]


def test_equally_near_texts_come_in_the_order_of_the_pool():
    pool = RougePool()
    for number in range(200):
        pool.add(f"word{number} shared")
    assert [index for index, _ in pool.nearest("shared thing", most=5)] == [0, 1, 2, 3, 4]


def test_a_longer_text_cannot_hide_behind_a_bound():
    """A bag of the same words in the reverse order has the highest bound, and the lowest score."""
    pool = RougePool()
    for _ in range(100):
        pool.add("e d c b a")
    pool.add("a b x y z")
    (nearest,) = pool.nearest("a b c d e", most=1)
    assert nearest == (100, pytest.approx(0.4))


def test_the_common_subsequence_is_the_tables():
    random_numbers = np.random.default_rng(0)
    text = random_numbers.integers(0, 4, 30)
    others = [random_numbers.integers(0, 4, size) for size in (0, 1, 7, 40)]
    for other, found in zip(others, longest_common(text, others), strict=True):
        table = np.zeros((31, other.size + 1), int)
        for i in range(30):
            for j in range(other.size):
                same = text[i] == other[j]
                table[i + 1, j + 1] = table[i, j] + 1 if same else max(table[i, j + 1], table[i + 1, j])
        assert found == table[-1, -1]
