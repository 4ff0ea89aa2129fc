"""Entailment in science: whether evidence bears a statement out."""

from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.text.templates import Template

CLUSTER = "entailment"

_SCITAIL = (
    Template(
        "science",
        "From a science book: {premise}\nDoes this show that the next statement is true?\n{hypothesis}",
        choices=("yes", "no"),
    ),
    Template(
        "evidence",
        "Evidence: {premise}\nHypothesis: {hypothesis}\nIs the evidence sufficient?\n{options}",
        choices=("sufficient", "not sufficient"),
    ),
    Template(
        "teacher",
        "A pupil writes in a test: {hypothesis}\nThe book says: {premise}\nDoes the book bear the pupil out?",
        choices=("it does", "it does not"),
    ),
    Template("prove", 'Can "{hypothesis}" be taken as proven by "{premise}"?', choices=("proven", "not proven")),
    Template(
        "reviewer",
        "You review a school text. Each statement needs a source that entails it.\nstatement: {hypothesis}\nsource: {premise}\n"
        "Accept or reject the source?",
        choices=("accept", "reject"),
    ),
    Template(
        "write_statement",
        "{premise}\nState one scientific fact that this passage {supports}.",
        response="{hypothesis}",
        original_task=False,
    ),
    Template(
        "find_source",
        "Write a textbook sentence that, on the face of it, {supports} this: {hypothesis}",
        response="{premise}",
        original_task=False,
    ),
    Template(
        "label",
        "premise: {premise}\nhypothesis: {hypothesis}\nIs this pair entailment or neutral?",
        choices=("entailment", "neutral"),
        reserved=True,
    ),
    Template(
        "settled",
        "Suppose all you know of a subject is this: {premise}\nIs this settled then? {hypothesis}",
        choices=("settled", "not settled"),
        reserved=True,
    ),
    Template(
        "follows",
        "{hypothesis}\n\nFollows from the text below, or does not follow?\n\n{premise}\n{options}",
        choices=("follows", "does not follow"),
        reserved=True,
    ),
)


def _scitail(example):
    return {name: example[name] for name in ("premise", "hypothesis", "label")} | {
        "supports": "supports" if example["label"] == 0 else "touches upon but does not support"
    }


_CORR2CAUSE = (
    Template("valid", "{premise}\nHypothesis: {hypothesis}\nIs the hypothesis valid?", choices=("no", "yes")),
    Template(
        "statistician",
        "A statistician reports:\n{premise}\nA journalist makes of it: {hypothesis}\nIs the journalist's reading warranted?",
        choices=("not warranted", "warranted"),
    ),
    Template(
        "necessarily",
        "What is correlated need not be cause. Bear this in mind.\n{premise}\n"
        "Is it necessarily the case that the following holds? {hypothesis}",
        choices=("not necessarily", "necessarily"),
    ),
    Template(
        "deduce",
        'Can "{hypothesis}" be deduced from these findings?\n{premise}\n{options}',
        choices=("It cannot be deduced", "It can be deduced"),
    ),
    Template(
        "graph",
        "Consider every causal graph that fits the findings.\nFindings: {premise}\n"
        "Is this true in each of those graphs? {hypothesis}",
        choices=("not in each", "in each"),
    ),
    Template(
        "exam",
        "Exam question, causal inference. {premise} Say true if the statement must hold and false otherwise.\n"
        "Statement: {hypothesis}",
        choices=("false", "true"),
    ),
    Template(
        "relations",
        "{hypothesis}\nDo the following relations between variables establish this?\n{premise}",
        choices=("they do not", "they do"),
    ),
    Template(
        "conclusion", "{premise}\nConclusion drawn: {hypothesis}\nSound or unsound?", choices=("unsound", "sound"), reserved=True
    ),
    Template(
        "entails",
        "Premises: {premise}\nProposed causal claim: {hypothesis}\nAre the premises enough?\n{options}",
        choices=("not enough", "enough"),
        reserved=True,
    ),
    Template(
        "referee",
        "You referee a paper whose data say: {premise}\nIts abstract says: {hypothesis}\nPass the sentence or strike it?",
        choices=("strike", "pass"),
        reserved=True,
    ),
)


def _corr2cause(example):
    """The input is one text: "Premise: ... Hypothesis: ..."."""
    premise, _, hypothesis = example["input"].partition("Hypothesis:")
    return {"premise": premise.strip().removeprefix("Premise:"), "hypothesis": hypothesis, "label": example["label"]}


_PAIR = ("premise", "hypothesis", "label")

DATASETS = (
    FlanDataset(
        "corr2cause",
        CLUSTER,
        "corr2cause:1.0.0",
        _PAIR,
        _CORR2CAUSE,
        record=_corr2cause,
        splits={"train": "train", "validation": "dev", "test": "test"},
        reference="Jin et al. 2023, arXiv:2306.05836",
    ),
    FlanDataset(
        "sci_tail",
        CLUSTER,
        "sci_tail:1.0.0",
        (*_PAIR, "supports"),
        _SCITAIL,
        record=_scitail,
        classes=("entails", "neutral"),
        reference="Khot et al. 2018",
    ),
)
