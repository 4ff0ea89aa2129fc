"""ask (program): some prompts, and what each checkpoint answers, side by side."""

import hashlib
from collections.abc import Sequence

import rich.box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from instruct_jax.artifacts.items import Item, read_items
from instruct_jax.errors import InputError
from instruct_jax.evals.checkpoints import open_sessions
from instruct_jax.inference.sampling import GREEDY, Sampling


def ask(
    checkpoint: str | Sequence[str],
    prompts: Sequence[str] | None = None,
    dataset: str | None = None,
    split: str = "held_out_dataset",
    count: int = 2,
    seed: int = 0,
    max_new_tokens: int = 64,
    sampling: Sampling = GREEDY,
) -> None:
    """Print what each checkpoint answers to each prompt.

    Args:
      checkpoint: a path, "name=path", or several of these.
      prompts: what to ask; or else
      dataset: a prepared dataset folder, of whose questions `count` are drawn by `seed` from `split`, each of another
        dataset as long as there are any.
      split, count, seed: see above.
      max_new_tokens: an answer is cut there.
      sampling: greedy, or how answers are drawn.

    Raises:
      InputError: neither or both of prompts and dataset, or nothing to ask.
    """
    if (prompts is None) == (dataset is None):
        raise InputError("ask needs either prompts or a dataset to draw them from, and not both")
    if prompts is not None:
        questions = [((("user", prompt),), None) for prompt in ([prompts] if isinstance(prompts, str) else prompts)]
    else:
        questions = [(item.messages, item.target) for item in _drawn(read_items(dataset), dataset, split, count, seed)]
    if not questions:
        raise InputError("there is nothing to ask: the list of prompts is empty")
    turns = [messages for messages, _ in questions]
    answers = {}
    for name, session in open_sessions(checkpoint).items():
        found = session.answers(turns, max_new_tokens=max_new_tokens, sampling=sampling, seed=seed)
        answers[name] = [session.tokenizer.decode(one.tokens) for one in found]
    console = Console()
    for index, (messages, target) in enumerate(questions):
        table = Table(box=rich.box.ROUNDED, show_header=False, padding=(0, 1))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for role, text in messages:
            table.add_row(role, Text(text))
        table.add_section()
        for name, outputs in answers.items():
            table.add_row(name, Text(outputs[index] or "(nothing)", style="bold"))
        if target is not None:
            table.add_row("target", Text(target))
        console.print(table)


def _drawn(items: Sequence[Item], dataset: str, split: str, count: int, seed: int) -> list[Item]:
    inside = [item for item in items if item.split == split and item.split != "plain_text"]
    if not inside:
        have = ", ".join(sorted({item.split for item in items})) or "none"
        raise InputError(f"{dataset} has no question in split {split!r}; it has items in: {have}")
    turn: dict[str, int] = {}
    ranked = []
    for item in sorted(inside, key=lambda item: hashlib.blake2b(f"{seed}\0{item.id}".encode(), digest_size=8).digest()):
        turn[item.dataset] = turn.get(item.dataset, 0) + 1
        ranked.append((turn[item.dataset], len(ranked), item))
    return [item for _, _, item in sorted(ranked, key=lambda entry: entry[:2])[:count]]
