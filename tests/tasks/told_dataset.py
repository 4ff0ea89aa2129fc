"""A small ragged dataset and what it was made from, text by text: what the tests of the data report count by hand."""

import collections
import dataclasses
import random

import numpy as np

from instruct_jax.artifacts.dataset import DatasetWriter
from instruct_jax.artifacts.items import Item, write_items
from instruct_jax.artifacts.records import Row
from instruct_jax.text.chat import INSTRUCT, Rendered, render
from instruct_jax.text.overflow import fit
from instruct_jax.text.pieces import ByteTokenizer

LENGTH = 160
WORDS = ["river", "stone", "cloud", "amber", "window", "silver", "garden", "thunder", "paper", "lantern", "copper", "falcon"]
SECRET = "the quick heron counted nineteen wooden boats before sunrise while nobody near the quiet lake was watching"


@dataclasses.dataclass(frozen=True)
class Told:
    """What the test knows of one text before it was fitted."""

    task: int
    template: int
    example: int
    epoch: int
    rendered: Rendered
    document: bool
    prompt: str
    response: str


def sentence(draw, most=12):
    return " ".join(draw.choices(WORDS, k=draw.randint(2, most)))


def examples(extra):
    """(task, template, example, epoch, prompt or None, response), ragged."""
    draw = random.Random(7)
    for index in range(60):
        for epoch in range(2 if index < 5 else 1):
            template = 0 if index % 3 else 1
            yield 0, template, index, epoch, f"{sentence(draw)}. Good or bad? {template}", "good" if index % 4 else "bad"
    for index in range(30):
        yield 1, 0, index, 0, f"{sentence(draw, 25)}. Why? {index}", f"{sentence(draw)} {index}"
    for index in range(8):
        yield 2, -1, index, 0, None, f"{sentence(draw, 60)} {index}"
    yield 1, 0, 30, 0, "How many boats are there, asks the heron?", "three"
    yield 1, 0, 31, 0, "How many  BOATS are there, asks the heron?", "three"
    yield 1, 0, 32, 0, "How many boats are there, asks the heron?", "four"
    for index, text in enumerate(extra):
        yield 1, 0, 100 + index, 0, text, "so it is"


def make_dataset(folder, extra=(), with_texts=True):
    """Writes a dataset to a folder, with prompts in addition; returns the folder and what it was made from."""
    told = []
    for task, template, index, epoch, prompt, response in examples(extra):
        turns = [("text", response)] if prompt is None else [("user", prompt), ("assistant", response)]
        rendered = render(turns, INSTRUCT, ByteTokenizer())
        told.append(Told(task, template, index, epoch, rendered, prompt is None, prompt or "", response))
    writer = DatasetWriter(folder)
    outcomes, counts = collections.defaultdict(collections.Counter), collections.Counter()
    waiting, used = [], 0

    def flush():
        tokens, weights, provenance = (np.concatenate([part[k] for part in waiting]) for k in range(3))
        writer.write(Row(tokens, weights, np.array([part[0].size for part in waiting], np.int32), provenance))

    for one in told:
        fitted = fit(one.rendered, LENGTH, "trim_prompt", one.document)
        outcomes[one.task][fitted.outcome] += 1
        for piece in fitted.pieces:
            weights = np.where(np.arange(piece.tokens.size) == 0, 0, piece.weights).astype(np.float32)
            if used + piece.tokens.size > LENGTH:
                flush()
                waiting, used = [], 0
            place = np.array([[one.task, one.template, one.example, one.epoch]], np.int64)
            waiting.append((piece.tokens, weights, place))
            used += piece.tokens.size
        counts[one.task] += 1
    flush()
    if with_texts:
        np.save(writer.folder / "texts-00000.npy", np.concatenate([entry(one) for one in told]))
    ByteTokenizer().save(writer.folder / "tokenizer")
    write_items(writer.folder, items())
    names = [("shop", "sentiment", ["a", "b", "kept"]), ("quiz", "questions", ["only"]), ("plain", "", [])]
    tasks = [
        {
            "name": name,
            "cluster": cluster,
            "dataset": name,
            "kind": "instruction" if templates else "text",
            "templates": templates,
            "reserved_templates": ["kept"] if "kept" in templates else [],
            "held_out": False,
            "rate": 1.0,
            "size": 60,
            "epochs": counts[place] / 60,
            "asked": counts[place],
            "trimmed": outcomes[place]["trimmed"],
            "split": outcomes[place]["split"],
            "dropped": outcomes[place]["dropped"],
            "unsupervised": 0,
            "unrolled": 0,
            "skipped": 0,
            "settings": {"zero-shot": counts[place]},
        }
        for place, (name, cluster, templates) in enumerate(names)
    ]
    writer.finish({"identity": "abc", "length": LENGTH, "tasks": tasks})
    return folder, told


def entry(one):
    texts = np.zeros(1, [(name, np.int64) for name in ("task", "template", "setting", "example", "epoch")] + FIELDS)
    size = one.rendered.tokens.size
    trimmable = sum(end - start for start, end in one.rendered.trimmable)
    supervised = int((one.rendered.weights[1:] > 0).sum())
    values = (one.task, one.template, 0, one.example, one.epoch, size, supervised, size - trimmable, one.document)
    texts[0] = values
    return texts


FIELDS = [("tokens", np.int32), ("supervised", np.int32), ("fixed", np.int32), ("document", bool)]


def items():
    """Five questions in one wording of 14 words, of which only the last is about the heron."""
    about = ["amber engines hum", "violet paper tears", "copper candles drip", "walnut saddles creak", SECRET]
    wording = "Read the following short passage with care and then say what it is about:"
    return [
        Item(
            f"quiz/{i}", str(i), "questions", "quiz", "only", "held_in_seen", (("user", f"{wording} {text}"),), "x", None, ("m",)
        )
        for i, text in enumerate(about)
    ]


def fitted_texts(told):
    return [(one, fit(one.rendered, LENGTH, "trim_prompt", one.document).pieces) for one in told]
