"""What the collection takes out of the texts as they were released: tags, marks, escapes and letters of options."""

import pytest

from instruct_jax.tasks.flan.collection import DATASETS

_BY_NAME = {dataset.name: dataset for dataset in DATASETS}


def test_a_guide_of_hellaswag_loses_its_tags_and_its_answer_stays_an_option():
    example = {
        "context": "[header] How to knit [title] Take wool. [step] Any wool",
        "endings": ["will do. [substeps] Buy it.", "sings."],
        "activity_label": "Hobbies",
        "label": 0,
    }
    assert _BY_NAME["hellaswag"].read(example) == {
        "context": "How to knit\nTake wool.\nAny wool",
        "activity": "Hobbies",
        "options": ["will do. Buy it.", "sings."],
        "answer": "will do. Buy it.",
    }


def test_of_two_pronouns_the_one_that_is_meant_is_starred():
    example = {"text": "He sat, he slept, he left.", "span1_text": "Bob", "span2_text": "he", "span2_index": 4, "label": 1}
    assert _BY_NAME["wsc"].read(example)["marked"] == "He sat, he slept, *he* left."
    assert _BY_NAME["wsc"].read(example | {"span2_index": 1}) is None


@pytest.mark.parametrize("name", ["squad_v1", "squad_v2"])
def test_a_title_is_read_out_of_its_web_address(name):
    example = {"title": "Beyonc%C3%A9_Knowles", "context": "She sang.", "question": "Who sang?", "answers": {"text": ["She"]}}
    assert _BY_NAME[name].read(example | {"is_impossible": False})["title"] == "Beyoncé Knowles"


def test_the_word_for_no_answer_is_taken_from_the_end_of_a_section():
    example = {
        "title": "Cats",
        "section_title": "Sleep",
        "background": "Cats are pets.",
        "context": "They sleep. CANNOTANSWER",
        "question": "What do they do?",
        "orig_answer": {"text": "They sleep."},
    }
    assert _BY_NAME["quac"].read(example)["context"] == "They sleep."
    assert _BY_NAME["quac"].read(example | {"orig_answer": {"text": "CANNOTANSWER"}}) is None


@pytest.mark.parametrize(
    ("answer", "read"),
    [("1942-May-8", "8 May 1942"), ("-May-8", "8 May"), ("24-21", "24-21"), ("10-5-1", "10-5-1"), ("2.5", "2.5")],
)
def test_a_date_of_drop_is_written_as_people_write_it(answer, read):
    example = {"passage": "It was so.", "question": "When?", "answer": answer}
    assert _BY_NAME["drop"].read(example)["answer"] == read


def test_a_question_that_no_choice_answers_is_left_out():
    choices = {"answer0": "He slept.", "answer1": "He ran.", "answer2": "He sang.", "answer3": "None of the above choices ."}
    example = {"context": "It was late.", "question": "What then?", **choices}
    assert _BY_NAME["cosmos_qa"].read(example | {"label": 3}) is None
    assert _BY_NAME["cosmos_qa"].read(example | {"label": 0})["options"] == list(choices.values())


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("6 * 4 = 24 . answer : c", "6 * 4 = 24 ."),
        ("hence the correct option is ( b ) .", None),
        ("it is 24 , so the answer is c .", "it is 24"),
        ("24 is twelve twice", "24 is twelve twice"),
        ("the answer is a multiple of 6", "the answer is a multiple of 6"),
        ("the answer is 24", "the answer is 24"),
    ],
)
def test_a_rationale_loses_the_letter_of_its_option_and_nothing_else(text, read):
    example = {"Problem": "6 * 4 ?", "category": "general", "options": "a ) 6 , b ) 12 , c ) 24", "correct": "c"}
    record = _BY_NAME["math_qa"].read(example | {"Rationale": f'"{text}"'})
    assert (record and record["rationale"]) == read


@pytest.mark.parametrize("escaped", ['""', '\\""', '\\"'])
def test_a_quotation_mark_of_yelp_is_one(escaped):
    example = {"text": f"The {escaped}soup{escaped} was cold.\\nBad.", "label": 0}
    assert _BY_NAME["yelp_polarity_reviews"].read(example)["text"] == 'The "soup" was cold.\nBad.'


def test_brackets_of_a_biography_are_brackets():
    table = {"column_header": ["article_title"], "content": ["ann -lrb- pilot -rrb-"]}
    example = {"input_text": {"context": "ann -lrb- pilot -rrb-\n", "table": table}, "target_text": "ann -lrb- 1900 -rrb- flew ."}
    assert _BY_NAME["wiki_bio"].read(example) == {
        "name": "ann ( pilot )",
        "infobox": "article title: ann ( pilot )",
        "text": "ann ( 1900 ) flew .",
    }


def test_words_of_a_long_field_of_an_infobox_stand_in_their_order():
    words = [f"w{number}" for number in range(1, 24)]
    by_text = sorted(range(1, 24), key=str)  # 1, 10, 11, ..., 19, 2, 20, ...: as TFDS joins them
    table = {"column_header": ["name", "known_for"], "content": ["ann", " ".join(words[number - 1] for number in by_text) + "\n"]}
    example = {"input_text": {"context": "ann", "table": table}, "target_text": "ann flew ."}
    assert _BY_NAME["wiki_bio"].read(example)["infobox"] == f"name: ann\nknown for: {' '.join(words)}"


def test_categories_and_marks_of_triples_are_words():
    triple = {"category": "MeanOfTransportation", "input": ["Boat | made_in | Rome"], "target": "The boat is from Rome."}
    assert _BY_NAME["web_nlg_en"].read(triple) == {
        "category": "Mean Of Transportation",
        "triples": "Boat | made in | Rome",
        "text": "The boat is from Rome.",
    }
    table = {"column_header": ["subject", "predicate", "object"], "row_number": [0] * 3}
    table["content"] = ["[TABLECONTEXT]", "[TITLE]", "Rivers [TITLE]"]
    read = _BY_NAME["dart"].read({"input_text": {"table": table}, "target_text": "Of rivers."})
    assert read["triples"] == "table | title | Rivers [TITLE]"


@pytest.mark.parametrize(("named", "read"), [("None", "untitled"), ("", "untitled"), ("1. Introduction", "1. Introduction")])
def test_a_section_without_a_name_is_called_untitled(named, read):
    assert _BY_NAME["scicite"].read({"string": "As in [1].", "sectionName": named, "label": 0})["section"] == read


def test_wordings_that_want_the_bare_answer_never_get_reasoning():
    for name, terse in (("gsm8k", {"number", "final"}), ("cos_e", {"brief", "think"})):
        silent = {one.id for one in _BY_NAME[name].templates if one.original_task and one.rationale is None}
        assert silent == terse
