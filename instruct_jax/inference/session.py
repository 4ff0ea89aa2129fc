"""A live model with its own tokenizer and chat template, opened from a checkpoint or an HF folder.

from instruct_jax.inference import session
loaded = session.open("runs/demo/tuned")
loaded.generate(["What is the sum of two and three?"])
"""

import dataclasses
import functools
import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from instruct_jax.artifacts.manifest import NAME as MANIFEST
from instruct_jax.artifacts.manifest import identity_of
from instruct_jax.convert import config as hf_config
from instruct_jax.convert import hf
from instruct_jax.convert.words import require_same_tokenizer
from instruct_jax.core import modules, trees
from instruct_jax.errors import InputError
from instruct_jax.inference.decode import Generation, generate
from instruct_jax.inference.sampling import GREEDY, Sampling
from instruct_jax.inference.score import Logprob, sequence_logprobs
from instruct_jax.model.decoder import Decoder
from instruct_jax.model.loading import LoadedModel, load_model
from instruct_jax.model.spec import DecoderSpec
from instruct_jax.text.chat import Rendered, render_batch, stop_ids, template_from_json
from instruct_jax.text.chat_files import with_given
from instruct_jax.text.conversation import ChatTemplate, Conversation, Message, Messages, conversation_of
from instruct_jax.text.pieces import Tokenizer
from instruct_jax.text.tokenizer import load_tokenizer

# Enough of each array to tell any two training steps apart, little enough to read at any size.
_FINGERPRINT_SAMPLES = 4096


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Session:
    """A model, and the words in which it is asked: always its own tokenizer and its own chat template.

    Attributes:
      model: the live decoder.
      tokenizer, template: what the model was trained with, from its folder; None for a folder without a tokenizer.
      manifest: the checkpoint's, or what that of an imported HF folder would say.
      folder: where all this is from.
      step: training steps the model has seen.
    """

    model: Any
    tokenizer: Tokenizer | None
    template: ChatTemplate | None
    manifest: Mapping[str, Any]
    folder: Path
    step: int

    @property
    def spec(self) -> DecoderSpec:
        """The model's sizes and choices."""
        return self.model.spec

    def __repr__(self) -> str:
        spec, kind = self.spec, self.manifest.get("hf", {}).get("config", {}).get("model_type", "decoder")
        feed_forward = f"{spec.mlp:,}" if spec.experts is None else f"{spec.experts.count} experts of {spec.mlp:,}"
        sizes = (
            f"{spec.layers} layers, width {spec.embed:,}, {spec.heads} heads on {spec.kv_heads} of {spec.head_dim}, "
            f"feed-forward {feed_forward}, vocabulary {spec.vocab_size:,}{', tied' if spec.tied else ''}"
        )
        tokenizer, template = "none", "none"
        if self.tokenizer is not None:
            tokenizer = f"{type(self.tokenizer).__name__}, {self.tokenizer.vocab_size:,} ids"
            template = self.template.name
        return (
            f"Session of {self.folder}, step {self.step:,}\n"
            f"  model      {kind}, {trees.count(modules.split(self.model)[1]):,} parameters: {sizes}\n"
            f"  tokenizer  {tokenizer}\n"
            f"  template   {template}"
        )

    def words(self) -> tuple[Tokenizer, ChatTemplate]:
        """The tokenizer and the chat template.

        Raises:
          InputError: there are none.
        """
        if self.tokenizer is None or self.template is None:
            raise InputError(
                f"{self.folder} holds no tokenizer, so that its model can give logits of ids but cannot be asked in words; "
                "put its tokenizer files there, or import it again with them"
            )
        return self.tokenizer, self.template

    def logits(self, tokens: np.ndarray | jax.Array) -> jax.Array:
        """Scores of every next token, compiled once a shape.

        Args:
          tokens: i32[B, T], without padding.

        Returns:
          f32[B, T, V].

        Raises:
          InputError: no such array, or an id that the model has not.
        """
        ids = np.asarray(tokens)
        if ids.ndim != 2 or ids.dtype.kind not in "iu" or not ids.size:
            raise InputError(f"logits takes ids, i32[B, T]; got {ids.dtype}{list(ids.shape)}")
        if not 0 <= ids.min() <= ids.max() < self.spec.vocab_size:
            raise InputError(f"ids are {ids.min()} to {ids.max()}; the model knows 0 to {self.spec.vocab_size - 1}")
        return _logits(*nnx.split(self.model), ids.astype(np.int32))

    def generate(
        self,
        prompts: str | Sequence[str | Messages],
        max_tokens: int = 64,
        temperature: float | None = None,
        seed: int = 0,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> list[str]:
        """The model's answer to each prompt.

        Args:
          prompts: each a text, asked as a single user turn, or the messages up to the answer. A model without a chat
            template of its own gets a text as it is, and goes on from it.
          max_tokens: an answer is cut there.
          temperature, top_k, top_p: how answers are drawn; None for greedy. See `Sampling`.
          seed: of the draws.

        Raises:
          InputError: there is no tokenizer, or the prompts are no prompts.
        """
        questions = [
            [("user", one)] if isinstance(one, str) else one for one in ([prompts] if isinstance(prompts, str) else prompts)
        ]
        sampling = Sampling(temperature, top_k, top_p)
        answers = self.answers(questions, max_new_tokens=max_tokens, sampling=sampling, seed=seed)
        return [self.tokenizer.decode(answer.tokens) for answer in answers]

    def fingerprint(self) -> str:
        """Hash of everything that decides the answers: a sample of every weight, the tokenizer and the template."""
        _, state = nnx.split(self.model)
        digest = hashlib.sha256()
        for path, leaf in jax.tree_util.tree_leaves_with_path(state):
            stride = max(1, leaf.size // _FINGERPRINT_SAMPLES)
            digest.update(f"{jax.tree_util.keystr(path)} {leaf.shape} {leaf.dtype}".encode())
            digest.update(np.asarray(leaf.reshape(-1)[::stride]).tobytes())
        words = [] if self.tokenizer is None else [self.tokenizer.fingerprint, self.template.fingerprint()]
        return identity_of([digest.hexdigest(), *words])

    def prompt_text(self, turns: Messages) -> str:
        """What the model reads, in words: the rendered prompt, its control tokens spelled out."""
        rendered = self.words()[1].spans(_question(turns), add_generation_prompt=True)
        names = {"bos": "<|bos|>", "eos": "<|eos|>"}
        return "".join(names.get(span.special, span.special) if span.special else span.text for span in rendered)

    def answers(
        self,
        questions: Sequence[Messages],
        *,
        max_new_tokens: int,
        sampling: Sampling = GREEDY,
        seed: int = 0,
        items: Sequence[int] | None = None,
        batch_tokens: int = 8192,
    ) -> list[Generation]:
        """The model's next assistant turn after each question, as ids; see `decode.generate`."""
        rendered = self._rendered([_question(turns) for turns in questions], add_generation_prompt=True)
        return generate(
            self.model,
            [one.tokens for one in rendered],
            max_new_tokens=max_new_tokens,
            stop_ids=self.stop_ids(),
            vocab_size=min(self.tokenizer.vocab_size, self.spec.vocab_size),
            sampling=sampling,
            seed=seed,
            items=items,
            batch_tokens=batch_tokens,
        )

    def stop_ids(self) -> tuple[int, ...]:
        """The ids that end an answer: the template's turn end, the tokenizer's end of text, and what the folder adds."""
        tokenizer, template = self.words()
        own = () if tokenizer.eos_id is None else (tokenizer.eos_id,)
        more = (self.manifest.get("generation") or {}).get("eos_token_id", ())
        return tuple(dict.fromkeys((*stop_ids(template, tokenizer), *own, *more)))

    def option_logprobs(
        self, questions: Sequence[tuple[Messages, Sequence[str]]], batch_tokens: int = 8192
    ) -> list[list[Logprob]]:
        """The log-probability of each option as the answer to its question.

        The turn end counts as part of the option, as it does in training: without it, "New York" could never beat its
        own beginning "New". Nothing of the question counts.
        """
        conversations = [
            dataclasses.replace(asked, messages=(*asked.messages, Message("assistant", option)))
            for asked, options in ((_question(turns), options) for turns, options in questions)
            for option in options
        ]
        scores = iter(sequence_logprobs(self.model, self._rendered(conversations), batch_tokens))
        return [[next(scores) for _ in options] for _, options in questions]

    def document_logprobs(self, documents: Sequence[str], batch_tokens: int = 8192) -> list[Logprob]:
        """The log-probability of each plain document, its end included."""
        conversations = [Conversation((Message("text", document),)) for document in documents]
        return sequence_logprobs(self.model, self._rendered(conversations), batch_tokens)

    def _rendered(self, conversations: Sequence[Conversation], add_generation_prompt: bool = False) -> list[Rendered]:
        """Conversations as ids, all of which the model knows; some tokenizers have a few more."""
        tokenizer, template = self.words()
        rendered = render_batch(conversations, template, tokenizer, add_generation_prompt=add_generation_prompt)
        for one in rendered:
            if (largest := int(one.tokens.max(initial=0))) >= self.spec.vocab_size:
                raise InputError(
                    f"{self.folder}: a text holds {tokenizer.piece(largest)!r}, id {largest}; the model knows ids up to "
                    f"{self.spec.vocab_size - 1}: leave that token out"
                )
        return rendered


def open(
    path: str | Path,
    mesh: jax.sharding.Mesh | None = None,
    dtype: Any = "float32",
    template_date: str | None = None,
    template_variables: Mapping[str, Any] | None = None,
    sharing: Session | None = None,
) -> Session:
    """The model of a checkpoint, of an adapter's checkpoint over its base, or of an HF folder.

    Args:
      path: a run's folder (its newest state), `run/checkpoints/<step>`, or a folder with config.json and safetensors files.
      mesh: where to lay the parameters; None: this process's first device.
      dtype: of the computation.
      template_date, template_variables: of a chat template in Jinja; see `with_given`.
      sharing: for an adapter's checkpoint, a session of its base or of another adapter over it, whose arrays of the base
        are taken rather than read again.

    Raises:
      InputError: there is no model, or its tokenizer or chat template does not fit it.
    """
    folder = Path(path)
    if (folder / hf_config.NAME).is_file() and not (folder / MANIFEST).exists():
        spec, parameters, manifest = hf.read_model(folder, mesh)
        blueprint, _ = modules.abstract(lambda: Decoder(spec, jax.random.key(0), jnp.dtype(dtype)))
        model, step, words = blueprint.merge(parameters), 0, folder
    else:
        other = None if sharing is None else LoadedModel(sharing.model, sharing.manifest, sharing.folder, sharing.step)
        loaded = load_model(folder, mesh, dtype, sharing=other)
        model, manifest, folder, step = loaded.model, loaded.manifest, Path(loaded.folder), loaded.step
        words = folder / "tokenizer"
    if manifest.get("tokenizer") is None:
        return Session(model, None, None, manifest, folder, step)
    tokenizer = load_tokenizer(words)
    require_same_tokenizer(tokenizer, manifest, words)
    template = with_given(chat_template(manifest, folder), template_date, template_variables)
    opened = Session(model, tokenizer, template, manifest, folder, step)
    stops = opened.stop_ids()  # a control token that the tokenizer lacks is an error here, not at the first answer
    if limit := _limit(opened.template):
        ends = ", ".join(f"{one} ({tokenizer.piece(one)})" for one in stops) or "nothing but their longest length"
        print(f"{folder} {limit}; answers stop on {ends}", file=sys.stderr)
    return opened


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


def _limit(template: ChatTemplate) -> str:
    """What a template is no good for, and why; "" where it writes questions and a loss mask can be derived."""
    question, answer = Message("user", "a"), Message("assistant", "b")
    limits = ("cannot be asked a question alone", "can be asked, and neither scored nor trained")
    for limit, messages in zip(limits, ((question,), (question, answer)), strict=True):
        try:
            template.spans(Conversation(messages), add_generation_prompt=len(messages) == 1)
        except InputError as error:
            return f"{limit} ({error})"
    return ""


@functools.partial(jax.jit, static_argnums=0)
def _logits(graphdef, state, tokens):
    model = nnx.merge(graphdef, state)
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1], dtype=jnp.int32), tokens.shape)
    return model.logits(model(tokens, jnp.ones_like(tokens), positions))


def _question(turns: Messages) -> Conversation:
    # An earlier assistant turn is part of the question: it is read, and neither trained nor scored.
    asked = conversation_of(turns)
    return dataclasses.replace(asked, messages=tuple(dataclasses.replace(one, trained=False) for one in asked.messages))
