"""prepare at scale: a mixture of very many procedural tasks; time to the first row, throughput, memory, and realised shares.

    python benchmarks/prepare_mixture.py                                        # 50 tasks, 20,000 examples: seconds
    python benchmarks/prepare_mixture.py --tasks 2000 --examples 1000000 --workers 1 2

Tasks are the suite's datasets again and again under other names, at rates that fall from 10 to 1. Each run is a process of
its own, timed from its start, imports included. A line of JSON is appended to --results for each: seconds to the first row
and in all, tokens a second of all that time, density, peak memory (largest resident set, MiB) of the process and of its
largest worker, the chi-square of realised against asked shares with its p, versions, machine and load.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIRST_ROW = "prepare: first row"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--length", type=int, default=1_024)
    parser.add_argument("--tokenizer", default="bytes")
    parser.add_argument("--cache", action="store_true", help="write the token cache as well, as the command does")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/prepare_mixture.jsonl"))
    parser.add_argument("--work", type=Path, help="do one run in this process, in this folder")
    arguments = parser.parse_args()
    if arguments.work is not None:
        work(arguments)
        return
    for workers in arguments.workers:
        with tempfile.TemporaryDirectory() as folder:
            found = timed(workers, Path(folder))
        line = {"workers": workers, "tasks": arguments.tasks, "examples": arguments.examples, **found, **surroundings()}
        print(json.dumps(line))
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        with open(arguments.results, "a") as stream:
            stream.write(json.dumps(line) + "\n")


def timed(workers: int, folder: Path) -> dict:
    """One run in a process of its own: what it reports of itself, and when its first row and its end came."""
    start, first = time.monotonic(), None
    command = [sys.executable, __file__, *without_workers(sys.argv[1:]), "--workers", str(workers), "--work", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            print(line, end="", file=sys.stderr)
            if line.startswith(FIRST_ROW):
                first = time.monotonic() - start
            last = line
    if running.returncode:
        raise SystemExit(running.returncode)
    seconds = time.monotonic() - start
    found = json.loads(last)
    return {
        "first_row_seconds": round(first, 1),
        "seconds": round(seconds, 1),
        "tokens_per_second": round(found["tokens"] / seconds),
        **found,
    }


def without_workers(words: list[str]) -> list[str]:
    """The command's words without the option that differs between its runs."""
    kept, inside = [], False
    for word in words:
        inside = word == "--workers" or (inside and not word.startswith("--"))
        kept += [] if inside else [word]
    return kept


def work(arguments: argparse.Namespace) -> None:
    """Register, prepare, and print what came of it as the last line."""
    import seqio

    from instruct_jax.artifacts.manifest import read_manifest
    from instruct_jax.tasks.instruct import Instruct, text_features
    from instruct_jax.tasks.prepare import prepare
    from instruct_jax.tasks.sources import Generated
    from instruct_jax.tasks.suite import collection
    from instruct_jax.text.chat import INSTRUCT

    rates = []
    for number in range(arguments.tasks):
        dataset = collection.DATASETS[number % len(collection.DATASETS)]
        name = f"copy_{number:04d}"
        seqio.TaskRegistry.add(
            name,
            source=Generated(dataset.record, version="1"),
            preprocessors=[Instruct(dataset.templates, dataset.cluster, f"{dataset.name}_{number}", dataset.metrics)],
            output_features=text_features(),
        )
        rates.append((name, 10.0 - 9.0 * number / arguments.tasks))
    seqio.MixtureRegistry.add("copies", rates)
    (workers,) = arguments.workers
    folder = arguments.work / "dataset"
    prepare(
        str(folder), "copies", arguments.tokenizer, INSTRUCT, arguments.length, 0, arguments.examples, workers=workers,
        cache=None if arguments.cache else False,
    )  # fmt: skip

    import numpy as np
    import scipy.stats

    manifest = read_manifest(folder, "dataset")
    realised = np.array([task["examples"] for task in manifest["tasks"]])
    asked = np.array([task["share"] for task in manifest["tasks"]]) * realised.sum()
    chi_square, p = scipy.stats.chisquare(realised, asked)
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    found = {
        "tokens": manifest["tokens"],
        "rows": manifest["rows"],
        "density": round(manifest["density"], 4),
        "process_mib": round(peaks[0]),
        "largest_worker_mib": round(peaks[1]),
        "chi_square": round(float(chi_square), 3),
        "degrees_of_freedom": len(realised) - 1,
        "p": round(float(p), 4),
    }
    print(json.dumps(found))


def surroundings() -> dict:
    """Machine, load and version, so that figures can be judged."""
    load = [round(one, 2) for one in os.getloadavg()]
    return {"python": platform.python_version(), "cores": len(os.sched_getaffinity(0)), "load": load}


if __name__ == "__main__":
    main()
