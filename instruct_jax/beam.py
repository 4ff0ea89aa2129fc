"""prepare on a cluster: the same recipe as an Apache Beam pipeline, a shard an element, the same bytes as on one machine.

    instruct-jax-beam --gin_file=gin_configs/recipes/t0_prepare.gin --gin.WORKDIR=gs://bucket/t0 -- --runner=...

What stands behind "--" is Beam's own: the runner and its options (DirectRunner, DataflowRunner, FlinkRunner, SparkRunner). It
needs an environment of its own (`make prepare-beam`). A worker is sent the recipe's text and evaluates it for itself, so this
package, the user's modules and the sources have to be within its reach. WORKDIR may be a URL that fsspec knows; on a cluster it
must be one, or a folder that all machines share. The token cache is not used.
"""

import functools
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import fsspec
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console

from instruct_jax.artifacts.dataset import resumable_partial
from instruct_jax.artifacts.manifest import NAME, versions
from instruct_jax.errors import InputError
from instruct_jax.program import QUIET, Arguments, bind, parse_arguments, read_recipe
from instruct_jax.progress import say
from instruct_jax.recipe_check import check_names
from instruct_jax.tasks.prepare import PACKAGES, arranged, arrangement, finish, prepare
from instruct_jax.tasks.preparing.counts import print_table
from instruct_jax.tasks.preparing.opening import OpenPreparation, open_preparation
from instruct_jax.tasks.preparing.preparation import is_finished
from instruct_jax.tasks.preparing.shard import ShardResult, result_file, write_shard


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status: 0, or 2 for bad input."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    given = list(sys.argv[1:] if arguments is None else arguments)
    ours, theirs = (given[: given.index("--")], given[given.index("--") + 1 :]) if "--" in given else (given, [])
    try:
        _prepare(parse_arguments(ours), theirs)
    except InputError as error:
        print(f"instruct-jax: {error}", file=sys.stderr)
        return 2
    return 0


def _prepare(arguments: Arguments, options: Sequence[str]) -> None:
    console, start = Console(), time.monotonic()
    text, values = _evaluated(arguments)
    workdir = str(values["workdir"])
    with tempfile.TemporaryDirectory() as scratch:
        job, tasks = arranged(**arrangement(values))
        description = job.description(tasks)
        store = Store(workdir)
        if is_finished(store.fetched_manifest(Path(scratch) / "found"), description):
            say(console, f"prepare: {workdir} is finished and was made from the same; it stays as it is")
            return
        made_by = versions(*PACKAGES)
        folder = Path(workdir) if store.is_local else Path(scratch) / "dataset"
        partial = resumable_partial(folder, {"identity": description["identity"], "versions": made_by})
        opened = open_preparation(job, tasks, partial / "scratch", cache=None)
        shards = str(partial) if store.is_local else workdir
        waiting = [number for number in range(opened.shards) if Store(shards).result(number) is None]
        say(console, f"prepare: {len(waiting):,} of {opened.shards:,} shards to make, with {' '.join(options) or 'DirectRunner'}")
        with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
            numbers = pipeline | beam.Create(waiting) | beam.Reshuffle()
            _ = numbers | "WriteShard" >> beam.ParDo(WriteShard(text, shards))
        results = [Store(shards).result(number) for number in range(opened.shards)]
        missing = [number for number, result in enumerate(results) if result is None]
        if missing:
            raise InputError(f"{shards}: shard {missing[0]} is not there, though the pipeline has ended; start it again")
        config = {"config": values["config"], "versions": made_by}
        check_words = values.get("check_words", False)
        manifest = finish(opened, results, partial, folder, {**description, **config}, console, check_words)
        if not store.is_local:
            store.finish(folder, opened.shards)
        print_table(manifest["tasks"], console)
        tokens, seconds = manifest["tokens"], time.monotonic() - start
        say(
            console,
            f"prepare: {workdir}: rows of {job.length} tokens, density {manifest['density']:.4f}; {tokens:,} tokens, of which "
            f"{manifest['supervised']:,} supervised, in {seconds:.1f} s",
        )


class WriteShard(beam.DoFn):
    """Writes the shard of a number, on whatever machine it finds itself.

    Args:
      text: the recipe's text.
      folder: path or URL of the folder to write to.
    """

    def __init__(self, text: str, folder: str):
        self._text, self._folder = text, folder

    def process(self, number: int) -> Iterator[int]:
        """Write one shard; yields its number."""
        with tempfile.TemporaryDirectory() as scratch:
            result = write_shard(_opened(self._text), number, Path(scratch))
            Store(self._folder).put(Path(scratch), [*result.files, result_file(number)])
        yield number


@functools.lru_cache(maxsize=1)
def _opened(text: str) -> OpenPreparation:
    """The preparation of a recipe, opened once in each worker process."""
    with tempfile.NamedTemporaryFile("w", suffix=".gin") as file:
        file.write(text)
        file.flush()
        _, values = _evaluated(Arguments(files=(file.name,)))
    job, tasks = arranged(**arrangement(values))
    return open_preparation(job, tasks, Path(tempfile.mkdtemp(prefix="prepare-")), cache=None)


def _evaluated(arguments: Arguments) -> tuple[str, dict[str, Any]]:
    recipe = read_recipe(arguments)
    check_names(recipe)
    bound = bind(recipe)
    if bound.program is not prepare:
        raise InputError(f"the recipe's program is {bound.program.__name__}; only prepare runs on Beam: give a recipe of it")
    return bound.text, bound.values()


class Store:
    """A folder of shards, local or behind a URL.

    Args:
      folder: its path or URL.
    """

    def __init__(self, folder: str):
        try:
            self._files, self._root = fsspec.core.url_to_fs(folder)
        except (ImportError, ValueError) as error:
            raise InputError(f"{folder} cannot be reached ({error}); install the driver of its file system") from None
        self.is_local = "://" not in folder

    def put(self, folder: Path, names: Sequence[str]) -> None:
        """Copy these files there, the last one last: where it lies, all do."""
        self._files.makedirs(self._root, exist_ok=True)
        for name in names:
            self._files.put_file(str(folder / name), f"{self._root}/{name}")

    def result(self, number: int) -> ShardResult | None:
        """The result of a shard whose files all lie there in their size; None where it has to be made."""
        try:
            result = ShardResult.from_json(json.loads(self._files.cat_file(f"{self._root}/{result_file(number)}")))
            sizes = {name: self._files.size(f"{self._root}/{name}") for name in result.files}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return result if all(known["bytes"] == sizes[name] for name, known in result.files.items()) else None

    def fetched_manifest(self, folder: Path) -> Path:
        """The folder itself where it is local; else one that holds what manifest there is."""
        if self.is_local:
            return Path(self._root)
        folder.mkdir()
        if self._files.exists(f"{self._root}/{NAME}"):
            self._files.get_file(f"{self._root}/{NAME}", str(folder / NAME))
        return folder

    def finish(self, folder: Path, shards: int) -> None:
        """Add what a local folder holds besides the shards, the manifest last, and remove the shards' results."""
        names = [str(file.relative_to(folder)) for file in sorted(folder.rglob("*")) if file.is_file() and file.name != NAME]
        for parent in {str(Path(name).parent) for name in names}:
            self._files.makedirs(f"{self._root}/{parent}", exist_ok=True)
        self.put(folder, [*names, NAME])
        for number in range(shards):
            self._files.rm_file(f"{self._root}/{result_file(number)}")
