"""The procedural suite: exact, repeatable, disjoint between splits, balanced, and worded as it should be."""

import collections
import functools
import itertools
import re
import string

import pytest

from instruct_jax.tasks.suite import collection, words
from instruct_jax.tasks.suite.arithmetic import pair_content
from instruct_jax.tasks.suite.dataset import SPLITS, seeded, split_of
from instruct_jax.tasks.suite.text import base_document
from instruct_jax.text.templates import choose, fields_of

DATASETS = collection.DATASETS
TRAINED = tuple(
    d for d in DATASETS if d.cluster not in collection.HELD_OUT_CLUSTERS and d.name not in collection.HELD_OUT_DATASETS
)
SAMPLES = 1_000
each_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)


@functools.cache
def records_of(dataset, split):
    """The first records of a split, made once for all tests."""
    return tuple(dataset.record(i, split) for i in range(SAMPLES))


def tokens(text):
    """Words, punctuation marks and line breaks: what a small vocabulary makes one piece of each."""
    return re.findall(r"\w+|[^\w\s]|\n", text)


def literals(template):
    """The parts of a template's wording that are not fields, and its choices."""
    chunks = [chunk for wording in (template.prompt, template.response) for chunk, *_ in string.Formatter().parse(wording)]
    return [*chunks, *(template.choices or ())]


def test_there_are_enough_clusters_datasets_and_wordings():
    assert len({d.cluster for d in DATASETS}) >= 8
    assert len({d.name for d in DATASETS}) == len(DATASETS) >= 24
    for d in DATASETS:
        assert len(d.templates) == 10, d.name
        assert sum(t.reserved for t in d.templates) == 3, d.name
        assert sum(not t.original_task for t in d.templates) <= 3, d.name
        assert all(t.original_task for t in d.templates if t.reserved), d.name


def test_what_is_held_out_follows_the_stated_rule_and_no_score():
    by_cluster = collections.defaultdict(list)
    for d in DATASETS:
        by_cluster[d.cluster].append(d.name)
    last = {max(names) for c, names in by_cluster.items() if c not in collection.HELD_OUT_CLUSTERS and len(names) >= 3}
    assert "entailment" in collection.HELD_OUT_CLUSTERS
    assert set(collection.HELD_OUT_CLUSTERS) < set(by_cluster)
    assert sorted(collection.HELD_OUT_DATASETS) == sorted(last)
    for name in collection.HELD_OUT_DATASETS:
        (cluster,) = (d.cluster for d in DATASETS if d.name == name)
        assert sum(d.cluster == cluster for d in TRAINED) >= 2


@each_dataset
def test_a_record_depends_on_name_split_and_index_alone(dataset):
    forwards = [dataset.record(i, "test") for i in range(20)]
    backwards = [dataset.record(i, "test") for i in reversed(range(20))]
    assert forwards == backwards[::-1]
    assert forwards != [dataset.record(i, "validation") for i in range(20)]
    assert len({str(record) for record in forwards}) > 10
    assert dataset.record(10**12, "train")["content"]


def test_records_are_the_same_on_every_machine_and_python():
    by_name = {d.name: d for d in DATASETS}
    assert by_name["number_pairs"].record(0, "train")["text"] == "The numbers are sixteen and fifteen."
    assert by_name["trip_stories"].record(0, "train")["answer"] == "wolf"


@each_dataset
def test_the_answer_is_among_the_options_and_options_differ(dataset):
    for split in SPLITS:
        for record in records_of(dataset, split):
            if "label" in record:
                for template in dataset.templates:
                    assert len(set(template.choices)) == len(template.choices)
                    assert 0 <= record["label"] < len(template.choices)
            else:
                assert record["answer"] in record["options"]
                assert len(set(record["options"])) == len(record["options"]) >= 2


@each_dataset
def test_contents_and_items_of_different_splits_are_disjoint(dataset):
    contents, items = {}, {}
    for split in SPLITS:
        records = records_of(dataset, split)
        contents[split] = {record["content"] for record in records}
        items[split] = {str(sorted(record.items(), key=lambda item: item[0])) for record in records}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not contents[one] & contents[other]
        assert not items[one] & items[other]


def test_a_training_item_holds_no_evaluation_pair_of_numbers():
    for d in DATASETS:
        if d.cluster == "arithmetic" and d.name != "addition":
            for record in records_of(d, "train"):
                values = [words.NUMBERS.index(option) + 1 for option in record["options"]]
                assert all(split_of(pair_content(a, b)) == "train" for a in values for b in values if a != b), d.name


@pytest.mark.parametrize(
    "clusters",
    [("topic_classification", "odd_one_out", "information_extraction", "commonsense"), ("sentiment",)],
    ids=["categories", "sentiment"],
)
def test_a_word_that_decides_a_test_answer_stands_in_no_training_prompt_of_its_kind(clusters):
    datasets = [d for d in DATASETS if d.cluster in clusters]
    trained = {word for d in datasets for record in records_of(d, "train") for word in tokens(str(record))}
    for split in ("validation", "test"):
        deciding = {word for d in datasets for record in records_of(d, split) for word in record["content"].split()}
        assert len(deciding) >= 4
        assert not trained & deciding


@each_dataset
def test_wordings_are_clean_use_every_field_and_do_not_repeat(dataset):
    records = records_of(dataset, "train")[:20]
    known = set(records[0]) | {"answer", "options"}
    used = set().union(*(fields_of(t.prompt) | fields_of(t.response) for t in dataset.templates))
    assert used <= known
    assert set(records[0]) - used <= {"content", "label", "options", "answer", "pole"}
    assert len({t.id for t in dataset.templates}) == len({t.prompt for t in dataset.templates}) == 10
    for template in dataset.templates:
        for record in records:
            instance = template.apply(record)
            for text in (instance.prompt, instance.response):
                assert not re.search(r"[{}]|  | [.,:?]|^\s|\s$|\.\.|\\", text), text
                assert text.isascii()
            assert instance.prompt[0].isupper(), instance.prompt
            assert (
                instance.prompt.rstrip()[-1] in ".?:" or "\n" in instance.prompt or instance.prompt.endswith(record_end(record))
            )


def record_end(record):
    """What a list of bare items ends on."""
    return (record.get("items") or record.get("data") or ".")[-1]


@each_dataset
def test_every_wording_states_the_whole_item(dataset):
    """Two items that differ in what is asked differ in every prompt; else a field that decides the answer is missing."""
    for template in dataset.templates:
        if template.original_task:
            answers = {}
            for record in records_of(dataset, "train")[:300]:
                instance = template.apply(record)
                assert answers.setdefault(instance.prompt, instance.response) == instance.response, instance.prompt


@each_dataset
def test_the_prompt_gives_the_target_away_only_among_the_alternatives(dataset):
    for template in dataset.templates:
        for record in records_of(dataset, "train")[:50]:
            instance = template.apply(record)
            if f" {instance.response}" in instance.prompt and instance.options is not None and not template.choices:
                shown = [option for option in instance.options if option in instance.prompt]
                assert len(shown) >= 2, instance.prompt
            if not template.original_task:
                assert instance.response not in instance.prompt


@each_dataset
def test_labels_and_places_of_the_answer_are_balanced(dataset):
    counts = collections.Counter()
    for record in records_of(dataset, "train"):
        if "label" in record:
            counts[record["label"], 0] += 1
        else:
            counts[record["options"].index(record["answer"]), len(record["options"])] += 1
    sizes = collections.Counter()
    for (_, size), count in counts.items():
        sizes[size] += count
    for (place, size), count in counts.items():
        ways = size or len({p for p, s in counts if s == size})
        share = count / sizes[size]
        # In lists the asked place is first, second or last, so the third of four is never the answer.
        expected = 1 / (3 if dataset.name.endswith("_positions") else ways)
        assert abs(share - expected) < 0.06, (place, size, share)


def test_a_reserved_wording_is_trained_by_no_dataset():
    trained = {t.prompt for d in DATASETS for t in d.templates if not t.reserved}
    for d in DATASETS:
        assert not trained & {t.prompt for t in d.templates if t.reserved}, d.name


def trained_vocabulary():
    vocabulary = collections.Counter()
    for d in TRAINED:
        for i in range(100):
            record = records_of(d, "train")[i]
            for template in d.templates:
                if not template.reserved:
                    instance = template.apply(record)
                    vocabulary.update(tokens(f"{instance.prompt} {instance.response}"))
    return vocabulary


def test_reserved_wordings_use_trained_words_only_and_held_out_ones_no_unread_word():
    vocabulary = trained_vocabulary()
    read = vocabulary + collections.Counter(tokens(" ".join(base_document(i, "train") for i in range(5_000))))
    unknown = {
        (d.name, t.id, word)
        for d in DATASETS
        for t in d.templates
        for chunk in literals(t)
        for word in tokens(chunk)
        if word not in (vocabulary if d in TRAINED else read)
    }
    assert sorted(unknown) == []


def test_every_word_of_every_test_item_was_read_in_training():
    vocabulary = trained_vocabulary()
    for i in range(5_000):
        vocabulary.update(tokens(base_document(i, "train")))
    unread = set()
    for d in DATASETS:
        for record in records_of(d, "test")[:100]:
            for template in d.templates:
                instance = template.apply(record)
                unread.update(
                    (d.name, word) for word in tokens(f"{instance.prompt} {instance.response}") if word not in vocabulary
                )
    assert sorted(unread) == []


def test_the_lexicon_is_small_and_examples_are_short():
    lexicon, lengths = set(), []
    for d in DATASETS:
        for i in range(100):
            for template in d.templates:
                instance = template.apply(records_of(d, "train")[i])
                found = tokens(f"{instance.prompt}\n{instance.response}")
                lexicon.update(found)
                lengths.append(len(found))
    for i in range(2_000):
        found = tokens(base_document(i, "train"))
        lexicon.update(found)
        assert len(found) < 60
    assert len(lexicon) <= 470
    assert max(lengths) < 55
    assert sorted(lengths)[int(0.9 * len(lengths))] < 40


def test_nouns_take_the_article_a_and_belong_to_one_category():
    assert not [noun for noun in words.NOUNS if noun[0] in "aeiou"]
    assert len(set(words.NOUNS)) == len(words.NOUNS) == 12 * len(words.CATEGORIES)
    assert not set(words.ADJECTIVES[0]) & set(words.ADJECTIVES[1])
    for nouns in (*words.CATEGORIES.values(), *words.ADJECTIVES):
        assert sorted(sum((words.pool(nouns, split) for split in SPLITS), ())) == sorted(nouns)


def test_plain_text_is_repeatable_varied_and_holds_no_instruction():
    documents = [base_document(i, "train") for i in range(3_000)]
    assert documents == [base_document(i, "train") for i in range(3_000)]
    assert len(set(documents)) > 0.97 * len(documents)
    text = "\n".join(documents)
    assert not re.search(r"[{}?]|  | [.,:]", text)
    chunks = {c.strip() for d in DATASETS for t in d.templates for c in literals(t) if len(tokens(c)) >= 3}
    assert len(chunks) > 100
    assert not [chunk for chunk in chunks if chunk in text]


def test_plain_text_names_the_category_of_every_noun():
    text = " ".join(base_document(i, "train") for i in range(4_000))
    assert not [noun for noun, category in words.CATEGORY_OF.items() if f"{words.a(noun)}, a kind of {category}." not in text]


def test_plain_text_compares_no_pair_of_another_split():
    found = 0
    for i in range(3_000):
        for one, other in re.findall(r"From (\w+) (?:up|down) to (\w+)\.", base_document(i, "train")):
            found += 1
            assert split_of(pair_content(words.NUMBERS.index(one) + 1, words.NUMBERS.index(other) + 1)) == "train"
    assert found > 100


def test_no_document_of_plain_text_is_in_two_splits():
    documents = {split: {base_document(i, split) for i in range(2_000)} for split in SPLITS}
    for one, other in itertools.combinations(SPLITS, 2):
        assert not documents[one] & documents[other]
    assert all(len(some) > 1_900 for some in documents.values())


@pytest.mark.parametrize("split", SPLITS)
def test_one_thing_alone_helps_and_the_scene_does_not_contradict_the_need(split):
    seen = collections.Counter()
    for d in DATASETS:
        if d.cluster == "commonsense":
            for record in records_of(d, split):
                (need,) = (need for need in words.NEEDS if f" is {need}" in record["text"])
                seen[d.name, need] += 1
                kinds = {words.CATEGORY_OF[item] for item in record["options"] if item != record["answer"]}
                assert not kinds & {words.NEEDS[need].category, *words.NEEDS[need].competing}, record["text"]
                assert record["answer"] not in words.NEEDS[need].useless
                if need == "sleepy":
                    assert record["answer"] in ("bed", "sofa", "couch", "crib")
    assert not seen["home_choices", "far from home"]
    assert not seen["trip_choices", "busy in the workshop"]
    assert seen["market_choices", "far from home"]
    assert seen["market_choices", "busy in the workshop"]


def test_the_english_is_that_of_a_person():
    for d in DATASETS:
        for record in records_of(d, "train")[:100]:
            for template in d.templates:
                text = "{0.prompt} {0.response}".format(template.apply(record))
                assert not re.search(r"\bone (coins|books|cards|stamps|degrees)\b|What is the \w+ person|Which colour", text), (
                    text
                )
                assert not re.search(r"The job of [\w ]+ is [a-z]+\.", text), text
    for i in range(2_000):
        assert "one degrees" not in base_document(i, "train")


def test_seeds_and_splits_are_spread_evenly():
    shares = collections.Counter(split_of(f"item {i}") for i in range(10_000))
    assert [round(shares[split] / 10_000, 1) for split in SPLITS] == [0.7, 0.1, 0.2]
    assert abs(sum(seeded("x", i).random() for i in range(2_000)) / 2_000 - 0.5) < 0.03
    assert len({choose(10, seed=0, epoch=0, example=str(i)) for i in range(200)}) == 10
