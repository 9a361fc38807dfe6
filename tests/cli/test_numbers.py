"""Every number on the command line: what is accepted, and what is refused before anything runs."""

import argparse
from collections.abc import Iterator

import pytest

from interplm_nb.cli import main as cli
from interplm_nb.cli import numbers

SHARE, COUNT, LAYER = ("0", "0.05", "1"), ("1", "20", "1000000"), ("0", "4", "1000000")
ACCEPTED = {
    "annotate --max-q": SHARE,
    "annotate --min-confidence": SHARE,
    "annotate --top": COUNT,
    "contacts --feature": LAYER,
    "data structure-labels --min-coverage": SHARE,
    "discover --min-confidence": SHARE,
    "discover --per-concept": COUNT,
    "interpret --at-once": COUNT,
    "interpret --budget": ("1e-9", "1", "2.5"),
    "interpret --max-tokens": ("1e-9", "1", "2.5"),
    "interpret --per-bin": COUNT,
    "interpret --per-minute": ("1e-9", "1", "2.5"),
    "look --layer": LAYER,
    "look --top": COUNT,
    "rank --top": COUNT,
    "spatial --draws": COUNT,
    "spatial --min-proteins": COUNT,
    "score --layer": LAYER,
    "score --k": COUNT,
    "score --threshold": ("0", "0.3", "1e9"),
    "score --input-scale": ("1e-9", "1", "2.5"),
    "models get --layer": LAYER,
    "models get --k": COUNT,
    "models get --threshold": ("0", "0.3", "1e9"),
    "models get --input-scale": ("1e-9", "1", "2.5"),
    "models convert --layer": LAYER,
    "models convert --k": COUNT,
    "models convert --threshold": ("0", "0.3", "1e9"),
    "models convert --input-scale": ("1e-9", "1", "2.5"),
}
"""A new number needs a row."""

NEVER = ("nan", "inf", "-inf", "-1", "-0.1", "1e999", "many", "", "1_000_000_000_000_000")
REFUSED = {
    SHARE: (*NEVER, "1.0001", "2"),
    COUNT: (*NEVER, "0", "0.5", "2.0", "1000001"),
    LAYER: (*NEVER, "0.5", "2.0", "1000001"),
    ("0", "0.3", "1e9"): NEVER[:-1],
    ("1e-9", "1", "2.5"): ("0", *NEVER[:-1]),
}


def options(
    parser: argparse.ArgumentParser, name: str = ""
) -> Iterator[tuple[str, argparse.Action]]:
    """Every option of every command, by "command --option"."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, part in action.choices.items():
                yield from options(part, f"{name} {word}".strip())
        elif action.option_strings:
            yield f"{name} {action.option_strings[-1]}", action


OPTIONS = dict(options(cli.parser()))
CHECKED = (
    numbers.activation,
    numbers.count,
    numbers.factor,
    numbers.feature,
    numbers.layer,
    numbers.share,
)


def test_every_number_is_of_a_checked_type_and_has_a_decision():
    assert not [name for name, action in OPTIONS.items() if action.type in (int, float, complex)]
    assert {name for name, a in OPTIONS.items() if a.type in CHECKED} == set(ACCEPTED)


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_number_is_accepted_or_refused(name):
    kind, accepted = OPTIONS[name].type, ACCEPTED[name]
    assert callable(kind)
    assert [kind(text) for text in accepted] == [float(text) for text in accepted]
    for text in REFUSED[accepted]:
        with pytest.raises(argparse.ArgumentTypeError, match=rf"^wanted .*; got {text!r}$"):
            kind(text)


def test_the_default_of_a_number_is_accepted():
    for name in ACCEPTED:
        kind, default = OPTIONS[name].type, OPTIONS[name].default
        assert callable(kind) and (default is None or kind(str(default)) == default)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["annotate", "x.fasta", "--max-q", "nan"],
            "argument --max-q: wanted a number from 0 to 1, such as 0.05; got 'nan'",
        ),
        (
            ["discover", "x", "--per-concept", "0"],
            "argument --per-concept: wanted a whole number from 1 to 1,000,000; got '0'",
        ),
        (
            ["score", "x", "--run", "y", "--input-scale", "0"],
            "argument --input-scale: wanted a number above 0; got '0'",
        ),
        (
            ["models", "convert", "x", "--out", "y", "--layer", "-1"],
            "argument --layer: wanted a whole number from 0 to 1,000,000; got '-1'",
        ),
    ],
)
def test_the_refusal_names_the_option_and_nothing_is_read(capsys, words, text):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err
