"""The tasks of a registered mixture, their registered rates, and which of them are held out."""

import collections
import contextlib
import dataclasses
import difflib
import importlib
from collections.abc import Callable, Collection, Iterator, Sequence

import absl.logging
import seqio

from instruct_jax.errors import InputError
from instruct_jax.tasks.examples import instruct_of
from instruct_jax.tasks.splits import HeldOut, Member, check_disjoint, check_named

# Raise it when the same tasks would give other draws, wordings or evaluation items.
MIXTURE_VERSION = 3


@dataclasses.dataclass(frozen=True)
class MixtureTask:
    """A task of the mixture.

    Attributes:
      task: the SeqIO task.
      cluster, dataset: from its Instruct; "" and the task's name where it has none.
      rate: as the mixture gives it; 0 for a held-out task.
      held_out: whether it is kept out of training.
      why: it is, in words; "" where it is not.
    """

    task: seqio.Task
    cluster: str
    dataset: str
    rate: float
    held_out: bool
    why: str = ""


def import_modules(modules: str | Sequence[str]) -> None:
    """Import the modules, or the one module, that register tasks.

    Raises:
      InputError: there is no such module.
    """
    for module in [modules] if isinstance(modules, str) else modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise InputError(
                f"cannot import {module!r} ({error}); name an installed module, or one in the current folder or on PYTHONPATH"
            ) from None


def registered(name: str) -> seqio.Mixture | seqio.Task:
    """The mixture or task of this name.

    Raises:
      InputError: nothing of that name is registered.
    """
    known = [*seqio.MixtureRegistry.names(), *seqio.TaskRegistry.names()]
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else "import the module that registers it (argument `modules`)"
        raise InputError(f"no mixture or task named {name!r} is registered; {hint}")
    return seqio.get_mixture_or_task(name)


def mixture_tasks(name: str, held_out: HeldOut) -> list[MixtureTask]:
    """The tasks of a registered mixture (or one registered task), in order of name, with their rates.

    Raises:
      InputError: nothing of that name is registered, a rate is negative or fails, or `held_out` names what is not there.
    """
    provider = registered(name)
    out = []
    for task in provider.tasks if isinstance(provider, seqio.Mixture) else [provider]:
        instruct = instruct_of(task)
        cluster, dataset = (instruct.cluster, instruct.dataset) if instruct else ("", task.name)
        why = held_out.reason(cluster, dataset)
        out.append(MixtureTask(_reserving(task, held_out), cluster, dataset, 0.0, bool(why), why))
    with _quiet():  # SeqIO warns, task by task, that a size is not from a cache; nothing here is
        rates = mixing_rates(provider, {one.task.name for one in out if not one.held_out})
    out = [dataclasses.replace(one, rate=rates.get(one.task.name, 0.0)) for one in out]
    members = [_member(one) for one in out]
    check_named(held_out, members)
    check_disjoint(held_out, members)
    if not any(one.rate for one in out):
        raise InputError(f"mixture {name!r} has nothing left to train on: every task is held out or has rate 0")
    return out


def _reserving(task: seqio.Task, held_out: HeldOut) -> seqio.Task:
    """The task, its held-out wordings reserved."""
    instruct = instruct_of(task)
    if instruct is None or not held_out.templates:
        return task
    wordings = tuple(
        dataclasses.replace(one, reserved=one.reserved or held_out.reserves(instruct.dataset, one.id))
        for one in instruct.templates
    )
    return task.replace(preprocessors=[*task.preprocessors[:-1], dataclasses.replace(instruct, templates=wordings)])


def _member(one: MixtureTask) -> Member:
    instruct = instruct_of(one.task)
    templates = tuple(template.id for template in instruct.templates) if instruct else ()
    return Member(one.task.name, one.cluster, one.dataset, templates)


def mixing_rates(provider: seqio.Mixture | seqio.Task, keep: Collection[str]) -> dict[str, float]:
    """The rate of each task, as `seqio.Mixture.get_rate` gives it, were the mixture defined without the tasks not kept.

    A sub-mixture keeps its own rate when tasks of it are left out: those that stay share it.

    Args:
      provider: a mixture, perhaps of mixtures, or a task.
      keep: names of the tasks to keep.

    Raises:
      InputError: a rate is negative, infinite or cannot be computed.
    """
    if isinstance(provider, seqio.Task):
        return {provider.name: 1.0} if provider.name in keep else {}
    tasks = {task.name: task for task in provider.tasks}
    rates: dict[str, float] = collections.defaultdict(float)
    for name, rate in provider.rate_per_task_name.items():
        if name in tasks:
            if name in keep:
                rates[name] += _number(rate, tasks[name], provider)
            continue
        inner = mixing_rates(seqio.MixtureRegistry.get(name), keep)
        total = sum(inner.values())
        for task, share in inner.items():
            if total:
                rates[task] += _number(rate, tasks[task], provider) * share / total
    return dict(rates)


def _number(rate: float | Callable[[seqio.Task], float], task: seqio.Task, mixture: seqio.Mixture) -> float:
    try:
        number = float(rate(task) if callable(rate) else rate)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the rate of task {task.name} in mixture {mixture.name} cannot be computed ({error}); give a number, or a source "
            "that knows its size"
        ) from error
    if not 0 <= number < float("inf"):
        raise InputError(f"the rate of task {task.name} in mixture {mixture.name} is {number}; expected a number from 0 up")
    return number


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    before = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        yield
    finally:
        absl.logging.set_verbosity(before)
