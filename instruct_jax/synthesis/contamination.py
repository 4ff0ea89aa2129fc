"""Filters against evaluation leaks: an instruction or an instance that holds a text of an evaluation suite is left out."""

import dataclasses

from instruct_jax.curation.overlap import ContaminationIndex
from instruct_jax.synthesis.filters import InstanceFilter, InstructionFilter
from instruct_jax.synthesis.seeds import Instance


@dataclasses.dataclass(frozen=True, eq=False)
class InstructionLeak(InstructionFilter):
    """Instructions that hold an evaluation text; see `ContaminationIndex` for the rules."""

    index: ContaminationIndex
    name: str = "evaluation_leak"

    def reason(self, instruction: str) -> str | None:
        return _leak(self.index, instruction)


@dataclasses.dataclass(frozen=True, eq=False)
class InstanceLeak(InstanceFilter):
    """Instances that, with their instruction, hold an evaluation text."""

    index: ContaminationIndex
    name: str = "evaluation_leak"

    def reason(self, instruction: str, instance: Instance) -> str | None:
        texts = ("\n\n".join((instruction, instance.input)), instance.input, instance.output)
        return next((leak for text in texts if text.strip() and (leak := _leak(self.index, text))), None)


def _leak(index: ContaminationIndex, text: str) -> str | None:
    hits = index.check(text)
    return f"{hits[0].suite} {hits[0].item} ({hits[0].rule}): {hits[0].span[:120]}" if hits else None
