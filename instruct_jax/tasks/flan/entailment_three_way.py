"""Entailment with three verdicts: the second statement follows, may or may not hold, or is contradicted."""

from instruct_jax.tasks.flan.dataset import FlanDataset, first, with_reasoning
from instruct_jax.text.templates import Template

CLUSTER = "entailment"

_CB = (
    Template(
        "speaker",
        "{premise}\n\nGoing by what is said here, is this so? {hypothesis}\nyes, no or unclear",
        choices=("yes", "no", "unclear"),
    ),
    Template(
        "believe",
        "Somebody tells you:\n{premise}\nIf you trust them, what should you think of the next sentence?\n{hypothesis}\n{options}",
        choices=("It is right", "It is wrong", "It remains open"),
    ),
    Template(
        "three_way", "Text: {premise}\nStatement: {hypothesis}\nTrue, false, or neither?", choices=("true", "false", "neither")
    ),
    Template(
        "committed",
        "How far does the writer of the excerpt commit to the statement? Say affirmed, denied or left open.\n"
        "Excerpt: {premise}\nStatement: {hypothesis}",
        choices=("affirmed", "denied", "left open"),
    ),
    Template(
        "suppose",
        'Suppose that this was said: {premise}\nCan we then infer "{hypothesis}"?\n{options}',
        choices=("Yes", "No", "Maybe"),
    ),
    Template(
        "nli",
        "Natural language inference, three labels.\npremise: {premise}\nhypothesis: {hypothesis}\nlabel:",
        choices=("entailment", "contradiction", "neutral"),
    ),
    Template(
        "write_hypothesis",
        "Give me a short statement that is {truth}, judging by this excerpt alone.\n\n{premise}",
        response="{hypothesis}",
        original_task=False,
    ),
    Template(
        "dialogue",
        "I read the following.\n{premise}\nMy friend sums it up as: {hypothesis}\n"
        "Is my friend correct, incorrect, or is it impossible to say?",
        choices=("correct", "incorrect", "impossible to say"),
        reserved=True,
    ),
    Template(
        "follows",
        "{premise}\nDecide whether the sentence after this line follows, conflicts, or does neither.\n{hypothesis}",
        choices=("follows", "conflicts", "neither"),
        reserved=True,
    ),
    Template(
        "certain",
        'After reading "{premise}", how sure can one be that the next line holds?\n{hypothesis}\n{options}',
        choices=("Certain that it holds", "Certain that it does not", "Not certain either way"),
        reserved=True,
    ),
)


def _cb(example):
    names = ("premise", "hypothesis", "label")
    return {name: example[name] for name in names} | {"truth": ("true", "false", "neither true nor false")[example["label"]]}


_ANLI = (
    Template(
        "context",
        "{context}\n\nBased on that paragraph, is this right? {hypothesis}\n{options}",
        choices=("Yes", "Can't tell", "No"),
    ),
    Template(
        "fact_check",
        "You check facts for a reference book. All you have is this entry:\n{context}\n\nA reader sends in:\n{hypothesis}\n"
        "Does the entry confirm it, contradict it, or say too little?",
        choices=("confirm", "too little", "contradict"),
    ),
    Template(
        "remark",
        "Passage: {context}\nRemark: {hypothesis}\nWith nothing but the passage to go by, is the remark true, false or neither?",
        choices=("true", "neither", "false"),
    ),
    Template(
        "tricky",
        "The claim below was worded to be tricky. Read closely before you answer.\nText: {context}\nClaim: {hypothesis}\n"
        "{options}",
        choices=("the claim holds", "the text does not settle it", "the claim fails"),
    ),
    Template(
        "must_may_cannot",
        "Given the text, must the claim be true, may it be true, or can it not be true?\nclaim: {hypothesis}\ntext: {context}",
        choices=("must", "may", "cannot"),
    ),
    Template("infer", '{context}\n\nCan one infer "{hypothesis}" from this?', choices=("yes", "perhaps", "no")),
    Template(
        "compose_claim",
        "{context}\n\nMake up a claim about this paragraph that {verdict}.",
        response="{hypothesis}",
        original_task=False,
    ),
    Template(
        "relation",
        "Name the relation of hypothesis to premise.\nPREMISE {context}\nHYPOTHESIS {hypothesis}\nRELATION",
        choices=("entailment", "neutral", "contradiction"),
        reserved=True,
    ),
    Template(
        "what_follows",
        "Take this as the whole truth: {context}\nWhat then of the sentence that follows?\n{hypothesis}\n{options}",
        choices=("It is definitely true", "It might be true or false", "It is definitely false"),
        reserved=True,
    ),
    Template(
        "supported",
        "{hypothesis}\nIs the line above supported, refuted or left undecided by the paragraph below?\n\n{context}",
        choices=("supported", "left undecided", "refuted"),
        reserved=True,
    ),
)


def _anli(example):
    verdict = ("is surely true", "could be true or false", "is surely false")[example["label"]]
    return {name: example[name] for name in ("context", "hypothesis", "label")} | {"verdict": verdict}


_MNLI = (
    Template(
        "plain",
        "{premise}\n\nDoes that mean the following? {hypothesis}\n{options}",
        choices=("yes", "it is not possible to tell", "no"),
    ),
    Template(
        "always",
        "If this is true: {premise}\nis this always, sometimes or never true? {hypothesis}",
        choices=("always", "sometimes", "never"),
    ),
    Template(
        "quote",
        'Someone says "{premise}" and a listener reports "{hypothesis}". Is the report faithful, possible or wrong?',
        choices=("faithful", "possible", "wrong"),
    ),
    Template(
        "two_sentences",
        "First sentence: {premise}\nSecond sentence: {hypothesis}\n"
        "The first one ... the second. Fill the gap: implies, allows or excludes.",
        choices=("implies", "allows", "excludes"),
    ),
    Template(
        "assume",
        "Assume the first line.\n{premise}\n{hypothesis}\nIs the second line true then, false, or inconclusive?",
        choices=("true", "inconclusive", "false"),
    ),
    Template(
        "annotator",
        "You annotate sentence pairs with 'entailment', 'neutral' or 'contradiction'. How do you mark this one?\n"
        "1) {premise}\n2) {hypothesis}",
        choices=("entailment", "neutral", "contradiction"),
    ),
    Template(
        "write_pair",
        "Here is a sentence: {premise}\nWrite another sentence that {relation} it.",
        response="{hypothesis}",
        original_task=False,
    ),
    Template(
        "premise_says",
        "Premise: {premise}\n\nHypothesis: {hypothesis}\n\nWhat does the premise tell us about the hypothesis?\n{options}",
        choices=("that it is true", "nothing for certain", "that it is false"),
        reserved=True,
    ),
    Template(
        "agree",
        "Would anybody who wrote the first text agree with the second one?\nfirst: {premise}\nsecond: {hypothesis}",
        choices=("they would", "hard to say", "they would not"),
        reserved=True,
    ),
    Template(
        "then",
        "{premise}\nSo then: {hypothesis}\nRight, not right, or maybe?",
        choices=("right", "maybe", "not right"),
        reserved=True,
    ),
)


def _three_way(example):
    relation = ("must be true given", "may or may not be true given", "cannot be true given")[example["label"]]
    return {name: example[name] for name in ("premise", "hypothesis", "label")} | {"relation": relation}


_ESNLI = with_reasoning(
    (
        Template(
            "scene",
            "A photo caption reads: {premise}\nIs this a true description of the same photo? {hypothesis}\n{options}",
            choices=("yes", "maybe", "no"),
        ),
        Template(
            "picture",
            "Picture this scene.\n{premise}\nNow somebody claims:\n{hypothesis}\nIs the claim certain, possible or impossible?",
            choices=("certain", "possible", "impossible"),
        ),
        Template(
            "two_captions",
            "Caption 1: {premise}\nCaption 2: {hypothesis}\nIf 1 is accurate, what about 2?\n{options}",
            choices=("accurate too", "can't be known", "inaccurate"),
        ),
        Template(
            "follow",
            '"{premise}" Does it follow that "{hypothesis}"? yes, no, or it depends',
            choices=("yes", "it depends", "no"),
        ),
        Template(
            "judge",
            "Judge the second sentence by the first: true, false or undetermined.\n{premise}\n{hypothesis}",
            choices=("true", "undetermined", "false"),
        ),
        Template(
            "explain",
            "{premise}\n{hypothesis}\nThe right label for this pair is {verdict}. In a sentence, why?",
            response="{explanation}",
            original_task=False,
        ),
        Template("describe", "Write a caption that {relation} this one: {premise}", response="{hypothesis}", original_task=False),
        Template(
            "label",
            "premise: {premise}\nhypothesis: {hypothesis}\nChoose from entailment, neutral, contradiction.",
            choices=("entailment", "neutral", "contradiction"),
            reserved=True,
        ),
        Template(
            "witness",
            "A witness saw this: {premise}\nA lawyer suggests: {hypothesis}\n"
            "Should the witness agree, disagree or say that they do not know?",
            choices=("agree", "do not know", "disagree"),
            reserved=True,
        ),
        Template(
            "know",
            "You know this and nothing else: {premise}\nWhat can you say about the following?\n{hypothesis}\n{options}",
            choices=("It has to be true", "It could go either way", "It has to be false"),
            reserved=True,
        ),
    ),
    "{explanation}\nAnswer: {answer}",
    "{explanation} So I would say: {answer}",
)


def _esnli(example):
    explanation = first([example[f"explanation_{number}"] for number in (1, 2, 3)])
    verdict = ("entailment", "neutral", "contradiction")[example["label"]]
    return _three_way(example) | {"explanation": explanation, "verdict": verdict}


_THREE = ("entailment", "neutral", "contradiction")
_PAIR = ("premise", "hypothesis", "label")

DATASETS = (
    *(
        FlanDataset(
            f"anli_{number}",
            CLUSTER,
            f"anli/{number}:0.1.0",
            ("context", "hypothesis", "label", "verdict"),
            _ANLI,
            record=_anli,
            classes=("e", "n", "c"),
            reference="Nie et al. 2020, arXiv:1910.14599",
        )
        for number in ("r1", "r2", "r3")
    ),
    FlanDataset(
        "cb",
        CLUSTER,
        "super_glue/cb:1.0.2",
        (*_PAIR, "truth"),
        _CB,
        record=_cb,
        classes=("entailment", "contradiction", "neutral"),
        splits={"train": "train", "validation": "validation"},
        reference="de Marneffe et al. 2019",
    ),
    FlanDataset(
        "esnli",
        CLUSTER,
        "esnli:0.1.0",
        (*_PAIR, "relation", "explanation", "verdict"),
        _ESNLI,
        record=_esnli,
        classes=_THREE,
        reference="Camburu et al. 2018, arXiv:1812.01193; pairs of Bowman et al. 2015, arXiv:1508.05326",
        rationale_field="explanation",
    ),
    FlanDataset(
        "mnli",
        CLUSTER,
        "glue/mnli:2.0.0",
        (*_PAIR, "relation"),
        _MNLI,
        record=_three_way,
        classes=_THREE,
        splits={"train": "train", "validation": "validation_matched"},
        reference="Williams et al. 2018, arXiv:1704.05426",
    ),
)
