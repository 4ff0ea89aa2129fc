"""Sources: the same records by index and through tf.data; a broken row is named by file and line."""

import json

import pytest
import seqio

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.records import MalformedRow
from instruct_jax.tasks.identity import function_identity
from instruct_jax.tasks.instruct import plain
from instruct_jax.tasks.sources import Generated, JsonLines

ROWS = [
    {"text": "one", "label": 1, "tags": ["a", "b"]},
    {"text": "", "label": 0, "tags": []},
    {"text": "dé\n", "label": 2, "tags": ["c"]},
]


@pytest.fixture
def files(tmp_path):
    """Two files of lines, with empty lines between, and one array."""
    (tmp_path / "a.jsonl").write_text(json.dumps(ROWS[0]) + "\n\n" + json.dumps(ROWS[1]))
    (tmp_path / "b.jsonl").write_text("\n" + json.dumps(ROWS[2], ensure_ascii=False) + "\n")
    (tmp_path / "c.json").write_text(json.dumps(ROWS))
    return tmp_path


def test_records_by_index_are_the_rows_of_all_files_in_order(files):
    source = JsonLines({"train": str(files / "*.jsonl"), "test": [files / "c.json", files / "a.jsonl"]})
    records = source.records("train")
    assert [records[index] for index in range(records.size)] == ROWS
    assert [records.where(index).rpartition("/")[2] for index in range(3)] == ["a.jsonl:1", "a.jsonl:3", "b.jsonl:2"]
    assert source.num_input_examples("test") == 5
    assert source.records("test")[4] == ROWS[1]


def test_records_by_index_and_through_tf_data_are_the_same(files):
    source = JsonLines({"train": str(files / "*.jsonl")})
    assert [plain(row) for row in source.get_dataset("train").as_numpy_iterator()] == ROWS


def test_one_field_can_be_read_in_one_pass(files):
    records = JsonLines({"train": [files / "a.jsonl", files / "c.json"]}).records("train")
    assert list(records.values("label")) == [1, 0, 1, 0, 2]
    assert list(records.values("nothing")) == [None] * 5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "cut', r"bad\.jsonl:3: not valid JSON"),
        ('{"text": "half \\ud83d"}', r"bad\.jsonl:3: not valid JSON"),
        ('["a", "list"]', r"bad\.jsonl:3: expected a JSON object with fields, got list"),
    ],
)
def test_a_broken_row_is_named_by_file_and_line_and_the_others_can_be_read(tmp_path, line, message):
    good = json.dumps({"text": "good"})
    (tmp_path / "bad.jsonl").write_text(f"{good}\n{good}\n{line}\n{good}\n")
    records = JsonLines({"train": str(tmp_path / "bad.jsonl")}).records("train")
    assert records[3] == {"text": "good"}
    with pytest.raises(MalformedRow, match=message):
        records[2]


def test_a_file_that_is_written_anew_is_read_anew(tmp_path):
    file = tmp_path / "a.jsonl"
    contents = []
    for text in ("first", "second"):
        file.write_text(json.dumps({"text": text}))
        contents.append(JsonLines({"train": str(file)}).records("train")[0]["text"])
    assert contents == ["first", "second"]


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is not valid JSON"), ('{"a": 1}', "holds a dict; expected an array")],
)
def test_an_array_file_that_is_none_is_named(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=message):
        JsonLines({"train": str(tmp_path / "a.json")}).records("train")


def test_missing_files_and_splits_are_named(files):
    with pytest.raises(InputError, match=r"no file matches .*none-\*\.jsonl"):
        JsonLines({"train": str(files / "none-*.jsonl")}).records("train")
    with pytest.raises(InputError, match="no split 'valid'; it has: train"):
        JsonLines({"train": str(files / "a.jsonl")}).records("valid")


def test_a_sources_identity_follows_the_content_of_its_files_and_not_their_folder(files, tmp_path):
    def identity(folder):
        return JsonLines({"train": str(folder / "*.jsonl")}).identity("train")

    before = identity(files)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in files.glob("*.jsonl"):
        (elsewhere / file.name).write_bytes(file.read_bytes())
    assert identity(elsewhere) == before
    (elsewhere / "b.jsonl").write_text(json.dumps(ROWS[0]))
    assert identity(elsewhere) != before


def test_generated_records_are_a_function_of_index_and_split():
    source = Generated(lambda index, split: {"text": f"{split} {index}"}, size=3)
    assert source.records("test")[2] == {"text": "test 2"}
    assert [row["text"] for row in source.get_dataset("train").as_numpy_iterator()] == [b"train 0", b"train 1", b"train 2"]


def test_a_generated_sources_identity_follows_its_code_and_its_version():
    def one(index, split):
        return {"text": f"{split} {index}"}

    def two(index, split):
        return {"text": f"{index} {split}"}

    same = Generated(one).identity("train")
    assert Generated(one).identity("train") == same
    for other in (Generated(two), Generated(one, size=3), Generated(one, version="2")):
        assert other.identity("train") != same


def _keep(limit, after=lambda row: row):
    return lambda row: after(row) if row["n"] < limit else None


def _keep_by_default(row, limit=5):
    return row if row["n"] < limit else None


def test_a_functions_identity_follows_what_it_closes_over_and_its_defaults():
    assert function_identity(_keep(5)) == function_identity(_keep(5))
    assert function_identity(_keep(5)) != function_identity(_keep(500))
    assert function_identity(_keep(5, _keep(1))) != function_identity(_keep(5, _keep(2)))
    before = function_identity(_keep_by_default)
    _keep_by_default.__defaults__ = (6,)
    assert function_identity(_keep_by_default) != before


def test_a_function_that_closes_over_itself_has_an_identity():
    def count(row):
        return count(row - 1) if row else 0

    assert "itself" in str(function_identity(count))


def test_an_endless_source_has_no_size_and_runs_on_through_tf_data():
    source = Generated(lambda index, _split: {"n": index})
    assert source.num_input_examples("train") is None
    rows = source.get_dataset("train").skip(1_000).take(1).as_numpy_iterator()
    assert [row["n"] for row in rows] == [1_000]


def test_sources_are_seqio_sources(files):
    assert isinstance(JsonLines({"train": str(files / "a.jsonl")}), seqio.DataSource)
    assert JsonLines({"train": str(files / "a.jsonl")}).splits == ("train",)
