"""ablation: a grid of held-out splits becomes the commands that prepare, train and evaluate each of them (a program)."""

import abc
import collections
import dataclasses
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import seqio
from rich.console import Console

from instruct_jax.artifacts.manifest import require_unused
from instruct_jax.errors import InputError
from instruct_jax.progress import say
from instruct_jax.tasks.examples import instruct_of
from instruct_jax.tasks.mixture import import_modules, registered
from instruct_jax.tasks.splits import NEAR_RELATIVES, HeldOut, leave_one_cluster_out


class Grid(abc.ABC):
    """Held-out splits to compare, by name of their run."""

    @abc.abstractmethod
    def splits(self, datasets: Mapping[str, Sequence[str]]) -> Mapping[str, HeldOut]:
        """The splits of a mixture whose datasets, by cluster, are these."""


@dataclasses.dataclass(frozen=True)
class LeaveOneClusterOut(Grid):
    """Each cluster held out in a run of its own: the main table of Wei et al. 2021 (arXiv:2109.01652), section 3.

    Attributes:
      siblings, relatives: as `HeldOut` has them.
    """

    siblings: tuple[tuple[str, ...], ...] = ()
    relatives: tuple[tuple[str, str], ...] = NEAR_RELATIVES

    def splits(self, datasets: Mapping[str, Sequence[str]]) -> Mapping[str, HeldOut]:
        return leave_one_cluster_out(datasets, self.siblings, self.relatives)


@dataclasses.dataclass(frozen=True)
class GrowingClusters(Grid):
    """The same clusters held out while ever more of the others are trained: Wei et al. 2021, section 4.1, figure 6.

    Clusters join in order of how many datasets they have, the largest first, as there.

    Attributes:
      held_out: the clusters that every run is measured on.
      siblings, relatives: as `HeldOut` has them.

    >>> grid = GrowingClusters(("entailment",), relatives=())
    >>> runs = grid.splits({"qa": ["a", "b"], "entailment": ["c"], "summarisation": ["d"]})
    >>> {name: split.clusters for name, split in runs.items()}
    {'1_clusters': ('entailment', 'summarisation'), '2_clusters': ('entailment',)}
    """

    held_out: tuple[str, ...]
    siblings: tuple[tuple[str, ...], ...] = ()
    relatives: tuple[tuple[str, str], ...] = NEAR_RELATIVES

    def splits(self, datasets: Mapping[str, Sequence[str]]) -> Mapping[str, HeldOut]:
        missing = [name for name in self.held_out if name not in datasets]
        if missing:
            raise InputError(f"GrowingClusters.held_out names {missing[0]!r}; the mixture has: {', '.join(sorted(datasets))}")
        kept = HeldOut(tuple(self.held_out), siblings=self.siblings, relatives=self.relatives)
        others = [name for name in datasets if not kept.covers(name, "")]
        others.sort(key=lambda name: (-len(datasets[name]), name))
        return {
            f"{count}_clusters": dataclasses.replace(kept, clusters=(*kept.clusters, *sorted(others[count:])))
            for count in range(1, len(others) + 1)
        }


def ablation(
    workdir: str,
    mixture: str,
    grid: Grid,
    prepare: Mapping[str, Any],
    train: Mapping[str, Any],
    evaluate: Mapping[str, Any],
    modules: Sequence[str] = (),
    config: str = "",
) -> None:
    """Write runs.sh, the commands of every run, and runs.json, what each of them holds out.

    `bash runs.sh` runs all that is not finished yet; `bash runs.sh NAME` one of them, for a queue that runs many at once.

    Args:
      workdir: the folder; each run is a folder in it.
      mixture: name of a registered SeqIO mixture.
      grid: what to hold out.
      prepare, train, evaluate: for each program {"recipe": path, dial: value}. What the grid decides must not be among the
        dials: WORKDIR, the HELD_OUT ones, DATASET, and CHECKPOINT but for models to compare with ("base=FOLDER").
      modules: imported first; they register tasks.
      config: the configuration text, kept beside the commands.

    Raises:
      InputError: bad arguments, or something lies in `workdir`.
    """
    import_modules(modules)
    provider = registered(mixture)
    datasets = collections.defaultdict(list)
    for task in provider.tasks if isinstance(provider, seqio.Mixture) else [provider]:
        instruct = instruct_of(task)
        if instruct is not None:
            datasets[instruct.cluster].append(instruct.dataset)
    if not datasets:
        raise InputError(f"mixture {mixture!r} has no instruction task, so there is no cluster to hold out")
    splits = grid.splits(datasets)
    for name, values, decided in (
        ("prepare", prepare, _PREPARED),
        ("train", train, _TRAINED),
        ("evaluate", evaluate, _EVALUATED),
    ):
        _check(name, values, decided)
    folder = require_unused(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    runs = [_run(folder / name, split, prepare, train, evaluate) for name, split in splits.items()]
    held = {
        name: sorted(dataset for cluster, group in datasets.items() for dataset in group if split.covers(cluster, dataset))
        for name, split in splits.items()
    }
    text = json.dumps({"mixture": mixture, "held_out": held, "config": config}, indent=2)
    (folder / "runs.json").write_text(text + "\n")
    (folder / "runs.sh").write_text(_script(list(splits), runs))
    console = Console()
    for name, names in held.items():
        say(console, f"ablation: {name}: {len(names)} datasets held out of {sum(map(len, datasets.values()))}")
    say(console, f"ablation: {len(runs)} runs; start them with: bash {folder / 'runs.sh'}")


_PREPARED = ("WORKDIR", "HELD_OUT_CLUSTERS", "HELD_OUT_DATASETS", "SIBLINGS", "RELATIVES")
_TRAINED = ("WORKDIR", "DATASET")
_EVALUATED = ("WORKDIR", "DATASET")


def _check(program: str, values: Mapping[str, Any], decided: Sequence[str]) -> None:
    if not isinstance(values.get("recipe"), str) or not Path(values["recipe"]).is_file():
        raise InputError(f"{program} has the recipe {values.get('recipe')!r}; expected the path of a gin file")
    for name in values:
        if name in decided:
            raise InputError(f"{program} sets {name}, which the grid decides for every run; leave it out")
        if name != "recipe" and not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            raise InputError(f"{program} sets {name!r}; expected 'recipe' or the name of a dial, such as SEED")


def _run(
    folder: Path, split: HeldOut, prepare: Mapping[str, Any], train: Mapping[str, Any], evaluate: Mapping[str, Any]
) -> list[str]:
    """The three commands of one run."""
    data, tuned = str(folder / "data"), str(folder / "tuned")
    compared = evaluate.get("CHECKPOINT", [])
    checkpoints = [*([compared] if isinstance(compared, str) else compared), f"tuned={tuned}"]
    held_out = {
        "HELD_OUT_CLUSTERS": split.clusters,
        "HELD_OUT_DATASETS": split.datasets,
        "SIBLINGS": split.siblings,
        "RELATIVES": split.relatives,
    }
    return [
        _command(prepare, {**held_out, "WORKDIR": data}),
        _command(train, {"DATASET": data, "WORKDIR": tuned}),
        _command(evaluate, {"CHECKPOINT": checkpoints, "DATASET": data, "WORKDIR": str(folder / "report")}),
    ]


def _command(values: Mapping[str, Any], decided: Mapping[str, Any]) -> str:
    dials = {**{name: value for name, value in values.items() if name != "recipe"}, **decided}
    flags = [f"--gin.{name}={_literal(value)}" for name, value in dials.items()]
    return shlex.join(["instruct-jax", f"--gin_file={values['recipe']}", *flags])


def _literal(value: Any) -> str:
    """The value as a flag takes it, in double quotes so that a shell needs only its own."""
    return value if isinstance(value, str) else repr(value).replace("'", '"')


def _script(names: Sequence[str], runs: Sequence[Sequence[str]]) -> str:
    """A shell script with a function a run; finished programs reuse their work, so it may be started again."""
    lines = ["#!/usr/bin/env bash", "# bash runs.sh: every run; bash runs.sh NAME: one of them.", "set -euo pipefail", ""]
    for number, (name, commands) in enumerate(zip(names, runs, strict=True)):
        lines += [f"run_{number}() {{  # {name}", *(f"  {command}" for command in commands), "}", ""]
    lines += ['case "${1:-all}" in', "  all) " + "; ".join(f"run_{number}" for number in range(len(runs))) + " ;;"]
    lines += [f"  {shlex.quote(name)}) run_{number} ;;" for number, name in enumerate(names)]
    lines += [f'  *) echo "no run named $1; there are: {" ".join(names)}" >&2; exit 2 ;;', "esac"]
    return "\n".join(lines) + "\n"
