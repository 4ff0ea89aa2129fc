"""Sentiment of short posts: the mood of a tweet, the emotion in a comment."""

from instruct_jax.tasks.flan.dataset import FlanDataset
from instruct_jax.tasks.flan.sentiment_reviews import CLUSTER
from instruct_jax.text.templates import Template

_SENTIMENT140 = (
    Template("mood", "What mood is the author of this tweet in?\n{text}", choices=("a bad mood", "a good mood")),
    Template(
        "emoticon",
        'An emoticon was cut off the end of this tweet: "{text}" Was it a smile or a frown?',
        choices=("a frown", "a smile"),
    ),
    Template("options", "Tweet: {text}\nLabel the sentiment.\n{options}", choices=("negative", "positive")),
    Template("happy", 'Somebody tweets "{text}". Do they sound happy?', choices=("no", "yes")),
    Template(
        "brand",
        "You watch a brand's mentions. Is this one a complaint or a compliment?\n\n{text}",
        choices=("complaint", "compliment"),
    ),
    Template("write", "Write a short tweet with a {feeling} feeling to it.", response="{text}", original_task=False),
    Template(
        "write_day",
        "Imagine that your day is going {day}. What would you post, in at most 140 characters?",
        response="{text}",
        original_task=False,
    ),
    Template("smile_reserved", "{text}\n\nSmiling or frowning as they typed it?", choices=("frowning", "smiling"), reserved=True),
    Template(
        "sentiment_reserved",
        "How would you describe the sentiment of the tweet '{text}'?",
        choices=("negative", "positive"),
        reserved=True,
    ),
    Template("glad_reserved", "Is the author glad or upset?\nPost: {text}\n{options}", choices=("upset", "glad"), reserved=True),
)

EMOTIONS = (  # in TFDS one true-or-false feature each
    "admiration",
    "amusement",
    "anger",
    "annoyance",
    "approval",
    "caring",
    "confusion",
    "curiosity",
    "desire",
    "disappointment",
    "disapproval",
    "disgust",
    "embarrassment",
    "excitement",
    "fear",
    "gratitude",
    "grief",
    "joy",
    "love",
    "nervousness",
    "neutral",
    "optimism",
    "pride",
    "realization",
    "relief",
    "remorse",
    "sadness",
    "surprise",
)
_GOEMOTIONS = (
    Template("options", "Which of these emotions speaks from the comment?\n\n{comment}\n\n{options}", choices=EMOTIONS),
    Template("feels", 'Someone on Reddit writes: "{comment}"\nName the emotion; say neutral if there is none.', choices=EMOTIONS),
    Template("tag", "Comment: {comment}\nEmotion tag:", choices=EMOTIONS),
    Template(
        "actor", "An actor has to read this line aloud: {comment}\nWhat feeling should be heard?\n{options}", choices=EMOTIONS
    ),
    Template("one_word", "Sum up in one word what the author of this is feeling. {comment}", choices=EMOTIONS),
    Template(
        "write", "Write a short comment for a forum. The emotion in it: {emotion}.", response="{comment}", original_task=False
    ),
    Template(
        "example_of",
        "I collect examples of how people show emotions online. Give me one for: {emotion}",
        response="{comment}",
        original_task=False,
    ),
    Template(
        "reply_reserved",
        "Before you reply to this, what emotion do you sense?\n{comment}\n{options}",
        choices=EMOTIONS,
        reserved=True,
    ),
    Template("mood_reserved", "{comment}\n\nThe main emotion here is", choices=EMOTIONS, reserved=True),
    Template("label_reserved", 'Label "{comment}" with the emotion that it expresses.', choices=EMOTIONS, reserved=True),
)


def _sentiment140(example):
    if example["polarity"] not in (0, 4):  # 2 is neutral; only the test split has it
        return None
    good = example["polarity"] == 4
    return {
        "text": example["text"],
        "label": int(good),
        "feeling": "positive" if good else "negative",
        "day": "well" if good else "badly",
    }


def _goemotions(example):
    shown = [emotion for emotion in EMOTIONS if example[emotion]]
    if len(shown) != 1:  # several raters saw several emotions: no single answer
        return None
    return {"comment": example["comment_text"], "label": EMOTIONS.index(shown[0]), "emotion": shown[0]}


DATASETS = (
    FlanDataset(
        "sentiment140",
        CLUSTER,
        "sentiment140:1.0.0",
        ("text", "label", "feeling", "day"),
        _SENTIMENT140,
        record=_sentiment140,
        splits={"train": "train", "test": "test"},
        reference="Go et al. 2009",
    ),
    FlanDataset(
        "goemotions",
        CLUSTER,
        "goemotions:0.1.0",
        ("comment", "label", "emotion"),
        _GOEMOTIONS,
        record=_goemotions,
        reference="Demszky et al. 2020, arXiv:2005.00547",
    ),
)
