"""Words and their runs: what is compared, and hashes that are equal exactly where the words are."""

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from instruct_jax.curation.words import composed, ngram_hashes, word_hashes, word_places, words


@given(st.text(max_size=200))
def test_places_hashes_and_words_are_aligned(text):
    found, places = words(text), word_places(text)
    assert len(found) == len(places) == word_hashes(text).size
    for word, (start, end) in zip(found, places, strict=True):
        assert words(composed(text)[start:end]) == [word]


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 15))
def test_runs_have_equal_hashes_exactly_where_their_words_are_equal(letters, n):
    hashes = ngram_hashes(word_hashes(" ".join(letters)), n)
    runs = [tuple(letters[k : k + n]) for k in range(len(letters) - n + 1)]
    assert hashes.size == len(runs)
    assert len(set(hashes.tolist())) == len(set(runs))
    assert len(set(zip(hashes.tolist(), runs, strict=True))) == len(set(runs))


def test_case_punctuation_spaces_and_composition_do_not_matter():
    assert words("The CAT, sat…") == words("the—cat\n sat") == ["the", "cat", "sat"]
    assert words("cafe\u0301") == words("caf\u00e9") == words("CAF\u00c9")
    assert words("straße") == words("STRASSE")
    assert words("ｆｕｌｌ") == ["full"]


def test_a_script_without_spaces_has_a_word_a_character():
    assert words("東京2020に") == ["東", "京", "2020", "に"]


def test_a_text_without_letters_has_no_words():
    assert words(" …!? _") == []
    assert ngram_hashes(word_hashes(" …"), 3).size == 0


def test_hashes_are_the_same_in_every_process():
    script = "from instruct_jax.curation.words import word_hashes; print(word_hashes('one two').tolist())"
    other = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert other.stdout.strip() == str(word_hashes("one two").tolist())


def test_ten_thousand_words_have_ten_thousand_hashes():
    hashes = word_hashes(" ".join(f"w{k}" for k in range(10_000)))
    assert np.unique(hashes).size == 10_000
