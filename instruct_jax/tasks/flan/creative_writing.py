"""Creative writing: pieces to order, ideas, and stories that want an end."""

from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.text.templates import Template

CLUSTER = "creative_writing"

_DOLLY_WRITING = (
    Template("in_full", "{request}\n\nPlease write it out in full.", response="{text}"),
    Template("please", "Please write something for me. {request}", response="{text}"),
    Template("commission", "You are a writer and take a commission: {request}", response="{text}"),
    Template("imagination", "Let your imagination run.\n\n{request}", response="{text}"),
    Template("draft", "Brief: {request}\nDraft:", response="{text}"),
    Template(
        "request",
        "What could somebody have asked for who was given this text?\n\n{text}",
        response="{request}",
        original_task=False,
    ),
    Template(
        "brief", "{text}\n\nWrite the brief that a writer got for the piece above.", response="{request}", original_task=False
    ),
    Template(
        "write_reserved",
        "Here is a request for a piece of writing. Do what it asks.\n\n{request}",
        response="{text}",
        reserved=True,
    ),
    Template("style_reserved", "{request}\n\nTake care with the style.", response="{text}", reserved=True),
    Template("try_reserved", "Try your hand at this: {request}", response="{text}", reserved=True),
)

_DOLLY_BRAINSTORMING = (
    Template("suggest", "{request}\n\nWhat would you suggest?", response="{ideas}"),
    Template("ideas", "Give me ideas. {request}", response="{ideas}"),
    Template("meeting", "We sit together to brainstorm. What can you say to the first question? {request}", response="{ideas}"),
    Template("think", "Think of as many good answers as you can.\n\n{request}", response="{ideas}"),
    Template("list", "Question: {request}\nIdeas:", response="{ideas}"),
    Template(
        "question",
        "Which question was put to the people who came up with this?\n\n{ideas}",
        response="{request}",
        original_task=False,
    ),
    Template(
        "flip_chart", "The flip chart says:\n{ideas}\nWhat were they thinking about?", response="{request}", original_task=False
    ),
    Template("come_up_reserved", "Find some answers to this: {request}", response="{ideas}", reserved=True),
    Template(
        "stuck_reserved", "I am stuck with this question. Please make suggestions.\n{request}", response="{ideas}", reserved=True
    ),
    Template("answer_reserved", "{request}\n\nLet me hear what comes to your mind.", response="{ideas}", reserved=True),
)

_LAMBADA = (
    Template("last_word", "The last word of this passage from a novel is missing. Which is it?\n\n{passage}", response="{word}"),
    Template("author", "You are the author and one word short of the end. Supply it.\n{passage}", response="{word}"),
    Template("complete", "Complete the last sentence with one word.\n{passage} ...", response="{word}"),
    Template("torn", "A page is torn and ends so: {passage}\nThe next word must have been", response="{word}"),
    Template("guess", "{passage} ___\n\nFill in the blank.", response="{word}"),
    Template(
        "write_up_to",
        'Write a passage of a story, of a few sentences, for which "{word}" would be the very last word. Leave that word out.',
        response="{passage}",
        original_task=False,
    ),
    Template(
        "lead_up",
        "A paragraph of fiction is about to end in: {word}\nWhat comes before it?",
        response="{passage}",
        original_task=False,
    ),
    Template("next_reserved", "Which single word comes next?\n\n{passage}", response="{word}", reserved=True),
    Template(
        "finish_reserved", "Finish the story's last sentence; one word will do. {passage}", response="{word}", reserved=True
    ),
    Template(
        "read_reserved",
        "Read with care, for the ending depends on the whole passage.\n{passage}\nFinal word:",
        response="{word}",
        reserved=True,
    ),
)


def _dolly_writing(example):
    if example["category"] != "creative_writing":
        return None
    return {"request": _request(example), "text": example["response"]}


def _dolly_brainstorming(example):
    if example["category"] != "brainstorming":
        return None
    return {"request": _request(example), "ideas": example["response"]}


def _request(example):
    """The instruction, with the text that it speaks of below it where there is one."""
    return "\n\n".join(part for part in (example["instruction"].strip(), example["context"].strip()) if part)


def _lambada(example):
    passage, _, word = example["passage"].strip().rpartition(" ")
    return {"passage": passage, "word": word}


DATASETS = (
    FlanDataset(
        "dolly_creative_writing",
        CLUSTER,
        "databricks_dolly:1.0.0",
        ("request", "text"),
        _DOLLY_WRITING,
        record=_dolly_writing,
        splits={"train": "train"},
        metrics=("rouge_l",),
        reference="Conover et al. 2023 (databricks-dolly-15k)",
    ),
    FlanDataset(
        "dolly_brainstorming",
        CLUSTER,
        "databricks_dolly:1.0.0",
        ("request", "ideas"),
        _DOLLY_BRAINSTORMING,
        record=_dolly_brainstorming,
        splits={"train": "train"},
        metrics=("rouge_l",),
        reference="Conover et al. 2023 (databricks-dolly-15k)",
    ),
    FlanDataset(
        "lambada",
        CLUSTER,
        "lambada:1.0.0",
        ("passage", "word"),
        _LAMBADA,
        record=_lambada,
        splits={"train": "train", "test": "test"},
        reference="Paperno et al. 2016, arXiv:1606.06031",
    ),
)
