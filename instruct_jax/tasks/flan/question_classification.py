"""Question classification: what kind of answer a question asks for."""

from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.text.templates import Template

CLUSTER = "question_classification"

_CLASSES = ("DESC", "ENTY", "ABBR", "HUM", "NUM", "LOC")
_KINDS = ("a description", "a thing", "an abbreviation", "a person or a group", "a number", "a place")
_TREC = (
    Template("asks_for", "{question}\nWhat does this question ask for?\n{options}", choices=_KINDS),
    Template(
        "librarian",
        'At the help desk you are asked: "{question}" What must the answer contain?\n{options}',
        choices=(
            "an explanation",
            "the name of a thing",
            "an abbreviation or what it stands for",
            "the name of a person or a group",
            "a figure or a date",
            "the name of a place",
        ),
    ),
    Template(
        "one_of_six",
        "Description, entity, abbreviation, human, number or location: which type of answer does this call for? {question}",
        choices=("description", "entity", "abbreviation", "human", "number", "location"),
    ),
    Template(
        "index_card",
        "Sort the question under one heading.\n{options}\n\nQuestion: {question}",
        choices=("definitions and reasons", "things", "abbreviations", "people", "numbers", "places"),
    ),
    Template("expect", 'Somebody asks "{question}" and should be told', choices=_KINDS),
    Template("write", "Make up a trivia question to which the answer is {kind}.", response="{question}", original_task=False),
    Template("quiz", "The quiz needs one more question. It should ask for {kind}.", response="{question}", original_task=False),
    Template(
        "type_reserved",
        "Question: {question}\nExpected type of answer:\n{options}",
        choices=("description", "entity", "abbreviation", "human", "numeric value", "location"),
        reserved=True,
    ),
    Template(
        "looking_for_reserved",
        "What is the person looking for who typed this?\n{question}\n{options}",
        choices=_KINDS,
        reserved=True,
    ),
    Template(
        "code_reserved",
        "Use the codes DESC (description), ENTY (entity), ABBR (abbreviation), HUM (human being), NUM (numeric) and LOC "
        "(location). Which code does this question get? {question}",
        choices=_CLASSES,
        reserved=True,
    ),
)


def _trec(example):
    label = example["label-coarse"]
    return {"question": example["text"], "label": label, "kind": _KINDS[label]}


DATASETS = (
    FlanDataset(
        "trec",
        CLUSTER,
        "trec:1.0.0",
        ("question", "label", "kind"),
        _TREC,
        record=_trec,
        classes=_CLASSES,
        class_feature="label-coarse",
        splits={"train": "train", "test": "test"},
        reference="Li and Roth 2002",
    ),
)
