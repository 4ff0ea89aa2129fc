"""The FLAN-style collection fits TFDS: every wording of every dataset, on examples made from the builder's own specification."""

import collections

import pytest

from instruct_jax.errors import InputError
from instruct_jax.tasks import gsm8k
from instruct_jax.tasks.flan.collection import DATASETS, RELATIVES, SIBLINGS
from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.text.template_lint import lint
from instruct_jax.text.templates import Template
from tests.tasks.flan_examples import made_up, specifications

_EXAMPLES = 24
_BY_NAME = {dataset.name: dataset for dataset in DATASETS}
_NAMES = sorted(_BY_NAME)
_CLUSTERS = {
    "entailment",
    "commonsense",
    "coreference",
    "reading_comprehension",
    "reading_comprehension_with_commonsense",
    "closed_book_qa",
    "sentiment",
    "paraphrase",
    "summarisation",
    "translation",
    "structure_to_text",
    "topic_classification",
    "question_classification",
    "mathematics",
    "code",
    "creative_writing",
}

# What each choice says, written down from the words alone.
_YES = """
yes; you may; it does; faithful; supported; traces back; true to it; verified; grounded; hit; it is enough; answered; i can;
answering; you did; yes, it is; safe; keep; true; we can; entailment; right; it has; understood; entailed; good; one may;
correct; warranted; necessarily; it can be deduced; in each; they do; sound; enough; pass; sufficient; proven; accept;
settled; follows; confirm; the claim holds; must; it is definitely true; it is right; affirmed; certain that it holds;
certain; accurate too; agree; it has to be true; always; implies; that it is true; they would; it could; reasonable; likely;
makes sense; believable; the same; yes, exactly; it is; nod; it is so; tick; holds up; fits; valid
"""
_NO = """
no; you may not; it does not; unfaithful; unsupported; does not trace back; not true to it; not verified; not grounded; miss;
it is not enough; not answered; i cannot; not answering; you did not; no, it is not; not safe; cut; not true; we cannot; not
entailment; wrong; false; it has not; misunderstood; not entailed; bad; one may not; not correct; not warranted; not
necessarily; it cannot be deduced; not in each; they do not; unsound; not enough; strike; not sufficient; not proven; reject;
not settled; does not follow; contradict; the claim fails; cannot; contradiction; it is definitely false; refuted; it is
wrong; denied; incorrect; conflicts; certain that it does not; impossible; inaccurate; disagree; it has to be false; never;
excludes; that it is false; they would not; not right; it could not; unreasonable; unlikely; makes no sense; not believable;
different; no, as something else; it is not; shake; it is not so; deny; cross; does not hold up; does not fit; invalid
"""
_OPEN = """
can't tell; too little; neither; the text does not settle it; may; perhaps; neutral; it might be true or false; left
undecided; unclear; it remains open; left open; maybe; impossible to say; not certain either way; possible; can't be known;
it depends; undetermined; do not know; it could go either way; it is not possible to tell; sometimes; allows; inconclusive;
nothing for certain; hard to say
"""
_SAYS = {kind: {" ".join(one.split()) for one in text.split(";")} for kind, text in (("y", _YES), ("n", _NO), ("o", _OPEN))}
# What each label means, in the order of TFDS's classes: yes, no or open.
_MEANS = {
    **dict.fromkeys(("anli_r1", "anli_r2", "anli_r3", "esnli", "mnli"), "yon"),
    "cb": "yno",
    **dict.fromkeys(("qnli", "rte", "sci_tail"), "yn"),
    **dict.fromkeys(("doc_nli", "wnli", "corr2cause", "mctaco", "wsc", "bool_q", "multirc"), "ny"),
}


@pytest.fixture(scope="module")
def features():
    """The feature specification of every dataset, from TFDS's own builders."""
    return specifications(DATASETS)


def _records(dataset, features):
    rows = made_up(dataset, features[dataset.name], _EXAMPLES)
    return [record for row in rows if (record := dataset.read(row)) is not None]


def test_the_collection_has_flans_clusters_and_at_least_sixty_datasets():
    assert {dataset.cluster for dataset in DATASETS} >= _CLUSTERS
    assert len({dataset.tfds for dataset in DATASETS}) >= 60


def test_no_dataset_is_there_twice():
    assert not [name for name, count in collections.Counter(dataset.name for dataset in DATASETS).items() if count > 1]
    read = collections.Counter((dataset.tfds, dataset.record) for dataset in DATASETS)
    assert not [tfds for (tfds, _), count in read.items() if count > 1]


@pytest.mark.parametrize("name", _NAMES)
def test_a_dataset_has_ten_wordings_three_reserved_and_at_most_three_turned_round(name):
    templates = _BY_NAME[name].templates
    assert len(templates) == len({template.id for template in templates}) == 10
    assert sum(template.reserved for template in templates) == 3
    assert sum(not template.original_task for template in templates) <= 3
    assert not [template.id for template in templates if template.reserved and not template.original_task]


@pytest.mark.parametrize("name", _NAMES)
def test_a_dataset_says_where_it_is_from(name):
    dataset = _BY_NAME[name]
    assert any(part.strip(";.,").isdigit() and 1980 < int(part.strip(";.,")) < 2030 for part in dataset.reference.split())
    assert set(dataset.splits) <= {"train", "validation", "test"}
    assert not dataset.splits.get("test", "").startswith(("valid", "dev"))


@pytest.mark.parametrize("name", _NAMES)
def test_classes_stand_in_the_order_that_tfds_gives_them(name, features):
    dataset = _BY_NAME[name]
    if dataset.classes:
        assert tuple(features[name][dataset.class_feature].names) == dataset.classes


@pytest.mark.parametrize("name", _NAMES)
def test_every_wording_fits_records_of_tfds_examples(name, features):
    dataset = _BY_NAME[name]
    records = _records(dataset, features)
    assert len(records) >= 4
    for template in dataset.templates:
        for record in records:
            instance = template.apply(record)
            assert instance.prompt.strip()
            assert instance.response.strip()
    if "label" in dataset.fields:
        labels = {record["label"] for record in records}
        assert labels == set(range(len(dataset.classes) or len(labels)))
    if "options" in dataset.fields:
        places = {record["options"].index(record["answer"]) for record in records}
        assert len(places) > 1, "the right answer always stands at the same place"


@pytest.mark.parametrize("name", _NAMES)
def test_wordings_are_clean(name, features):
    dataset = _BY_NAME[name]
    assert list(map(str, lint(dataset.templates, _records(dataset, features), dataset.ignored))) == []


@pytest.mark.parametrize("name", sorted(_MEANS))
def test_choices_say_what_the_label_means(name):
    for template in _BY_NAME[name].templates:
        if template.choices is not None:
            for meaning, choice in zip(_MEANS[name], template.choices, strict=True):
                kinds = [kind for kind, said in _SAYS.items() if choice.lower() in said]
                assert meaning in kinds or (choice == "neutral" and meaning == "n"), (template.id, choice, meaning)


@pytest.mark.parametrize("name", [name for name in _NAMES if _BY_NAME[name].rationale_field])
def test_a_rationale_goes_before_the_answer(name, features):
    dataset = _BY_NAME[name]
    record = _records(dataset, features)[0]
    assert dataset.rationale_field in dataset.fields
    assert any(
        record[dataset.rationale_field] in one.apply(record, reasoned=True).response for one in dataset.templates if one.rationale
    )


def test_siblings_and_relatives_are_there():
    assert {name for group in SIBLINGS for name in group} <= set(_BY_NAME)
    assert {name for pair in RELATIVES for name in pair} <= {dataset.cluster for dataset in DATASETS}


def test_a_story_cloze_ending_is_counted_from_one():
    read = _BY_NAME["story_cloze"].read
    endings = ["He slept.", "He flew."]
    assert read({"context": "It was late.", "endings": endings, "label": 2})["answer"] == "He flew."
    assert read({"context": "It was late.", "endings": endings, "label": -1}) is None


def test_options_of_math_qa_come_apart():
    example = {"Problem": "1 + 1 = ?", "Rationale": '"count ."', "category": "general", "correct": "b"}
    for options in ("a ) 1 , b ) 2 , c ) 3,000", "['a ) 1', 'b ) 2', 'c ) 3,000']"):
        record = _BY_NAME["math_qa"].read({**example, "options": options})
        assert (record["options"], record["answer"], record["rationale"]) == (["1", "2", "3,000"], "2", "count .")


def test_gsm8k_loses_its_calculator_notes():
    example = {"question": "How many?", "annotation": "Half is 48/2=<<48/2=24>>24.", "short_answer": "1,024"}
    assert _BY_NAME["gsm8k"].read(example) == {"question": "How many?", "rationale": "Half is 48/2=24.", "answer": "1024"}


def test_lettered_answers_are_found_by_their_letter():
    choices = {"label": ["A", "B", "C"], "text": ["ice", "fire", "rain"]}
    facts = {"fact1": "Fire burns.", "fact2": "What burns is hot.", "combinedfact": "Fire is hot."}
    assert _BY_NAME["qasc"].read({"question": "Hot?", "choices": choices, "answerKey": "B", **facts})["answer"] == "fire"
    by_class = {"label": [0, 1, 2], "text": choices["text"]}
    assert _BY_NAME["arc_easy"].read({"question": "Wet?", "choices": by_class, "answerKey": 2})["answer"] == "rain"


def test_race_takes_the_first_question_and_its_answer():
    example = {
        "article": "A cat sat.",
        "questions": ["Who?", "Where?"],
        "answers": ["B", "A"],
        "options": [["dog", "cat"], ["x", "y"]],
    }
    assert _BY_NAME["race_high"].read(example) == {
        "article": "A cat sat.",
        "question": "Who?",
        "options": ["dog", "cat"],
        "answer": "cat",
    }
    assert _BY_NAME["race_high"].read({**example, "questions": []}) is None


def test_coqa_asks_the_last_turn_with_those_before_it():
    example = {"story": "A cat sat.", "questions": ["Who?", "Did it stand?"], "answers": {"input_text": ["A cat", "no"]}}
    record = _BY_NAME["coqa"].read(example)
    assert (record["history"], record["question"], record["answer"]) == ("Q: Who?\nA: A cat", "Did it stand?", "no")
    assert _BY_NAME["coqa"].read({**example, "questions": ["Who?"]}) is None


def test_gap_marks_the_pronoun_and_names_the_right_person():
    example = {"Text": "Ann met Eve. She left.", "Pronoun": "She", "Pronoun-offset": 13, "A": "Ann", "B": "Eve"}
    read = _BY_NAME["gap"].read
    assert read({**example, "A-coref": False, "B-coref": True})["text"] == "Ann met Eve. *She left."
    answers = [read({**example, "A-coref": a, "B-coref": b})["answer"] for a, b in ((True, False), (False, True), (False, False))]
    assert answers == ["Ann", "Eve", "neither of them"]


def test_wsc273_stars_the_pronoun():
    example = {"text": "Ann paid Eve because she lost.", "pronoun_start": 21, "pronoun_end": 24, "pronoun_text": "she"}
    record = _BY_NAME["wsc273"].read({**example, "option1_normalized": "Ann", "option2_normalized": "Eve", "label": 0})
    assert (record["marked"], record["answer"], record["other"]) == ("Ann paid Eve because *she* lost.", "Ann", "Eve")


def test_squad_2_says_what_cannot_be_answered():
    example = {"title": "Cats", "context": "A cat sat.", "question": "Who ran?", "answers": {"text": []}, "is_impossible": True}
    assert _BY_NAME["squad_v2"].read(example)["answer"] == "unanswerable"
    assert _BY_NAME["squad_v1"].read(example) is None


def test_record_offers_one_right_name_among_wrong_ones():
    example = {"passage": "Ann met Bo.\n@highlight\nEve too.", "query": "@placeholder came.", "entities": ["Ann", "Bo", "Eve"]}
    record = _BY_NAME["record"].read({**example, "answers": ["Bo", "Eve"]})
    assert (record["options"], record["answer"], record["passage"]) == (["Ann", "Bo"], "Bo", "Ann met Bo.\nEve too.")


def test_dolphin_equations_lose_the_list_of_unknowns():
    example = {"text": "Two numbers sum to 3.", "equations": "unkn: x,y  equ: x + y = 3  equ: x = 1", "ans": "1; 2"}
    assert _BY_NAME["dolphin_number_word"].read(example)["equations"] == "x + y = 3\nx = 1"


def test_corr2cause_parts_premise_and_hypothesis():
    example = {"input": "Premise: A correlates with B. Hypothesis: A causes B.", "label": 0}
    assert _BY_NAME["corr2cause"].read(example) == {"premise": "A correlates with B.", "hypothesis": "A causes B.", "label": 0}


_PLAIN = FlanDataset("plain", "none", "none:1.0.0", ("text", "options", "answer"), (Template("t", "{text}"),))


@pytest.mark.parametrize(
    "changed",
    [
        {"text": " \n"},
        {"answer": ""},
        {"options": ["a"]},
        {"options": ["a", "a ", "b"]},
        {"options": ["b", "c"]},
        {"options": ["a", ""]},
    ],
)
def test_an_example_without_a_question_or_an_answer_is_left_out(changed):
    example = {"text": " Which? ", "options": ["a", "b"], "answer": "a"}
    assert _PLAIN.read(example) == {"text": "Which?", "options": ["a", "b"], "answer": "a"}
    assert _PLAIN.read(example | changed) is None


def test_a_wrong_definition_is_refused():
    with pytest.raises(InputError, match="template 't' names the field 'premise', which its records lack; they have: text"):
        FlanDataset("x", "none", "none:1.0.0", ("text",), (Template("t", "{premise}"),))
    with pytest.raises(InputError, match="'t' has 2 choices for the 3 classes a, b, c"):
        FlanDataset("x", "none", "none:1.0.0", ("text",), (Template("t", "{text}", choices=("y", "n")),), classes=("a", "b", "c"))
    with pytest.raises(InputError, match="field 'text' holds int; expected text"):
        _PLAIN.read({"text": 3, "options": ["a", "b"], "answer": "a"})
    renamed = FlanDataset("x", "none", "none:1.0.0", ("text",), (Template("t", "{text}"),), record=lambda _: {"words": "a"})
    with pytest.raises(InputError, match="a record has the fields words; expected text"):
        renamed.read({})


def test_the_wordings_of_the_published_gsm8k_are_clean():
    records = [
        {"question": f"How much is {number} and one?", "rationale": "One more.", "answer": f"{number + 1}"} for number in range(9)
    ]
    assert list(map(str, lint(gsm8k.TEMPLATES, records))) == []
