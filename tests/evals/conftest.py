"""Small checkpoints with random weights, and a dataset folder with ragged questions for them."""

from pathlib import Path

import jax
import pytest

from instruct_jax.artifacts import manifest as manifests
from instruct_jax.artifacts.checkpoint import Checkpoints
from instruct_jax.artifacts.items import Item, write_items
from instruct_jax.core import modules
from instruct_jax.model.decoder import Decoder
from instruct_jax.model.spec import DecoderSpec
from instruct_jax.text.chat import BARE, INSTRUCT, TurnTemplate
from instruct_jax.text.tokenizer import ByteTokenizer

SPEC = DecoderSpec(embed=32, layers=2, heads=4, kv_heads=2, head_dim=8, mlp=48, vocab_size=259)


def write_checkpoint(folder: Path, seed: int, template: TurnTemplate) -> Path:
    """A run folder with one saved state of random weights."""
    tokenizer = ByteTokenizer()
    tokenizer.save(folder / "tokenizer")
    content = {
        "identity": f"seed {seed}",
        "model": {"spec": SPEC.to_json()},
        "tokenizer": {"fingerprint": tokenizer.fingerprint, "vocab_size": tokenizer.vocab_size},
        "chat_template": template.to_json(),
    }
    manifests.write_manifest(folder, "checkpoint", content)
    checkpoints = Checkpoints(folder, keep=1)
    checkpoints.save(
        3, modules.split(jax.jit(Decoder, static_argnums=0)(SPEC, jax.random.key(seed)))[1], {"count": jax.numpy.zeros(())}
    )
    checkpoints.close()
    return folder


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    """Two run folders: "base" asked bare, "tuned" with the separator."""
    folder = tmp_path_factory.mktemp("checkpoints")
    return {
        "base": write_checkpoint(folder / "base", 0, BARE),
        "tuned": write_checkpoint(folder / "tuned", 1, INSTRUCT),
    }


@pytest.fixture(scope="session")
def items() -> list[Item]:
    """Ragged questions: three splits, option-scored or not, in two wordings of each record; and plain documents."""
    out = []
    for number in range(6):
        for template in ("t1", "t2"):
            text = "word " * number + f"is it {template}?"
            fields = {"cluster": "sentiment", "dataset": "reviews", "template": template, "messages": (("user", text),)}
            split = "held_in_seen" if template == "t1" else "held_in_unseen"
            options = ("yes", "no", "perhaps not")[: 2 + number % 2]
            metrics = ("exact_match", "token_f1")
            out.append(
                Item(f"r/{template}/{number}", str(number), split=split, target="yes", options=options, metrics=metrics, **fields)
            )
        fields = {
            "cluster": "generation",
            "dataset": "stories",
            "template": "s1",
            "messages": (("user", f"<b>Tell</b> {number}"),),
        }
        metrics = ("rouge_l", "bleu")
        split = "held_out_cluster"
        out.append(Item(f"s/{number}", str(number), split=split, target="a story", options=None, metrics=metrics, **fields))
        document = (("text", "once upon a time " * (number + 1)),)
        out.append(
            Item(
                f"d/{number}",
                str(number),
                "text",
                "books",
                "",
                "plain_text",
                document,
                target="",
                options=None,
                metrics=("loss",),
            )
        )
    return out


@pytest.fixture(scope="session")
def make_questions(tmp_path_factory):
    """A function (items, name) -> a dataset folder that holds them."""

    def make(items, name="questions") -> Path:
        folder = tmp_path_factory.mktemp("questions") / name
        folder.mkdir()
        write_items(folder, items)
        manifests.write_manifest(folder, "dataset", {"identity": name})
        return folder

    return make


@pytest.fixture(scope="session")
def questions(make_questions, items) -> Path:
    return make_questions(items)
