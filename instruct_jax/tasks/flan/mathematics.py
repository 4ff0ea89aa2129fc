"""Mathematics: word problems and exercises, with the way to the answer where a dataset tells it."""

import re

from instruct_jax.tasks.flan.dataset import FlanDataset, with_reasoning
from instruct_jax.text.templates import Template

CLUSTER = "mathematics"

_GSM8K = with_reasoning(
    (
        Template("plain", "{question}"),
        Template("number", "{question}\nAnswer with a number alone."),
        Template("pupil", "Homework: {question}\nWhat result should be written down?"),
        Template(
            "grade_school",
            "Here is a problem for grade school. It takes a few steps, yet nothing harder than plus, minus, times and "
            "divided by.\n{question}",
        ),
        Template("how_much", "Read the story and find the number that is asked for. {question}"),
        Template(
            "make_problem",
            "Make up a word problem whose solution runs like this:\n{rationale}",
            response="{question}",
            original_task=False,
        ),
        Template(
            "show_work",
            "{question} Show how you work it out; the result is {answer}.",
            response="{rationale}",
            original_task=False,
        ),
        Template("solve", "Solve this word problem: {question}", reserved=True),
        Template("final", "{question}\nGive nothing but the final figure.", reserved=True),
        Template("shopkeeper", "Do this sum in your head as a shopkeeper would. {question}", reserved=True),
    ),
    "{rationale}\nThe answer is {answer}.",
    "{rationale}\n\n{answer}",
    "{rationale} So the result is {answer}.",
    terse=("number", "final"),
)


def _gsm8k(example):
    """The calculator notes that stand between double angle brackets in the reasoning are taken out."""
    return {
        "question": example["question"],
        "rationale": re.sub(r"<<[^>]*>>", "", example["annotation"]),
        "answer": example["short_answer"].replace(",", ""),
    }


_MATH_QA = with_reasoning(
    (
        Template("plain", "{question}\n{options}"),
        Template("exam", "Entrance exam, quantitative part. Choose the right result.\n{question}\n{options}"),
        Template("open", "{question}"),
        Template(
            "compute_choose", "Compute first, then see which of the values matches.\nProblem: {question}\nValues:\n{options}"
        ),
        Template("area", "This is a problem of the kind '{area}'. {question} What comes out?"),
        Template(
            "explain", "{question} The answer is {answer}. How does one get there?", response="{rationale}", original_task=False
        ),
        Template(
            "kind",
            "Sort this problem under general, gain, physics, geometry, probability or other.\n{question}",
            response="{area}",
            original_task=False,
        ),
        Template("tick", "Tick one.\n{options}\nQuestion: {question}", reserved=True),
        Template("work", "Work on the following until you have a value.\n{question}", reserved=True),
        Template("which_value", "Which value solves the problem?\n\n{question}\n\n{options}", reserved=True),
    ),
    "{rationale}\nThat gives {answer}.",
    "{rationale}\n\n{answer}",
)


_LETTER_AT_END = re.compile(
    r"[\s,;=>-]*(?:\b(?:so|hence|thus|therefore)\b[\s,]*)?(?:\b(?:the|our|correct)\s+)*\b(?:answer|ans|option|choice)\b"
    r"(?:\s*(?:is|option|choice|must be|[:.=,'\"-]))*\s*\(?\s*[a-e]\s*\)?[\s.'\"]*$",
    re.IGNORECASE,
)


def _math_qa(example):
    """Options come as one text, "a ) 38 , b ) 27.675 , c ) 30", or as the text of a list of such.

    Many a rationale closes with the letter of its option ("answer : c"), which says nothing where options bear no such letters.
    """
    text = example["options"].strip().strip("[]")
    options = [part.strip(" ,'\"") for part in re.split(r"[abcde] \)", text)[1:]]
    number = "abcde".find(example["correct"]) if example["correct"] else -1
    return {
        "question": example["Problem"],
        "rationale": _LETTER_AT_END.sub("", example["Rationale"].strip().strip('"').strip()).strip(),
        "area": example["category"],
        "options": options,
        "answer": options[number] if 0 <= number < len(options) else "",
    }


_DOLPHIN = (
    Template("plain", "{question}"),
    Template("number_riddle", "A riddle about numbers: {question}\nGive the number or numbers."),
    Template("find", "Find what is unknown.\n{question}"),
    Template("with_equations", "{question}\nThe story can be written in symbols as\n{equations}\nSolve."),
    Template("algebra", "Algebra will do it. {question} Answer:"),
    Template("equations", "Translate into equations. {question}", response="{equations}", original_task=False),
    Template("story", "Put into words, as a number problem:\n{equations}", response="{question}", original_task=False),
    Template("which_numbers", "Which number or numbers fit? {question}", reserved=True),
    Template("puzzle", "Try this puzzle: {question} What is the result?", reserved=True),
    Template("solve", "Solve for the number sought.\n\n{question}", reserved=True),
)


def _dolphin(example):
    """Equations come as one text, the unknowns first ("unkn: x,y  equ: x + y = 3"), parted by two spaces."""
    equations = [part.strip() for part in example["equations"].split("  ")]
    equations = [part.removeprefix("equ:").strip() for part in equations if part and not part.startswith("unkn:")]
    return {"question": example["text"], "equations": "\n".join(equations), "answer": example["ans"]}


_ALGEBRA = (
    Template("plain", "{question}"),
    Template("blackboard", "On the blackboard it says: {question}\nWhat should be written under it?"),
    Template("solution", "Exercise: {question}\nSolution:"),
    Template("value", "Give the value asked for and nothing else. {question}"),
    Template("check", "I solved this and want to compare. {question} What did you get?"),
    Template("algebra", "A linear equation is at the bottom of this. {question}"),
    Template(
        "make", "Write an exercise in algebra to which {answer} is the solution.", response="{question}", original_task=False
    ),
    Template("quick", "Solve quickly: {question}", reserved=True),
    Template("test", "Algebra test, item 1. {question}\nYour answer:", reserved=True),
    Template("unknown", "{question} The unknown equals", reserved=True),
)

_ARITHMETIC = (
    Template("plain", "{question}"),
    Template("calculator", "You are a pocket calculator. {question}"),
    Template("result", "{question}\nresult ="),
    Template("exact", "Give the exact value, as a whole number, decimal or fraction. {question}"),
    Template("order", "Mind the brackets and the order of operations. {question}"),
    Template("mental", "Mental arithmetic: {question}"),
    Template(
        "make",
        "Write an arithmetic exercise with several operations that comes to {answer}.",
        response="{question}",
        original_task=False,
    ),
    Template("work_out", "Work this out. {question}", reserved=True),
    Template("slip", "Without any slip, please: {question} The value is", reserved=True),
    Template("accountant", "The accountant asks you: {question} You reply:", reserved=True),
)

_CALCULUS = (
    Template("plain", "{question}"),
    Template("lecture", "From a calculus lecture. {question}"),
    Template("derivative", "{question} Write the derivative in powers of the variable."),
    Template("rules", "Apply the rules of differentiation.\n{question}"),
    Template("formula", "A formula is wanted, no words. {question}"),
    Template("student", "A student is asked: {question}\nThe right reply is"),
    Template("make", "Set a task in differentiation that has the result {answer}.", response="{question}", original_task=False),
    Template("differentiate", "Differentiate as told and simplify: {question}", reserved=True),
    Template("assignment", "Assignment 4 (derivatives)\n{question}\nResult:", reserved=True),
    Template("symbolic", "Symbolic computation. Input: {question} Output:", reserved=True),
)

_COMPARISON = (
    Template("plain", "{question}"),
    Template("compare", "Compare the numbers and answer. {question}"),
    Template("line", "Think of where each value lies on the number line. {question}"),
    Template("sorted", "{question}\nThe correct order is"),
    Template("careful", "Fractions, decimals and negative numbers may be mixed, so be careful. {question}"),
    Template("arrange", "Arrange as asked, separated by commas: {question}"),
    Template(
        "make", "Set an exercise in sorting numbers, to be answered with: {answer}", response="{question}", original_task=False
    ),
    Template("rank", "Put in order. {question}", reserved=True),
    Template("size", "Which is larger than which? {question} Answer:", reserved=True),
    Template("row", "{question} Write the whole row in one line.", reserved=True),
)

_PROBABILITY = (
    Template("plain", "{question}"),
    Template("chance", "What are the chances? {question}"),
    Template("fraction", "Answer with a fraction in lowest terms. {question}"),
    Template("draws", "Letters are drawn at random from a bag, without putting any back. {question}"),
    Template("statistics", "Exercise in elementary probability: {question}\nProbability:"),
    Template("count", "Count the outcomes that fit and divide by all outcomes. {question}"),
    Template(
        "make",
        "Set a problem on drawing letters without replacement, with the probability {answer}.",
        response="{question}",
        original_task=False,
    ),
    Template("bet", "Before you bet, compute. {question}", reserved=True),
    Template("exact", "Give the exact probability: {question}", reserved=True),
    Template("dice", "As a lover of dice and cards, you should be able to tell: {question}", reserved=True),
)

_MATH_DATASET = {
    "algebra": ("algebra__linear_1d", _ALGEBRA),
    "arithmetic": ("arithmetic__mixed", _ARITHMETIC),
    "calculus": ("calculus__differentiate", _CALCULUS),
    "comparison": ("comparison__sort", _COMPARISON),
    "probability": ("probability__swr_p_sequence", _PROBABILITY),
}

DATASETS = (
    FlanDataset(
        "dolphin_number_word",
        CLUSTER,
        "dolphin_number_word:0.0.3",
        ("question", "equations", "answer"),
        _DOLPHIN,
        record=_dolphin,
        splits={"train": "train", "test": "test"},
        reference="Shi et al. 2015",
    ),
    FlanDataset(
        "gsm8k",
        CLUSTER,
        "gsm8k:1.0.0",
        ("question", "rationale", "answer"),
        _GSM8K,
        record=_gsm8k,
        rationale_field="rationale",
        splits={"train": "train", "test": "test"},
        reference="Cobbe et al. 2021, arXiv:2110.14168",
    ),
    *(
        FlanDataset(
            f"math_{name}",
            CLUSTER,
            f"math_dataset/{module}:1.0.0",
            ("question", "answer"),
            wordings,
            splits={"train": "train", "test": "test"},
            reference="Saxton et al. 2019, arXiv:1904.01557",
        )
        for name, (module, wordings) in _MATH_DATASET.items()
    ),
    FlanDataset(
        "math_qa",
        CLUSTER,
        "math_qa:1.0.0",
        ("question", "rationale", "area", "options", "answer"),
        _MATH_QA,
        record=_math_qa,
        rationale_field="rationale",
        reference="Amini et al. 2019, arXiv:1905.13319",
    ),
)
