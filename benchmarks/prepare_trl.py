"""prepare beside TRL's SFTTrainer: the same rows, the same tokenizer, tokens to packed rows, with one and two processes.

    python benchmarks/prepare_trl.py --data $INSTRUCT_JAX_DATA --reference .venv-parity/bin/python

The rows are those of recipes/mixed_prepare.gin: T0, GSM8K and the chosen side of preference pairs, zero-shot, few-shot and
with reasoning. TRL is handed them ready made, as {"prompt", "completion"}; prepare also reads its sources, picks wordings and
exemplars and writes its dataset to disk. The tokenizer is a byte-level BPE of 8,192 learned from these rows. TRL packs with
its "bfd" strategy at the same length, and is timed from its call to the trainer in hand; its imports and the loading of the
rows are told apart. The two alternate, `--repeats` times each; a line of JSON with medians is appended to --results for each
number of processes. Memory is the sum over a process and its children of what is theirs (proportional set size), sampled.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

RECIPE = "gin_configs/recipes/mixed_prepare.gin"
VOCABULARY = 8_192
SAMPLED_EVERY = 3.0  # seconds: to be told its share, a process is stopped for a while

TRL = """
import json, sys, time
start = time.monotonic()
import datasets, torch, transformers, trl
folder, workers, length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
imported = time.monotonic()
tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer/tokenizer.json", bos_token="<s>",
                                                 eos_token="</s>", pad_token="</s>")
rows = datasets.load_dataset("json", data_files=f"{folder}/rows.jsonl", split="train", cache_dir=f"{folder}/cache")
config = transformers.LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                                  num_attention_heads=1)
model = transformers.LlamaForCausalLM(config)
arguments = trl.SFTConfig(output_dir=f"{folder}/out", packing=True, packing_strategy="bfd", max_length=length, report_to=[],
                          dataset_num_proc=workers, use_cpu=True, bf16=False)
loaded = time.monotonic()
trainer = trl.SFTTrainer(model=model, args=arguments, train_dataset=rows, processing_class=tokenizer)
done = time.monotonic()
packed = trainer.train_dataset
tokens = sum(map(len, packed["input_ids"]))
print(json.dumps({"import_seconds": imported - start, "load_seconds": loaded - imported, "prepare_seconds": done - loaded,
                  "tokens": tokens, "rows": len(packed), "density": tokens / len(packed) / length,
                  "versions": {"trl": trl.__version__, "transformers": transformers.__version__}}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("INSTRUCT_JAX_DATA", "../shared/data")))
    parser.add_argument("--reference", default=".venv-parity/bin/python", help="a Python with TRL")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--length", type=int, default=1_024)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/prepare_trl.jsonl"))
    parser.add_argument("--write-rows", type=Path, help="only write the rows and the tokenizer to this folder")
    arguments = parser.parse_args()
    if arguments.write_rows is not None:
        write_rows(arguments.data, arguments.write_rows)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, __file__, "--data", str(arguments.data), "--write-rows", str(folder)]
        subprocess.run(command, check=True, stdout=sys.stderr)  # a process of its own: its memory is not ours
        for workers in arguments.workers:
            runs: dict[str, list[dict]] = {"ours": [], "trl": []}
            for repeat in range(arguments.repeats):
                runs["ours"].append(ours(arguments, folder, workers, repeat))
                runs["trl"].append(theirs(arguments, folder, workers))
                print(json.dumps({who: found[-1] for who, found in runs.items()}), file=sys.stderr)
            line = {"workers": workers, "length": arguments.length, **{who: medians(found) for who, found in runs.items()}}
            for kind in ("prepare_seconds", "process_seconds"):
                line[f"{kind}_ratio"] = round(line["trl"][kind] / line["ours"][kind], 2)
            line |= {"python": platform.python_version(), "cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
            print(json.dumps(line))
            arguments.results.parent.mkdir(parents=True, exist_ok=True)
            with open(arguments.results, "a") as stream:
                stream.write(json.dumps(line) + "\n")


def ours(arguments: argparse.Namespace, folder: Path, workers: int, repeat: int) -> dict:
    """The shipped command on the shipped recipe, without the token cache."""
    workdir = folder / f"ours-{workers}-{repeat}"
    command = [sys.executable, "-m", "instruct_jax", *recipe_flags(arguments.data, folder / "tokenizer")]
    command += [f"--gin.WORKDIR={workdir}", f"--gin.WORKERS={workers}", f"--gin.LENGTH={arguments.length}", "--gin.CACHE=False"]
    output, seconds, mib = measured(command)
    manifest = json.loads((workdir / "manifest.json").read_text())
    told = float(output.strip().splitlines()[-1].rpartition(" in ")[2].partition(" s")[0])
    return {
        "process_seconds": seconds,
        "prepare_seconds": told,
        "tokens": manifest["tokens"],
        "tokens_per_second": manifest["tokens"] / told,
        "density": manifest["density"],
        "mib": mib,
    }


def theirs(arguments: argparse.Namespace, folder: Path, workers: int) -> dict:
    """SFTTrainer's own preparation, its cache emptied."""
    subprocess.run(["rm", "-rf", str(folder / "cache")], check=True)
    command = [arguments.reference, "-c", TRL, str(folder), str(workers), str(arguments.length)]
    output, seconds, mib = measured(command)
    found = json.loads(output.strip().splitlines()[-1])
    return {**found, "process_seconds": seconds, "tokens_per_second": found["tokens"] / found["prepare_seconds"], "mib": mib}


def measured(command: list[str]) -> tuple[str, float, float]:
    """What a command prints, its seconds, and the most MiB that it and its children held at once."""
    start, peak = time.monotonic(), 0.0
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as running,
    ):
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(running.stdout))
        reader.start()
        while running.poll() is None:
            peak = max(peak, held_mib(running.pid))
            time.sleep(SAMPLED_EVERY)
        reader.join()
        if running.returncode:
            errors.seek(0)
            raise SystemExit(f"{command[:3]} failed:\n{errors.read()[-3_000:]}")
    return "".join(lines), time.monotonic() - start, peak


def held_mib(process: int) -> float:
    """Proportional set size of a process and all its descendants, in MiB."""
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:  # it has ended
        return 0.0
    own = next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
    return own / 1024 + sum(held_mib(int(child)) for child in children)


def medians(runs: list[dict]) -> dict:
    """The median of every number; other values are those of the first run."""
    first = runs[0]
    return {
        name: round(statistics.median(run[name] for run in runs), 4) if isinstance(value, int | float) else value
        for name, value in first.items()
    }


def recipe_flags(data: Path, tokenizer: Path) -> list[str]:
    """The recipe and its must-sets, but for WORKDIR."""
    pairs = data / "hh_rlhf" / "harmless_base.jsonl"
    dials = {"T0": data / "t0", "GSM8K": data / "gsm8k", "PAIRS": pairs, "TOKENIZER": tokenizer}
    return [f"--gin_file={RECIPE}", *(f"--gin.{name}={value}" for name, value in dials.items())]


def write_rows(data: Path, folder: Path) -> None:
    """Write tokenizer/, learned from the rows, and rows.jsonl: every example as prompt and completion, in the mixture's order.

    How many exemplars fit a prompt hangs on the tokenizer, so the rows are written for bytes first, and then for it.
    """
    import tokenizers

    rows = folder / "rows.jsonl"
    write_examples(data, Path("bytes"), rows)
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    with open(rows) as lines:
        bpe.train_from_iterator((text for line in lines for text in json.loads(line).values()), trainer)
    (folder / "tokenizer").mkdir()
    bpe.save(str(folder / "tokenizer" / "tokenizer.json"))
    names = {"bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(names))
    write_examples(data, folder / "tokenizer", rows)


def write_examples(data: Path, tokenizer: Path, file: Path) -> None:
    """Write the mixture's examples in words, a JSON line each."""
    from instruct_jax.program import bind, parse_arguments, read_recipe
    from instruct_jax.tasks.prepare import arranged, arrangement
    from instruct_jax.tasks.preparing.opening import open_preparation

    flags = parse_arguments([*recipe_flags(data, tokenizer), "--gin.WORKDIR=unused"])
    job, tasks = arranged(**arrangement(bind(read_recipe(flags)).values()))
    opened = open_preparation(job, tasks, file.parent / "scratch", cache=None)
    with open(file, "w") as stream:
        for draw in opened.order.draws():
            messages = opened.renderer.examples[draw.task].example(draw.index, draw.epoch).content.messages
            prompt = "\n\n".join(message.text for message in messages[:-1]) + "\n\n"
            stream.write(json.dumps({"prompt": prompt, "completion": messages[-1].text}) + "\n")


if __name__ == "__main__":
    main()
