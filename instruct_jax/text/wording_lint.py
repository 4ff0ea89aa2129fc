"""Lint of one wording: characters that nobody means to write."""

import re
import string
import unicodedata
from collections.abc import Iterator

_FIELD = "\0"  # stands where a field stands: no character of a wording
_PAIRS = {"(": ")", "[": "]", "“": "”", "«": "»", "„": "“”"}
_DOUBLED_ON_PURPOSE = {"that", "had"}  # "that that" and "had had" are English


def strays(wording: str) -> Iterator[str]:
    """What is wrong with the characters of a wording, fields in braces aside.

    Args:
      wording: a prompt, a response or a choice, as a template has it.

    Yields:
      A problem in words.

    >>> list(strays("{premise}nDoes it follow , that {hypothesis}? "))
    ['a letter n stands where a newline was meant: "{}nDoes"', 'a space before ",": "follow ,"', 'ends with a space']
    """
    text = "".join(before + ("" if name is None else _FIELD) for before, name, _, _ in string.Formatter().parse(wording))
    for match in re.finditer(r"(?:^|(?<=\s))n(?=[A-Z\0])\w*|(?<=[\0.?!:;,)\"])n(?=[A-Z\0\s]|$)\w*", text):
        yield f'a letter n stands where a newline was meant: "{_around(text, match)}"'
    for match in re.finditer(r"\\[ntr\"']", text):
        yield f'an escape was escaped: "{_around(text, match)}"'
    for match in re.finditer(r"(?<=\S) {2,}", text):
        yield f'a doubled space: "{_around(text, match)}"'
    for match in re.finditer(r" ([,;:?!]|\.(?!\.))(?=\s|$|\0)", text):
        yield f'a space before "{match[1]}": "{_around(text, match)}"'
    for match in re.finditer(r"([,;:!?])\1|(?<!\.)\.\.(?!\.)|[?!,;:]\.(?!\.)", text):
        yield f'doubled punctuation: "{_around(text, match)}"'
    for match in re.finditer(r"\b([a-z]{2,}) \1\b", text, re.IGNORECASE):
        if match[1].lower() not in _DOUBLED_ON_PURPOSE:
            yield f'a doubled word: "{match[0]}"'
    for match in re.finditer(r"\{ ?\w+ ?\}|%\(\w+\)s|\{%|\$\{", text):
        yield f'a field that was never filled: "{match[0]}"'
    for character in sorted(set(text) - {_FIELD, "\n", " "}):
        if character == "\t" or character == "�" or unicodedata.category(character) in ("Zs", "Zl", "Zp", "Cc", "Cf"):
            yield f"the character U+{ord(character):04X} ({unicodedata.name(character, 'a control character').lower()})"
    yield from _unbalanced(text)
    if re.search(r" \n", text):
        yield "a space at the end of a line"
    if text != text.rstrip():
        yield f"ends with a {'newline' if text.endswith(chr(10)) else 'space'}"
    if text != text.lstrip():
        yield f"begins with a {'newline' if text.startswith(chr(10)) else 'space'}"


def _around(text: str, match: re.Match) -> str:
    """The place of a match: back and forth to the next blanks, fields as {}."""
    start = max(text.rfind(" ", 0, match.start()), text.rfind("\n", 0, match.start())) + 1
    return text[start : match.end()].replace(_FIELD, "{}").replace("\n", " ")


def _unbalanced(text: str) -> Iterator[str]:
    """Quotes and brackets without a partner; "1)" and "a)" are numbers of a list."""
    text = re.sub(r"(?m)(?:^|(?<=\s))\w\)", "", text)
    for opening, closing in _PAIRS.items():
        if opening == "“" and "„" in text:
            continue  # there it closes
        if text.count(opening) != sum(map(text.count, closing)):
            yield f"{opening} without {closing[-1]}, or the other way round"
    if text.count('"') % 2:
        yield 'a " without its partner'
    opened = len(re.findall(r"(?:^|(?<=[\s(]))'(?=[\w\0])", text))
    closed = len(re.findall(r"(?<=[\w\0.?!,])'(?=[\s.,;:?!)]|$)", text))
    if opened > closed:  # more closed than opened: the plural's genitive
        yield "a ' without its partner"
