"""The rows' segments in words again: what is read, and what is answered."""

import collections
import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.artifacts.records import Row
from instruct_jax.tasks.report.census import Census
from instruct_jax.text.pieces import Tokenizer


@dataclasses.dataclass(frozen=True)
class Text:
    """One segment.

    Attributes:
      row, place: where it lies: the row, and the segment in it.
      task, template, example, epoch: its provenance.
      prompt: the text up to its last trained part; "" of a plain document, of which everything is trained.
      response: its last trained part.
    """

    row: int
    place: int
    task: int
    template: int
    example: int
    epoch: int
    prompt: str
    response: str

    @property
    def whole(self) -> str:
        return f"{self.prompt}\n{self.response}" if self.prompt else self.response


def decoded(dataset: Dataset, tokenizer: Tokenizer, advance: Callable[[int], None]) -> Iterator[Text]:
    """Every segment, in the order of the rows; control tokens are left out.

    Args:
      dataset: what to read.
      tokenizer: the dataset's own.
      advance: hears how many more rows are read.
    """
    for index in range(len(dataset)):
        row = dataset[index]
        for place in range(row.lengths.size):
            yield _text(row, index, place, tokenizer)
        advance(1)


def some_of_each_wording(
    dataset: Dataset, census: Census, tokenizer: Tokenizer, most: int, seed: int
) -> dict[tuple[int, int], list[Text]]:
    """At most so many segments of each task and template, drawn by a seed.

    Args:
      dataset: what to read.
      census: of its rows.
      tokenizer: the dataset's own.
      most: segments of each.
      seed: of the draw.
    """
    order = np.random.default_rng(seed).permutation(census.task.size)
    taken: collections.Counter[tuple[int, int]] = collections.Counter()
    found: dict[tuple[int, int], list[Text]] = collections.defaultdict(list)
    for segment in order.tolist():
        wording = int(census.task[segment]), int(census.template[segment])
        if wording[1] >= 0 and taken[wording] < most:
            taken[wording] += 1
            row, place = census.place(segment)
            found[wording].append(_text(dataset[row], row, place, tokenizer))
    return dict(found)


def _text(row: Row, index: int, place: int, tokenizer: Tokenizer) -> Text:
    end = int(row.lengths[: place + 1].sum())
    start = end - int(row.lengths[place])
    parts = _parts(row.tokens[start:end], row.weights[start:end] > 0, tokenizer)
    return Text(index, place, *row.provenance[place].tolist(), *parts)


def _parts(tokens: np.ndarray, trained: np.ndarray, tokenizer: Tokenizer) -> tuple[str, str]:
    if trained[1:].all():  # nothing stands before the first token, so it is never trained
        return "", tokenizer.decode(tokens.tolist())
    borders = np.flatnonzero(np.diff(trained)) + 1
    parts = [(bool(trained[part[0]]), part) for part in np.split(np.arange(tokens.size), borders)]
    last = max((place for place, (is_trained, _) in enumerate(parts) if is_trained), default=len(parts))
    words = [tokenizer.decode(tokens[part].tolist()) for _, part in parts]
    return "\n".join(filter(None, words[:last])), words[last] if last < len(words) else ""
