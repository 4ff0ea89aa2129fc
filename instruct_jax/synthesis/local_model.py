"""A generator that is a checkpoint or an HF folder, on this machine."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.inference import session as sessions
from instruct_jax.inference.sampling import Sampling
from instruct_jax.inference.session import Session
from instruct_jax.synthesis.generator import Completion, Decoding, Generator, before_stop
from instruct_jax.text.chat import render_batch


@dataclasses.dataclass(frozen=True)
class LocalModel(Generator):
    """A model asked through its own chat template; a base model goes on from the prompt as it stands.

    Attributes:
      checkpoint: what `session.open` takes.
      batch_tokens: cache slots in one batch: a matter of memory and speed, not of results.
      dtype: of the computation.
    """

    checkpoint: str
    batch_tokens: int = 8192
    dtype: str = "float32"

    def complete(self, prompts: Sequence[str], decoding: Decoding, stop: Sequence[str] = (), seed: int = 0) -> list[Completion]:
        """See `Generator.complete`. A completion is generated to its end, and cut at the first stop then.

        Raises:
          InputError: there is no such model, or a presence penalty is asked for.
        """
        if decoding.presence_penalty:
            raise InputError(
                f"a local model cannot take a presence penalty ({decoding.presence_penalty}); set the penalties to None, "
                "or ask a server"
            )
        tokenizer, template = self._session.words()
        questions = [[("user", prompt)] for prompt in prompts]
        answers = self._session.answers(
            questions,
            max_new_tokens=decoding.max_tokens,
            sampling=Sampling(decoding.temperature, None, decoding.top_p),
            seed=0,
            items=[seed + place for place in range(len(prompts))],
            batch_tokens=self.batch_tokens,
        )
        read = render_batch(questions, template, tokenizer, add_generation_prompt=True)
        completions = []
        for asked, answer in zip(read, answers, strict=True):
            text, stopped = before_stop(tokenizer.decode(answer.tokens), stop)
            reason = "stop" if stopped or answer.stopped else "length"
            completions.append(Completion(text, reason, asked.tokens.size, len(answer.tokens)))
        return completions

    def name(self) -> str:
        """The fingerprint of the model, its tokenizer and its template, wherever they lie."""
        return self._fingerprint

    def identity(self) -> dict[str, Any]:
        """Its name, and the type of the computation."""
        return {"kind": "local model", "fingerprint": self._fingerprint, "dtype": self.dtype}

    @functools.cached_property
    def _fingerprint(self) -> str:
        return self._session.fingerprint()

    @functools.cached_property
    def _session(self) -> Session:
        return sessions.open(self.checkpoint, dtype=self.dtype)
