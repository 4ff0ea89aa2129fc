"""Pictures in a terminal or a log: trained tokens on a coloured ground, or, without colours, with marks beneath."""

import dataclasses
import io
import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

from instruct_jax.text.picture import Glyph, Picture, Segment, counts, summary

# Neighbouring tokens differ a little, so that one sees where each ends. Both colours of a trained token are given, and the
# greys are of a middle lightness, so that dark and light terminals serve alike.
_TRAINED = ("#ffffff on #0a7a50", "#ffffff on #096343")
_TRAINED_MARK = ("#8fd8b8 on #0a7a50", "#8fd8b8 on #096343")
_TRAINED_CONTROL = "bold #06321f on #5fe0a6"
_OTHER = ("#7d8ca8", "#948a7c")
_OTHER_MARK = ("#4f86c6", "#4f86c6")
_OTHER_CONTROL = "#ffffff on #67548f"
_UNDERLINES = ("~", "=")
_LOG_WIDTH = 120  # a log has no width of its own
_GUTTER = 8


@dataclasses.dataclass(frozen=True)
class _Cell:
    """What is never broken over two lines: a character, or a box.

    Attributes:
      text, style: what to print.
      token: which of the segment's tokens it is of.
      breaks: "" to go on, "word" where a line may end after it, "line" where it must.
    """

    text: str
    style: str
    token: int
    breaks: str = ""

    @property
    def width(self) -> int:
        return cell_len(self.text)


def draw(pictures: Sequence[Picture], console: Console, positions: bool = False) -> None:
    """Print pictures, a legend before and a summary after them.

    Args:
      pictures: what to draw.
      console: where.
      positions: whether each line begins with the position of its first token in its segment.
    """
    width = console.width - 1 if console.is_terminal else _LOG_WIDTH
    coloured = console.color_system is not None and not console.no_color
    _say(console, _legend(coloured))
    for number, picture in enumerate(pictures, 1):
        console.print()
        several = len(picture.segments) > 1
        if picture.title:
            _say(console, _header(f"{number}  {picture.title}", counts(picture.tokens, picture.supervised), width, "━"))
            _notes(console, picture.notes)
        for place, segment in enumerate(picture.segments, 1):
            name = f"segment {place}  {segment.title}" if picture.title else f"{number}  {segment.title}"
            if picture.title:
                console.print()
            _say(console, _header(name, counts(len(segment.glyphs), segment.supervised), width, "┄" if several else "━"))
            _notes(console, segment.notes)
            for line in _lines(segment, width, coloured, positions):
                _say(console, line)
    console.print()
    _say(console, Text(summary(pictures), style="bold"))


def svg(pictures: Sequence[Picture], title: str, positions: bool = False, columns: int = 100) -> str:
    """What `draw` prints in a terminal of so many columns, as an image; it takes the reader's own fonts."""
    console = Console(record=True, width=columns, force_terminal=True, color_system="truecolor", file=io.StringIO())
    draw(pictures, console, positions)
    image = re.sub(r"@font-face \{\{.*?\}\}|<!--.*?-->", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    image = image.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")
    return console.export_svg(title=title, code_format=image, unique_id="show")


def _say(console: Console, line: Text) -> None:
    console.print(line, soft_wrap=True, highlight=False)


def _header(left: str, right: str, width: int, rule: str) -> Text:
    """A title and figures at the two ends of a rule; one below the other where they do not fit."""
    left = "".join(character for character in left if character.isprintable())
    room = width - cell_len(left) - cell_len(right) - 4
    if room < 1:
        return Text.assemble((f"{left}\n", "bold"), (f"   {right}", "cyan"))
    return Text.assemble((left, "bold"), "  ", (rule * room, "dim"), "  ", (right, "cyan"))


def _notes(console: Console, notes: Sequence[str]) -> None:
    for note in notes:
        _say(console, Text("   " + "".join(character for character in note if character.isprintable()), style="dim"))


def _legend(coloured: bool) -> Text:
    if not coloured:
        return Text("trained: ~ and = beneath, token by token   ▕</s>▏ control token   ↵ line break   · space at a line's edge")
    trained = Text.assemble((" train", _TRAINED[0]), ("ed", _TRAINED[1]), (" </s> ", _TRAINED_CONTROL))
    other = Text.assemble(("not ", _OTHER[0]), ("train", _OTHER[1]), ("ed", _OTHER[0]), " ", (" <s> ", _OTHER_CONTROL))
    marks = Text.assemble(("↵", _OTHER_MARK[0]), " line break  ", ("·", _OTHER_MARK[0]), " space at a line's edge")
    return Text("   ").join([trained, other, marks])


def _lines(segment: Segment, width: int, coloured: bool, positions: bool) -> Iterator[Text]:
    gutter = _GUTTER if positions else 0
    for line in _wrapped(_cells(segment.glyphs, coloured), width - gutter):
        start = Text.assemble((f"{segment.glyphs[line[0].token].position:>5} │ ", "dim")) if positions else Text("")
        for cell in line:
            start.append(cell.text.removesuffix("\n"), cell.style)
        yield start
        if not coloured and any(segment.glyphs[cell.token].trained for cell in line):
            below = "".join(_underline(segment.glyphs[cell.token], cell) for cell in line)
            yield Text(" " * gutter + below.rstrip())


def _underline(glyph: Glyph, cell: _Cell) -> str:
    return (_UNDERLINES[cell.token % 2] if glyph.trained else " ") * cell_len(cell.text.removesuffix("\n"))


def _cells(glyphs: Sequence[Glyph], coloured: bool) -> Iterator[_Cell]:
    for token, glyph in enumerate(glyphs):
        shade = token % 2
        if glyph.control:
            name = "".join(text for text, _ in glyph.runs)
            box = f" {name} " if coloured else f"▕{name}▏"
            yield _Cell(box, _TRAINED_CONTROL if glyph.trained else _OTHER_CONTROL, token, "word")
            continue
        plain, mark = (_TRAINED, _TRAINED_MARK) if glyph.trained else (_OTHER, _OTHER_MARK)
        if glyph.octets:
            yield _Cell(glyph.octets, f"italic {mark[shade]}", token)
        for text, is_mark in glyph.runs:
            yield from _characters(text, (mark if is_mark else plain)[shade], token)


def _characters(text: str, style: str, token: int) -> Iterator[_Cell]:
    """A text in cells; what has no width of its own, such as an accent, stays with what it stands on."""
    waiting = ""
    for character in text:
        if waiting and (cell_len(character) or character == "\n") and not (character == "\n" and waiting == "↵"):
            yield _cell(waiting, style, token)
            waiting = ""
        waiting += character
    if waiting:
        yield _cell(waiting, style, token)


def _cell(text: str, style: str, token: int) -> _Cell:
    if text.endswith("\n"):
        return _Cell(text, style, token, "line")
    return _Cell(text, style, token, "word" if text in (" ", "·") or cell_len(text) > 1 else "")


def _wrapped(cells: Iterator[_Cell], width: int) -> Iterator[list[_Cell]]:
    """Lines of at most `width` columns, broken between words where there are any; one space may hang over the edge."""
    line: list[_Cell] = []
    word: list[_Cell] = []
    for cell in cells:
        if word and _width(word) + cell.width > width:  # longer than any line: it is broken where the line is full
            line, word = [*line, *word], []
        word.append(cell)
        if line and _width(line) + _width(word) > width + cell.text.isspace():
            yield line
            line = []
        if cell.breaks:
            line, word = [*line, *word], []
        if cell.breaks == "line":
            yield line
            line = []
    if line or word:
        yield [*line, *word]


def _width(cells: Sequence[_Cell]) -> int:
    return sum(cell.width for cell in cells)
