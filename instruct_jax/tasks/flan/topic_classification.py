"""Topic classification: what a text is about, or what it is for."""

from instruct_jax.tasks.flan.dataset import FlanDataset, renamed
from instruct_jax.text.templates import Template

CLUSTER = "topic_classification"

_AG_CLASSES = ("World", "Sports", "Business", "Sci/Tech")
_SECTIONS = ("world news", "sports", "business", "science and technology")
_AG_NEWS = (
    Template("section", "{title}\n\n{text}\n\nIn which section of the paper does this belong?\n{options}", choices=_SECTIONS),
    Template(
        "about",
        "What is this piece of news about: world politics, sports, business, or science and technology?\n{text}",
        choices=("world politics", *_SECTIONS[1:]),
    ),
    Template(
        "desk",
        "An agency item comes in.\n{title}\n{text}\nWhich desk should handle it?\n{options}",
        choices=("the foreign desk", "the sports desk", "the business desk", "the science and technology desk"),
    ),
    Template(
        "reader",
        "Who would care most about this story?\n{text}\n{options}",
        choices=("a diplomat", "a sports fan", "an investor", "an engineer"),
    ),
    Template("tag", 'Tag this headline with World, Sports, Business or Sci/Tech: "{title}"', choices=_AG_CLASSES),
    Template("headline", "Put a headline over this {section} story.\n\n{text}", response="{title}", original_task=False),
    Template(
        "from_headline",
        'The {section} page carries the headline "{title}". How does the story go?',
        response="{text}",
        original_task=False,
    ),
    Template(
        "topic_reserved",
        "Article: {title} - {text}\nTopics to choose from:\n{options}\nTopic:",
        choices=_AG_CLASSES,
        reserved=True,
    ),
    Template("kind_reserved", "{text}\nWhat kind of news is that?\n{options}", choices=_SECTIONS, reserved=True),
    Template(
        "file_reserved", "File the following under one of these.\n{options}\n\n{title}\n{text}", choices=_SECTIONS, reserved=True
    ),
)

_SCICITE = (
    Template(
        "purpose",
        "Why do the authors cite other work in this sentence?\n\n{text}\n\n{options}",
        choices=("they use its method", "they give background", "they compare results"),
    ),
    Template(
        "what_for",
        "{text}\nIs the citation here for a method, for background or for a result?",
        choices=("a method", "background", "a result"),
    ),
    Template(
        "remove",
        'A referee asks what would be missing without the reference in "{text}".\n{options}',
        choices=("how it was done", "the context", "something to compare with"),
    ),
    Template(
        "intent",
        "Section: {section}\nSentence: {text}\nIntent of the citation:",
        choices=("method", "background", "result"),
    ),
    Template(
        "library",
        "For a map of who cites whom and why, classify this mention as uses, introduces or compares.\n{text}",
        choices=("uses", "introduces", "compares"),
    ),
    Template(
        "write",
        "Write a sentence from a research paper that cites earlier work for {purpose}.",
        response="{text}",
        original_task=False,
    ),
    Template(
        "write_in_section",
        'The section "{section}" of a paper needs a citation for {purpose}. Put it into words.',
        response="{text}",
        original_task=False,
    ),
    Template(
        "class_reserved",
        "Method, background or result: which fits this citation?\n{text}",
        choices=("method", "background", "result"),
        reserved=True,
    ),
    Template(
        "role_reserved",
        'What role does the cited paper play in the following? "{text}"\n{options}',
        choices=("a source of methods", "background reading", "a result to compare with"),
        reserved=True,
    ),
    Template(
        "student_reserved",
        "A student wonders why there is a reference in: {text}\nTell them what the cited work supplies.\n{options}",
        choices=("a technique", "general context", "findings"),
        reserved=True,
    ),
)


def _ag_news(example):
    read = renamed(title="title", text="description", label="label")(example)
    return {**read, "section": _SECTIONS[read["label"]]}


def _scicite(example):
    return {
        "text": example["string"],
        "section": "untitled" if example["sectionName"].lower() in ("", "none", "nan") else example["sectionName"],
        "label": example["label"],
        "purpose": ("a method that is used", "background", "a result to compare with")[example["label"]],
    }


DATASETS = (
    FlanDataset(
        "ag_news_subset",
        CLUSTER,
        "ag_news_subset:1.0.0",
        ("title", "text", "label", "section"),
        _AG_NEWS,
        record=_ag_news,
        classes=_AG_CLASSES,
        splits={"train": "train", "test": "test"},
        reference="Zhang et al. 2015, arXiv:1509.01626",
    ),
    FlanDataset(
        "scicite",
        CLUSTER,
        "scicite:1.0.0",
        ("text", "section", "label", "purpose"),
        _SCICITE,
        record=_scicite,
        classes=("method", "background", "result"),
        reference="Cohan et al. 2019, arXiv:1904.01608",
    ),
)
