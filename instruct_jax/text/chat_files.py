"""A chat template from where it is kept, or as an exported folder keeps it: Hugging Face's files, Jinja, our manifests."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instruct_jax.errors import InputError
from instruct_jax.text.chat import BUILT_IN, ROLES, TurnTemplate, marked_spans, template_from_json
from instruct_jax.text.conversation import ChatTemplate
from instruct_jax.text.jinja_chat import JinjaTemplate
from instruct_jax.text.json_object import read_object
from instruct_jax.text.pieces import Tokenizer
from instruct_jax.text.tokenizer_config import read_config

FILE = "chat_template.jinja"


def load_chat_template(
    path: str | Path, tokenizer: Tokenizer, date: str | None = None, variables: Mapping[str, Any] | None = None
) -> ChatTemplate:
    """The chat template at a path.

    Args:
      path: a checkpoint or dataset folder, whose manifest records its template; a Hugging Face folder with a
        chat_template.jinja or a tokenizer_config.json that holds one; or a .jinja file. Where there is nothing of that name:
        the name of a built-in template, such as "instruct".
      tokenizer: whose control tokens a Jinja template writes.
      date: "YYYY-MM-DD" for templates that write today's date; None: as recorded, and a file's template cannot ask for it.
      variables: what else the template is given, such as {"enable_thinking": False}; beside those that are recorded.

    Raises:
      InputError: there is none, or it is no template.
    """
    return with_given(_kept(Path(path), tokenizer), date, variables)


def with_given(template: ChatTemplate, date: str | None, variables: Mapping[str, Any] | None) -> ChatTemplate:
    """The template with another date, unless that is None, and with these variables beside its own.

    Raises:
      InputError: it is a table of turns, which asks for neither; or a value is none that JSON has.
    """
    if date is None and not variables:
        return template
    if not isinstance(template, JinjaTemplate):
        raise InputError(
            f"chat template {template.name!r} is a table of turns, which takes no date and no variables; leave TEMPLATE_DATE "
            "and TEMPLATE_VARIABLES unset, or choose a template in Jinja"
        )
    if not isinstance(variables, Mapping | None):
        raise InputError(f"TEMPLATE_VARIABLES is {variables!r:.60}; expected an object such as {{'enable_thinking': False}}")
    both = {**template.variables, **(variables or {})}
    try:
        json.dumps(both, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"TEMPLATE_VARIABLES holds what JSON has not ({error}); give text, numbers, lists and objects") from None
    try:
        return dataclasses.replace(template, date=template.date if date is None else date, variables=both)
    except (TypeError, InputError) as error:
        raise InputError(f"TEMPLATE_DATE is {date!r}, which is no date ({error}); write YYYY-MM-DD") from None


def _kept(path: Path, tokenizer: Tokenizer) -> ChatTemplate:
    """The template at a path, as it is kept there."""
    if not path.exists():
        if str(path) in BUILT_IN:
            return BUILT_IN[str(path)]
        raise InputError(
            f"there is no chat template at {path}; give a checkpoint, a Hugging Face folder, a .jinja file, or the name of a "
            f"built-in template: {', '.join(BUILT_IN)}"
        )
    if path.is_dir() and (path / "manifest.json").exists():
        recorded = read_object(path / "manifest.json", "the manifest").get("chat_template")
        if not isinstance(recorded, dict):
            raise InputError(f"{path}: its manifest names no chat template; give another folder, or a built-in template")
        try:
            return template_from_json(recorded)
        except InputError as error:
            raise InputError(f"{path}: its {error}") from None
    folder = path if path.is_dir() else path.parent
    source = folder_source(path) if path.is_dir() else _text(path)
    if source is None:
        raise InputError(f"{path} holds no {FILE}, and its tokenizer_config.json no chat_template; give a built-in template")
    return JinjaTemplate(
        source,
        tokenizer.bos_token,
        tokenizer.eos_token,
        tokenizer.special_tokens,
        dict(read_config(folder).named),
        adds_bos=tokenizer.adds_bos,
        name=path.resolve().name,
    )


def folder_source(folder: Path) -> str | None:
    """The Jinja source in a Hugging Face folder, in any of the places where it has been kept; None where there is none.

    Raises:
      InputError: the folder has several templates and none of them is the default one.
    """
    if (folder / FILE).exists():
        return _text(folder / FILE)
    config = folder / "tokenizer_config.json"
    kept = read_object(config, "the tokenizer's configuration").get("chat_template") if config.exists() else None
    if kept is None and (folder / "chat_template.json").exists():
        kept = read_object(folder / "chat_template.json", "the chat template").get("chat_template")
    if isinstance(kept, list):  # several by name, as {"name", "template"}
        named = {str(one.get("name")): one.get("template") for one in kept if isinstance(one, dict)}
        if "default" not in named:
            raise InputError(f"{folder} has the chat templates {sorted(named)}; write one of them to a .jinja file and give that")
        kept = named["default"]
    if kept is not None and not isinstance(kept, str):
        raise InputError(f"{folder}: its chat_template holds {type(kept).__name__}; expected text")
    return kept


def folder_files(template: JinjaTemplate) -> dict[str, str]:
    """The files that give a Hugging Face folder this template, by name.

    >>> folder_files(JinjaTemplate("{{ messages }}"))
    {'chat_template.jinja': '{{ messages }}'}
    """
    return {FILE: template.source}


def turns_as_jinja(template: TurnTemplate, tokenizer: Tokenizer) -> JinjaTemplate:
    """A table of turns as the Jinja template that writes the same: what an exported folder is served with.

    >>> from instruct_jax.text.chat import INSTRUCT
    >>> from instruct_jax.text.conversation import conversation_of
    >>> from instruct_jax.text.pieces import ByteTokenizer
    >>> turns_as_jinja(INSTRUCT, ByteTokenizer()).text(conversation_of([("user", "a"), ("assistant", "b")]))
    '<s>a\\nb</s>'
    """
    before, after = dict(template.before), dict(template.after)
    begin = "{{ bos_token }}" if template.bos and tokenizer.bos_token else ""
    branches = []
    for role in (role for role in ROLES if role != "text"):
        opening, closing = (_printed(table.get(role, ""), tokenizer) for table in (before, after))
        test = "if" if not branches else "elif"
        branches.append(f"{{% {test} message['role'] == '{role}' %}}{opening}{{{{ message['content'] }}}}{closing}")
    refusal = "{% else %}{{ raise_exception('unknown role ' ~ message['role']) }}{% endif %}"
    turns = f"{{% for message in messages %}}{''.join(branches)}{refusal}{{% endfor %}}"
    prompt = _printed(before.get("assistant", ""), tokenizer)
    asked = f"{{% if add_generation_prompt %}}{prompt}{{% endif %}}" if prompt else ""
    return JinjaTemplate(
        begin + turns + asked,
        tokenizer.bos_token,
        tokenizer.eos_token,
        tokenizer.special_tokens,
        adds_bos=template.bos and tokenizer.bos_token is not None,
        name=template.name,
    )


def _printed(text: str, tokenizer: Tokenizer) -> str:
    """A field of a table as Jinja that prints it."""
    own = {"bos": tokenizer.bos_token, "eos": tokenizer.eos_token}
    words = "".join((own.get(span.special, span.special) or "") if span.special else span.text for span in marked_spans(text))
    return f"{{{{ {json.dumps(words, ensure_ascii=False)} }}}}" if words else ""


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 ({error}); save the template as UTF-8") from None
