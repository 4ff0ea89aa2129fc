"""generate: what a checkpoint or an HF folder answers, to prompts, to a file of conversations, or in a chat (a program)."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from instruct_jax.errors import InputError
from instruct_jax.inference import session as sessions
from instruct_jax.inference.sampling import GREEDY, Sampling
from instruct_jax.inference.session import Session
from instruct_jax.text.conversation import Conversation, Message
from instruct_jax.text.conversation_lines import ConversationLines

_RESET = "/reset"


def generate(
    checkpoint: str,
    prompts: str | Sequence[str] | None = None,
    jsonl: str | None = None,
    max_new_tokens: int = 256,
    sampling: Sampling = GREEDY,
    seed: int = 0,
    output: str | None = None,
    template_date: str | None = None,
    template_variables: Mapping[str, Any] | None = None,
) -> None:
    """Print what a model answers.

    With neither prompts nor a file, prompts are the lines of the standard input: typed in a terminal they are turns of one
    conversation; read from elsewhere each is asked by itself, and its answer is one line.

    Args:
      checkpoint: what `session.open` takes.
      prompts: a text, or several.
      jsonl: a file of conversations; what follows an assistant's last turn is asked, that turn itself left out.
      max_new_tokens: an answer is cut there.
      sampling: greedy, or how answers are drawn.
      seed: of the draws.
      output: a .jsonl to write, a line {"messages": [...]} for each conversation with its answer.
      template_date, template_variables: of a chat template in Jinja; see `with_given`.

    Raises:
      InputError: there is no such model, both prompts and a file are given, or there is nothing to ask.
    """
    if prompts is not None and jsonl is not None:
        raise InputError("generate takes PROMPTS or JSONL, not both; leave one unset")
    model = sessions.open(checkpoint, template_date=template_date, template_variables=template_variables)
    model.words()
    typed = prompts is None and jsonl is None and sys.stdin.isatty()
    if typed:
        conversations = _chat(model, sys.stdin, Console(), max_new_tokens, sampling, seed)
    else:
        piped = prompts is None and jsonl is None
        questions = _questions([line.rstrip("\n") for line in sys.stdin] if piped else prompts, jsonl)
        if not questions:
            raise InputError("there is nothing to ask; give PROMPTS, a JSONL, or lines on the standard input")
        answers = _answers(model, questions, max_new_tokens, sampling, seed)
        conversations = [_with(question, answer) for question, answer in zip(questions, answers, strict=True)]
        if piped:
            for answer in answers:
                print(" ".join(answer.split()))
        elif output is None:
            _print(conversations, Console())
    if output is not None:
        _write(Path(output), conversations)
        Console(stderr=True).print(f"generate: {len(conversations)} answers in {output}", markup=False, highlight=False)


def _questions(prompts: str | Sequence[str] | None, jsonl: str | None) -> list[Conversation]:
    if jsonl is None:
        texts = [prompts] if isinstance(prompts, str) else list(prompts or ())
        if odd := [text for text in texts if not isinstance(text, str)]:
            raise InputError(f"PROMPTS holds {odd[0]!r}; expected texts")
        return [Conversation((Message("user", text),)) for text in texts]
    lines = ConversationLines(jsonl)
    questions = []
    for index in range(len(lines)):
        conversation = lines[index]
        if conversation.messages[-1].role == "assistant":
            conversation = Conversation(conversation.messages[:-1], conversation.tools)
        if not conversation.messages or conversation.is_document():
            raise InputError(f"{lines.where(index)}: there is no turn to answer; give it a user's turn")
        questions.append(conversation)
    return questions


def _answers(model: Session, questions: Sequence[Conversation], limit: int, sampling: Sampling, seed: int) -> list[str]:
    found = model.answers(questions, max_new_tokens=limit, sampling=sampling, seed=seed)
    return [model.tokenizer.decode(one.tokens) for one in found]


def _with(question: Conversation, answer: str) -> Conversation:
    return Conversation((*question.messages, Message("assistant", answer)), question.tools)


def _chat(model: Session, lines: TextIO, console: Console, limit: int, sampling: Sampling, seed: int) -> list[Conversation]:
    """Turns typed one after another, each answered with all before it in view; returns the conversations held."""
    console.print(Text(repr(model), style="dim"), highlight=False)
    console.print(Text(f"{_RESET} begins anew, ctrl-d ends", style="dim"), highlight=False)
    held, current, turns = [], Conversation(()), 0
    while True:
        console.print("[bold cyan]you[/]    ", end="")
        line = lines.readline()
        text = line.rstrip("\n")
        if not line or text == _RESET:
            held += [current] if current.messages else []
            current = Conversation(())
            if line:
                continue
            console.print()
            return held
        if not text.strip():
            continue
        asked = Conversation((*current.messages, Message("user", text)))
        (answer,) = _answers(model, [asked], limit, sampling, seed + turns)
        current, turns = _with(asked, answer), turns + 1
        console.print("[bold green]model[/]  ", end="")
        console.print(Text(_printable(answer)), highlight=False, soft_wrap=True)


def _print(conversations: Sequence[Conversation], console: Console) -> None:
    for conversation in conversations:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        *asked, answer = conversation.messages
        for message in asked:
            table.add_row(Text(_printable(message.role)), Text(_printable(message.text)))
        table.add_row(Text("answer", style="bold green"), Text(_printable(answer.text), style="bold"))
        console.print(table)
        console.print()


def _printable(text: str) -> str:
    """A text as a terminal may have it: a model, or a file, can hold codes that would move its cursor."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\ufffd" for one in text) or "(nothing)"


def _write(file: Path, conversations: Sequence[Conversation]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".partial")
    with open(temporary, "w", encoding="utf-8") as stream:
        for conversation in conversations:
            messages = [{"role": one.role, "content": one.text, **one.fields} for one in conversation.messages]
            line = {"messages": messages, **({"tools": list(conversation.tools)} if conversation.tools else {})}
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
    temporary.replace(file)
