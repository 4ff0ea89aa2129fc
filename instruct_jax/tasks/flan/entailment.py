"""Entailment: whether a second statement follows from a first text."""

from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.text.templates import Template

CLUSTER = "entailment"

_RTE = (
    Template("does_it_follow", '{sentence1}\n\nDoes it follow that "{sentence2}"?', choices=("yes", "no")),
    Template(
        "options_first",
        "Passage: {sentence1}\nClaim: {sentence2}\nIs the claim backed by the passage?\n{options}",
        choices=("yes", "no"),
    ),
    Template("safe", "Having read that {sentence1}\nwould it be safe to say that {sentence2}", choices=("safe", "not safe")),
    Template(
        "editor",
        "An editor checks a summary line against its source. Source: {sentence1} Summary line: {sentence2} "
        "May the line stay in? Answer keep or cut.",
        choices=("keep", "cut"),
    ),
    Template("entails", "Sentence A: {sentence1}\nSentence B: {sentence2}\nDoes A entail B?", choices=("it does", "it does not")),
    Template(
        "write_claim",
        "Read this and write one sentence that {label_words} from it.\n\n{sentence1}",
        response="{sentence2}",
        original_task=False,
    ),
    Template(
        "write_source",
        "Invent a short news passage from which a reader {could} conclude: {sentence2}",
        response="{sentence1}",
        original_task=False,
    ),
    Template(
        "true_reserved", "{sentence1}\nQuestion: is it then true that {sentence2}", choices=("true", "not true"), reserved=True
    ),
    Template(
        "conclude_reserved",
        'Can we conclude "{sentence2}" from the following text?\n\n{sentence1}',
        choices=("we can", "we cannot"),
        reserved=True,
    ),
    Template(
        "judge_reserved",
        "Premise: {sentence1}\nHypothesis: {sentence2}\nHow are the two related?\n{options}",
        choices=("entailment", "not entailment"),
        reserved=True,
    ),
)


def _rte(example):
    follows = example["label"] == 0
    return {
        "sentence1": example["sentence1"],
        "sentence2": example["sentence2"],
        "label": example["label"],
        "label_words": "follows" if follows else "does not follow",
        "could": "could" if follows else "could not",
    }


DATASETS = (
    FlanDataset(
        "rte",
        CLUSTER,
        "glue/rte:2.0.0",
        ("sentence1", "sentence2", "label", "label_words", "could"),
        _RTE,
        record=_rte,
        classes=("entailment", "not_entailment"),
        splits={"train": "train", "test": "validation"},
        reference="Dagan et al. 2006",
    ),
)
