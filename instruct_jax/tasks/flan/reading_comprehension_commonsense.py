"""Reading comprehension with commonsense: the passage alone does not say it."""

from instruct_jax.tasks.flan.dataset import FlanDataset, first
from instruct_jax.text.templates import Template

CLUSTER = "reading_comprehension_with_commonsense"

_COSMOS_QA = (
    Template("plain", "{context}\n\n{question}\n{options}"),
    Template("between_lines", "Read between the lines.\n{context}\n{question}\n{options}"),
    Template("blog", "Somebody writes in their blog: {context}\nWhat is your guess? {question}\nChoose from:\n{options}"),
    Template(
        "unsaid",
        "The text does not say it outright, yet a sensible reader knows.\nText: {context}\nQuestion: {question}\n{options}",
    ),
    Template(
        "options_first",
        "{options}\n\nWhich of the lines above best answers this? {question}\nIt is about the following. {context}",
    ),
    Template(
        "ask",
        "{context}\nThink of a question about what is left unsaid here. The answer to it should be: {answer}",
        response="{question}",
        original_task=False,
    ),
    Template(
        "write",
        "Write a short personal account after which one could ask '{question}' and expect '{answer}'.",
        response="{context}",
        original_task=False,
    ),
    Template("likely", "Which is the likeliest?\n{context}\nQ: {question}\n{options}", reserved=True),
    Template("infer", "What can be inferred? {question}\n{options}\nThe account is this: {context}", reserved=True),
    Template("best", "{question}\nPick the best of four for the following text.\n{context}\n{options}", reserved=True),
)


def _cosmos_qa(example):
    """One whose answer is "None of the above choices" is left out: no question can be asked for that."""
    options, label = [example[f"answer{number}"] for number in range(4)], example["label"]
    answer = options[label] if label >= 0 else ""
    if answer.lower().startswith("none of the above"):
        return None
    return {"context": example["context"], "question": example["question"], "options": options, "answer": answer}


_RECORD = (
    Template("placeholder", "{passage}\n\nFill in @placeholder: {query}"),
    Template("entities", "{passage}\n\n{query}\nWhich of these does @placeholder stand for?\n{options}"),
    Template(
        "headline",
        "In the last line, a sentence about the news article above it, a name was blotted out as @placeholder.\n{passage}\n"
        "{query}\nThe name is",
    ),
    Template("choose", "Choose the name that makes the sentence true.\nSentence: {query}\nNames:\n{options}\nArticle: {passage}"),
    Template("cloze", "Cloze from the news. Text:\n{passage}\nTo complete: {query}\nAnswer with a name from the text."),
    Template(
        "editor", "The editor lost a name, now marked @placeholder. Restore it.\n{query}\nThe article it goes with: {passage}"
    ),
    Template(
        "write",
        "{passage}\nAdd a sentence to this that is about {answer}, but put @placeholder instead of the name.",
        response="{query}",
        original_task=False,
    ),
    Template(
        "missing",
        "What is missing at @placeholder in the second text?\nFirst text: {passage}\nSecond text: {query}",
        reserved=True,
    ),
    Template(
        "replace", "Replace @placeholder by one of the names.\n{query}\n{options}\nThe background:\n{passage}", reserved=True
    ),
    Template(
        "deduce", "From the report, deduce the name that @placeholder hides.\nReport: {passage}\nLine: {query}", reserved=True
    ),
)


def _record(example):
    """The first answer; the other right names are not offered beside it. Highlights are marked in the passage by a tag."""
    answer = first(example["answers"])
    others = [entity for entity in example["entities"] if entity not in example["answers"]]
    return {
        "passage": example["passage"].replace("\n@highlight\n", "\n"),
        "query": example["query"],
        "options": [entity for entity in example["entities"] if entity == answer or entity in others],
        "answer": answer,
    }


DATASETS = (
    FlanDataset(
        "cosmos_qa",
        CLUSTER,
        "cosmos_qa:1.0.0",
        ("context", "question", "options", "answer"),
        _COSMOS_QA,
        record=_cosmos_qa,
        splits={"train": "train", "validation": "validation"},
        reference="Huang et al. 2019, arXiv:1909.00277",
    ),
    FlanDataset(
        "record",
        CLUSTER,
        "super_glue/record:1.0.2",
        ("passage", "query", "options", "answer"),
        _RECORD,
        record=_record,
        splits={"train": "train", "validation": "validation"},
        metrics=("exact_match", "token_f1"),
        reference="Zhang et al. 2018, arXiv:1810.12885",
    ),
)
