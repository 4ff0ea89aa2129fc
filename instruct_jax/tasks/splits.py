"""What training never sees, as an object: whole clusters, datasets with their siblings, wordings; and what leaks across."""

import dataclasses
import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from instruct_jax.errors import InputError

# Words by which a benchmark calls its parts or a release its size: "glue_rte", "super_glue_rte" and "rte" are one dataset.
_CALLED = frozenset(
    ["glue", "super", "superglue", "gem", "xtreme", "flan", "t0", "p3", "subset", "dev", "full", "plain", "text", "en"]
)
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
NEAR_RELATIVES = (("reading_comprehension", "commonsense"), ("paraphrase", "entailment"))
"""Clusters that teach each other: FLAN drops one from training while it evaluates the other (Wei et al. 2021, section 2.2)."""


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """What training never sees.

    Attributes:
      clusters: whole ones.
      datasets: single ones of the other clusters.
      templates: wordings, each "dataset/template" or "*/template" for the wording of that id in every dataset; they become
        reserved ones.
      siblings: groups of datasets that are one in truth ("anli_r1", "anli_r2"): holding out one holds out all.
      relatives: pairs of clusters that teach each other: holding out one keeps the other out of training too.
      allowed: datasets that may be trained though they bear the name or hold a file of one that is held out.
    """

    clusters: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    siblings: tuple[tuple[str, ...], ...] = ()
    relatives: tuple[tuple[str, str], ...] = ()
    allowed: tuple[str, ...] = ()

    def __post_init__(self):
        for name in ("clusters", "datasets", "templates", "allowed"):
            value = getattr(self, name)  # a single name may be given as it is: a string is no sequence of letters
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        for name in ("siblings", "relatives"):
            groups = tuple(tuple(group) for group in getattr(self, name))
            for group, given in zip(groups, getattr(self, name), strict=True):
                if isinstance(given, str) or len(group) < 2:
                    raise InputError(f"HeldOut.{name} holds {given!r}; expected groups of two names or more")
            object.__setattr__(self, name, groups)
        for template in self.templates:
            if template.count("/") != 1:
                raise InputError(f"HeldOut.templates holds {template!r}; expected 'dataset/template', or '*/template' for all")

    def reason(self, cluster: str, dataset: str) -> str:
        """Why a task is kept out of training, "" where it is not.

        >>> split = HeldOut(("entailment",), ("anli_r1",), siblings=(("anli_r1", "anli_r2"),), relatives=NEAR_RELATIVES)
        >>> split.reason("paraphrase", "mrpc"), split.reason("nli", "anli_r2"), split.reason("coreference", "wsc")
        ('relative of the cluster entailment', 'sibling of the dataset anli_r1', '')
        """
        if cluster in self.clusters:
            return f"of the cluster {cluster}"
        if dataset in self.datasets:
            return f"the dataset {dataset}"
        for kind, own, named, groups in (
            ("sibling of the dataset", dataset, self.datasets, self.siblings),
            ("relative of the cluster", cluster, self.clusters, self.relatives),
        ):
            for group in groups:
                near = [name for name in group if own in group and name in named]
                if near:
                    return f"{kind} {near[0]}"
        return ""

    def covers(self, cluster: str, dataset: str) -> bool:
        """Whether a task is kept out of training."""
        return bool(self.reason(cluster, dataset))

    def reserves(self, dataset: str, template: str) -> bool:
        """Whether a wording is kept out of training."""
        return f"{dataset}/{template}" in self.templates or f"*/{template}" in self.templates


NOTHING_HELD_OUT = HeldOut()


@dataclasses.dataclass(frozen=True)
class Member:
    """A task of a mixture, as far as a split looks at it.

    Attributes:
      task, cluster, dataset: its names.
      templates: ids of its wordings.
      source: what its source says of itself, JSON; checksums of files in it are compared.
    """

    task: str
    cluster: str
    dataset: str
    templates: tuple[str, ...] = ()
    source: Any = None


def check_named(split: HeldOut, members: Sequence[Member]) -> None:
    """Refuse a split that names what is not there.

    Raises:
      InputError: with the nearest name.
    """
    there = {
        "cluster": {one.cluster for one in members},
        "dataset": {one.dataset for one in members},
        "template": {f"{name}/{template}" for one in members for template in one.templates for name in (one.dataset, "*")},
    }
    for kind, names in (("cluster", split.clusters), ("dataset", split.datasets), ("template", split.templates)):
        for name in names:
            if name not in there[kind]:
                near = difflib.get_close_matches(name, there[kind], 1)
                raise InputError(
                    f"held_out names the {kind} {name!r}, which the mixture lacks; "
                    + (f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(sorted(filter(None, there[kind]))[:50])}")
                )


def check_disjoint(split: HeldOut, members: Sequence[Member]) -> None:
    """Refuse a split whose two sides share a dataset under two names, or a file.

    Shared words are another matter: `shared_words.refuse_shared_words` looks for them, and so does the data report.

    Raises:
      InputError: with both tasks and what they share.
    """
    sides: dict[bool, list[Member]] = {True: [], False: []}
    for one in members:
        sides[split.covers(one.cluster, one.dataset)].append(one)
    files = {checksum: one for one in sides[True] for checksum in _files(one.source)}
    for one in sides[False]:
        if one.dataset in split.allowed:
            continue
        for held in sides[True]:
            if one.cluster and _one_name(one.dataset, held.dataset):
                raise InputError(
                    f"{one.task} would be trained, and {held.task} is held out ({split.reason(held.cluster, held.dataset)}): "
                    f"their names, {one.dataset} and {held.dataset}, are of one dataset; hold both out, or say so in "
                    "HeldOut.allowed"
                )
        for checksum, name in _files(one.source).items():
            if checksum in files:
                raise InputError(
                    f"{one.task} would be trained, and {files[checksum].task} is held out: both read the file {name}; hold both "
                    "out, or say so in HeldOut.allowed"
                )


def leave_one_cluster_out(
    clusters: Collection[str],
    siblings: Sequence[Sequence[str]] = (),
    relatives: Sequence[tuple[str, str]] = NEAR_RELATIVES,
) -> Mapping[str, HeldOut]:
    """The splits of FLAN's evaluation: each cluster held out in a run of its own (Wei et al. 2021, section 2.2).

    >>> list(leave_one_cluster_out(["sentiment", "paraphrase"]))
    ['paraphrase', 'sentiment']
    """
    grouped = tuple(tuple(group) for group in siblings)
    return {one: HeldOut((one,), siblings=grouped, relatives=tuple(relatives)) for one in sorted(clusters)}


def _one_name(one: str, other: str) -> bool:
    """Whether two datasets go by one name, but for words by which benchmarks call their parts.

    >>> _one_name("super_glue_rte", "rte"), _one_name("wiki_qa", "wiki_bio"), _one_name("squad", "squad_v2")
    (True, False, True)
    """
    mine, theirs = _words(one), _words(other)
    return mine == theirs and bool(mine)


def _words(name: str) -> tuple[str, ...]:
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    return tuple(word for word in words if word and word not in _CALLED and not re.fullmatch(r"v?\d+", word))


def _files(source: Any) -> dict[str, str]:
    """Names of files by checksum, wherever an identity lists them as [name, ..., checksum]."""
    found: dict[str, str] = {}
    if isinstance(source, list | tuple):
        if len(source) > 1 and isinstance(source[0], str) and isinstance(source[-1], str) and _CHECKSUM.fullmatch(source[-1]):
            found[source[-1]] = source[0]
        for one in source:
            found |= _files(one)
    return found
