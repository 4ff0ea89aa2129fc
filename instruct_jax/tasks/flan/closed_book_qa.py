"""Closed-book question answering: facts from memory, with no text to look them up in."""

from instruct_jax.tasks.flan.dataset import FlanDataset, first, with_reasoning
from instruct_jax.text.templates import Template

CLUSTER = "closed_book_qa"

_ARC = (  # all with their options: many a question is "Which of these ...?"
    Template("plain", "{question}\n{options}"),
    Template("options", "{question}\n\nWhich of these is the answer?\n{options}"),
    Template("science_test", "Science test for schools. Write down the correct alternative.\n{question}\n{options}"),
    Template("teacher", "Your science teacher asks: {question}\nThe board offers:\n{options}\nWhat do you say?"),
    Template("choose", "Choose from the list under the question.\nQuestion: {question}\n{options}\nAnswer:"),
    Template("only_one", "Only one of the following is right.\n{options}\nThe question was: {question}"),
    Template(
        "question_for",
        "Write a science question for school children that is answered by: {answer}",
        response="{question}",
        original_task=False,
    ),
    Template("multiple_choice", "Multiple choice: {question}\nAlternatives:\n{options}", reserved=True),
    Template("explain_less", "Reply to this science question with the bare answer. {question}\n{options}", reserved=True),
    Template("pick", "Pick the statement or word that answers '{question}'.\n{options}", reserved=True),
)


def _lettered(example):
    """A question whose choices bear letters; TFDS gives those of ARC as classes and those of QASC as text."""
    letters, options = example["choices"]["label"], example["choices"]["text"]
    key = example["answerKey"]
    answer = options[letters.index(key)] if key in letters else ""
    return {"question": example["question"], "options": options, "answer": answer}


_QASC = with_reasoning(
    (
        Template("plain", "{question}"),
        Template("two_facts", "Two facts, put together, give the answer. {question}\n{options}"),
        Template("eight", "Out of these, which one is it?\n{options}\n{question}"),
        Template("facts_given", "It is known that {fact_1} and that {fact_2}. Therefore: {question}\n{options}"),
        Template("recall", "Recall what you learned in science class and answer. {question}"),
        Template(
            "combine", "Combine these two facts into one.\n1. {fact_1}\n2. {fact_2}", response="{combined}", original_task=False
        ),
        Template(
            "make_question",
            "Turn this fact into a question with the answer '{answer}': {combined}",
            response="{question}",
            original_task=False,
        ),
        Template("select", "Select whatever makes a true answer.\n{question}\n{options}", reserved=True),
        Template("guess", "{question} If you are not sure, make your best guess.", reserved=True),
        Template("list_first", "{options}\n\n{question} The list above has the answer; give it.", reserved=True),
    ),
    "First, {fact_1}. Second, {fact_2}. The answer is {answer}.",
    "{combined}\nAnswer: {answer}",
)


def _qasc(example):
    return _lettered(example) | {
        "fact_1": example["fact1"].strip().rstrip("."),
        "fact_2": example["fact2"].strip().rstrip("."),
        "combined": example["combinedfact"],
    }


_NATURAL_QUESTIONS = (
    Template("plain", "{question}?"),
    Template("searcher", "Someone searches the web for: {question}\nSave them the search and answer right away."),
    Template("know", "Do you happen to know {question}?"),
    Template("short", "Answer in a few words: {question}"),
    Template("qa", "Question: {question}?\nAnswer:"),
    Template("encyclopaedia", "What would an encyclopaedia tell a reader who asks {question}?"),
    Template(
        "guess_search",
        "A search engine returned '{answer}' at the top of its page. What may have been searched for?",
        response="{question}",
        original_task=False,
    ),
    Template("assistant", "You are a voice assistant and keep it short.\nUser: {question}\nYou:", reserved=True),
    Template("tell", "Tell me, {question}?", reserved=True),
    Template("fact", "State the fact that is asked for, and only that. {question}", reserved=True),
)


def _natural_questions(example):
    return {"question": example["question"].strip().rstrip("?").strip(), "answer": first(example["answer"])}


_TRIVIA_QA = (
    Template("plain", "{question}"),
    Template("pub_quiz", "Pub quiz, next question: {question}"),
    Template("trivia", "Trivia fans should know this one.\n{question}\nThe answer:"),
    Template("name", "Give the name or term that is wanted. {question}"),
    Template("host", "The quiz master reads out: '{question}' You press the buzzer first. What do you say?"),
    Template("one_line", "{question} One line will do."),
    Template(
        "write",
        "You write for a quiz show. The solution is '{answer}'. Write the question.",
        response="{question}",
        original_task=False,
    ),
    Template("team", "My team is stuck on question 7: {question} Any idea?", reserved=True),
    Template("crossword", "General knowledge: {question} (just the answer, please)", reserved=True),
    Template("remember", "Can you remember this? {question}", reserved=True),
)


def _trivia_qa(example):
    answer = example["answer"]["value"]
    return {"question": example["question"], "answer": "" if answer == "<unk>" else answer}


_WEB_QUESTIONS = (
    Template("plain", "{question}"),
    Template("answers", "{question} If there are several answers, list them, separated by commas."),
    Template("knowledge", "Look into your knowledge of people, places and things. {question}"),
    Template("reply", "Q. {question}\nA."),
    Template("all", "I'd like everything that answers this: {question}"),
    Template("curious", "A curious child wants to know: {question} What do you reply?"),
    Template("ask", "What question has the answer {answer}?", response="{question}", original_task=False),
    Template("direct", "Direct questions deserve direct answers. {question}", reserved=True),
    Template("database", "Query to a database of facts: {question}\nResult:", reserved=True),
    Template("help", "Help me out here, {question}", reserved=True),
)


def _web_questions(example):
    return {"question": example["question"], "answer": ", ".join(example["answers"])}


_ARC_LETTERS = ("A", "B", "C", "D", "E")
_CHOICE = ("question", "options", "answer")

DATASETS = (
    *(
        FlanDataset(
            f"arc_{level.lower()}",
            CLUSTER,
            f"ai2_arc/ARC-{level}:1.0.0",
            _CHOICE,
            _ARC,
            record=_lettered,
            classes=_ARC_LETTERS,
            class_feature="answerKey",
            reference="Clark et al. 2018, arXiv:1803.05457",
        )
        for level in ("Challenge", "Easy")
    ),
    FlanDataset(
        "natural_questions_open",
        CLUSTER,
        "natural_questions_open:1.0.0",
        ("question", "answer"),
        _NATURAL_QUESTIONS,
        record=_natural_questions,
        splits={"train": "train", "validation": "validation"},
        reference="Kwiatkowski et al. 2019; open edition Lee et al. 2019, arXiv:1906.00300",
    ),
    FlanDataset(
        "qasc",
        CLUSTER,
        "qasc:0.1.0",
        (*_CHOICE, "fact_1", "fact_2", "combined"),
        _QASC,
        record=_qasc,
        rationale_field="combined",
        splits={"train": "train", "validation": "validation"},
        reference="Khot et al. 2020, arXiv:1910.11473",
    ),
    FlanDataset(
        "trivia_qa",
        CLUSTER,
        "trivia_qa/unfiltered.nocontext:1.1.0",
        ("question", "answer"),
        _TRIVIA_QA,
        record=_trivia_qa,
        splits={"train": "train", "validation": "validation"},
        reference="Joshi et al. 2017, arXiv:1705.03551",
    ),
    FlanDataset(
        "web_questions",
        CLUSTER,
        "web_questions:1.0.0",
        ("question", "answer"),
        _WEB_QUESTIONS,
        record=_web_questions,
        metrics=("exact_match", "token_f1"),
        splits={"train": "train", "test": "test"},
        reference="Berant et al. 2013",
    ),
)
