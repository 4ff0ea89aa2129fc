"""The row forms that are told apart by themselves, in the order in which they are tried: what asks for more comes first."""

import difflib

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.answer_forms import Checkable, Seeds, VerifiableInstructions, WorkedAnswer
from instruct_jax.tasks.files.choice_form import MultipleChoice
from instruct_jax.tasks.files.dialogue_forms import Alpaca, ConversationLine, Messages, PlainText, PromptCompletion, ShareGpt
from instruct_jax.tasks.files.preference_forms import ImplicitPreference, Preference, Unpaired
from instruct_jax.tasks.files.row_form import RowForm

# A row of preferences may repeat its chosen dialogue as messages, and one with a label is a prompt with a completion too:
# whoever took such a row for the more general form would train on answers that were rejected.
DETECTED: tuple[RowForm, ...] = (
    Preference("preference", "preference pairs", "prompt, chosen, rejected"),
    ImplicitPreference("implicit_preference", "preference pairs with an implicit prompt", "chosen, rejected"),
    Unpaired("unpaired", "unpaired labels", "prompt, completion, label"),
    VerifiableInstructions("ifeval", "verifiable instructions", "prompt, instruction_id_list, kwargs"),
    Seeds("self_instruct", "Self-Instruct tasks", "instruction, instances"),
    ShareGpt("sharegpt", "ShareGPT", "conversations of from and value"),
    Messages("messages", "OpenAI messages", "messages of role and content"),
    MultipleChoice("multiple_choice", "multiple choice", "question, choices, answer"),
    WorkedAnswer("gsm8k", "worked answers", "question, answer that ends in ####"),
    Checkable("checkable", "prompts with checkable answers", "prompt with answer, ground_truth or solution"),
    Alpaca("alpaca", "Alpaca", "instruction, output"),
    PromptCompletion("prompt_completion", "prompt and completion", "prompt, completion"),
    PlainText("text", "plain text", "text"),
)
# Read when it is asked for by name alone: rows of two forms in one file.
CONVERSATION_LINES = ConversationLine("conversation_lines", "conversations", "messages, or prompt and completion")


def row_form(name: str) -> RowForm:
    """A row form by its name.

    Raises:
      InputError: there is none of that name.

    >>> row_form("alpca")
    Traceback (most recent call last):
      ...
    instruct_jax.errors.InputError: there is no format 'alpca'; did you mean 'alpaca'?
    """
    known = {form.name: form for form in (*DETECTED, CONVERSATION_LINES)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
        raise InputError(f"there is no format {name!r}; {hint}")
    return known[name]
