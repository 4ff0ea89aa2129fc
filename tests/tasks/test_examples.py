"""Other people's SeqIO tasks: token ids kept as they are, strings rendered, documents trained on every token."""

import functools

import numpy as np
import pytest
import seqio
import tensorflow as tf

from instruct_jax.errors import InputError
from instruct_jax.tasks.examples import open_examples
from instruct_jax.tasks.files.records import MalformedRow
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.prompts import ZERO_SHOT
from instruct_jax.tasks.sources import Generated
from instruct_jax.tasks.train_tokenizer import learn
from instruct_jax.text.conversation import Conversation, Message
from instruct_jax.text.templates import Template
from instruct_jax.text.tokenizer import ByteTokenizer, SentencePieceTokenizer

QUESTIONS = [("2 + 2 ?", "4"), ("the capital of France", "Paris"), ("say nothing", "")]


def _function_source(rows=QUESTIONS):
    def dataset(split, shuffle_files=False):
        del split, shuffle_files
        question, answer = zip(*rows, strict=True)
        return tf.data.Dataset.from_tensor_slices({"question": list(question), "answer": list(answer)})

    return seqio.FunctionDataSource(dataset, splits=["train"], num_input_examples={"train": len(rows)})


@pytest.fixture
def model_file(tmp_path):
    """A small SentencePiece model."""
    text = ["the capital of France is Paris", "say nothing at all", "2 + 2 ? is 4 and 3 + 3 is 6"] * 20
    file = tmp_path / "small.model"
    file.write_bytes(learn(iter(text), 320))
    return file


def _add_token_task(registry, vocabulary, name="e_tokens"):
    rekey = functools.partial(seqio.preprocessors.rekey, key_map={"inputs": "question", "targets": "answer"})
    return registry.TaskRegistry.add(
        name,
        source=_function_source(),
        preprocessors=[rekey, seqio.preprocessors.tokenize, seqio.preprocessors.append_eos],
        output_features={
            "inputs": seqio.Feature(vocabulary, add_eos=False),
            "targets": seqio.Feature(vocabulary, add_eos=True),
        },
    )


def _open(task, tokenizer, tmp_path):
    return open_examples(task, "train", tokenizer, 0, ZERO_SHOT, tmp_path / "scratch")


def test_a_tokenizing_task_of_another_module_keeps_its_ids_and_its_seam(registry, model_file, tmp_path):
    vocabulary = seqio.SentencePieceVocabulary(str(model_file))
    task = _add_token_task(registry, vocabulary)
    examples = _open(task, SentencePieceTokenizer(model_file.read_bytes()), tmp_path)
    theirs = list(task.get_dataset(split="train", shuffle=False).as_numpy_iterator())
    for index, row in enumerate(theirs):
        rendered = examples.example(index, 0).content
        assert rendered.tokens.tolist() == [*row["inputs"], *row["targets"]]
        assert rendered.weights.tolist() == [0.0] * row["inputs"].size + [1.0] * row["targets"].size
        assert rendered.trimmable == ((0, row["inputs"].size),)
    assert len(theirs) == examples.records.size == 3


def test_a_task_whose_vocabulary_is_not_the_tokenizers_is_refused(registry, model_file, tmp_path):
    other = tmp_path / "other.model"
    other.write_bytes(learn(iter(["entirely different words about gardens and rain"] * 30), 300))
    same_size = tmp_path / "same_size.model"
    same_size.write_bytes(learn(iter(["gardens in the rain grow green and the rain goes on"] * 30), 320))
    task = _add_token_task(registry, seqio.SentencePieceVocabulary(str(model_file)))
    for file, difference in ((other, "size 320, tokenizer 300"), (same_size, r"id \d+ is '.+', tokenizer '.+'")):
        with pytest.raises(InputError, match=f"e_tokens, feature 'inputs'.*another vocabulary.*{difference}"):
            _open(task, SentencePieceTokenizer(file.read_bytes()), tmp_path)
    bytes_task = _add_token_task(registry, seqio.ByteVocabulary(), "e_bytes")
    with pytest.raises(InputError, match="end of text is id 1, tokenizer 2"):
        _open(bytes_task, ByteTokenizer(), tmp_path)


def test_id_zero_inside_a_task_is_an_ordinary_token(registry, tmp_path):
    vocabulary = seqio.PassThroughVocabulary(size=50)
    features = {name: seqio.Feature(vocabulary, add_eos=False) for name in ("inputs", "targets")}

    def dataset(split, shuffle_files=False):
        del split, shuffle_files
        ids = {"inputs": [[5, 0, 7]], "targets": [[0, 9, 0]]}
        return tf.data.Dataset.from_tensor_slices({name: tf.constant(value, tf.int32) for name, value in ids.items()})

    source = seqio.FunctionDataSource(dataset, splits=["train"])
    task = registry.TaskRegistry.add("e_zero", source=source, preprocessors=[], output_features=features)
    rendered = _open(task, ByteTokenizer(), tmp_path).example(0, 0).content
    assert rendered.tokens.tolist() == [5, 0, 7, 0, 9, 0]
    assert rendered.weights.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("ids", [[3, 400], [-1, 3]])
def test_an_id_outside_the_tokenizer_is_refused_and_named(registry, tmp_path, ids):
    vocabulary = seqio.PassThroughVocabulary(size=50)
    features = {"targets": seqio.Feature(vocabulary, add_eos=False)}
    source = Generated(lambda index, _split: {"targets": [3, 4] if index == 0 else ids}, size=2)
    task = registry.TaskRegistry.add("e_outside", source=source, preprocessors=[], output_features=features)
    examples = _open(task, ByteTokenizer(), tmp_path)
    with pytest.raises(MalformedRow, match=r"record 1.*targets must be ids from 0 to 258"):
        examples.example(1, 0)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"inputs": [3]}, "record 1.*'targets' is not there; it has: inputs"),
        ({"targets": [3.5, 4.0]}, r"record 1.*targets must be whole numbers in one row; got \[3.5"),
        ({"targets": 3}, "record 1.*targets must be whole numbers in one row; got 3"),
        ({"targets": [[3], [4, 5]]}, "record 1.*targets must be whole numbers in one row"),
    ],
)
def test_ids_that_are_missing_or_no_whole_numbers_are_refused_and_named(registry, tmp_path, second, message):
    features = {"targets": seqio.Feature(seqio.PassThroughVocabulary(size=50), add_eos=False)}
    source = Generated(lambda index, _split: {"targets": [3, 4]} if index == 0 else second, size=2)
    task = registry.TaskRegistry.add("e_ids", source=source, preprocessors=[], output_features=features)
    examples = _open(task, ByteTokenizer(), tmp_path)
    with pytest.raises(MalformedRow, match=message):
        examples.example(1, 0)


def test_string_inputs_and_targets_become_two_turns(registry, tmp_path):
    rekey = functools.partial(seqio.preprocessors.rekey, key_map={"inputs": "question", "targets": "answer"})
    task = registry.TaskRegistry.add(
        "e_strings", source=_function_source(), preprocessors=[rekey], output_features=text_features()
    )
    example = _open(task, ByteTokenizer(), tmp_path).example(1, 0)
    assert example.content == Conversation((Message("user", "the capital of France"), Message("assistant", "Paris")))
    assert not example.document


@pytest.mark.parametrize("name", ["targets", "text"])
def test_targets_or_text_alone_are_a_plain_document(registry, tmp_path, name):
    source = Generated(lambda index, _split: {name: f"document {index}"}, size=2)
    task = registry.TaskRegistry.add(f"e_{name}", source=source, preprocessors=[], output_features=text_features())
    example = _open(task, ByteTokenizer(), tmp_path).example(1, 0)
    assert example.content == Conversation((Message("text", "document 1"),))
    assert example.document


def test_preprocessors_before_instruct_are_run(registry, tmp_path):
    instruct = Instruct((Template("ask", "{question}!", "{answer}"),), "qa", "questions")

    def short(dataset):
        return dataset.filter(lambda row: tf.strings.length(row["question"]) < 12)

    task = registry.TaskRegistry.add(
        "e_filtered", source=_function_source(), preprocessors=[short, instruct], output_features=text_features()
    )
    examples = _open(task, ByteTokenizer(), tmp_path)
    prompts = [examples.example(index, 0).content.messages[0].text for index in range(examples.records.size)]
    assert prompts == ["2 + 2 ?!", "say nothing!"]


def test_preprocessors_get_no_length_to_cut_to(registry, tmp_path):
    """SeqIO's own trimming would cut targets silently; lengths are prepare's business."""
    vocabulary = seqio.PassThroughVocabulary(size=200, eos_id=1)
    features = {"targets": seqio.Feature(vocabulary, add_eos=True)}
    source = Generated(lambda _index, _split: {"targets": list(range(2, 150))}, size=1)
    task = registry.TaskRegistry.add(
        "e_long",
        source=source,
        preprocessors=[
            lambda dataset: dataset.map(lambda row: {"targets": tf.cast(row["targets"], tf.int32)}),
            seqio.preprocessors.append_eos_after_trim,
        ],
        output_features=features,
    )
    assert _open(task, ByteTokenizer(), tmp_path).example(0, 0).content.tokens.tolist() == [*range(2, 150), 1]


@pytest.mark.parametrize(
    ("steps", "record", "message"),
    [
        ([], {"question": "q"}, r"gives question; expected 'messages', or 'targets' with or without 'inputs', or 'text'"),
        ([lambda ds: ds.filter(lambda row: row["text"] == "none")], {"text": "t"}, "has no examples in split 'train'"),
        ([lambda ds: ds.map(lambda row: {"text": row["nothing"]})], {"text": "t"}, "a preprocessor failed"),
        (
            [Instruct((Template("a", "p", "r"),), "c", "d"), seqio.preprocessors.tokenize],
            {"text": "t"},
            "Instruct must be the last",
        ),
    ],
)
def test_a_task_that_cannot_be_read_says_why(registry, tmp_path, steps, record, message):
    source = Generated(lambda _index, _split: record, size=2)
    task = registry.TaskRegistry.add("e_wrong", source=source, preprocessors=steps, output_features=text_features())
    with pytest.raises(InputError, match=message):
        _open(task, ByteTokenizer(), tmp_path)


def test_a_split_that_is_not_there_is_named(registry, tmp_path):
    source = Generated(lambda _index, _split: {"text": "t"}, size=2, splits=("train",))
    task = registry.TaskRegistry.add("e_split", source=source, preprocessors=[], output_features=text_features())
    with pytest.raises(InputError, match="task e_split has no split 'dev'; it has: train"):
        open_examples(task, "dev", ByteTokenizer(), 0, ZERO_SHOT, tmp_path)


def test_an_endless_task_cannot_go_through_tf_data(registry, tmp_path):
    source = Generated(lambda _index, _split: {"text": "t"})
    task = registry.TaskRegistry.add(
        "e_endless", source=source, preprocessors=[lambda ds: ds.map(dict)], output_features=text_features()
    )
    with pytest.raises(InputError, match="task e_endless: its source has no end"):
        _open(task, ByteTokenizer(), tmp_path)


def test_a_malformed_row_behind_tf_data_is_still_named_by_file_and_line(registry, tmp_path):
    from instruct_jax.tasks.sources import JsonLines

    (tmp_path / "a.jsonl").write_text('{"text": "good"}\n{"text": \n')
    task = registry.TaskRegistry.add(
        "e_broken",
        source=JsonLines({"train": str(tmp_path / "a.jsonl")}),
        preprocessors=[lambda ds: ds.map(lambda row: {"targets": row["text"]})],
        output_features=text_features(),
    )
    with pytest.raises(InputError, match=r"task e_broken, split 'train': .*a\.jsonl:2: not valid JSON"):
        _open(task, ByteTokenizer(), tmp_path)


def test_weights_and_tokens_have_the_types_of_a_row(registry, model_file, tmp_path):
    task = _add_token_task(registry, seqio.SentencePieceVocabulary(str(model_file)))
    rendered = _open(task, SentencePieceTokenizer(model_file.read_bytes()), tmp_path).example(0, 0).content
    assert (rendered.tokens.dtype, rendered.weights.dtype) == (np.int32, np.float32)
