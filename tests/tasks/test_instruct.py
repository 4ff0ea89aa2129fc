"""Instruct: SeqIO's own pipeline gets the same words as prepare, and a wording is a function of the record alone."""

import collections
import re

import pytest
import seqio

from instruct_jax.errors import InputError
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.prompts import PromptSettings
from instruct_jax.tasks.sources import Generated
from instruct_jax.text.templates import Template

TEMPLATES = (
    Template("plain", "Is it good? {text}", choices=("no", "yes")),
    Template("shown", "{text}\nChoose:\n{options}", choices=("bad", "good")),
    Template("kept", "Rate: {text}", choices=("0", "1"), reserved=True),
    Template("turned", "Write a review that is {answer}.", "{text}", choices=("bad", "good"), original_task=False),
)
INSTRUCT = Instruct(TEMPLATES, cluster="sentiment", dataset="reviews")


def _record(index, split="train"):
    return {"text": f"{split} text {index}", "label": index % 2}


def test_plain_seqio_gets_the_words_of_seed_zero_and_epoch_zero(registry):
    source = Generated(_record, size=40)
    task = registry.TaskRegistry.add("i_reviews", source=source, preprocessors=[INSTRUCT], output_features=text_features())
    rows = list(task.get_dataset(split="train", shuffle=False).as_numpy_iterator())
    for index, row in enumerate(rows):
        record = _record(index)
        instance = INSTRUCT.instance(record, INSTRUCT.wording(record, seed=0, epoch=0, among=INSTRUCT.trainable()))
        assert (row["inputs"].decode(), row["targets"].decode()) == (instance.prompt, instance.response)
    assert len(rows) == 40
    assert len({row["inputs"].decode().split(" ")[0] for row in rows}) > 1


def test_plain_seqio_chooses_wordings_by_content_and_not_by_place(registry):
    """Shuffled or filtered before, a record wears the same template."""

    def add(name, *steps):
        return registry.TaskRegistry.add(
            name, source=Generated(_record, size=30), preprocessors=[*steps, INSTRUCT], output_features=text_features()
        )

    def words(task):
        return {row["inputs"] for row in task.get_dataset(split="train", shuffle=False).as_numpy_iterator()}

    whole = words(add("i_whole"))
    assert words(add("i_reversed", lambda ds: ds.shuffle(30, seed=1))) == whole
    assert words(add("i_half", lambda ds: ds.filter(lambda row: row["label"] == 1))) < whole


def test_the_template_changes_with_the_epoch_and_the_seed_and_is_evenly_chosen():
    among = INSTRUCT.trainable()
    chosen = {
        (seed, epoch): [INSTRUCT.wording(_record(index), seed=seed, epoch=epoch, among=among) for index in range(900)]
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
    }
    assert chosen[0, 0] != chosen[0, 1]
    assert chosen[0, 0] != chosen[1, 0]
    counts = collections.Counter(chosen[0, 0])
    assert set(counts) == set(among)
    assert sum((count - 300) ** 2 / 300 for count in counts.values()) < 13.82  # chi-square, p = .001


def test_reserved_templates_are_never_trainable():
    assert [TEMPLATES[index].id for index in INSTRUCT.trainable()] == ["plain", "shown", "turned"]
    assert [TEMPLATES[index].id for index in INSTRUCT.trainable(PromptSettings(templates=2))] == ["plain", "shown"]


def test_options_are_given_for_the_original_task_only():
    options = [INSTRUCT.instance(_record(1), number).options for number in range(4)]
    assert options == [("no", "yes"), ("bad", "good"), ("0", "1"), None]


def test_a_record_may_name_its_wording():
    named = Instruct(TEMPLATES, "sentiment", "reviews", template_field="wording")
    assert named.wording({"wording": "turned"}, seed=0, epoch=0, among=named.trainable()) == 3
    for name in ("kept", "none_such", None):
        with pytest.raises(InputError, match="is not one of the templates of 'reviews' in use here"):
            named.wording({"wording": name}, seed=0, epoch=0, among=named.trainable())


def test_settings_use_the_templates_that_fit_them_and_are_refused_where_none_does():
    reasoned = Template("reasoned", "{text}?", "{label}", rationale="{why}, so {label}")
    dataset = Instruct((*TEMPLATES, reasoned), "sentiment", "reviews")

    def used(**settings):
        return [dataset.templates[index].id for index in dataset.trainable(PromptSettings(**settings))]

    assert used() == ["plain", "shown", "turned", "reasoned"]
    assert used(inversion=True) == ["turned"]
    assert used(inversion=False) == ["plain", "shown", "reasoned"]
    assert used(chain_of_thought=True) == ["reasoned"]
    assert used(inversion=True, templates=2) == used(chain_of_thought=True, inversion=True) == []
    refusal = dataset.refusal(PromptSettings(chain_of_thought=True, inversion=True))
    assert refusal == "dataset 'reviews' has no trainable templates that show the reasoning and are turned round"
    assert dataset.refusal(PromptSettings(shots=4)) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"templates": 2}, "templates is 2, .*leave it None"),
        ({"inversion": False}, "inversion is False, .*leave it None"),
        ({"chain_of_thought": True}, "chain_of_thought is True, .*leave it False"),
    ],
)
def test_records_that_come_in_a_wording_take_no_setting_that_would_change_it(settings, message):
    named = Instruct(TEMPLATES, "sentiment", "reviews", template_field="wording")
    assert named.trainable(PromptSettings(**settings)) == []
    assert re.search(message, named.refusal(PromptSettings(**settings)))
    assert named.refusal(PromptSettings(shots=3)) is None


@pytest.mark.parametrize(
    ("templates", "message"), [((), "has no templates"), ((TEMPLATES[0],) * 2, "several templates of id 'plain'")]
)
def test_a_dataset_needs_templates_of_different_ids(templates, message):
    with pytest.raises(InputError, match=message):
        Instruct(templates, "sentiment", "reviews")


def test_instruction_and_plain_text_tasks_go_into_one_seqio_mixture(registry):
    for name, steps, record in (
        ("i_ask", [INSTRUCT], _record),
        ("i_text", [], lambda index, split: {"targets": f"{split} document {index}"}),
    ):
        source = Generated(record, size=5)
        registry.TaskRegistry.add(name, source=source, preprocessors=steps, output_features=text_features())
    mixture = registry.MixtureRegistry.add("i_mix", ["i_ask", "i_text"], default_rate=1.0)
    assert isinstance(mixture, seqio.Mixture)
    assert {task.name for task in mixture.tasks} == {"i_ask", "i_text"}
