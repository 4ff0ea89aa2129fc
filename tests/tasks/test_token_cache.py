"""The token cache gives back what it was given, and nothing that is not whole."""

import numpy as np
import pytest

from instruct_jax.tasks.preparing.token_cache import SUFFIX, Text, TokenCache, decode_text, encode_text, task_key, write_texts
from instruct_jax.text.chat import Rendered

KEYS = [task_key("a"), task_key("b")]


def _text(seed, rows=1):
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(rows):
        size = int(generator.integers(0, 30))
        tokens = generator.integers(0, 200_000 if seed % 2 else 60_000, size).astype(np.int32)
        weights = generator.integers(0, 2, size).astype(np.float32)
        made.append(Rendered(tokens, weights, ((0, size // 2),) if size > 1 else ()))
    return Text(tuple(made), seed - 1, seed % 3 - 1, bool(seed % 2))


def _same(one, other):
    assert (one.template, one.setting, one.document, len(one.rows)) == (
        other.template, other.setting, other.document, len(other.rows)
    )  # fmt: skip
    for mine, theirs in zip(one.rows, other.rows, strict=True):
        np.testing.assert_array_equal(mine.tokens, theirs.tokens)
        np.testing.assert_array_equal(mine.weights, theirs.weights)
        assert mine.trimmable == theirs.trimmable
        assert (mine.tokens.dtype, mine.weights.dtype) == (theirs.tokens.dtype, theirs.weights.dtype)


@pytest.mark.parametrize("seed", range(12))
def test_a_text_survives_its_bytes(seed):
    text = _text(seed, rows=1 + seed % 3)
    _same(decode_text(encode_text(text)), text)


def _written(folder, places):
    texts = {place: _text(number) for number, place in enumerate(places)}
    write_texts(folder, {place: encode_text(text) for place, text in texts.items()})
    return texts


def _found(cache, key, index, epoch):
    (number,) = cache.find(key, np.array([index]), np.array([epoch]))
    return None if number < 0 else cache.read(int(number))


def test_what_was_written_is_found_from_several_files_and_nothing_else(tmp_path):
    first = _written(tmp_path, [(KEYS[0], 5, 0), (KEYS[1], 5, 0), (KEYS[0], 5, 1), (KEYS[0], 1 << 41, 0)])
    second = _written(tmp_path, [(KEYS[1], 7, 2), (task_key("c"), 1, 0)])
    cache = TokenCache(tmp_path, KEYS)
    assert len(cache) == 5
    for (key, index, epoch), text in {**first, **second}.items():
        if key in KEYS:
            _same(_found(cache, key, index, epoch), text)
    for key, index, epoch in ((KEYS[0], 6, 0), (KEYS[0], 5, 2), (KEYS[1], 5, 1), (KEYS[1], 0, 0), (KEYS[0], 5, 1 << 20)):
        assert _found(cache, key, index, epoch) is None
    assert cache.refused == []


def test_a_cache_that_is_not_there_is_empty(tmp_path):
    cache = TokenCache(tmp_path / "none", KEYS)
    assert len(cache) == 0
    assert cache.find(KEYS[0], np.array([1, 2]), np.array([0, 0])).tolist() == [-1, -1]


def test_damage_anywhere_in_a_file_is_never_taken_for_a_text(tmp_path):
    place = (KEYS[0], 5, 0)
    text = _written(tmp_path, [place])[place]
    (file,) = tmp_path.glob(f"*{SUFFIX}")
    whole = file.read_bytes()
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        assert _found(TokenCache(tmp_path, KEYS), *place) is None, at
    for cut in (0, 3, 20, len(whole) - 1):
        file.write_bytes(whole[:cut])
        cache = TokenCache(tmp_path, KEYS)
        assert (len(cache), cache.refused) == (0, [file])
    file.write_bytes(whole)
    _same(_found(TokenCache(tmp_path, KEYS), *place), text)


def test_a_file_that_goes_away_is_only_missed(tmp_path):
    _written(tmp_path, [(KEYS[0], 5, 0)])
    cache = TokenCache(tmp_path, KEYS)
    (file,) = tmp_path.glob(f"*{SUFFIX}")
    file.unlink()
    assert _found(cache, KEYS[0], 5, 0) is None


def test_the_later_of_two_texts_of_one_place_is_found(tmp_path):
    """They differ only where one is damaged: what was made anew heals the cache."""
    place = (KEYS[0], 5, 0)
    _written(tmp_path, [place])
    (old,) = tmp_path.glob(f"*{SUFFIX}")
    old.write_bytes(old.read_bytes()[:-1] + b"\xff")
    newer = _written(tmp_path, [(KEYS[0], 4, 0), place])[place]
    _same(_found(TokenCache(tmp_path, KEYS), *place), newer)
