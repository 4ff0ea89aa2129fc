"""Texts longer than a row: shorten the prompt, split a document, drop or stop; never cut a response."""

import dataclasses

import numpy as np

from instruct_jax.text.chat import Rendered

POLICIES = ("drop", "trim_prompt", "split", "error")


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What became of one rendered text.

    Attributes:
      pieces: each of at most the row's length; empty when the text was dropped.
      outcome: "fits", "trimmed", "split" or "dropped".
    """

    pieces: tuple[Rendered, ...]
    outcome: str


def fit(rendered: Rendered, length: int, policy: str, document: bool) -> Fitted:
    """A text in pieces of at most `length` tokens, under one of POLICIES.

    | policy | turns too long | plain document too long |
    |---|---|---|
    | drop | dropped | dropped |
    | trim_prompt | prompt shortened; dropped if the response leaves it no room | split: it has no prompt to shorten |
    | split | dropped: turns cannot be split | split |
    | error | OverflowError | OverflowError |

    Args:
      rendered: T tokens, with the ranges that may be shortened.
      length: tokens that a piece may have.
      policy: one of POLICIES.
      document: whether the text is a plain document.

    Raises:
      OverflowError: the text is too long and the policy is "error".
    """
    if rendered.tokens.size <= length:
        return Fitted((rendered,), "fits")
    if policy == "error":
        raise OverflowError(f"{rendered.tokens.size} tokens do not fit rows of {length}")
    if document and policy in ("trim_prompt", "split"):
        return Fitted(split(rendered, length), "split")
    shortened = trim(rendered, length) if policy == "trim_prompt" else None
    return Fitted((), "dropped") if shortened is None else Fitted((shortened,), "trimmed")


def trim(rendered: Rendered, length: int) -> Rendered | None:
    """The text with its longest prompts cut in the middle, so that an instruction at either end survives.

    Ranges longer than a common level are cut down to it; shorter ones stay whole. Responses, headers, bos and eos stay.

    Returns:
      At most `length` tokens, or None when what must stay leaves no room for any token of the prompt.

    >>> text = Rendered(np.arange(10), np.array([0.0] * 8 + [1.0] * 2), ((1, 7),))
    >>> trim(text, 7).tokens.tolist()
    [0, 1, 2, 6, 7, 8, 9]
    """
    sizes = [end - start for start, end in rendered.trimmable]
    room = length - (rendered.tokens.size - sum(sizes))
    if room < 1 or not sizes:
        return None
    kept = _levelled(sizes, room)
    keep = np.ones(rendered.tokens.size, bool)
    ranges, removed = [], 0
    for (start, end), count in zip(rendered.trimmable, kept, strict=True):
        head = count - count // 2
        keep[start + head : end - count // 2] = False
        ranges.append((start - removed, start - removed + count))
        removed += end - start - count
    return Rendered(rendered.tokens[keep], rendered.weights[keep], tuple(ranges))


def split(rendered: Rendered, length: int) -> tuple[Rendered, ...]:
    """The text in consecutive pieces of at most `length` tokens; no token is added or lost.

    Pieces are full, which packs best. Only where one token would be left over, with nothing before it to be predicted
    from, does the piece before it give up its last.

    >>> [piece.tokens.tolist() for piece in split(Rendered(np.arange(7), np.ones(7)), 3)]
    [[0, 1, 2], [3, 4], [5, 6]]
    """
    size = rendered.tokens.size
    borders = list(range(length, size, length))
    if borders and size - borders[-1] == 1 and length > 2:
        borders[-1] -= 1
    parts = zip(np.split(rendered.tokens, borders), np.split(rendered.weights, borders), strict=True)
    return tuple(Rendered(tokens, weights) for tokens, weights in parts)


def _levelled(sizes: list[int], room: int) -> list[int]:
    """Sizes cut down to one level so that they sum to `room`; what the division leaves over goes to the last ones cut."""
    kept = [0] * len(sizes)
    by_size = sorted(range(len(sizes)), key=lambda index: sizes[index])
    for rank, index in enumerate(by_size):
        kept[index] = min(sizes[index], room // (len(sizes) - rank))
        room -= kept[index]
    return kept
