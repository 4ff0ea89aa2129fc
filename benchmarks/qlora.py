"""Memory of a LoRA step over a base held in fp32, bf16, int8 and nf4: how much of it is dense at a time.

    python benchmarks/qlora.py                       # width 1,024, 4 and 8 layers, one row of 32 tokens: a minute, no weights
    python benchmarks/qlora.py --width 512 --layers 2 4

Steps are compiled, not run: XLA's own account of the compiled program (`memory_analysis`) says what it needs beside its
arguments. With few tokens activations are small, so that what is left is weights. Were the whole base dense at a time, that
would grow with each layer by the bytes of a dense layer; "growth" is what it does grow by. A line of JSON is appended to
--results for each base.
"""

import argparse
import json
import os
import platform
import time

import jax
import jax.numpy as jnp

from instruct_jax.artifacts.manifest import versions
from instruct_jax.core import mesh as meshes
from instruct_jax.core import trees
from instruct_jax.core.batch import Batch
from instruct_jax.model.loading import DecoderSource
from instruct_jax.model.lora import Lora
from instruct_jax.model.lora_source import LoraSource
from instruct_jax.model.quantised import FORMATS, Quantisation
from instruct_jax.model.spec import DecoderSpec
from instruct_jax.objectives.supervised import CrossEntropy
from instruct_jax.train import optimizer
from instruct_jax.train.state import abstract_state
from instruct_jax.train.step import make_train_step

BASES = ("float32", "bfloat16", *FORMATS)
VOCABULARY = 4096


def measure(base: str, remat: str, width: int, layers: int, tokens: int) -> dict[str, int]:
    """Bytes of a compiled step: of the frozen parameters, of those trained with their moments, and of all else at its peak."""
    heads = width // 64
    spec = DecoderSpec(
        embed=width, layers=layers, heads=heads, kv_heads=heads, head_dim=64, mlp=4 * width, vocab_size=VOCABULARY, tied=False
    )
    quantisation = Quantisation(base) if base in FORMATS else None
    dtype = "bfloat16" if quantisation else base
    source = LoraSource(DecoderSource(spec, remat=remat), Lora(rank=8), dtype, quantisation)
    mesh = meshes.make_mesh()
    schedule = optimizer.warmup_constant(1e-4)
    blueprint, shapes = abstract_state(source, optimizer.adamw(schedule), mesh)
    step = make_train_step(blueprint, CrossEntropy(), optimizer.adamw(schedule), microbatches=1, seed=0)
    shardings = jax.tree.map(lambda shape: shape.sharding, shapes)
    integers = jax.ShapeDtypeStruct((1, tokens), jnp.int32)
    batch = Batch(integers, integers, integers, jax.ShapeDtypeStruct((1, tokens), jnp.float32))
    # Never run, so LLVM need not optimise it; buffers are assigned before LLVM sees the program.
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    with jax.set_mesh(mesh):
        lowered = jax.jit(step, donate_argnums=0, out_shardings=(shardings, None)).lower(shapes, batch)
        memory = lowered.compile(options).memory_analysis()
    return {
        "frozen": trees.size(shapes.frozen),
        "trained": trees.size((shapes.trainable, shapes.opt_state)),
        "temporary": memory.temp_size_in_bytes,
    }


def main() -> None:
    """Compile, print a table, append lines."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--layers", type=int, nargs=2, default=(4, 8), help="two depths; the growth is between them")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--remat", default="full", help="what the backward pass keeps")
    parser.add_argument("--results", default="benchmarks/results/qlora.jsonl")
    arguments = parser.parse_args()
    few, many = arguments.layers
    layer = 4 * 16 * arguments.width**2  # four products of width by width, three of width by four times that, in fp32
    print(f"one dense layer in fp32: {layer / 2**20:.1f} MiB; remat {arguments.remat}; {many} layers; MiB")
    print(f"{'base':10}{'frozen':>10}{'trained':>10}{'temporary':>12}{'growth a layer':>16}")
    os.makedirs(os.path.dirname(arguments.results) or ".", exist_ok=True)
    for base in BASES:
        less, more = (measure(base, arguments.remat, arguments.width, count, arguments.tokens) for count in (few, many))
        growth = (more["temporary"] - less["temporary"]) // (many - few)
        cells = (more["frozen"], more["trained"], more["temporary"], growth)
        print("{:10}{:10.1f}{:10.1f}{:12.1f}{:16.2f}".format(base, *(cell / 2**20 for cell in cells)), flush=True)
        line = {
            "time": time.strftime("%Y-%m-%d %H:%M"),
            "base": base,
            **{name: getattr(arguments, name) for name in ("width", "tokens", "remat")},
            "layers": many,
            "dense_layer_bytes": layer,
            **{f"{name}_bytes": value for name, value in more.items()},
            "growth_per_layer_bytes": growth,
            "platform": jax.default_backend(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "versions": versions("jax", "flax", "instruct-jax"),
        }
        with open(arguments.results, "a") as stream:
            stream.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
