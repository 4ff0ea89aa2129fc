"""A TFDS folder on disk is a SeqIO source like any other, and is read by index."""

import functools
import itertools
import json
from pathlib import Path

import pytest
import seqio
import tensorflow as tf
import tensorflow_datasets as tfds

from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.errors import InputError
from instruct_jax.tasks import conversations
from instruct_jax.tasks.files.records import MalformedRow
from instruct_jax.tasks.formats import describe, read
from instruct_jax.tasks.instruct import plain, text_features
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.tfds_folder import TfdsFolder
from instruct_jax.text.chat import INSTRUCT

FEATURES = {
    "question": tfds.features.Text(),
    "answer": tfds.features.Text(),
    "label": tfds.features.ClassLabel(names=["no", "yes"]),
    "tags": tfds.features.Sequence(tfds.features.Text()),
    "passages": tfds.features.Sequence({"title": tfds.features.Text(), "n": tf.int64}),
    "about": {"place": tfds.features.Text(), "weights": tfds.features.Sequence(tf.float32)},
}


def example(n):
    return {
        "question": f"qé{n}?" * (n % 3),
        "answer": f"a{n}",
        "label": n % 2,
        "tags": [f"o{k}" for k in range(n % 4)],
        "passages": [{"title": f"t{k}", "n": k} for k in range(n % 3)],
        "about": {"place": f"p{n}", "weights": [0.5] * (n % 2)},
    }


@pytest.fixture
def make_folder(tmp_path):
    """A function of the file format -> the version folder of a small dataset with ragged fields."""

    def make(file_format):
        class Small(tfds.core.GeneratorBasedBuilder, skip_registration=True):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(FEATURES))

            def _split_generators(self, dl_manager):
                del dl_manager
                return {name: self._generate_examples(size) for name, size in (("train", 37), ("test", 5))}

            def _generate_examples(self, size):
                yield from ((n, example(n)) for n in range(size))

        builder = Small(data_dir=str(tmp_path / file_format), file_format=file_format)
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
        return Path(builder.data_path)

    return make


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
@pytest.mark.parametrize("split", ["train", "test", "train[10%:60%]", "train[-3:]"])
def test_records_by_index_are_those_of_tfds_itself(make_folder, file_format, split):
    folder = make_folder(file_format)
    source, builder = TfdsFolder(folder), tfds.builder_from_directory(str(folder))
    records = source.records(split)
    if file_format == "tfrecord":
        expected = list(map(plain, source.get_dataset(split, shuffle=False).as_numpy_iterator()))
    else:
        expected = list(map(plain, builder.as_data_source(split)))
    assert records.size == source.num_input_examples(split) == len(expected)
    assert [records[index] for index in reversed(range(records.size))] == expected[::-1]
    assert all(records.where(index) != records.where(index + 1) for index in range(records.size - 1))


def test_identity_follows_the_split(make_folder):
    source = TfdsFolder(make_folder("tfrecord"))
    identities = [json.dumps(source.identity(split)) for split in ("train", "test", "train[:5]", "train[5:]")]
    assert all(one != other for one, other in itertools.combinations(identities, 2))


def test_a_folder_is_a_format_like_any_other(make_folder):
    folder = make_folder("tfrecord")
    assert describe(folder) == "37 rows of prompt and completion in 3 files of TFDS: question, answer"
    sample = next(read(folder, split="test"))
    assert sample.conversation.messages[1].text.startswith("a")
    with pytest.raises(InputError, match=r"has no split 'dev'.*it has: train, test"):
        next(read(folder, split="dev"))


def test_damage_is_told_by_file_and_example(make_folder):
    folder = make_folder("tfrecord")
    (file,) = folder.glob("*test.tfrecord*-00000-of-*")
    content = file.read_bytes()
    file.write_bytes(content[:-7])
    with pytest.raises(InputError, match=r"tfrecord-00000-of-\d+ is damaged \(it is cut off within record \d\); fetch it again"):
        TfdsFolder(folder).records("test")
    file.write_bytes(content[:20] + b"\xff" * 20 + content[40:])
    with pytest.raises(MalformedRow, match=r"tfrecord-00000-of-\d+ example 1: cannot be read"):
        TfdsFolder(folder).records("test")[0]
    file.write_bytes(b"")
    with pytest.raises(InputError, match=r"holds 0 examples; its dataset_info\.json says \d+"):
        TfdsFolder(folder).records("test")
    (folder / "features.json").write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        TfdsFolder(folder)


def test_a_folder_of_c4_becomes_plain_documents(registry, real_data, tmp_path):
    folder = real_data / "tfds" / "c4" / "en" / "3.0.1"
    registry.TaskRegistry.add(
        "f_c4",
        source=TfdsFolder(folder),
        preprocessors=[functools.partial(seqio.preprocessors.rekey, key_map={"targets": "text"})],
        output_features=text_features(),
    )
    conversations.add_task(str(folder), "f_c4_by_index", split="validation")
    rows = []
    for name, split in (("f_c4", "validation"), ("f_c4_by_index", "train")):
        prepare(str(tmp_path / name), name, "bytes", INSTRUCT, 512, 0, split=split)
        dataset = Dataset(tmp_path / name)
        (task,) = dataset.manifest["tasks"]
        assert (task["size"], task["examples"]) == (200, 200)
        assert task["split"] > 0
        assert dataset.manifest["density"] > 0.99
        rows.append(sum(dataset[index].tokens.size for index in range(len(dataset))))
    assert rows[0] == rows[1]


def test_a_folder_without_a_description_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no dataset_info\.json"):
        TfdsFolder(tmp_path)
