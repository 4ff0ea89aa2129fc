"""The published families: their sizes add up to what is published."""

import jax
import pytest

from instruct_jax.core import modules, trees
from instruct_jax.model import families
from instruct_jax.model.decoder import Decoder
from instruct_jax.model.spec import DecoderSpec

# sum(p.numel()) of transformers 5.23.0's AutoModelForCausalLM.from_config with the published sizes, on the meta device
# (Gemma 3: of the language model alone).
PARAMETERS = {
    "LLAMA_2_7B": 6_738_415_616,
    "LLAMA_3_8B": 8_030_261_248,
    "LLAMA_3_1_8B": 8_030_261_248,
    "MISTRAL_7B": 7_241_732_096,
    "QWEN_2_5_7B": 7_615_616_512,
    "QWEN_3_8B": 8_190_735_360,
    "GEMMA_2_9B": 9_241_705_984,
    "GEMMA_3_4B": 3_880_263_168,
    "OLMO_2_7B": 7_298_617_344,
    "PHI_3_MINI": 3_821_079_552,
    "MIXTRAL_8X7B": 46_702_792_704,
    "QWEN_3_30B_A3B": 30_532_122_624,
    "OLMOE_1B_7B": 6_919_161_856,
}


def test_every_family_is_counted():
    assert {name for name, value in vars(families).items() if isinstance(value, DecoderSpec)} == set(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_family_has_as_many_parameters_as_published(name):
    _, shapes = modules.abstract(lambda: Decoder(getattr(families, name), jax.random.key(0)))
    assert trees.count(shapes) == PARAMETERS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_manifest_brings_a_family_back(name):
    spec = getattr(families, name)
    assert DecoderSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("name", "windows"),
    [("GEMMA_2_9B", [4096, None] * 21), ("GEMMA_3_4B", ([1024] * 5 + [None]) * 5 + [1024] * 4), ("MISTRAL_7B", [4096] * 32)],
)
def test_windows_alternate_as_published(name, windows):
    assert [kind.window for kind in getattr(families, name).layer_kinds()] == windows
