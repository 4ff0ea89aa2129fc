"""The filters of Self-Instruct (arXiv:2212.10560, section 3.1) as values: why an instruction or an instance is left out."""

import abc
import dataclasses
import re
import string
from collections.abc import Sequence

from instruct_jax.errors import InputError
from instruct_jax.synthesis.seeds import Instance

# What a model of text can neither see nor do.
KEYWORDS = (
    *("image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps"),
    *("draw", "plot", "go to"),
)


class InstructionFilter(abc.ABC):
    """What may leave out an instruction, by its text alone."""

    name: str

    @abc.abstractmethod
    def reason(self, instruction: str) -> str | None:
        """What was measured, where the instruction is left out; None where it may stay."""


class InstanceFilter(abc.ABC):
    """What may leave out one instance of an instruction."""

    name: str

    @abc.abstractmethod
    def reason(self, instruction: str, instance: Instance) -> str | None:
        """What was measured, where the instance is left out; None where it may stay."""


@dataclasses.dataclass(frozen=True)
class InstructionLength(InstructionFilter):
    """Instructions of too few or too many words, divided at white space.

    >>> InstructionLength(4, 150).reason("Name a bird.")
    '3 words'
    """

    least: int
    most: int
    name: str = "length"

    def __post_init__(self):
        if not 0 < self.least <= self.most:
            raise InputError(f"instructions of {self.least} to {self.most} words: expected at least 1, and no more than the most")

    def reason(self, instruction: str) -> str | None:
        count = len(instruction.split())
        return None if self.least <= count <= self.most else f"{count} words"


@dataclasses.dataclass(frozen=True)
class Keywords(InstructionFilter):
    """Instructions that name what no text can answer, as whole words in any case.

    >>> Keywords(("map", "go to")).reason("Go to the market."), Keywords(("map",)).reason("Find the maple.")
    ('go to', None)
    """

    words: tuple[str, ...]
    name: str = "keyword"

    def reason(self, instruction: str) -> str | None:
        if not self.words:
            return None
        found = re.search(rf"\b({'|'.join(map(re.escape, self.words))})\b", instruction, re.IGNORECASE)
        return found[1].lower() if found else None


@dataclasses.dataclass(frozen=True)
class Openings(InstructionFilter):
    """Instructions that begin as too many do: models put "write a program" before tasks that they have been shown.

    >>> Openings(("Write a program",)).reason("write a program that names a bird")
    'Write a program'
    """

    openings: tuple[str, ...]
    name: str = "opening"

    def reason(self, instruction: str) -> str | None:
        return next((one for one in self.openings if instruction.lower().startswith(one.lower())), None)


@dataclasses.dataclass(frozen=True)
class PunctuationStart(InstructionFilter):
    """Instructions that begin with a punctuation mark.

    >>> PunctuationStart().reason(": name a bird")
    ':'
    """

    name: str = "punctuation_start"

    def reason(self, instruction: str) -> str | None:
        return instruction[0] if instruction and instruction[0] in string.punctuation else None


@dataclasses.dataclass(frozen=True)
class NonEnglishStart(InstructionFilter):
    """Instructions whose first character is not of ASCII: the paper's test for other languages.

    >>> NonEnglishStart().reason("Écris un poème."), NonEnglishStart().reason("Ein Gedicht.")
    ('É', None)
    """

    name: str = "non_english_start"

    def reason(self, instruction: str) -> str | None:
        return instruction[0] if instruction and not instruction[0].isascii() else None


@dataclasses.dataclass(frozen=True)
class EmptyOutput(InstanceFilter):
    """Instances without an output."""

    name: str = "empty_output"

    def reason(self, instruction: str, instance: Instance) -> str | None:
        del instruction
        return None if instance.output.strip() else "0 words"


@dataclasses.dataclass(frozen=True)
class InstanceLength(InstanceFilter):
    """Instances whose input or output has too many words.

    >>> InstanceLength(2, 2).reason("Name a bird.", Instance("", "a robin sings"))
    'output of 3 words'
    """

    most_input: int
    most_output: int
    name: str = "length"

    def reason(self, instruction: str, instance: Instance) -> str | None:
        del instruction
        for part, text, most in (("input", instance.input, self.most_input), ("output", instance.output, self.most_output)):
            if (count := len(text.split())) > most:
                return f"{part} of {count} words"
        return None


@dataclasses.dataclass(frozen=True)
class OutputIsInput(InstanceFilter):
    """Instances whose output is their input, but for white space; case and punctuation may be what a task is about.

    >>> OutputIsInput().reason("Copy.", Instance("a  b", "a b"))
    'the same'
    """

    name: str = "output_is_input"

    def reason(self, instruction: str, instance: Instance) -> str | None:
        del instruction
        return "the same" if instance.output.split() == instance.input.split() else None


@dataclasses.dataclass(frozen=True)
class Repetition(InstanceFilter):
    """Instances whose output is nothing but the input again and again, or the instruction, with or without the input.

    >>> Repetition().reason("Name a bird.", Instance("", "name a bird")), Repetition().reason("Say.", Instance("a b", "a b a b"))
    ('the instruction', 'the input 2 times')
    """

    name: str = "repeats_input"

    def reason(self, instruction: str, instance: Instance) -> str | None:
        output, given = instance.output.split(), instance.input.split()
        times, left = divmod(len(output), len(given)) if given else (0, 0)
        if times > 1 and not left and output == given * times:
            return f"the input {times} times"
        asked = _bare(instruction)
        return "the instruction" if _bare(instance.output) in (asked, asked + _bare(instance.input)) else None


@dataclasses.dataclass(frozen=True)
class Unfinished(InstanceFilter):
    """Instances whose input or output ends with a colon: what was to follow is missing.

    >>> Unfinished().reason("List birds.", Instance("", "Here they are:"))
    'output'
    """

    name: str = "unfinished"

    def reason(self, instruction: str, instance: Instance) -> str | None:
        del instruction
        ends = (("input", instance.input), ("output", instance.output))
        return next((part for part, text in ends if text.rstrip().endswith(":")), None)


INSTANCE_FILTERS = (EmptyOutput(), OutputIsInput(), Repetition(), Unfinished())


def repeated(instances: Sequence[Instance], is_classification: bool) -> list[tuple[str, str] | None]:
    """For each instance of one instruction, why its neighbours leave it out: (filter, what was found), or None.

    Of equal instances the first stays. Those with one input and different outputs all go, since none is known to be right;
    without an input that is no contradiction but a free task, unless the task is a classification.

    >>> cases = [Instance("1", "odd"), Instance("1", "odd"), Instance("2", "even"), Instance("2", "odd")]
    >>> repeated(cases, True)
    [None, ('duplicate', 'of instance 0'), ('contradiction', '2 outputs'), ('contradiction', '2 outputs')]
    """
    outputs: dict[str, set[str]] = {}
    for one in instances:
        outputs.setdefault(one.input, set()).add(one.output)
    found: list[tuple[str, str] | None] = []
    for place, one in enumerate(instances):
        first = instances.index(one)
        if len(outputs[one.input]) > 1 and (one.input or is_classification):
            found.append(("contradiction", f"{len(outputs[one.input])} outputs"))
        else:
            found.append(None if first == place else ("duplicate", f"of instance {first}"))
    return found


def _bare(text: str) -> list[str]:
    """Words without case and without the punctuation around them."""
    return [word for part in text.lower().split() if (word := part.strip(string.punctuation))]
