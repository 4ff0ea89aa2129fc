"""Pictures show every token once, nothing but its text, and exactly what is trained; a page is inert whatever it shows."""

import html.parser
import io
import re

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from instruct_jax.text.picture import Picture, Segment, glyphs, octets, summary, visible
from instruct_jax.text.picture_page import page
from instruct_jax.text.picture_terminal import draw, svg
from instruct_jax.text.pieces import ByteTokenizer
from instruct_jax.text.tokenizer import load_tokenizer

HOSTILE = (
    "plain words, two  spaces and an end \n\tthen a tab ",
    "</script><script>alert('x')</script></style><b onclick=\"x\">&amp; <!-- --> ]]>",
    "北京 龘 ☂️ 🧑‍🚀 é é \u200b\u202e\x1b[31m\x00\r\n",
    "word" * 60,
    " ",
)


@pytest.fixture(scope="module", params=["bytes", "sentencepiece"])
def tokenizer(request):
    if request.param == "bytes":
        return ByteTokenizer()
    return load_tokenizer(request.getfixturevalue("real_data") / "tokenizers" / "mistral-v1.model")


def drawn(tokenizer, text, trained=slice(3, 7)):
    """Begin and end of text around a text, some of its tokens trained."""
    tokens = np.array([tokenizer.bos_id, *tokenizer.encode(text), tokenizer.eos_id], np.int32)
    weights = np.zeros(tokens.size, np.float32)
    weights[trained] = 1
    return glyphs(tokens, weights, tokenizer)


def picture(shown, title="a task"):
    return Picture("", (), (Segment(title, ("template t",), shown),))


def unmarked(shown):
    """The text that runs stand for."""
    out = []
    for text, mark in (run for glyph in shown if not glyph.control for run in glyph.runs):
        if mark:
            text = text.replace("↵\n", "\n").replace("·", " ").replace("⇥", "\t").replace("␍", "\r")
            text = re.sub("‹([0-9a-f]+)›", lambda found: chr(int(found[1], 16)), text)
        out.append(text)
    return "".join(out)


@pytest.mark.parametrize("text", HOSTILE)
def test_each_token_is_drawn_once_and_all_of_them_are_the_text(tokenizer, text):
    shown = drawn(tokenizer, text)
    assert [glyph.position for glyph in shown] == list(range(len(shown)))
    assert [glyph.control for glyph in shown] == [True, *[False] * (len(shown) - 2), True]
    # SentencePiece sets a space before a text, and that is what the model sees.
    before = "" if isinstance(tokenizer, ByteTokenizer) else " "
    assert unmarked(shown) == before + tokenizer.decode(tokenizer.encode(text))


def test_a_character_in_several_tokens_shows_their_bytes_and_stands_at_the_last():
    shown = drawn(ByteTokenizer(), "a龘")[1:-1]
    assert [glyph.octets for glyph in shown] == ["", "e9", "be", "98"]
    assert [glyph.unfinished for glyph in shown] == [False, True, True, False]
    assert shown[-1].runs == (("龘", False),)


def test_bytes_that_are_no_character_are_shown_one_by_one():
    shown = drawn(ByteTokenizer(), "")
    broken = glyphs(np.array([3 + 0xE9, 3 + 0xBE, 3 + ord("a")]), np.zeros(3), ByteTokenizer())
    assert [glyph.octets for glyph in broken] == ["e9", "be", ""]
    assert not any(glyph.unfinished for glyph in broken)
    assert [glyph.control for glyph in shown] == [True, True]


def test_bytes_are_read_from_the_names_of_any_vocabulary():
    assert octets("<0x0A>") == "0a"
    assert octets(r"\xff") == "ff"
    assert octets("Ġð") == "20f0"  # GPT-2's letters for bytes


def test_spaces_that_would_be_overlooked_are_marked():
    text = "".join(run for glyph in drawn(ByteTokenizer(), " a b \n c ")[1:-1] for run, _ in glyph.runs)
    assert text == "·a b·↵\n·c·"
    assert visible("a\u00a0b") == (("a", False), ("‹a0›", True), ("b", False))


@pytest.mark.parametrize("columns", [20, 80, 200])
@pytest.mark.parametrize("positions", [False, True])
def test_no_line_is_wider_than_the_terminal(tokenizer, columns, positions):
    stream = io.StringIO()
    console = Console(file=stream, width=columns, force_terminal=True, color_system=None)
    draw([picture(drawn(tokenizer, text), "t") for text in HOSTILE], console, positions)
    lines = stream.getvalue().split("\n")
    begin = next(number for number, line in enumerate(lines) if "template t" in line)
    body = [line for line in lines[begin:] if not re.search(r"^ *\d|tokens|supervised|template", line) or "│" in line]
    assert len(body) > 10
    assert max(cell_len(line) for line in body) <= columns


def test_a_log_marks_what_is_trained_and_nothing_else():
    stream = io.StringIO()
    shown = drawn(ByteTokenizer(), "ask: answer", trained=slice(6, None))
    draw([picture(shown)], Console(file=stream))
    lines = stream.getvalue().splitlines()
    assert "\x1b" not in stream.getvalue()
    (place,) = [number for number, line in enumerate(lines) if line.startswith("▕<s>▏ask: answer▕</s>▏")]
    assert lines[place + 1].strip() == "~=~=~=======" or set(lines[place + 1].strip()) == {"~", "="}
    assert [letter for letter, mark in zip(lines[place], lines[place + 1], strict=False) if mark != " "] == [*"answer", *"▕</s>▏"]


def test_colours_tell_trained_tokens_and_their_borders():
    stream = io.StringIO()
    shown = drawn(ByteTokenizer(), "abcdef", trained=slice(3, 5))
    draw([picture(shown)], Console(file=stream, width=80, force_terminal=True, color_system="truecolor"))
    (line,) = [line for line in stream.getvalue().splitlines() if " <s> " in line and "train" not in line]
    grounds = re.findall(r"\x1b\[[0-9;]*?48;2;(\d+;\d+;\d+)m([a-z])", line)
    assert [letter for _, letter in grounds] == ["c", "d"]
    assert grounds[0][0] != grounds[1][0]


class Reader(html.parser.HTMLParser):
    """The elements of a page, and the text of its <pre>."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text, self._inside = [], [], "", False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self._inside |= tag == "pre"

    def handle_endtag(self, tag):
        self._inside &= tag != "pre"

    def handle_data(self, data):
        self.text += data if self._inside else ""


@pytest.mark.parametrize("positions", [False, True])
def test_a_page_is_inert_and_needs_nothing_from_elsewhere(tokenizer, positions):
    text = "\n".join(HOSTILE)
    content = page([picture(drawn(tokenizer, text), title="<script>t</script>")], "</title><script>", positions)
    reader = Reader()
    reader.feed(content)
    assert reader.tags.count("style") == 1
    assert not {"script", "b", "link", "img", "iframe"} & set(reader.tags)
    assert not [name for name in reader.attributes if name.startswith("on") or name in ("src", "href")]
    assert "http://" not in content
    assert "https://" not in content
    assert "<script" not in content
    assert "url(" not in content


def test_a_page_shows_the_text_and_says_what_each_token_is():
    shown = drawn(ByteTokenizer(), "a <b>", trained=slice(1, 2))
    content = page([picture(shown)], "one")
    reader = Reader()
    reader.feed(content)
    assert reader.text == "<s>a <b></s>"
    assert 'class="t b" title="a\nid 100 · position 1 · weight 1">a</span>' in content
    assert "7 tokens · 1 supervised · 14.3 %" in content


def test_an_image_asks_no_host_for_a_font():
    content = svg([picture(drawn(ByteTokenizer(), "a <b>"))], "one")
    assert re.findall(r"https?://[^\"]*", content) == ["http://www.w3.org/2000/svg"]
    assert "font-face" not in content


def test_the_summary_adds_up():
    pictures = [picture(drawn(ByteTokenizer(), "a" * size)) for size in (8, 18)]
    assert summary(pictures) == "2 rows · 30 tokens · 8 supervised · 26.7 % · longest 20"
