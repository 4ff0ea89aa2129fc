"""HF folder to checkpoint: tensors streamed one at a time onto their shards; refuses whatever it does not know."""

from pathlib import Path
from typing import Any

import jax

from instruct_jax.model.spec import DecoderSpec


def read_model(
    hf_dir: str | Path, mesh: jax.sharding.Mesh | None = None, dtype: Any = None
) -> tuple[DecoderSpec, dict[str, jax.Array], dict[str, Any]]:
    """The model of an HF folder, without writing a checkpoint.

    Args:
      hf_dir: holds config.json and safetensors files.
      mesh: where to lay the parameters; None: this process's first device.
      dtype: of the parameters; None: as in the files.

    Returns:
      The spec, the parameters by path, and what the manifest of an imported checkpoint would hold.

    Raises:
      InputError: the folder is no model of a known family, or is damaged.
    """
    raise NotImplementedError
