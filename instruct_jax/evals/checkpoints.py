"""Checkpoints by name: what a user writes to say which models to ask, and what to call them."""

import re
from collections.abc import Sequence

from instruct_jax.errors import InputError
from instruct_jax.inference import session as sessions
from instruct_jax.inference.session import Session


def named_checkpoints(checkpoint: str | Sequence[str]) -> dict[str, str]:
    """Checkpoint folders by name, in order.

    Args:
      checkpoint: "path" (named by its last part), "name=path", or several of these.

    Raises:
      InputError: none at all, two of one name, or a name that cannot be part of a file name.

    >>> named_checkpoints(["base=runs/demo/pretrain", "runs/demo/tuned/"])
    {'base': 'runs/demo/pretrain', 'tuned': 'runs/demo/tuned'}
    """
    found: dict[str, str] = {}
    for entry in [checkpoint] if isinstance(checkpoint, str) else checkpoint:
        before, equals, after = str(entry).partition("=")
        name, path = (before, after) if equals and "/" not in before else ("", str(entry))
        path = path.rstrip("/") or path
        name = name or path.rpartition("/")[2]
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            raise InputError(
                f"checkpoint {entry!r}: {name!r} is no name for a file; write it as name=path, with letters and digits"
            )
        if name in found:
            raise InputError(f"two checkpoints are called {name!r}: {found[name]} and {path}; name them: first={path}")
        found[name] = path
    if not found:
        raise InputError("no checkpoint was given; give a path, name=path, or a list of these")
    return found


def open_sessions(checkpoint: str | Sequence[str]) -> dict[str, Session]:
    """Live models by name, in order; see `named_checkpoints` and `session.open`."""
    return {name: sessions.open(path) for name, path in named_checkpoints(checkpoint).items()}
