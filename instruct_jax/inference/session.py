"""A live model with its own tokenizer and chat template, opened from a checkpoint folder."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from instruct_jax.artifacts.manifest import identity_of
from instruct_jax.errors import InputError
from instruct_jax.inference.decode import Generation, generate
from instruct_jax.inference.sampling import GREEDY, Sampling
from instruct_jax.inference.score import Logprob, sequence_logprobs
from instruct_jax.model.loading import load_model
from instruct_jax.text.chat import render_batch, stop_ids, template_from_json
from instruct_jax.text.conversation import ChatTemplate, Conversation, Message
from instruct_jax.text.tokenizer import Tokenizer, load_tokenizer

# Enough of each array to tell any two training steps apart, little enough to read at any size.
_FINGERPRINT_SAMPLES = 4096

Turns = Sequence[tuple[str, str]]  # (role, text) pairs, up to an assistant's turn


@dataclasses.dataclass(frozen=True, eq=False)
class Session:
    """A model, and the words in which it is asked: always its own tokenizer and its own chat template.

    Attributes:
      model: the live decoder.
      tokenizer, template: what the model was trained with, from its checkpoint.
      manifest: the checkpoint's.
      folder: the checkpoint's.
      step: training steps the model has seen.
    """

    model: Any
    tokenizer: Tokenizer
    template: ChatTemplate
    manifest: Mapping[str, Any]
    folder: Path
    step: int

    @classmethod
    def open(cls, checkpoint: str | Path) -> "Session":
        """The model of a checkpoint folder.

        Raises:
          InputError: there is no checkpoint, or its tokenizer or chat template is missing or does not fit the model.
        """
        loaded = load_model(checkpoint)
        folder = Path(loaded.folder)
        tokenizer = load_tokenizer(folder / "tokenizer")
        expected = loaded.manifest["tokenizer"]["fingerprint"]
        if tokenizer.fingerprint != expected:
            raise InputError(
                f"{folder}/tokenizer is not the tokenizer of this checkpoint (fingerprint {tokenizer.fingerprint[:12]}, "
                f"expected {expected[:12]}); restore the one that the model was trained with"
            )
        template = chat_template(loaded.manifest, folder)
        if tokenizer.vocab_size > loaded.model.spec.vocab_size:
            raise InputError(
                f"{folder}: its tokenizer has {tokenizer.vocab_size} ids, its model {loaded.model.spec.vocab_size}; "
                "restore the tokenizer that the model was trained with"
            )
        stop_ids(template, tokenizer)  # a control token that the tokenizer lacks is an error here, not at the first answer
        return cls(loaded.model, tokenizer, template, loaded.manifest, folder, loaded.step)

    def fingerprint(self) -> str:
        """Hash of everything that decides the answers: a sample of every weight, the tokenizer and the template."""
        _, state = nnx.split(self.model)
        digest = hashlib.sha256()
        for path, leaf in jax.tree_util.tree_leaves_with_path(state):
            stride = max(1, leaf.size // _FINGERPRINT_SAMPLES)
            digest.update(f"{jax.tree_util.keystr(path)} {leaf.shape} {leaf.dtype}".encode())
            digest.update(np.asarray(leaf.reshape(-1)[::stride]).tobytes())
        return identity_of([digest.hexdigest(), self.tokenizer.fingerprint, self.template.fingerprint()])

    def prompt_text(self, turns: Turns) -> str:
        """What the model reads, in words: the rendered prompt, its control tokens spelled out."""
        rendered = self.template.spans(_conversation(turns), add_generation_prompt=True)
        names = {"bos": "<|bos|>", "eos": "<|eos|>"}
        return "".join(names.get(span.special, span.special) if span.special else span.text for span in rendered)

    def answers(
        self,
        questions: Sequence[Turns],
        *,
        max_new_tokens: int,
        sampling: Sampling = GREEDY,
        seed: int = 0,
        items: Sequence[int] | None = None,
        batch_tokens: int = 8192,
    ) -> list[Generation]:
        """The model's next assistant turn after each question, as ids; see `decode.generate`."""
        conversations = [_conversation(turns) for turns in questions]
        rendered = render_batch(conversations, self.template, self.tokenizer, add_generation_prompt=True)
        return generate(
            self.model,
            [one.tokens for one in rendered],
            max_new_tokens=max_new_tokens,
            stop_ids=stop_ids(self.template, self.tokenizer),
            vocab_size=self.tokenizer.vocab_size,
            sampling=sampling,
            seed=seed,
            items=items,
            batch_tokens=batch_tokens,
        )

    def generate(self, prompts: Sequence[str], max_new_tokens: int = 64, sampling: Sampling = GREEDY, seed: int = 0) -> list[str]:
        """The model's answer to each prompt, asked as a single user turn."""
        questions = [[("user", prompt)] for prompt in prompts]
        answers = self.answers(questions, max_new_tokens=max_new_tokens, sampling=sampling, seed=seed)
        return [self.tokenizer.decode(answer.tokens) for answer in answers]

    def option_logprobs(self, questions: Sequence[tuple[Turns, Sequence[str]]], batch_tokens: int = 8192) -> list[list[Logprob]]:
        """The log-probability of each option as the answer to its question.

        The turn end counts as part of the option, as it does in training: without it, "New York" could never beat its
        own beginning "New". Nothing of the question counts.
        """
        conversations = [
            Conversation((*_conversation(turns).messages, Message("assistant", option)))
            for turns, options in questions
            for option in options
        ]
        scores = iter(sequence_logprobs(self.model, render_batch(conversations, self.template, self.tokenizer), batch_tokens))
        return [[next(scores) for _ in options] for _, options in questions]

    def document_logprobs(self, documents: Sequence[str], batch_tokens: int = 8192) -> list[Logprob]:
        """The log-probability of each plain document, its end included."""
        conversations = [Conversation((Message("text", document),)) for document in documents]
        return sequence_logprobs(self.model, render_batch(conversations, self.template, self.tokenizer), batch_tokens)


def chat_template(manifest: Mapping[str, Any], folder: Path) -> ChatTemplate:
    """The chat template that a checkpoint's manifest records.

    Raises:
      InputError: the manifest has none, or one of another version.
    """
    if not isinstance(manifest.get("chat_template"), Mapping):
        raise InputError(f"{folder}: its manifest names no chat template; train or import the checkpoint again")
    try:
        return template_from_json(manifest["chat_template"])
    except InputError as error:
        raise InputError(f"{folder}: its {error}") from None


def _conversation(turns: Turns) -> Conversation:
    # An earlier assistant turn is part of the question: it is read, and neither trained nor scored.
    return Conversation(tuple(Message(role, text, trained=False) for role, text in turns))
