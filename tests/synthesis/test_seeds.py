"""Seeds are read as the authors write them, and each line that is none is named."""

import json

import pytest

from instruct_jax.curation.overlap import ContaminationIndex
from instruct_jax.errors import InputError
from instruct_jax.synthesis import prompts
from instruct_jax.synthesis.filters import (
    INSTANCE_FILTERS,
    KEYWORDS,
    InstructionLength,
    Keywords,
    NonEnglishStart,
    PunctuationStart,
)
from instruct_jax.synthesis.rouge_pool import RougePool
from instruct_jax.synthesis.seeds import OWN, Instance, Seed, read_seeds

GOOD = {"instruction": "Do it.", "instances": [{"input": "", "output": "done"}], "is_classification": False}


def pairs_above(seeds, most: float) -> int:
    """How many pairs of seeds are at least so near to each other."""
    pool, count = RougePool(), 0
    for seed in seeds:
        count += sum(score >= most for _, score in pool.nearest(seed.instruction, len(seeds)))
        pool.add(seed.instruction)
    return count


def test_the_projects_own_seeds_would_pass_the_filters_and_stand_apart():
    seeds = read_seeds(OWN)
    assert 20 <= len(seeds) <= 30
    assert 4 < sum(one.is_classification for one in seeds) < len(seeds) / 2
    for one in seeds:
        for check in (InstructionLength(4, 150), Keywords(KEYWORDS), PunctuationStart(), NonEnglishStart()):
            assert check.reason(one.instruction) is None, one
        for instance in one.instances:
            assert [check.reason(one.instruction, instance) for check in INSTANCE_FILTERS] == [None] * len(INSTANCE_FILTERS)
    assert pairs_above(seeds, 0.7) == 0


def test_the_authors_seeds_are_read_and_two_pairs_are_nearer_than_a_new_one_may_be(real_data):
    seeds = read_seeds(real_data / "self_instruct" / "seed_tasks.jsonl")
    assert len(seeds) == 175
    assert sum(one.is_classification for one in seeds) == 26
    assert pairs_above(seeds, 0.7) == 2  # of 15,225: two pairs of tasks differ by a word or two
    index = ContaminationIndex({"ours": [one.instruction for one in read_seeds(OWN)]})
    assert [seed.id for seed in seeds if index.check(seed.instruction)] == []


def test_a_seed_without_an_id_is_named_by_its_place(tmp_path):
    (tmp_path / "seeds.jsonl").write_text(json.dumps(GOOD) + "\n\n" + json.dumps({**GOOD, "id": "mine"}) + "\n")
    assert read_seeds(tmp_path / "seeds.jsonl") == [
        Seed("seed_0", "Do it.", (Instance("", "done"),), False),
        Seed("mine", "Do it.", (Instance("", "done"),), False),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "got list; expected"),
        (json.dumps({**GOOD, "instruction": 3}), "'instruction' is int; expected"),
        (json.dumps({**GOOD, "instruction": " "}), "'instruction' is empty"),
        (json.dumps({**GOOD, "instances": []}), "'instances' is empty"),
        (json.dumps({**GOOD, "instances": ["a"]}), "an instance is str"),
        (json.dumps({**GOOD, "instances": [{"input": "a"}]}), "'output' is nothing"),
        (json.dumps({**GOOD, "is_classification": 1}), "'is_classification' is int"),
        (json.dumps({**GOOD, "id": "seed_0"}), "the id 'seed_0' is that of line 1 too"),
    ],
)
def test_a_line_that_is_no_seed_is_named(tmp_path, line, message):
    (tmp_path / "seeds.jsonl").write_text(json.dumps(GOOD) + "\n" + line)
    with pytest.raises(InputError, match=rf"seeds\.jsonl:2: {message}") as caught:
        read_seeds(tmp_path / "seeds.jsonl")
    assert "\n" not in str(caught.value)


def test_a_line_ends_with_a_line_feed_alone(tmp_path):
    task = {**GOOD, "instruction": "Say\u2028it\x85twice."}
    (tmp_path / "seeds.jsonl").write_bytes((json.dumps(task, ensure_ascii=False) + "\r\n").encode())
    assert [one.instruction for one in read_seeds(tmp_path / "seeds.jsonl")] == [task["instruction"]]


def test_no_seeds_are_no_seeds(tmp_path):
    (tmp_path / "seeds.jsonl").write_text("\n")
    with pytest.raises(InputError, match="are empty"):
        read_seeds(tmp_path / "seeds.jsonl")


def test_what_a_prompt_shows_reads_back_as_itself():
    """The examples of each seed, written into a prompt, are what the reader of completions finds there."""
    for seed in read_seeds(OWN):
        form = prompts.OUTPUT_FIRST if seed.is_classification else prompts.INPUT_FIRST
        shown = form.prompt("Next?", [seed]).partition(f"Task: {seed.instruction}\n")[2].rpartition("\n\nTask: Next?")[0]
        found = form.read(prompts.Completion(shown, "stop"))
        assert [one for one, _ in found] == list(seed.instances)
