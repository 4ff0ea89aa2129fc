"""How long texts are, how full rows are, and what each overflow policy would cost at other row lengths."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from instruct_jax.text.overflow import POLICIES

_PERCENTILES = (5, 50, 90, 95, 99)
_DENSITY_BINS = 20


def distribution(values: np.ndarray) -> dict[str, Any]:
    """Mean, percentiles and extremes of counts of tokens, and a histogram whose bins double every second edge.

    Returns:
      {"n", "mean", "p5", "p50", ..., "min", "max", "edges", "counts"}; counts[i] are above edges[i] and at most
      edges[i + 1], so that a row's length ends a bin; zeros are in the first.

    >>> found = distribution(np.array([1, 2, 2, 5, 100]))
    >>> found["p50"], found["max"], found["edges"][:6], found["counts"][:5]
    (2.0, 100, [0, 1, 2, 3, 4, 6], [1, 2, 0, 0, 1])
    """
    if not values.size:
        return {"n": 0, "mean": None, "min": None, "max": None, "edges": [], "counts": []} | {f"p{p}": None for p in _PERCENTILES}
    most = int(values.max())
    edges = [0, *sorted({round(2 ** (half / 2)) for half in range(2 * most.bit_length() + 1)})]
    while len(edges) > 2 and edges[-2] >= most:
        edges.pop()
    bins = np.maximum(np.searchsorted(edges, values, side="left") - 1, 0)
    counts = np.bincount(bins, minlength=len(edges) - 1)
    marks = dict(zip((f"p{p}" for p in _PERCENTILES), np.percentile(values, _PERCENTILES).tolist(), strict=True))
    return {
        "n": int(values.size),
        "mean": float(values.mean()),
        **marks,
        "min": int(values.min()),
        "max": most,
        "edges": edges,
        "counts": counts.tolist(),
    }


def overflow_costs(texts: np.ndarray, lengths: Sequence[int]) -> list[dict[str, Any]]:
    """What `instruct_jax.text.overflow.fit` would do to these texts, for each row length and policy.

    Args:
      texts: structured, with tokens, supervised, fixed and document; see `text_lengths`.
      lengths: row lengths, in tokens.

    Returns:
      For each: {"length", "policy", "too_long", "dropped", "trimmed", "split", "stops", "tokens_lost",
      "supervised_lost", "tokens_lost_share", "supervised_lost_share"}; counts are of texts. A document that is split
      loses the loss of each further piece's first token. The policy "error" loses nothing: it `stops` at the first text
      that is too long.
    """
    tokens, supervised, fixed = (texts[name].astype(np.int64) for name in ("tokens", "supervised", "fixed"))
    document = texts["document"]
    all_tokens, all_supervised = int(tokens.sum()), int(supervised.sum())
    out = []
    for length in lengths:
        long = tokens > length
        trimmable = long & ~document & (fixed < length) & (fixed < tokens)
        outcomes = {
            "drop": {"dropped": long, "trimmed": long & False, "split": long & False},
            "trim_prompt": {"dropped": long & ~document & ~trimmable, "trimmed": trimmable, "split": long & document},
            "split": {"dropped": long & ~document, "trimmed": long & False, "split": long & document},
            "error": {"dropped": long & False, "trimmed": long & False, "split": long & False},
        }
        for policy in POLICIES:
            found = outcomes[policy]
            seams = -(-tokens // length) - 1  # one less than the pieces of a document
            tokens_lost = int(tokens[found["dropped"]].sum() + (tokens - length)[found["trimmed"]].sum())
            supervised_lost = int(supervised[found["dropped"]].sum() + seams[found["split"]].sum())
            out.append(
                {
                    "length": int(length),
                    "policy": policy,
                    "too_long": int(long.sum()),
                    **{name: int(which.sum()) for name, which in found.items()},
                    "stops": policy == "error" and bool(long.any()),
                    "tokens_lost": tokens_lost,
                    "supervised_lost": supervised_lost,
                    "tokens_lost_share": tokens_lost / all_tokens if all_tokens else 0.0,
                    "supervised_lost_share": supervised_lost / all_supervised if all_supervised else 0.0,
                }
            )
    return out


def density(row_tokens: np.ndarray, row_segments: np.ndarray, length: int) -> dict[str, Any]:
    """How full rows of `length` tokens are: mean, the emptiest, and a histogram over twentieths.

    Args:
      row_tokens, row_segments: by row.
      length: T.
    """
    full = row_tokens / length
    counts = np.histogram(full, np.linspace(0, 1, _DENSITY_BINS + 1))[0]
    return {
        "rows": int(row_tokens.size),
        "mean": float(full.mean()),
        "p5": float(np.percentile(full, 5)),
        "min": float(full.min()),
        "segments_per_row": float(row_segments.mean()),
        "edges": np.linspace(0, 1, _DENSITY_BINS + 1).round(2).tolist(),
        "counts": counts.tolist(),
    }
