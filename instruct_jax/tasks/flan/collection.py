"""The FLAN-style collection: every dataset of every cluster."""

from instruct_jax.tasks.flan import (
    closed_book_qa,
    code,
    commonsense,
    coreference,
    creative_writing,
    entailment,
    entailment_science,
    entailment_three_way,
    mathematics,
    miscellaneous,
    paraphrase,
    question_classification,
    reading_comprehension_choice,
    reading_comprehension_commonsense,
    reading_comprehension_span,
    sentiment_posts,
    sentiment_reviews,
    structure_to_text_facts,
    structure_to_text_tables,
    summarisation_documents,
    summarisation_exchanges,
    summarisation_news,
    topic_classification,
    translation,
)
from instruct_jax.tasks.flan.dataset import FlanDataset

_FILES = (
    closed_book_qa,
    code,
    commonsense,
    coreference,
    creative_writing,
    entailment,
    entailment_science,
    entailment_three_way,
    mathematics,
    miscellaneous,
    paraphrase,
    question_classification,
    reading_comprehension_choice,
    reading_comprehension_commonsense,
    reading_comprehension_span,
    sentiment_posts,
    sentiment_reviews,
    structure_to_text_facts,
    structure_to_text_tables,
    summarisation_documents,
    summarisation_exchanges,
    summarisation_news,
    topic_classification,
    translation,
)

DATASETS: tuple[FlanDataset, ...] = tuple(dataset for file in _FILES for dataset in file.DATASETS)

SIBLINGS: tuple[tuple[str, ...], ...] = (
    ("anli_r1", "anli_r2", "anli_r3"),
    ("arc_challenge", "arc_easy"),
    ("cnn_dailymail", "news_qa", "record"),
    ("dart", "e2e_cleaned", "web_nlg_en"),
    ("dolly_brainstorming", "dolly_creative_writing"),
    ("math_algebra", "math_arithmetic", "math_calculus", "math_comparison", "math_probability"),
    ("mrpc", "stsb"),
    ("natural_questions_open", "qrecc"),
    ("opinion_abstracts_rotten_tomatoes", "sst2"),
    ("paws_wiki", "paws_x_wiki_de"),
    ("qnli", "squad_v1", "squad_v2"),
    ("qrecc", "quac"),
    ("race_high", "race_middle"),
    ("scientific_papers_arxiv", "scientific_papers_pubmed"),
    ("ted_gl_en", "ted_pt_en"),
    (
        "wmt14_fr_en",
        "wmt16_cs_en",
        "wmt16_de_en",
        "wmt16_fi_en",
        "wmt16_ro_en",
        "wmt16_ru_en",
        "wmt16_tr_en",
        "wmt17_zh_en",
        "wmt19_fr_de",
    ),
    ("wnli", "wsc", "wsc273"),
)
"""Datasets that are one, or that were made from the same texts: holding out one holds out all."""

RELATIVES: tuple[tuple[str, str], ...] = (
    ("commonsense", "reading_comprehension_with_commonsense"),
    ("reading_comprehension", "reading_comprehension_with_commonsense"),
    ("entailment", "paraphrase"),
)
"""Clusters that teach each other, which FLAN holds out together (Wei et al. 2021, section 2.2)."""
