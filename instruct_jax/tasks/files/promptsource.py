"""Import of promptsource's YAML: its templates, with their metadata, as values that `Instruct` takes."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from instruct_jax.errors import InputError
from instruct_jax.text.jinja_template import BAR, JinjaTemplate
from instruct_jax.text.templates import Template

# What promptsource calls a metric, and the scorer that the project has for it.
METRICS = {
    "Accuracy": "exact_match",
    "Squad": "token_f1",
    "BLEU": "bleu",
    "ROUGE": "rouge_l",
}
_FIELD = re.compile(r"\{\{\s*([A-Za-z]\w*)\s*\}\}")
_JINJA = re.compile(r"\{\{|\{%|\{#|\}\}|%\}|#\}")
_LABEL = re.compile(r"\{\{\s*answer_choices\s*\[\s*label\s*\]\s*\}\}")


@dataclasses.dataclass(frozen=True)
class Promptsource:
    """What one templates.yaml holds.

    Attributes:
      dataset, subset: what the templates are for, by its names on the Hugging Face hub; the subset may be empty.
      templates: those that are plain fields in words as Template, the others as JinjaTemplate.
      metrics: for each template, what promptsource says it is scored by.
    """

    dataset: str
    subset: str
    templates: tuple[Template | JinjaTemplate, ...]
    metrics: Mapping[str, tuple[str, ...]]

    def scorers(self) -> tuple[str, ...]:
        """The project's scorers for these metrics, each once; exact match where it has none for any."""
        found = [METRICS[name] for names in self.metrics.values() for name in names if name in METRICS]
        return tuple(dict.fromkeys(found)) or ("exact_match",)


def load_promptsource(file: str | Path) -> Promptsource:
    """The templates of a promptsource file.

    A template becomes a plain Template where its Jinja is fields in words, with no more than `answer_choices[label]` for an
    answer; white space at the ends of a field, which promptsource drops at the ends of a prompt, is then kept.

    Args:
      file: a templates.yaml.

    Raises:
      InputError: it is no such file; the message names the template and the field.
    """
    try:
        content = yaml.load(Path(file).read_bytes(), Loader=_Loader)
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); give a templates.yaml of promptsource") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{file} is not valid YAML ({' '.join(str(error).split())[:200]}); mend the file") from None
    if not isinstance(content, dict) or not isinstance(content.get("templates"), dict) or not content["templates"]:
        raise InputError(f"{file} is no templates.yaml of promptsource: expected 'dataset' and a mapping 'templates'")
    templates, metrics = [], {}
    for key, entry in content["templates"].items():
        try:
            template, names = _imported(entry)
        except InputError as error:
            raise InputError(f"{file}, template {key}: {error}") from None
        if template.id in metrics:
            raise InputError(f"{file}, template {key}: the name {template.id!r} is there twice; rename one of them")
        templates.append(template)
        metrics[template.id] = names
    dataset, subset = (str(content.get(name) or "") for name in ("dataset", "subset"))
    return Promptsource(dataset, subset, tuple(templates), metrics)


class _Loader(yaml.SafeLoader):
    """Plain YAML in which promptsource's two tags are mappings."""


def _mapping(loader: yaml.SafeLoader, node: yaml.Node) -> dict[Any, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(None, None, f"{node.tag} is no mapping", node.start_mark)
    return loader.construct_mapping(node, deep=True)


for _tag in ("!Template", "!TemplateMetadata"):
    _Loader.add_constructor(_tag, _mapping)


def _imported(entry: Any) -> tuple[Template | JinjaTemplate, tuple[str, ...]]:
    if not isinstance(entry, dict):
        raise InputError(f"expected a mapping with 'name' and 'jinja', got {type(entry).__name__}")
    name, jinja = (_text(entry, field) for field in ("name", "jinja"))
    if name is None or jinja is None:
        raise InputError(f"field {'name' if name is None else 'jinja'!r}: expected text, got nothing")
    choices, metadata = _text(entry, "answer_choices"), entry.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise InputError(f"field 'metadata': expected a mapping, got {type(metadata).__name__}")
    about = {
        "original_task": metadata.get("original_task") is not False,
        "language": next(iter(_texts(metadata, "languages")), "en"),
        "reference": _text(entry, "reference") or "",
    }
    plain = _plain(name, jinja, choices, about)
    template = plain or JinjaTemplate(name, jinja, choices, shows_options=bool(metadata.get("choices_in_prompt")), **about)
    return template, _texts(metadata, "metrics")


def _plain(name: str, jinja: str, choices: str | None, about: Mapping[str, Any]) -> Template | None:
    """The template without Jinja, where that says the same; None where it does not."""
    parts = jinja.split(BAR)
    if len(parts) != 2:
        return None
    prompt, response = (part.strip() for part in parts)
    if choices is not None:
        if _JINJA.search(choices) or not _LABEL.fullmatch(response):
            return None
        wording = _braced(prompt)
        alternatives = tuple(choice.strip() for choice in choices.split(BAR))
        return None if wording is None else Template(name, wording, choices=alternatives, **about)
    wordings = [_braced(part) for part in (prompt, response)]
    return None if None in wordings or not all(wordings) else Template(name, wordings[0], wordings[1], **about)


def _braced(jinja: str) -> str | None:
    """Jinja of words and fields as a wording with fields in braces; None where it is more, or names what a Template fills."""
    pieces = _FIELD.split(jinja)
    words, names = pieces[::2], pieces[1::2]
    if any(_JINJA.search(piece) for piece in words) or {"options", "answer", "answer_choices"} & set(names):
        return None
    doubled = [piece.replace("{", "{{").replace("}", "}}") for piece in words]
    return "".join(part for pair in zip(doubled, [f"{{{name}}}" for name in names] + [""], strict=True) for part in pair)


def _text(entry: Mapping[str, Any], field: str) -> str | None:
    value = entry.get(field)
    if value is not None and not isinstance(value, str):
        raise InputError(f"field {field!r}: expected text, got {type(value).__name__}")
    return value


def _texts(metadata: Mapping[str, Any], field: str) -> tuple[str, ...]:
    values = metadata.get(field) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InputError(f"field 'metadata.{field}': expected a list of texts, got {values!r:.60}")
    return tuple(values)
