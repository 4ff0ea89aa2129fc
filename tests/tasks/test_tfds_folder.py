"""A TFDS folder on disk is a SeqIO source like any other."""

import functools

import pytest
import seqio

from instruct_jax.artifacts.dataset import Dataset
from instruct_jax.errors import InputError
from instruct_jax.tasks.instruct import text_features
from instruct_jax.tasks.prepare import prepare
from instruct_jax.tasks.tfds_folder import TfdsFolder
from instruct_jax.text.chat import INSTRUCT


def test_a_folder_of_c4_becomes_plain_documents(registry, real_data, tmp_path):
    registry.TaskRegistry.add(
        "f_c4",
        source=TfdsFolder(real_data / "tfds" / "c4" / "en" / "3.0.1"),
        preprocessors=[functools.partial(seqio.preprocessors.rekey, key_map={"targets": "text"})],
        output_features=text_features(),
    )
    prepare(str(tmp_path / "d"), "f_c4", "bytes", INSTRUCT, 512, 0, split="validation")
    dataset = Dataset(tmp_path / "d")
    (task,) = dataset.manifest["tasks"]
    assert (task["size"], task["examples"]) == (200, 200)
    assert task["split"] > 0
    assert dataset.manifest["density"] > 0.99


def test_a_folder_without_a_description_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no dataset_info\.json"):
        TfdsFolder(tmp_path)
