"""Entailment: whether a second statement follows from a first text, yes or no."""

from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.text.templates import Template

CLUSTER = "entailment"

_RTE = (
    Template("does_it_follow", '{sentence1}\n\nDoes it follow that "{sentence2}"?', choices=("yes", "no")),
    Template(
        "backed",
        "Passage: {sentence1}\nClaim: {sentence2}\nIs the claim backed by the passage?\n{options}",
        choices=("yes", "no"),
    ),
    Template(
        "safe", "A newspaper writes:\n{sentence1}\nWould it be safe to repeat this?\n{sentence2}", choices=("safe", "not safe")
    ),
    Template(
        "editor",
        "An editor checks a summary line against its source.\nSource: {sentence1}\nSummary line: {sentence2}\n"
        "May the line stay in, or must it go? Answer keep or cut.",
        choices=("keep", "cut"),
    ),
    Template("entails", "Sentence A: {sentence1}\nSentence B: {sentence2}\nDoes A entail B?", choices=("it does", "it does not")),
    Template(
        "write_claim",
        "Read this, then write one sentence that {follows} from it.\n\n{sentence1}",
        response="{sentence2}",
        original_task=False,
    ),
    Template(
        "write_source",
        "Invent a short news passage from which the sentence below {follows}.\n{sentence2}",
        response="{sentence1}",
        original_task=False,
    ),
    Template(
        "true",
        "{sentence1}\nGiven that, is the following true or not true? {sentence2}",
        choices=("true", "not true"),
        reserved=True,
    ),
    Template(
        "conclude", 'Can we conclude "{sentence2}" from this text?\n\n{sentence1}', choices=("we can", "we cannot"), reserved=True
    ),
    Template(
        "relation",
        "Premise: {sentence1}\nHypothesis: {sentence2}\nHow does the premise bear on the hypothesis?\n{options}",
        choices=("entailment", "not entailment"),
        reserved=True,
    ),
)


def _rte(example):
    names = ("sentence1", "sentence2", "label")
    return {name: example[name] for name in names} | {"follows": "follows" if example["label"] == 0 else "does not follow"}


_QNLI = (
    Template(
        "contains", "Q: {question}\nSentence: {sentence}\nDoes the sentence contain the answer to Q?", choices=("yes", "no")
    ),
    Template(
        "search",
        'A search for "{question}" brought up this line:\n{sentence}\n'
        "Is it a hit or a miss? A hit answers the question outright.",
        choices=("hit", "miss"),
    ),
    Template(
        "enough",
        "{sentence}\nIs that enough to answer the question? {question}\n{options}",
        choices=("It is enough", "It is not enough"),
    ),
    Template(
        "librarian",
        "You are helping at an information desk. A visitor asks: {question}\nYour colleague finds: {sentence}\n"
        "Has the visitor's question been answered?",
        choices=("answered", "not answered"),
    ),
    Template("can_answer", "Can you answer '{question}' with nothing but the text '{sentence}'?", choices=("I can", "I cannot")),
    Template(
        "write_question",
        "{sentence}\nThink of a question which this sentence {answers}.",
        response="{question}",
        original_task=False,
    ),
    Template(
        "write_sentence",
        "Write a sentence from an encyclopaedia that {answers} the question below.\n{question}",
        response="{sentence}",
        original_task=False,
    ),
    Template(
        "relevant",
        "Text: {sentence}\nQuestion: {question}\nMark the text as answering or not answering.",
        choices=("answering", "not answering"),
        reserved=True,
    ),
    Template(
        "told",
        "I asked: {question}\nI was told: {sentence}\nDid I get my answer?",
        choices=("you did", "you did not"),
        reserved=True,
    ),
    Template(
        "inside",
        "Is the answer to this question in the sentence beneath it?\n{question}\n{sentence}\n{options}",
        choices=("yes, it is", "no, it is not"),
        reserved=True,
    ),
)


def _qnli(example):
    return {name: example[name] for name in ("question", "sentence", "label")} | {
        "answers": "answers" if example["label"] == 0 else "leaves unanswered"
    }


_WNLI = (
    Template("same", "{sentence1}\nSo then: {sentence2}\nIs that what the first sentence says?", choices=("no", "yes")),
    Template(
        "resolve",
        "Read, and work out what each pronoun stands for.\n{sentence1}\nIs this right? {sentence2}\n{options}",
        choices=("wrong", "right"),
    ),
    Template(
        "if_true", "If the first of these is true, is the second?\n1. {sentence1}\n2. {sentence2}", choices=("false", "true")
    ),
    Template(
        "restated",
        "Original: {sentence1}\nPronoun replaced: {sentence2}\nHas the pronoun been replaced by the right thing?",
        choices=("it has not", "it has"),
    ),
    Template("imply", 'Does "{sentence1}" imply "{sentence2}"?', choices=("it does not", "it does")),
    Template(
        "pupil",
        "A pupil reads: {sentence1}\nand takes it to mean: {sentence2}\nDid the pupil understand?",
        choices=("misunderstood", "understood"),
    ),
    Template(
        "label", "text: {sentence1}\nhypothesis: {sentence2}\nentailed or not entailed?", choices=("not entailed", "entailed")
    ),
    Template(
        "story",
        "{sentence1}\nSomeone who hears this little story concludes: {sentence2}\nGood or bad conclusion?",
        choices=("bad", "good"),
        reserved=True,
    ),
    Template(
        "deduce",
        "May one deduce the second statement?\nFirst statement: {sentence1}\nSecond statement: {sentence2}",
        choices=("one may not", "one may"),
        reserved=True,
    ),
    Template(
        "correct",
        "{sentence2}\nIs the line above a correct reading of the line below?\n{sentence1}\n{options}",
        choices=("Not correct", "Correct"),
        reserved=True,
    ),
)


_DOCNLI = (
    Template(
        "document",
        "{premise}\n\n---\nIs everything in the summary below borne out by the document above?\n{hypothesis}",
        choices=("no", "yes"),
    ),
    Template(
        "faithful",
        "Document:\n{premise}\n\nSummary:\n{hypothesis}\n\nFaithful or unfaithful?",
        choices=("unfaithful", "faithful"),
    ),
    Template(
        "hallucinated",
        "Compare a draft with its source. Answer 'unsupported' if any part of the draft is missing from the source, else "
        "'supported'.\nSource: {premise}\nDraft: {hypothesis}",
        choices=("unsupported", "supported"),
    ),
    Template(
        "believe",
        "I have read this in full:\n{premise}\nMay I therefore say the following?\n{hypothesis}\n{options}",
        choices=("You may not", "You may"),
    ),
    Template(
        "long_entail",
        "Long premise: {premise}\nHypothesis: {hypothesis}\nDoes the premise entail the whole hypothesis?",
        choices=("it does not", "it does"),
    ),
    Template(
        "condense",
        "Condense what you read here into a few lines, so that a reader of your lines is {kept}.\n{premise}",
        response="{hypothesis}",
        original_task=False,
    ),
    Template(
        "auditor",
        "As an auditor you trace each statement back to the file. File:\n{premise}\nStatement:\n{hypothesis}\n"
        "Does it trace back?",
        choices=("does not trace back", "traces back"),
    ),
    Template(
        "true_to",
        "Is the second text true to the first?\nFirst: {premise}\nSecond: {hypothesis}",
        choices=("not true to it", "true to it"),
        reserved=True,
    ),
    Template(
        "verify",
        "Verify this against the document underneath: {hypothesis}\n\n{premise}",
        choices=("not verified", "verified"),
        reserved=True,
    ),
    Template(
        "grounded",
        "{premise}\nText to check: {hypothesis}\nIs the text to check grounded in what comes before it?\n{options}",
        choices=("not grounded", "grounded"),
        reserved=True,
    ),
)


def _docnli(example):
    return {name: example[name] for name in ("premise", "hypothesis", "label")} | {
        "kept": "misled in at least one point" if example["label"] == 0 else "told nothing but the truth"
    }


_ENTAILMENT_FIRST = ("entailment", "not_entailment")
_PAIR = ("premise", "hypothesis", "label")

DATASETS = (
    FlanDataset(
        "doc_nli",
        CLUSTER,
        "doc_nli:1.0.0",
        (*_PAIR, "kept"),
        _DOCNLI,
        record=_docnli,
        classes=("not_entailment", "entailment"),
        reference="Yin et al. 2021, arXiv:2106.09449",
    ),
    FlanDataset(
        "qnli",
        CLUSTER,
        "glue/qnli:2.0.0",
        ("question", "sentence", "label", "answers"),
        _QNLI,
        record=_qnli,
        classes=_ENTAILMENT_FIRST,
        splits={"train": "train", "validation": "validation"},
        reference="Wang et al. 2018, arXiv:1804.07461; from Rajpurkar et al. 2016",
    ),
    FlanDataset(
        "rte",
        CLUSTER,
        "glue/rte:2.0.0",
        ("sentence1", "sentence2", "label", "follows"),
        _RTE,
        record=_rte,
        classes=_ENTAILMENT_FIRST,
        splits={"train": "train", "validation": "validation"},
        reference="Dagan et al. 2006",
    ),
    FlanDataset(
        "wnli",
        CLUSTER,
        "glue/wnli:2.0.0",
        ("sentence1", "sentence2", "label"),
        _WNLI,
        classes=("not_entailment", "entailment"),
        splits={"train": "train", "validation": "validation"},
        reference="Levesque et al. 2012",
    ),
)
