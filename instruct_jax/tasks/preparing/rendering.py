"""Places in the mixture to segments of tokens: found or rendered in batches, fitted to the row, counted."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from instruct_jax.data.packing import Segment
from instruct_jax.errors import InputError
from instruct_jax.tasks.examples import Example, Examples
from instruct_jax.tasks.files.records import MalformedRow
from instruct_jax.tasks.order import Draw
from instruct_jax.tasks.preparing.counts import TaskCounts
from instruct_jax.tasks.preparing.token_cache import Text
from instruct_jax.text.chat import Rendered, render_rows
from instruct_jax.text.conversation import ChatTemplate, Conversation
from instruct_jax.text.overflow import fit
from instruct_jax.text.tokenizer import Tokenizer

_TOGETHER = 1_024


@dataclasses.dataclass(frozen=True)
class Renderer:
    """How the examples of a preparation become texts of tokens, and those become segments.

    Attributes:
      examples: by task.
      tokenizer, template: what conversations are rendered with.
      malformed: "error" or "skip", of a record that is damaged or that the template refuses.
    """

    examples: Mapping[int, Examples]
    tokenizer: Tokenizer
    template: ChatTemplate
    malformed: str

    def texts(self, draws: Sequence[Draw], counts: Mapping[int, TaskCounts]) -> list[Text | None]:
        """The text of each place; None, counted, where its record is passed over.

        Raises:
          InputError: a record cannot be used, and such are not to be skipped; or the template refuses all there are.
        """
        read = [self._read(draw) for draw in draws]
        spoken = [place for place, one in enumerate(read) if one is not None and isinstance(one.content, Conversation)]
        rendered = self._rendered([draws[place] for place in spoken], [read[place].content for place in spoken], counts)
        rows: dict[int, tuple[Rendered, ...] | None] = dict(zip(spoken, rendered, strict=True))
        found: list[Text | None] = []
        for place, (draw, example) in enumerate(zip(draws, read, strict=True)):
            made = None if example is None else rows.get(place, (example.content,))
            if made is None:
                counts[draw.task].skipped += 1
                found.append(None)
            else:
                found.append(Text(made, example.template, example.setting, example.document))
        return found

    def _read(self, draw: Draw) -> Example | None:
        try:
            return self.examples[draw.task].example(draw.index, draw.epoch)
        except MalformedRow:
            if self.malformed == "error":
                raise
            return None

    def _rendered(
        self, draws: Sequence[Draw], spoken: Sequence[Conversation], counts: Mapping[int, TaskCounts]
    ) -> list[tuple[Rendered, ...] | None]:
        """The texts of each conversation; None for one that the template refuses, where such are skipped.

        Raises:
          InputError: one is refused and they are not skipped; or all are from the beginning on, which is the template's
            doing.
        """
        with contextlib.suppress(InputError):
            return [tuple(rows) for rows in render_rows(spoken, self.template, self.tokenizer)]
        found: list[tuple[Rendered, ...] | None] = []
        first = None
        for draw, content in zip(draws, spoken, strict=True):
            try:
                found += [tuple(rows) for rows in render_rows([content], self.template, self.tokenizer)]
            except InputError as error:
                first = first or InputError(f"{self.examples[draw.task].records.where(draw.index)}: {error}")
                if self.malformed == "error":
                    raise first from None
                found.append(None)
        if first and not any(found) and not any(one.examples for one in counts.values()):
            raise first
        return found

    def fitted(self, draw: Draw, text: Text, length: int, overflow: str, counts: TaskCounts) -> Iterator[Segment]:
        """A text as segments of at most `length` tokens, counted.

        The first token of a segment has no loss: nothing stands before it to predict it from.

        Args:
          draw: the text's place.
          text: as `texts` gives it.
          length: T.
          overflow: one of `instruct_jax.text.overflow.POLICIES`.
          counts: of its task; added to.

        Raises:
          InputError: it is too long, where the policy is to stop.
        """
        try:
            rows = [fit(row, length, overflow, text.document) for row in text.rows]
        except OverflowError as error:
            where = self.examples[draw.task].records.where(draw.index)
            raise InputError(f"{where}: {error}; use longer rows, or another overflow policy") from None
        counts.unrolled += len(rows) - 1
        used = False
        for row in rows:
            if row.outcome != "fits":
                setattr(counts, row.outcome, getattr(counts, row.outcome) + 1)
            for piece in row.pieces:
                weights = piece.weights.copy()
                weights[:1] = 0.0
                supervised = int(np.count_nonzero(weights))
                if not supervised:
                    counts.unsupervised += 1
                    continue
                used = True
                counts.tokens += piece.tokens.size
                counts.supervised += supervised
                yield Segment(piece.tokens, weights, (draw.task, text.template, draw.index, draw.epoch))
        counts.examples += used
        if used and text.setting >= 0:
            counts.settings[text.setting] = counts.settings.get(text.setting, 0) + 1


def in_chunks(draws: Iterable[Draw]) -> Iterator[list[Draw]]:
    """Places in lists of as many as are rendered together: the tokenizer is asked once for each."""
    draws = iter(draws)
    while chunk := list(itertools.islice(draws, _TOGETHER)):
        yield chunk
