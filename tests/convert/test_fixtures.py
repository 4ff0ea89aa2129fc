"""Models that transformers made, with the answers it gave: read here, answered alike, written back bit by bit."""

import dataclasses
import functools
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from instruct_jax.convert.config import ReadConfig, read_config
from instruct_jax.convert.export import export_hf
from instruct_jax.convert.hf import import_hf
from instruct_jax.core import modules
from instruct_jax.model.decoder import Decoder
from instruct_jax.model.rope import Rope
from instruct_jax.model.spec import DecoderSpec
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


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_feature_of_a_case_moves_its_logits(case):
    """Else a reader that forgets the feature would pass."""
    model = ours.decoder(FIXTURES / case.name)
    _, parameters = modules.split(model)
    with np.load(FIXTURES / case.name / "expected.npz") as answers:
        tokens, expected = answers["tokens"], answers["logits"]
    for feature, spec in _without_one_feature(model.spec).items():
        blueprint, _ = modules.abstract(functools.partial(Decoder, spec, jax.random.key(0)))
        scores = ours.logits(blueprint.merge(parameters), [[tokens]], len(tokens))[0]
        assert ours.difference(scores, expected) > 1e-3, f"{case.name} does not show {feature}"


def _without_one_feature(spec: DecoderSpec) -> dict[str, DecoderSpec]:
    """The spec without each of its features that has no parameter of its own, by the feature."""
    plain = {
        "norm_epsilon": 1e-6,
        "norm_offset": 0.0,
        "activation": "silu",
        "embedding_scale": None,
        "attention_scale": None,
        "attention_softcap": None,
        "logit_softcap": None,
    }
    without = {name: dataclasses.replace(spec, **{name: value}) for name, value in plain.items() if getattr(spec, name) != value}
    kinds = spec.layer_kinds()
    for name, value in (("window", None), ("rope", Rope(3_000.0))):
        for changed in {getattr(kind, name) for kind in kinds} - {value}:
            other = [dataclasses.replace(kind, **{name: value}) if getattr(kind, name) == changed else kind for kind in kinds]
            without[f"{name} {changed}"] = dataclasses.replace(spec, kinds=other)
    if any(kind.rope.scaling is not None for kind in kinds):
        unscaled = [dataclasses.replace(kind, rope=dataclasses.replace(kind.rope, scaling=None)) for kind in kinds]
        without["scaled rope"] = dataclasses.replace(spec, kinds=unscaled)
    if spec.experts is not None:
        other = dataclasses.replace(spec.experts, normalised=not spec.experts.normalised)
        without["normalised experts"] = dataclasses.replace(spec, experts=other)
    return without


def _read(file: Path) -> ReadConfig:
    return read_config(json.loads(file.read_text()), str(file))
