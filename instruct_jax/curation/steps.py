"""Rules that compare rows with each other or with evaluation suites, as steps of a curation."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

from instruct_jax.curation.decisions import KEPT, Advance, Decision, Row, Step
from instruct_jax.curation.dedup import Duplicate, NearDuplicates, exact_duplicates, near_duplicates
from instruct_jax.curation.filters import Part
from instruct_jax.curation.overlap import RULES, Bounds, ContaminationIndex, Hit
from instruct_jax.curation.parts import whole
from instruct_jax.curation.suites import read_suite
from instruct_jax.errors import InputError

_SHOWN = 160  # characters of a span in a reason


@dataclasses.dataclass(frozen=True)
class Exact(Step):
    """No row says what another says; see `dedup.exact_duplicates`.

    Attributes:
      part: what is compared: whole, prompt or response. Rows of one prompt with several answers differ as wholes.
      prefer: the field whose highest value is kept; None: the first row is.
    """

    part: Part = whole
    prefer: str | None = None

    @property
    def rule(self) -> str:
        return "exact duplicate"

    def decide(self, rows: Sequence[Row], advance: Advance) -> list[Decision]:
        found = exact_duplicates((self.part(row.conversation) for row in rows), _scores(rows, self.prefer))
        advance(len(rows))
        return _without(rows, found, lambda one: f"the same as {rows[one.kept].provenance}")


@dataclasses.dataclass(frozen=True)
class Near(Step):
    """No row resembles another; see `dedup.near_duplicates`.

    Attributes:
      numbers: what counts as resembling.
      part: what is compared: whole, prompt or response.
      prefer: the field whose highest value is kept; None: the first row is.
    """

    numbers: NearDuplicates = dataclasses.field(default_factory=NearDuplicates)
    part: Part = whole
    prefer: str | None = None

    @property
    def rule(self) -> str:
        return "near duplicate"

    def decide(self, rows: Sequence[Row], advance: Advance) -> list[Decision]:
        texts = [self.part(row.conversation) for row in rows]
        found = near_duplicates(texts, self.numbers, _scores(rows, self.prefer), advance)
        return _without(rows, found, lambda one: f"like {rows[one.kept].provenance}, {one.similarity:.2f} of both")


@dataclasses.dataclass(frozen=True)
class Leaks(Step):
    """No row holds a text of an evaluation suite; see `overlap`.

    Attributes:
      evaluations: file or dataset folder of each suite, by name; see `suites.read_suite`.
      bounds: the numbers of the rules.
      rules: those that count, of overlap.RULES.
      allowed: suites whose leaks are told of and kept.
    """

    evaluations: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    bounds: Bounds = dataclasses.field(default_factory=Bounds)
    rules: tuple[str, ...] = RULES
    allowed: tuple[str, ...] = ()

    def __post_init__(self):
        unknown = sorted(set(self.rules) - set(RULES)) + sorted(set(self.allowed) - set(self.evaluations))
        if unknown:
            raise InputError(f"Leaks: {unknown[0]!r} is no rule and no suite; rules are {', '.join(RULES)}")

    @property
    def rule(self) -> str:
        return "evaluation leak"

    def decide(self, rows: Sequence[Row], advance: Advance) -> list[Decision]:
        if not self.evaluations:
            advance(len(rows))
            return [KEPT] * len(rows)
        decisions = []
        for row in rows:
            decisions.append(self._decision(hits_of(self._index, row)))
            advance(1)
        return decisions

    def open(self) -> None:
        """Read the suites now, so that a wrong path is told before any work is done.

        Raises:
          InputError: one of them cannot be read.
        """
        if self.evaluations:
            _ = self._index

    @functools.cached_property
    def _index(self) -> ContaminationIndex:
        return ContaminationIndex({suite: read_suite(path) for suite, path in self.evaluations.items()}, self.bounds)

    def _decision(self, hits: Sequence[Hit]) -> Decision:
        hits = [hit for hit in hits if hit.rule in self.rules]
        if not hits:
            return KEPT
        worst = max(hits, key=lambda hit: (hit.suite not in self.allowed, hit.words, hit.share))
        about = {
            "suite": worst.suite,
            "item": worst.item,
            "rule": worst.rule,
            "words": worst.words,
            "span": worst.span,
            "all": sorted({f"{hit.suite}:{hit.item} ({hit.rule})" for hit in hits}),
        }
        reason = f"{worst.suite} item {worst.item}, rule {worst.rule}, {worst.words} words: {worst.span[:_SHOWN]}"
        return Decision(worst.suite in self.allowed, reason, round(worst.share, 4), about)


def hits_of(index: ContaminationIndex, row: Row) -> list[Hit]:
    """What a row holds of evaluation texts: in all of its messages together, and what a single message is as a whole.

    Places are in `parts.whole` of the row; those of a `whole` message are in the message.
    """
    hits = index.check(whole(row.conversation))
    seen = {(hit.suite, hit.item) for hit in hits}
    for message in row.conversation.messages:
        hits += [hit for hit in index.whole(message.text) if (hit.suite, hit.item) not in seen]
    return hits


def _scores(rows: Sequence[Row], field: str | None) -> list[float] | None:
    if field is None:
        return None
    return [number(row, field) for row in rows]


def number(row: Row, field: str) -> float:
    """A row's field as a number.

    Raises:
      InputError: it has none.
    """
    value = row.fields.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        have = ", ".join(row.fields) or "none"
        raise InputError(f"{row.provenance}: field {field!r} is {value!r}; expected a number (the row's fields: {have})")
    return float(value)


def _without(rows: Sequence[Row], found: Sequence[Duplicate], reason) -> list[Decision]:
    decisions = [KEPT] * len(rows)
    for one in found:
        decisions[one.index] = Decision(False, reason(one), round(one.similarity, 4), {"kept": rows[one.kept].provenance})
    return decisions
