"""Miscellaneous tasks on language: acceptability, senses of words, simpler wording, names, civility, questions out of context."""

import itertools
from collections.abc import Mapping, Sequence

from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.text.templates import Template

CLUSTER = "miscellaneous"

_COLA = (
    Template("native", "Would a native speaker of English say this?\n{sentence}", choices=("no", "yes")),
    Template(
        "options", 'What should a student of grammar say of "{sentence}"?\n{options}', choices=("unacceptable", "acceptable")
    ),
    Template(
        "asterisk",
        "Linguists put an asterisk before sentences that are wrong. Does this one need it? {sentence}",
        choices=("yes", "no"),
    ),
    Template("editor", "{sentence}\nIs the sentence well formed?", choices=("it is not", "it is")),
    Template("sounds", 'Read it aloud: "{sentence}" How does it sound?\n{options}', choices=("odd", "fine")),
    Template(
        "write",
        "For a textbook on syntax, write an example sentence that is {judgement}.",
        response="{sentence}",
        original_task=False,
    ),
    Template(
        "example",
        "Give me an English sentence that a linguist would mark as {judgement}.",
        response="{sentence}",
        original_task=False,
    ),
    Template("correct_reserved", "Is this correct English? {sentence}", choices=("no", "yes"), reserved=True),
    Template(
        "acceptable_reserved",
        "Sentence: {sentence}\nJudgement:\n{options}",
        choices=("unacceptable", "acceptable"),
        reserved=True,
    ),
    Template(
        "mistake_reserved",
        "Does the following contain a mistake of grammar?\n\n{sentence}",
        choices=("it does", "it does not"),
        reserved=True,
    ),
)

_WIC = (
    Template("same_sense", '1. {sentence1}\n2. {sentence2}\nDoes "{word}" have the same sense in both?', choices=("no", "yes")),
    Template(
        "dictionary",
        'A dictionary lists several senses of "{word}". Do these examples stand under one sense or under two?\n{sentence1}\n'
        "{sentence2}",
        choices=("under two", "under one"),
    ),
    Template(
        "options",
        "Word: {word}\nFirst use: {sentence1}\nSecond use: {sentence2}\nWhat do the two uses have?\n{options}",
        choices=("different meanings", "the same meaning"),
    ),
    Template(
        "translate",
        '"{word}" occurs in "{sentence1}" and in "{sentence2}". Is the same thing meant?',
        choices=("something else", "the same thing"),
    ),
    Template(
        "compare", "Compare how {word} is used here:\n- {sentence1}\n- {sentence2}\nThe meanings", choices=("differ", "agree")
    ),
    Template(
        "write_second",
        'Take the word "{word}" as in: {sentence1}\nWrite another example in which it {relation}.',
        response="{sentence2}",
        original_task=False,
    ),
    Template(
        "write_first",
        "{sentence2}\nUse {word} again in a phrase of your own, where it {relation}.",
        response="{sentence1}",
        original_task=False,
    ),
    Template(
        "identical_reserved",
        'Is the meaning of "{word}" identical in these?\n{sentence1}\n{sentence2}',
        choices=("no", "yes"),
        reserved=True,
    ),
    Template(
        "change_reserved",
        "{sentence1} {sentence2} Between the two, did the sense of {word} change?",
        choices=("it did", "it did not"),
        reserved=True,
    ),
    Template(
        "use_reserved",
        "Two uses of {word}:\n{sentence1}\n{sentence2}\nHow many senses is that?\n{options}",
        choices=("two senses", "one sense"),
        reserved=True,
    ),
)

_WIKI_AUTO = (
    Template("simpler", "Say this in simpler words: {source}", response="{target}"),
    Template("learner", "I am learning English and cannot follow this. Help me.\n\n{source}", response="{target}"),
    Template("child", "How would you put that to a child of ten? {source}", response="{target}"),
    Template("simple_encyclopedia", "Rewrite the sentence for an encyclopedia in basic English.\n{source}", response="{target}"),
    Template("plain", "Original: {source}\nPlain English:", response="{target}"),
    Template(
        "elaborate", "Make this sentence fit for a scholarly encyclopedia. {target}", response="{source}", original_task=False
    ),
    Template(
        "complex", "{target}\n\nThat was simplified. What might the original have been?", response="{source}", original_task=False
    ),
    Template("simplify_reserved", "Simplify: {source}", response="{target}", reserved=True),
    Template(
        "easier_reserved", "{source}\n\nMake that easier to read, but keep what it says.", response="{target}", reserved=True
    ),
    Template(
        "short_words_reserved",
        "Use short words and short sentences to say the following.\n{source}",
        response="{target}",
        reserved=True,
    ),
)

_QRECC = (
    Template(
        "stand_alone",
        "So far:\n{history}\n\nThe next question is: {question}\nRephrase it so that it stands alone.",
        response="{rewrite}",
    ),
    Template(
        "search_box",
        "{history}\n{question}\n\nWhat should I type into a search box to get the last question answered?",
        response="{rewrite}",
    ),
    Template(
        "pronouns",
        "Replace whatever in the last question points back to the conversation.\n\n{history}\nLast question: {question}",
        response="{rewrite}",
    ),
    Template(
        "newcomer",
        'A newcomer hears "{question}" Put it so that they understand it, given this talk before it:\n{history}',
        response="{rewrite}",
    ),
    Template("rewrite", "Conversation:\n{history}\nFollow-up: {question}\nFull question:", response="{rewrite}"),
    Template(
        "shorten",
        "{history}\n\nAsk the following as briefly as people do in conversation: {rewrite}",
        response="{question}",
        original_task=False,
    ),
    Template(
        "in_dialogue",
        "A chat went like this:\n{history}\nHow would a person now ask: {rewrite}",
        response="{question}",
        original_task=False,
    ),
    Template(
        "context_reserved",
        "Context:\n{history}\nMake this question understandable without it: {question}",
        response="{rewrite}",
        reserved=True,
    ),
    Template(
        "explicit_reserved",
        "{history}\n{question}\n\nWhat exactly is being asked in the end? Write the whole question.",
        response="{rewrite}",
        reserved=True,
    ),
    Template(
        "complete_reserved",
        "Complete the question with what was said before.\nBefore: {history}\nQuestion: {question}",
        response="{rewrite}",
        reserved=True,
    ),
)

_CONLL = (
    Template(
        "names",
        "List the names in this sentence, each with its kind: person, organization, location or other.\n\n{sentence}",
        response="{names}",
    ),
    Template(
        "index",
        "For the index of a newspaper, which names occur here, and of what kind are they?\n{sentence}",
        response="{names}",
    ),
    Template("highlight", "{sentence}\n\nMark the named entities and say what each one is.", response="{names}"),
    Template("who_where", "Who and what is named, and which places? {sentence}", response="{names}"),
    Template("extract", "Text: {sentence}\nEntities:", response="{names}"),
    Template(
        "write",
        "Write a sentence from a news report in which these names occur.\n{names}",
        response="{sentence}",
        original_task=False,
    ),
    Template(
        "weave", "{names}\n\nA wire report mentions all of these. Give its line.", response="{sentence}", original_task=False
    ),
    Template("recognise_reserved", "Find the named entities in this text. {sentence}", response="{names}", reserved=True),
    Template(
        "proper_reserved",
        "Which proper names stand in the text below, and what do they name?\n\n{sentence}",
        response="{names}",
        reserved=True,
    ),
    Template("by_type_reserved", "{sentence}\nNames in it, each with its type:", response="{names}", reserved=True),
)

_CIVIL = (
    Template("moderator", "You moderate the comments of a newspaper. Let this one through?\n\n{comment}", choices=("yes", "no")),
    Template("options", "How would most readers call this comment?\n{comment}\n{options}", choices=("civil", "toxic")),
    Template("hurtful", "{comment}\nMight that drive others out of the discussion?", choices=("it would not", "it might")),
    Template("rude", "Is the author rude here? {comment}", choices=("no", "yes")),
    Template("flag", "Comment: {comment}\nKeep or flag?", choices=("keep", "flag")),
    Template(
        "tone", "Mind the tone, not the opinion. Is this remark respectful?\n\n{comment}", choices=("respectful", "disrespectful")
    ),
    Template("queue", "Sort for the moderators' queue.\n{options}\n\n{comment}", choices=("nothing to do", "needs a look")),
    Template("toxic_reserved", "Would you call this toxic? {comment}", choices=("no", "yes"), reserved=True),
    Template("civil_reserved", 'Is "{comment}" a civil contribution to a debate?', choices=("it is", "it is not"), reserved=True),
    Template(
        "reader_reserved",
        "{comment}\n\nA reader reports the above as offensive. Is the report justified?\n{options}",
        choices=("unjustified", "justified"),
        reserved=True,
    ),
)


def _cola(example):
    label = example["label"]
    return {
        "sentence": example["sentence"],
        "label": label,
        "judgement": ("unacceptable", "acceptable")[label] if label >= 0 else "",
    }


def _wic(example):
    same = example["label"] == 1
    return {
        "word": example["word"],
        "sentence1": example["sentence1"],
        "sentence2": example["sentence2"],
        "label": example["label"],
        "relation": "means the same" if same else "means something else",
    }


def _qrecc(example):
    """The turns before are questions and answers in turn; a first question has none, needs no rewriting and is left out."""
    return {
        "history": "\n".join(
            f"{speaker}: {turn}" for speaker, turn in zip(itertools.cycle("QA"), example["context"], strict=False)
        ),
        "question": example["question"],
        "rewrite": example["question_rewrite"],
    }


NER_CLASSES = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
_KINDS = {"PER": "person", "ORG": "organization", "LOC": "location", "MISC": "other"}


def _conll(example):
    return {"sentence": " ".join(example["tokens"]), "names": named(example["tokens"], example["ner"])}


def named(tokens: Sequence[str], tags: Sequence[int]) -> str:
    """The names in a tagged sentence, one a line with its kind, in their order; "" where there is none.

    >>> named(["Ada", "Lovelace", "was", "born", "in", "London"], [1, 2, 0, 0, 0, 5])
    'Ada Lovelace (person)\\nLondon (location)'
    """
    spans: list[tuple[str, list[str]]] = []
    before = "O"
    for token, tag in zip(tokens, map(NER_CLASSES.__getitem__, tags), strict=True):
        if tag != "O":
            kind = tag.partition("-")[2]
            if tag.startswith("B-") or before.partition("-")[2] != kind:
                spans.append((kind, []))
            spans[-1][1].append(token)
        before = tag
    return "\n".join(f"{' '.join(words)} ({_KINDS[kind]})" for kind, words in spans)


def _civil(example: Mapping) -> dict | None:
    share = example["toxicity"]  # of the raters who found it toxic
    if 0.1 < share < 0.5:  # raters do not agree enough
        return None
    return {"comment": example["text"], "label": int(share >= 0.5)}


DATASETS = (
    FlanDataset(
        "cola",
        CLUSTER,
        "glue/cola:2.0.0",
        ("sentence", "label", "judgement"),
        _COLA,
        record=_cola,
        classes=("unacceptable", "acceptable"),
        splits={"train": "train", "validation": "validation"},
        reference="Warstadt et al. 2018, arXiv:1805.12471",
    ),
    FlanDataset(
        "wic",
        CLUSTER,
        "super_glue/wic:1.0.2",
        ("word", "sentence1", "sentence2", "label", "relation"),
        _WIC,
        record=_wic,
        classes=("False", "True"),
        splits={"train": "train", "validation": "validation"},
        reference="Pilehvar and Camacho-Collados 2019, arXiv:1808.09121",
    ),
    FlanDataset(
        "wiki_auto",
        CLUSTER,
        "gem/wiki_auto_asset_turk:1.1.0",
        ("source", "target"),
        _WIKI_AUTO,
        splits={"train": "train", "validation": "validation", "test": "test_asset"},
        metrics=("rouge_l", "bleu"),
        reference="Jiang et al. 2020, arXiv:2005.02324; Alva-Manchego et al. 2020, arXiv:2005.00481",
    ),
    FlanDataset(
        "qrecc",
        CLUSTER,
        "q_re_cc:1.0.0",
        ("history", "question", "rewrite"),
        _QRECC,
        record=_qrecc,
        splits={"train": "train", "test": "test"},
        metrics=("rouge_l",),
        reference="Anantha et al. 2021, arXiv:2010.04898",
    ),
    FlanDataset(
        "conll2003",
        CLUSTER,
        "conll2003/conll2003:1.0.0",
        ("sentence", "names"),
        _CONLL,
        record=_conll,
        splits={"train": "train", "validation": "dev", "test": "test"},
        metrics=("token_f1",),
        reference="Tjong Kim Sang and De Meulder 2003, arXiv:cs/0306050",
    ),
    FlanDataset(
        "civil_comments",
        CLUSTER,
        "civil_comments/CivilComments:1.2.4",
        ("comment", "label"),
        _CIVIL,
        record=_civil,
        reference="Borkan et al. 2019, arXiv:1903.04561",
    ),
)
