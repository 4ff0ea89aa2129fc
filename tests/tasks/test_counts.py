"""What prepare tells of each task is whole numbers, however narrow the terminal."""

import io

import pytest
from rich.console import Console

from instruct_jax.tasks.preparing.counts import NUMBERS, print_table


def _task(name, held_out=False, **numbers):
    known = {"asked": 1_000_000, "examples": 999_990, "tokens": 123_456_789, "supervised": 12_345_678, "trimmed": 54_321}
    return {"name": name, "held_out": held_out, "share": 0.5, "epochs": 12.34, **dict.fromkeys(NUMBERS, 0), **known, **numbers}


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_no_number_is_cut_and_names_are_whole(width):
    console = Console(width=width, force_terminal=True, color_system=None, file=io.StringIO())
    print_table([_task("temperature_comparisons_of_the_year"), _task("b", dropped=10), _task("c", held_out=True)], console)
    text = console.file.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for number in ("999,990", "123,456,789", "370,370,367"):
        assert number in text
    assert "held out" in text
    assert ("12.34" in text) == (width == 160), "what a narrow terminal has no room for is left out whole"
