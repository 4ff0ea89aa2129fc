"""From a checkpoint or a spec to a live, sharded model."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from instruct_jax.artifacts.checkpoint import locate
from instruct_jax.artifacts.manifest import read_manifest
from instruct_jax.artifacts.saved_parameters import SavedParameters, base_record
from instruct_jax.core import mesh as meshes
from instruct_jax.core import modules, trees
from instruct_jax.errors import InputError
from instruct_jax.model.decoder import REMAT, Decoder
from instruct_jax.model.lora import Lora, merged_parameters
from instruct_jax.model.lora_source import LoraSource
from instruct_jax.model.quantised import Quantisation
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
        # Some tokenizers have a few ids more than their model, which only a text that holds them needs.
        if (largest := data.get("largest_id", size - 1)) >= spec.vocab_size:
            raise InputError(
                f"the model has {spec.vocab_size} tokens, the dataset's tokenizer {size}, and id {largest} is used; "
                "leave vocab_size unset or raise it"
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

    def saved(self, path: str) -> bool:
        """Whether checkpoints hold this parameter: they hold all."""
        del path
        return True

    def adopt(self, saved: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The wanted parameters, all of which the state must have, and no other.

        Raises:
          InputError: the state is of another decoder, or an adapter's.
        """
        self.require_same(saved)
        if "adapter" in saved.manifest["model"]:
            raise InputError(
                f"{saved.run} is an adapter over a base, and this model has none; merge it into its base first "
                "(gin_configs/runs/merge.gin) and start from that"
            )
        saved.require_only(wanted)
        return saved.read(wanted)

    def require_same(self, saved: Any) -> None:
        """Fail where a saved state is of another decoder.

        Raises:
          InputError: it is.
        """
        theirs, mine = DecoderSpec.from_json(saved.manifest["model"]["spec"]).to_json(), self.spec.to_json()
        if theirs != mine:
            difference = trees.difference({"spec": theirs}, {"spec": mine})
            raise InputError(f"{saved.run} has another model: {difference}; make the recipe agree with it")

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


def spec_of(checkpoint: str | Path) -> DecoderSpec:
    """The spec of a checkpoint's model, so that a recipe which starts from it need not repeat its sizes.

    Raises:
      InputError: there is no such checkpoint.
    """
    folder, _ = locate(checkpoint)
    return DecoderSpec.from_json(read_manifest(folder, "checkpoint")["model"]["spec"])


def source_of(manifest: Mapping[str, Any], dtype: Any = "float32") -> DecoderSource | LoraSource:
    """What builds the model that a checkpoint's manifest describes.

    Args:
      manifest: the checkpoint's.
      dtype: of the computation.
    """
    decoder = DecoderSource(DecoderSpec.from_json(manifest["model"]["spec"]), dtype)
    if "adapter" not in manifest["model"]:
        return decoder
    fields = dict(manifest["model"]["adapter"])
    base_dtype, quantisation = fields.pop("base_dtype"), fields.pop("quantisation")
    held = None if quantisation is None else Quantisation(**quantisation)
    return LoraSource(decoder, Lora.from_json(fields), base_dtype, held)


def load_model(
    path: str | Path,
    mesh: jax.sharding.Mesh | None = None,
    dtype: Any = "float32",
    merge: bool = False,
    sharing: LoadedModel | None = None,
) -> LoadedModel:
    """The model of a checkpoint, its parameters read straight onto the mesh (default: this process's first device).

    Args:
      path: a run's folder (its newest state), or `run/checkpoints/<step>`.
      mesh: where to lay the parameters.
      dtype: of the computation.
      merge: whether to give an adapter's checkpoint as an ordinary decoder, the adapter merged in and kernels dense.
      sharing: the adapter's base, or another adapter over it: what this checkpoint does not hold itself is taken from
        there, held as it is there, rather than read again.

    Raises:
      InputError: there is no such checkpoint, it is not one of this model, or `sharing` is over another base.
    """
    folder, step = locate(path)
    saved = SavedParameters(folder, step)
    source = source_of(saved.manifest, dtype)
    blueprint, shapes = modules.abstract(lambda: source.build(jax.random.key(0)))
    wanted = {path: meshes.placed(mesh, shape, blueprint.axes[path]) for path, shape in shapes.items()}
    shared = {} if sharing is None else _shared(sharing, saved, {path: wanted[path] for path in wanted if not source.saved(path)})
    arrays = {**shared, **source.adopt(saved, {path: shape for path, shape in wanted.items() if path not in shared})}
    model = blueprint.merge(arrays)
    if merge and isinstance(source, LoraSource):
        model = merged(model, source.base)
    return LoadedModel(model, saved.manifest, folder, step)


def merged(model: nnx.Module, base: DecoderSource) -> Decoder:
    """The ordinary decoder that computes what an adapted one does, with fp32 kernels where there was an adapter."""
    blueprint, _ = modules.abstract(lambda: base.build(jax.random.key(0)))
    return blueprint.merge(merged_parameters(model))


def _shared(other: LoadedModel, saved: SavedParameters, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The base's arrays, from another live model over the same base."""
    mine, theirs = saved.manifest.get("base"), other.manifest.get("base")
    if theirs is None:
        theirs = base_record(other.folder, other.step)
    keys = ("identity", "step", "state")
    if mine is None or {key: mine.get(key) for key in keys} != {key: theirs.get(key) for key in keys}:
        raise InputError(f"{saved.run} and {other.folder} are not over the same base; load each by itself")
    arrays = modules.split(other.model)[1]
    if odd := [path for path, shape in wanted.items() if path not in arrays or arrays[path].dtype != shape.dtype]:
        raise InputError(f"{saved.run} holds {odd[0]} of its base in another way than {other.folder}; load each by itself")
    return {path: arrays[path] for path in wanted}
