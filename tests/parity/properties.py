"""What must hold between a case's model here and in transformers: each property measured as one number with its bound."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from instruct_jax.convert.export import export_hf
from instruct_jax.convert.hf import import_hf
from tests.parity import ours, reference
from tests.parity.cases import FIXTURES, LENGTH, PROMPT, Case
from tests.parity.stored import tensors

_CUTS = (17, 26)  # a row cut into documents of 17, 9 and 14 tokens
_LONG_PROMPT = 35  # longer than the scaled ropes' original 32


@dataclasses.dataclass(frozen=True)
class Subject:
    """One case, live in both libraries, its answers computed once.

    Attributes:
      case: which.
      workspace: an empty folder for what is imported and exported.
    """

    case: Case
    workspace: Path

    @property
    def folder(self) -> Path:
        """The HF folder that transformers wrote."""
        return FIXTURES / self.case.name

    @functools.cached_property
    def recorded(self) -> dict[str, np.ndarray]:
        """What transformers answered when it wrote the folder."""
        with np.load(self.folder / "expected.npz") as answers:
            return dict(answers)

    @property
    def tokens(self) -> np.ndarray:
        """i32[LENGTH], the recorded row."""
        return self.recorded["tokens"]

    @property
    def documents(self) -> list[np.ndarray]:
        """The row, cut into three of unequal lengths."""
        return np.split(self.tokens, _CUTS)

    @functools.cached_property
    def ours(self) -> Any:
        """The decoder, imported."""
        return ours.decoder(self.folder)

    @functools.cached_property
    def theirs(self) -> Any:
        """The torch module."""
        return reference.loaded(self.folder)

    @functools.cached_property
    def expected(self) -> np.ndarray:
        """f32[LENGTH, V] of the row, by transformers."""
        return reference.logits(self.theirs, self.tokens)

    @functools.cached_property
    def scores(self) -> np.ndarray:
        """f32[5, LENGTH, V]: of the row, of its documents packed, and of each by itself, by us."""
        alone = [[document] for document in self.documents]
        return ours.logits(self.ours, [[self.tokens], self.documents, *alone], LENGTH)

    @functools.cached_property
    def exported(self) -> Path:
        """The HF folder that comes out after import and export."""
        import_hf(self.folder, self.workspace / "checkpoint")
        export_hf(self.workspace / "checkpoint", self.workspace / "exported")
        return self.workspace / "exported"


@dataclasses.dataclass(frozen=True)
class Property:
    """Something that must hold.

    Attributes:
      name: in a few words; the head of the table's column.
      bound: the largest measure that passes.
      measure: of a case; relative to the largest expected logit, or a share.
    """

    name: str
    bound: float
    measure: Callable[[Subject], float]


def _logits(subject: Subject) -> float:
    return ours.difference(subject.scores[0], subject.expected)


def _packed_as_alone(subject: Subject) -> float:
    return ours.difference(subject.scores[1], _each_alone(subject))


def _packed_as_theirs(subject: Subject) -> float:
    expected = np.concatenate([reference.logits(subject.theirs, document) for document in subject.documents])
    return ours.difference(subject.scores[1], expected)


def _each_alone(subject: Subject) -> np.ndarray:
    parts = [row[: len(document)] for row, document in zip(subject.scores[2:], subject.documents, strict=True)]
    return np.concatenate(parts)


def _greedy(subject: Subject) -> float:
    prompts = [subject.tokens[:PROMPT], subject.tokens[:_LONG_PROMPT]]
    wanted = [subject.recorded["greedy"], reference.greedy(subject.theirs, prompts[1])]
    return float(np.mean(np.stack(ours.greedy(subject.ours, prompts)) != np.stack(wanted)))


def _round_trip(subject: Subject) -> float:
    before, after = tensors(subject.folder), tensors(subject.exported)
    names = before.keys() | after.keys()
    return sum(before.get(name) != after.get(name) for name in names) / len(names)


def _export(subject: Subject) -> float:
    return ours.difference(reference.logits(reference.loaded(subject.exported), subject.tokens), subject.expected)


PROPERTIES = (
    Property("logits", 1e-4, _logits),
    Property("packed as alone", 1e-5, _packed_as_alone),
    Property("packed as transformers alone", 1e-4, _packed_as_theirs),
    Property("64 greedy tokens that differ", 0, _greedy),
    Property("tensors that differ after import and export", 0, _round_trip),
    Property("logits of the export in transformers", 0, _export),
)
