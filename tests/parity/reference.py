"""What transformers says of a case: the random model, its logits, its greedy continuation."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from tests.parity.cases import GENERATED, LENGTH, PROMPT, Case

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

# Smaller gaps between the best and the second word might close by rounding alone.
_CLEAR_GAP = 3e-4


@dataclasses.dataclass(frozen=True)
class Expected:
    """A model's answers on one row.

    Attributes:
      tokens: i32[LENGTH].
      logits: f32[LENGTH, V], of every position.
      greedy: i32[GENERATED], the continuation of the first PROMPT tokens.
    """

    tokens: np.ndarray
    logits: np.ndarray
    greedy: np.ndarray


def random_model(case: Case, seed: int) -> Any:
    """The case's model with weights that hide no mistake, in fp32 but representable in the case's dtype.

    Norm scales and biases are far from one and zero; matrices are large enough for every layer, head and expert to move
    the logits.
    """
    config = transformers.AutoConfig.for_model(case.model_type, **case.shape)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    draw = torch.Generator().manual_seed(seed)
    gemma = case.model_type.startswith("gemma")
    stored = getattr(torch, case.dtype)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                values = torch.rand(parameter.shape, generator=draw) * 1.5 + (-0.25 if gemma else 0.25)
            elif name.endswith("bias"):
                values = torch.randn(parameter.shape, generator=draw)
            elif "embed_tokens" in name:
                # A tied table that outweighs the layers answers every word with itself; Gemma multiplies it once more.
                spread = 0.15 if gemma else 0.5 if model.config.tie_word_embeddings else 1.0
                values = torch.randn(parameter.shape, generator=draw) * spread
            else:
                values = torch.randn(parameter.shape, generator=draw) * 1.5 / parameter.shape[-1] ** 0.5
            parameter.copy_(values.to(stored).float())
    return model


def loaded(folder: Path) -> Any:
    """The model of a folder, computed in fp32 by plain attention, which alone honours soft-caps.

    Raises:
      ValueError: a tensor is missing, left over or of another shape.
    """
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    if odd := {name: keys for name, keys in report.items() if keys}:
        raise ValueError(f"{folder}: {odd}")
    return model.eval()


@torch.no_grad()
def logits(model: Any, tokens: np.ndarray) -> np.ndarray:
    """f32[T, V] of one row, as a model says that has read nothing before."""
    # Dynamic NTK keeps the base of the longest row so far; one short row makes it forget.
    model(torch.zeros((1, 1), dtype=torch.long), use_cache=False)
    return model(torch.tensor(np.asarray(tokens)[None], dtype=torch.long), use_cache=False).logits[0].float().numpy()


@torch.no_grad()
def greedy(model: Any, prompt: np.ndarray, count: int = GENERATED) -> np.ndarray:
    """i32[count]: the likeliest next tokens, through the key-value cache, ends of text written like any other."""
    return _generated(model, prompt, count)[0]


def _generated(model: Any, prompt: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The greedy tokens, and the gap to the second word at each, relative to the largest logit."""
    model(torch.zeros((1, 1), dtype=torch.long), use_cache=False)
    model.generation_config.eos_token_id = None
    tokens = torch.tensor(np.asarray(prompt)[None], dtype=torch.long)
    settings = {"do_sample": False, "max_new_tokens": count, "return_dict_in_generate": True, "output_logits": True}
    answer = model.generate(tokens, attention_mask=torch.ones_like(tokens), pad_token_id=0, **settings)
    scores = torch.stack(answer.logits)[:, 0]
    best = scores.topk(2).values
    gaps = (best[:, 0] - best[:, 1]) / scores.abs().amax(-1)
    return answer.sequences[0, len(prompt) :].numpy().astype(np.int32), gaps.numpy()


def with_answers(case: Case) -> tuple[Any, Expected]:
    """The case's random model of the first seed that tells right from wrong, and what it answers.

    A greedy path that is a short loop tests little; one that rounding decides tests the wrong thing.
    """
    seed = 0
    while True:
        model, random = random_model(case, seed), np.random.default_rng(seed)
        tokens = random.integers(0, case.shape["vocab_size"], LENGTH).astype(np.int32)
        written, gaps = _generated(model, tokens[:PROMPT], GENERATED)
        if len(set(written.tolist())) >= GENERATED // 4 and gaps.min() > _CLEAR_GAP:
            return model, Expected(tokens, logits(model, tokens), written)
        seed += 1
