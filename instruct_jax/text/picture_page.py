"""Pictures as one self-contained HTML page, or as a part of another, without scripts and without anything from elsewhere."""

from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from instruct_jax.text.picture import Glyph, Picture, counts, summary


def page(pictures: Sequence[Picture], title: str, positions: bool = False) -> str:
    """The page of some pictures; whatever their texts hold, they are text and nothing else.

    Args:
      pictures: what to draw.
      title: of the page.
      positions: whether each token shows its position in its segment; hovering over it always does.
    """
    return _rendered("picture.html", title=title, pictures=pictures, positions=positions, summary=summary(pictures))


def part(pictures: Sequence[Picture]) -> Markup:
    """The pictures with their legend, to stand in another page that has `style` too."""
    return Markup(_rendered("picture_rows.html", pictures=pictures, positions=False))


def style() -> Markup:
    """The rules of style that pictures are drawn by, with the page's colours in daylight and in the dark."""
    return Markup(_rendered("picture.css", positions=False))


def _rendered(name: str, **values: Any) -> str:
    files = jinja2.FunctionLoader(lambda file: resources.files("instruct_jax.text").joinpath(file).read_text("utf-8"))
    environment = jinja2.Environment(
        loader=files, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"groups": _groups, "counts": counts}
    return environment.get_template(name).render(**values)


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
