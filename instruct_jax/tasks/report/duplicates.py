"""Training examples that say the same as others: equal, nearly equal, or one question with several answers."""

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from instruct_jax.curation.dedup import Duplicate, NearDuplicates, clusters, exact_duplicates, near_duplicates, normalised
from instruct_jax.tasks.report.census import Census
from instruct_jax.tasks.report.texts import Text

_SHOWN = 5
_EXCERPT = 420  # characters of a text that is shown


def compared(census: Census, most: int, seed: int) -> set[int]:
    """The segments to compare, by their place in the census: the first of each example, or of a sample of so many.

    An example that the mixture uses several times is compared once: its repetitions are asked for.

    Args:
      census: of the rows.
      most: how many examples at most.
      seed: of the sample.
    """
    first = np.unique(np.stack([census.task, census.example], axis=1), axis=0, return_index=True)[1]
    if first.size > most:
        first = np.random.default_rng(seed).choice(first, most, replace=False)
    return set(first.tolist())


def duplicate_table(
    texts: Sequence[Text], examples: int, tasks: Sequence[str], numbers: NearDuplicates, advance: Callable[[int], None]
) -> dict[str, Any]:
    """What duplicates there are among texts of different examples.

    Args:
      texts: one of each example compared.
      examples: how many different examples there are in all.
      tasks: names, by index.
      numbers: what counts as nearly equal.
      advance: hears how many more texts are compared.

    Returns:
      {"examples", "compared", "exact", "near", "numbers"}; see `_kind`. What is equal is not counted as nearly equal again.
    """
    whole = [text.whole for text in texts]
    exact = exact_duplicates(whole)
    dropped = {one.index for one in exact}
    left = [place for place in range(len(texts)) if place not in dropped]
    near = [
        Duplicate(left[one.index], left[one.kept], one.similarity)
        for one in near_duplicates([whole[place] for place in left], numbers, advance=advance)
    ]
    return {
        "examples": examples,
        "compared": len(texts),
        "exact": _kind(exact, texts, tasks),
        "near": _kind(near, texts, tasks),
        "numbers": dataclasses.asdict(numbers),
    }


class Disagreements:
    """Finds prompts that are asked more than once and answered differently.

    Args:
      tasks: names, by index.
    """

    def __init__(self, tasks: Sequence[str]):
        self._tasks = tasks
        self._task_of: dict[bytes, int] = {}  # the first that asks it
        self._answers: dict[bytes, dict[bytes, int]] = collections.defaultdict(dict)

    def add(self, text: Text) -> None:
        """Take note of one text; a plain document asks nothing."""
        if text.prompt:
            prompt = _digest(text.prompt)
            self._task_of.setdefault(prompt, text.task)
            answers = self._answers[prompt]
            answer = _digest(text.response)
            answers[answer] = answers.get(answer, 0) + 1

    def table(self) -> dict[str, Any]:
        """{"prompts": different ones, "repeated": asked more than once, "disagreeing": of these, answered differently,
        "texts": in the disagreeing ones, "tasks": {task: disagreeing prompts}, the most first}."""
        repeated = {prompt: answers for prompt, answers in self._answers.items() if sum(answers.values()) > 1}
        disagreeing = {prompt: answers for prompt, answers in repeated.items() if len(answers) > 1}
        by_task = collections.Counter(self._tasks[self._task_of[prompt]] for prompt in disagreeing)
        return {
            "prompts": len(self._answers),
            "repeated": len(repeated),
            "disagreeing": len(disagreeing),
            "texts": sum(sum(answers.values()) for answers in disagreeing.values()),
            "tasks": dict(by_task.most_common()),
        }


def _kind(found: Sequence[Duplicate], texts: Sequence[Text], tasks: Sequence[str]) -> dict[str, Any]:
    """One kind of duplicates.

    Returns:
      {"duplicates": texts that could go, "share", "groups", "largest", "same_wording": duplicates of a text in the same
      template, "other_wording", "across_tasks", "tasks": {task: duplicates}, "unasked": the same but for other wordings,
      which are what multiple templates are for, "pairs": [[task, task of the kept one, count]],
      "shown": the most alike of each pair of tasks}.
    """
    groups = clusters(found)
    pairs = collections.Counter((tasks[texts[one.index].task], tasks[texts[one.kept].task]) for one in found)
    within = [(texts[one.index], texts[one.kept]) for one in found if texts[one.index].task == texts[one.kept].task]
    same = sum(first.template == second.template for first, second in within)
    unasked = [one for one in found if not _rewording(texts[one.index], texts[one.kept])]
    shown: dict[tuple[str, str], Duplicate] = {}
    for one in sorted(found, key=lambda one: (-one.similarity, one.index)):
        shown.setdefault((tasks[texts[one.index].task], tasks[texts[one.kept].task]), one)
    return {
        "duplicates": len(found),
        "share": len(found) / len(texts) if texts else 0.0,
        "groups": len(groups),
        "largest": max((1 + len(group) for group in groups.values()), default=0),
        "same_wording": same,
        "other_wording": len(within) - same,
        "across_tasks": len(found) - len(within),
        "tasks": dict(collections.Counter(tasks[texts[one.index].task] for one in found).most_common()),
        "unasked": dict(collections.Counter(tasks[texts[one.index].task] for one in unasked).most_common()),
        "pairs": [[*names, count] for names, count in pairs.most_common()],
        "shown": [
            {
                "similarity": one.similarity,
                "texts": [_shown(texts[place], tasks) for place in (one.kept, one.index)],
            }
            for one in list(shown.values())[:_SHOWN]
        ],
    }


def _rewording(one: Text, other: Text) -> bool:
    return one.task == other.task and one.template != other.template


def _shown(text: Text, tasks: Sequence[str]) -> dict[str, Any]:
    prompt = text.prompt if len(text.prompt) <= _EXCERPT else f"{text.prompt[: _EXCERPT // 2]} … {text.prompt[-_EXCERPT // 2 :]}"
    response = text.response if len(text.response) <= _EXCERPT // 2 else f"{text.response[: _EXCERPT // 2]} …"
    return {"task": tasks[text.task], "example": text.example, "template": text.template, "prompt": prompt, "response": response}


def _digest(text: str) -> bytes:
    return hashlib.blake2b(normalised(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()
