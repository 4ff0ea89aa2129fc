"""A local model completes as its session generates, cuts at stops, and carries a whole run of Self-Instruct."""

import json
import shutil

import pytest
import tokenizers

from instruct_jax.errors import InputError
from instruct_jax.synthesis.filters import InstructionLength
from instruct_jax.synthesis.generator import Decoding
from instruct_jax.synthesis.local_model import LocalModel
from instruct_jax.synthesis.method import Method
from instruct_jax.synthesis.seeds import OWN
from instruct_jax.synthesis.self_instruct import self_instruct

# Two ways of decoding in all, and short prompts: each shape that they meet is compiled.
GREEDY, DRAWN = Decoding(8), Decoding(8, 1.0, 0.9)
PROMPTS = ["w5 w6", "w7", "w5 w6 w8 w9 w10"]


@pytest.fixture(scope="module")
def model(repository, tmp_path_factory):
    """A model with random weights whose word number i is id i, 1 the end of text; it reads a list's numbers as unknown words,
    and nothing else."""
    folder = tmp_path_factory.mktemp("local") / "model"
    shutil.copytree(repository / "tests" / "fixtures" / "hf" / "llama_3", folder)
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({f"w{i}": i for i in range(size)}, unk_token="w0"))
    known = tokenizers.Regex(r"w\d+|\d+\.")
    words.pre_tokenizer = tokenizers.pre_tokenizers.Split(known, "removed", invert=True)
    words.add_special_tokens(["w1"])
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "w1"}))
    # Many words end an answer, or with these weights none would end before it is cut.
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, *range(60, size, 7)]}))
    return LocalModel(str(folder))


def test_a_greedy_completion_is_the_sessions(model):
    found = model.complete(PROMPTS, GREEDY)
    assert [one.text for one in found] == model._session.generate(PROMPTS, max_tokens=8)
    assert [one.prompt_tokens for one in found] == [2, 1, 5]
    for one in found:
        assert one.tokens == len(one.text.split())
        assert one.tokens == 8 or not one.cut


def test_a_draw_depends_on_its_own_seed_and_prompt_alone(model):
    together = model.complete(PROMPTS, DRAWN, seed=3)
    alone = [model.complete([prompt], DRAWN, seed=3 + place)[0] for place, prompt in enumerate(PROMPTS)]
    assert together == alone
    assert model.complete(PROMPTS, DRAWN, seed=99) != together


def test_a_stop_ends_a_completion_and_is_left_out(model):
    whole, *_ = model.complete(PROMPTS, GREEDY)
    words = whole.text.split()
    cut, *_ = model.complete(PROMPTS, GREEDY, (f" {words[3]}",))
    assert cut.text == whole.text[: whole.text.index(f" {words[3]}")]
    assert cut.finish_reason == "stop"
    assert cut.tokens == whole.tokens  # they were written, and cost


def test_a_penalty_that_it_does_not_know_is_refused(model):
    with pytest.raises(InputError, match="cannot take a presence penalty"):
        model.complete(PROMPTS, Decoding(8, presence_penalty=1.5))


def test_a_model_is_known_by_its_weights_wherever_it_lies(model, tmp_path):
    shutil.copytree(model.checkpoint, tmp_path / "elsewhere")
    assert LocalModel(str(tmp_path / "elsewhere")).identity() == model.identity()


def test_a_run_with_random_weights_grows_a_pool_and_ends_by_itself(model, tmp_path):
    """Nothing that it writes has an output, so that no instruction gets an instance."""
    method = Method(
        requests=8,
        proposal=DRAWN,
        classification=GREEDY,
        instances=GREEDY,
        classifications_shown=1,
        others_shown=1,
        tasks_shown=1,
        instruction_filters=(InstructionLength(2, 150),),
    )
    for name in ("one", "two"):
        self_instruct(tmp_path / name, model, OWN, method, count=3, rounds_most=9, barren_rounds=3)
    found = json.loads((tmp_path / "one" / "summary.json").read_text())
    assert found["stopped"] == "the last 3 of them brought none"
    assert found["instructions"]["kept"] > 0
    assert set(found["instances"]["dropped"]) <= {"empty_output", "cut"}
    assert found["instances"]["made"] > found["instances"]["kept"] == 0
    assert found["cost"]["propose"]["requests"] == 24
    assert found["cost"]["all"]["tokens"] > 24
    for file in ("journal.jsonl", "pool.jsonl", "rejected.jsonl", "summary.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
