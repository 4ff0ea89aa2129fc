"""Commonsense: what most likely happens, helps, caused it or comes next."""

import re

from instruct_jax.tasks.flan.dataset import FlanDataset, with_reasoning
from instruct_jax.text.templates import Template

CLUSTER = "commonsense"

_COPA = (
    Template("why_or_then", "{premise} {question}"),
    Template("pick", "{premise}\nWhich of the two is the more plausible {kind}?\n{options}"),
    Template(
        "because_so", "Finish the thought with the likelier of the two continuations: {premise} {connective} ...\n{options}"
    ),
    Template("friend", 'A friend tells you: "{premise}" You are asked for the {kind}. Choose.\n{options}'),
    Template("reason", "Use everyday knowledge.\nSituation: {premise}\nIts most probable {kind}:"),
    Template("complete", "Complete the second sentence. {premise} {connective}"),
    Template(
        "invent_premise",
        "{connective} {answer}\nWhat sentence might have stood in front of this?",
        response="{premise}",
        original_task=False,
    ),
    Template(
        "choose_best",
        "Two statements compete to be the {kind} of a third.\nThird: {premise}\n{options}\nThe better one is",
        reserved=True,
    ),
    Template("more_likely", "{question} Have a look at the alternatives before you answer.\n{premise}\n{options}", reserved=True),
    Template("short", "Give the {kind} in a short sentence: {premise}", reserved=True),
)


def _copa(example):
    cause = example["question"] == "cause"
    options = [example["choice1"], example["choice2"]]
    return {
        "premise": example["premise"],
        "kind": "cause" if cause else "effect",
        "question": "Why did that happen?" if cause else "What happened because of it?",
        "connective": "This is because:" if cause else "As a result:",
        "options": options,
        "answer": options[example["label"]] if example["label"] >= 0 else "",
    }


_HELLASWAG = (
    Template("ending", "How does this go on?\n{context}"),
    Template("which_ending", "{context}\n\nWhich ending makes sense?\n{options}"),
    Template(
        "breaks_off",
        "On the subject of {activity}, a guide or the narration of a video breaks off. Continue it.\n{context}",
    ),
    Template("manual", "Topic: {activity}\nText so far: {context}\nSelect what comes next.\n{options}"),
    Template("silly", "Three of these continuations are silly. Give the one that is not.\n{context}\n{options}"),
    Template("continue", "Continue in the most natural way: {context}"),
    Template(
        "name_activity",
        "Name the subject of this text in a few words.\n{context} {answer}",
        response="{activity}",
        original_task=False,
    ),
    Template("predict", "{context}\nPredict the next event.\n{options}", reserved=True),
    Template(
        "plausible",
        "Somebody wrote about '{activity}' and got this far:\n{context}\nOf these, the only plausible way to finish is\n"
        "{options}",
        reserved=True,
    ),
    Template("rest", "Write the rest of this passage on {activity}. {context}", reserved=True),
)


_GUIDE_TAG = re.compile(r"\s*\[(?:header|title|step|substeps)\]\s*")


def _hellaswag(example):
    """Half of the texts are guides whose headings and steps are marked by tags in brackets."""
    options, label = [_GUIDE_TAG.sub(" ", ending).strip() for ending in example["endings"]], example["label"]
    return {
        "context": _GUIDE_TAG.sub("\n", example["context"]),
        "activity": example["activity_label"],
        "options": options,
        "answer": options[label] if 0 <= label < len(options) else "",
    }


_PIQA = (
    Template("how", "How would you do this? {goal}"),
    Template("goal_options", "Goal: {goal}\nWhich of the two ways gets you there?\n{options}"),
    Template("handy", "Ask somebody handy: {goal}\nWhat would they tell you?\n{options}"),
    Template("works", "One of these works and one does not. Say which works for the purpose given.\nPurpose: {goal}\n{options}"),
    Template("tip", "Write a household tip for the following. {goal}"),
    Template("guess_goal", "{answer}\nWhat could anyone want to achieve by this?", response="{goal}", original_task=False),
    Template(
        "bad_advice",
        "An instruction with a mistake: {wrong}\nPut it right, so that it serves this goal: {goal}",
        original_task=False,
    ),
    Template("sensible", "{goal}\nPick the sensible way to go about it.\n{options}", reserved=True),
    Template("physical", "Think about how things behave physically.\nGoal: {goal}\nTo get there, one should", reserved=True),
    Template(
        "advice",
        "This is what I am after: {goal}\nI was given two pieces of advice. Which should I take?\n{options}",
        reserved=True,
    ),
)


def _piqa(example):
    options, label = [example["sol1"], example["sol2"]], example["label"]
    return {
        "goal": example["goal"],
        "wrong": options[1 - label],
        "options": options,
        "answer": options[label],
    }


_STORY_CLOZE = (
    Template("end", "Here is a story without its last sentence.\n{context}\nWrite the last sentence."),
    Template("which", "{context}\nWhich of these two sentences ends the story?\n{options}"),
    Template("right", "Story: {context}\nRight ending:"),
    Template("child", "You tell a child this story: {context} The child asks how it ends. Choose.\n{options}"),
    Template("consistent", "Only one ending is consistent with what happened. Find it.\n{context}\n{options}"),
    Template("fifth", "Four sentences are given. Add a fifth that rounds them off. {context}"),
    Template(
        "begin",
        "Make up the first four sentences of a story whose final sentence is this: {answer}",
        response="{context}",
        original_task=False,
    ),
    Template("and_then", "{context} And how does it end?\n{options}", reserved=True),
    Template("fits", "Which closing line fits?\n{options}\n\nThe story: {context}", reserved=True),
    Template("conclude", "Bring this to a close in one sentence:\n\n{context}", reserved=True),
)


def _story_cloze(example):
    """TFDS passes on the file's numbers: endings are counted from 1."""
    options, label = example["endings"], example["label"] - 1
    return {"context": example["context"], "options": options, "answer": options[label] if 0 <= label < len(options) else ""}


_COS_E = with_reasoning(
    (
        Template("question", "{question}"),
        Template("options", "{question}\nChoose the best answer.\n{options}"),
        Template("common_sense", "Common sense is all you need here. {question}\n{options}"),
        Template(
            "quiz_show",
            'Quiz host: "{question}" The contestant may take one of these:\n{options}\nWhat should the contestant say?',
        ),
        Template("brief", "Answer in a word or two.\nQ: {question}\nA:"),
        Template(
            "explain",
            "{question}\nThe answer is {answer}. Explain in a sentence why.",
            response="{explanation}",
            original_task=False,
        ),
        Template(
            "which_question",
            "Somebody was asked a question and rightly chose {answer} from these: {choices}. What was the question?",
            response="{question}",
            original_task=False,
        ),
        Template("most_people", "What would most people answer? {question}\n{options}", reserved=True),
        Template(
            "select",
            "Select from the list whatever answers the question under it.\n{options}\nQuestion: {question}",
            reserved=True,
        ),
        Template("think", "Think of ordinary life and reply briefly: {question}", reserved=True),
    ),
    "{explanation}\nThe answer is {answer}.",
    "{explanation}\nSo: {answer}",
    terse=("brief", "think"),
)


def _cos_e(example):
    return {
        "question": example["question"],
        "options": example["choices"],
        "choices": ", ".join(example["choices"]),
        "answer": example["answer"],
        "explanation": example["abstractive_explanation"],
    }


_MCTACO = (
    Template("plausible", "{sentence}\nQ: {question}\nProposed answer: {candidate}\nIs that plausible?", choices=("no", "yes")),
    Template(
        "sense_of_time",
        "Use your sense of time.\n{sentence}\n{question}\nCould the answer be '{candidate}'?\n{options}",
        choices=("it could not", "it could"),
    ),
    Template(
        "reporter",
        "From a news report: {sentence}\nA reader asks: {question}\nAnother reader guesses: {candidate}\n"
        "Reasonable or unreasonable guess?",
        choices=("unreasonable", "reasonable"),
    ),
    Template(
        "likely",
        "The facts are these: {sentence}\nAsked '{question}', somebody says: {candidate}\nLikely or unlikely?",
        choices=("unlikely", "likely"),
    ),
    Template(
        "true_false",
        "Passage: {sentence}\nQuestion: {question}\nTrue or false, the answer may well be: {candidate}",
        choices=("false", "true"),
    ),
    Template(
        "ask",
        "{sentence}\nAsk something about the timing of this, such that '{candidate}' would be {verdict}.",
        response="{question}",
        original_task=False,
    ),
    Template(
        "propose", "{sentence}\n{question} Propose an answer that is {verdict}.", response="{candidate}", original_task=False
    ),
    Template(
        "makes_sense",
        "Does the reply make sense?\nText: {sentence}\nAsked: {question}\nReplied: {candidate}",
        choices=("makes no sense", "makes sense"),
        reserved=True,
    ),
    Template(
        "mark",
        "Mark the answer as right or wrong, as far as one can judge.\n{sentence} {question}\n> {candidate}",
        choices=("wrong", "right"),
        reserved=True,
    ),
    Template(
        "how_long",
        "When, how long, how often, in what order: that is what this is about. {sentence} {question} Is this believable: "
        "{candidate}\n{options}",
        choices=("not believable", "believable"),
        reserved=True,
    ),
)


def _mctaco(example):
    return {
        "sentence": example["sentence"],
        "question": example["question"],
        "candidate": example["answer"],
        "label": example["label"],
        "verdict": ("out of the question", "quite possible")[example["label"]],
    }


DATASETS = (
    FlanDataset(
        "copa",
        CLUSTER,
        "super_glue/copa:1.0.2",
        ("premise", "kind", "question", "connective", "options", "answer"),
        _COPA,
        record=_copa,
        splits={"train": "train", "validation": "validation"},
        reference="Roemmele et al. 2011",
    ),
    FlanDataset(
        "cos_e",
        CLUSTER,
        "cos_e:0.0.1",
        ("question", "options", "choices", "answer", "explanation"),
        _COS_E,
        record=_cos_e,
        splits={"train": "train", "validation": "validation"},
        rationale_field="explanation",
        reference="Rajani et al. 2019, arXiv:1906.02361; questions of Talmor et al. 2019, arXiv:1811.00937",
    ),
    FlanDataset(
        "hellaswag",
        CLUSTER,
        "hellaswag:1.1.0",
        ("context", "activity", "options", "answer"),
        _HELLASWAG,
        record=_hellaswag,
        splits={"train": "train", "validation": "validation"},
        reference="Zellers et al. 2019, arXiv:1905.07830",
    ),
    FlanDataset(
        "mctaco",
        CLUSTER,
        "mctaco:1.0.0",
        ("sentence", "question", "candidate", "label", "verdict"),
        _MCTACO,
        record=_mctaco,
        classes=("no", "yes"),
        splits={"train": "validation", "test": "test"},
        reference="Zhou et al. 2019, arXiv:1909.03065",
    ),
    FlanDataset(
        "piqa",
        CLUSTER,
        "piqa:1.0.0",
        ("goal", "wrong", "options", "answer"),
        _PIQA,
        record=_piqa,
        splits={"train": "train", "validation": "validation"},
        reference="Bisk et al. 2020, arXiv:1911.11641",
    ),
    FlanDataset(
        "story_cloze",
        CLUSTER,
        "story_cloze/2016:1.0.0",
        ("context", "options", "answer"),
        _STORY_CLOZE,
        record=_story_cloze,
        splits={"train": "validation", "test": "test"},
        reference="Mostafazadeh et al. 2016, arXiv:1604.01696",
    ),
)
