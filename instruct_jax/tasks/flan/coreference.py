"""Coreference: what a pronoun or a gap stands for."""

from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.text.templates import Template

CLUSTER = "coreference"

_DPR = (
    Template("who", '{sentence}\nWho or what is meant by "{pronoun}"?'),
    Template("options", "{sentence}\nWhat does '{pronoun}' refer to here?\n{options}"),
    Template("replace", 'Instead of "{pronoun}" the writer might have put one of these:\n{options}\nWhich is right? {sentence}'),
    Template("antecedent", "Find the antecedent of the pronoun.\nSentence: {sentence}\nPronoun: {pronoun}"),
    Template(
        "foreigner",
        "A learner of English stumbles over '{pronoun}' in the sentence below. Tell them what it stands for.\n{sentence}",
    ),
    Template("resolve", "Resolve the pronoun {pronoun} in: {sentence}\n{options}"),
    Template(
        "write",
        "Write a sentence that mentions {candidates} and uses '{pronoun}' for {answer}.",
        response="{sentence}",
        original_task=False,
    ),
    Template("points", 'The word "{pronoun}" points back to something. To what?\n\n{sentence}\n{options}', reserved=True),
    Template("mean", "In the sentence '{sentence}', the pronoun {pronoun} means", reserved=True),
    Template("without", "Read this and say, without using any pronoun, who or what '{pronoun}' is. {sentence}", reserved=True),
)


def _dpr(example):
    options, label = example["candidates"], example["label"]
    return {
        "sentence": example["sentence"],
        "pronoun": example["pronoun"],
        "options": options,
        "candidates": " and ".join(options),
        "answer": options[label] if 0 <= label < len(options) else "",
    }


_WINOGRANDE = (
    Template("blank", "Fill the blank marked by an underscore.\n{sentence}"),
    Template("options", "{sentence}\nWhat belongs where the underscore is?\n{options}"),
    Template(
        "editor", "An editor found a word missing and has two candidates.\n{options}\nText: {sentence}\nThe one to print is"
    ),
    Template("logic", "Let logic decide between the two ways to complete this: {sentence}\n{options}"),
    Template("underscore", "Replace _ in the following by what makes sense. {sentence} Answer with the missing words only."),
    Template("cloze", "Cloze test.\n{sentence}\na choice of: {candidates}\nyour choice:", reserved=True),
    Template(
        "write",
        "Write a sentence with a gap (_) that only '{answer}' fills and '{other}' does not, although both are mentioned.",
        response="{sentence}",
        original_task=False,
    ),
    Template(
        "wrong", "{sentence}\nWhich of the two would be absurd in the gap?\n{candidates}", response="{other}", original_task=False
    ),
    Template("who", "Who or what is the _ in this? {sentence}\n{options}", reserved=True),
    Template("gap", "There is a gap in the sentence; {candidates} are on offer. Which one closes it?\n{sentence}", reserved=True),
)


def _winogrande(example):
    options, label = [example["option1"], example["option2"]], example["label"]
    return {
        "sentence": example["sentence"],
        "options": options,
        "candidates": " or ".join(options),
        "answer": options[label] if label >= 0 else "",
        "other": options[1 - label],
    }


_WSC = (
    Template("same", '{marked}\nDoes the starred "{pronoun}" mean {noun} here?', choices=("no", "yes")),
    Template(
        "refer",
        "In the text below, does the pronoun between stars refer to '{noun}'?\n{marked}",
        choices=("it does not", "it does"),
    ),
    Template(
        "replace",
        "{marked}\nMay one put '{noun}' in place of *{pronoun}* and keep the sense?\n{options}",
        choices=("One may not", "One may"),
    ),
    Template(
        "one_and_the_same",
        "Are these one and the same in the text, or different?\nText: {marked}\n1. {noun}\n2. *{pronoun}*",
        choices=("different", "the same"),
    ),
    Template(
        "claim", "Text: {marked}\nClaim: by *{pronoun}*, the writer means {noun}.\nTrue or false?", choices=("false", "true")
    ),
    Template(
        "pupil",
        'A pupil was asked what the word between stars stands for in "{marked}" and replied "{noun}". Right or wrong?',
        choices=("wrong", "right"),
    ),
    Template(
        "write",
        "Compose a sentence or two with the pronoun '{pronoun}' in which it {stands} for {noun}.",
        response="{text}",
        original_task=False,
    ),
    Template(
        "link",
        "A coreference system links the starred {pronoun} to {noun}. Is the link correct?\n{marked}",
        choices=("incorrect", "correct"),
        reserved=True,
    ),
    Template(
        "understand",
        "{marked}\nIs *{pronoun}* to be understood as '{noun}'?\n{options}",
        choices=("No, as something else", "Yes, exactly"),
        reserved=True,
    ),
    Template(
        "antecedent",
        "Is {noun} the antecedent of the starred pronoun in the following? {marked}",
        choices=("it is not", "it is"),
        reserved=True,
    ),
)


def _wsc(example):
    """Stars show which of several equal pronouns is meant: TFDS gives the pronoun's place among the words."""
    words, pronoun = example["text"].split(), example["span2_text"]
    place = example["span2_index"]
    if place >= len(words) or pronoun not in words[place]:
        return None
    words[place] = words[place].replace(pronoun, f"*{pronoun}*", 1)
    return {
        "text": example["text"],
        "marked": " ".join(words),
        "noun": example["span1_text"],
        "pronoun": pronoun,
        "label": example["label"],
        "stands": ("does not stand", "stands")[example["label"]],
    }


_WSC273 = (
    Template("stand_for", "{marked}\nWhat does the word '{pronoun}', between the stars, stand for?"),
    Template("options", 'Winograd schema: {marked}\nTo what does "{pronoun}" refer?\n{options}'),
    Template(
        "common_sense", "Grammar leaves it open, common sense does not: what is '{pronoun}' in this text?\n{marked}\n{options}"
    ),
    Template("plain", 'Who or what is "{pronoun}" here? {marked}'),
    Template(
        "translate",
        "A translator must know what '{pronoun}' is before translating the passage. Help.\nPassage: {marked}\n{options}",
    ),
    Template("marked", "The pronoun is set between stars. Say what it replaces.\n{marked}"),
    Template(
        "make_schema",
        "Make up a text in which a reader needs common sense to see that '{pronoun}' is {answer}, and not {other}.",
        response="{text}",
        original_task=False,
    ),
    Template("choose", "{marked}\nChoose what the starred word refers to.\n{options}", reserved=True),
    Template("answer", "Text: {marked}\nPronoun: {pronoun}\nReferent:", reserved=True),
    Template("mix_up", "Do not mix them up.\n{options}\nWhich of these is '{pronoun}' in the text: {marked}", reserved=True),
)


def _wsc273(example):
    options, label = [example["option1_normalized"], example["option2_normalized"]], example["label"]
    text, start, end = example["text"], example["pronoun_start"], example["pronoun_end"]
    return {
        "text": text,
        "marked": f"{text[:start]}*{text[start:end]}*{text[end:]}",
        "pronoun": example["pronoun_text"],
        "options": options,
        "answer": options[label] if label >= 0 else "",
        "other": options[1 - label],
    }


_NEITHER = "neither of them"
_GAP = (
    Template("who", '{text}\n\nWhom does "{pronoun}" at the star mean?\n{options}'),
    Template(
        "biography",
        "From a biography:\n{text}\nThe starred pronoun could be about {first}, about {second}, or about {neither}. Decide.",
    ),
    Template(
        "resolve",
        "Resolve the pronoun marked with a star. Candidates: {first}; {second}. If it is not one of these, say "
        "'{neither}'.\n\n{text}",
    ),
    Template("editor", "I want to replace *{pronoun} in my article by a name. Which?\n{options}\nArticle: {text}"),
    Template("reading", "Read carefully and tell who is behind the pronoun that has a star.\n{text}\n{options}"),
    Template("question", "Question: is *{pronoun} {first}, {second} or {neither}?\nPassage: {text}\nAnswer:"),
    Template(
        "write",
        "Write an encyclopaedia passage about {first} and {second} with a star before one '{pronoun}', meaning {answer}.",
        response="{text}",
        original_task=False,
    ),
    Template("refers", "{text}\n\n*{pronoun} refers to\n{options}", reserved=True),
    Template(
        "name",
        "Name the person ({first} or {second}, else '{neither}') whom the starred {pronoun} stands for.\n{text}",
        reserved=True,
    ),
    Template(
        "two_people",
        "Two people are candidates here, {first} and {second}. Which one does the writer mean by *{pronoun}, or is it "
        "{neither}?\n{text}",
        reserved=True,
    ),
)


def _gap(example):
    start = example["Pronoun-offset"]
    options = [example["A"], example["B"], _NEITHER]
    label = 0 if example["A-coref"] else 1 if example["B-coref"] else 2
    return {
        "text": f"{example['Text'][:start]}*{example['Text'][start:]}",
        "pronoun": example["Pronoun"],
        "first": example["A"],
        "second": example["B"],
        "neither": _NEITHER,
        "options": options,
        "answer": options[label],
    }


DATASETS = (
    FlanDataset(
        "definite_pronoun_resolution",
        CLUSTER,
        "definite_pronoun_resolution:1.1.0",
        ("sentence", "pronoun", "options", "candidates", "answer"),
        _DPR,
        record=_dpr,
        splits={"train": "train", "test": "test"},
        reference="Rahman and Ng 2012",
    ),
    FlanDataset(
        "gap",
        CLUSTER,
        "gap:0.1.1",
        ("text", "pronoun", "first", "second", "neither", "options", "answer"),
        _GAP,
        record=_gap,
        reference="Webster et al. 2018, arXiv:1810.05201",
    ),
    FlanDataset(
        "winogrande",
        CLUSTER,
        "winogrande:1.2.0",
        ("sentence", "options", "candidates", "answer", "other"),
        _WINOGRANDE,
        record=_winogrande,
        splits={"train": "train_xl", "validation": "validation"},
        reference="Sakaguchi et al. 2019, arXiv:1907.10641",
    ),
    FlanDataset(
        "wsc",
        CLUSTER,
        "super_glue/wsc.fixed:1.0.2",
        ("text", "marked", "noun", "pronoun", "label", "stands"),
        _WSC,
        record=_wsc,
        classes=("False", "True"),
        splits={"train": "train", "validation": "validation"},
        reference="Levesque et al. 2012",
    ),
    FlanDataset(
        "wsc273",
        CLUSTER,
        "wsc273:1.0.0",
        ("text", "marked", "pronoun", "options", "answer", "other"),
        _WSC273,
        record=_wsc273,
        splits={"test": "test"},
        reference="Levesque et al. 2012",
    ),
)
