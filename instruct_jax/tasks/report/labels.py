"""Which answers each task teaches: how often, and how far always giving the most common one would get."""

import collections
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from instruct_jax.tasks.report.texts import Text

# A wording whose answers are at most so many, each given so often on average, chooses among labels.
MOST_LABELS = 20
_USES_PER_LABEL = 5


class Answers:
    """Counts the answers of each wording, and stops counting those of a wording that has too many to be labels."""

    def __init__(self):
        self._counts: dict[tuple[int, int], collections.Counter[str]] = collections.defaultdict(collections.Counter)

    def add(self, text: Text) -> None:
        """Count one text's answer; a plain document has none."""
        if not text.prompt:
            return
        counts = self._counts[text.task, text.template]
        answer = text.response.strip()
        if answer in counts or len(counts) <= MOST_LABELS:
            counts[answer] += 1

    def table(self, tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """One entry a task with wordings that choose among labels.

        Returns:
          {"task", "examples": in those wordings, "labels": answers pooled over them {answer: count}, "majority": the share
          right of one who always gives each wording's most common answer, "even": the same were its answers equally common,
          "entropy": of the pooled answers, in bits, "wordings": [{"template", "labels", "majority"}]}.

        Args:
          tasks: of the manifest.
        """
        groups: dict[int, list[tuple[str, collections.Counter[str]]]] = collections.defaultdict(list)
        for (task, template), counts in sorted(self._counts.items()):
            if len(counts) <= MOST_LABELS and counts.total() >= _USES_PER_LABEL * len(counts):
                groups[task].append((tasks[task]["templates"][template] if template >= 0 else "", counts))
        return [_entry(tasks[task]["name"], wordings) for task, wordings in groups.items()]


def _entry(name: str, wordings: Iterable[tuple[str, collections.Counter[str]]]) -> dict[str, Any]:
    wordings = list(wordings)
    pooled = sum((counts for _, counts in wordings), collections.Counter())
    total = pooled.total()
    return {
        "task": name,
        "examples": total,
        "labels": dict(pooled.most_common()),
        "majority": sum(max(counts.values()) for _, counts in wordings) / total,
        "even": sum(counts.total() / len(counts) for _, counts in wordings) / total,
        "entropy": -sum(n / total * math.log2(n / total) for n in pooled.values()) + 0.0,
        "wordings": [
            {"template": template, "labels": dict(counts.most_common()), "majority": max(counts.values()) / counts.total()}
            for template, counts in wordings
        ],
    }
