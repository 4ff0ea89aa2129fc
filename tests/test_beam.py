"""prepare as a Beam pipeline gives the bytes that it gives on one machine; runs in the environment of `make prepare-beam`."""

import json
import shutil
import warnings
from pathlib import Path

import pytest

pytest.importorskip("apache_beam", reason="Beam has an environment of its own: make prepare-beam")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Beam's own, and its libraries'
    import fsspec

    from instruct_jax import beam, program

pytestmark = pytest.mark.filterwarnings("ignore")

SMALL = (
    "--gin.TOKENIZER=bytes",
    "--gin.EXAMPLES=700",
    "--gin.LENGTH=512",
    "--gin.ITEMS_PER_TEMPLATE=1",
    "--gin.TEXT_ITEMS=3",
    "--gin.EXAMPLES_PER_SHARD=250",
    "--gin.WORKERS=1",  # a process in which Beam has run holds threads of its own, and must not be forked
)


def _flags(repository, workdir, *more):
    return [f"--gin_file={repository / 'gin_configs/recipes/demo_prepare.gin'}", *SMALL, f"--gin.WORKDIR={workdir}", *more]


def _files(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(Path(folder).rglob("*")) if file.is_file()}


@pytest.fixture
def at_home(tmp_path, repository, monkeypatch):
    """The files that `prepare` itself writes, in a folder whose name the manifest holds."""
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    assert program.main(_flags(repository, "data", "--gin.CACHE=False")) == 0
    monkeypatch.chdir(tmp_path)
    return _files(tmp_path / "home" / "data")


@pytest.mark.parametrize(
    "options",
    [
        ("--runner=DirectRunner", "--direct_running_mode=in_memory"),
        ("--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2"),
    ],
)
def test_the_pipeline_gives_the_same_bytes(options, at_home, repository, tmp_path):
    assert beam.main([*_flags(repository, "data", "--gin.CACHE=False"), "--", *options]) == 0
    assert _files(tmp_path / "data") == at_home
    assert len([name for name in at_home if name.startswith("rows-")]) == 3


def test_a_url_holds_the_same_dataset(at_home, repository):
    assert beam.main(_flags(repository, "memory://bucket/data", "--gin.CACHE=False")) == 0
    files = fsspec.filesystem("memory")
    there = {name.removeprefix("/bucket/data/"): files.cat_file(name) for name in files.find("/bucket/data")}
    manifests = [json.loads(one.pop("manifest.json")) for one in (there, at_home)]
    assert there == at_home
    assert [one.pop("config").count("memory://bucket/data") for one in manifests] == [1, 0]
    assert manifests[0] == manifests[1]


def test_shards_that_an_interrupted_attempt_left_are_not_made_again(at_home, repository, tmp_path, monkeypatch, capsys):
    made = []
    write = beam.write_shard

    def failing(opened, number, folder):
        if len(made) == 2:
            raise RuntimeError("the machine is gone")
        made.append(number)
        return write(opened, number, folder)

    monkeypatch.setattr(beam, "write_shard", failing)
    flags = _flags(repository, "data", "--gin.CACHE=False")
    with pytest.raises(RuntimeError, match="the machine is gone"):
        beam.main(flags)
    assert not (tmp_path / "data").exists()
    monkeypatch.setattr(beam, "write_shard", write)
    assert beam.main(flags) == 0
    assert "1 of 3 shards to make" in capsys.readouterr().out
    assert _files(tmp_path / "data") == at_home


def test_a_finished_dataset_stays_as_it_is(at_home, repository, tmp_path, capsys):
    shutil.copytree(tmp_path / "home" / "data", tmp_path / "data")
    assert beam.main(_flags(repository, "data", "--gin.CACHE=False")) == 0
    assert "stays as it is" in capsys.readouterr().out
    assert _files(tmp_path / "data") == at_home


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--gin_file=gin_configs/recipes/t0_eval.gin", "--gin.CHECKPOINT=a", "--gin.DATASET=b"], "only prepare runs on Beam"),
        (["--gin_file=gin_configs/recipes/demo_prepare.gin", "--gin.TOKENIZER=none.model"], "none.model"),
        (["--gin_file=gin_configs/recipes/demo_prepare.gin", "--gin.TOKENIZER=bytes", "--gin.LENGHT=9"], "did you mean LENGTH"),
    ],
)
def test_bad_input_is_told_in_one_line(flags, message, tmp_path, capsys, repository, monkeypatch):
    monkeypatch.chdir(repository)
    assert beam.main([*flags, f"--gin.WORKDIR={tmp_path / 'data'}"]) == 2
    told = capsys.readouterr().err.strip()
    assert message in told
    assert "\n" not in told


def test_a_url_without_a_driver_is_refused(repository, capsys):
    assert beam.main(_flags(repository, "nowhere://bucket/data")) == 2
    assert "install the driver" in capsys.readouterr().err
