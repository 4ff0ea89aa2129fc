"""items.jsonl: what a dataset folder keeps back for evaluation, one question a line, ready to be asked."""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from instruct_jax.artifacts.manifest import read_manifest
from instruct_jax.errors import InputError

NAME = "items.jsonl"
SPLITS = ("held_in_seen", "held_in_unseen", "held_out_dataset", "held_out_cluster", "plain_text")


@dataclasses.dataclass(frozen=True)
class Item:
    """One question in one wording.

    Attributes:
      id: unique in its file.
      source: the record behind it; wordings of one record share it, and intervals are clustered by it.
      cluster, dataset, template: where it belongs. `template` is "" for plain text.
      split: one of SPLITS: how far from the training mixture it lies.
      messages: (role, text) pairs up to the assistant's turn; one ("text", document) pair for plain text.
      target: the right answer; "" for plain text.
      options: the alternatives to rank, the target among them; None where the wording is not to be option-scored.
      metrics: scorer names for generated answers, such as "exact_match"; ("loss",) for plain text.
    """

    id: str
    source: str
    cluster: str
    dataset: str
    template: str
    split: str
    messages: tuple[tuple[str, str], ...]
    target: str
    options: tuple[str, ...] | None
    metrics: tuple[str, ...]


def write_items(folder: Path, items: Iterable[Item]) -> int:
    """Write the items into a folder; returns how many."""
    count = 0
    with open(folder / NAME, "w") as stream:
        for item in items:
            stream.write(json.dumps(dataclasses.asdict(item), ensure_ascii=False) + "\n")
            count += 1
    return count


def read_items(folder: str | Path) -> list[Item]:
    """The items of a finished dataset folder.

    Raises:
      InputError: the folder is no dataset, or was prepared without evaluation items, or a line is broken.
    """
    folder = Path(folder)
    read_manifest(folder, "dataset")
    file = folder / NAME
    if not file.exists():
        raise InputError(f"{folder} holds no {NAME}: it was prepared without evaluation items; prepare it with an evaluation")
    items = []
    with open(file) as stream:
        for number, line in enumerate(stream, 1):
            try:
                items.append(_item(json.loads(line)))
            except (json.JSONDecodeError, TypeError, KeyError) as error:
                raise InputError(f"{file}:{number} is no evaluation item ({error}); prepare the dataset again") from None
    return items


def _item(fields: dict[str, Any]) -> Item:
    options = fields["options"]
    return Item(
        **{
            **fields,
            "messages": tuple((role, text) for role, text in fields["messages"]),
            "options": None if options is None else tuple(options),
            "metrics": tuple(fields["metrics"]),
        }
    )
