"""How much of each task: rates, caps and passes over the data become a whole number of examples for every task."""

import abc
import collections
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from instruct_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class TaskShape:
    """What a task brings to a mixture.

    Attributes:
      name, cluster: of the task; cluster "" where it has none.
      rate: as the mixture registers it; 0 leaves the task out.
      size: its examples; None for a source without end.
      tokens, supervised: that its mean example leaves in the rows; None where they were not measured.
    """

    name: str
    cluster: str
    rate: float
    size: int | None
    tokens: float | None = None
    supervised: float | None = None


class Rates(abc.ABC):
    """Relative numbers of examples, one for each task."""

    @abc.abstractmethod
    def of(self, tasks: Sequence[TaskShape], pools: Sequence[int | None]) -> list[float]:
        """The rates of the tasks, in their order, each at least 0; a task whose registered rate is 0 keeps 0.

        Args:
          tasks: of the mixture.
          pools: how many different examples each may give; None for no end.

        Raises:
          InputError: they cannot be told.
        """

    def needs_means(self) -> bool:
        """Whether `TaskShape.tokens` and `supervised` have to be measured first."""
        return False


@dataclasses.dataclass(frozen=True)
class Registered(Rates):
    """The rates with which the mixture was registered."""

    def of(self, tasks: Sequence[TaskShape], pools: Sequence[int | None]) -> list[float]:
        del pools
        return [task.rate for task in tasks]


@dataclasses.dataclass(frozen=True)
class ExamplesProportional(Rates):
    """In proportion to the examples, but no task counts for more than `maximum`.

    Raffel et al. 2020 (arXiv:1910.10683), section 3.5.2, equation of r_m; FLAN (Wei et al. 2021, section 2.4) caps every
    dataset at 30,000 examples (`Mixing.cap`) and the rate at 3,000.

    Attributes:
      maximum: K, in examples; None for no bound.
      temperature: T: rates are raised to 1/T. 1 leaves them; as T grows, all tasks become equal.

    >>> tasks = [TaskShape("a", "", 1.0, 100), TaskShape("b", "", 1.0, 400), TaskShape("c", "", 1.0, 10_000)]
    >>> ExamplesProportional(maximum=400, temperature=2).of(tasks, [100, 400, 10_000])
    [10.0, 20.0, 20.0]
    """

    maximum: int | None = 3_000
    temperature: float = 1.0

    def __post_init__(self):
        if self.maximum is not None and self.maximum < 1:
            raise InputError(f"ExamplesProportional.maximum is {self.maximum}; expected at least 1, or None for no bound")
        if not 0 < self.temperature < float("inf"):
            raise InputError(f"ExamplesProportional.temperature is {self.temperature}; expected a number above 0")

    def of(self, tasks: Sequence[TaskShape], pools: Sequence[int | None]) -> list[float]:
        rates = []
        for task, pool in zip(tasks, pools, strict=True):
            known = [number for number in (pool, self.maximum) if number is not None]
            if task.rate and not known:
                raise InputError(f"task {task.name} has no end, so its examples give no rate; set a maximum, or a cap")
            rates.append(min(known) ** (1 / self.temperature) if task.rate else 0.0)
        return rates


@dataclasses.dataclass(frozen=True)
class Fixed(Rates):
    """Weights given by hand. Those of a cluster are shared by its tasks as their registered rates are.

    Tasks that no weight names are left out.

    Attributes:
      weights: by name of a task or of a cluster; a task's own weight comes before its cluster's.

    >>> tasks = [TaskShape("a", "qa", 1.0, 9), TaskShape("b", "qa", 3.0, 9), TaskShape("c", "", 1.0, 9)]
    >>> Fixed({"qa": 0.8, "c": 0.2}).of(tasks, [9, 9, 9])
    [0.2, 0.6000000000000001, 0.2]
    """

    weights: Mapping[str, float]

    def of(self, tasks: Sequence[TaskShape], pools: Sequence[int | None]) -> list[float]:
        del pools
        known = {name for task in tasks for name in (task.name, task.cluster) if name}
        for name, weight in self.weights.items():
            if name not in known:
                raise InputError(f"Fixed gives a weight to {name!r}, which is no task or cluster of the mixture; check the name")
            if not 0 <= weight < float("inf"):
                raise InputError(f"Fixed gives {name!r} the weight {weight}; expected a number from 0 up")
        shared: dict[str, float] = collections.defaultdict(float)
        for task in tasks:
            if task.name not in self.weights:
                shared[task.cluster] += task.rate
        return [self._rate(task, shared) for task in tasks]

    def _rate(self, task: TaskShape, shared: Mapping[str, float]) -> float:
        if not task.rate:
            return 0.0
        if task.name in self.weights:
            return float(self.weights[task.name])
        return self.weights.get(task.cluster, 0.0) * task.rate / shared[task.cluster]


@dataclasses.dataclass(frozen=True)
class ByTokens(Rates):
    """Rates that count tokens: a task of long examples gives fewer of them.

    Attributes:
      rates: the shares of the tokens.
      supervised: whether only tokens with a loss count.

    >>> tasks = [TaskShape("long", "", 1.0, 9, tokens=100.0, supervised=10.0), TaskShape("short", "", 1.0, 9, 10.0, 5.0)]
    >>> ByTokens().of(tasks, [9, 9])
    [0.01, 0.1]
    """

    rates: Rates = Registered()
    supervised: bool = False

    def needs_means(self) -> bool:
        return True

    def of(self, tasks: Sequence[TaskShape], pools: Sequence[int | None]) -> list[float]:
        shares = []
        for task, rate in zip(tasks, self.rates.of(tasks, pools), strict=True):
            mean = task.supervised if self.supervised else task.tokens
            if rate and not mean:
                raise InputError(f"task {task.name}: its mean example has no such tokens, so it cannot have a share of them")
            shares.append(rate / mean if rate else 0.0)
        return shares


AS_REGISTERED = Registered()


@dataclasses.dataclass(frozen=True)
class Mixing:
    """How a mixture's tasks are weighed against each other, and how often each is gone through.

    Attributes:
      rates: relative numbers of examples.
      cap: most different examples of one task: a sample of them, the seed's, is used; None for all.
      epochs: passes over every task, exactly: rates then play no part but for leaving out what they give 0.
      most_epochs: passes that no task may exceed. What it cannot give, the others give in its place.

    Without `epochs` and `most_epochs` a task gives its share, as often as that goes round.
    """

    rates: Rates = AS_REGISTERED
    cap: int | None = None
    epochs: float | None = None
    most_epochs: float | None = None

    def __post_init__(self):
        if self.cap is not None and self.cap < 1:
            raise InputError(f"Mixing.cap is {self.cap}; expected at least 1 example, or None for all")
        for name in ("epochs", "most_epochs"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"Mixing.{name} is {value}; expected a number above 0, or None")
        if self.epochs is not None and self.most_epochs is not None:
            raise InputError("Mixing.epochs and Mixing.most_epochs are both given: the first is exact already; leave one None")


AS_THEY_ARE = Mixing()


@dataclasses.dataclass(frozen=True)
class Allotment:
    """What each task gives, in the order of the tasks.

    Attributes:
      rates: shares of the examples that were asked for, summing to 1.
      pools: how many different examples each may give; None for no end.
      counts: how many examples each gives.
    """

    rates: tuple[float, ...]
    pools: tuple[int | None, ...]
    counts: tuple[int, ...]


def allot(mixing: Mixing, tasks: Sequence[TaskShape], examples: int | None) -> Allotment:
    """A whole number of examples for every task.

    Args:
      mixing: how.
      tasks: of the mixture.
      examples: in all; None for as many as the pools hold, or as `mixing.epochs` asks.

    Raises:
      InputError: the wishes contradict each other, or the tasks cannot give so many.

    >>> tasks = [TaskShape("a", "", 1.0, 10), TaskShape("b", "", 1.0, 100), TaskShape("c", "", 0.0, 50)]
    >>> allot(Mixing(), tasks, 60).counts
    (30, 30, 0)
    >>> allot(Mixing(most_epochs=2), tasks, 60).counts
    (20, 40, 0)
    >>> allot(Mixing(epochs=2, cap=40), tasks, None).counts
    (20, 80, 0)
    """
    pools = [_pool(task.size, mixing.cap) for task in tasks]
    rates = mixing.rates.of(tasks, pools)
    total_rate = sum(rates)
    if not total_rate:
        raise InputError("the rates leave nothing to train on: every task has 0")
    endless = [task.name for task, pool, rate in zip(tasks, pools, rates, strict=True) if rate and pool is None]
    if mixing.epochs is not None:
        if examples is not None:
            raise InputError(f"examples is {examples} and Mixing.epochs is {mixing.epochs}: either decides; leave one None")
        if endless:
            raise InputError(f"task {endless[0]} has no end, so there are no epochs of it; set `examples`, or a cap")
        counts = [round(mixing.epochs * pool) if rate else 0 for pool, rate in zip(pools, rates, strict=True)]
        if not any(counts):
            raise InputError(f"Mixing.epochs is {mixing.epochs}, which is not half an example of any task; ask for more")
        return Allotment(tuple(_shares(counts)), tuple(pools), tuple(counts))
    if examples is None:
        if endless:
            raise InputError(f"task {endless[0]} has no end, so `examples` must say how many examples to prepare in all")
        examples = sum(pool for pool, rate in zip(pools, rates, strict=True) if rate)
    if mixing.most_epochs is None:
        counts = largest_remainder(rates, examples)
    else:
        most = [None if pool is None else int(mixing.most_epochs * pool) for pool in pools]
        counts = _within(rates, examples, most)
    return Allotment(tuple(rate / total_rate for rate in rates), tuple(pools), tuple(counts))


def largest_remainder(rates: Sequence[float], total: int) -> list[int]:
    """Whole numbers that sum to `total` and are each within 1 of their exact share.

    >>> largest_remainder([1, 1, 1], 100)
    [34, 33, 33]
    >>> largest_remainder([0.7, 0.0, 0.2], 10)
    [8, 0, 2]
    """
    exact = np.array(rates, np.float64) / np.sum(rates) * total
    counts = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: total - int(counts.sum())]] += 1
    return counts.tolist()


def _within(rates: Sequence[float], examples: int, most: Sequence[int | None]) -> list[int]:
    """Shares by rate of which none exceeds its bound; what one cannot give, those with room left give by their rates."""
    room = sum(bound or 0 for bound, rate in zip(most, rates, strict=True) if rate)
    if room < examples and not any(bound is None and rate for bound, rate in zip(most, rates, strict=True)):
        raise InputError(
            f"the tasks give {room:,} examples within Mixing.most_epochs, and {examples:,} are asked for; ask for fewer, or "
            "allow more epochs"
        )
    full: set[int] = set()
    while True:
        left = examples - sum(most[place] for place in full)
        free = [0.0 if place in full else rate for place, rate in enumerate(rates)]
        counts = largest_remainder(free, left) if any(free) else [0] * len(rates)
        over = {place for place, bound in enumerate(most) if bound is not None and counts[place] > bound}
        if not over:
            return [most[place] if place in full else count for place, count in enumerate(counts)]
        full |= over


def _pool(size: int | None, cap: int | None) -> int | None:
    known = [number for number in (size, cap) if number is not None]
    return min(known) if known else None


def _shares(counts: Sequence[int]) -> list[float]:
    return [count / sum(counts) for count in counts]
