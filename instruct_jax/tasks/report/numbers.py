"""How the page writes shares and counts of tokens."""


def percent(share: float | None) -> str:
    """A share in percent, with as many digits as it takes to see that it is not nothing.

    >>> [percent(share) for share in (0, 0.00012, 0.034, 0.5, 1, None)]
    ['0 %', '0.012 %', '3.4 %', '50.0 %', '100 %', '–']
    """
    if share is None:
        return "–"
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    return f"{100 * share:.1f} %" if 100 * share >= 0.1 else f"{100 * share:.2g} %"


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
