"""p values against label tracks that are moved as tables and counted by `count`; and what a pair
must do to beat chance.
"""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import SCHEMA, Annotations
from interplm_nb.concepts import significance as module
from interplm_nb.concepts.count import count
from interplm_nb.concepts.nulls import Exchanged, Shifted
from interplm_nb.concepts.significance import SIGNIFICANCE, significance
from interplm_nb.proteins import Proteins
from tests.concepts.test_count import DenseValues

RNG = np.random.default_rng(5)
PROTEINS = Proteins.from_sequences(
    {f"P{i}": "M" * int(n) for i, n in enumerate(RNG.integers(2, 12, 14))}
)
TEST = pl.DataFrame(
    {"accession": PROTEINS.accessions[:1:-1], "cluster": [4, 4, 1, 2, 2, 2, 9, 5, 6, 7, 8, 8]}
)
LEVELS = {
    "Active site": "residue",
    "Helix": "instance",
    "Bond": "instance",
    "Elsewhere": "instance",
}
PAIRS = pl.DataFrame(
    {
        "concept": ["Helix", "Active site", "Bond", "Helix", "Elsewhere", "Bond", "Helix"],
        "feature": [3, 0, 1, None, 2, 2, 0],
        "threshold": [0.15, 0.0, 0.0, None, 0.0, 0.5, 0.5],
    }
)
DRAWS = 6


def annotated(seed: int) -> Annotations:
    """Overlapping helices, sites that share residues, bonds of two segments; one concept on no test
    protein.
    """
    rng = np.random.default_rng(seed)
    rows = [(PROTEINS.accessions[0], "Elsewhere", "x", "instance", 1, 2, 0)]
    for concept, level in list(LEVELS.items())[:3]:
        for instance in range(9):
            accession = str(rng.choice(PROTEINS.accessions))
            for _ in range(2 if concept == "Bond" else 1):
                start, end = sorted(
                    rng.integers(1, len(PROTEINS.sequence(accession)) + 1, 2).tolist()
                )
                rows.append(
                    (
                        accession,
                        concept,
                        "x",
                        level,
                        start,
                        start if concept == "Bond" else end,
                        instance,
                    )
                )
    return Annotations(pl.DataFrame(rows, schema=list(SCHEMA), orient="row"), PROTEINS)


def activations(seed: int) -> FeatureActivations:
    values = np.random.default_rng(seed).choice(
        [0, 0, 0.15, 0.3, 0.5, 0.9], (PROTEINS.n_residues, 4)
    )
    return FeatureActivations.from_dense(values.astype(np.float32), PROTEINS, "max")


def f1(source: FeatureActivations, annotations: Annotations) -> np.ndarray:
    """Of each of `PAIRS` on the test proteins; 0 for a concept that is gone."""
    scores = count(source, annotations, TEST["accession"])
    names = scores.concepts["concept"].to_list()
    return np.array(
        [
            scores.measures(names.index(concept)).f1_per_domain[
                feature, scores.thresholds.index(threshold)
            ]
            if feature is not None and concept in names
            else 0.0
            for concept, feature, threshold in PAIRS.iter_rows()
        ]
    )


def shifted(annotations: Annotations, offsets: dict[str, int]) -> Annotations:
    """Each segment turned within its protein; one that wraps is two rows of its instance."""
    rows = []
    for row in annotations.table.iter_rows():
        accession, concept, category, level, start, end, instance = row
        length = len(PROTEINS.sequence(accession))
        for position in range(start, end + 1):
            x = (position - 1 + offsets.get(accession, 0)) % length + 1
            rows.append((accession, concept, category, level, x, x, instance))
    return Annotations(pl.DataFrame(rows, schema=list(SCHEMA), orient="row"), PROTEINS)


def exchanged(annotations: Annotations, targets: dict[str, str]) -> Annotations:
    """Each test protein's segments on its target, cut at its end."""
    rows = []
    for row in annotations.table.iter_rows():
        accession, concept, category, level, start, end, instance = row
        target = targets.get(accession, accession)
        length = len(PROTEINS.sequence(str(target)))
        if start <= length:
            rows.append((target, concept, category, level, start, min(end, length), instance))
    return Annotations(pl.DataFrame(rows, schema=list(SCHEMA), orient="row"), PROTEINS)


def plain(
    source: FeatureActivations, annotations: Annotations, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """f1_per_domain of each pair in each draw of the two nulls, float64 [n_draws, n_pairs]."""
    ordered = TEST.sort(pl.col("accession").str.slice(1).cast(pl.Int64))
    names = ordered["accession"].to_list()
    lengths = np.array([len(PROTEINS.sequence(a)) for a in names])
    offsets = Shifted.draw(lengths, ordered["cluster"].to_numpy(), DRAWS, seed).offsets
    targets = Exchanged.draw(lengths, ordered["cluster"].to_numpy(), DRAWS, seed).targets
    turned = [
        f1(source, shifted(annotations, dict(zip(names, o.tolist(), strict=True)))) for o in offsets
    ]
    swapped = [
        f1(source, exchanged(annotations, {a: names[j] for a, j in zip(names, t, strict=True)}))
        for t in targets
    ]
    return np.array(turned), np.array(swapped)


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_p_values_are_those_of_tracks_moved_one_by_one(seed: int) -> None:
    source, annotations = activations(seed), annotated(seed)
    found = significance(source, annotations, PAIRS, TEST, DRAWS, seed)
    observed = f1(source, annotations)
    assert found["f1_per_domain"].to_list() == pytest.approx(observed.tolist())
    for name, drawn in zip(("shifted", "exchanged"), plain(source, annotations, seed), strict=True):
        there = [0, 1, 2, 5, 6]
        assert found[f"{name}_f1_per_domain"].to_list() == pytest.approx(
            drawn.mean(axis=0).tolist()
        )
        expected = (1 + (drawn >= observed - 1e-12).sum(axis=0)) / (1 + DRAWS)
        assert found[f"p_{name}"].gather(there).to_list() == pytest.approx(expected[there].tolist())
        assert found[f"p_{name}"].gather([3, 4]).to_list() == [1, 1]


def test_the_false_discovery_rate_is_of_the_larger_p() -> None:
    found = significance(activations(3), annotated(3), PAIRS, TEST, 50)
    p = np.maximum(found["p_shifted"].to_numpy(), found["p_exchanged"].to_numpy())
    order = np.argsort(p)
    stepped = p[order] * len(p) / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1)
    assert found["q_value"].to_list() == pytest.approx(q.tolist())
    assert found.select("concept", "feature", "threshold").rows() == PAIRS.rows()
    assert found.columns == list(SIGNIFICANCE)


def test_pairs_and_draws_in_parts_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = significance(activations(3), annotated(3), PAIRS, TEST, 50)
    monkeypatch.setattr(module, "_PREFIX_BYTES", 1)
    monkeypatch.setattr(module, "_PLACES", 40)
    assert significance(activations(3), annotated(3), PAIRS, TEST, 50).equals(whole)


def test_a_dense_source_is_tested_as_a_sparse_one() -> None:
    sparse = activations(3)
    dense = DenseValues(next(sparse.blocks()).values.toarray(), PROTEINS)
    assert significance(dense, annotated(3), PAIRS, TEST, 20).equals(
        significance(sparse, annotated(3), PAIRS, TEST, 20)
    )


def planted(where: str) -> pl.DataFrame:
    """The test of a feature on 40 signals in 80 proteins of 60 residues: it fires on them, or at
    every protein's start.
    """
    proteins = Proteins.from_sequences({f"Q{i}": "M" * 60 for i in range(80)})
    rows = [
        (
            f"Q{i}",
            "Signal",
            "x",
            "instance",
            1 if where == "start" else 5 + i,
            12 if where == "start" else 16 + i,
            i,
        )
        for i in range(40)
    ]
    annotations = Annotations(pl.DataFrame(rows, schema=list(SCHEMA), orient="row"), proteins)
    values = annotations.mask("Signal") if where == "signal" else np.tile(np.arange(60) < 12, 80)
    source = FeatureActivations.from_dense(values[:, None].astype(np.float32), proteins, "max")
    pairs = pl.DataFrame({"concept": ["Signal"], "feature": [0], "threshold": [0.0]})
    clusters = pl.DataFrame({"accession": proteins.accessions, "cluster": range(80)})
    return significance(source, annotations, pairs, clusters, 200)


def test_a_feature_on_its_concept_beats_both_nulls() -> None:
    found = planted("signal")
    assert found.select("p_shifted", "p_exchanged", "q_value").row(0) == pytest.approx(
        (1 / 201,) * 3
    )
    assert found["f1_per_domain"][0] == 1


def test_a_feature_of_a_place_beats_the_shift_but_not_the_exchange() -> None:
    found = planted("start")
    assert found["p_shifted"][0] == pytest.approx(1 / 201)
    assert found["p_exchanged"][0] == found["q_value"][0] == 1
    assert found["exchanged_f1_per_domain"][0] == pytest.approx(found["f1_per_domain"][0])


def test_what_cannot_be_tested_is_refused() -> None:
    assert significance(activations(1), annotated(1), PAIRS.clear(), TEST, 5).height == 0
    with pytest.raises(ValueError, match="needs draws and proteins, not 0 and 12"):
        significance(activations(1), annotated(1), PAIRS, TEST, 0)
    with pytest.raises(ValueError, match="needs draws and proteins, not 5 and 0"):
        significance(activations(1), annotated(1), PAIRS, TEST.clear(), 5)
    with pytest.raises(ValueError, match=r"the annotations lack \['Turn'\]"):
        significance(
            activations(1), annotated(1), PAIRS.with_columns(concept=pl.lit("Turn")), TEST, 5
        )
