"""The procedural suite as SeqIO tasks: unlimited seeded examples, and plain text of the same little world."""

import hashlib
from pathlib import Path

import seqio

from instruct_jax.errors import InputError
from instruct_jax.tasks.instruct import Instruct, text_features
from instruct_jax.tasks.sources import Generated
from instruct_jax.tasks.suite import collection
from instruct_jax.tasks.suite import text as suite_text

INSTRUCTIONS = "procedural_instructions"
TEXT = "procedural_text"


def add_mixture(replay: float = 0.3, name: str = "procedural_mixture") -> str:
    """Register the suite's instructions mixed with plain text; a second call replaces the first.

    Args:
      replay: the share of plain text, counted in examples (a document is longer than a question, so its share of the
        tokens is larger; prepare's table tells both).
      name: of the mixture.

    Returns:
      The mixture's name.
    """
    if not 0 <= replay <= 1:
        raise InputError(f"replay is {replay}; expected a share of examples from 0 to 1")
    if name in seqio.MixtureRegistry.names():
        seqio.MixtureRegistry.remove(name)
    seqio.MixtureRegistry.add(name, [(INSTRUCTIONS, 1 - replay), (TEXT, replay)])
    return name


def _document(index: int, split: str) -> dict[str, str]:
    return {"targets": suite_text.base_document(index, split)}


def _version() -> str:
    """Hash of the suite's source files: what its records are computed by."""
    digest = hashlib.sha256()
    for file in sorted(Path(collection.__file__).parent.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _register() -> None:
    version = _version()
    names = []
    for dataset in collection.DATASETS:
        names.append(f"procedural_{dataset.name}")
        seqio.TaskRegistry.add(
            names[-1],
            source=Generated(dataset.record, version=version),
            preprocessors=[Instruct(dataset.templates, dataset.cluster, dataset.name, dataset.metrics, source_field="content")],
            output_features=text_features(),
        )
    seqio.TaskRegistry.add(TEXT, source=Generated(_document, version=version), preprocessors=[], output_features=text_features())
    seqio.MixtureRegistry.add(INSTRUCTIONS, names, default_rate=1.0)


_register()
