"""Pictures as one self-contained HTML page, without scripts and without anything from elsewhere."""

from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2

from instruct_jax.text.picture import Glyph, Picture, counts, summary


def page(pictures: Sequence[Picture], title: str, positions: bool = False) -> str:
    """The page of some pictures; whatever their texts hold, they are text and nothing else.

    Args:
      pictures: what to draw.
      title: of the page.
      positions: whether each token shows its position in its segment; hovering over it always does.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(resources.files("instruct_jax.text").joinpath("picture.html").read_text("utf-8"))
    environment.globals["groups"] = _groups
    return template.render(title=title, pictures=pictures, positions=positions, summary=summary(pictures), counts=counts)


def _groups(glyphs: Sequence[Glyph]) -> list[dict[str, Any]]:
    """Tokens as the page sets them: each alone, or those that make up one character together."""
    groups: list[dict[str, Any]] = []
    together: list[Glyph] = []
    for glyph in glyphs:
        together.append(glyph)
        if not glyph.unfinished:
            groups.append({"tokens": together, "runs": glyph.runs})
            together = []
    if together:
        groups.append({"tokens": together, "runs": ()})
    return groups
