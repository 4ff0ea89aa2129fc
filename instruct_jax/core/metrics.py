"""Mean: a total and a weight, added and never averaged."""

import dataclasses
from typing import Any

import jax


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean on its way: totals and weights add over microbatches, devices and hosts; the division comes last, once.

    Averages of averages are wrong for ragged masks. Sequences with token losses [1, 2, 3] and [4] in one microbatch and
    [5] in the next have mean (1 + 2 + 3 + 4 + 5) / 5 = 3.0; the mean of microbatch means is 3.75.

    >>> (Mean(10.0, 4.0) + Mean(5.0, 1.0)).value()
    3.0
    """

    total: Any  # f32[]
    weight: Any  # f32[]

    def __add__(self, other: "Mean") -> "Mean":
        return Mean(self.total + other.total, self.weight + other.weight)

    def value(self) -> float:
        """`total / weight` as a Python float; nan when nothing was counted."""
        weight = float(self.weight)
        return float(self.total) / weight if weight else float("nan")
