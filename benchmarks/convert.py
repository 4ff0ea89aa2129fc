"""Import and export of a random Llama, in wall time and peak memory, beside transformers' from_pretrained + save_pretrained.

    python benchmarks/convert.py                                    # 30 million parameters: seconds
    python benchmarks/convert.py --size 2b --reference PYTHON       # 2 billion; PYTHON has torch and transformers

Each of the three works runs in a process of its own, on sharded bfloat16 files, and is timed until all that it wrote is on
disk: transformers leaves that to the system. Peak memory is the process's largest resident set; what it held before it began,
after its imports, is given beside it. A line of JSON, with versions, machine and load, is appended to --results.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from instruct_jax.convert.config import read_config, write_config
from instruct_jax.convert.names import tensors
from instruct_jax.convert.tensor_files import Planned, read_folder, write_folder
from instruct_jax.model.spec import DecoderSpec

SIZES = {
    "small": DecoderSpec(embed=512, layers=8, heads=8, kv_heads=2, head_dim=64, mlp=1536, vocab_size=8192, tied=False),
    "2b": DecoderSpec(embed=2048, layers=32, heads=32, kv_heads=8, head_dim=64, mlp=8192, vocab_size=32000, tied=False),
}
# Files as large as published models have them would be one file only.
SHARD_BYTES = 1_000_000_000

# What each process does; {source} and {target} are folders.
WORKS = {
    "import": "from instruct_jax.convert import hf; work = lambda: hf.import_hf({source!r}, {target!r})",
    "export": "from instruct_jax.convert import export; work = lambda: "
    "export.export_hf({source!r}, {target!r}, max_shard_bytes={shard})",
    "transformers": "import torch; from transformers import AutoModelForCausalLM as Auto; work = lambda: "
    "Auto.from_pretrained({source!r}, dtype='auto').save_pretrained({target!r}, max_shard_size={shard})",
}
PACKAGES = {
    "import": ("jax", "orbax-checkpoint"),
    "export": ("jax", "orbax-checkpoint"),
    "transformers": ("torch", "transformers"),
}
MEASURE = """
import importlib.metadata, json, os, pathlib, platform, time
def kibibytes(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1])
before, start = kibibytes("VmRSS"), time.perf_counter()
load = os.getloadavg()[0]
work()
returned = time.perf_counter()
for file in pathlib.Path({target!r}).rglob("*"):
    if file.is_file():
        with open(file, "rb") as stream:
            os.fsync(stream.fileno())
print(json.dumps({{
    "seconds": time.perf_counter() - start, "returned_after": returned - start, "load": load,
    "peak_mib": kibibytes("VmHWM") / 1024, "before_mib": before / 1024,
    "versions": {{name: importlib.metadata.version(name) for name in {packages!r}}} | {{"python": platform.python_version()}},
}}))
"""


def make_folder(folder: Path, spec: DecoderSpec) -> None:
    """A random model as transformers would save it."""
    folder.mkdir(parents=True)
    family, content = write_config(spec, "bfloat16")
    (folder / "config.json").write_text(json.dumps(content, indent=2))
    planned = [Planned(one.name, np.dtype(jnp.bfloat16), one.shape) for one in tensors(spec, family)]
    random = np.random.default_rng(0)
    values = (random.standard_normal(one.shape, np.float32).astype(one.dtype) * jnp.bfloat16(0.02) for one in planned)
    write_folder(folder, planned, values, SHARD_BYTES)


def measure(python: str, work: str, source: Path, target: Path) -> dict[str, Any]:
    """Wall time and peak memory of one work in a process of its own."""
    given = {"source": str(source), "target": str(target), "shard": SHARD_BYTES, "packages": PACKAGES[work]}
    script = WORKS[work].format(**given) + MEASURE.format(**given)
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([python, "-c", script], stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def same(left: Path, right: Path) -> bool:
    """Whether two folders hold the same tensors, bit by bit, and mean the same model."""
    first, second = read_folder(left), read_folder(right)
    specs = [read_config(json.loads((one / "config.json").read_text()), "config.json").spec for one in (left, right)]
    return (
        specs[0] == specs[1]
        and set(first) == set(second)
        and all(np.array_equal(*(side[name].read().view(np.uint16) for side in (first, second))) for name in first)
    )


def main() -> None:
    """Make the folder, measure, print a table, append a line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--reference", help="a python with torch and transformers; without it they are left out")
    parser.add_argument("--folder", help="where to work; default: a temporary folder")
    parser.add_argument("--results", default="benchmarks/results/convert.jsonl")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="convert-") as name:
        folder = Path(name)
        source = folder / "hf"
        make_folder(source, SIZES[arguments.size])
        entries = read_folder(source)
        sizes = [int(np.prod(one.shape)) * one.dtype.itemsize for one in entries.values()]
        bound = (3 * max(sizes) + sum(sizes)) / 2**20
        print(f"{sum(sizes) / 2e9:.3f} billion parameters, largest tensor {max(sizes) / 2**20:,.0f} MiB; bound {bound:,.0f} MiB")
        runs = {"import": measure(sys.executable, "import", source, folder / "checkpoint")}
        runs["export"] = measure(sys.executable, "export", folder / "checkpoint", folder / "exported")
        assert same(source, folder / "exported"), "the exported tensors are others"
        if arguments.reference:
            runs["transformers"] = measure(arguments.reference, "transformers", source, folder / "reference")
    for work, run in runs.items():
        above = run["peak_mib"] - run["before_mib"]
        print(f"{work:13} {run['seconds']:7.1f} s   peak {run['peak_mib']:7,.0f} MiB, {above:7,.0f} above what it began with")
    line = {
        "time": time.strftime("%Y-%m-%d %H:%M"),
        "size": arguments.size,
        "parameters": sum(sizes) // 2,
        "bound_mib": round(bound, 1),
        **{
            work: {key: round(value, 2) if isinstance(value, float) else value for key, value in run.items()}
            for work, run in runs.items()
        },
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    Path(arguments.results).parent.mkdir(exist_ok=True)
    with open(arguments.results, "a") as stream:
        stream.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
