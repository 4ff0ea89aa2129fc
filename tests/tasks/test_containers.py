"""Containers: the same rows from every kind of file, folder and URL; damage is told in one line, never by a traceback."""

import csv
import gzip
import json
import random

import fsspec
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instruct_jax.errors import InputError
from instruct_jax.tasks.files import containers
from instruct_jax.tasks.files.containers import open_container
from instruct_jax.tasks.files.records import MalformedRow

# Ragged: empty text, line breaks, quotes, brackets within text, letters beyond ASCII, numbers of rows no batch divides.
ROWS = [{"prompt": f'q{n}: "[{{,}}"\n{"é" * (n % 5)}\\', "completion": "" if n % 7 == 0 else f"a,{n}"} for n in range(23)]


def json_array(file):
    file.write_text(json.dumps(ROWS, indent=2, ensure_ascii=False))


def json_lines(file):
    file.write_text("".join(json.dumps(row) + "\n" * (1 + n % 2) for n, row in enumerate(ROWS)))


def csv_table(file, delimiter=","):
    with open(file, "w", newline="") as stream:
        writer = csv.DictWriter(stream, list(ROWS[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(ROWS)


def tsv_table(file):
    csv_table(file, "\t")


def parquet(file):
    pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS), file, row_group_size=5)


def arrow_stream(file):
    table = pa.Table.from_pylist(ROWS)
    with pa.ipc.new_stream(str(file), table.schema) as writer:
        writer.write_table(table, max_chunksize=4)


def arrow_file(file):
    table = pa.Table.from_pylist(ROWS)
    with pa.ipc.new_file(str(file), table.schema) as writer:
        writer.write_table(table, max_chunksize=4)


def packed_by_gzip(write):
    def pack(file):
        write(file)
        file.write_bytes(gzip.compress(file.read_bytes()))

    return pack


def packed_by_zstd(write):
    def pack(file):
        write(file)
        content = file.read_bytes()
        with pa.output_stream(str(file), compression="zstd") as stream:
            stream.write(content)

    return pack


WRITERS = {
    "rows.json": json_array,
    "rows.jsonl": json_lines,
    "rows.ndjson": json_lines,
    "lines.json": json_lines,
    "array.jsonl": json_array,
    "rows.csv": csv_table,
    "rows.tsv": tsv_table,
    "rows.parquet": parquet,
    "stream.arrow": arrow_stream,
    "file.arrow": arrow_file,
    "rows.json.gz": packed_by_gzip(json_array),
    "rows.jsonl.gz": packed_by_gzip(json_lines),
    "rows.csv.gz": packed_by_gzip(csv_table),
    "rows.jsonl.zst": packed_by_zstd(json_lines),
    "rows.json.zst": packed_by_zstd(json_array),
}


@pytest.fixture
def write(tmp_path):
    """A function name -> the file of that name with the rows in it."""

    def written(name):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[name.rpartition("/")[2]](file)
        return file

    return written


@pytest.mark.parametrize("name", WRITERS)
def test_every_container_gives_the_same_rows_in_any_order(write, name):
    records = open_container(write(name))
    order = random.Random(0).sample(range(len(ROWS)), len(ROWS))
    assert records.size == len(ROWS)
    assert [records[index] for index in order] == [ROWS[index] for index in order]
    assert list(records.values("completion")) == [row["completion"] for row in ROWS]


@pytest.mark.parametrize(
    ("name", "where", "number"),
    [
        ("rows.jsonl", ":5", 5),  # the second line is followed by an empty one, and so is the fourth row's
        ("rows.json", " element 4", 4),
        ("rows.parquet", " row 4", 4),
        ("rows.csv", ":8", 8),  # three rows of two lines each under the first
    ],
)
def test_a_row_is_called_by_its_line_or_its_number_from_one(write, name, where, number):
    records = open_container(write(name))
    file, row = records.locate(3)
    assert records.where(3) == f"{file.name}{where}"
    assert file.number(row) == number


def test_identity_follows_content_and_not_the_folder(write, tmp_path):
    identities = [open_container(write(name)).identity() for name in ("rows.parquet", "elsewhere/rows.parquet")]
    assert identities[0] == identities[1]
    pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS[1:]), tmp_path / "rows.parquet")
    assert open_container(tmp_path / "rows.parquet").identity() != identities[0]


def test_a_packed_or_parquet_file_that_is_written_anew_is_read_anew(tmp_path):
    for name in ("rows.parquet", "rows.jsonl.gz"):
        WRITERS[name](tmp_path / name)
        assert open_container(tmp_path / name).size == len(ROWS)
    pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS[:3]), tmp_path / "rows.parquet")
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n'))
    assert open_container(tmp_path / "rows.parquet").size == 3
    assert open_container(tmp_path / "rows.jsonl.gz")[0] == {"a": 1}


def test_gzip_and_zstd_files_of_several_members_are_read_whole(tmp_path):
    for name in ("a.jsonl.gz", "a.jsonl.zst"):
        WRITERS["rows.jsonl.gz" if name.endswith("gz") else "rows.jsonl.zst"](tmp_path / name)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes() * 2)
        assert open_container(tmp_path / name).size == 2 * len(ROWS), name


def test_globs_and_lists_are_read_in_order(write, tmp_path):
    for name in ("b/rows.jsonl", "a/rows.jsonl"):
        write(name)
    (tmp_path / "a/rows.jsonl").write_text('{"n": 1}\n')
    assert open_container(str(tmp_path / "*/rows.jsonl"))[0] == {"n": 1}
    records = open_container([tmp_path / "b/rows.jsonl", tmp_path / "a/rows.jsonl"])
    assert (records[0], records[len(ROWS)]) == (ROWS[0], {"n": 1})


def test_a_folder_of_parquet_has_the_splits_that_its_names_tell(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "README.md").write_text("a card")
    for name, rows in (("train-00000-of-00002", ROWS[:5]), ("train-00001-of-00002", ROWS[5:]), ("test-00000-of-00001", ROWS[:2])):
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / f"data/{name}.parquet")
    assert [open_container(tmp_path)[index] for index in range(len(ROWS))] == ROWS
    assert open_container(tmp_path, "test").size == 2
    with pytest.raises(InputError, match="no split 'validation'; it has: test, train"):
        open_container(tmp_path, "validation")
    (tmp_path / "more.jsonl").write_text("{}")
    with pytest.raises(InputError, match=r"\.jsonl and in \.parquet"):
        open_container(tmp_path)


def save_to_disk(folder, rows):
    """The files that `datasets.Dataset.save_to_disk` writes, as its live comparison below has them."""
    folder.mkdir(parents=True)
    names = [f"data-{number:05}-of-00002.arrow" for number in range(2)]
    for name, part in zip(names, (rows[:4], rows[4:]), strict=True):
        table = pa.Table.from_pylist(part)
        with pa.ipc.new_stream(str(folder / name), table.schema) as writer:
            writer.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names], "_split": None}))
    (folder / "dataset_info.json").write_text("{}")


def test_folders_that_datasets_saved_are_read_with_their_splits(tmp_path):
    save_to_disk(tmp_path / "alone", ROWS)
    save_to_disk(tmp_path / "dict/train", ROWS)
    save_to_disk(tmp_path / "dict/test", ROWS[:6])
    (tmp_path / "dict/dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert [open_container(tmp_path / "alone")[index] for index in range(len(ROWS))] == ROWS
    assert open_container(tmp_path / "dict").size == len(ROWS)
    assert open_container(tmp_path / "dict", "test").size == 6
    with pytest.raises(InputError, match="no split 'dev'; it has: test, train"):
        open_container(tmp_path / "dict", "dev")
    (tmp_path / "alone/data-00001-of-00002.arrow").unlink()
    with pytest.raises(InputError, match=r"lacks data-00001-of-00002\.arrow, which its state\.json names"):
        open_container(tmp_path / "alone")


def test_what_datasets_writes_is_what_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_list(ROWS)
    whole.save_to_disk(str(tmp_path / "alone"), num_shards=2)
    datasets.DatasetDict({"train": whole, "test": whole.select([5, 3])}).save_to_disk(str(tmp_path / "dict"))
    whole.to_parquet(str(tmp_path / "hub/data/train-00000-of-00001.parquet"))
    for folder in ("alone", "dict", "hub"):
        assert [open_container(tmp_path / folder)[index] for index in range(len(ROWS))] == ROWS
    assert [open_container(tmp_path / "dict", "test")[index] for index in range(2)] == [ROWS[5], ROWS[3]]


def test_urls_are_read_through_their_driver(write):
    files = fsspec.filesystem("memory")
    for name in ("rows.jsonl.gz", "rows.parquet", "rows.jsonl"):
        files.pipe(f"/bucket/{name}", write(name).read_bytes())
    files.pipe("/bucket/hub/data/train-0.parquet", write("rows.parquet").read_bytes())
    for url in ("memory://bucket/rows.jsonl.gz", "memory://bucket/*.parquet", "memory://bucket/hub"):
        records = open_container(url)
        assert records[7] == ROWS[7]
        assert records.where(7).startswith("memory://"), "errors name the URL and not its copy"
    with pytest.raises(InputError, match=r"no file matches memory://bucket/none\*; check the URL"):
        open_container("memory://bucket/none*")


def test_a_url_without_its_driver_says_what_to_install(monkeypatch):
    def missing(url, **_):
        raise ImportError(f"Please install gcsfs to access {url}")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(InputError, match=r"gs://bucket/a\.jsonl: the driver for gs:// is not installed; pip install gcsfs"):
        open_container("gs://bucket/a.jsonl")


def test_an_unknown_protocol_is_told():
    with pytest.raises(InputError, match=r"nowhere://a\.jsonl cannot be read"):
        open_container("nowhere://a.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"PK\3\4", "is of no known kind; expected JSON, JSONL, CSV"),
        ("a.parquet", b"not parquet", "does not begin as a file of its kind does"),
        ("a.parquet", b"PAR1 and no more PAR1", "is damaged"),
        ("a.json", b"nonsense", "is not valid JSON"),
        ("a.json", b'[{"a": 1}', r"is not valid JSON \(the array does not end\)"),
        ("a.json", b'[{"a": 1}] {"b": 2}', r"is not valid JSON \(more follows the array\)"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99)[:-9], "is damaged"),
        ("a.csv", b"", "is empty; expected a first row"),
        ("a.csv", b"a;b\n1;2\n", "names one field, 'a;b'; expected commas between values"),
        ("a.tsv", b"a,b\n1,2\n", "names one field, 'a,b'; expected tabs between values"),
        ("a.csv", b"a,a\n1,2\n", "names the field 'a'; expected names, each of them once"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}.*{message}"):
        open_container(tmp_path / name)


def test_a_file_that_may_not_be_opened_is_named(tmp_path, monkeypatch):
    def refuse(path, name):
        del name
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(containers, "unpacked", refuse)  # root may open everything
    (tmp_path / "a.jsonl").write_text('{"a": 1}')
    with pytest.raises(InputError, match=r"a\.jsonl cannot be read \(Permission denied\); check its permissions"):
        open_container(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"a,b\n1,2\n3\n5,6\n", r"a\.csv:3: 1 values; expected 2"),
        ("a.csv", b'a,b\n1,2\n"x"y,2\n5,6\n', r"a\.csv:3: not valid CSV"),
        ("a.csv", b"a,b\n1,2\n\xff,2\n5,6\n", r"a\.csv:3: not valid CSV"),
        ("a.json", b'[{"a": "1"}, {"a": nothing}, {"a": "5"}]', r"a\.json element 2: not valid JSON"),
        ("a.json", b'[{"a": "1"}, [2], {"a": "5"}]', r"a\.json element 2: expected a JSON object"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_its_neighbours_are_read(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    records = open_container(tmp_path / name)
    assert (records.size, records[0]["a"], records[2]["a"]) == (3, "1", "5")
    with pytest.raises(MalformedRow, match=message):
        records[1]


def test_csv_values_may_be_longer_than_the_readers_own_limit(tmp_path):
    (tmp_path / "a.csv").write_text("\ufefftext,n\n" + "word " * 50_000 + ",1\n")
    records = open_container(tmp_path / "a.csv")
    assert (len(records[0]["text"]), records[0]["n"]) == (250_000, "1")
    assert csv.field_size_limit() == 131_072, "the limit is as it was for everyone else"


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_and_never_fails_otherwise(tmp_path_factory, name, data):
    file = tmp_path_factory.mktemp("damaged") / name
    WRITERS[name](file)
    content = bytearray(file.read_bytes())
    if data.draw(st.booleans(), "cut"):
        del content[data.draw(st.integers(0, len(content)), "at") :]
    for _ in range(data.draw(st.integers(0, 4), "changes")):
        if content:
            content[data.draw(st.integers(0, len(content) - 1), "place")] = data.draw(st.integers(0, 255), "byte")
    file.write_bytes(content)
    records, refusal = None, ""
    try:
        records = open_container(file)
    except InputError as error:
        refusal = str(error)
    assert records is not None or (str(file) in refusal and "\n" not in refusal)
    for index in range(records.size if records else 0):
        row, refusal = None, ""
        try:
            row = records[index]
        except MalformedRow as error:
            refusal = str(error)
        assert isinstance(row, dict) or refusal.startswith(records.where(index))
