"""Summarisation of long documents: bills, patents, papers, government reports, chapters and instructions."""

import re

from instruct_jax.tasks.flan.dataset import FlanDataset, renamed
from instruct_jax.tasks.flan.summarisation_news import CLUSTER
from instruct_jax.text.templates import Template

_BILLSUM = (
    Template("in_short", "{title}\n\n{text}\n\nWhat would this bill do?", response="{summary}"),
    Template(
        "lawmaker",
        "A lawmaker has to vote on the bill below. What are its provisions, in short?\n\n{text}",
        response="{summary}",
    ),
    Template("citizen", "Explain to citizens what the following piece of legislation changes.\n{text}", response="{summary}"),
    Template("digest", "Legislative digest\nTitle: {title}\nText: {text}\nDigest:", response="{summary}"),
    Template("provisions", "Condense this bill to its main provisions. {text}", response="{summary}"),
    Template("title", "Under what title could this bill be introduced?\n\n{text}", response="{title}", original_task=False),
    Template("draft", "Draft the text of a bill that can be summed up so:\n\n{summary}", response="{text}", original_task=False),
    Template("summarise_reserved", "Summarise the bill. {text}", response="{summary}", reserved=True),
    Template(
        "library_reserved",
        'Write the entry of a parliamentary library for "{title}".\n\n{text}',
        response="{summary}",
        reserved=True,
    ),
    Template("staff_reserved", "{text}\n\nIn brief, this legislation", response="{summary}", reserved=True),
)

_BIG_PATENT = (
    Template("abstract", "Write the abstract of this patent from its description.\n\n{description}", response="{abstract}"),
    Template("invention", "{description}\n\nWhat has been invented here?", response="{abstract}"),
    Template("examiner", "For a patent examiner, sum up what the applicant describes:\n{description}", response="{abstract}"),
    Template("form", "Description of the invention: {description}\nAbstract:", response="{abstract}"),
    Template("investor", "An investor has a minute. What is the idea of this patent?\n\n{description}", response="{abstract}"),
    Template(
        "describe",
        "Write the detailed description that belongs to this patent abstract.\n\n{abstract}",
        response="{description}",
        original_task=False,
    ),
    Template(
        "attorney",
        "{abstract}\n\nAs a patent attorney, set the invention out in full.",
        response="{description}",
        original_task=False,
    ),
    Template("summarise_reserved", "Summarise the patent below.\n\n{description}", response="{abstract}", reserved=True),
    Template(
        "front_page_reserved",
        "What should stand on the front page of this patent? {description}",
        response="{abstract}",
        reserved=True,
    ),
    Template("short_reserved", "{description}\n\nPut the invention in short.", response="{abstract}", reserved=True),
)

_PAPERS = (
    Template("abstract", "Here is the body of a scientific paper. Write its abstract.\n\n{article}", response="{abstract}"),
    Template("findings", "{article}\n\nWhat was studied here, how, and what came out?", response="{abstract}"),
    Template(
        "journal",
        "A journal sends no manuscript to review without an abstract. Supply it for this one.\n\n{article}",
        response="{abstract}",
    ),
    Template("reading_group", "Tell a reading group in one paragraph what this paper does. {article}", response="{abstract}"),
    Template("manuscript", "Manuscript: {article}\n\nAbstract:", response="{abstract}"),
    Template("paper", "Write the paper that this abstract announces.\n\n{abstract}", response="{article}", original_task=False),
    Template(
        "introduction",
        "{abstract}\n\nContinue with the paper itself, from the introduction on.",
        response="{article}",
        original_task=False,
    ),
    Template("summarise_reserved", "Summarise the following research article.\n{article}", response="{abstract}", reserved=True),
    Template(
        "contribution_reserved",
        "{article}\n\nState the contribution of this work as its abstract would.",
        response="{abstract}",
        reserved=True,
    ),
    Template(
        "index_reserved",
        "An index of papers has no abstract yet for the paper below. Write one.\n\n{article}",
        response="{abstract}",
        reserved=True,
    ),
)

_PUBMED = (
    Template(
        "abstract",
        "Below is an article from a medical journal without its abstract. Write the abstract.\n\n{article}",
        response="{abstract}",
    ),
    Template("clinician", "A clinician asks what this study means. Sum it up.\n\n{article}", response="{abstract}"),
    Template(
        "structured",
        "{article}\n\nReport the background, methods, results and conclusions in a few sentences.",
        response="{abstract}",
    ),
    Template(
        "database", "Abstract for the database of biomedical literature\nFull text: {article}\nAbstract:", response="{abstract}"
    ),
    Template(
        "poster", "The authors present this work on a poster. What should its summary say? {article}", response="{abstract}"
    ),
    Template(
        "article", "Write a biomedical article to go with this abstract.\n\n{abstract}", response="{article}", original_task=False
    ),
    Template("full_text", "{abstract}\n\nThe full text of this study might read:", response="{article}", original_task=False),
    Template(
        "summarise_reserved", "Summarise the biomedical paper that follows.\n{article}", response="{abstract}", reserved=True
    ),
    Template("what_found_reserved", "{article}\n\nWhat did these researchers do and find?", response="{abstract}", reserved=True),
    Template(
        "review_reserved", "For a review of the literature, condense this study: {article}", response="{abstract}", reserved=True
    ),
)

_GOV_REPORT = (
    Template(
        "brief", "The report below is long. What should a member of parliament know of it?\n\n{report}", response="{summary}"
    ),
    Template("executive", "Write the executive summary of this government report.\n\n{report}", response="{summary}"),
    Template("what_it_says", "{report}\n\nWhat does this report establish, and for whom does it matter?", response="{summary}"),
    Template("press", "Tell the press what the following report contains.\n{report}", response="{summary}"),
    Template("catalogue", "Report: {report}\nSummary for the catalogue:", response="{summary}"),
    Template(
        "outline",
        "An agency is to report to parliament. This is what its report will come to; write the report.\n\n{summary}",
        response="{report}",
        original_task=False,
    ),
    Template(
        "report",
        "{summary}\n\nThat sums up a government report. How does the report itself read?",
        response="{report}",
        original_task=False,
    ),
    Template(
        "summarise_reserved", "Summarise this report in several paragraphs.\n\n{report}", response="{summary}", reserved=True
    ),
    Template(
        "minister_reserved",
        "A minister will read two pages at most. Cut this report down for her.\n{report}",
        response="{summary}",
        reserved=True,
    ),
    Template("key_points_reserved", "{report}\n\nWrite out the key points of the above.", response="{summary}", reserved=True),
)

_BOOKSUM = (
    Template("chapter", "Read this chapter of a book and retell it in short.\n\n{chapter}", response="{summary}"),
    Template("study_guide", "Write the study guide's section on this chapter.\n\n{chapter}", response="{summary}"),
    Template("missed", "I missed this part of the novel. What happens in it?\n{chapter}", response="{summary}"),
    Template("plot", "{chapter}\n\nRecount the plot of the passage above.", response="{summary}"),
    Template("class", "Chapter: {chapter}\nSummary for the class:", response="{summary}"),
    Template(
        "write", "Write a chapter of a novel in which this happens.\n\n{summary}", response="{chapter}", original_task=False
    ),
    Template(
        "author",
        "{summary}\n\nThat is the outline. Be the author and write the chapter.",
        response="{chapter}",
        original_task=False,
    ),
    Template("summarise_reserved", "Summarise the chapter below.\n\n{chapter}", response="{summary}", reserved=True),
    Template("so_far_reserved", "{chapter}\n\nThe story so far:", response="{summary}", reserved=True),
    Template("events_reserved", "Which events does this chapter tell, in order? {chapter}", response="{summary}", reserved=True),
)

_WIKIHOW = (
    Template("steps", "{title}\n\n{text}\n\nGive only the steps, one to a line.", response="{steps}"),
    Template("shorten", "Shorten these instructions to what has to be done.\n\n{text}", response="{steps}"),
    Template("fridge", "Make a list out of this guide that I can stick on the fridge.\n{text}", response="{steps}"),
    Template("card", "Guide: {title}\nExplanation: {text}\nThe steps in brief:", response="{steps}"),
    Template("impatient", "For an impatient reader: what are the bare instructions in this text? {text}", response="{steps}"),
    Template("title", "These are steps of a guide. What does it teach?\n\n{steps}", response="{title}", original_task=False),
    Template("explain", 'Explain each step of "{title}" in detail:\n{steps}', response="{text}", original_task=False),
    Template("summarise_reserved", "Summarise this how-to article by its steps.\n\n{text}", response="{steps}", reserved=True),
    Template(
        "headings_reserved",
        "{text}\n\nThe paragraphs above have lost their headings. Write them.",
        response="{steps}",
        reserved=True,
    ),
    Template("do_reserved", "{text}\n\nSo what do I do, in short sentences?", response="{steps}", reserved=True),
)

_ROUGE = ("rouge_l",)


def _wikihow(example):
    title = re.sub(r"(?<=[A-Za-z)])\d+$", "", example["title"].strip())  # the release numbers guides of one name: "How to Sew2"
    return {"title": title, "text": example["text"], "steps": example["headline"]}


DATASETS = (
    FlanDataset(
        "billsum",
        CLUSTER,
        "billsum:3.0.0",
        ("title", "text", "summary"),
        _BILLSUM,
        splits={"train": "train", "test": "test"},
        metrics=_ROUGE,
        reference="Kornilova and Eidelman 2019, arXiv:1910.00523",
    ),
    FlanDataset(
        "big_patent",
        CLUSTER,
        "big_patent/all:2.1.2",
        ("description", "abstract"),
        _BIG_PATENT,
        metrics=_ROUGE,
        reference="Sharma et al. 2019, arXiv:1906.03741",
    ),
    FlanDataset(
        "scientific_papers_arxiv",
        CLUSTER,
        "scientific_papers/arxiv:1.1.1",
        ("article", "abstract"),
        _PAPERS,
        metrics=_ROUGE,
        reference="Cohan et al. 2018, arXiv:1804.05685",
    ),
    FlanDataset(
        "scientific_papers_pubmed",
        CLUSTER,
        "scientific_papers/pubmed:1.1.1",
        ("article", "abstract"),
        _PUBMED,
        metrics=_ROUGE,
        reference="Cohan et al. 2018, arXiv:1804.05685",
    ),
    FlanDataset(
        "gov_report",
        CLUSTER,
        "scrolls/gov_report:1.0.0",  # "gov_report" of TFDS 4.9 leaves every summary blank
        ("report", "summary"),
        _GOV_REPORT,
        record=renamed(report="input", summary="output"),
        splits={"train": "train", "validation": "validation"},
        metrics=_ROUGE,
        reference="Huang et al. 2021, arXiv:2104.02112; edition of SCROLLS, Shaham et al. 2022, arXiv:2201.03533",
    ),
    FlanDataset(
        "booksum_chapter",
        CLUSTER,
        "booksum/chapter:1.0.0",
        ("chapter", "summary"),
        _BOOKSUM,
        record=renamed(chapter="document", summary="summary"),
        metrics=_ROUGE,
        reference="Kryscinski et al. 2021, arXiv:2105.08209",
    ),
    FlanDataset(
        "wikihow",
        CLUSTER,
        "wikihow/all:1.2.0",
        ("title", "text", "steps"),
        _WIKIHOW,
        record=_wikihow,
        metrics=_ROUGE,
        reference="Koupaee and Wang 2018, arXiv:1810.09305",
    ),
)
