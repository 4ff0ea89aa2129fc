"""TfdsFolder: a SeqIO source over a TFDS dataset that lies on disk, with or without its builder's code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import seqio
import tensorflow as tf
import tensorflow_datasets as tfds

from instruct_jax.artifacts.manifest import file_sha256
from instruct_jax.errors import InputError


class TfdsFolder(seqio.DataSource):
    """The folder `<dataset>/<config>/<version>` that holds a `dataset_info.json`.

    Args:
      folder: its path.
    """

    def __init__(self, folder: str | Path):
        self._folder = Path(folder)
        if not (self._folder / "dataset_info.json").exists():
            raise InputError(
                f"{folder} holds no dataset_info.json; give the version folder of a TFDS dataset, such as c4/en/3.0.1"
            )
        self._builder = tfds.builder_from_directory(str(folder))
        super().__init__(splits=tuple(self._builder.info.splits))

    def __repr__(self) -> str:
        return f"TfdsFolder({self._folder})"

    @property
    def supports_arbitrary_sharding(self) -> bool:
        return False

    def list_shards(self, split: str) -> Sequence[str]:
        return self._builder.info.splits[split].filenames

    def num_input_examples(self, split: str) -> int:
        return self._builder.info.splits[split].num_examples

    def identity(self, split: str) -> Any:
        """Name and version, the checksum of its description, and the size of each shard."""
        info = self._builder.info
        sizes = [[Path(file).name, Path(file).stat().st_size] for file in info.splits[split].filepaths]
        return [info.full_name, file_sha256(self._folder / "dataset_info.json"), sizes]

    def get_dataset(
        self, split="train", shuffle=True, seed=None, shard_info=None, *, sequence_length=None, use_cached=False, num_epochs=1
    ) -> tf.data.Dataset:
        """The split as tf.data; in the order of its shards unless shuffled."""
        del sequence_length, use_cached, num_epochs
        read_config = tfds.ReadConfig(shuffle_seed=seed, interleave_cycle_length=16 if shuffle else 1)
        if shard_info is not None:
            read_config.input_context = tf.distribute.InputContext(shard_info.num_shards, shard_info.index)
        return self._builder.as_dataset(split=split, shuffle_files=shuffle, read_config=read_config)
