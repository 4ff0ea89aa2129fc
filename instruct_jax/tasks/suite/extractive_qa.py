"""Extractive question answering: a short passage of facts of different relations, and a question about one of them.

Split: the asked fact, that is subject, relation and value together ("Anna lives in Rome" is asked about in one split only).
The options are the values in the passage.
"""

import dataclasses
import functools
import random

from instruct_jax.tasks.suite import words
from instruct_jax.tasks.suite.dataset import SuiteDataset, draw
from instruct_jax.text.templates import Template

CLUSTER = "extractive_qa"
_FACTS = 3


@dataclasses.dataclass(frozen=True)
class Relation:
    """One fact about a subject: as a sentence, as a question, and restated with its value last."""

    sentence: str
    question: str
    restated: str
    values: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Domain:
    """What passages are about: the possible subjects, the word that later takes the subject's place, and its relations."""

    subjects: tuple[str, ...]
    relations: tuple[Relation, ...]


_ANIMALS, _DRINKS = words.CATEGORIES["animal"], words.CATEGORIES["drink"]
_VEHICLES, _INSTRUMENTS = words.CATEGORIES["vehicle"], words.CATEGORIES["instrument"]
_FURNITURE = words.CATEGORIES["furniture"]

DOMAINS = {
    "animal_profiles": Domain(
        tuple(f"the {animal}" for animal in _ANIMALS),
        (
            Relation("{S} lives in the {v}.", "Where does {s} live?", "The place where {s} lives is the {v}.", words.PLACES),
            Relation("{S} belongs to {v}.", "Who owns {s}?", "The owner of {s} is {v}.", words.NAMES),
            Relation("{S} is {v}.", "What colour is {s}?", "The colour of {s} is {v}.", words.COLOURS),
            Relation("{S} sleeps on a {v}.", "What does {s} sleep on?", "The place where {s} sleeps is a {v}.", _FURNITURE),
        ),
    ),
    "person_profiles": Domain(
        words.NAMES,
        (
            Relation("{S} lives in {v}.", "Where does {s} live?", "The place where {s} lives is {v}.", words.CITIES),
            Relation("{S} works as a {v}.", "What is the job of {s}?", "The job of {s} is that of a {v}.", words.JOBS),
            Relation("{S} owns a {v}.", "Which animal does {s} own?", "The animal of {s} is a {v}.", _ANIMALS),
            Relation("{S} likes {v}.", "Which drink does {s} like?", "The drink that {s} likes is {v}.", _DRINKS),
            Relation("{S} goes to work by {v}.", "How does {s} go to work?", "To go to work {s} takes a {v}.", _VEHICLES),
        ),
    ),
    "picnic_plans": Domain(
        ("the picnic", "the party", "the feast", "the dance"),
        (
            Relation("{S} is in the {v}.", "Where is {s}?", "The place of {s} is the {v}.", words.PLACES),
            Relation("{S} is on {v}.", "When is {s}?", "The day of {s} is {v}.", words.DAYS),
            Relation("{S} was the idea of {v}.", "Who had the idea?", "The person who had the idea is {v}.", words.NAMES),
            Relation("{S} has a {v}.", "Which instrument is there?", "The instrument at {s} is a {v}.", _INSTRUMENTS),
            Relation("{S} has {v}.", "Which drink is there?", "The drink at {s} is {v}.", _DRINKS),
        ),
    ),
    "shop_notices": Domain(
        ("the shop", "the bakery", "the bank", "the museum"),
        (
            Relation("{S} is in {v}.", "Where is {s}?", "The place of {s} is {v}.", words.CITIES),
            Relation("{S} belongs to {v}.", "Who owns {s}?", "The owner of {s} is {v}.", words.NAMES),
            Relation("{S} opens on {v}.", "When does {s} open?", "The day when {s} opens is {v}.", words.DAYS),
            Relation("{S} has a {v} door.", "What colour is the door?", "The colour of the door is {v}.", words.COLOURS),
        ),
    ),
    "trip_stories": Domain(
        words.NAMES,
        (
            Relation("{S} went to {v}.", "Where did {s} go?", "The place where {s} went is {v}.", words.CITIES),
            Relation("{S} went by {v}.", "How did {s} go?", "To go there {s} took a {v}.", _VEHICLES),
            Relation("{S} left on {v}.", "When did {s} go?", "The day when {s} left is {v}.", words.DAYS),
            Relation("{S} saw a {v}.", "Which animal did {s} see?", "The animal that {s} saw is a {v}.", _ANIMALS),
            Relation("{S} likes {v}.", "Which drink does {s} like?", "The drink that {s} likes is {v}.", _DRINKS),
        ),
    ),
}


@dataclasses.dataclass(frozen=True)
class Passage:
    """A subject, facts about it in random order, and the text that states them."""

    subject: str
    facts: tuple[tuple[Relation, str], ...]
    text: str

    def restated(self, fact: int) -> str:
        """One fact again, in other words, its value last."""
        relation, value = self.facts[fact]
        sentence = relation.restated.format(s=self.subject, v=value)
        return sentence[0].upper() + sentence[1:]


def make_passage(rng: random.Random, domain: Domain, count: int = _FACTS) -> Passage:
    """A passage of `count` facts of different relations; after the first sentence a pronoun stands for the subject."""
    subject = rng.choice(domain.subjects)
    relations = rng.sample(domain.relations, count)
    facts = []
    for relation in relations:
        taken = {subject, subject.removeprefix("the "), *(value for _, value in facts)}
        facts.append((relation, rng.choice([value for value in relation.values if value not in taken])))
    later = words.pronoun(subject).capitalize() if subject in words.NAMES else "It"
    heads = [subject[0].upper() + subject[1:], *[later] * (count - 1)]
    text = " ".join(relation.sentence.format(S=head, v=value) for head, (relation, value) in zip(heads, facts, strict=True))
    return Passage(subject, tuple(facts), text)


def _record(rng: random.Random, split: str, name: str) -> dict:
    def make(rng: random.Random) -> dict:
        passage = make_passage(rng, DOMAINS[name])
        relation, value = rng.choice(passage.facts)
        return {
            "passage": passage.text,
            "question": relation.question.format(s=passage.subject),
            "answer": value,
            "options": [value for _, value in passage.facts],
            "content": relation.sentence.format(S=passage.subject, v=value),
        }

    return draw(rng, split, make)


WORDINGS = (
    Template("plain", "{passage} {question}"),
    Template("read", "Read the text and answer the question. {passage} {question}"),
    Template("ask_first", "{question} {passage}"),
    Template("labelled", "Text: {passage} Question: {question} Answer:"),
    Template("one_word", "Answer in one word. {passage} {question}"),
    Template("options", "{passage} {question}\n{options}"),
    Template("write", "{passage} Write a question whose answer is {answer}.", "{question}", original_task=False),
    Template("question_first", "Question: {question} Text: {passage} Answer:", reserved=True),
    Template("answer_the", "{passage} Answer the question: {question}", reserved=True),
    Template("read_this", "Read this: {passage} {question} Answer in one word.", reserved=True),
)

DATASETS = tuple(SuiteDataset(name, CLUSTER, functools.partial(_record, name=name), WORDINGS) for name in DOMAINS)
