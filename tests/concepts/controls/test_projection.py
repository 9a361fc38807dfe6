"""Principal and independent components against numpy's SVD and known sources, and what a stored
projection refuses.
"""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.controls import projection
from interplm_nb.concepts.controls.projection import Moments, Projected, Projection, ica, pca
from interplm_nb.concepts.count import count
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins

PROTEINS = Proteins.from_sequences({f"P{i}": "MKTAYISW"[: 3 + i % 6] * 9 for i in range(12)})
TRAIN = [f"P{i}" for i in range(8)]
ROWS = PROTEINS.rows_of(TRAIN)
D_IN = 5


def embedded(path: Path, values: np.ndarray, plm: str = "a PLM", layer: int = 1) -> Embeddings:
    arrays = {a: values[PROTEINS.rows(a)] for a in PROTEINS.accessions}
    return Embeddings.from_arrays(path, PROTEINS, arrays, plm, layer, "sha256:1")


@pytest.fixture
def embeddings(tmp_path: Path) -> Embeddings:
    rng = np.random.default_rng(0)
    mixed = (
        rng.normal(size=(PROTEINS.n_residues, D_IN))
        * [5, 3, 2, 1, 0.5]
        @ rng.normal(size=(D_IN, D_IN))
        + 1000
    )
    return embedded(tmp_path / "layer_01", mixed.astype(np.float32))


def values_of(found: Projection, embeddings: Embeddings, accessions: list[str]) -> np.ndarray:
    return np.concatenate([b.values for b in found.on(embeddings, PROTEINS).blocks(accessions)])


def test_moments_are_the_mean_and_covariance_of_the_rows(
    embeddings: Embeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "_BLOCK", 7)
    moments = Moments.of(embeddings, ROWS)
    x = embeddings[ROWS].astype(np.float64)
    assert_allclose(moments.mean, x.mean(axis=0), rtol=1e-12)
    assert_allclose(moments.covariance, np.cov(x.T, bias=True), rtol=1e-9)
    with pytest.raises(ValueError, match="a covariance needs at least two residues; got 1"):
        Moments.of(embeddings, ROWS[:1])


def test_principal_components_are_those_of_the_svd(embeddings: Embeddings) -> None:
    found = pca(embeddings, ROWS)
    x = embeddings[ROWS].astype(np.float64)
    _, singular, axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    positive, negative = found.W[:, ::2], found.W[:, 1::2]
    assert_allclose(np.abs(np.sum(positive * axes.T, axis=0)), 1, atol=1e-5)
    assert_array_equal(positive, -negative)
    assert_array_equal(np.sign(positive[np.abs(positive).argmax(axis=0), np.arange(D_IN)]), 1)
    assert_allclose(
        found.settings["explained_variance"], singular**2 / (singular**2).sum(), rtol=1e-5
    )
    assert found.names[:2] == ("component 0, positive side", "component 0, negative side")


def test_each_side_is_a_fraction_of_its_maximum_on_train_and_silent_on_the_other(
    embeddings: Embeddings,
) -> None:
    found = pca(embeddings, ROWS)
    values = values_of(found, embeddings, TRAIN)
    assert values.dtype == np.float32
    assert_array_equal(values.max(axis=0), 1)
    assert not ((values[:, ::2] > 0) & (values[:, 1::2] > 0)).any()
    scores = (embeddings[ROWS] - embeddings[ROWS].mean(axis=0, dtype=np.float64)) @ found.W.astype(
        np.float64
    )
    assert_allclose(values, np.maximum(scores / scores.max(axis=0), 0), atol=1e-4)


def test_only_the_rows_given_are_seen(embeddings: Embeddings, tmp_path: Path) -> None:
    changed = embeddings[:].copy()
    changed[PROTEINS.rows_of([a for a in PROTEINS.accessions if a not in TRAIN])] = 7
    other = embedded(tmp_path / "other", changed)
    assert_array_equal(pca(embeddings, ROWS).W, pca(other, ROWS).W)
    assert_array_equal(ica(embeddings, ROWS, sample=100).W, ica(other, ROWS, sample=100).W)


def test_moments_that_are_known_are_taken(embeddings: Embeddings) -> None:
    assert_array_equal(
        pca(embeddings, ROWS, Moments.of(embeddings, ROWS)).W, pca(embeddings, ROWS).W
    )
    doubled = replace(Moments.of(embeddings, ROWS), mean=np.zeros(D_IN))
    assert_array_equal(pca(embeddings, ROWS, doubled).b, 0)


def test_directions_without_variance_are_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    flat = np.concatenate(
        [rng.normal(size=(PROTEINS.n_residues, 2)), np.full((PROTEINS.n_residues, 1), 3.0)], axis=1
    ).astype(np.float32)
    assert pca(embedded(tmp_path / "flat", flat), ROWS).W.shape == (3, 4)
    with pytest.raises(ValueError, match="all residues have the same embedding"):
        pca(embedded(tmp_path / "same", np.ones((PROTEINS.n_residues, 3), np.float32)), ROWS)


def test_ica_finds_sources_that_were_mixed(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    sources = np.stack(
        [
            rng.uniform(-1, 1, PROTEINS.n_residues) * 3**0.5,
            rng.laplace(size=PROTEINS.n_residues) / 2**0.5,
        ],
        axis=1,
    )
    mixed = embedded(
        tmp_path / "mixed", (sources @ [[2.0, 1.0], [-2.0, 1.0]] + 3).astype(np.float32)
    )
    found = ica(mixed, ROWS)
    assert found.settings["converged"]
    scores = Projected(mixed, found.W, found.b)[ROWS][:, ::2]
    correlations = np.abs(np.corrcoef(scores.T, sources[ROWS].T)[:2, 2:])
    assert_allclose(np.sort(correlations.max(axis=1)), 1, atol=0.02)
    assert set(correlations.argmax(axis=1)) == {0, 1}
    axes = pca(mixed, ROWS)
    of_pca = np.abs(
        np.corrcoef(Projected(mixed, axes.W, axes.b)[ROWS][:, ::2].T, sources[ROWS].T)[:2, 2:]
    )
    assert of_pca.max(axis=1).min() < 0.8, "the test needs a mixture that PCA does not undo"


def test_ica_on_fewer_components_and_steps_says_what_it_did(
    embeddings: Embeddings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = ica(embeddings, ROWS, n_components=3, sample=50, max_iter=1)
    assert "ICA did not converge in 1 steps on 50 residues x 3" in caplog.text
    held = found.settings["explained_variance"]
    assert found.settings == {
        "n_residues": 50,
        "seed": 0,
        "steps": 1,
        "gradient": found.settings["gradient"],
        "converged": False,
        "explained_variance": held,
    }
    assert held == pytest.approx(sum(pca(embeddings, ROWS).settings["explained_variance"][:3]))
    assert found.W.shape == (D_IN, 6)
    assert_allclose(values_of(found, embeddings, TRAIN).max(axis=0), 1)


WIDE = 300


def wide_values() -> np.ndarray:
    """Of rank 40, with a steep spectrum and a mean far from 0; wider than all components kept."""
    rng = np.random.default_rng(7)
    scores = rng.laplace(size=(PROTEINS.n_residues, 40)) * np.linspace(10, 0.5, 40)
    return (scores @ np.linalg.qr(rng.normal(size=(WIDE, 40)))[0].T + 100).astype(np.float32)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Embeddings:
    return embedded(tmp_path_factory.mktemp("wide") / "layer_01", wide_values())


def test_wide_moments_are_float64s_to_six_digits_of_the_deviations(
    wide: Embeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "_BLOCK", 100)
    moments = Moments.of(wide, ROWS)
    x = wide[ROWS].astype(np.float64)
    exact = np.cov(x.T, bias=True)
    assert_allclose(moments.mean, x.mean(axis=0), rtol=1e-6)
    deviation = np.sqrt(np.diag(exact))
    assert_allclose(
        moments.covariance / np.outer(deviation, deviation),
        exact / np.outer(deviation, deviation),
        atol=3e-6,
    )


def test_the_leading_components_of_wide_embeddings_are_kept(
    wide: Embeddings,
) -> None:
    everything = pca(wide, ROWS)
    assert everything.W.shape == (WIDE, 80), "no axis without variance is kept"
    assert sum(everything.settings["explained_variance"]) == pytest.approx(1, abs=1e-5)
    x = wide[ROWS].astype(np.float64)
    _, singular, axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    few = pca(wide, ROWS, n_components=10)
    assert few.W.shape == (WIDE, 20)
    assert_allclose(np.abs(np.sum(few.W[:, ::2] * axes[:10].T, axis=0)), 1, atol=1e-4)
    shares = singular**2 / (singular**2).sum()
    assert_allclose(few.settings["explained_variance"], shares[:10], rtol=1e-4)
    assert ica(wide, ROWS, n_components=10, max_iter=5).settings[
        "explained_variance"
    ] == pytest.approx(shares[:10].sum(), rel=1e-4)
    assert ica(wide, ROWS, n_components=3).W.shape == (WIDE, 6)


def test_as_many_components_as_the_limit_are_kept_by_default(
    embeddings: Embeddings, tmp_path: Path
) -> None:
    rng = np.random.default_rng(8)
    noise = rng.normal(size=(PROTEINS.n_residues, WIDE)).astype(np.float32)
    found = pca(embedded(tmp_path / "noise", noise), ROWS)
    assert found.W.shape == (WIDE, 2 * projection.MAX_COMPONENTS)
    assert 0.9 < sum(found.settings["explained_variance"]) < 1
    assert pca(embeddings, ROWS).W.shape == (D_IN, 2 * D_IN)


@pytest.mark.parametrize("fit", [pca, ica])
def test_the_range_is_that_of_all_rows_though_few_are_read_exactly(
    wide: Embeddings, embeddings: Embeddings, monkeypatch: pytest.MonkeyPatch, fit
) -> None:
    monkeypatch.setattr(projection, "_BLOCK", 50)
    for given in (wide, embeddings):
        found = fit(given, ROWS, n_components=5)
        exact = Projected(given, found.W, found.b)[ROWS]
        assert_array_equal(found.maximum, exact.max(axis=0))
        assert_array_equal(found.minimum, 0)
    axes, mean = found.W[:, ::2], embeddings[ROWS].mean(axis=0)
    assert len(projection._extreme(embeddings, ROWS, axes, mean)) < len(ROWS) / 2


def test_two_sides_are_the_plain_map_rectified(wide: Embeddings) -> None:
    found = pca(wide, ROWS, n_components=5)
    plain = Projected(wide, found.W, found.b)[:]
    sides = Projected(wide, found.W, found.b, two_sided=True)
    assert_allclose(sides[:], np.maximum(plain, 0), rtol=1e-6, atol=1e-6)
    assert_array_equal(sides[np.array([9, 3])], sides[:][[9, 3]])
    assert sides.fingerprint != Projected(wide, found.W, found.b).fingerprint
    with pytest.raises(ValueError, match="columns of W with opposite signs"):
        Projected(wide, np.abs(found.W), found.b, two_sided=True)


def test_a_residue_does_not_depend_on_the_rows_it_is_read_with(embeddings: Embeddings) -> None:
    found = pca(embeddings, ROWS)
    projected = Projected(embeddings, found.W, found.b)
    whole = projected[:]
    assert whole.dtype == np.float32
    assert_array_equal(np.concatenate([projected[np.array([r])] for r in range(40)]), whole[:40])
    assert_array_equal(projected[10:17], whole[10:17])


def test_components_are_counted_as_the_same_values_in_a_sparse_source(
    embeddings: Embeddings,
) -> None:
    rows = [("P0", "Helix", 2, 9, 1), ("P3", "Helix", 1, 1, 2), ("P9", "Helix", 4, 12, 3)]
    table = pl.DataFrame(
        rows, schema=["accession", "concept", "start", "end", "instance"], orient="row"
    )
    annotations = Annotations(
        table.with_columns(category=pl.lit("x"), level=pl.lit("instance")), PROTEINS
    )
    found = pca(embeddings, ROWS)
    values = values_of(found, embeddings, PROTEINS.accessions)
    dense, same = (
        count(found.on(embeddings, PROTEINS), annotations),
        count(FeatureActivations.from_dense(values, PROTEINS, "max"), annotations),
    )
    for a, b in (
        (dense.tp, same.tp),
        (dense.instance_hits, same.instance_hits),
        (dense.active, same.active),
    ):
        assert_array_equal(a, b)
    assert dense.tp.any()


def test_what_is_saved_is_read(embeddings: Embeddings, tmp_path: Path) -> None:
    found = ica(embeddings, ROWS, sample=100)
    found.save(tmp_path / "ica")
    again = Projection.load(tmp_path / "ica")
    for name in ("W", "b", "minimum", "maximum"):
        assert_array_equal(getattr(again, name), getattr(found, name))
    assert (again.kind, again.plm, again.plm_revision, again.layer) == (
        "ica",
        "a PLM",
        "sha256:1",
        1,
    )
    assert (again.names, again.settings) == (found.names, found.settings)
    assert_array_equal(values_of(again, embeddings, TRAIN), values_of(found, embeddings, TRAIN))


def test_files_that_do_not_belong_together_are_refused(
    embeddings: Embeddings, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match="a projection is a folder with"):
        Projection.load(tmp_path)
    pca(embeddings, ROWS).save(tmp_path / "a")
    ica(embeddings, ROWS, sample=100).save(tmp_path / "b")
    (tmp_path / "a" / projection.WEIGHTS).write_bytes(
        (tmp_path / "b" / projection.WEIGHTS).read_bytes()
    )
    with pytest.raises(ValueError, match=r"not the weights that projection\.json was written for"):
        Projection.load(tmp_path / "a")


def test_the_wrong_company_is_refused_with_both_names(
    embeddings: Embeddings, tmp_path: Path
) -> None:
    found = pca(embeddings, ROWS)
    other_plm = embedded(tmp_path / "x", embeddings[:], plm="another PLM")
    with pytest.raises(
        ValueError,
        match=r"\(pca\) was fitted on a PLM \(sha256:1\), layer 1; "
        r"the embeddings are of another PLM \(sha256:1\), layer 1",
    ):
        found.on(other_plm, PROTEINS)
    with pytest.raises(
        ValueError, match=r"layer 1; the embeddings are of a PLM \(sha256:1\), layer 2"
    ):
        found.on(embedded(tmp_path / "y", embeddings[:], layer=2), PROTEINS)
    with pytest.raises(ValueError, match="embeds other proteins"):
        found.on(embeddings, PROTEINS.select(TRAIN))
    with pytest.raises(ValueError, match=r"W must be \[d_in, n_features\].*got \(4, 3\)"):
        Projected(embeddings, np.zeros((4, 3)), np.zeros(3))
    with pytest.raises(
        ValueError,
        match=r"b of a projection on 10 features is finite float32 \(10,\), not float64 \(10,\)",
    ):
        replace(found, b=found.b.astype(np.float64))
    with pytest.raises(ValueError, match="W of a projection on 10 features is finite"):
        replace(found, W=found.W * np.nan)
