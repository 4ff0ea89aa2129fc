"""Structure to text, from sets of facts: concepts, triples and attributes become sentences."""

import re

from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.text.templates import Template

CLUSTER = "structure_to_text"

_COMMON_GEN = (
    Template("sentence", "Write a sentence about everyday life in which all of these occur: {concepts}", response="{sentence}"),
    Template("picture", "A picture shows {concepts}. What is going on in it?", response="{sentence}"),
    Template("keywords", "Keywords: {concepts}\nSentence:", response="{sentence}"),
    Template("game", "In a word game you drew {concepts}. Use every one of them in a plausible sentence.", response="{sentence}"),
    Template("connect", "How could these be connected? One sentence, please.\n{concepts}", response="{sentence}"),
    Template("concepts", "Which concepts is this sentence built from? {sentence}", response="{concepts}", original_task=False),
    Template(
        "key_words",
        "{sentence}\n\nList the base forms of the key words in that, separated by commas.",
        response="{concepts}",
        original_task=False,
    ),
    Template("scene_reserved", "Describe a scene with {concepts}.", response="{sentence}", reserved=True),
    Template(
        "put_together_reserved",
        "Put these words together to a sentence that makes sense: {concepts}",
        response="{sentence}",
        reserved=True,
    ),
    Template(
        "teacher_reserved",
        "The teacher writes {concepts} on the board. Which sentence can be made of these?",
        response="{sentence}",
        reserved=True,
    ),
)

_DART = (
    Template(
        "facts", "Say in words what these facts state, given as subject | relation | object.\n\n{triples}", response="{text}"
    ),
    Template("database", "A database returns\n{triples}\nRead it out to somebody in plain English.", response="{text}"),
    Template("triples", "Triples:\n{triples}\nText:", response="{text}"),
    Template("cover", "Write a sentence or two that cover every line below.\n{triples}", response="{text}"),
    Template("no_tables", "{triples}\n\nMy readers dislike tables. How would you write that?", response="{text}"),
    Template(
        "extract",
        "Write the facts in this text as lines of subject | relation | object.\n\n{text}",
        response="{triples}",
        original_task=False,
    ),
    Template(
        "graph",
        "{text}\n\nWhat would a knowledge graph store of this? One triple a line.",
        response="{triples}",
        original_task=False,
    ),
    Template("verbalise_reserved", "Put this data into words.\n{triples}", response="{text}", reserved=True),
    Template(
        "express_reserved",
        "Express the relations listed here in natural language.\n\n{triples}",
        response="{text}",
        reserved=True,
    ),
    Template("sentence_reserved", "{triples}\n\nThe same as a sentence:", response="{text}", reserved=True),
)

_WEB_NLG = (
    Template(
        "encyclopedia",
        "Write a short encyclopedia text from these facts about the topic {category}.\n\n{triples}",
        response="{text}",
    ),
    Template("tell", "This is known:\n{triples}\nTell it to somebody who asks.", response="{text}"),
    Template("statements", "Put the statements into fluent English and leave none out.\n{triples}", response="{text}"),
    Template("rdf", "RDF: {triples}\nEnglish:", response="{text}"),
    Template("voice", "A voice assistant found the following. What should it say?\n{triples}", response="{text}"),
    Template(
        "extract",
        "Which facts does this state? Give a line each: subject | property | object.\n{text}",
        response="{triples}",
        original_task=False,
    ),
    Template("category", "Under which category would you file this text? {text}", response="{category}", original_task=False),
    Template("write_text_reserved", "{triples}\n\nWrite these facts out as text.", response="{text}", reserved=True),
    Template(
        "describe_reserved",
        "Describe what the data says.\nCategory: {category}\nData: {triples}",
        response="{text}",
        reserved=True,
    ),
    Template("in_words_reserved", "Say this in full sentences, please: {triples}", response="{text}", reserved=True),
)

_E2E = (
    Template("guide", "Write the line of a city guide for this place.\n\n{attributes}", response="{text}"),
    Template(
        "recommend", "Somebody looks for a place to eat. You know of one:\n{attributes}\nTell them about it.", response="{text}"
    ),
    Template("describe", "Describe the restaurant with these attributes.\n{attributes}", response="{text}"),
    Template("listing", "Listing:\n{attributes}\nAs text:", response="{text}"),
    Template("every_detail", "Make sentences of the details below, and use every one.\n\n{attributes}", response="{text}"),
    Template(
        "extract",
        "List the attributes of the place as name: value, one to a line.\n\n{text}",
        response="{attributes}",
        original_task=False,
    ),
    Template(
        "form",
        "Fill in the form for a directory of restaurants from this description. {text}",
        response="{attributes}",
        original_task=False,
    ),
    Template(
        "say_reserved", "How would you talk about a venue with this profile?\n{attributes}", response="{text}", reserved=True
    ),
    Template(
        "advert_reserved",
        "{attributes}\n\nTurn the above into an advertisement of a sentence or two.",
        response="{text}",
        reserved=True,
    ),
    Template("text_reserved", "Generate a description.\n{attributes}\nDescription:", response="{text}", reserved=True),
)

_CS_RESTAURANTS = (
    Template("say", "An assistant for restaurants that speaks Czech is to express {act}. What does it say?", response="{text}"),
    Template("act", "Dialogue act: {act}\nCzech utterance:", response="{text}"),
    Template("phone", "On the phone to a guest from Prague, put {act} into a Czech sentence.", response="{text}"),
    Template("realise", "Write a sentence in Czech that carries out this act: {act}", response="{text}"),
    Template("next_turn", "The planner of a dialogue system chose {act}. Produce the next turn, in Czech.", response="{text}"),
    Template("which_act", "Which dialogue act is this Czech sentence? {text}", response="{act}", original_task=False),
    Template(
        "annotate",
        "Give the act and its slots for what the Czech assistant said.\n{text}",
        response="{act}",
        original_task=False,
    ),
    Template("czech_reserved", "{act}\nHow does one say that in Czech?", response="{text}", reserved=True),
    Template("answer_reserved", "Give the assistant's Czech wording for: {act}", response="{text}", reserved=True),
    Template("generate_reserved", "Generate Czech text from the meaning {act}.", response="{text}", reserved=True),
)


def _common_gen(example):
    return {"concepts": ", ".join(example["concepts"]), "sentence": example["target"]}


_DART_MARKS = {"[TABLECONTEXT]": "table", "[TITLE]": "title"}  # of triples that tell a table's title


def _dart(example):
    table = example["input_text"]["table"]
    triples = {}  # cells come triple by triple: subject, predicate, object
    for number, content in zip(table["row_number"], table["content"], strict=True):
        triples.setdefault(number, []).append(_DART_MARKS.get(content, content))
    return {"triples": "\n".join(" | ".join(parts) for parts in triples.values()), "text": example["target_text"]}


def _web_nlg(example):
    triples = "\n".join(example["input"]).replace("_", " ")
    category = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", example["category"])  # "MeanOfTransportation"
    return {"category": category, "triples": triples, "text": example["target"]}


def _e2e(example):
    table = example["input_text"]["table"]
    pairs = zip(table["column_header"], table["content"], strict=True)
    return {"attributes": "\n".join(f"{name}: {value}" for name, value in pairs), "text": example["target_text"]}


def _cs_restaurants(example):
    return {"act": example["dialog_act"], "text": example["target"]}


_METRICS = ("rouge_l", "bleu")

DATASETS = (
    FlanDataset(
        "common_gen",
        CLUSTER,
        "gem/common_gen:1.1.0",
        ("concepts", "sentence"),
        _COMMON_GEN,
        record=_common_gen,
        splits={"train": "train", "validation": "validation"},
        metrics=_METRICS,
        reference="Lin et al. 2020, arXiv:1911.03705",
    ),
    FlanDataset(
        "dart",
        CLUSTER,
        "dart:0.1.0",
        ("triples", "text"),
        _DART,
        record=_dart,
        metrics=_METRICS,
        reference="Nan et al. 2021, arXiv:2007.02871",
    ),
    FlanDataset(
        "web_nlg_en",
        CLUSTER,
        "gem/web_nlg_en:1.1.0",
        ("category", "triples", "text"),
        _WEB_NLG,
        record=_web_nlg,
        metrics=_METRICS,
        reference="Gardent et al. 2017",
    ),
    FlanDataset(
        "e2e_cleaned",
        CLUSTER,
        "e2e_cleaned:0.1.0",
        ("attributes", "text"),
        _E2E,
        record=_e2e,
        metrics=_METRICS,
        reference="Dušek et al. 2019, arXiv:1911.03905",
    ),
    FlanDataset(
        "cs_restaurants",
        CLUSTER,
        "gem/cs_restaurants:1.1.0",
        ("act", "text"),
        _CS_RESTAURANTS,
        record=_cs_restaurants,
        metrics=_METRICS,
        language="cs",
        reference="Dušek and Jurčíček 2019, arXiv:1910.05298",
    ),
)
