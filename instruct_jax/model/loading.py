"""From a checkpoint or a spec to a live, sharded model."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from instruct_jax.artifacts import checkpoint
from instruct_jax.artifacts.manifest import read_manifest
from instruct_jax.core import mesh as meshes
from instruct_jax.core import modules
from instruct_jax.errors import InputError
from instruct_jax.model.decoder import REMAT, Decoder
from instruct_jax.model.spec import DecoderSpec


@dataclasses.dataclass(frozen=True)
class DecoderSource:
    """A decoder to train: the trainer's model socket.

    Attributes:
      spec: sizes and choices; without a vocab_size it takes that of the dataset's tokenizer.
      dtype: of the computation, a numpy dtype or its name; parameters, and sums of gradients over microbatches, are fp32.
      remat: what the backward pass keeps of each block: "none" (all), "dots", "full" (recompute all).
      freeze: regular expressions; a parameter whose path one of them matches from its start is not trained.
    """

    spec: DecoderSpec
    dtype: Any = "float32"
    remat: str = "none"
    freeze: Sequence[str] = ()

    def __post_init__(self):
        if self.remat not in REMAT:
            raise InputError(f"remat={self.remat!r} is no policy; choose one of {', '.join(REMAT)}")
        if self.dtype not in ("float32", "bfloat16", jnp.float32, jnp.bfloat16):
            raise InputError(f"dtype={self.dtype!r}; choose 'float32' or 'bfloat16'")

    def fit(self, data: Mapping[str, Any]) -> "DecoderSource":
        """This source with the vocabulary of a dataset's tokenizer, given its manifest.

        Raises:
          InputError: the spec names a smaller vocabulary, or a freeze pattern matches no parameter.
        """
        size, spec = data["tokenizer"]["vocab_size"], self.spec
        if spec.vocab_size is None:
            spec = dataclasses.replace(spec, vocab_size=size)
        if spec.vocab_size < size:
            raise InputError(
                f"the model has {spec.vocab_size} tokens, the dataset's tokenizer {size}; leave vocab_size unset or raise it"
            )
        fitted = dataclasses.replace(self, spec=spec)
        paths = modules.abstract(lambda: fitted.build(jax.random.key(0)))[0].paths
        for pattern in self.freeze:
            try:
                re.compile(pattern)
            except re.error as error:
                raise InputError(f"freeze pattern {pattern!r} is no regular expression ({error})") from None
            if not any(re.match(pattern, path) for path in paths):
                raise InputError(f"freeze pattern {pattern!r} matches no parameter; the parameters are: {', '.join(paths)}")
        return fitted

    def build(self, key: jax.Array) -> Decoder:
        """A decoder with fresh parameters."""
        return Decoder(self.spec, key, jnp.dtype(self.dtype), self.remat)

    def trainable(self, path: str) -> bool:
        """Whether this parameter is trained."""
        return not any(re.match(pattern, path) for pattern in self.freeze)

    def describe(self) -> dict[str, Any]:
        """The spec, for the manifest."""
        return {"spec": self.spec.to_json()}


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A live model, and where it came from."""

    model: Decoder
    manifest: Mapping[str, Any]
    folder: Path
    step: int


def load_model(path: str | Path, mesh: jax.sharding.Mesh | None = None, dtype: Any = "float32") -> LoadedModel:
    """The model of a checkpoint, its parameters read straight onto the mesh (default: this process's first device).

    Args:
      path: a run's folder (its newest state), or `run/checkpoints/<step>`.
      mesh: where to lay the parameters.
      dtype: of the computation.

    Raises:
      InputError: there is no such checkpoint, or it is not one of this model.
    """
    folder, step = checkpoint.locate(path)
    manifest = read_manifest(folder, "checkpoint")
    source = DecoderSource(DecoderSpec.from_json(manifest["model"]["spec"]), dtype)
    blueprint, shapes = modules.abstract(lambda: source.build(jax.random.key(0)))

    def place(path: str, shape: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        if mesh is None:
            sharding: Any = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        else:
            sharding = meshes.parameter_sharding(mesh, shape.shape, blueprint.axes[path])
        return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding)

    wanted = {path: place(path, shape) for path, shape in shapes.items()}
    return LoadedModel(blueprint.merge(checkpoint.read_parameters(folder, step, wanted)), manifest, folder, step)
