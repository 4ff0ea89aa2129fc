"""One round of Self-Instruct: propose instructions, filter them, tell classifications, write instances, filter those.

Wang et al. 2022, arXiv:2212.10560, section 3.1. Departures: the paper finishes each step for the whole pool before the next,
while a round here takes its instructions through all of them, so that what is done is whole whenever a run stops; and the
wording of the prompts is this project's own, with seeds as their examples.
"""

import dataclasses
import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Any

from instruct_jax.synthesis import prompts
from instruct_jax.synthesis.filters import repeated
from instruct_jax.synthesis.generator import Completion, Decoding, Generator
from instruct_jax.synthesis.journal import Journal
from instruct_jax.synthesis.method import Method
from instruct_jax.synthesis.rouge_pool import RougePool
from instruct_jax.synthesis.seeds import Instance, Seed

# The stages at which a generator is asked.
PROPOSE, CLASSIFY, INPUT_FIRST, OUTPUT_FIRST = STAGES = ("propose", "classify", "input_first", "output_first")
_SHOWN_WORDS = 80  # a seed with a longer instance would fill a prompt by itself
_TEXT_KEPT = 2_000  # characters of a rejected text that are kept


@dataclasses.dataclass(frozen=True)
class Task:
    """An instruction of the pool.

    Attributes:
      id: "<round>.<request>.<place in its list>".
      shown: ids of the instructions in its prompt, in their order.
      nearest: (id, ROUGE-L) of those nearest to it when it came, the nearest first.
      instances: those that were kept.
    """

    id: str
    instruction: str
    is_classification: bool
    round: int
    shown: tuple[str, ...]
    nearest: tuple[tuple[str, float], ...]
    instances: tuple[Instance, ...] = ()


@dataclasses.dataclass(frozen=True)
class Rejection:
    """What was left out, and why.

    Attributes:
      kind: "instruction" or "instance".
      id: as a task's, with the instance's place for an instance.
      text: an instruction; or an instance as {"input", "output"}.
      filter: which.
      measure: what it found.
    """

    kind: str
    id: str
    text: Any
    filter: str
    measure: str


@dataclasses.dataclass
class Harvest:
    """All that a run has, in the order in which it came: grown by `play`, and a function of the settings and the journal.

    Attributes:
      tasks: the pool, without its seeds.
      rejections: what was left out.
      costs: by stage, the completions that were had, without their texts.
      useful: how many tasks have at least one instance.
    """

    tasks: list[Task] = dataclasses.field(default_factory=list)
    rejections: list[Rejection] = dataclasses.field(default_factory=list)
    costs: dict[str, list[Completion]] = dataclasses.field(default_factory=lambda: {stage: [] for stage in STAGES})
    useful: int = 0


class Rounds:
    """Rounds of one run, each after the last.

    Args:
      seeds: at least one.
      method: the numbers and the filters.
      generator: is asked for what the journal does not have.
      journal: of this run.
      seed: of the choice of examples, and of what is drawn: both depend on it and on the round alone.
      tell: called with a line after each stage, of which a round has four.
    """

    def __init__(
        self,
        seeds: Sequence[Seed],
        method: Method,
        generator: Generator,
        journal: Journal,
        seed: int,
        tell: Callable[[str], None],
    ):
        self._seeds, self._method, self._generator, self._journal, self._seed = seeds, method, generator, journal, seed
        self._tell = tell
        self.harvest = Harvest()
        self._pool, self._ids = RougePool(), [one.id for one in seeds]
        for one in seeds:
            self._pool.add(one.instruction)
        yes, no = ([one for one in seeds if one.is_classification is kind] for kind in (True, False))
        chosen = {one.id for one in (*yes[: method.classifications_shown], *no[: method.others_shown])}
        self._both = [one for one in seeds if one.id in chosen]  # in the file's order, so that kinds take turns
        self._yes, self._no = (_brief(kind, method.tasks_shown) for kind in (yes, no))

    def play(self, number: int) -> None:
        """Play the round of this number, counted from 0, into the harvest.

        Raises:
          InputError: the generator or the journal does.
        """
        proposed = self._proposed(number)
        questions = [prompts.classification_prompt(one.instruction, self._both) for one in proposed]
        answers = self._asked(number, CLASSIFY, questions, self._method.classification, prompts.CLASSIFICATION_STOPS)
        tasks = [
            dataclasses.replace(one, is_classification=prompts.is_classification(answer))
            for one, answer in zip(proposed, answers, strict=True)
        ]
        written: dict[str, list[tuple[Instance, bool]]] = {}
        for stage, form, is_classification, seeds in (
            (INPUT_FIRST, prompts.INPUT_FIRST, False, self._no),
            (OUTPUT_FIRST, prompts.OUTPUT_FIRST, True, self._yes),
        ):
            chosen = [task for task in tasks if task.is_classification is is_classification]
            asked = [form.prompt(task.instruction, seeds) for task in chosen]
            stops = form.stops_after(self._method.instances_most)
            answers = self._asked(number, stage, asked, self._method.instances, stops)
            written |= {task.id: form.read(answer) for task, answer in zip(chosen, answers, strict=True)}
        done = [dataclasses.replace(one, instances=self._sifted(one, written[one.id])) for one in tasks]
        self.harvest.tasks += done
        self.harvest.useful += sum(bool(task.instances) for task in done)

    def _proposed(self, number: int) -> list[Task]:
        """The new instructions of a round that pass the filters; they enter the pool, nothing more being known of them."""
        shown = [self._shown(number, request) for request in range(self._method.requests)]
        asked = [prompts.proposal_prompt([text for _, text in one], self._method.series) for one in shown]
        completions = self._asked(number, PROPOSE, asked, self._method.proposal, prompts.proposal_stops(self._method.series))
        kept = []
        for request, (examples, completion) in enumerate(zip(shown, completions, strict=True)):
            proposals = prompts.proposals(completion)
            if not proposals:
                self._reject("instruction", f"{number}.{request}.0", completion.text, "no_instruction", completion.finish_reason)
            for place, (text, cut) in enumerate(proposals):
                name = f"{number}.{request}.{place}"
                if why := ("cut", completion.finish_reason) if cut else self._unfit(text):
                    self._reject("instruction", name, text, *why)
                    continue
                nearest = [(self._ids[at], score) for at, score in self._pool.nearest(text, self._method.similar_kept)]
                if nearest[0][1] >= self._method.rouge_most:
                    self._reject("instruction", name, text, "rouge_l", f"{nearest[0][1]:.4f} to {nearest[0][0]}")
                    continue
                self._pool.add(text)
                self._ids.append(name)
                kept.append(Task(name, text, False, number, tuple(one for one, _ in examples), tuple(nearest)))
        return kept

    def _shown(self, number: int, request: int) -> list[tuple[str, str]]:
        """(id, text) of the instructions in one prompt."""
        drawn = random.Random(f"{self._seed} {number} {request}")
        tasks = drawn.sample(self.harvest.tasks, min(self._method.generated_shown, len(self.harvest.tasks)))
        wanted = self._method.seeds_shown + self._method.generated_shown - len(tasks)
        seeds = drawn.sample(self._seeds, min(wanted, len(self._seeds)))
        both = [(one.id, one.instruction) for one in (*seeds, *tasks)]
        drawn.shuffle(both)
        return both

    def _unfit(self, text: str) -> tuple[str, str] | None:
        found = ((one.name, one.reason(text)) for one in self._method.instruction_filters)
        return next(((name, reason) for name, reason in found if reason is not None), None)

    def _sifted(self, task: Task, written: list[tuple[Instance, bool]]) -> tuple[Instance, ...]:
        """The instances that stay; the others are noted with their reasons."""
        if not written:
            self._reject("instance", f"{task.id}.0", "", "no_instance", "nothing to read")
        reasons = [self._unfit_instance(task, place, *one) for place, one in enumerate(written)]
        fit = [place for place, why in enumerate(reasons) if why is None]
        for place, why in zip(fit, repeated([written[at][0] for at in fit], task.is_classification), strict=True):
            reasons[place] = why
        for place, why in enumerate(reasons):
            if why is not None:
                self._reject("instance", f"{task.id}.{place}", dataclasses.asdict(written[place][0]), *why)
        return tuple(instance for (instance, _), why in zip(written, reasons, strict=True) if why is None)

    def _unfit_instance(self, task: Task, place: int, instance: Instance, cut: bool) -> tuple[str, str] | None:
        if cut:
            return "cut", "its end may be missing"
        if place >= self._method.instances_most:
            return "too_many", f"number {place + 1}"
        found = ((one.name, one.reason(task.instruction, instance)) for one in self._method.instance_filters)
        return next(((name, reason) for name, reason in found if reason is not None), None)

    def _reject(self, kind: str, name: str, text: Any, which: str, measure: str) -> None:
        text = text[:_TEXT_KEPT] if isinstance(text, str) else {part: value[:_TEXT_KEPT] for part, value in text.items()}
        self.harvest.rejections.append(Rejection(kind, name, text, which, measure))

    def _asked(self, number: int, stage: str, asked: Sequence[str], decoding: Decoding, stops: Sequence[str]) -> list[Completion]:
        digest = hashlib.sha256(f"{self._seed} {number} {stage}".encode()).digest()
        seed = int.from_bytes(digest[:4]) >> 2  # with a prompt's place added it stays below 2**31
        answers = self._journal.completions(
            f"{stage} of round {number}", asked, lambda: self._generator.complete(asked, decoding, stops, seed)
        )
        self.harvest.costs[stage] += [dataclasses.replace(one, text="") for one in answers]
        self._tell(
            f"{self.harvest.useful:,} instructions with examples; in round {number + 1}, {stage}: {len(answers):,} answers"
        )
        return answers


def _brief(seeds: Sequence[Seed], most: int) -> list[Seed]:
    """The first seeds whose instances are short enough to be shown."""
    lengths = {one.id: sum(len(f"{case.input} {case.output}".split()) for case in one.instances) for one in seeds}
    return [one for one in seeds if lengths[one.id] <= _SHOWN_WORDS][:most]
