"""An HF folder in, instruction tuning by the shipped commands, an HF folder out: transformers then answers as we do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from instruct_jax.inference import session
from tests.parity import chat_folder, reference
from tests.parity.ours import difference

_SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "rope_parameters": {"rope_theta": 10_000.0, "rope_type": "default"},
}
_EXPERTS = {**_SIZES, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48, "norm_topk_prob": True}
_MODELS = {"llama": ("llama", _SIZES), "experts": ("qwen3_moe", {**_EXPERTS, "head_dim": 16})}
_DATASETS = ("sentiment/amazon_polarity", "structure_to_text/common_gen")
_ANSWER = 24  # tokens


@pytest.fixture(scope="module")
def instructions(real_data, tmp_path_factory) -> Path:
    """A few of T0's tasks, short ones."""
    folder = tmp_path_factory.mktemp("t0")
    for name in _DATASETS:
        (folder / name).mkdir(parents=True)
        for file in sorted((real_data / "t0" / name).glob("*.jsonl"))[:3]:
            rows = [line for line in file.read_text().splitlines() if len(line) < 500]
            (folder / name / file.name).write_text("\n".join(rows[:80]) + "\n")
    return folder


@pytest.fixture(scope="module")
def folders(instructions, tmp_path_factory) -> dict[str, Path]:
    """An HF folder of each kind of model, all with one tokenizer and template."""
    work = tmp_path_factory.mktemp("hf")
    texts = [line for file in sorted(instructions.glob("*/*/*.jsonl")) for line in file.read_text().splitlines()]
    return {name: chat_folder.write(work / name, texts, kind, **shape) for name, (kind, shape) in _MODELS.items()}


@pytest.fixture(scope="module")
def dataset(folders, instructions, repository, tmp_path_factory) -> Path:
    """The instructions, prepared in the words of those folders."""
    folder = tmp_path_factory.mktemp("prepared") / "data"
    words = {"TOKENIZER": folders["llama"], "CHAT_TEMPLATE": folders["llama"], "LENGTH": 256}
    evaluation = {"HELD_OUT_CLUSTERS": (), "ITEMS_PER_TEMPLATE": 2}
    run(repository, "recipes/t0_prepare.gin", DATA_DIR=instructions, WORKDIR=folder, **words, **evaluation)
    return folder


@pytest.fixture(scope="module", params=_MODELS)
def imported(request, folders, repository, tmp_path_factory) -> Path:
    """A checkpoint of each kind of model."""
    base = tmp_path_factory.mktemp(request.param) / "base"
    run(repository, "runs/import_hf.gin", HF_DIR=folders[request.param], WORKDIR=base)
    return base


def run(repository: Path, recipe: str, **dials: object) -> str:
    """Run a shipped recipe by the command line, and give what it printed."""
    settings = [f"--gin.{name}={value}" for name, value in dials.items()]
    command = [sys.executable, "-m", "instruct_jax", f"--gin_file=gin_configs/{recipe}", *settings]
    environment = {**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0"}  # one device
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def losses(run_folder: Path) -> list[float]:
    """The training loss of each logged step, in nats a trained token."""
    records = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    return [record["loss"] for record in records if "loss" in record]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["full", "lora"])
def test_a_tuned_folder_answers_in_transformers_as_it_does_here(imported, dataset, instructions, repository, way):
    work = imported.parent
    tuned = work / way
    dials = {"INIT_FROM": imported, "DATASET": dataset, "WORKDIR": tuned, "STEPS": 40, "ROWS": 4, "DTYPE": "float32"}
    if way == "lora":  # no adapter takes hold of experts; random embeddings leave the head most to learn
        targets = ("layers/attention/",) if work.name.startswith("experts") else ("layers/attention/", "layers/mlp/")
        dials |= {"BASE_DTYPE": "float32", "TARGETS": targets, "BESIDE": ("head",)}
    recipe = {"full": "recipes/hf_sft.gin", "lora": "recipes/hf_lora.gin"}[way]
    run(repository, recipe, **dials, LEARNING_RATE=1e-2, WARMUP=4, REMAT="none")
    course = losses(tuned)
    assert np.mean(course[-5:]) < 0.9 * course[0]
    if way == "lora":
        run(repository, "runs/merge.gin", CHECKPOINT=tuned, WORKDIR=work / "merged")
        tuned = work / "merged"
    run(repository, "runs/export_hf.gin", CHECKPOINT=tuned, WORKDIR=work / f"{way}-hf")

    prompts = [json.loads(file.read_text().splitlines()[-1])["prompt"] for file in sorted(instructions.glob("*/*/*.jsonl"))]
    asked, answered = work / f"{way}-asked.jsonl", work / f"{way}-answered.jsonl"
    asked.write_text("".join(json.dumps({"messages": [{"role": "user", "content": text}]}) + "\n" for text in prompts))
    run(repository, "runs/generate.gin", CHECKPOINT=tuned, JSONL=asked, OUTPUT=answered, MAX_NEW_TOKENS=_ANSWER)
    ours = [json.loads(line)["messages"][-1]["content"] for line in answered.read_text().splitlines()]
    assert ours == their_answers(work / f"{way}-hf", prompts)
    assert all(ours)
    tokens = np.random.default_rng(0).integers(0, 500, 32)
    logits = np.asarray(session.open(tuned).logits(tokens[None]))[0]
    assert difference(logits, reference.logits(reference.loaded(work / f"{way}-hf"), tokens)) <= 1e-4


@torch.no_grad()
def their_answers(folder: Path, prompts: list[str]) -> list[str]:
    """Greedy answers by transformers, each prompt alone."""
    tokenizer, model = transformers.AutoTokenizer.from_pretrained(folder), reference.loaded(folder)
    answers = []
    for prompt in prompts:
        asked = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        written = model.generate(**asked, do_sample=False, max_new_tokens=_ANSWER)
        answers.append(tokenizer.decode(written[0, asked["input_ids"].shape[1] :], skip_special_tokens=True))
    return answers
