"""Rows whose answers can be checked: worked mathematics, verifiable instructions, prompts with a truth, and seeds of tasks."""

import dataclasses
import json
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.dialogue_forms import joined
from instruct_jax.tasks.files.row_form import Fields, RowForm, first_of, kind, listed, optional_text, said, text, with_system
from instruct_jax.tasks.files.samples import Provenance, Sample
from instruct_jax.text.conversation import Conversation, Message


@dataclasses.dataclass(frozen=True)
class WorkedAnswer(RowForm):
    """A question and its worked answer, which ends in "#### " and the result (Cobbe et al. 2021, arXiv:2110.14168)."""

    def reads(self, fields: Fields) -> tuple[str, ...]:
        return (first_of(fields, ["question"]), first_of(fields, ["answer"]))

    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        worked = text(fields, "answer")
        _, mark, result = worked.rpartition("####")
        if not mark or not result.strip() or "\n" in result.strip():
            raise InputError(f"field 'answer': expected '#### ' and the result in its last line, got {worked[-60:]!r}")
        turns = (Message("user", text(fields, "question")), Message("assistant", worked))
        return (Sample(Conversation(with_system(fields, turns)), provenance, answer=result.strip().replace(",", "")),)


@dataclasses.dataclass(frozen=True)
class VerifiableInstructions(RowForm):
    """A prompt and the instructions that a program checks, as IFEval has them (Zhou et al. 2023, arXiv:2311.07911).

    The sample's answer is JSON text: {"instruction_id_list": [...], "kwargs": [...]}.
    """

    def reads(self, fields: Fields) -> tuple[str, ...]:
        return tuple(first_of(fields, [name]) for name in ("prompt", "instruction_id_list", "kwargs"))

    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        names, given = listed(fields, "instruction_id_list"), listed(fields, "kwargs")
        if not names or not all(isinstance(name, str) for name in names):
            raise InputError("field 'instruction_id_list': expected names of instructions, got none, or something else")
        if len(given) != len(names):
            raise InputError(f"field 'kwargs': expected {len(names)} entries, one an instruction, got {len(given)}")
        answer = json.dumps({"instruction_id_list": names, "kwargs": given}, ensure_ascii=False)
        turns = said(fields, "prompt", "user")
        return (Sample(Conversation(with_system(fields, turns)), provenance, answer=answer),)


@dataclasses.dataclass(frozen=True)
class Checkable(RowForm):
    """A prompt and what a right answer comes to, perhaps with a worked solution.

    The conversation ends in the solution, or else in the answer; after a "ground_truth", which is for a checker and may be no
    answer in words, it ends with the prompt. A solution alone is its own answer, or says it in LaTeX's boxed braces (as MATH
    does: Hendrycks et al. 2021, arXiv:2103.03874). An answer of several texts becomes JSON text.

    Attributes:
      prompts, truths: what the prompt and the answer may be called.
      solution: the field of the worked solution.
    """

    prompts: tuple[str, ...] = ("prompt", "problem", "question")
    truths: tuple[str, ...] = ("answer", "ground_truth", "final_answer")
    solution: str = "solution"

    def reads(self, fields: Fields) -> tuple[str, ...]:
        prompt = first_of(fields, self.prompts)
        if fields.get(self.solution) is None:
            truth = first_of(fields, self.truths)
            if (prompt, truth) == ("question", "answer"):
                raise InputError("question and answer alone say nothing of how the answer is checked; expected a 'solution' too")
            return (prompt, truth)
        truths = [name for name in self.truths if fields.get(name) is not None]
        return (prompt, self.solution, *truths[:1])

    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        prompt, *others = self.reads(fields)
        turns = said(fields, prompt, "user")
        truth = others[-1]
        answer = _checked(truth, fields[truth])
        if self.solution in others:
            worked = text(fields, self.solution)
            turns = (*turns, Message("assistant", worked))
            if truth == self.solution:
                answer = boxed(worked) or worked
        elif truth != "ground_truth":
            turns = (*turns, Message("assistant", answer))
        return (Sample(Conversation(with_system(fields, turns)), provenance, answer=answer),)


@dataclasses.dataclass(frozen=True)
class Seeds(RowForm):
    """A task of Self-Instruct: an instruction and instances of it (Wang et al. 2022, arXiv:2212.10560); a sample an instance.

    Attributes:
      join: how instruction and input make one prompt; see `dialogue_forms.joined`.
    """

    one_each: bool = dataclasses.field(default=False, kw_only=True)
    join: str = "{instruction}\n\n{input}"

    def reads(self, fields: Fields) -> tuple[str, ...]:
        return (first_of(fields, ["instruction"]), first_of(fields, ["instances"]))

    def samples(self, fields: Fields, provenance: Provenance) -> tuple[Sample, ...]:
        instruction, instances = text(fields, "instruction"), listed(fields, "instances")
        if not instances:
            raise InputError("field 'instances': expected at least one, got an empty list")
        found = []
        for number, instance in enumerate(instances):
            if not isinstance(instance, dict):
                raise InputError(f"field 'instances', entry {number}: expected an object, got {kind(instance)}")
            try:
                prompt = joined(self.join, instruction, optional_text(instance, "input"))
                turns = (Message("user", prompt), Message("assistant", text(instance, "output")))
            except InputError as error:
                raise InputError(f"field 'instances', entry {number}: {error}") from None
            found.append(Sample(Conversation(turns), provenance))
        return tuple(found)


def boxed(solution: str) -> str | None:
    """What the last boxed braces of a solution hold; None where there are none.

    >>> boxed(r"So it is $\\boxed{\\frac{1}{2}}$.")
    '\\\\frac{1}{2}'
    """
    _, mark, rest = solution.rpartition("\\boxed{")
    depth = 1
    for place, character in enumerate(rest if mark else ""):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return rest[:place]
    return None


def _checked(name: str, value: Any) -> str:
    """An answer as text: a number as it is written, several as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return json.dumps(value, ensure_ascii=False)
    raise InputError(f"field {name!r}: expected text, a number or several texts, got {kind(value)}")
