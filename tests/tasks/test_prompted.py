"""Prompted records: settings by weight, exemplars in the query's words and untrained, budgets in tokens, masks as asked."""

import collections

import numpy as np
import pytest
import seqio

from instruct_jax.artifacts.manifest import read_manifest
from instruct_jax.errors import InputError
from instruct_jax.tasks.evaluation import Evaluation, evaluation_items
from instruct_jax.tasks.examples import InstructionExamples, open_examples
from instruct_jax.tasks.files.records import MalformedRow
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.mixture import MixtureTask
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.prompted import check_supported
from instruct_jax.tasks.prompts import EARLIER_TURNS, INLINE, ZERO_SHOT, Inline, PromptSettings, as_settings, weighted_choice
from instruct_jax.tasks.sources import Generated
from instruct_jax.tasks.splits import HeldOut
from instruct_jax.text.chat import DIALOGUE, INSTRUCT, render_rows
from instruct_jax.text.options import LETTERS, SHUFFLED_LETTER_ANSWERS
from instruct_jax.text.templates import Template
from instruct_jax.text.tokenizer import ByteTokenizer
from tests.tasks.listed import Listed

SUM = Template("sum", "Add {a} and {b}.", rationale="{rationale} So the answer is {answer}.")
PLAIN = Template("plain", "{a} + {b} = ?", rationale="{rationale} It is {answer}.")
CHOOSE = Template("choose", "What are {a} and {b} together?\n{options}")
TURNED = Template("turned", "Name two numbers that add up to {answer}.", "{a} and {b}", original_task=False)
KEPT = Template("kept", "What does {a} plus {b} make?", reserved=True)
SUMS = Instruct((SUM, PLAIN, CHOOSE, TURNED, KEPT), "arithmetic", "sums")
TOKENIZER = ByteTokenizer()


def _record(index, split="train"):
    a, b = index + (0 if split == "train" else 500), 3 * index % 17
    reasoning = {} if index % 4 == 3 else {"rationale": f"{a} and {b} are counted up, {'very ' * (index % 9)}slowly."}
    return {"a": a, "b": b, "answer": str(a + b), "options": [str(a + b + more) for more in (-1, 0, 1)], **reasoning}


ROWS = [_record(index) for index in range(200)]


def _examples(*prompts, rows=ROWS, instruct=SUMS, seed=0):
    return InstructionExamples(Listed(rows), instruct, seed, as_settings(prompts), TOKENIZER)


def _trained(conversation, template):
    (rows,) = render_rows([conversation], template, TOKENIZER)
    (rendered,) = rows
    return TOKENIZER.decode(rendered.tokens[rendered.weights > 0]), rendered


def test_settings_are_worn_in_proportion_to_their_weights_and_anew_in_every_epoch():
    settings = [ZERO_SHOT, PromptSettings(system="Be brief.", weight=2.0), PromptSettings(inversion=True, weight=0.5)]
    rows = [{"a": n, "b": 1, "answer": str(n + 1)} for n in range(3_000)]
    instruct = Instruct((SUM, TURNED), "arithmetic", "sums")
    examples = _examples(*settings, rows=rows, instruct=instruct)
    worn = [[examples.example(index, epoch).setting for index in range(3_000)] for epoch in (0, 1)]
    counts, asked = collections.Counter(worn[0]), np.array([1, 2, 0.5]) / 3.5 * 3_000
    assert sum((counts[place] - asked[place]) ** 2 / asked[place] for place in range(3)) < 13.82  # 2 degrees, p = .001
    same = sum(one == other for one, other in zip(*worn, strict=True))
    assert abs(same / 3_000 - (1 + 4 + 0.25) / 3.5**2) < 0.05  # as often as two draws agree by chance


def test_an_example_wears_the_same_setting_wherever_it_stands():
    settings = [ZERO_SHOT, PromptSettings(shots=2), PromptSettings(chain_of_thought=True)]
    whole, backwards = _examples(*settings), _examples(*settings, rows=ROWS[::-1])
    ours = [whole.example(index, 1) for index in range(200)]
    theirs = [backwards.example(199 - index, 1) for index in range(200)]
    assert [(one.setting, one.template) for one in ours] == [(one.setting, one.template) for one in theirs]
    assert ours == [_examples(*settings).example(index, 1) for index in range(200)]
    assert {one.setting for one in ours} == {0, 1, 2}
    assert [one.setting for one in ours] != [_examples(*settings, seed=1).example(index, 1).setting for index in range(200)]


def test_a_setting_that_a_task_or_a_record_does_not_support_is_worn_by_none_of_it():
    settings = [PromptSettings(weight=3.0), PromptSettings(chain_of_thought=True), PromptSettings(inversion=True)]
    worn = [_examples(*settings).example(index, 0).setting for index in range(200)]
    assert all(worn[index] != 1 for index in range(3, 200, 4))  # these have no reasoning to show
    without = Instruct((CHOOSE, TURNED), "arithmetic", "sums")
    others = _examples(*settings, instruct=without)
    assert collections.Counter(others.example(index, 0).setting for index in range(200)).keys() == {0, 2}


def test_a_zero_shot_example_is_worded_as_it_always_was():
    among = SUMS.trainable()
    for index, record in enumerate(ROWS):
        example = _examples(ZERO_SHOT).example(index, 2)
        number = SUMS.wording(record, seed=0, epoch=2, among=among)
        assert (example.template, example.setting, example.shots) == (number, 0, 0)
        assert example.content == SUMS.templates[number].apply(record).conversation()


@pytest.mark.parametrize("template", [INSTRUCT, DIALOGUE])
@pytest.mark.parametrize("layout", [INLINE, EARLIER_TURNS, Inline(answer=" => ", separator="\n---\n")])
@pytest.mark.parametrize("reasoned", [False, True])
def test_the_answer_alone_is_trained_whatever_stands_before_it(template, layout, reasoned):
    setting = PromptSettings(shots=3, chain_of_thought=reasoned, layout=layout)
    for index in (0, 1, 2, 6, 9):
        example = _examples(setting).example(index, 0)
        wording, record = SUMS.templates[example.template], ROWS[index]
        trained, rendered = _trained(example.content, template)
        assert trained == wording.apply(record, reasoned=reasoned).response
        assert rendered.tokens[rendered.weights > 0][-1] == TOKENIZER.eos_id
        assert example.shots == 3
        assert len(example.content.messages) == (8 if layout == EARLIER_TURNS else 2)
        if reasoned:
            assert record["rationale"] in trained


def test_exemplars_show_reasoning_where_the_query_does_and_the_prompt_asks_for_it():
    setting = PromptSettings(shots=3, chain_of_thought=True, layout=EARLIER_TURNS, cue="Think.")
    *exemplars, question, _ = _examples(setting).example(0, 0).content.messages
    answers = [message.text for message in exemplars if message.role == "assistant"]
    assert all("slowly. " in answer for answer in answers)
    assert all(message.text.endswith("\nThink.") for message in (*exemplars[::2], question))
    silent = _examples(PromptSettings(chain_of_thought=True, cue="")).example(0, 0).content.messages[0]
    assert silent.text in (SUM.apply(ROWS[0]).prompt, PLAIN.apply(ROWS[0]).prompt)


@pytest.mark.parametrize("layout", [INLINE, EARLIER_TURNS])
def test_exemplars_are_in_the_querys_wording_and_never_hold_the_query(layout):
    examples = _examples(PromptSettings(shots=16, layout=layout))
    prompts = [{template.apply(row).prompt for row in ROWS} for template in SUMS.templates]
    for epoch in range(3):
        for index, record in enumerate(ROWS):
            example = examples.example(index, epoch)
            query = SUMS.templates[example.template].apply(record)
            known = prompts[example.template] - {query.prompt}
            if layout == EARLIER_TURNS:
                found = [message.text for message in example.content.messages[:-2:2]]
            else:
                *pairs, last = example.content.messages[0].text.split("\n\n")
                found = [pair.rpartition("\n")[0] for pair in pairs]
                assert last == query.prompt
            assert len(found) == example.shots == 16
            assert set(found) <= known or example.template == 3  # turned round, prompts name the sum alone


@pytest.mark.parametrize("layout", [INLINE, EARLIER_TURNS])
def test_a_budget_is_kept_in_tokens_and_what_was_given_is_counted(layout):
    given = collections.Counter()
    for budget in (1, 60, 150, 400):
        examples = _examples(PromptSettings(shots=8, budget=budget, layout=layout))
        whole = _examples(PromptSettings(shots=8, layout=layout))
        for index in range(40):
            example, uncut = examples.example(index, 0), whole.example(index, 0)
            *before, question, _ = example.content.messages
            own = len(TOKENIZER.encode(SUMS.templates[example.template].apply(ROWS[index]).prompt))
            used = sum(len(TOKENIZER.encode(message.text)) for message in (*before, question)) - own
            assert used <= budget
            given[example.shots] += 1
            if layout == EARLIER_TURNS:
                assert tuple(before) == uncut.content.messages[: 2 * example.shots]
            else:
                start = question.text[: len(question.text) - len(SUMS.templates[example.template].apply(ROWS[index]).prompt)]
                assert uncut.content.messages[0].text.startswith(start)
                assert start.count("\n\n") == example.shots
    assert given[0] >= 40
    assert len(given) > 4


def test_each_exemplar_shuffles_its_own_options():
    setting = PromptSettings(shots=6, option_style=SHUFFLED_LETTER_ANSWERS, layout=EARLIER_TURNS)
    instruct = Instruct((CHOOSE,), "arithmetic", "sums")
    marks = collections.Counter()
    for index in range(60):
        messages = _examples(setting, instruct=instruct).example(index, 0).content.messages
        for question, answer in zip(messages[::2], messages[1::2], strict=True):
            words, *lines = question.text.split("\n")
            _, _, a, _, b, _ = words.split()
            (right,) = [line for line in lines if line.startswith(answer.text)]
            assert right == f"{answer.text} {int(a) + int(b)}"
            marks[answer.text] += 1
    assert set(marks) == {"(A)", "(B)", "(C)"}
    assert max(marks.values()) < 2 * min(marks.values())


def test_turned_round_and_reasoned_answers_are_never_option_scored():
    record = ROWS[0]
    for setting in (PromptSettings(inversion=True, shots=2), PromptSettings(chain_of_thought=True)):
        examples = _examples(setting)
        example = examples.example(0, 0)
        assert examples._prompter.in_words(record, example.template).instance.options is None
    assert _examples(ZERO_SHOT)._prompter.in_words(record, 2).instance.options == tuple(record["options"])


def test_system_prompts_are_spread_over_the_examples_and_untrained():
    setting = PromptSettings(system=("Be brief.", "", "Be kind."))
    found = collections.Counter()
    for index in range(200):
        conversation = _examples(setting).example(index, 0).content
        first = conversation.messages[0]
        found[first.text if first.role == "system" else ""] += 1
        assert _trained(conversation, INSTRUCT)[0] == conversation.messages[-1].text
    assert set(found) == {"Be brief.", "", "Be kind."}
    assert sum((count - 200 / 3) ** 2 / (200 / 3) for count in found.values()) < 13.82


def test_a_setting_that_no_task_supports_is_named():
    without = Instruct((CHOOSE,), "arithmetic", "sums")
    worded = Instruct((SUM,), "arithmetic", "worded", template_field="wording")
    check_supported([ZERO_SHOT, PromptSettings(shots=2)], [without, worded])
    check_supported([ZERO_SHOT, PromptSettings(chain_of_thought=True)], [without, SUMS])
    with pytest.raises(InputError, match=r"prompts\[1\] \(zero-shot, chain of thought\) is supported by no task of the mixture"):
        check_supported([ZERO_SHOT, PromptSettings(chain_of_thought=True)], [without, worded])
    check_supported([ZERO_SHOT], [])
    with pytest.raises(InputError, match=r"prompts\[0\] \(2-shot\) is supported by no task .*none of them has templates"):
        check_supported([PromptSettings(shots=2)], [])
    with pytest.raises(InputError, match=r"prompts\[0\] .*no template of the mixture lists the alternatives"):
        check_supported([PromptSettings(option_style=LETTERS)], [worded])
    with pytest.raises(InputError, match="'sums' has no trainable templates that show the reasoning; or add a setting"):
        check_supported([PromptSettings(chain_of_thought=True)], [SUMS, without])
    with pytest.raises(InputError, match="'sums' has no trainable templates that are turned round; or add a setting"):
        _examples(PromptSettings(inversion=True), instruct=without)


def test_a_record_that_supports_no_setting_is_named():
    with pytest.raises(MalformedRow, match="row 3: the record has no reasoning to show"):
        _examples(PromptSettings(chain_of_thought=True)).example(3, 0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shots": -1}, "shots is -1; expected 0 or more"),
        ({"weight": 0}, "weight is 0; expected a number above 0"),
        ({"weight": float("inf")}, "weight is inf"),
        ({"budget": 0}, "budget is 0 tokens"),
        ({"templates": 0}, "templates is 0; expected at least 1"),
        ({"layout": "inline"}, "layout is 'inline'; expected an? Layout"),
        ({"option_style": "letters"}, "option_style is 'letters'; expected an? OptionStyle"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        PromptSettings(**fields)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [((), "prompts is empty"), ((ZERO_SHOT, 3), r"prompts\[1\] is a int"), ((ZERO_SHOT, PromptSettings(weight=2)), "again")],
)
def test_settings_that_do_not_go_together_are_refused(prompts, message):
    with pytest.raises(InputError, match=message):
        as_settings(prompts)


def test_a_weighted_choice_never_takes_what_has_no_weight():
    weights = [0.0, 1.0, 0.0, 3.0, 0.0]
    chosen = collections.Counter(weighted_choice(weights, seed=0, epoch=0, example=str(n)) for n in range(4_000))
    assert set(chosen) == {1, 3}
    assert (chosen[1] - 1_000) ** 2 / 1_000 + (chosen[3] - 3_000) ** 2 / 3_000 < 10.83  # one degree of freedom, p = .001


@pytest.fixture
def sums(registry):
    source = Generated(_record, size=50, splits=("train", "validation"))
    return registry.TaskRegistry.add("p_sums", source=source, preprocessors=[SUMS], output_features=text_features())


@pytest.mark.parametrize("held_out", [HeldOut(), HeldOut(clusters=("arithmetic",))])
def test_few_shot_items_take_exemplars_from_the_training_split_alone(sums, tmp_path, held_out):
    evaluation = Evaluation(items_per_template=5, prompts=PromptSettings(shots=4, layout=EARLIER_TURNS))
    task = MixtureTask(sums, "arithmetic", "sums", 1.0, bool(held_out.clusters))
    given = (evaluation, [task], held_out, [ZERO_SHOT], TOKENIZER, "error", tmp_path, {"p_sums"})
    items, without, skipped = evaluation_items(*given)
    assert (len(items), without, skipped) == (20, [], 0)
    training = {template.apply(_record(index)).prompt for template in SUMS.templates for index in range(50)}
    asked = {template.apply(_record(index, "validation")).prompt for template in SUMS.templates for index in range(50)}
    for item in items:
        *exemplars, question = item.messages
        assert len(exemplars) == 8
        assert {text for role, text in exemplars if role == "user"} <= training - asked
        assert question[1] in asked
        assert item.target not in {"", None}
    zero = evaluation_items(Evaluation(items_per_template=5), *given[1:])[0]
    assert [(item.id, item.target, item.messages[-1]) for item in items] == [
        (item.id, item.target, item.messages[-1]) for item in zero
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompts": PromptSettings(chain_of_thought=True)}, "prompts.chain_of_thought is True"),
        ({"prompts": PromptSettings(inversion=True)}, "prompts.inversion is True"),
        ({"prompts": PromptSettings(shots=1), "split": "train"}, "exemplars would be questions of the evaluation"),
        ({"prompts": PromptSettings(shots=1), "split": "train[:5%]"}, "exemplars would be questions of the evaluation"),
    ],
)
def test_an_evaluation_that_could_not_be_scored_or_would_leak_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Evaluation(**fields)


def test_a_task_reads_its_settings_through_the_same_door_as_prepare(sums, tmp_path):
    settings = (ZERO_SHOT, PromptSettings(shots=2))
    examples = open_examples(sums, "train", TOKENIZER, 0, settings, tmp_path)
    assert {examples.example(index, 0).shots for index in range(50)} == {0, 2}
    assert isinstance(sums, seqio.Task)


def test_an_example_wears_the_same_setting_and_words_in_two_preparations(sums, tmp_path):
    """A whole one on one core, and a part of it on two; the manifest counts what each setting got."""
    settings = (ZERO_SHOT, PromptSettings(shots=2, weight=2.0), PromptSettings(chain_of_thought=True))
    found = []
    for name, examples, workers in (("whole", 100, 1), ("part", 60, 2)):
        folder = tmp_path / name
        prepare(
            str(folder),
            sums.name,
            "bytes",
            INSTRUCT,
            1_024,
            3,
            examples,
            prompts=settings,
            workers=workers,
            cache="",
            examples_per_shard=32,
        )
        texts = np.concatenate([np.load(file) for file in sorted(folder.glob("texts-*.npy"))])
        found.append({(one["example"], one["epoch"]): tuple(one[["template", "setting", "tokens"]]) for one in texts})
        counted = read_manifest(folder, "dataset")["tasks"][0]["settings"]
        assert sum(counted.values()) == examples
        assert list(counted.values()) == np.bincount(texts["setting"]).tolist()
    whole, part = found
    assert len(whole) == 100
    assert len(part.keys() & whole.keys()) > 40
    assert all(part[place] == whole[place] for place in part.keys() & whole.keys())


def test_a_preparation_with_a_setting_for_no_task_is_refused(sums, tmp_path):
    settings = (ZERO_SHOT, PromptSettings(inversion=True, chain_of_thought=True))
    with pytest.raises(InputError, match=r"prompts\[1\] .* is supported by no task of the mixture"):
        prepare(str(tmp_path / "none"), sums.name, "bytes", INSTRUCT, 1_024, 0, 10, prompts=settings, workers=1)
