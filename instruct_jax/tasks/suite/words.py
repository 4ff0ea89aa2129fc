"""The lexicon: one small set of words for the whole suite, so that a word met in one task is known in all.

Nouns and review adjectives are cut into fixed pools for the clusters that turn on what a word means (topic classification, odd
one out, information extraction, commonsense, sentiment): a word that decides a test answer in one of them stands in no training
prompt of any of them. Plain text states the category of every noun, and clusters that only copy words use all of them.

Every noun begins with a consonant, so "a" is always its article.
"""

import dataclasses

CATEGORIES = {
    "animal": ("cat", "dog", "fox", "horse", "sheep", "goat", "rabbit", "duck", "bear", "mouse", "wolf", "hen"),
    "fruit": ("pear", "plum", "peach", "cherry", "lemon", "melon", "grape", "mango", "fig", "banana", "kiwi", "lime"),
    "clothing": ("hat", "coat", "shirt", "scarf", "sock", "glove", "boot", "shoe", "dress", "skirt", "belt", "jacket"),
    "tool": ("hammer", "drill", "spade", "rake", "chisel", "wrench", "knife", "brush", "ladder", "shovel", "trowel", "pump"),
    "vehicle": ("car", "bus", "train", "bike", "boat", "plane", "tram", "truck", "taxi", "van", "ship", "scooter"),
    "drink": ("tea", "coffee", "milk", "juice", "water", "cocoa", "lemonade", "cider", "soda", "beer", "wine", "tonic"),
    "instrument": ("piano", "violin", "flute", "drum", "guitar", "harp", "trumpet", "cello", "banjo", "horn", "tuba", "lute"),
    "furniture": ("table", "chair", "sofa", "bed", "desk", "bench", "stool", "cupboard", "wardrobe", "bookcase", "couch", "crib"),
}
CATEGORY_NAMES = tuple(CATEGORIES)
NOUNS = tuple(noun for nouns in CATEGORIES.values() for noun in nouns)
CATEGORY_OF = {noun: category for category, nouns in CATEGORIES.items() for noun in nouns}

# Review adjectives, indexed by label: 0 negative, 1 positive.
ADJECTIVES = (
    ("awful", "terrible", "horrible", "dull", "poor", "nasty", "dreadful", "boring", "dismal", "ugly", "weak", "rotten"),
    (
        "great",
        "superb",
        "lovely",
        "excellent",
        "pleasant",
        "brilliant",
        "charming",
        "delightful",
        "perfect",
        "fine",
        "neat",
        "grand",
    ),
)

WOMEN = ("Anna", "Mia", "Sara", "Lucy", "Nina", "Rosa", "Emma", "Kate")
MEN = ("Ben", "Tom", "Max", "Omar", "Paul", "Jack", "Luca", "Sam")
NAMES = WOMEN + MEN
CITIES = ("Paris", "Rome", "Oslo", "Cairo", "Lima", "Tokyo", "Delhi", "Berlin")
PLACES = ("park", "market", "school", "station", "library", "forest", "garden", "harbour")
JOBS = ("baker", "doctor", "teacher", "farmer", "painter", "driver", "cook", "nurse")
COLOURS = ("red", "blue", "green", "black", "white", "brown", "grey", "yellow")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FEELINGS = ("tired", "happy", "sad", "angry", "late", "calm")
NUMBERS = (
    *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen"),
    *("fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)


@dataclasses.dataclass(frozen=True)
class Need:
    """What a person in need is helped by.

    Attributes:
      category: the kind of thing that helps.
      competing: the kinds of which some thing might help too, so that none of them may stand beside the answer.
      useless: the nouns of the category that do not help.
    """

    category: str
    competing: tuple[str, ...] = ()
    useless: tuple[str, ...] = ()

    def answers(self, split: str | None = None) -> tuple[str, ...]:
        """The nouns that help: of a split's pool, or all."""
        nouns = CATEGORIES[self.category]
        return tuple(noun for noun in (pool(nouns, split) if split else nouns) if noun not in self.useless)


NEEDS = {
    "hungry": Need("fruit", competing=("animal", "drink")),  # a duck, a hen and milk are food
    "thirsty": Need("drink", competing=("fruit",)),  # a melon is full of juice
    "cold": Need("clothing", competing=("drink", "furniture"), useless=("belt",)),  # cocoa and a bed are warm
    "lonely": Need("animal"),
    "sleepy": Need(
        "furniture",
        competing=("drink",),  # coffee
        useless=("table", "chair", "desk", "bench", "stool", "cupboard", "wardrobe", "bookcase"),
    ),
    "musical": Need("instrument"),
    "busy in the workshop": Need("tool", competing=("furniture", "clothing")),  # a bench, a glove
    "far from home": Need("vehicle", competing=("animal",)),  # a horse
}


def pool(words: tuple[str, ...], split: str) -> tuple[str, ...]:
    """The part of a word list that may decide an answer in a split: 7 of 12 words train, 2 validation, 3 test.

    >>> pool(CATEGORIES["fruit"], "test")
    ('banana', 'kiwi', 'lime')
    """
    return {"train": words[:7], "validation": words[7:9], "test": words[9:]}[split]


def nouns_beside(category: str, split: str) -> tuple[str, ...]:
    """Nouns of a category that may stand beside an answer: never a word of another split's evaluation pool."""
    nouns = CATEGORIES[category]
    return nouns[:7] if split == "train" else nouns[:7] + pool(nouns, split)


def a(noun: str) -> str:
    """The noun with its article; drinks have none.

    >>> a("fig"), a("tea")
    ('a fig', 'tea')
    """
    return noun if CATEGORY_OF.get(noun) == "drink" else f"a {noun}"


def listing(items: list[str] | tuple[str, ...]) -> str:
    """Items as a sentence has them.

    >>> listing(["a fig", "tea", "a hat"])
    'a fig, tea and a hat'
    """
    return ", ".join(items[:-1]) + " and " + items[-1]


def pronoun(name: str) -> str:
    """She or he, by the name."""
    return "she" if name in WOMEN else "he"
