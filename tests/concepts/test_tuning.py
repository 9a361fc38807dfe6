"""The paper's measure of an SAE: mean best F1 over the tuning concepts, by hand."""

import numpy as np
import polars as pl
import pytest

from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.concepts.tuning import tuned


def test_it_is_the_mean_of_each_concepts_best_and_what_is_missing_counts_0():
    names = ["Helix", "Missing", "Rare", "amino_acid_W"]
    n = {"n_residues": [10, 10, 10, 10], "n_instances": [5, 5, 2, 50]}
    concepts = pl.DataFrame({"concept": names, "category": "x", "level": "instance", **n})
    tp, hits = np.zeros((4, 2, 2), np.int32), np.zeros((4, 2, 2), np.int32)
    tp[0, 0], hits[0, 0] = [4, 2], [4, 2]
    tp[0, 1], hits[0, 1] = [3, 3], [3, 1]
    tp[2:], hits[2:] = 8, 2
    scores = ConceptScores(concepts, (0.0, 0.5), tp, hits, np.array([[16, 8], [3, 3]], np.int64))
    found = tuned(scores, min_instances=5)
    # Helix: precision 3 / 3 and 3 of 5 instances, F1 0.75; Missing: 0; Rare has 2 instances; amino
    # acids are letters.
    assert found.concepts.to_dicts() == [
        {"concept": "Helix", "n_instances": 5, "f1_per_domain": pytest.approx(0.75)},
        {"concept": "Missing", "n_instances": 5, "f1_per_domain": 0.0},
    ]
    assert found.mean_f1 == pytest.approx(0.375) and found.n_found == 1


def test_no_concept_is_a_mean_of_0():
    schema = {
        "concept": pl.String,
        "category": pl.String,
        "level": pl.String,
        "n_residues": pl.Int64,
        "n_instances": pl.Int64,
    }
    none = ConceptScores(
        pl.DataFrame(schema=schema),
        (0.0,),
        np.zeros((0, 2, 1), np.int32),
        np.zeros((0, 2, 1), np.int32),
        np.zeros((2, 1), np.int64),
    )
    assert (tuned(none).mean_f1, tuned(none).n_found) == (0.0, 0)
