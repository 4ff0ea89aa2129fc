"""Structure to text, from tables: highlighted cells, an infobox or a row become sentences."""

from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.tasks.flan.structure_to_text_facts import CLUSTER
from instruct_jax.text.templates import Template

_TOTTO = (
    Template(
        "cells",
        'In the section "{section}" of the page "{page}", these cells of a table are marked:\n{cells}\nState what they say.',
        response="{text}",
    ),
    Template("caption", "Page: {page}\nSection: {section}\nCells:\n{cells}\nOne-sentence description:", response="{text}"),
    Template("presenter", "You present a table about {page} and point at\n{cells}\nWhat do you say?", response="{text}"),
    Template(
        "wikipedia",
        'A Wikipedia table under "{section}" holds the following. Write the sentence for the article {page}.\n\n{cells}',
        response="{text}",
    ),
    Template(
        "read_out",
        "Read these values out as a sentence that stands on its own.\nAbout: {page}, {section}\n{cells}",
        response="{text}",
    ),
    Template(
        "cells_of",
        "Which values of a table would back this sentence? List them, a line each.\n{text}",
        response="{cells}",
        original_task=False,
    ),
    Template(
        "page_of",
        "On which Wikipedia page would you expect a table that tells this? {text}",
        response="{page}",
        original_task=False,
    ),
    Template(
        "sentence_reserved",
        "{page} - {section}\n{cells}\n\nMake a sentence of these table cells.",
        response="{text}",
        reserved=True,
    ),
    Template(
        "describe_reserved", "Describe the highlighted part of the table on {page}.\n{cells}", response="{text}", reserved=True
    ),
    Template(
        "tell_reserved", 'From the table "{section}" on {page}:\n{cells}\nWhat does it tell us?', response="{text}", reserved=True
    ),
)

_WIKI_BIO = (
    Template("biography", "Write the opening of a biography from this infobox.\n\n{infobox}", response="{text}"),
    Template("who", "Who is {name}? Use what is given.\n{infobox}", response="{text}"),
    Template("first_sentences", "{infobox}\n\nHow might the Wikipedia article on {name} begin?", response="{text}"),
    Template(
        "programme", "Write a short introduction of {name} for a conference programme.\nData:\n{infobox}", response="{text}"
    ),
    Template("profile", "Profile:\n{infobox}\nThe same as running text:", response="{text}"),
    Template(
        "infobox",
        "Fill in an infobox, one field: value a line, from this text.\n\n{text}",
        response="{infobox}",
        original_task=False,
    ),
    Template("name", "Whose biography begins like this? {text}", response="{name}", original_task=False),
    Template("introduce_reserved", "Tell us about the person in this table.\n{infobox}", response="{text}", reserved=True),
    Template("lead_reserved", "Write the lead paragraph on {name}.\n\n{infobox}", response="{text}", reserved=True),
    Template("in_prose_reserved", "{infobox}\n\nTell this in prose.", response="{text}", reserved=True),
)

_WIKI_TABLE_TEXT = (
    Template("row", "Here is a row of a table with its column names. Put it into a sentence.\n\n{row}", response="{text}"),
    Template("statistician", "{row}\n\nA statistician reads this entry to you. What do you hear?", response="{text}"),
    Template("entry", "Entry:\n{row}\nSentence:", response="{text}"),
    Template("explain", "Explain what this line of a table means.\n{row}", response="{text}"),
    Template("important", "Choose what matters in this record and say it in one sentence.\n\n{row}", response="{text}"),
    Template(
        "make_row",
        "A table has a row that says the following. Write the row as column: value, one to a line.\n{text}",
        response="{row}",
        original_task=False,
    ),
    Template(
        "structure",
        "{text}\n\nBring that into the form of a table row, with a name for each column.",
        response="{row}",
        original_task=False,
    ),
    Template("describe_reserved", "Describe the table row.\n{row}", response="{text}", reserved=True),
    Template("what_says_reserved", "{row}\n\nIn words:", response="{text}", reserved=True),
    Template("region_reserved", "What does this region of a table tell the reader?\n\n{row}", response="{text}", reserved=True),
)


def _totto(example):
    table = example["table"]
    cells = []
    for row, column in example["highlighted_cells"]:
        value = table["value"][row][column]
        header = _header(table, row, column)
        cells.append(f"{header}: {value}" if header else value)
    return {
        "page": example["table_page_title"],
        "section": example["table_section_title"] or "Table",
        "cells": "\n".join(cells),
        "text": example["target"],
    }


def _header(table, row, column):
    """The head of a cell's column, or "" where spans keep the rows' columns from lining up."""
    aligned = all(span == 1 for line in (0, row) for span in table["column_span"][line])
    aligned = aligned and all(span == 1 for line in table["row_span"][: row + 1] for span in line)
    return table["value"][0][column] if aligned and row > 0 and table["is_header"][0][column] else ""


def _wiki_bio(example):
    """The texts are tokens, in which brackets are spelled out."""
    table = example["input_text"]["table"]
    record = {
        "name": example["input_text"]["context"],
        "infobox": _lines({**table, "content": [_in_order(content) for content in table["content"]]}),
        "text": example["target_text"],
    }
    return {name: text.replace("-lrb-", "(").replace("-rrb-", ")") for name, text in record.items()}


def _in_order(content):
    """The words of an infobox's field in their order: TFDS sorts their numbers as texts, the tenth before the second.

    >>> _in_order("one ten eleven two three four five six seven eight nine")
    'one two three four five six seven eight nine ten eleven'
    """
    words = content.split()
    numbers = sorted(range(1, len(words) + 1), key=str)
    return " ".join(word for _, word in sorted(zip(numbers, words, strict=True)))


def _wiki_table_text(example):
    return {"row": _lines(example["input_text"]["table"]), "text": example["target_text"]}


def _lines(table):
    pairs = zip(table["column_header"], table["content"], strict=True)
    return "\n".join(f"{header.replace('_', ' ')}: {content}" for header, content in pairs)


_METRICS = ("rouge_l", "bleu")

DATASETS = (
    FlanDataset(
        "totto",
        CLUSTER,
        "gem/totto:1.1.0",
        ("page", "section", "cells", "text"),
        _TOTTO,
        record=_totto,
        splits={"train": "train", "validation": "validation"},
        metrics=_METRICS,
        reference="Parikh et al. 2020, arXiv:2004.14373",
    ),
    FlanDataset(
        "wiki_bio",
        CLUSTER,
        "wiki_bio:0.1.0",
        ("name", "infobox", "text"),
        _WIKI_BIO,
        record=_wiki_bio,
        metrics=_METRICS,
        reference="Lebret et al. 2016, arXiv:1603.07771",
    ),
    FlanDataset(
        "wiki_table_text",
        CLUSTER,
        "wiki_table_text:1.0.0",
        ("row", "text"),
        _WIKI_TABLE_TEXT,
        record=_wiki_table_text,
        metrics=_METRICS,
        reference="Bao et al. 2018",
    ),
)
