"""What a program prints is made harmless for a terminal, however it is cut into pieces."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.counting import processor

from cluster_interface.cli.terminal import RESET, Filter, harmless, plain

PIECES = [
    "\x1b", "\x1b[", "\x1b]", "\x1b[31m", "\x1b[0;1;38;5;3m", "\x1b[2J", "\x1b[?25l", "\x1b]0;title\x07",
    "\x1b]52;c;aGk=\x1b\\",
    "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "\x1bP+q\x1b\\", "\x1b(0", "\x1bc", "\x9b2J", "\x9d0;t\x9c",
    "\x07", "\x08", "\x7f",
    "\u202e", "\u2066", "\u200f", "\n", "\r", "\t", "a", "m", "7", ";", "é", "漢", "\x00", "\x1b\x1b[1m",
    "\\", "\x9c", "\x90",
]  # fmt: skip
TEXT = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


def filtered(data: bytes, cuts=()) -> str:
    """Feed data to a filter, cut into pieces."""
    made, start, shown = Filter(), 0, ""
    for cut in [*sorted(cuts), len(data)]:
        shown += made.feed(data[start:cut])
        start = max(start, cut)
    return shown + made.end()


@given(TEXT)
def test_nothing_but_colours_is_left(text):
    """No control but tab and line ends, no escape but colours, nothing that reorders text."""
    shown = filtered(text.encode())
    assert not FORBIDDEN.search(shown)
    assert "\x1b" not in COLOUR.sub("", shown)


@given(st.binary(max_size=200))
def test_any_bytes_are_harmless(data):
    """Not only text: bytes of any kind."""
    shown = filtered(data)
    assert not FORBIDDEN.search(shown)
    assert "\x1b" not in COLOUR.sub("", shown)


@given(TEXT, st.lists(st.integers(0, 200), max_size=8))
def test_the_cuts_make_no_difference(text, cuts):
    """A sequence that comes in two pieces is the same sequence."""
    data = text.encode()
    assert filtered(data, [min(cut, len(data)) for cut in cuts]) == filtered(data)


@given(TEXT)
def test_filtering_twice_is_filtering_once(text):
    """What is left is left alone."""
    once = filtered(text.encode())
    assert filtered(once.encode()) in (once, once + RESET)


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs"])))
def test_ordinary_text_is_untouched(text):
    """Whatever has no control in it passes as it is."""
    assert filtered(text.encode()) == plain(text) == harmless(text) == text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("\x1b]52;c;ZXZpbA==\x07copied", "copied"),
        ("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b[31mred\x1b[0m", f"\x1b[31mred\x1b[0m{RESET}"),
        ("50%\r100%\n", "50%\r100%\n"),
        ("\u202etxt.exe", "txt.exe"),
        ("\x1b]0;unfinished\nnext line", "\nnext line"),
        ("a\x1b", "a"),
    ],
)
def test_the_known_attacks(given, shown):
    """OSC 52, OSC 8, clearing the screen, bidi; colours and progress bars stay."""
    assert filtered(given.encode()) == shown


@given(TEXT)
def test_our_own_lines_are_one_plain_line(text):
    """Names and reasons in our own talk bring no control at all, not even a line end."""
    assert not re.search(r"[\x00-\x1f]", plain(text))
    assert not FORBIDDEN.search(plain(text))
    assert "\x1b" not in harmless(text)


@pytest.mark.parametrize("piece", ["\x90", "\x1b[", "\x1b]", "\x1b", "\x9b0", "\x1b]\x1b", "\x1b ", "\x1b[0;"])
def test_a_flood_of_openings_takes_linear_time(piece):
    """Sequences that never end are filtered at the same pace however many there are."""

    def spent(size):
        flood = (piece * (size // len(piece)) + "\x07").encode()
        return processor(lambda: filtered(flood), 3)

    assert spent(2**18) < 30 * spent(2**15)  # eight times as much; a quadratic one takes 64 times as long
