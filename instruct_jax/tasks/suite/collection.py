"""The whole suite: every dataset, and what is held out of training.

What is held out was fixed before any model was evaluated, by two rules that look at no score:

* Clusters: entailment, the held-out cluster of the instruction-tuning literature, and with it paraphrase, its near relative
  (both ask whether one sentence says what another says), so that no cousin of the held-out kind is trained. FLAN (Wei et al.
  2021, section 2.2) drops the two together for the same reason.
* Datasets: of every trained cluster with at least three datasets, the last by alphabet.

What is held out is the instruction, not the language. Plain text, read by the base model and replayed while tuning, holds the
sentences of every table and passage, those of trip_tables and trip_stories among them, and says their facts again in the very
restatements that fact_entailment makes its second statements of. Nothing in it asks, answers or judges.

Reserved wordings (three of each dataset's ten) were written together with the others and are trained by no dataset.
"""

from instruct_jax.tasks.suite import (
    arithmetic,
    commonsense,
    coreference,
    data_to_text,
    entailment,
    extractive_qa,
    information_extraction,
    odd_one_out,
    paraphrase,
    sentiment,
    string_manipulation,
    topic_classification,
)
from instruct_jax.tasks.suite.dataset import SuiteDataset

_CLUSTERS = (
    arithmetic,
    commonsense,
    coreference,
    data_to_text,
    entailment,
    extractive_qa,
    information_extraction,
    odd_one_out,
    paraphrase,
    sentiment,
    string_manipulation,
    topic_classification,
)

DATASETS: tuple[SuiteDataset, ...] = tuple(dataset for cluster in _CLUSTERS for dataset in cluster.DATASETS)

HELD_OUT_CLUSTERS: tuple[str, ...] = ("entailment", "paraphrase")

HELD_OUT_DATASETS: tuple[str, ...] = (
    "temperature_comparison",
    "trip_choices",
    "owner_pronouns",
    "trip_tables",
    "trip_stories",
    "room_items",
    "odd_in_shop",
    "trip_reviews",
    "shelf_positions",
    "word_topics",
)
