import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.plm import mlstm, unirep
from interplm_nb.plm.mlstm import State
from interplm_nb.plm.prefixes import Prefixes
from interplm_nb.plm.unirep import UniRep
from interplm_nb.proteins import Proteins
from tests.plm.tiny_unirep import tiny

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
BASE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"


def embedded(plm: UniRep, sequences: list[str], layer: int = 2, **how) -> torch.Tensor:
    proteins = Proteins.from_sequences({f"P{i}": s for i, s in enumerate(sequences)})
    out = torch.full((proteins.n_residues, plm.widths[layer]), torch.nan)
    for rows, values in plm.embed(proteins, [layer], progress=False, **how):
        assert out[rows].isnan().all()
        out[rows] = values[layer]
    assert not out.isnan().any()
    return out


def mutated(changes: list[tuple[int, str]], end: int) -> str:
    letters = list(BASE)
    for at, letter in changes:
        letters[at] = letter
    return "".join(letters)[:end]


mutants = st.builds(
    mutated,
    st.lists(st.tuples(st.integers(0, len(BASE) - 1), st.sampled_from(LETTERS)), max_size=3),
    st.integers(1, len(BASE)),
)


@given(st.lists(st.lists(mutants, min_size=1, max_size=5), min_size=1, max_size=4), st.booleans())
def test_a_model_that_remembers_gives_what_a_fresh_one_does(calls, shuffled):
    plm = tiny().shuffled() if shuffled else tiny()
    embedded(plm, [BASE], 1)
    for k, call in enumerate([[BASE], *calls, [BASE]]):
        layer = (2, 0, 1)[k % 3]
        fresh = tiny().shuffled() if shuffled else tiny()
        got = embedded(plm, call, layer, tokens_per_batch=7 if k % 2 else None)
        torch.testing.assert_close(got, embedded(fresh, call, layer), atol=2e-5, rtol=0)


@pytest.fixture
def steps(monkeypatch) -> list[int]:
    """The lanes of each step that is computed, in whichever layer."""
    asked: list[int] = []
    original = mlstm.Product.__call__

    def counted(self, x):
        asked.append(len(x))
        return original(self, x)

    monkeypatch.setattr(mlstm.Product, "__call__", counted)
    return asked


def test_a_mutation_recomputes_from_its_position_on(steps):
    plm = tiny(n_layers=1)
    embedded(plm, [BASE], 1)
    assert len(steps) == len(BASE) + 1  # with the start token
    steps.clear()
    embedded(plm, [BASE[:20] + "W" + BASE[21:]], 1)
    assert steps == [1] * (len(BASE) - 20)
    steps.clear()
    embedded(plm, [BASE], 1)
    assert not steps
    embedded(plm, [BASE + "A", BASE + "AC", BASE[:10]], 1)
    assert steps == [2, 2] or steps == [2, 1]


def test_a_scan_of_many_is_not_remembered_and_a_large_call_does_not_look(steps, monkeypatch):
    plm = tiny(n_layers=1)
    embedded(plm, [BASE, BASE[1:], BASE[2:]], 1)
    assert not len(plm._prefixes)
    embedded(plm, [BASE], 1)
    steps.clear()
    monkeypatch.setattr(unirep, "FEW_RESIDUES", 10)
    embedded(plm, [BASE], 1)
    assert len(steps) == len(BASE) and len(plm._prefixes) == 1


def test_what_is_handed_out_is_not_what_is_held():
    plm = tiny()
    proteins = Proteins.from_sequences({"A": BASE})
    first = embedded(plm, [BASE])
    for _ in range(2):
        for batch in plm.embed(proteins, [2], progress=False):
            batch.layers[2].zero_()
    torch.testing.assert_close(embedded(plm, [BASE]), first)


def state(n: int, units: int = 4) -> State:
    return State(torch.zeros(n, units), torch.zeros(n, units))


def ids(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)


def test_the_longest_beginning_that_is_deep_enough():
    held = Prefixes()
    held.keep(ids(1, 2, 3), [state(3)])
    held.keep(ids(1, 2, 4), [state(3), state(3)])
    assert held.longest(ids(1, 2, 3, 9), 1).n == 3
    assert held.longest(ids(1, 2, 3, 9), 2).n == 2
    assert held.longest(ids(5), 1) == (0, None)


def test_memory_is_bounded_and_the_oldest_goes_first():
    held = Prefixes(most=2, most_bytes=300)
    for first in (1, 2, 3):
        held.keep(ids(first, 0), [state(2)])
    assert len(held) == 2 and not held.longest(ids(1), 1).n and held.longest(ids(2), 1).n
    held.keep(ids(4, 0, 0, 0, 0, 0, 0, 0), [state(8)])
    assert len(held) == 1 and held.n_bytes == 256
    held.keep(ids(*range(100)), [state(100)])
    assert len(held) == 1 and held.longest(ids(4), 1).n


def test_a_shallow_reading_does_not_replace_a_deep_one():
    held = Prefixes()
    held.keep(ids(1, 2), [state(2), state(2)])
    held.keep(ids(1, 2), [state(2)])
    assert len(held) == 1 and held.longest(ids(1, 2), 2).n == 2
