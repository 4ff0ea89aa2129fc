"""Reading comprehension with an answer to find: a span of the passage, a number, or a short phrase."""

import re
import urllib.parse

from instruct_jax.tasks.flan.dataset import FlanDataset, first
from instruct_jax.text.templates import Template

CLUSTER = "reading_comprehension"

_SQUAD = (
    Template("plain", "{context}\n\n{question}"),
    Template("extract", "Extract the answer from the passage, word for word.\nPassage: {context}\nQuestion: {question}"),
    Template("article", "This is part of the article on {title}:\n{context}\nWhat does it say about this? {question}"),
    Template("question_first", "{question}\nLook it up here and quote the words that tell:\n{context}"),
    Template(
        "visitor", "A visitor to a museum asks: {question}\nThe guide has this card at hand: {context}\nThe guide's short reply:"
    ),
    Template(
        "ask",
        "Text: {context}\nWrite a question that '{answer}' from this text would answer.",
        response="{question}",
        original_task=False,
    ),
    Template("title", "What article does this paragraph come from?\n{context}", response="{title}", original_task=False),
    Template("answer_from", "Answer from the paragraph alone. {question}\n{context}", reserved=True),
    Template("fact", "I need one fact from this text, nothing else.\nText: {context}\nThe fact: {question}", reserved=True),
    Template("read_on", "Title: {title}\nBody: {context}\nReader's question: {question}\nReply:", reserved=True),
)


def _squad(example):
    return {**_asked(example), "answer": first(example["answers"]["text"])}


def _asked(example):
    """Titles come as in a web address: "Beyonc%C3%A9", "University_of_Notre_Dame"."""
    title = urllib.parse.unquote(example["title"]).replace("_", " ")
    return {"title": title, "context": example["context"], "question": example["question"]}


_SQUAD_2 = (
    Template("unanswerable", "{context}\n\n{question} If the passage does not say, write 'unanswerable'."),
    Template(
        "careful",
        "Some questions cannot be answered from their text; to those the reply is 'unanswerable'.\nText: {context}\n"
        "Question: {question}\nReply:",
    ),
    Template("article", "On {title}: {context}\nQ: {question}\nA (a quotation, or unanswerable):"),
    Template(
        "trap",
        "Beware of trick questions. Quote the answer from the paragraph, or say that it is unanswerable.\n{question}\n{context}",
    ),
    Template(
        "only",
        "Use only what stands here. {context}\nThe user wants to know: {question}\n"
        "Should the text be silent about it, answer with the word unanswerable.",
    ),
    Template(
        "support",
        "You answer questions about an encyclopaedia and never guess: what the entry does not hold is 'unanswerable'.\n"
        "Entry: {context}\nQuestion: {question}",
    ),
    Template(
        "ask",
        "{context}\nAsk about this text in such a way that the right reply is: {answer}",
        response="{question}",
        original_task=False,
    ),
    Template("find", "Find the answer or the lack of one (unanswerable): {question}\n\n{context}", reserved=True),
    Template(
        "quote_or_not",
        "Question on '{title}': {question}\nQuote from the source if you can, otherwise put 'unanswerable'.\nSource: {context}",
        reserved=True,
    ),
    Template("short", "{context}\nAnswer in the text's words; 'unanswerable' is an answer too. {question}", reserved=True),
)


def _squad_2(example):
    answer = "unanswerable" if example["is_impossible"] else first(example["answers"]["text"])
    return {**_asked(example), "answer": answer}


_DROP = (
    Template("plain", "{passage}\n\n{question}"),
    Template(
        "reason",
        "Answering this may take counting, sorting or arithmetic on what the passage says.\nPassage: {passage}\n"
        "Question: {question}\nAnswer:",
    ),
    Template("numbers", "Work with the numbers and names in this report.\n{passage}\nSo, {question}"),
    Template(
        "desk", "A sports and history desk gets the query '{question}'. All it has is this text:\n{passage}\nWhat does it reply?"
    ),
    Template("question_first", "Q: {question}\nThe text to use: {passage}\nA:"),
    Template("short", "Reply with a number, a date or a few words.\n{passage}\n{question}"),
    Template(
        "ask",
        "{passage}\nSet a question on this that takes some calculation or comparison and comes out as {answer}.",
        response="{question}",
        original_task=False,
    ),
    Template("work_out", "Work out the answer from the text.\n\nText: {passage}\n\nTo work out: {question}", reserved=True),
    Template("discrete", "{question} You will have to put together several pieces of this:\n{passage}", reserved=True),
    Template("test", "Reading test with figures\n{passage}\nItem: {question}\nYour result:", reserved=True),
)

_DATE = re.compile(r"(\d*)-([A-Za-z]*)-(\d+)")


def _drop(example):
    """Dates come as year, month and day with hyphens between, the year often blank: "1942-May-8", "-May-8"."""
    date = _DATE.fullmatch(example["answer"].strip())
    answer = " ".join(part for part in reversed(date.groups()) if part) if date else example["answer"]
    return {"passage": example["passage"], "question": example["question"], "answer": answer}


_COQA = (
    Template("dialogue", "{story}\n\n{history}\nQ: {question}\nA:"),
    Template("next", "Text: {story}\nA conversation about it:\n{history}\nNow comes this question: {question}\nReply briefly."),
    Template(
        "chat",
        "Two people talk about a text that both have before them.\nText: {story}\nSo far:\n{history}\n"
        "The first one goes on: {question}\nThe second one says:",
    ),
    Template(
        "follow_up",
        "Here are a text and some questions with their answers. Answer the follow-up question.\n{story}\n\n{history}\n\n"
        "Follow-up: {question}",
    ),
    Template(
        "pronouns",
        "In the last question, words such as 'she' or 'there' may point to what was said before.\nStory: {story}\n"
        "Before: {history}\nLast question: {question}",
    ),
    Template(
        "story_after", "{history}\nQ: {question}\n\nThat was a talk about the text below. Give the missing last answer.\n{story}"
    ),
    Template(
        "ask_next",
        "{story}\n{history}\nWhat might be asked next, if the answer to it is '{answer}'?",
        response="{question}",
        original_task=False,
    ),
    Template(
        "continue",
        "Continue the interview with the missing reply.\nBackground: {story}\nInterview: {history}\nQ: {question}",
        reserved=True,
    ),
    Template(
        "answer_last", "Answer the last of these questions from the text.\n{story}\n---\n{history}\nQ: {question}", reserved=True
    ),
    Template(
        "few_words",
        "A few words are enough: {question} It was asked after this exchange:\n{history}\nabout this text:\n{story}",
        reserved=True,
    ),
)


def _coqa(example):
    """The last turn of a conversation, the turns before it as history."""
    questions, answers = example["questions"], example["answers"]["input_text"]
    turns = list(zip(questions, answers, strict=False))  # padded to a length by nobody, but a turn may lack its answer
    if len(turns) < 2:
        return None
    return {
        "story": example["story"],
        "history": "\n".join(f"Q: {question}\nA: {answer}" for question, answer in turns[:-1]),
        "question": turns[-1][0],
        "answer": turns[-1][1],
    }


_QUAC = (
    Template(
        "section",
        "From the article on {title}, section {section}:\n{context}\nA student asks: {question}\nQuote the passage that answers.",
    ),
    Template(
        "teacher",
        "{background}\n\n{context}\n\nYou are the teacher and have the text; your student does not. The student asks: {question}",
    ),
    Template(
        "interview",
        "Interview about {title} ({section}).\nSource: {context}\nQuestion: {question}\nAnswer in the words of the source:",
    ),
    Template(
        "curious",
        "Someone curious about {title} wants to know: {question} Answer with a stretch of the text that follows.\n{context}",
    ),
    Template("introduction", "Introduction: {background}\nMore on {section}: {context}\nNow answer. {question}"),
    Template(
        "ask",
        "A student knows just this about {title}: {background}\nWhat might they ask so as to be told the following?\n{answer}",
        response="{question}",
        original_task=False,
    ),
    Template(
        "heading",
        "Give a heading for this section of an article on {title}.\n{context}",
        response="{section}",
        original_task=False,
    ),
    Template("look", "Look for the answer to '{question}' in the section '{section}' on {title}.\n{context}", reserved=True),
    Template(
        "dialogue",
        "{context}\n\nA student asks a teacher, who has this text on {title}.\nStudent: {question}\nTeacher, reading from it:",
        reserved=True,
    ),
    Template("quote", "Quote what this text on {title} says in reply.\nQ: {question}\nText: {context}", reserved=True),
)


_NO_ANSWER = "CANNOTANSWER"


def _quac(example):
    """Every section ends with the word that answers what it leaves open; such questions are left out, and the word with them."""
    answer = example["orig_answer"]["text"]
    if answer == _NO_ANSWER:
        return None
    return {
        "title": example["title"],
        "section": example["section_title"],
        "background": example["background"],
        "context": example["context"].removesuffix(_NO_ANSWER),
        "question": example["question"],
        "answer": answer,
    }


_NEWS_QA = (
    Template("plain", "{context}\n\n{question}"),
    Template(
        "reader",
        "Newspaper story:\n{context}\nA reader who saw only the headline asks: {question}\nAnswer in a few words from the story.",
    ),
    Template("desk", "Check the report for this detail. Detail: {question}\nReport: {context}"),
    Template("quote", "{question}\nCopy the answer out of the news item.\n{context}"),
    Template(
        "briefing",
        "You brief a minister on the morning's news. Asked '{question}', you have the piece below. What do you say?\n{context}",
    ),
    Template("where", "The answer to this stands somewhere in the article: {question} Find it.\n{context}"),
    Template(
        "ask",
        "After reading only the headline of this story, what might you have asked, so that '{answer}' is the answer?\n{context}",
        response="{question}",
        original_task=False,
    ),
    Template("short", "Article: {context}\nQuestion: {question}\nShort answer:", reserved=True),
    Template("says", "What does the press say? {question}\n\n{context}", reserved=True),
    Template("answer", "Use this news story to answer '{question}'.\n\n{context}", reserved=True),
)

_HOTPOT_QA = (
    Template("plain", "{context}\n\n{question}"),
    Template(
        "hops", "The answer takes two steps: one paragraph leads you to the other.\n{context}\nQuestion: {question}\nAnswer:"
    ),
    Template("connect", "Connect what these paragraphs tell. {question}\n\n{context}"),
    Template("quiz", "Quiz with sources. Sources:\n{context}\nQuestion:\n{question}\nName the answer only."),
    Template("researcher", "As a researcher with these notes, what would you answer?\nNotes: {context}\nAsked: {question}"),
    Template("question_first", "Q: {question}\nParagraphs:\n{context}\nA:"),
    Template(
        "ask",
        "{context}\nWrite a question that needs more than one of these paragraphs and has the answer '{answer}'.",
        response="{question}",
        original_task=False,
    ),
    Template("both", "You need two facts from below to answer. {question}\n{context}\nShort answer:", reserved=True),
    Template(
        "detective",
        "Like a detective, follow the trail through the texts until you can answer: {question}\nTexts: {context}",
        reserved=True,
    ),
    Template("documents", "Documents: {context}\n\nWhat do they say, taken together, about this? {question}", reserved=True),
)


def _mrqa(example):
    """MRQA marks the borders of HotpotQA's paragraphs by tags in brackets."""
    context = example["context"].replace("[PAR]", "\n").replace("[TLE]", "").replace("[SEP]", "\n")
    return {
        "context": "\n".join(" ".join(line.split()) for line in context.splitlines() if line.strip()),
        "question": example["question"],
        "answer": first(example["answers"]),
    }


_SPAN = ("context", "question", "answer")
_SCORES = ("exact_match", "token_f1")
_MRQA = "of MRQA 2019, Fisch et al. 2019, arXiv:1910.09753"

DATASETS = (
    FlanDataset(
        "coqa",
        CLUSTER,
        "coqa:1.0.0",
        ("story", "history", "question", "answer"),
        _COQA,
        record=_coqa,
        metrics=_SCORES,
        splits={"train": "train", "test": "test"},
        reference="Reddy et al. 2019, arXiv:1808.07042",
    ),
    FlanDataset(
        "drop",
        CLUSTER,
        "drop:2.0.0",
        ("passage", "question", "answer"),
        _DROP,
        record=_drop,
        metrics=_SCORES,
        splits={"train": "train", "validation": "dev"},
        reference="Dua et al. 2019, arXiv:1903.00161",
    ),
    FlanDataset(
        "hotpot_qa",
        CLUSTER,
        "mrqa/hotpot_qa:1.0.0",
        _SPAN,
        _HOTPOT_QA,
        record=_mrqa,
        metrics=_SCORES,
        splits={"train": "train", "validation": "validation"},
        reference=f"Yang et al. 2018, arXiv:1809.09600; edition {_MRQA}",
    ),
    FlanDataset(
        "news_qa",
        CLUSTER,
        "mrqa/news_qa:1.0.0",
        _SPAN,
        _NEWS_QA,
        record=_mrqa,
        metrics=_SCORES,
        splits={"train": "train", "validation": "validation"},
        reference=f"Trischler et al. 2017, arXiv:1611.09830; edition {_MRQA}",
    ),
    FlanDataset(
        "quac",
        CLUSTER,
        "quac:1.0.0",
        ("title", "section", "background", *_SPAN),
        _QUAC,
        record=_quac,
        metrics=("token_f1",),
        splits={"train": "train", "validation": "validation"},
        reference="Choi et al. 2018, arXiv:1808.07036",
    ),
    FlanDataset(
        "squad_v1",
        CLUSTER,
        "squad/v1.1:3.0.0",
        ("title", *_SPAN),
        _SQUAD,
        record=_squad,
        metrics=_SCORES,
        splits={"train": "train", "validation": "validation"},
        reference="Rajpurkar et al. 2016, arXiv:1606.05250",
    ),
    FlanDataset(
        "squad_v2",
        CLUSTER,
        "squad/v2.0:3.0.0",
        ("title", *_SPAN),
        _SQUAD_2,
        record=_squad_2,
        metrics=_SCORES,
        splits={"train": "train", "validation": "validation"},
        reference="Rajpurkar et al. 2018, arXiv:1806.03822",
    ),
)
