"""Code: a wish in words becomes a program, a query or a sequence of commands."""

from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.text.templates import Template

CLUSTER = "code"

_LBPP = (
    Template("function", "{instruction}\n\nWrite the Python code.", response="{completion}"),
    Template(
        "signature", "Implement this in Python. The signature is given.\n\n{signature}\n\n{instruction}", response="{completion}"
    ),
    Template(
        "interview", "You are asked in an interview: {instruction}\nWrite your solution in Python.", response="{completion}"
    ),
    Template("comment", "Task: {instruction}\nSignature: {signature}\nSolution:", response="{completion}"),
    Template(
        "pass_tests",
        "Write Python that solves the problem below and passes these tests.\n\n{instruction}\n\n{tests}",
        response="{completion}",
    ),
    Template(
        "explain",
        "What problem does this Python code solve? State it as an exercise.\n\n{completion}",
        response="{instruction}",
        original_task=False,
    ),
    Template(
        "tests",
        "Write assertions that test a solution of this problem.\n\n{instruction}\n\n{signature}",
        response="{tests}",
        original_task=False,
    ),
    Template("program_reserved", "Problem: {instruction}\nPython:", response="{completion}", reserved=True),
    Template(
        "complete_reserved",
        "Complete the function {signature} so that it does the following.\n{instruction}",
        response="{completion}",
        reserved=True,
    ),
    Template(
        "solve_reserved",
        "Solve with a short Python program.\n\n{instruction}\n\nFor example:\n{tests}",
        response="{completion}",
        reserved=True,
    ),
)

_CFQ = (
    Template("sparql", "Write a SPARQL query on Freebase for this question: {question}", response="{query}"),
    Template("endpoint", "{question}\n\nWhich query would you send to a SPARQL endpoint to find out?", response="{query}"),
    Template("parse", "Parse the question into SPARQL. M0, M1 and so on stand for entities.\n{question}", response="{query}"),
    Template("form", "Question: {question}\nQuery:", response="{query}"),
    Template("colleague", 'A colleague who does not know SPARQL asks "{question}" Help out with the query.', response="{query}"),
    Template(
        "read_back", "Read this SPARQL query back to me as a question.\n\n{query}", response="{question}", original_task=False
    ),
    Template("what_for", "{query}\n\nWhat does whoever runs this want to know?", response="{question}", original_task=False),
    Template("translate_reserved", "Translate into SPARQL: {question}", response="{query}", reserved=True),
    Template(
        "database_reserved",
        "A knowledge base is to answer this. Formulate the query.\n{question}",
        response="{query}",
        reserved=True,
    ),
    Template("semantic_reserved", "{question}\nIn SPARQL:", response="{query}", reserved=True),
)

_SCAN = (
    Template("robot", 'A robot is told to "{commands}". Write out its actions, one after the other.', response="{actions}"),
    Template(
        "expand", "Write the command as primitive actions such as I_WALK and I_TURN_LEFT.\n{commands}", response="{actions}"
    ),
    Template("console", "> {commands}\nActions:", response="{actions}"),
    Template("compile", "Translate this instruction into actions of a walking machine: {commands}", response="{actions}"),
    Template("game", "In a game you are asked to {commands}. Which moves do you make, in order?", response="{actions}"),
    Template(
        "which_command", "Which command led to this sequence of actions? {actions}", response="{commands}", original_task=False
    ),
    Template("shorter", "{actions}\nSay the same as a short command in English.", response="{commands}", original_task=False),
    Template("sequence_reserved", "Give the sequence of actions for: {commands}", response="{actions}", reserved=True),
    Template("execute_reserved", "Execute, and log each action.\n{commands}\nLog:", response="{actions}", reserved=True),
    Template("steps_reserved", 'What are the single steps of "{commands}"?', response="{actions}", reserved=True),
)


def _lbpp(example):
    return {
        "instruction": example["instruction"],
        "signature": example["signature"],
        "completion": example["completion"],
        "tests": "\n".join(example["test_list"]),
    }


DATASETS = (
    FlanDataset(
        "lbpp_python",
        CLUSTER,
        "lbpp/python:2.0.0",
        ("instruction", "signature", "completion", "tests"),
        _LBPP,
        record=_lbpp,
        splits={"test": "test"},
        metrics=("bleu",),
        reference="Matton et al. 2024, arXiv:2407.07565",
    ),
    FlanDataset(
        "cfq",
        CLUSTER,
        "cfq/random_split:1.2.0",
        ("question", "query"),
        _CFQ,
        reference="Keysers et al. 2020, arXiv:1912.09713",
    ),
    FlanDataset(
        "scan",
        CLUSTER,
        "scan/simple:1.1.1",
        ("commands", "actions"),
        _SCAN,
        splits={"train": "train", "test": "test"},
        reference="Lake and Baroni 2018, arXiv:1711.00350",
    ),
)
