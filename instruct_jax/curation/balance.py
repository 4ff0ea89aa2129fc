"""How the answers of each task are shared out, and what always giving the commonest one would score."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping

from instruct_jax.curation.dedup import normalised


@dataclasses.dataclass(frozen=True)
class Balance:
    """The answers of one task.

    Attributes:
      task: which.
      rows: how many answers there are.
      shares: of all rows, how many have each answer; the commonest first.
      majority: the accuracy of always giving the commonest answer.
      expected: the share that each answer would have if they were shared out evenly.
    """

    task: str
    rows: int
    shares: Mapping[str, float]
    majority: float
    expected: float

    def lopsided(self, most: float) -> bool:
        """Whether the commonest answer has more than this share of all rows."""
        return self.majority > most


def label_balance(answers: Iterable[tuple[str, str]], labels: int = 20) -> list[Balance]:
    """The balance of each task whose answers are labels; tasks of free answers are left out.

    Args:
      answers: the task and the answer of each row; answers are the same but for case and space.
      labels: a task of more answers than this, or with fewer than two rows an answer on average, has free ones.

    Returns:
      Tasks by name.

    >>> label_balance([("nli", "Yes"), ("nli", "yes"), ("nli", "yes "), ("nli", "no"), ("tales", "Once ...")])[0].shares
    {'yes': 0.75, 'no': 0.25}
    """
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for task, answer in answers:
        counts[task][normalised(answer)] += 1
    found = []
    for task, count in sorted(counts.items()):
        rows = count.total()
        if len(count) <= labels and rows >= 2 * len(count):
            shares = {answer: number / rows for answer, number in sorted(count.items(), key=lambda pair: (-pair[1], pair[0]))}
            found.append(Balance(task, rows, shares, max(shares.values()), 1 / len(count)))
    return found
