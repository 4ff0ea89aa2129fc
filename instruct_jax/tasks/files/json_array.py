"""Where the elements of a JSON array lie in a file, so that a large one is read by index without being held in memory."""

import json
import mmap
import re

from instruct_jax.errors import InputError

# A text with its quotes; a quote that begins none; a bracket or comma. The possessive quantifiers keep long texts linear.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{},]', re.DOTALL)


def element_ends(content: "mmap.mmap | bytes", name: str) -> list[int]:
    """Places of an array's opening bracket, of the commas between its elements, and of its closing bracket.

    What lies between two of these places is one element; whether it is in order is not looked at.

    Args:
      content: the file's bytes.
      name: the file's, for errors.

    Raises:
      InputError: it is no array, or one without an end.

    >>> element_ends(b'[{"a": [1, 2]}, {}]', "rows.json")
    [0, 14, 18]
    """
    start = re.match(rb"(?:\xef\xbb\xbf)?\s*\[", content)
    if start is None:
        raise InputError(f"{name} {_not_an_array(content)}")
    ends, depth = [start.end() - 1], 1
    for token in _TOKEN.finditer(content, start.end()):
        mark = token.group()
        if mark in b"[{":
            depth += 1
        elif mark in b"]}":
            depth -= 1
        elif mark == b'"':
            break
        if depth == 0 or (depth == 1 and mark == b","):
            ends.append(token.start())
        if depth == 0:
            break
    rest = content[ends[-1] + 1 :] if depth == 0 else b""
    if depth > 0 or rest.strip():
        problem = "the array does not end" if depth > 0 else "more follows the array"
        raise InputError(f"{name} is not valid JSON ({problem}); mend the file, or name it .jsonl if it has an object a line")
    return ends[:1] if len(ends) == 2 and not content[ends[0] + 1 : ends[1]].strip() else ends


def _not_an_array(content: "mmap.mmap | bytes") -> str:
    try:
        kind = type(json.loads(content[:])).__name__
    except (ValueError, RecursionError) as error:
        return f"is not valid JSON ({error}); mend the file, or name it .jsonl if it has an object a line"
    return f"holds a {kind}; expected an array of objects (a .jsonl file has one a line)"
