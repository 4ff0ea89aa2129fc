"""Damaged folders: each is refused in one line that names the file, or still says exactly what it said before."""

import json
import logging
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from instruct_jax.artifacts.checkpoint import parameters_folder
from instruct_jax.artifacts.saved_parameters import SavedParameters
from instruct_jax.convert.hf import GENERATION, import_hf, inspect
from instruct_jax.convert.tensor_files import INDEX, SINGLE
from instruct_jax.errors import InputError
from instruct_jax.model.rope import frequencies

# In the place of a value: other types, numbers that cannot be, nested nonsense.
NONSENSE = (
    None,
    "8",
    "",
    -1,
    0,
    1.5,
    True,
    [],
    {},
    [[[]]],
    {"a": {"b": 1}},
    10**30,
    2**40,
    1e308,
    float("nan"),
    float("inf"),
    "\ud800",
)


def reading(folder: Path):
    """All that an import would take from a folder."""
    found = inspect(folder)
    numbers = {name: (entry.kind, entry.shape, entry.read().tobytes()) for name, entry in found.entries.items()}
    for kind in set(found.config.spec.layer_kinds()):  # what is accepted can be built
        turns, multiplier = frequencies(kind.rope, found.config.spec.head_dim)
        assert np.isfinite(turns).all()
        assert np.isfinite(multiplier)
    return found.config.spec, found.config.family, found.generation.get("eos_token_id"), numbers


def refused(folder: Path, expected) -> bool:
    """Whether a folder is refused in one line; where it is not, it must say what is expected."""
    try:
        read = reading(folder)
    except InputError as error:
        message = str(error)
        assert message, "an error without words"
        assert "\n" not in message
        assert str(folder) in message or "HF folder" in message
        return True
    assert read == expected, "a damaged folder was read as another model"
    return False


def flipped(content: bytes, choose: random.Random, most: int) -> bytes:
    """The bytes with one to three bits of the first `most` bytes turned."""
    damaged = bytearray(content)
    for _ in range(choose.randrange(1, 4)):
        damaged[choose.randrange(min(most, len(damaged)))] ^= 1 << choose.randrange(8)
    return bytes(damaged)


def test_a_damaged_config_is_refused_or_means_the_same(make_hf, tiny):
    folder, choose = make_hf(tiny), random.Random(0)
    file = folder / "config.json"
    content, expected = file.read_bytes(), reading(folder)
    fields = json.loads(content)
    outcomes = []
    for case in range(500):
        kind = case % 5
        if kind == 0:
            damaged = flipped(content, choose, len(content))
        elif kind == 1:
            damaged = content[: choose.randrange(len(content) - 1)]
        elif kind == 2:  # another value, which may be a default: then the tensors must still fit
            key = choose.choice(sorted(fields))
            damaged = json.dumps({**fields, key: choose.choice(NONSENSE)}).encode()
        elif kind == 3:
            damaged = json.dumps(
                {**fields, choose.choice(("experts", "rope", "mup_scale", "x\n")): choose.choice(NONSENSE)}
            ).encode()
        else:
            start = choose.randrange(len(content))
            damaged = content[:start] + choose.randbytes(choose.randrange(1, 9)) + content[start:]
        file.write_bytes(damaged)
        outcomes.append(_refused_or_inert(folder, expected, content, damaged))
    assert sum(outcomes) > 400


def _refused_or_inert(folder: Path, expected, content: bytes, damaged: bytes) -> bool:
    """As `refused`; but a value that is allowed, as another epsilon is, is another model by right."""
    try:
        fields, before = json.loads(damaged), json.loads(content)
        changed = {key for key in set(fields) | set(before) if fields.get(key) != before.get(key)}
    except (ValueError, AttributeError, TypeError):
        changed = set()
    numbers_that_may_differ = {
        "rms_norm_eps",
        "rope_theta",
        "hidden_act",
        "eos_token_id",
        "model_type",
        "architectures",
        "rope_scaling",
    }
    if changed and changed <= numbers_that_may_differ:
        try:
            reading(folder)
        except InputError:
            return True
        return False
    return refused(folder, expected)


def test_damaged_generation_settings_are_refused_or_mean_what_they_say(make_hf, tiny):
    folder, choose = make_hf(tiny), random.Random(2)
    file = folder / GENERATION
    fields = {"bos_token_id": 1, "eos_token_id": [2, 3], "pad_token_id": 0, "top_k": 50}
    content, outcomes = json.dumps(fields).encode(), []
    for case in range(300):
        if case % 3 == 0:
            damaged = flipped(content, choose, len(content))
        elif case % 3 == 1:
            damaged = content[: choose.randrange(len(content) - 1)]
        else:
            damaged = json.dumps({**fields, choose.choice(sorted(fields)): choose.choice(NONSENSE)}).encode()
        file.write_bytes(damaged)
        try:
            read = inspect(folder).generation
            outcomes.append(False)
        except InputError as error:
            message = str(error)
            outcomes.append(str(file) in message and "\n" not in message)
            assert outcomes[-1], message
            continue
        ends = read.get("eos_token_id", [2])
        assert ends, "no end of texts is no key"
        assert all(type(one) is int and 0 <= one < tiny.vocab_size for one in ends)
    assert sum(outcomes) > 150


def test_a_damaged_header_is_refused_or_means_the_same(make_hf, tiny):
    folder, choose = make_hf(tiny), random.Random(1)
    file = folder / SINGLE
    content, expected = file.read_bytes(), reading(folder)
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    outcomes = []
    for case in range(500):
        kind = case % 5
        if kind == 0:
            damaged = flipped(content, choose, 8 + size)
        elif kind == 1:
            damaged = content[: choose.randrange(len(content) - 1)]
        elif kind == 2:
            length = choose.choice((0, 1, size - 1, size + 1, len(content), 2**31, 2**63, 2**64 - 1, 100_000_001))
            damaged = length.to_bytes(8, "little") + content[8:]
        else:
            name = choose.choice([name for name in header if name != "__metadata__"])
            changed = json.loads(json.dumps(header))
            entry = changed[name]
            if kind == 3:
                entry[choose.choice(("dtype", "shape", "data_offsets"))] = choose.choice(NONSENSE)
            else:
                numbers = entry[choose.choice(("shape", "data_offsets"))]
                numbers[choose.randrange(len(numbers))] += choose.choice((-1, 1, 2, 16, -(2**33), 2**63, 0.5))
            text = json.dumps(changed).encode()
            damaged = len(text).to_bytes(8, "little") + text + data
        file.write_bytes(damaged)
        outcomes.append(refused(folder, expected))
    assert sum(outcomes) > 400


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"null", b"{", b"\xff\xfe", b'{"model_type": "llama"', b"[" * 100_000])
def test_a_config_that_is_no_object_is_refused(make_hf, tiny, content):
    folder = make_hf(tiny)
    (folder / "config.json").write_bytes(content)
    with pytest.raises(InputError, match=r"config\.json"):
        inspect(folder)


def test_a_folder_without_config_or_tensors_is_refused(make_hf, tiny, tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        inspect(tmp_path / "nowhere")
    folder = make_hf(tiny)
    (folder / SINGLE).rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickled"):
        inspect(folder)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json"):
        inspect(folder)


def test_an_index_and_its_shards_must_agree(make_hf, tiny):
    folder = make_hf(tiny, max_bytes=400)
    file = folder / INDEX
    index, whole = json.loads(file.read_text()), reading(folder)
    names = sorted(set(index["weight_map"].values()))
    assert len(names) > 3
    some = next(iter(index["weight_map"]))

    def with_map(**changes):
        file.write_text(json.dumps({**index, "weight_map": {**index["weight_map"], **changes}}))

    for outside in (
        "../model.safetensors",
        "/etc/passwd",
        "a/b.safetensors",
        "..",
        "a\\b.safetensors",
        "x\0.safetensors",
        5,
        None,
        [],
    ):
        with_map(**{some: outside})
        with pytest.raises(InputError, match="no name of a safetensors file"):
            inspect(folder)
    with_map(**{some: names[-1]})
    with pytest.raises(InputError, match="which does not hold it"):
        inspect(folder)
    with_map(another=names[0])
    with pytest.raises(InputError, match="tensor another"):
        inspect(folder)
    with_map(**{some: "model-00009-of-00009.safetensors"})
    with pytest.raises(InputError, match="which is not in"):
        inspect(folder)
    left = {name: where for name, where in index["weight_map"].items() if name != some}
    file.write_text(json.dumps({**index, "weight_map": left}))
    with pytest.raises(InputError, match="does not list"):
        inspect(folder)
    for broken in ({}, [], None, {"a": 1}):
        file.write_text(json.dumps({**index, "weight_map": broken}))
        with pytest.raises(InputError):
            inspect(folder)
    with_map()
    shutil.copy(folder / names[0], folder / "again.safetensors")
    with_map(extra="again.safetensors")
    with pytest.raises(InputError, match="is both in"):
        inspect(folder)
    with_map()
    assert reading(folder) == whole
    shutil.copy(folder / names[0], folder / SINGLE)
    with pytest.raises(InputError, match="two models"):
        inspect(folder)


def test_an_imported_state_that_is_cut_short_is_one_line_that_says_to_import_again(make_hf, tiny, tmp_path):
    import_hf(make_hf(tiny), tmp_path / "run")
    table = parameters_folder(tmp_path / "run", 0) / "_METADATA"
    table.write_bytes(table.read_bytes()[:-40])
    with pytest.raises(InputError, match=f"make {tmp_path / 'run'} again") as caught:
        SavedParameters(tmp_path / "run", 0)
    assert "\n" not in str(caught.value)


def test_an_import_opens_without_a_word_in_the_log(make_hf, tiny, tmp_path, caplog):
    import_hf(make_hf(tiny), tmp_path / "run")
    caplog.clear()
    SavedParameters(tmp_path / "run", 0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_truncated_file_is_noticed_while_it_is_read(make_hf, tiny):
    folder = make_hf(tiny)
    found = inspect(folder)
    (folder / SINGLE).write_bytes((folder / SINGLE).read_bytes()[:-40])
    with pytest.raises(InputError, match="shorter"):
        [entry.read() for entry in found.entries.values()]
