"""Paraphrase: whether two sentences, or two questions, say the same."""

from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.text.templates import Template

CLUSTER = "paraphrase"

_MRPC = (
    Template(
        "same_news", "{sentence1}\n{sentence2}\n\nDo these two lines from the news report the same thing?", choices=("no", "yes")
    ),
    Template(
        "options",
        "Sentence 1: {sentence1}\nSentence 2: {sentence2}\nHow do they compare in meaning?\n{options}",
        choices=("not equivalent", "equivalent"),
    ),
    Template(
        "editor",
        'An editor wants to run only one of "{sentence1}" and "{sentence2}". Would anything be lost?',
        choices=("yes", "no"),
    ),
    Template(
        "reworded",
        'Is "{sentence2}" merely a rewording of "{sentence1}"?',
        choices=("it says something else", "it is a rewording"),
    ),
    Template(
        "swap",
        "Could the first sentence take the place of the second?\n- {sentence1}\n- {sentence2}",
        choices=("it could not", "it could"),
    ),
    Template(
        "write_second",
        "Here is a sentence from a newspaper: {sentence1}\nWrite another on the same event that {relation}.",
        response="{sentence2}",
        original_task=False,
    ),
    Template(
        "write_first",
        "{sentence2}\n\nWhich sentence might a second news agency have put out, given that it {relation}?",
        response="{sentence1}",
        original_task=False,
    ),
    Template(
        "mean_same_reserved", "{sentence1} {sentence2} Same meaning or not?", choices=("not the same", "the same"), reserved=True
    ),
    Template(
        "paraphrase_reserved",
        "Text A: {sentence1}\nText B: {sentence2}\nIs B a paraphrase of A?",
        choices=("no", "yes"),
        reserved=True,
    ),
    Template(
        "tell_same_reserved",
        'Someone reads "{sentence1}" and someone else "{sentence2}". Did they learn the same?\n{options}',
        choices=("no, they did not", "yes, they did"),
        reserved=True,
    ),
)

_QQP = (
    Template(
        "merge",
        "A question site holds both of these. Should they be merged?\n{question1}\n{question2}",
        choices=("keep both", "merge them"),
    ),
    Template("one_answer", 'Would one good answer serve both "{question1}" and "{question2}"?', choices=("no", "yes")),
    Template(
        "options",
        "First question: {question1}\nSecond question: {question2}\n{options}",
        choices=("different questions", "duplicates"),
    ),
    Template(
        "asking_same",
        "{question1}\n{question2}\nAre these two people asking for the same thing?",
        choices=("they are not", "they are"),
    ),
    Template(
        "new_post", 'Before you post "{question2}": has "{question1}" asked that already?', choices=("not yet", "already asked")
    ),
    Template(
        "write_other",
        'Somebody asked "{question1}" Write a question that {relation}.',
        response="{question2}",
        original_task=False,
    ),
    Template(
        "write_one",
        "I need a pair of questions for a quiz on paraphrases. One is: {question2} The other {relation}. What could it be?",
        response="{question1}",
        original_task=False,
    ),
    Template(
        "duplicate_reserved", "Q1: {question1}\nQ2: {question2}\nIs Q2 a duplicate of Q1?", choices=("no", "yes"), reserved=True
    ),
    Template(
        "equivalent_reserved",
        "Compare: {question1} / {question2}\nThese questions are",
        choices=("different", "equivalent"),
        reserved=True,
    ),
    Template(
        "intent_reserved",
        "Do both questions have the same intent?\n\n{question1}\n\n{question2}\n\n{options}",
        choices=("different intents", "the same intent"),
        reserved=True,
    ),
)

_SCORES = ("0", "1", "2", "3", "4", "5")
_STSB = (
    Template(
        "scale", "How alike in meaning are these, from 0 (not at all) to 5 (the same)?\n{sentence1}\n{sentence2}", choices=_SCORES
    ),
    Template("options", "Grade the similarity of the two sentences.\nA. {sentence1}\nB. {sentence2}\n{options}", choices=_SCORES),
    Template(
        "words",
        '"{sentence1}" and "{sentence2}": what do they have in common?\n{options}',
        choices=("nothing", "the topic", "some details", "the gist", "all but a detail", "everything"),
    ),
    Template(
        "judge",
        "You judge how well a rewrite keeps the sense. Original: {sentence1} Rewrite: {sentence2} Give 0 to 5 points.",
        choices=_SCORES,
    ),
    Template("points", "Points for overlap in meaning, five being the most.\n{sentence1}\n{sentence2}\nPoints:", choices=_SCORES),
    Template(
        "write_second",
        "On a scale of similarity that ends at 5, write a sentence that would score {score} beside this one: {sentence1}",
        response="{sentence2}",
        original_task=False,
    ),
    Template(
        "write_first",
        "{sentence2}\nCompose a partner for this sentence. Their meanings should match to the degree {score} of 5.",
        response="{sentence1}",
        original_task=False,
    ),
    Template(
        "rate_reserved",
        'Rate from 0 to 5 how close "{sentence1}" is in meaning to "{sentence2}"',
        choices=_SCORES,
        reserved=True,
    ),
    Template(
        "score_reserved",
        "Sentence one: {sentence1}\nSentence two: {sentence2}\nSimilarity score:",
        choices=_SCORES,
        reserved=True,
    ),
    Template(
        "closeness_reserved",
        "Do these mean the same? 5 is a full yes, 0 a full no.\n{sentence1}\n{sentence2}\n{options}",
        choices=_SCORES,
        reserved=True,
    ),
)

_PAWS = (
    Template(
        "word_order",
        "These sentences use nearly the same words. Do they also tell the same facts?\n\n{sentence1}\n\n{sentence2}",
        choices=("different facts", "the same facts"),
    ),
    Template(
        "options",
        "Original: {sentence1}\nRewrite: {sentence2}\nWhat became of the meaning?\n{options}",
        choices=("it changed", "it was kept"),
    ),
    Template(
        "encyclopedia",
        'May an encyclopedia replace "{sentence1}" by "{sentence2}" without becoming wrong?',
        choices=("no", "yes"),
    ),
    Template(
        "true_of_both",
        "A: {sentence1}\nB: {sentence2}\nWhere A is true, must B be true as well, and the other way round?",
        choices=("not necessarily", "necessarily"),
    ),
    Template(
        "careful",
        "Read closely, for the words may have traded places.\n1) {sentence1}\n2) {sentence2}\nParaphrases?",
        choices=("no", "yes"),
    ),
    Template(
        "rewrite",
        "Change a few words of this sentence, or their order. Write a version that {relation}: {sentence1}",
        response="{sentence2}",
        original_task=False,
    ),
    Template(
        "rewrite_back",
        "{sentence2}\nMake a second version with almost the same words that {relation}.",
        response="{sentence1}",
        original_task=False,
    ),
    Template("same_reserved", "{sentence1}\n{sentence2}\nSame meaning?", choices=("no", "yes"), reserved=True),
    Template(
        "paraphrase_reserved",
        'Does "{sentence1}" paraphrase "{sentence2}"?\n{options}',
        choices=("it does not", "it does"),
        reserved=True,
    ),
    Template(
        "differ_reserved",
        "Do the two statements below differ in what they say?\n* {sentence1}\n* {sentence2}",
        choices=("they differ", "they agree"),
        reserved=True,
    ),
)

_PAWS_DE = (
    Template("gleich", "Sagen diese beiden Sätze dasselbe aus?\n{sentence1}\n{sentence2}", choices=("nein", "ja"), language="de"),
    Template(
        "auswahl",
        "Satz 1: {sentence1}\nSatz 2: {sentence2}\nWie verhalten sich die Bedeutungen zueinander?\n{options}",
        choices=("sie unterscheiden sich", "sie stimmen überein"),
        language="de",
    ),
    Template(
        "ersetzen",
        'Darf man "{sentence1}" durch "{sentence2}" ersetzen, ohne dass sich der Sinn ändert?',
        choices=("nein", "ja"),
        language="de",
    ),
    Template(
        "umschreibung",
        'Ist "{sentence2}" nur eine Umschreibung von "{sentence1}"?',
        choices=("keine Umschreibung", "eine Umschreibung"),
        language="de",
    ),
    Template(
        "lexikon",
        "Im Lexikon steht: {sentence1}\nJemand ändert das zu: {sentence2}\nBleibt die Aussage dieselbe?",
        choices=("nein", "ja"),
        language="de",
    ),
    Template(
        "schreibe_zweiten",
        "Bilde aus fast denselben Wörtern einen neuen Satz, der {relation}: {sentence1}",
        response="{sentence2}",
        original_task=False,
        language="de",
    ),
    Template(
        "schreibe_ersten",
        "{sentence2}\nWie könnte ein sehr ähnlicher Satz lauten, der {relation}?",
        response="{sentence1}",
        original_task=False,
        language="de",
    ),
    Template(
        "sinn_reserved",
        "A: {sentence1}\nB: {sentence2}\nHaben A und B den gleichen Sinn?",
        choices=("nein", "ja"),
        reserved=True,
        language="de",
    ),
    Template(
        "vergleich_reserved",
        "Vergleiche genau, denn die Wörter ähneln sich.\n{sentence1}\n{sentence2}\n{options}",
        choices=("verschiedene Bedeutung", "gleiche Bedeutung"),
        reserved=True,
        language="de",
    ),
    Template(
        "paraphrase_reserved",
        '"{sentence1}" - ist das eine Paraphrase von "{sentence2}"?',
        choices=("nein", "ja"),
        reserved=True,
        language="de",
    ),
)


def _mrpc(example):
    same = example["label"] == 1
    return {
        "sentence1": example["sentence1"],
        "sentence2": example["sentence2"],
        "label": example["label"],
        "relation": "says the same in other words" if same else "does not say quite the same",
    }


def _qqp(example):
    same = example["label"] == 1
    return {
        "question1": example["question1"],
        "question2": example["question2"],
        "label": example["label"],
        "relation": "asks for the same in other words" if same else "sounds related but asks for something else",
    }


def _stsb(example):
    if example["label"] < 0:  # hidden
        return None
    nearest = int(example["label"] + 0.5)  # scores are means of several raters, from 0 to 5
    return {"sentence1": example["sentence1"], "sentence2": example["sentence2"], "label": nearest, "score": str(nearest)}


def _paws(example, relations=("no longer means the same", "still means the same")):
    return {
        "sentence1": example["sentence1"],
        "sentence2": example["sentence2"],
        "label": example["label"],
        "relation": relations[example["label"]],
    }


def _paws_de(example):
    return _paws(example, ("etwas anderes bedeutet", "das Gleiche bedeutet"))


_PAIR = ("sentence1", "sentence2", "label", "relation")
_PAWS_CLASSES = ("different_meaning", "paraphrase")

DATASETS = (
    FlanDataset(
        "mrpc",
        CLUSTER,
        "glue/mrpc:2.0.0",
        _PAIR,
        _MRPC,
        record=_mrpc,
        classes=("not_equivalent", "equivalent"),
        splits={"train": "train", "validation": "validation"},
        reference="Dolan and Brockett 2005",
    ),
    FlanDataset(
        "qqp",
        CLUSTER,
        "glue/qqp:2.0.0",
        ("question1", "question2", "label", "relation"),
        _QQP,
        record=_qqp,
        classes=("not_duplicate", "duplicate"),
        splits={"train": "train", "validation": "validation"},
        reference="Iyer et al. 2017 (Quora Question Pairs); Wang et al. 2018, arXiv:1804.07461",
    ),
    FlanDataset(
        "stsb",
        CLUSTER,
        "glue/stsb:2.0.0",
        ("sentence1", "sentence2", "label", "score"),
        _STSB,
        record=_stsb,
        splits={"train": "train", "validation": "validation"},
        reference="Cer et al. 2017, arXiv:1708.00055",
    ),
    FlanDataset(
        "paws_wiki",
        CLUSTER,
        "paws_wiki/labeled_final_raw:1.1.0",
        _PAIR,
        _PAWS,
        record=_paws,
        classes=_PAWS_CLASSES,
        reference="Zhang et al. 2019, arXiv:1904.01130",
    ),
    FlanDataset(
        "paws_x_wiki_de",
        CLUSTER,
        "paws_x_wiki/de:1.0.0",
        _PAIR,
        _PAWS_DE,
        record=_paws_de,
        classes=_PAWS_CLASSES,
        language="de",
        reference="Yang et al. 2019, arXiv:1908.11828",
    ),
)
