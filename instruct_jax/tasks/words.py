"""The tokenizer and chat template that a recipe names, from wherever they are kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instruct_jax.text.chat_files import load_chat_template, with_given
from instruct_jax.text.conversation import ChatTemplate
from instruct_jax.text.tokenizer import Tokenizer, load_tokenizer


def load_words(
    tokenizer: str, chat_template: ChatTemplate | str, date: str | None, variables: Mapping[str, Any] | None
) -> tuple[Tokenizer, ChatTemplate]:
    """A tokenizer, and the chat template to write with it.

    Args:
      tokenizer: what `load_tokenizer` reads, or run/checkpoints/<step>.
      chat_template: the template itself, what `load_chat_template` reads, or run/checkpoints/<step>.
      date, variables: see `with_given`.

    Raises:
      InputError: one of them is not there, is damaged, or does not take what is given.
    """
    loaded = load_tokenizer(_run_of(tokenizer))
    if isinstance(chat_template, str):
        return loaded, load_chat_template(_run_of(chat_template), loaded, date, variables)
    return loaded, with_given(chat_template, date, variables)


def _run_of(path: str) -> str:
    """The run's folder where the path is that of one of its states: all of a run's states share their words."""
    state = Path(path)
    if state.name.isdigit() and state.parent.name == "checkpoints" and (state.parents[1] / "manifest.json").is_file():
        return str(state.parents[1])
    return path
