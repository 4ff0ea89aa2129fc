"""What a generator is asked, and how its answers are read: new instructions, yes or no, and examples of a task."""

import dataclasses
import re
from collections.abc import Callable, Sequence

from instruct_jax.synthesis.generator import Completion
from instruct_jax.synthesis.seeds import Instance, Seed

_NUMBERED = re.compile(r"(?:^|\n)\s*\d+\s*[.)]\s*")
_EXAMPLE = re.compile(r"(?:^|\n)[ \t]*Example\s*\d+[ \t]*[:.]?[ \t]*(?=\n|$)")
_LABEL = re.compile(r"(?:^|\n)[ \t]*(?:Class )?[Ll]abel:")
_INPUT = re.compile(r"(?:^|\n)[ \t]*Input:")
_OUTPUT = re.compile(r"(?:^|\n)[ \t]*Output:")
# How models write that there is no input.
_NOTHING = re.compile(r"[<(\[]?\s*(no ?input|none|n/?a|empty)\s*[>)\]]?\.?", re.IGNORECASE)


def proposal_prompt(instructions: Sequence[str], last: int) -> str:
    """Instructions as the beginning of a numbered list, which the model goes on with.

    >>> print(proposal_prompt(["Name a bird.", "Add two numbers."], last=4))
    A list of 4 tasks for an assistant, one a line, nothing else; each of another kind, all answerable in writing:
    1. Name a bird.
    2. Add two numbers.
    3.
    """
    lines = [f"{number}. {_one_line(text)}" for number, text in enumerate([*instructions, ""], 1)]
    # "Nothing else": an assistant that greeted first would end its list at the empty line after that.
    head = f"A list of {last} tasks for an assistant, one a line, nothing else; each of another kind, all answerable in writing:"
    return "\n".join([head, *lines]).rstrip()


def proposal_stops(last: int) -> tuple[str, ...]:
    """What ends the list: an empty line, or the number after its last."""
    return ("\n\n", f"\n{last + 1}.", f"\n{last + 1} .")


def proposals(completion: Completion) -> list[tuple[str, bool]]:
    """The instructions of a list that was gone on with, each on one line, and whether its end may be missing.

    Departure: the authors' program leaves out all of a completion that was cut; here its last instruction alone is.

    >>> proposals(Completion(" Name a river.\\n4. Count\\n to ten.\\n5. Tell a", "length"))
    [('Name a river.', False), ('Count to ten.', False), ('Tell a', True)]
    """
    texts = [text for part in _NUMBERED.split(completion.text) if (text := _one_line(part))]
    return [(text, completion.cut and place == len(texts)) for place, text in enumerate(texts, 1)]


def classification_prompt(instruction: str, seeds: Sequence[Seed]) -> str:
    """Whether a task is a classification, asked after the answers for some seeds.

    >>> seed = Seed("a", "Is the number even or odd?", (Instance("3", "odd"),), True)
    >>> print(classification_prompt("Name a bird.", [seed]))
    A classification is a task whose every answer is one of a few labels that are known beforehand.
    <BLANKLINE>
    Task: Is the number even or odd?
    Classification: Yes
    <BLANKLINE>
    Task: Name a bird.
    Classification:
    """
    head = "A classification is a task whose every answer is one of a few labels that are known beforehand."
    shown = [f"Task: {_one_line(one.instruction)}\nClassification: {'Yes' if one.is_classification else 'No'}" for one in seeds]
    return "\n\n".join([head, *shown, f"Task: {_one_line(instruction)}\nClassification:"])


CLASSIFICATION_STOPS = ("\n", "Task:")


def is_classification(completion: Completion) -> bool:
    """Whether the answer begins with yes; anything else is a no, as in the authors' program.

    >>> is_classification(Completion(" Yes.", "stop")), is_classification(Completion("I think yes", "stop"))
    (True, False)
    """
    return completion.text.strip().lower().startswith("yes")


def input_first_prompt(instruction: str, seeds: Sequence[Seed]) -> str:
    """Examples of a task asked for, input before output, after examples of some seeds.

    >>> seed = Seed("a", "Name a bird.", (Instance("", "robin"),), False)
    >>> print(input_first_prompt("Give the antonym.", [seed]))
    Each task is followed by examples, all different: an input and its output, or an output alone where no input is needed.
    <BLANKLINE>
    Task: Name a bird.
    Example 1
    Output: robin
    <BLANKLINE>
    Task: Give the antonym.
    Example 1
    """
    head = (
        "Each task is followed by examples, all different: an input and its output, or an output alone where no input is needed."
    )
    return "\n\n".join([head, *(_with_examples(seed) for seed in seeds), f"Task: {_one_line(instruction)}\nExample 1"])


def output_first_prompt(instruction: str, seeds: Sequence[Seed]) -> str:
    """Examples of a classification asked for, label before input.

    Asked for an input first, a model writes inputs of one label most of the time (arXiv:2212.10560, section 3.1).

    >>> seed = Seed("a", "Is the number even or odd?", (Instance("3", "odd"), Instance("8", "even")), True)
    >>> print(output_first_prompt("True or false?", [seed]))
    Each task has a few labels. It is followed by each of them, with an input that deserves it.
    <BLANKLINE>
    Task: Is the number even or odd?
    Label: odd
    Input: 3
    Label: even
    Input: 8
    <BLANKLINE>
    Task: True or false?
    Label:
    """
    head = "Each task has a few labels. It is followed by each of them, with an input that deserves it."
    shown = [
        "\n".join(
            [f"Task: {_one_line(one.instruction)}", *(f"Label: {case.output}\nInput: {case.input}" for case in one.instances)]
        )
        for one in seeds
    ]
    return "\n\n".join([head, *shown, f"Task: {_one_line(instruction)}\nLabel:"])


def input_first_instances(completion: Completion) -> list[tuple[Instance, bool]]:
    """The examples of a completion to `input_first_prompt`, and whether the end of each may be missing.

    What has no output reads as an instance with an empty one.

    >>> text = "\\nInput: hot\\nOutput: cold\\nExample 2\\nInput: none\\nOutput: a\\nb"
    >>> [(one.input, one.output) for one, _ in input_first_instances(Completion(text, "stop"))]
    [('hot', 'cold'), ('', 'a\\nb')]
    """
    found = []
    for block in _blocks(_EXAMPLE, completion):
        before, *after = _OUTPUT.split(block, maxsplit=1)
        found.append(Instance(_input(_INPUT.sub("\n", before, count=1)), after[0].strip() if after else ""))
    return _ended(found, completion)


def output_first_instances(completion: Completion) -> list[tuple[Instance, bool]]:
    """The examples of a completion to `output_first_prompt`, and whether the end of each may be missing.

    >>> found = output_first_instances(Completion(" odd\\nInput: 3\\nLabel: even\\nInput: 8", "length"))
    >>> [(one.input, one.output, cut) for one, cut in found]
    [('3', 'odd', False), ('8', 'even', True)]
    """
    found = []
    for block in _blocks(_LABEL, completion):
        label, _, rest = block.partition("\n")
        found.append(Instance(_input(_INPUT.sub("\n", "\n" + rest, count=1)), label.strip()))
    return _ended(found, completion)


@dataclasses.dataclass(frozen=True)
class InstanceForm:
    """In which order the instances of a task are asked for.

    Attributes:
      prompt: (instruction, seeds) -> what is asked.
      read: the instances of its completion.
      stops: what ends them, but for one too many.
      next: what begins an instance, with its number in the place of {}; "" where they have no numbers.
    """

    prompt: Callable[[str, Sequence[Seed]], str]
    read: Callable[[Completion], list[tuple[Instance, bool]]]
    next: str
    stops: tuple[str, ...] = ("Task:",)

    def stops_after(self, most: int) -> tuple[str, ...]:
        """What ends a completion that shall have so many instances."""
        return (*self.stops, *([self.next.format(most + 1)] if self.next else []))


INPUT_FIRST = InstanceForm(input_first_prompt, input_first_instances, "Example {}")
OUTPUT_FIRST = InstanceForm(output_first_prompt, output_first_instances, "")


def _blocks(separator: re.Pattern, completion: Completion) -> list[str]:
    return [block.strip() for block in separator.split(completion.text) if block.strip()]


def _ended(found: list[Instance], completion: Completion) -> list[tuple[Instance, bool]]:
    return [(one, completion.cut and place == len(found)) for place, one in enumerate(found, 1)]


def _input(text: str) -> str:
    text = text.strip()
    return "" if _NOTHING.fullmatch(text) else text


def _with_examples(seed: Seed) -> str:
    lines = [f"Task: {_one_line(seed.instruction)}"]
    for number, one in enumerate(seed.instances, 1):
        lines += [f"Example {number}", *([f"Input: {one.input}"] if one.input else []), f"Output: {one.output}"]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())
