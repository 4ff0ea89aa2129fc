"""Ten wordings of translation for each kind of text: news, talks, web pages, encyclopedias, posts and leaflets.

Each is a function of the two languages' names. It asks for {target}, given {source}; two of the ten are turned round and ask
for the source.
"""

from instruct_jax.text.templates import Template


def news(source: str, target: str = "English") -> tuple[Template, ...]:
    """Sentences from the news and from parliaments.

    Args:
      source, target: languages' names in English.
    """
    return (
        Template("into", f"Translate into {target}: {{source}}", response="{target}"),
        Template("agency", f"A {source} news agency reports:\n{{source}}\nHow would that read in {target}?", response="{target}"),
        Template("pair", f"{source}: {{source}}\n{target}:", response="{target}"),
        Template(
            "no_source_language", f"I do not speak {source}. What does this say in {target}?\n\n{{source}}", response="{target}"
        ),
        Template(
            "desk", f"For the {target} desk, translate this sentence from the {source} edition. {{source}}", response="{target}"
        ),
        Template("back", f"{{target}}\n\nPut this sentence into {source}.", response="{source}", original_task=False),
        Template(
            "edition",
            f"For the {source} edition, translate into {source}: {{target}}\nTranslation:",
            response="{source}",
            original_task=False,
        ),
        Template("render_reserved", f'Express "{{source}}" in {target}.', response="{target}", reserved=True),
        Template("say_reserved", f"{{source}}\nSay it in {target}.", response="{target}", reserved=True),
        Template(
            "translate_reserved",
            f"The following text is in {source}; translate it into {target}.\n\n{{source}}",
            response="{target}",
            reserved=True,
        ),
    )


def talks(source: str, target: str = "English") -> tuple[Template, ...]:
    """Lines of talks, as they were spoken.

    Args:
      source, target: languages' names in English.
    """
    return (
        Template("subtitle", f"Write the {target} subtitle for this line of a talk: {{source}}", response="{target}"),
        Template(
            "interpreter",
            f"You interpret from {source} into {target}. The speaker says: {{source}}\nYou say:",
            response="{target}",
        ),
        Template(
            "audience", f"{{source}}\n\nWhat does an audience hear that listens to the {target} channel?", response="{target}"
        ),
        Template("transcript", f"Transcript ({source}): {{source}}\nTranscript ({target}):", response="{target}"),
        Template("spoken", f"Translate this spoken {source} into natural {target}.\n{{source}}", response="{target}"),
        Template(
            "dub",
            f"The talk is to be dubbed into {source}. Translate its next line: {{target}}",
            response="{source}",
            original_task=False,
        ),
        Template("how_in_source", f'How would a speaker of {source} put "{{target}}"?', response="{source}", original_task=False),
        Template(
            "translate_reserved", f"Translate what the speaker says into {target}. {{source}}", response="{target}", reserved=True
        ),
        Template("meaning_reserved", f"In {target}, what does this mean? {{source}}", response="{target}", reserved=True),
        Template(
            "captions_reserved",
            f"Captions of a talk, first in {source}, then in {target}.\n- {{source}}\n-",
            response="{target}",
            reserved=True,
        ),
    )


def web_pages(source: str, target: str = "English") -> tuple[Template, ...]:
    """Pieces of web pages: menus, advertisements, terms, descriptions.

    Args:
      source, target: languages' names in English.
    """
    return (
        Template(
            "browser",
            f"A reader switches this page to {target}. What is shown instead of the following? {{source}}",
            response="{target}",
        ),
        Template(
            "shop", f"I found this on a {source} web site. Please translate it into {target}.\n\n{{source}}", response="{target}"
        ),
        Template(
            "localise",
            f"This text of a web site is in {source}. Write it for visitors who read {target}.\n{{source}}",
            response="{target}",
        ),
        Template("versions", f"[{source} version] {{source}}\n[{target} version]", response="{target}"),
        Template("traveller", f"What does this page say to a traveller who reads only {target}? {{source}}", response="{target}"),
        Template(
            "back", f"Make a {source} version of this piece of a web page.\n{{target}}", response="{source}", original_task=False
        ),
        Template(
            "customers",
            f"{{target}}\n\nYour customers speak {source}. How should the site put that?",
            response="{source}",
            original_task=False,
        ),
        Template("translate_reserved", f"{{source}}\n\nTranslate the above to {target}.", response="{target}", reserved=True),
        Template("page_reserved", f"Give the {target} for this text of a page: {{source}}", response="{target}", reserved=True),
        Template("from_to_reserved", f"Turn this from {source} to {target}: {{source}}", response="{target}", reserved=True),
    )


def encyclopedias(source: str, target: str = "English") -> tuple[Template, ...]:
    """Sentences of encyclopedia articles.

    Args:
      source, target: languages' names in English.
    """
    return (
        Template(
            "article", f"This stands in a {source} encyclopedia. Translate it into {target}.\n{{source}}", response="{target}"
        ),
        Template("editor", f"The {target} article lacks this sentence. Add it in {target}: {{source}}", response="{target}"),
        Template("learn", f"{{source}}\n\nWhat do I learn from this {source} sentence? Answer in {target}.", response="{target}"),
        Template("entry", f"{source} entry: {{source}}\n{target} entry:", response="{target}"),
        Template("reader", f"Help a reader of {target} to understand: {{source}}", response="{target}"),
        Template(
            "write_source",
            f"How would a {source} encyclopedia put this?\n{{target}}",
            response="{source}",
            original_task=False,
        ),
        Template("into_source", f"Translate into {source}.\n\n{{target}}", response="{source}", original_task=False),
        Template("exact_reserved", f"Give an exact {target} translation.\n\n{{source}}", response="{target}", reserved=True),
        Template("what_reserved", f'What is "{{source}}" in {target}?', response="{target}", reserved=True),
        Template("translate_reserved", f"Translate from {source} to {target}: {{source}}", response="{target}", reserved=True),
    )


def posts(source: str, target: str = "English") -> tuple[Template, ...]:
    """Comments in a forum, with slang and slips of the keyboard.

    Args:
      source, target: languages' names in English.
    """
    return (
        Template(
            "thread",
            f"In a thread that is otherwise in {target}, somebody answers in {source}:\n{{source}}\nWhat did they write?",
            response="{target}",
        ),
        Template(
            "slang", f"Translate this comment into {target} and keep its tone, slang and all.\n{{source}}", response="{target}"
        ),
        Template("button", f"{{source}}\n[Show translation into {target}]", response="{target}"),
        Template("typos", f"Never mind the typing errors; what does it mean in {target}? {{source}}", response="{target}"),
        Template("comment", f"Comment in {source}: {{source}}\nComment in {target}:", response="{target}"),
        Template("reply", f"How would you post this on a {source} forum? {{target}}", response="{source}", original_task=False),
        Template(
            "casual", f"{{target}}\n\nPut that in casual {source}, as one types it.", response="{source}", original_task=False
        ),
        Template("translate_reserved", f"Translate the post to {target}: {{source}}", response="{target}", reserved=True),
        Template(
            "friend_reserved", f"A friend wrote in {source}: {{source}} Tell me in {target}.", response="{target}", reserved=True
        ),
        Template("colloquial_reserved", f"{{source}}\n\nIn colloquial {target}:", response="{target}", reserved=True),
    )


def leaflets(source: str, target: str = "English") -> tuple[Template, ...]:
    """Texts on medicines, for patients and for authorities.

    Args:
      source, target: languages' names in English.
    """
    return (
        Template(
            "leaflet", f"Translate this line of a {source} package leaflet into {target}.\n\n{{source}}", response="{target}"
        ),
        Template("patient", f"A patient who speaks {target} cannot read this. What does it say? {{source}}", response="{target}"),
        Template("agency", f"Write the {target} version of this for an agency for medicines.\n{{source}}", response="{target}"),
        Template("columns", f"{source} | {{source}}\n{target} |", response="{target}"),
        Template("terms", f"{{source}}\n\nIn {target}, with the proper medical terms:", response="{target}"),
        Template(
            "to_source",
            f"The product goes on sale where {source} is spoken. Translate: {{target}}",
            response="{source}",
            original_task=False,
        ),
        Template(
            "pharmacist", f"How would a pharmacist say this in {source}? {{target}}", response="{source}", original_task=False
        ),
        Template(
            "translate_reserved", f"Translate the medical text into {target}: {{source}}", response="{target}", reserved=True
        ),
        Template("label_reserved", f'The label says "{{source}}". What is that in {target}?', response="{target}", reserved=True),
        Template("faithful_reserved", f"Give a faithful {target} translation of: {{source}}", response="{target}", reserved=True),
    )
