"""The numbers of Self-Instruct as one value."""

import dataclasses
from collections.abc import Sequence

from instruct_jax.errors import InputError
from instruct_jax.synthesis.filters import INSTANCE_FILTERS, InstanceFilter, InstructionFilter
from instruct_jax.synthesis.generator import Decoding

# How the paper draws each kind of text (arXiv:2212.10560, appendix A.1).
PROPOSAL = Decoding(1024, 0.7, 0.5, 2.0)
CLASSIFICATION = Decoding(3)
INSTANCES = Decoding(300, presence_penalty=1.5)


@dataclasses.dataclass(frozen=True)
class Method:
    """The numbers of the method; the defaults are the paper's (appendix A.1 for how texts are drawn).

    Attributes:
      requests: lists of instructions asked for in a round.
      seeds_shown, generated_shown: instructions in a prompt, from people and from the pool; what the pool lacks comes from
        the seeds.
      series: the number at which a list ends.
      proposal, classification, instances: how each kind of text is drawn.
      classifications_shown, others_shown: seeds of each kind in the question whether a task is a classification.
      tasks_shown: seeds in a prompt for instances.
      instances_most: instances of one instruction that are asked for.
      rouge_most: an instruction is kept where its ROUGE-L to each of the pool is less.
      similar_kept: of the nearest instructions, how many are noted.
      instruction_filters: in order; the first with a reason decides.
      instance_filters: likewise, of a single instance.
    """

    requests: int = 5
    seeds_shown: int = 6
    generated_shown: int = 2
    series: int = 15
    proposal: Decoding = PROPOSAL
    classification: Decoding = CLASSIFICATION
    instances: Decoding = INSTANCES
    classifications_shown: int = 12
    others_shown: int = 19
    tasks_shown: int = 8
    instances_most: int = 5
    rouge_most: float = 0.7
    similar_kept: int = 10
    instruction_filters: Sequence[InstructionFilter] = ()
    instance_filters: Sequence[InstanceFilter] = INSTANCE_FILTERS

    def __post_init__(self):
        for name in ("requests", "seeds_shown", "instances_most", "similar_kept"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.series <= self.seeds_shown + self.generated_shown:
            raise InputError(
                f"a list of {self.series} instructions has no room after {self.seeds_shown} + {self.generated_shown} that are "
                "shown; raise SERIES, or show fewer"
            )
        if not 0 < self.rouge_most <= 1:
            raise InputError(f"rouge_most is {self.rouge_most}; expected more than 0 and at most 1")
