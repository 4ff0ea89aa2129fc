"""What must not be trained on, as texts: a dataset's own evaluation items without their wording, and suites in files."""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from instruct_jax.artifacts.items import Item
from instruct_jax.curation.overlap import Bounds, EvaluationText
from instruct_jax.curation.words import composed, ngram_hashes, word_hashes, word_places, words
from instruct_jax.errors import InputError
from instruct_jax.tasks.files.containers import open_container
from instruct_jax.tasks.report.texts import Text

OWN = "items/"
_RUN = 4  # words; runs of so many that most records of one wording share are its words
_FEWEST = 4  # records that it takes to tell a wording from what it is about


def own_suites(items: Sequence[Item], trained: Mapping[tuple[str, str], Sequence[Text]]) -> dict[str, list[EvaluationText]]:
    """A dataset's own evaluation items as suites, one a source dataset.

    Training texts are in the same wordings as they are. So what more than half of the records in one wording say, or more
    than half of the training prompts in it, is left out of all items of its dataset; an item of which nothing is left is not
    looked for. A response is looked for by itself, if it is of one record alone and not one of a few options.

    Args:
      items: of the dataset.
      trained: some training texts, by dataset and template.
    """
    groups: dict[tuple[str, str], list[Item]] = collections.defaultdict(list)
    answers: dict[tuple[str, str], set[str | int]] = collections.defaultdict(set)
    for item in items:
        groups[item.dataset, item.template].append(item)
        answers[item.dataset, item.target].add(item.source)
    wordings: dict[str, list[np.ndarray]] = collections.defaultdict(list)
    for (dataset, _), members in groups.items():
        wordings[dataset].append(_wording([(item.source, _prompt(item)) for item in members]))
    for (dataset, _), texts in trained.items():
        wordings[dataset].append(_wording([(text.example, text.prompt) for text in texts]))
        for text in texts:
            answers[dataset, text.response].add(text.example)
    suites: dict[str, list[EvaluationText]] = collections.defaultdict(list)
    wording = {dataset: np.unique(np.concatenate(found)) for dataset, found in wordings.items()}
    for item in items:
        if own := _without(_prompt(item), wording[item.dataset]):
            suites[f"{OWN}{item.dataset}"].append(EvaluationText(item.id, own, item.source))
        alone = item.options is None and len(answers[item.dataset, item.target]) == 1
        if alone and len(words(item.target)) >= Bounds().contained:
            suites[f"{OWN}{item.dataset}"].append(EvaluationText(item.id, item.target, item.source))
    return dict(suites)


def own_texts(items: Sequence[Item]) -> dict[str, dict[str, str]]:
    """The items as they are asked and answered, by suite and item: to be shown."""
    out: dict[str, dict[str, str]] = collections.defaultdict(dict)
    for item in items:
        out[f"{OWN}{item.dataset}"][item.id] = "\n".join([*(text for _, text in item.messages), item.target]).strip()
    return dict(out)


def file_suite(name: str, path: str) -> list[EvaluationText]:
    """The records of an evaluation suite's files: each text field by itself, whatever the fields are called.

    Fields of a few words, such as labels and keys, tell nothing apart and are left out.

    Args:
      name: of the suite, for errors.
      path: what `containers.open_container` reads.

    Raises:
      InputError: there is nothing to read, a record cannot be read, or there is no text.
    """
    records = open_container(path, "test")
    texts = []
    for index in range(records.size):
        where = records.where(index)
        for text in _texts(records[index]):
            if len(words(text)) >= Bounds().contained:
                texts.append(EvaluationText(where, text, where))
    if not texts:
        raise InputError(f"EVALUATIONS[{name!r}]: {path} holds no text of {Bounds().contained} words; check the file")
    return texts


def shown_texts(suite: Iterable[EvaluationText]) -> dict[str, str]:
    """A file's texts by item, those of one record together: to be shown."""
    out: dict[str, list[str]] = collections.defaultdict(list)
    for one in suite:
        out[one.item].append(one.text)
    return {item: "\n".join(texts) for item, texts in out.items()}


def _texts(value: Any) -> list[str]:
    """Every string in a record, however deep."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return []


def _prompt(item: Item) -> str:
    return "\n".join(text for _, text in item.messages)


def _wording(prompts: Sequence[tuple[str | int, str]]) -> np.ndarray:
    """Hashes of the runs of words in the prompts of more than half of the records; prompts come with their records."""
    records: dict[str | int, list[np.ndarray]] = collections.defaultdict(list)
    for record, prompt in prompts:
        records[record].append(ngram_hashes(word_hashes(prompt), _RUN))
    if len(records) < _FEWEST:
        return np.empty(0, np.uint64)
    runs, counts = np.unique(np.concatenate([np.unique(np.concatenate(one)) for one in records.values()]), return_counts=True)
    return runs[counts > len(records) / 2]


def _without(text: str, wording: np.ndarray) -> str:
    """The words of a text that are in no run of the wording; the text as it is where there is none of it."""
    inside = np.isin(ngram_hashes(word_hashes(text), _RUN), wording)
    if not inside.any():
        return text
    own = np.ones(inside.size + _RUN - 1, bool)
    for start in np.flatnonzero(inside):
        own[start : start + _RUN] = False
    exact = composed(text)
    return " ".join(exact[begin:end] for (begin, end), kept in zip(word_places(exact), own.tolist(), strict=True) if kept)
