"""TfdsFolder: a SeqIO source over a TFDS dataset that lies on disk, with or without its builder's code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from instruct_jax.artifacts.manifest import file_sha256
from instruct_jax.errors import InputError
from instruct_jax.tasks.files.records import FileRecords
from instruct_jax.tasks.sources import RecordSource
from instruct_jax.tasks.tfds_shard import TfdsShard


class TfdsFolder(RecordSource):
    """The folder `<dataset>/<config>/<version>` that holds a `dataset_info.json`.

    Its records are read by index from TFRecord and ArrayRecord files, so that `prepare` needs no tf.data graph for them.
    Splits may be slices, such as "train[:5%]".

    Args:
      folder: its path.

    Raises:
      InputError: it is no such folder, or damaged.
    """

    def __init__(self, folder: str | Path):
        self._folder = Path(folder)
        if not (self._folder / "dataset_info.json").exists():
            raise InputError(
                f"{folder} holds no dataset_info.json; give the version folder of a TFDS dataset, such as c4/en/3.0.1"
            )
        try:
            self._builder = tfds.builder_from_directory(str(folder))
        except (ValueError, KeyError, TypeError, OSError) as error:  # protocol buffers' errors are ValueErrors
            reason = " ".join(str(error).split())[:150] or type(error).__name__
            raise InputError(f"{folder} is damaged ({reason}); fetch it again") from None
        super().__init__(splits=tuple(self._builder.info.splits))

    def __repr__(self) -> str:
        return f"TfdsFolder({self._folder})"

    def has_split(self, split: str) -> bool:
        return split.partition("[")[0] in self.splits

    def read(self, split: str) -> FileRecords:
        features = self._builder.info.features
        return FileRecords(
            [
                TfdsShard(Path(part.filename), features.deserialize_example_np, part.examples_in_shard, part.skip, part.take)
                for part in self._info(split).file_instructions
            ]
        )

    def list_shards(self, split: str) -> Sequence[str]:
        return self._info(split).filenames

    def num_input_examples(self, split: str) -> int:
        return self._info(split).num_examples

    def identity(self, split: str) -> Any:
        """Name and version, the checksum of its description, and the size of each shard."""
        info = self._builder.info
        sizes = [[Path(file).name, Path(file).stat().st_size] for file in self._info(split).filepaths]
        identity = [info.full_name, file_sha256(self._folder / "dataset_info.json"), sizes]
        return identity if split in self.splits else [*identity, split]

    def get_dataset(
        self, split="train", shuffle=True, seed=None, shard_info=None, *, sequence_length=None, use_cached=False, num_epochs=1
    ) -> tf.data.Dataset:
        """The split as tf.data; in the order of its shards unless shuffled. TFDS reads no ArrayRecord so: that comes in order."""
        if self._builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
            return super().get_dataset(split)
        del sequence_length, use_cached, num_epochs
        read_config = tfds.ReadConfig(shuffle_seed=seed, interleave_cycle_length=16 if shuffle else 1)
        if shard_info is not None:
            read_config.input_context = tf.distribute.InputContext(shard_info.num_shards, shard_info.index)
        return self._builder.as_dataset(split=split, shuffle_files=shuffle, read_config=read_config)

    def _info(self, split: str) -> Any:
        try:
            return self._builder.info.splits[split]
        except (KeyError, ValueError) as error:
            reason = " ".join(str(error).split())[:150]
            raise InputError(f"{self} has no split {split!r} ({reason}); it has: {', '.join(self.splits)}") from None
