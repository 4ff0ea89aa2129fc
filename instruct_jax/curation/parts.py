"""The part of a conversation that a rule looks at: all of it, what is asked, or what is answered."""

from instruct_jax.text.conversation import Conversation


def whole(conversation: Conversation) -> str:
    """Every message, apart from each other by an empty line."""
    return "\n\n".join(message.text for message in conversation.messages)


def prompt(conversation: Conversation) -> str:
    """What stands before the last answer; "" for a plain document, all where there is no answer."""
    last = _last_answer(conversation)
    messages = conversation.messages if last is None else conversation.messages[:last]
    return "\n\n".join(message.text for message in messages)


def response(conversation: Conversation) -> str:
    """The last answer, or the document; "" where there is none."""
    last = _last_answer(conversation)
    return "" if last is None else conversation.messages[last].text


def _last_answer(conversation: Conversation) -> int | None:
    answers = [place for place, one in enumerate(conversation.messages) if one.role in ("assistant", "text")]
    return answers[-1] if answers else None
