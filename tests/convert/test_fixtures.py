"""Models that transformers made, with the answers it gave: read here, answered alike, written back bit by bit."""

import json
from pathlib import Path

import numpy as np
import pytest

from instruct_jax.convert.config import ReadConfig, read_config
from instruct_jax.convert.export import export_hf
from instruct_jax.convert.hf import import_hf
from tests.parity import ours
from tests.parity.cases import CASES, FIXTURES, PROMPT
from tests.parity.stored import tensors

# Compiling takes most of the time: these four cover windows, a scaled rope, a growing one, soft-caps and experts.
_FAST = ("llama_3_1", "llama_dynamic", "gemma_2", "mixtral")


def _cases(fast: tuple[str, ...]) -> list[pytest.param]:
    return [pytest.param(case, id=case.name, marks=() if case.name in fast else pytest.mark.slow) for case in CASES]


@pytest.fixture(scope="module", params=_cases(_FAST))
def recorded(request):
    """(the imported decoder, what transformers answered)."""
    folder = FIXTURES / request.param.name
    with np.load(folder / "expected.npz") as answers:
        return ours.decoder(folder), dict(answers)


def test_logits_are_those_that_transformers_recorded(recorded):
    model, answers = recorded
    scores = ours.logits(model, [[answers["tokens"]]], len(answers["tokens"]))[0]
    assert ours.difference(scores, answers["logits"]) <= 1e-4


def test_the_greedy_continuation_is_the_one_that_transformers_recorded(recorded):
    model, answers = recorded
    assert ours.greedy(model, [answers["tokens"][:PROMPT]])[0].tolist() == answers["greedy"].tolist()


@pytest.mark.parametrize("case", _cases((*_FAST, "phi_3", "qwen_2_5")))
def test_import_then_export_gives_the_same_bytes(case, tmp_path):
    import_hf(FIXTURES / case.name, tmp_path / "checkpoint")
    export_hf(tmp_path / "checkpoint", tmp_path / "exported")
    assert tensors(tmp_path / "exported") == tensors(FIXTURES / case.name)
    before, after = _read(FIXTURES / case.name / "config.json"), _read(tmp_path / "exported" / "config.json")
    assert (after.family, after.spec, after.eos_ids) == (before.family, before.spec, before.eos_ids)
    assert {**after.kept, "transformers_version": ...} == {**after.kept, **before.kept, "transformers_version": ...}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_configs_of_transformers_4_and_5_say_the_same(case):
    older, newer = (_read(FIXTURES / case.name / name) for name in ("config_v4.json", "config.json"))
    assert (older.family, older.spec, older.eos_ids) == (newer.family, newer.spec, newer.eos_ids)


def _read(file: Path) -> ReadConfig:
    return read_config(json.loads(file.read_text()), str(file))
