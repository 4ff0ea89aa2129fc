"""Sentiment, paraphrase, topics, tables, code and the like: records say what their examples mean, choices stand in order."""

import pytest

from instruct_jax.tasks.flan import (
    code,
    creative_writing,
    miscellaneous,
    paraphrase,
    question_classification,
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

FILES = (
    code,
    creative_writing,
    miscellaneous,
    paraphrase,
    question_classification,
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
BY_NAME = {dataset.name: dataset for file in FILES for dataset in file.DATASETS}

# Written from the meaning of the label alone: what each wording says of an example whose label is the last class (1 of two).
SAID_OF_LAST_CLASS = {
    "imdb_reviews": {  # pos
        "liked": "yes",
        "options": "positive",
        "friend": "go and see it",
        "thumbs": "thumbs up",
        "came_away": "pleased",
        "sort_reserved": "good",
        "recommend_reserved": "yes",
        "tone_reserved": "positive",
    },
    "sst2": {  # positive
        "phrase": "praise",
        "options": "a positive opinion",
        "poster": "yes",
        "positive_or_negative": "positive",
        "it_was": "good",
        "flattering_reserved": "yes",
        "feeling_reserved": "positive",
        "impressed_reserved": "impressed",
    },
    "yelp_polarity_reviews": {  # 2: three stars and more
        "come_back": "yes",
        "options": "great",
        "owner": "say thank you",
        "stars": "five stars",
        "satisfied": "satisfied",
        "recommend_reserved": "yes",
        "polarity_reserved": "positive",
        "happy_reserved": "it went well",
    },
    "movie_rationales": {  # POS
        "verdict": "for it",
        "options": "favourable",
        "watch": "yes",
        "judgement": "positive",
        "evidence_first": "a rave",
        "grade_reserved": "fresh",
        "editor_reserved": "praise",
        "opinion_reserved": "positive",
    },
    "sentiment140": {  # 4, positive
        "mood": "a good mood",
        "emoticon": "a smile",
        "options": "positive",
        "happy": "yes",
        "brand": "compliment",
        "smile_reserved": "smiling",
        "sentiment_reserved": "positive",
        "glad_reserved": "glad",
    },
    "mrpc": {  # equivalent
        "same_news": "yes",
        "options": "equivalent",
        "editor": "no",
        "reworded": "it is a rewording",
        "swap": "it could",
        "mean_same_reserved": "the same",
        "paraphrase_reserved": "yes",
        "tell_same_reserved": "yes, they did",
    },
    "qqp": {  # duplicate
        "merge": "merge them",
        "one_answer": "yes",
        "options": "duplicates",
        "asking_same": "they are",
        "new_post": "already asked",
        "duplicate_reserved": "yes",
        "equivalent_reserved": "equivalent",
        "intent_reserved": "the same intent",
    },
    "paws_wiki": {  # paraphrase
        "word_order": "the same facts",
        "options": "it was kept",
        "encyclopedia": "yes",
        "true_of_both": "necessarily",
        "careful": "yes",
        "same_reserved": "yes",
        "paraphrase_reserved": "it does",
        "differ_reserved": "they agree",
    },
    "paws_x_wiki_de": {  # paraphrase
        "gleich": "ja",
        "auswahl": "sie stimmen überein",
        "ersetzen": "ja",
        "umschreibung": "eine Umschreibung",
        "lexikon": "ja",
        "sinn_reserved": "ja",
        "vergleich_reserved": "gleiche Bedeutung",
        "paraphrase_reserved": "ja",
    },
    "cola": {  # acceptable
        "native": "yes",
        "options": "acceptable",
        "asterisk": "no",
        "editor": "it is",
        "sounds": "fine",
        "correct_reserved": "yes",
        "acceptable_reserved": "acceptable",
        "mistake_reserved": "it does not",
    },
    "wic": {  # True: the same sense
        "same_sense": "yes",
        "dictionary": "under one",
        "options": "the same meaning",
        "translate": "the same thing",
        "compare": "agree",
        "identical_reserved": "yes",
        "change_reserved": "it did not",
        "use_reserved": "one sense",
    },
    "civil_comments": {  # at least half of the raters found it toxic
        "moderator": "no",
        "options": "toxic",
        "hurtful": "it might",
        "rude": "yes",
        "flag": "flag",
        "tone": "disrespectful",
        "queue": "needs a look",
        "toxic_reserved": "yes",
        "civil_reserved": "it is not",
        "reader_reserved": "justified",
    },
    "ag_news_subset": {  # Sci/Tech
        "section": "science and technology",
        "about": "science and technology",
        "desk": "the science and technology desk",
        "reader": "an engineer",
        "tag": "Sci/Tech",
        "topic_reserved": "Sci/Tech",
        "kind_reserved": "science and technology",
        "file_reserved": "science and technology",
    },
    "scicite": {  # result
        "purpose": "they compare results",
        "what_for": "a result",
        "remove": "something to compare with",
        "intent": "result",
        "library": "compares",
        "class_reserved": "result",
        "role_reserved": "a result to compare with",
        "student_reserved": "findings",
    },
    "trec": {  # LOC
        "asks_for": "a place",
        "librarian": "the name of a place",
        "one_of_six": "location",
        "index_card": "places",
        "expect": "a place",
        "type_reserved": "location",
        "looking_for_reserved": "a place",
        "code_reserved": "LOC",
    },
}


@pytest.mark.parametrize("name", SAID_OF_LAST_CLASS)
def test_every_wording_says_of_the_last_class_what_its_label_means(name):
    said = {template.id: template.choices[-1] for template in BY_NAME[name].templates if template.choices}
    assert said == SAID_OF_LAST_CLASS[name]


def test_every_two_way_classification_is_in_the_table():
    two_way = {name for name, dataset in BY_NAME.items() for one in dataset.templates if one.choices and len(one.choices) == 2}
    assert two_way <= set(SAID_OF_LAST_CLASS)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_no_prompt_gives_its_answer_away(name):
    dataset = BY_NAME[name]
    record = {field: f"<{field}>" for field in dataset.fields} | ({"label": 0} if "label" in dataset.fields else {})
    for template in dataset.templates:
        instance = template.apply(record)
        if instance.options is None:
            assert instance.response not in instance.prompt, template.id


def _glue(label):
    return {"sentence1": "The cat sat.", "sentence2": "A cat was sitting.", "label": label, "idx": 0}


def test_a_pair_is_said_to_mean_the_same_just_when_its_label_says_so():
    assert "says the same" in BY_NAME["mrpc"].read(_glue(1))["relation"]
    assert "not" in BY_NAME["mrpc"].read(_glue(0))["relation"]
    assert BY_NAME["paws_wiki"].read(_glue(1))["relation"] == "still means the same"
    assert BY_NAME["paws_wiki"].read(_glue(0))["relation"] == "no longer means the same"
    assert BY_NAME["paws_x_wiki_de"].read(_glue(1))["relation"] == "das Gleiche bedeutet"
    assert BY_NAME["wic"].read(_glue(1) | {"word": "cat"})["relation"] == "means the same"


@pytest.mark.parametrize("name", ["mrpc", "paws_wiki", "wic", "stsb"])
def test_an_example_with_its_label_hidden_is_left_out(name):
    assert BY_NAME[name].read(_glue(-1) | {"word": "cat"}) is None


@pytest.mark.parametrize(("score", "nearest"), [(0.0, "0"), (0.49, "0"), (0.5, "1"), (2.5, "3"), (4.75, "5"), (5.0, "5")])
def test_a_similarity_is_rounded_to_the_nearest_degree(score, nearest):
    record = BY_NAME["stsb"].read(_glue(0) | {"label": score})
    assert (record["label"], record["score"]) == (int(nearest), nearest)
    assert {t.apply(record).response for t in BY_NAME["stsb"].templates if t.choices and t.choices[0] == "0"} == {nearest}


def test_a_review_is_asked_for_in_the_mood_that_it_was_written_in():
    review = {"text": "First.<br /><br />Second.", "label": 1}
    assert BY_NAME["imdb_reviews"].read(review) == {
        "text": "First.\n\nSecond.",
        "label": 1,
        "feeling": "positive",
        "verdict": "wonderful",
    }
    yelp = BY_NAME["yelp_polarity_reviews"].read({"text": 'Bad.\\nThe \\"soup\\" was cold.', "label": 0})
    assert yelp == {"text": 'Bad.\nThe "soup" was cold.', "label": 0, "feeling": "negative", "mood": "angry"}


def test_neutral_tweets_are_left_out_and_four_is_positive():
    read = BY_NAME["sentiment140"].read
    tweet = {"text": "off to work", "user": "a", "date": "", "query": ""}
    assert [(read(tweet | {"polarity": p}) or {}).get("label") for p in (0, 2, 4)] == [0, None, 1]


def test_five_stars_are_the_last_choice_of_every_rating():
    data = {"product_title": "T", "review_headline": "H", "review_body": "B", "star_rating": 5}
    record = BY_NAME["amazon_us_reviews"].read({"data": data})
    said = {one.apply(record).response for one in BY_NAME["amazon_us_reviews"].templates if one.choices}
    assert said == {"5", "5 stars", "excellent", "recommends it with enthusiasm"}


def test_only_comments_with_one_emotion_are_asked_about():
    emotions = dict.fromkeys(sentiment_posts.EMOTIONS, False)
    read = BY_NAME["goemotions"].read
    one = read(emotions | {"joy": True, "comment_text": "Hooray"})
    assert sentiment_posts.EMOTIONS[one["label"]] == one["emotion"] == "joy"
    assert read(emotions | {"joy": True, "pride": True, "comment_text": "Hooray"}) is None
    assert read(emotions | {"comment_text": "Hooray"}) is None


@pytest.mark.parametrize(("share", "label"), [(0.0, 0), (0.1, 0), (0.3, None), (0.5, 1), (1.0, 1)])
def test_a_comment_on_which_raters_disagree_is_left_out(share, label):
    assert (BY_NAME["civil_comments"].read({"text": "Nonsense.", "toxicity": share}) or {}).get("label") == label


def test_a_name_goes_on_until_its_tags_change():
    tag = miscellaneous.NER_CLASSES.index
    tokens = ["Ada", "Lovelace", "Paris", "IBM", "Europe", "Ltd"]
    tags = [tag("B-PER"), tag("I-PER"), tag("B-LOC"), tag("B-ORG"), tag("B-ORG"), tag("I-ORG")]
    assert miscellaneous.named(tokens, tags).split("\n") == [
        "Ada Lovelace (person)",
        "Paris (location)",
        "IBM (organization)",
        "Europe Ltd (organization)",
    ]
    # The older scheme, where a name begins with I- unless it touches another of its kind.
    assert (
        miscellaneous.named(["U.N.", "in", "Rome"], [tag("I-ORG"), tag("O"), tag("I-LOC")])
        == "U.N. (organization)\nRome (location)"
    )
    assert BY_NAME["conll2003"].read({"tokens": ["Yes", "."], "ner": [0, 0]}) is None


def test_a_first_question_needs_no_rewriting():
    example = {"context": [], "question": "Who is Ada?", "question_rewrite": "Who is Ada?"}
    assert BY_NAME["qrecc"].read(example) is None
    later = example | {"context": ["Who is Ada?", "A mathematician."], "question": "When was she born?"}
    assert BY_NAME["qrecc"].read(later)["history"] == "Q: Who is Ada?\nA: A mathematician."


def test_triples_are_told_apart_by_their_row():
    table = {
        "column_header": ["subject", "predicate", "object"] * 2,
        "row_number": [0, 0, 0, 1, 1, 1],
        "content": ["Rome", "capital of", "Italy", "Rome", "river", "Tiber"],
    }
    record = BY_NAME["dart"].read({"input_text": {"table": table}, "target_text": "Rome lies on the Tiber."})
    assert record["triples"] == "Rome | capital of | Italy\nRome | river | Tiber"


def _table(column_span=1, row_span=1, header=True):
    return {
        "value": [["Year", "Film"], ["1999", "Run"]],
        "is_header": [[header, header], [False, False]],
        "column_span": [[column_span, 1], [1, 1]],
        "row_span": [[row_span, 1], [1, 1]],
    }


@pytest.mark.parametrize(
    ("table", "cells"),
    [
        (_table(), "Film: Run"),
        (_table(column_span=2), "Run"),
        (_table(row_span=2), "Run"),
        (_table(header=False), "Run"),
    ],
)
def test_a_cell_bears_the_head_of_its_column_unless_spans_shift_the_columns(table, cells):
    example = {
        "table": table,
        "highlighted_cells": [[1, 1]],
        "table_page_title": "P",
        "table_section_title": "",
        "target": "She made Run.",
    }
    assert BY_NAME["totto"].read(example) == {"page": "P", "section": "Table", "cells": cells, "text": "She made Run."}


def test_news_sources_lose_the_mark_between_them():
    example = {"document": "One.|||||Two.|||||", "summary": "Both."}
    assert BY_NAME["multi_news"].read(example)["articles"] == "One.\n\nTwo."


@pytest.mark.parametrize(("title", "read"), [("How to Sew2", "How to Sew"), ("How to Use Windows 10", "How to Use Windows 10")])
def test_guides_lose_the_number_that_the_release_put_behind_their_title(title, read):
    record = BY_NAME["wikihow"].read({"title": title, "text": "Sew.", "headline": "Thread the needle."})
    assert record["title"] == read


def test_speakers_stand_before_what_they_say():
    example = {"speaker": ["HOST", "GUEST"], "utt": ["Hello.", "Hi."], "program": "News", "summary": "Greetings."}
    assert BY_NAME["media_sum"].read(example)["transcript"] == "HOST: Hello.\nGUEST: Hi."


def test_translations_ask_for_the_second_language_and_turned_round_for_the_first():
    dataset = BY_NAME["wmt16_de_en"]
    record = dataset.read({"de": "Guten Tag", "en": "Good day"})
    for template in dataset.templates:
        instance = template.apply(record)
        given, wanted = ("Guten Tag", "Good day") if template.original_task else ("Good day", "Guten Tag")
        assert given in instance.prompt
        assert instance.response == wanted


def test_a_translation_names_the_language_that_it_asks_for_and_no_third_one():
    names = {"fr": "French", "cs": "Czech", "de": "German", "fi": "Finnish", "ro": "Romanian", "ru": "Russian", "tr": "Turkish"}
    names |= {
        "zh": "Chinese",
        "es": "Spanish",
        "da": "Danish",
        "pt": "Portuguese",
        "gl": "Galician",
        "ne": "Nepali",
        "si": "Sinhala",
    }
    for dataset in translation.DATASETS:
        source, target = names[dataset.language], "German" if dataset.name == "wmt19_fr_de" else "English"
        for template in dataset.templates:
            told = {name for name in {*names.values(), "English"} if name in template.prompt}
            assert (target if template.original_task else source) in told <= {source, target}, template.id


def test_creative_requests_are_told_from_other_instructions():
    example = {"category": "open_qa", "instruction": "Why?", "context": "", "response": "Because."}
    for name, category in (("dolly_creative_writing", "creative_writing"), ("dolly_brainstorming", "brainstorming")):
        assert BY_NAME[name].read(example) is None
        assert BY_NAME[name].read(example | {"category": category})["request"] == "Why?"
        assert BY_NAME[name].read(example | {"category": category, "context": "It rains."})["request"] == "Why?\n\nIt rains."


def test_the_last_word_is_cut_from_the_passage():
    assert BY_NAME["lambada"].read({"passage": "it was only a dream\n"}) == {"passage": "it was only a", "word": "dream"}
