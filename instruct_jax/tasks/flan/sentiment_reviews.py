"""Sentiment of reviews: whether a critic or a customer is for or against what they write of."""

import re

from instruct_jax.tasks.flan.dataset import FlanDataset, renamed, with_reasoning
from instruct_jax.text.templates import Template

CLUSTER = "sentiment"

_IMDB = (
    Template("liked", "{text}\n\nDid the person who wrote this like the film?", choices=("no", "yes")),
    Template(
        "options",
        "Below is a review that a viewer posted about a movie. What is its overall verdict?\n\n{text}\n\n{options}",
        choices=("negative", "positive"),
    ),
    Template(
        "friend", "A friend sends you this about a film:\n{text}\nShould you go and see it?", choices=("skip it", "go and see it")
    ),
    Template("thumbs", "Thumbs up or thumbs down? {text}", choices=("thumbs down", "thumbs up")),
    Template("came_away", "Movie review: {text}\nThe reviewer came away", choices=("disappointed", "pleased")),
    Template(
        "write_review",
        "Write a movie review as it might appear on a public site. Its sentiment is to be {feeling}.",
        response="{text}",
        original_task=False,
    ),
    Template(
        "rant_or_praise",
        "Tell us at length, as somebody who watches a lot of films, about one that you found {verdict}.",
        response="{text}",
        original_task=False,
    ),
    Template(
        "sort_reserved",
        "Sort this film review into the good pile or the bad pile.\n\n{text}",
        choices=("bad", "good"),
        reserved=True,
    ),
    Template(
        "recommend_reserved",
        "Would this reviewer recommend the film to others?\n{text}\n{options}",
        choices=("no", "yes"),
        reserved=True,
    ),
    Template("tone_reserved", "{text}\nIn one word, the tone of this review is", choices=("negative", "positive"), reserved=True),
)

_SST2 = (
    Template("phrase", 'A critic wrote: "{sentence}" Is that praise or criticism?', choices=("criticism", "praise")),
    Template(
        "options",
        "{sentence}\nWhat does this fragment of a film review convey?\n{options}",
        choices=("a negative opinion", "a positive opinion"),
    ),
    Template("poster", "Could a studio print this line on the film's poster?\n{sentence}", choices=("no", "yes")),
    Template("positive_or_negative", "Positive or negative? {sentence}", choices=("negative", "positive")),
    Template("it_was", "{sentence} All in all, the film was", choices=("bad", "good")),
    Template(
        "write_line",
        "Write one line from a film review. It should be {feeling} about the film.",
        response="{sentence}",
        original_task=False,
    ),
    Template(
        "continue_pile",
        "You are quoting critics who were {feeling}. Give one more short quotation.",
        response="{sentence}",
        original_task=False,
    ),
    Template(
        "flattering_reserved",
        "Is the following flattering to the movie it talks about? {sentence}",
        choices=("no", "yes"),
        reserved=True,
    ),
    Template(
        "feeling_reserved", "Excerpt from a review: {sentence}\nSentiment:", choices=("negative", "positive"), reserved=True
    ),
    Template(
        "impressed_reserved",
        "How did the critic feel who wrote this?\n\n{sentence}\n\n{options}",
        choices=("unimpressed", "impressed"),
        reserved=True,
    ),
)

_YELP = (
    Template(
        "come_back",
        "Here is what a customer said about a local business:\n\n{text}\n\nWill they come back?",
        choices=("no", "yes"),
    ),
    Template("options", "Rate the experience described below.\n{text}\n{options}", choices=("poor", "great")),
    Template(
        "owner",
        "You own the place. Reading this, should you apologise or say thank you?\n\n{text}",
        choices=("apologise", "say thank you"),
    ),
    Template("stars", "{text}\nIs this closer to one star or to five stars?", choices=("one star", "five stars")),
    Template("satisfied", "Was this customer satisfied? {text}", choices=("not satisfied", "satisfied")),
    Template(
        "write", "Write a {feeling} review of a restaurant, shop or service near you.", response="{text}", original_task=False
    ),
    Template(
        "write_visit",
        "You have just come home from a place that left you {mood}. Tell other customers about your visit.",
        response="{text}",
        original_task=False,
    ),
    Template("recommend_reserved", "Review: {text}\nWould the writer send friends there?", choices=("no", "yes"), reserved=True),
    Template(
        "polarity_reserved",
        "{text}\n\nSay whether this review is positive or negative.",
        choices=("negative", "positive"),
        reserved=True,
    ),
    Template(
        "happy_reserved",
        "How did the visit go, judging by this review?\n{text}\n{options}",
        choices=("it went badly", "it went well"),
        reserved=True,
    ),
)

_STARS = ("1 star", "2 stars", "3 stars", "4 stars", "5 stars")

_AMAZON = (
    Template("stars", '"{title}"\n\n{review}\n\nHow many stars out of five did this reader give the book?', choices=_STARS),
    Template("options", "Pick the rating that goes with this book review.\n\n{headline}\n{review}\n\n{options}", choices=_STARS),
    Template("number", "On a scale from 1 to 5, how much did the buyer like it? {review}", choices=("1", "2", "3", "4", "5")),
    Template(
        "verdict",
        "Review of {title}: {review}\nGive the reader's verdict in one word: awful, poor, middling, good or excellent.",
        choices=("awful", "poor", "middling", "good", "excellent"),
    ),
    Template(
        "warmly_reserved",
        "{headline}\n{review}\nHow warmly does the reviewer recommend the book?\n{options}",
        choices=("warns against it", "would rather not", "is undecided", "recommends it", "recommends it with enthusiasm"),
        reserved=True,
    ),
    Template(
        "headline", "Think of a headline for this customer's book review.\n\n{review}", response="{headline}", original_task=False
    ),
    Template(
        "write", 'You read "{title}" and give it {stars} out of 5. Write your review.', response="{review}", original_task=False
    ),
    Template(
        "from_headline",
        'Someone headed a book review "{headline}" and rated it {stars} of 5. What might the review have said?',
        response="{review}",
        original_task=False,
    ),
    Template("guess_reserved", "{review}\nMy guess at the number of stars:", choices=("1", "2", "3", "4", "5"), reserved=True),
    Template(
        "how_much_reserved",
        "Read the review and choose a rating.\nBook: {title}\nReview: {review}\n{options}",
        choices=_STARS,
        reserved=True,
    ),
)

_MOVIE_RATIONALES = (
    Template(
        "verdict",
        "{review}\n\nAfter reading all that: is the critic for the film or against it?",
        choices=("against it", "for it"),
    ),
    Template(
        "options",
        "Decide whether this long review is favourable.\n\n{review}\n\n{options}",
        choices=("unfavourable", "favourable"),
    ),
    Template("watch", "Would the author watch this film again?\n{review}", choices=("no", "yes")),
    Template("judgement", "Full review: {review}\nJudgement:", choices=("negative", "positive")),
    Template(
        "evidence_first",
        "Look for the telling phrases in this review, then say if it is a pan or a rave.\n{review}",
        choices=("a pan", "a rave"),
    ),
    Template(
        "find_evidence",
        "This review is {feeling}. Quote the passages that show it, one on each line.\n\n{review}",
        response="{evidence}",
        original_task=False,
    ),
    Template(
        "write_from_evidence",
        "Write a thorough film review in which these phrases could stand:\n{evidence}",
        response="{review}",
        original_task=False,
    ),
    Template("grade_reserved", "Fresh or rotten?\n\n{review}", choices=("rotten", "fresh"), reserved=True),
    Template(
        "editor_reserved", "File under pans or under praise: {review}\n{options}", choices=("pans", "praise"), reserved=True
    ),
    Template(
        "opinion_reserved",
        "{review}\nIs the opinion expressed above positive or negative?",
        choices=("negative", "positive"),
        reserved=True,
    ),
)


def _imdb(example):
    return {
        "text": example["text"].replace("<br />", "\n"),
        "label": example["label"],
        "feeling": ("negative", "positive")[example["label"]],
        "verdict": ("terrible", "wonderful")[example["label"]],
    }


def _sst2(example):
    label = example["label"]
    return {"sentence": example["sentence"], "label": label, "feeling": ("negative", "positive")[label] if label >= 0 else ""}


_YELP_QUOTE = re.compile(r'\\?""|\\"')


def _yelp(example):
    good = example["label"] == 1
    return {
        "text": _YELP_QUOTE.sub('"', example["text"].replace("\\n", "\n")),  # the released file escapes both
        "label": example["label"],
        "feeling": "positive" if good else "negative",
        "mood": "delighted" if good else "angry",
    }


def _amazon(example):
    read = renamed(title="data/product_title", headline="data/review_headline", review="data/review_body")(example)
    stars = example["data"]["star_rating"]
    return {**read, "review": read["review"].replace("<br />", "\n"), "label": stars - 1, "stars": str(stars)}


def _movie_rationales(example):
    return {
        "review": example["review"],
        "label": example["label"],
        "evidence": "\n".join(example["evidences"]),
        "feeling": ("negative", "positive")[example["label"]],
    }


DATASETS = (
    FlanDataset(
        "imdb_reviews",
        CLUSTER,
        "imdb_reviews/plain_text:1.0.0",
        ("text", "label", "feeling", "verdict"),
        _IMDB,
        record=_imdb,
        classes=("neg", "pos"),
        splits={"train": "train", "test": "test"},
        reference="Maas et al. 2011",
    ),
    FlanDataset(
        "sst2",
        CLUSTER,
        "glue/sst2:2.0.0",
        ("sentence", "label", "feeling"),
        _SST2,
        record=_sst2,
        classes=("negative", "positive"),
        splits={"train": "train", "validation": "validation"},
        reference="Socher et al. 2013",
    ),
    FlanDataset(
        "yelp_polarity_reviews",
        CLUSTER,
        "yelp_polarity_reviews:0.2.0",
        ("text", "label", "feeling", "mood"),
        _YELP,
        record=_yelp,
        classes=("1", "2"),
        splits={"train": "train", "test": "test"},
        reference="Zhang et al. 2015, arXiv:1509.01626",
    ),
    FlanDataset(
        "amazon_us_reviews",
        CLUSTER,
        "amazon_us_reviews/Books_v1_00:0.1.0",
        ("title", "headline", "review", "label", "stars"),
        _AMAZON,
        record=_amazon,
        splits={"train": "train"},
        reference="Amazon Customer Reviews Dataset, Amazon 2018",
    ),
    FlanDataset(
        "movie_rationales",
        CLUSTER,
        "movie_rationales:0.1.0",
        ("review", "label", "evidence", "feeling"),
        with_reasoning(
            _MOVIE_RATIONALES,
            "These words tell:\n{evidence}\nSo the answer is: {answer}",
            "{evidence}\n\nJudging by that: {answer}",
        ),
        record=_movie_rationales,
        classes=("NEG", "POS"),
        reference="Zaidan et al. 2007; DeYoung et al. 2020, arXiv:1911.03429",
        rationale_field="evidence",
    ),
)
