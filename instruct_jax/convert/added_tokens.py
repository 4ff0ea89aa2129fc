"""Control tokens added while importing: to the tokenizer, and as rows of the embedding and the output layer."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import tokenizers

from instruct_jax.errors import InputError
from instruct_jax.model.spec import DecoderSpec
from instruct_jax.text.json_object import read_object

_FILE = "tokenizer.json"


def first_free(folder: Path, names: Sequence[str]) -> int:
    """The id of the first of these texts, once they are control tokens of the folder's tokenizer.json: that after its last.

    Raises:
      InputError: there is no tokenizer.json, or it has one of the tokens already.
    """
    if not (folder / _FILE).exists():
        raise InputError(f"ADD_TOKENS needs a {_FILE} in {folder}; save its tokenizer in that form, or add none")
    known = tokenizers.Tokenizer.from_file(str(folder / _FILE)).get_vocab(with_added_tokens=True)
    if there := [name for name in names if name in known]:
        raise InputError(f"ADD_TOKENS: the tokenizer has {there[0]!r} already, as id {known[there[0]]}; leave it out")
    return max(known.values()) + 1


def add_to_tokenizer(folder: Path, names: Sequence[str]) -> None:
    """Make texts control tokens of a folder's tokenizer.json, with ids from `first_free` on."""
    first, fields = first_free(folder, names), read_object(folder / _FILE, "the tokenizer")
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": first + place, "content": name, **flags} for place, name in enumerate(names)]
    fields["added_tokens"] = [*fields.get("added_tokens", []), *added]
    (folder / _FILE).write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n")


def add_rows(
    spec: DecoderSpec, parameters: Mapping[str, jax.Array], first: int, count: int
) -> tuple[DecoderSpec, dict[str, jax.Array]]:
    """A model with rows for new tokens: each the mean of the rows before them, so that none stands out at first.

    Args:
      spec: of the model.
      parameters: by path.
      first: id of the first new token: rows from here on, with which published models are padded, are the new ones. Where
        the model has fewer, the ids that it lacks before the new ones get such rows too.
      count: how many tokens are new.

    Returns:
      The spec, whose vocabulary grows only if the padding does not hold the new tokens, and the parameters.
    """
    size = max(spec.vocab_size, first + count)
    grown = dict(parameters)
    for path, axis in (("embedding", 0), ("head/kernel", 1)):
        if path not in parameters:
            continue
        table = jnp.moveaxis(parameters[path], axis, 0)
        known = table[:first]
        mean = known.mean(0, dtype=jnp.float32).astype(table.dtype)
        rows = jnp.broadcast_to(mean, (first + count - len(known), *mean.shape))
        grown[path] = jnp.moveaxis(jnp.concatenate([known, rows, table[first + count :]]), 0, axis)
    return dataclasses.replace(spec, vocab_size=size), grown


def checked(names: Any) -> tuple[str, ...]:
    """ADD_TOKENS as a tuple of different texts.

    Raises:
      InputError: it is none.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    if not all(isinstance(name, str) and name.strip() for name in names) or len(set(names)) < len(names):
        raise InputError(f"ADD_TOKENS is {names!r}; expected different texts, such as ('<|im_start|>', '<|im_end|>')")
    return names
