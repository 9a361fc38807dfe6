"""Text for terminals: what a terminal obeys is written out, and nothing else changes."""

import io
import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.plain_text import PlainStream, plain, plain_cell

OBEYED = ("Cc", "Cf", "Zl", "Zp", "Cs")
"""Unicode's categories of what a terminal may obey and does not show."""
KNOWN_HARMLESS = "\u00ad\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"


def test_everything_that_directs_a_terminal_is_written_out():
    for code in range(0x10000):
        letter = chr(code)
        if letter in "\t\n" or letter in KNOWN_HARMLESS:
            assert plain(letter) == letter
        elif unicodedata.category(letter) in OBEYED:
            assert plain(letter) == f"\\u{code:04x}", hex(code)
        elif unicodedata.category(letter) != "Cn":  # not assigned: either way
            assert plain(letter) == letter


@given(st.text())
def test_a_json_text_keeps_its_value(text):
    assert json.loads(plain(json.dumps(text, ensure_ascii=False))) == text


@given(st.text())
def test_a_cell_is_one_line(text):
    assert len(plain_cell(text).split("\n")) == 1 and "\t" not in plain_cell(text)
    assert plain_cell(text) == plain(text).replace("\t", "\\u0009").replace("\n", "\\u000a")


def test_a_stream_keeps_progress_bars_and_nothing_else():
    shown = io.StringIO()
    stream = PlainStream(shown)
    assert stream.write("\r 50%|###  |\x1b[A") == 15
    stream.writelines(["name \x1b]0;title\x07\n", "\x1b[2J\tend"])
    assert shown.getvalue() == ("\r 50%|###  |\x1b[Aname \\u001b]0;title\\u0007\n\\u001b[2J\tend")
    assert not stream.isatty()
