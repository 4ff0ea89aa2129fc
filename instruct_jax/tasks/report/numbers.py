"""How the page writes shares and counts of tokens."""


def percent(share: float | None) -> str:
    """A share in percent, with as many digits as it takes to see that it is not nothing, in one piece.

    >>> [percent(share) for share in (0, 0.00012, 0.034, 0.5, 1, None)]
    ['0\\xa0%', '0.012\\xa0%', '3.4\\xa0%', '50.0\\xa0%', '100\\xa0%', '–']
    """
    if share is None:
        return "–"
    if share in (0, 1):
        return f"{100 * share:.0f}\u00a0%"
    return f"{100 * share:.1f}\u00a0%" if 100 * share >= 0.1 else f"{100 * share:.2g}\u00a0%"


def tokens(number: float | None) -> str:
    """A number of tokens, rounded for reading.

    >>> tokens(12_402_345), tokens(873.5), tokens(None)
    ('12.4 M', '874', '–')
    """
    if number is None:
        return "–"
    for size, letter in ((1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:.1f} {letter}"
    return f"{number:,.0f}"
