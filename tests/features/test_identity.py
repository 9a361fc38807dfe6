"""Which letter a feature tells: against a loop over features, letters and thresholds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.identity import THRESHOLDS, letter_identity
from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.proteins import Proteins


@given(st.integers(0, 2**16), st.booleans())
def test_every_figure_is_the_plain_count(seed: int, only_one: bool) -> None:
    rng = np.random.default_rng(seed)
    sequences = {f"P{i}": "".join(rng.choice(list("GAKX"), 6)) for i in range(3)}
    proteins = Proteins.from_sequences(sequences)
    values = rng.choice([0, 0, 0, 0.1, 0.4, 0.9], (18, 4))
    values[:, 3] = 0
    chosen = ["P1"] if only_one else None
    activations = FeatureActivations.from_dense(values, proteins, unit="max")
    found = letter_identity(activations, chosen)

    kept = slice(6, 12) if only_one else slice(0, 18)
    letters = np.array(list("".join(sequences.values())))[kept]
    values = values[kept].astype(np.float32)
    alive = np.flatnonzero(values.any(axis=0))
    assert found["feature"].to_list() == alive.tolist()
    for row in found.iter_rows(named=True):
        f1 = {}
        for threshold in THRESHOLDS:
            on = values[:, row["feature"]] > threshold
            for letter in AMINO_ACIDS:
                right = int((on & (letters == letter)).sum())
                total = int(on.sum() + (letters == letter).sum())
                f1[threshold, letter] = (2 * right / total if total else 0.0), right, on.sum()
        best = max(f1.values())[0]
        own, right, answers = f1[row["threshold"], row["letter"]]
        assert own == pytest.approx(best) == pytest.approx(row["f1"])
        assert row["precision"] == pytest.approx(right / max(answers, 1))
        n = int((letters == row["letter"]).sum())
        assert row["recall"] == pytest.approx(right / max(n, 1))


def test_raw_activations_are_refused() -> None:
    proteins = Proteins.from_sequences({"P1": "MK"})
    activations = FeatureActivations.from_dense(np.ones((2, 1)), proteins)
    with pytest.raises(ValueError, match=r"unit 'max'\), not unit 'raw'; use relative_to"):
        letter_identity(activations)
