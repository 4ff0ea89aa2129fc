"""Reading comprehension with an answer to choose: yes or no, right or wrong, or one of several."""

from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.text.templates import Template

CLUSTER = "reading_comprehension"

_BOOLQ = (
    Template("plain", "{passage}\n\n{question}?", choices=("no", "yes")),
    Template(
        "article", 'From the article "{title}":\n{passage}\nAccording to this, {question}?\n{options}', choices=("No", "Yes")
    ),
    Template(
        "search",
        "Someone types into a search engine: {question}\nThe first result says: {passage}\nYes or no?",
        choices=("no", "yes"),
    ),
    Template(
        "true", "Text: {passage}\nQuestion: {question}?\nTrue or false: the text answers it with yes.", choices=("false", "true")
    ),
    Template(
        "nod", "Read this and then nod or shake your head.\n{passage}\nThe question is: {question}?", choices=("shake", "nod")
    ),
    Template(
        "ask",
        "{passage}\nAsk a question on this text to which the reply is a plain {reply}.",
        response="{question}",
        original_task=False,
    ),
    Template(
        "title",
        "Give the title of the encyclopaedia article that this is taken from.\n{passage}",
        response="{title}",
        original_task=False,
    ),
    Template(
        "verdict",
        "Passage ({title}): {passage}\nQuestion: {question}?\nYour verdict:\n{options}",
        choices=("it is not so", "it is so"),
        reserved=True,
    ),
    Template(
        "quick", "I have no time to read this. Just tell me, {question}?\n\n{passage}", choices=("no", "yes"), reserved=True
    ),
    Template(
        "confirm", "{question}?\nDoes the following confirm it or deny it?\n{passage}", choices=("deny", "confirm"), reserved=True
    ),
)


def _boolq(example):
    return {
        "passage": example["passage"],
        "question": example["question"].strip().rstrip("?"),
        "title": example["title"],
        "label": int(example["answer"]),
        "reply": ("no", "yes")[int(example["answer"])],
    }


_MULTIRC = (
    Template(
        "correct",
        "{paragraph}\n\nQuestion: {question}\nGiven answer: {candidate}\nIs the given answer correct?",
        choices=("no", "yes"),
    ),
    Template(
        "marking",
        "You are marking a reading test.\nText: {paragraph}\nTask: {question}\nA pupil wrote: {candidate}\nTick or cross?",
        choices=("cross", "tick"),
    ),
    Template(
        "several",
        "A question may have several right answers. Is this one of them?\nQ: {question}\nA: {candidate}\n"
        "Text: {paragraph}\n{options}",
        choices=("It is not", "It is"),
    ),
    Template(
        "true_false", "{paragraph}\nAsked '{question}', somebody says '{candidate}'. True or false?", choices=("false", "true")
    ),
    Template(
        "combine",
        "Combine what the sentences of the passage say, then judge the answer.\nPassage: {paragraph}\n"
        "Question: {question}\nAnswer: {candidate}\nRight or wrong?",
        choices=("wrong", "right"),
    ),
    Template(
        "ask",
        "{paragraph}\nWrite a question on this text to which '{candidate}' would be a {verdict} answer.",
        response="{question}",
        original_task=False,
    ),
    Template("answer", "{paragraph}\n{question} Give an answer that is {verdict}.", response="{candidate}", original_task=False),
    Template(
        "holds",
        "Does the answer hold up against the text?\n[text] {paragraph}\n[question] {question}\n[answer] {candidate}",
        choices=("does not hold up", "holds up"),
        reserved=True,
    ),
    Template(
        "fits",
        "Question: {question}\nHere is where to look: {paragraph}\nDoes '{candidate}' fit as an answer?\n{options}",
        choices=("does not fit", "fits"),
        reserved=True,
    ),
    Template(
        "valid",
        "Valid or invalid answer? {question} -- {candidate}\nThe text it is about:\n{paragraph}",
        choices=("invalid", "valid"),
        reserved=True,
    ),
)


def _multirc(example):
    return {
        "paragraph": example["paragraph"],
        "question": example["question"],
        "candidate": example["answer"],
        "label": example["label"],
        "verdict": ("wrong", "correct")[example["label"]],
    }


_OPENBOOKQA = (
    Template("fact_question", "{fact}\nWith this in mind, complete or answer: {question}\n{options}"),
    Template("options", "Fact: {fact}\nQuestion: {question}\n{options}"),
    Template("open_book", "In an open-book test, the book says that {fact}. Which answer do you give?\n{question}\n{options}"),
    Template("apply", "Apply what you know to a new case.\nWhat you know: {fact}\nThe case: {question}\n{options}"),
    Template(
        "teacher", "After a lesson on the fact that {fact}, the teacher asks: {question}\nWhat should the class say?\n{options}"
    ),
    Template(
        "which_fact",
        "The answer to '{question}' is '{answer}'. Name the fact of elementary science behind it.",
        response="{fact}",
        original_task=False,
    ),
    Template(
        "make_question",
        "Make up a test question about the fact that {fact}. The correct answer must be '{answer}'.",
        response="{question}",
        original_task=False,
    ),
    Template("choose", "Use the fact to choose.\n{question}\n{options}\n(fact: {fact})", reserved=True),
    Template("reason", "Given: {fact}\nReason from it. {question}\nThe conclusion is one of these:\n{options}", reserved=True),
    Template("science", "Elementary science. {question} Choose one, remembering that {fact}.\n{options}", reserved=True),
)


def _openbookqa(example):
    question = example["question"]
    options = [question[f"choice_{letter}"] for letter in "ABCD"]
    label = example["answerKey"]
    return {
        "fact": example["fact1"].strip().rstrip("."),
        "question": question["stem"],
        "options": options,
        "answer": options[label] if label >= 0 else "",
    }


_RACE = (  # all with their options: many a question is "Which of the following is true?"
    Template("plain", "{article}\n\n{question}\n{options}"),
    Template("exam", "English exam, reading.\n\n{article}\n\nQuestion: {question}\nMark one answer.\n{options}"),
    Template("question_first", "Keep this question in mind while you read: {question}\n\n{article}\n\nNow choose.\n{options}"),
    Template(
        "gap",
        "Answer the question, or fill its gap (_), from the article.\nArticle: {article}\nQuestion: {question}\n"
        "To choose from:\n{options}",
    ),
    Template("text_says", "{article}\nGoing by the text, which of these is right?\n{question}\n{options}"),
    Template(
        "write_item",
        "Write a question for a reading test on the text below. Its answer should be '{answer}'.\n{article}",
        response="{question}",
        original_task=False,
    ),
    Template(
        "write_article",
        "Write a text for an English class to go with this test item.\nQuestion: {question}\nAnswer: {answer}",
        response="{article}",
        original_task=False,
    ),
    Template("select", "Read.\n{article}\nSelect the best alternative for: {question}\n{options}", reserved=True),
    Template("key", "One of the lines is the key to this item. Which?\n{question}\n{options}\n\nText: {article}", reserved=True),
    Template(
        "options_before",
        "{options}\nOne of the lines above answers the question on the article below. Which?\n{question}\n{article}",
        reserved=True,
    ),
)


def _race(example):
    """The first question of an article."""
    if not example["questions"]:
        return None
    options, letter = example["options"][0], example["answers"][0]
    number = "ABCD".find(letter) if letter else -1
    return {
        "article": example["article"],
        "question": example["questions"][0],
        "options": options,
        "answer": options[number] if 0 <= number < len(options) else "",
    }


_QA4MRE = (  # all with their options, of which one is "None of the above"
    Template("lecture", "{document}\n\nQuestion on the text ({topic}): {question}\n{options}\nAnswer:"),
    Template("options", "Topic: {topic}\n{document}\n\n{question}\n{options}"),
    Template(
        "study",
        "Study the document, then settle the question.\nQuestion: {question}\nDocument: {document}\nPossible answers:\n{options}",
    ),
    Template(
        "machine",
        "You are a machine reader under test. Document: {document}\nTest question: {question}\n"
        "Respond with the one correct candidate.\n{options}",
    ),
    Template(
        "eliminate",
        "Rule out the candidates that the text does not support; name the one that is left.\n{options}\n"
        "To answer: {question}\nText: {document}",
    ),
    Template(
        "topic",
        "In a word or two, which field of interest does this document belong to?\n{document}",
        response="{topic}",
        original_task=False,
    ),
    Template(
        "compose",
        "Compose a question on the following document whose answer is '{answer}'.\n{document}",
        response="{question}",
        original_task=False,
    ),
    Template(
        "best", "{question}\nThe document that tells you about it:\n{document}\nThe best answer is\n{options}", reserved=True
    ),
    Template("read", "Having read all of this:\n{document}\nhow would you answer? {question}\n{options}", reserved=True),
    Template(
        "decide",
        "A reader who is well versed in {topic} should have no trouble to choose.\n{document}\n{question}\n{options}",
        reserved=True,
    ),
)


def _qa4mre(example):
    return {
        "document": example["document_str"],
        "topic": example["topic_name"],
        "question": example["question_str"],
        "options": example["answer_options"]["answer_str"],
        "answer": example["correct_answer_str"],
    }


_CHOICE = ("question", "options", "answer")

DATASETS = (
    FlanDataset(
        "bool_q",
        CLUSTER,
        "bool_q:1.0.0",
        ("passage", "question", "title", "label", "reply"),
        _BOOLQ,
        record=_boolq,
        splits={"train": "train", "validation": "validation"},
        reference="Clark et al. 2019, arXiv:1905.10044",
    ),
    FlanDataset(
        "multirc",
        CLUSTER,
        "super_glue/multirc:1.0.2",
        ("paragraph", "question", "candidate", "label", "verdict"),
        _MULTIRC,
        record=_multirc,
        classes=("False", "True"),
        splits={"train": "train", "validation": "validation"},
        reference="Khashabi et al. 2018",
    ),
    FlanDataset(
        "openbookqa",
        CLUSTER,
        "openbookqa:0.1.0",
        ("fact", *_CHOICE),
        _OPENBOOKQA,
        record=_openbookqa,
        reference="Mihaylov et al. 2018, arXiv:1809.02789",
    ),
    FlanDataset(
        "qa4mre",
        CLUSTER,
        "qa4mre/2013.main.EN:0.1.0",
        ("document", "topic", *_CHOICE),
        _QA4MRE,
        record=_qa4mre,
        splits={"train": "train"},
        reference="Sutcliffe et al. 2013",
    ),
    *(
        FlanDataset(
            f"race_{level}",
            CLUSTER,
            f"race/{level}:2.0.0",
            ("article", *_CHOICE),
            _RACE,
            record=_race,
            splits={"train": "train", "validation": "dev", "test": "test"},
            reference="Lai et al. 2017, arXiv:1704.04683",
        )
        for level in ("high", "middle")
    ),
)
