"""A dataset of the FLAN-style collection: how a TFDS example becomes a record of fields, and the wordings of the record."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.text.templates import Template, fields_of

Example = Mapping[str, Any]
_SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class FlanDataset:
    """One public dataset in ten wordings of its own.

    A record holds texts, and at most two fields of another kind: `label`, the number of the right one among a template's
    `choices`, and `options`, the texts that an `answer` is ranked among.

    Attributes:
      name: unique in the collection; the task is called "flan_<name>".
      cluster: the kind of task; all of a cluster are held out together (Wei et al. 2021, section 2.2).
      tfds: name, config and version in TensorFlow Datasets, such as "glue/rte:2.0.0".
      fields: the record's fields.
      templates: ten wordings; three are reserved for evaluation and at most three turned round.
      record: example -> record, or None for an example that has no answer. None: the fields bear their features' names.
      classes: names of the classes of `class_feature` in TFDS's order, which is the order of the templates' choices; empty
        where `label` is no TFDS class or there is no `label`.
      class_feature: the feature of the example whose class `label` is.
      splits: TFDS's split behind each of "train", "validation" and "test"; what TFDS has not, or has without answers, is missing.
      metrics: scorer names for generated answers.
      language: of the questions.
      reference: the paper.
      rationale_field: the record's field that tells how the answer is found; empty where there is none.
      ignored: fields that no wording uses, on purpose.
    """

    name: str
    cluster: str
    tfds: str
    fields: tuple[str, ...]
    templates: tuple[Template, ...]
    record: Callable[[Example], Mapping[str, Any] | None] | None = None
    classes: tuple[str, ...] = ()
    class_feature: str = "label"
    splits: Mapping[str, str] = dataclasses.field(default_factory=lambda: {name: name for name in _SPLITS})
    metrics: tuple[str, ...] = ("exact_match",)
    language: str = "en"
    reference: str = ""
    rationale_field: str = ""
    ignored: tuple[str, ...] = ()

    def __post_init__(self):
        given = {*self.fields, "options", "answer"}
        for template in self.templates:
            named = fields_of(template.prompt) | fields_of(template.response) | fields_of(template.rationale or "")
            unknown = sorted(named - given)
            if unknown:
                raise InputError(
                    f"dataset {self.name!r}: template {template.id!r} names the field {unknown[0]!r}, which its records lack; "
                    f"they have: {', '.join(self.fields)}"
                )
            if template.choices is not None and self.classes and len(template.choices) != len(self.classes):
                raise InputError(
                    f"dataset {self.name!r}: template {template.id!r} has {len(template.choices)} choices for the "
                    f"{len(self.classes)} classes {', '.join(self.classes)}; give one a class, in this order"
                )

    def read(self, example: Example) -> dict[str, Any] | None:
        """The record of an example, its texts stripped.

        Args:
          example: as TFDS gives it, in plain Python: text, numbers, lists and dicts.

        Returns:
          The record; None where the example has no answer, a text is blank, there are no two options to choose from, or the
          answer is none of them.

        Raises:
          InputError: the record has other fields than the dataset says, or a field is of the wrong kind.
        """
        record = self.record(example) if self.record else {name: example[name] for name in self.fields}
        if record is None:
            return None
        if set(record) != set(self.fields):
            raise InputError(
                f"dataset {self.name!r}: a record has the fields {', '.join(record)}; expected {', '.join(self.fields)}"
            )
        cleaned = {name: _cleaned(self.name, name, value) for name, value in record.items()}
        if any(value is None for value in cleaned.values()):
            return None
        unlisted = "options" in cleaned and "answer" in cleaned and cleaned["answer"] not in cleaned["options"]
        return None if unlisted else cleaned


def renamed(**features: str) -> Callable[[Example], dict[str, Any]]:
    """A `record` function that takes each field from a feature; a feature within another is named by its path.

    >>> renamed(source="translation/en", target="translation/de")({"translation": {"en": "yes", "de": "ja"}})
    {'source': 'yes', 'target': 'ja'}
    """
    return functools.partial(_renamed, tuple(features.items()))


def _renamed(features: tuple[tuple[str, str], ...], example: Example) -> dict[str, Any]:
    return {name: functools.reduce(lambda value, part: value[part], path.split("/"), example) for name, path in features}


def with_reasoning(templates: tuple[Template, ...], *rationales: str, terse: tuple[str, ...] = ()) -> tuple[Template, ...]:
    """The templates, those of the original task with a wording for an answer that shows its reasoning.

    Args:
      templates: a dataset's wordings.
      rationales: wordings of the answer, such as "{rationale} So the answer is {answer}."; the templates take turns with them.
      terse: ids of templates that ask for the bare answer, which reasoning would disobey: they get no such wording.
    """
    endings = itertools.cycle(rationales)
    return tuple(
        dataclasses.replace(one, rationale=next(endings)) if one.original_task and one.id not in terse else one
        for one in templates
    )


def first(texts: list[str]) -> str:
    """The first of the texts that is not blank, or "" (which leaves the example out).

    >>> first(["", "in May"]), first([])
    ('in May', '')
    """
    return next((text for text in texts if text.strip()), "")


def _cleaned(dataset: str, name: str, value: Any) -> Any:
    """The value of a field, None where there is nothing to ask about or to answer."""
    if name == "label" and isinstance(value, int):
        return int(value) if value >= 0 else None  # TFDS writes -1 where annotators did not agree or answers are hidden
    if name == "options" and isinstance(value, list | tuple):
        options = [text.strip() for text in value]
        return options if len(set(options)) == len(options) > 1 and all(options) else None
    if name not in ("label", "options") and isinstance(value, str):
        return value.strip() or None
    expected = {"label": "an integer", "options": "a list of texts"}.get(name, "text")
    raise InputError(f"dataset {dataset!r}: field {name!r} holds {type(value).__name__}; expected {expected}")
