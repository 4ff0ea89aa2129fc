"""One checkpoint's predictions: a JSON line an item, with everything a score is made of; begun again where it was cut."""

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from instruct_jax.artifacts.items import Item
from instruct_jax.artifacts.manifest import identity_of
from instruct_jax.errors import InputError
from instruct_jax.evals.metrics import LOSS, RANK, RANK_NORMALIZED
from instruct_jax.evals.scorers import SCORERS
from instruct_jax.inference.sampling import GREEDY, Sampling
from instruct_jax.inference.session import Session

# Raise it when the meaning of a stored prediction changes: older ones are then made again.
_VERSION = 1
# So many items are asked before their predictions are written down.
_CHUNK = 512


@dataclasses.dataclass(frozen=True)
class Asking:
    """How questions are asked.

    Attributes:
      max_new_tokens: an answer is cut there.
      sampling: greedy, or how answers are drawn.
      seed: of the draws.
      batch_tokens: tokens in one forward pass: a matter of memory and speed, not of results.
    """

    max_new_tokens: int = 64
    sampling: Sampling = GREEDY
    seed: int = 0
    batch_tokens: int = 8192


def predictions(
    session: Session, items: Sequence[Item], asking: Asking, file: Path, advance: Callable[[int], None]
) -> list[dict[str, Any]]:
    """Every item's prediction, in the order of the items; finished ones are read from `file`, the others appended to it.

    A prediction on disk is reused if it has the same key: a hash of the model's weights, tokenizer and template, of the
    item, and of how it was asked. A last line cut short is dropped. When all are there, the file is put in order.

    Args:
      session: the model.
      items: with distinct ids.
      asking: how.
      file: predictions-<name>.jsonl.
      advance: called with how many more items are done.
    """
    model = session.fingerprint()
    keys = {item.id: _key(model, item, asking) for item in items}
    wanted = set(keys.values())
    done = {one["key"]: one for one in _complete_lines(file) if one["key"] in wanted}
    _replace(file, list(done.values()))
    advance(len(done))
    # Shuffled by key and of one size, chunks look alike: the few shapes compiled for the first serve the rest.
    pending = sorted((item for item in items if keys[item.id] not in done), key=lambda item: keys[item.id])
    with open(file, "a") as stream:
        chunks = max(1, round(len(pending) / _CHUNK))
        for number in range(chunks):
            chunk = pending[len(pending) * number // chunks : len(pending) * (number + 1) // chunks]
            for item, prediction in zip(chunk, _asked(session, chunk, asking), strict=True):
                done[keys[item.id]] = {"key": keys[item.id]} | prediction
                stream.write(_line(done[keys[item.id]]))
            stream.flush()
            advance(len(chunk))
    ordered = [done[keys[item.id]] for item in items]
    _replace(file, ordered)
    return ordered


def _asked(session: Session, items: Sequence[Item], asking: Asking) -> list[dict[str, Any]]:
    """The predictions of some items, all ranked, generated and read in batches."""
    records = [_record(session, item) for item in items]
    plain = [index for index, item in enumerate(items) if LOSS in item.metrics]
    ranked = [index for index, item in enumerate(items) if item.options]
    generated = [index for index, item in enumerate(items) if LOSS not in item.metrics and item.metrics]

    documents = [items[index].messages[0][1] for index in plain]
    for index, logprob in zip(plain, session.document_logprobs(documents, asking.batch_tokens), strict=True):
        _check_finite(session, items[index], logprob.total)
        if not logprob.tokens:
            raise InputError(f"item {items[index].id!r} has no token to predict; drop empty documents from the evaluation")
        records[index] |= {"nats": -logprob.total, "tokens": logprob.tokens, "scores": {LOSS: -logprob.per_token}}

    questions = [(items[index].messages, items[index].options) for index in ranked]
    for index, options in zip(ranked, session.option_logprobs(questions, asking.batch_tokens), strict=True):
        item, totals = items[index], [logprob.total for logprob in options]
        _check_finite(session, item, *totals)
        records[index]["option_logprobs"] = [[logprob.total, logprob.tokens] for logprob in options]
        records[index]["scores"] |= {
            RANK: credit(totals, item.options, item.target),
            RANK_NORMALIZED: credit([logprob.per_token for logprob in options], item.options, item.target),
        }

    answers = session.answers(
        [items[index].messages for index in generated],
        max_new_tokens=asking.max_new_tokens,
        sampling=asking.sampling,
        seed=asking.seed,
        items=[_number(items[index].id) for index in generated],
        batch_tokens=asking.batch_tokens,
    )
    for index, answer in zip(generated, answers, strict=True):
        item, output = items[index], session.tokenizer.decode(answer.tokens)
        records[index] |= {"output": output, "stopped": answer.stopped}
        records[index]["scores"] |= {metric: SCORERS[metric](output, item.target) for metric in item.metrics}
    return records


def credit(logprobs: Sequence[float], options: Sequence[str], target: str) -> float:
    """1 if the target alone ranks first, 1/k if it shares the first place among k, else 0.

    >>> credit([-1.0, -2.0], ["yes", "no"], "yes"), credit([-1.0, -1.0], ["yes", "no"], "yes")
    (1.0, 0.5)
    """
    best = max(logprobs)
    first = [option for option, logprob in zip(options, logprobs, strict=True) if logprob == best]
    return first.count(target) / len(first)


def _record(session: Session, item: Item) -> dict[str, Any]:
    fields = dataclasses.asdict(item)
    plain = LOSS in item.metrics
    return {
        **{name: fields[name] for name in ("id", "source", "cluster", "dataset", "template", "split")},
        "prompt": item.messages[0][1] if plain else session.prompt_text(item.messages),
        "target": item.target,
        "output": None,
        "options": item.options and list(item.options),
        "option_logprobs": None,
        "scores": {},
    }


def _key(model: str, item: Item, asking: Asking) -> str:
    drawn = None if asking.sampling == GREEDY else [dataclasses.asdict(asking.sampling), asking.seed]
    return identity_of([_VERSION, model, dataclasses.asdict(item), asking.max_new_tokens, drawn])


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def _check_finite(session: Session, item: Item, *logprobs: float) -> None:
    if not all(math.isfinite(logprob) for logprob in logprobs):
        raise InputError(
            f"{session.folder} gives item {item.id!r} a log-probability that is not finite; its weights are broken: "
            "choose an earlier checkpoint"
        )


def _complete_lines(file: Path) -> list[dict[str, Any]]:
    """The lines of a predictions file; a last line without its end was cut by a crash, and is left out.

    Raises:
      InputError: any other line is no prediction.
    """
    if not file.exists():
        return []
    lines = file.read_text().split("\n")[:-1]
    out = []
    for number, line in enumerate(lines, 1):
        try:
            out.append(json.loads(line))
            out[-1]["key"]
        except (json.JSONDecodeError, TypeError, KeyError):
            raise InputError(f"{file}:{number} is no prediction; delete the file to make all predictions again") from None
    return out


def _replace(file: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write the whole file so that a crash leaves the old one or the new one."""
    temporary = file.with_name(file.name + ".partial")
    with open(temporary, "w") as stream:
        stream.writelines(_line(record) for record in records)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
