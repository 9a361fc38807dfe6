"""Which features a text chooses."""

import numpy as np
import pytest

from interplm_nb.activations import FeatureActivations
from interplm_nb.interpret.choose import choose
from interplm_nb.proteins import Proteins

N = 30


def table() -> FeatureActivations:
    """Features 0 to 9: the even ones fire at 1 in all proteins, the odd ones in 5, 9 in none."""
    values = np.zeros((N * 2, 10))
    values[::2, ::2] = 1.0
    values[:10:2, 1:9:2] = 1.0
    proteins = Proteins.from_sequences({f"P{i}": "MK" for i in range(N)})
    return FeatureActivations.from_dense(values, proteins, "max")


F1 = {0: 0.4, 1: 0.9, 2: 0.5, 4: 0.7}


def test_parts_are_joined_in_order_and_none_is_taken_twice() -> None:
    found = choose("f1:0.5,ids:8;2", table(), F1)
    assert found.features == (2, 4, 8)
    assert found.left_out == (1,)
    assert (found.n_alive, found.n_enough) == (9, 5)


def test_all_and_random_draw_from_those_with_enough_examples() -> None:
    assert choose("all", table(), {}).features == (0, 2, 4, 6, 8)
    drawn = choose("random:3", table(), {}, seed=1).features
    assert len(set(drawn)) == 3
    assert set(drawn) <= {0, 2, 4, 6, 8}
    assert drawn == choose("random:3", table(), {}, seed=1).features
    assert set(choose("random:50", table(), {}).features) == {0, 2, 4, 6, 8}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' chooses no features"),
        ("best", "'best' chooses no features"),
        ("f1:x", "'x' is not a number from 0 to 1"),
        ("f1:1.5", "'1.5' is not a number from 0 to 1"),
        ("random:-3", "'-3' is not a whole number"),
        ("ids:3;x", "'x' is not a whole number"),
        ("ids:10", "there is no feature 10; they are numbered 0 to 9"),
    ],
)
def test_what_is_no_choice_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        choose(text, table(), F1)
