"""The data report's drawings as inline SVG: histograms and lines, in the page's own colours, so that they turn dark with it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 340, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 40, 30
_LEAST = 0.7  # tokens at the left end of a logarithmic axis: the bin of one token is as wide as others


def short(number: float) -> str:
    """A number of at most four characters or so.

    >>> [short(n) for n in (0, 512, 8192, 48101, 12_400_000)]
    ['0', '512', '8.2k', '48k', '12M']
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            scaled = number / size
            return f"{scaled:.1f}{letter}".replace(".0", "") if scaled < 10 else f"{scaled:.0f}{letter}"
    return f"{number:.0f}"


def length_plot(found: Mapping[str, Any], title: str, row_length: int) -> Markup:
    """A histogram of lengths on a logarithmic axis, its median and 95th percentile named.

    Args:
      found: of `lengths.distribution`, with something in it.
      title: what is counted.
      row_length: T, drawn as a line where the texts reach it.
    """
    edges, counts = found["edges"], found["counts"]
    low, high = math.log2(_LEAST), math.log2(max(edges[-1], 2))

    def x(tokens: float) -> float:
        return _LEFT + (math.log2(max(tokens, _LEAST)) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    bars = _bars([(x(a), x(b), n) for a, b, n in zip(edges, edges[1:], counts, strict=False)])
    ticks = [4**k for k in range(12) if 4**k <= edges[-1]]
    marks = [(x(found["p50"]), f"median {short(found['p50'])}", 0), (x(found["p95"]), f"95 % ≤ {short(found['p95'])}", 1)]
    limit = _upright(x(row_length), "limit") if row_length <= edges[-1] else ""
    axis = [(x(tick), f"{tick:,}") for tick in ticks]
    return _drawing(bars + limit + _marks(marks), axis, title, f"tokens in a text; the highest bar has {max(counts):,} texts")


def density_plot(found: Mapping[str, Any]) -> Markup:
    """A histogram of how full the rows are.

    Args:
      found: of `lengths.density`.
    """

    def x(share: float) -> float:
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    bars = _bars([(x(a), x(b), n) for a, b, n in zip(found["edges"], found["edges"][1:], found["counts"], strict=False)])
    axis = [(x(share), f"{100 * share:.0f} %") for share in (0, 0.25, 0.5, 0.75, 1)]
    return _drawing(
        bars + _marks([(x(found["mean"]), f"mean {100 * found['mean']:.1f} %", 0)]),
        axis,
        "rows",
        f"how full a row is; the highest bar has {max(found['counts']):,} rows",
    )


def cost_plot(costs: Sequence[Mapping[str, Any]], share: str, title: str, row_length: int) -> Markup:
    """Lines over row lengths, one a policy that loses something: the share of tokens lost, in percent.

    Args:
      costs: of `lengths.overflow_costs`.
      share: which share of them.
      title: what is lost.
      row_length: the dataset's own, marked.
    """
    lengths = sorted({cost["length"] for cost in costs})
    policies = [policy for policy in ("drop", "split", "trim_prompt") if any(cost["policy"] == policy for cost in costs)]
    values = {(cost["policy"], cost["length"]): 100 * cost[share] for cost in costs}
    top = max([*values.values(), 1e-9])
    left, right = 34, 8

    def x(length: int) -> float:
        span = math.log2(lengths[-1] / lengths[0]) or 1
        return left + math.log2(length / lengths[0]) / span * (_WIDTH - left - right)

    def y(value: float) -> float:
        return _TOP + (1 - value / top) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<line class="grid" x1="{left}" x2="{_WIDTH - right}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
        f'<text class="tick" x="{left - 5}" y="{y(v) + 4:.1f}" text-anchor="end">{_percent(v)}</text>'
        for v in (0, top / 2, top)
    ]
    if row_length in lengths:
        parts.append(_upright(x(row_length), "limit"))
    for number, policy in enumerate(policies):
        line = " ".join(f"{x(one):.1f},{y(values[policy, one]):.1f}" for one in lengths)
        parts.append(f'<polyline class="series s{number}" points="{line}"/>')
        parts += [f'<circle class="dot s{number}" cx="{x(one):.1f}" cy="{y(values[policy, one]):.1f}" r="3"/>' for one in lengths]
    axis = [(x(one), short(one) if one >= 1e4 else f"{one:,}") for one in lengths]
    return _drawing("".join(parts), axis, title, "row length T, tokens", left)


def _bars(bars: Sequence[tuple[float, float, int]]) -> str:
    top = max([count for _, _, count in bars] + [1])
    room = _HEIGHT - _TOP - _BOTTOM
    return "".join(
        f'<rect class="bar" x="{a + 0.5:.1f}" width="{max(b - a - 1, 0.5):.1f}" y="{_HEIGHT - _BOTTOM - height:.1f}" '
        f'height="{height:.1f}"><title>{n:,}</title></rect>'
        for a, b, n in bars
        if n and (height := max(n / top * room, 1.0))
    )


def _marks(marks: Sequence[tuple[float, str, int]]) -> str:
    """Upright lines with their words; the second's stand lower, so that two never meet."""
    out = []
    for place, words, level in marks:
        anchor, shift = ("end", -5) if place > 0.72 * _WIDTH else ("start", 5)
        out.append(
            f"{_upright(place, 'mark', _TOP - 12 + 13 * level)}"
            f'<text class="say" x="{place + shift:.1f}" y="{_TOP - 17 + 13 * level}" text-anchor="{anchor}">'
            f"{escape(words)}</text>"
        )
    return "".join(out)


def _upright(x: float, kind: str, top: float = _TOP) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{_HEIGHT - _BOTTOM}"/>'


def _percent(value: float) -> str:
    return f"{value:.0f} %" if value >= 10 or not value else f"{value:.1f} %" if value >= 0.1 else f"{value:.2g} %"


def _drawing(inside: str, axis: Sequence[tuple[float, str]], title: str, unit: str, left: float = _LEFT) -> Markup:
    base = _HEIGHT - _BOTTOM
    ticks = "".join(
        f'<text class="tick" x="{place:.1f}" y="{base + 14}" '
        f'text-anchor="{"start" if place < 18 else "end" if place > _WIDTH - 18 else "middle"}">{escape(words)}</text>'
        for place, words in axis
    )
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">{inside}'
        f'<line class="axis" x1="{left}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>{ticks}'
        f'<text class="unit" x="{_WIDTH / 2}" y="{_HEIGHT - 3}" text-anchor="middle">{escape(unit)}</text></svg>'
    )
