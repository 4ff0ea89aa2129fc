"""The small files beside a tokenizer: which tokens control, in every form that Hugging Face's libraries have written."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.text.json_object import read_object

FILES = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_WHAT = "a file about the tokenizer's tokens"
_NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_LISTED = ("additional_special_tokens", "extra_special_tokens")


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """A token that stands outside the vocabulary that was learned.

    Attributes:
      content: its literal text.
      token_id: its id; None: the next free one.
      special: whether it controls.
      lstrip, rstrip: whether it eats the space to its left and right.
      normalized: whether it is found in normalised text.
    """

    content: str
    token_id: int | None = None
    special: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False


@dataclasses.dataclass(frozen=True)
class TokenizerConfig:
    """What the files beside a tokenizer say that the renderer needs.

    Attributes:
      bos, eos: literal names; None where there is none.
      named: the other named control tokens, such as ("pad_token", "<pad>").
      special: further control tokens.
      added: tokens with their flags, by id.
      adds_bos: whether a plain text begins with bos; None: not said.
    """

    bos: str | None = None
    eos: str | None = None
    named: tuple[tuple[str, str], ...] = ()
    special: tuple[str, ...] = ()
    added: tuple[AddedToken, ...] = ()
    adds_bos: bool | None = None

    def controls(self) -> tuple[str, ...]:
        """All tokens that these files call special, each once."""
        added = [token.content for token in self.added if token.special]
        named = [token for _, token in self.named]
        return tuple(dict.fromkeys(token for token in (self.bos, self.eos, *named, *self.special, *added) if token))

    def to_json(self) -> dict[str, Any]:
        """The content of a tokenizer_config.json that says the same."""
        flags = [field.name for field in dataclasses.fields(AddedToken) if field.name != "token_id"]
        decoder = {str(token.token_id): {flag: getattr(token, flag) for flag in flags} for token in self.added}
        fields = {"bos_token": self.bos, "eos_token": self.eos, **dict(self.named)}
        fields |= {"additional_special_tokens": list(self.special)} if self.special else {}
        fields |= {"added_tokens_decoder": decoder} if decoder else {}
        return fields | ({} if self.adds_bos is None else {"add_bos_token": self.adds_bos})


NOTHING_SAID = TokenizerConfig()


def read_config(folder: Path) -> TokenizerConfig:
    """The configuration in a tokenizer's folder; an empty one where there are no such files.

    tokenizer_config.json goes before special_tokens_map.json.

    Raises:
      InputError: a file is no JSON object, or an entry has no form that is known.
    """
    config, mapped, numbered = (read_object(folder / name, _WHAT) if (folder / name).exists() else {} for name in FILES)
    where = folder / FILES[0]
    both = {**mapped, **{name: value for name, value in config.items() if value is not None or name not in mapped}}
    names = {name: _content(both[name], where, name) for name in _NAMED if both.get(name) is not None}
    special: list[str] = []
    for name in _LISTED:
        listed = both.get(name) or []
        if not isinstance(listed, list | Mapping):
            raise InputError(f"{where}: {name} holds {type(listed).__name__}; expected a list of tokens, or an object of them")
        entries = listed.values() if isinstance(listed, Mapping) else listed
        special += [_content(entry, where, name) for entry in entries if entry is not None]
    adds_bos = both.get("add_bos_token")
    if adds_bos not in (None, True, False):
        raise InputError(f"{where}: add_bos_token is {adds_bos!r}; expected true or false")
    named = tuple((name, token) for name, token in names.items() if name not in ("bos_token", "eos_token"))
    decoder = both.get("added_tokens_decoder") or {}
    if not decoder:  # as older folders have it: ids by token, in a file of their own
        controls = {*names.values(), *special}
        where = where if not numbered else folder / FILES[2]
        flags = {token: {"special": token in controls, "normalized": token not in controls} for token in numbered}
        decoder = {token_id: {"content": token, **flags[token]} for token, token_id in numbered.items()}
    return TokenizerConfig(
        names.get("bos_token"), names.get("eos_token"), named, tuple(dict.fromkeys(special)), _added(decoder, where), adds_bos
    )


def _added(decoder: Any, where: Path) -> tuple[AddedToken, ...]:
    try:
        found = [
            AddedToken(
                _content(entry, where, "added_tokens_decoder"),
                int(token_id),
                *(bool(entry.get(flag, False)) for flag in ("special", "lstrip", "rstrip", "normalized")),
            )
            for token_id, entry in decoder.items()
        ]
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{where}: added_tokens_decoder is not a token for each id ({error}); mend the file") from None
    return tuple(sorted(found, key=lambda token: token.token_id))


def _content(entry: Any, where: Path, name: str) -> str:
    """A token's text: it is written as such, or as an object with its flags."""
    content = entry.get("content") if isinstance(entry, Mapping) else entry
    if not isinstance(content, str) or not content:
        raise InputError(f"{where}: {name} is {entry!r:.60}; expected a token's text, or an object with its content")
    return content
