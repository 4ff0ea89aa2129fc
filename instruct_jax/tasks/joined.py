"""Several mixtures and tasks as one, so that a recipe can put them together and no module has to."""

from collections.abc import Sequence

import seqio

from instruct_jax.errors import InputError


def add_mixture(parts: Sequence[str], rates: Sequence[float] | None = None, name: str = "joined") -> str:
    """Register a mixture of mixtures and tasks; a second call replaces the first.

    Args:
      parts: names of registered mixtures and tasks, such as `t0.add_mixture` returns.
      rates: of the parts; a mixture's tasks share its rate as they share each other's. None: every task of every part has the
        rate 1, for `mixing.Mixing` to weigh.
      name: of the mixture.

    Returns:
      The mixture's name.

    Raises:
      InputError: there are no parts, two share a task, or the rates are not one a part.
    """
    if not parts:
        raise InputError("joined.add_mixture has no parts; name at least one mixture or task")
    if rates is not None and len(rates) != len(parts):
        raise InputError(f"joined.add_mixture has {len(parts)} parts and {len(rates)} rates; give one rate a part")
    owner: dict[str, str] = {}
    for part in parts:
        for task in _tasks(part):
            if task in owner:
                raise InputError(f"joined.add_mixture: {owner[task]} and {part} both hold the task {task}; leave one out")
            owner[task] = part
    if name in seqio.MixtureRegistry.names():
        seqio.MixtureRegistry.remove(name)
    if rates is None:
        seqio.MixtureRegistry.add(name, list(owner), default_rate=1.0)
    else:
        seqio.MixtureRegistry.add(name, list(zip(parts, map(float, rates), strict=True)))
    return name


def _tasks(part: str) -> list[str]:
    if part in seqio.TaskRegistry.names():
        return [part]
    if part not in seqio.MixtureRegistry.names():
        raise InputError(f"joined.add_mixture names {part!r}, which is no registered mixture or task; register it before")
    return [task.name for task in seqio.MixtureRegistry.get(part).tasks]
