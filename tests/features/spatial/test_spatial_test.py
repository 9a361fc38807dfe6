"""The test in space, against its definition in loops over features, proteins, residues and
shifts."""

from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, ttest_rel

from interplm_nb.features.spatial.spatial_test import SPATIAL, SpatialTest, spatial_test
from interplm_nb.proteins import Proteins
from interplm_nb.readers.residue_coordinates import ResidueCoordinates
from tests.features.spatial.made_space import active, in_space

KINDS = {
    "published": ("sequence", "space"),
    "strict": ("sequence", "space, 6 or more apart", "space, 12 or more apart"),
}


def neighbours(kind: str, at: np.ndarray, xyz: np.ndarray, i: int) -> list[int]:
    """Residues around residue i: `at` are places in the sequence, `xyz` in space."""
    apart = {"space": 1, "space, 6 or more apart": 6, "space, 12 or more apart": 12}
    others = [j for j in range(len(at)) if j != i]
    if kind == "sequence":
        return [j for j in others if abs(at[j] - at[i]) <= 2]
    return [
        j
        for j in others
        if abs(at[j] - at[i]) >= apart[kind] and np.linalg.norm(xyz[j] - xyz[i]) <= 6
    ]


def mean_of(values: np.ndarray, places: list[int]) -> float:
    return sum(float(values[j]) for j in places) / len(places)


def null_scores(convention: str, kind: str, a, at, xyz, draw: np.random.Generator) -> list[float]:
    """Scores of one protein under the null model; None where it has no neighbours."""
    n, p = len(a), int(a.argmax())
    if convention == "published":
        orders = [draw.permutation(n) for _ in range(5)]
        return [mean_of(a[order], neighbours(kind, at, xyz, p)) for order in orders]
    if kind == "sequence":
        return [mean_of(np.roll(a, s), neighbours(kind, at, xyz, p)) for s in range(n)]
    moved = [(q, neighbours(kind, at, xyz, q)) for q in range(n)]
    return [mean_of(np.roll(a, q - p), around) for q, around in moved if around]


def by_definition(
    values: np.ndarray, coordinates: ResidueCoordinates, convention: str, least: int, draws: int
) -> list[dict]:
    """One feature after the other, one protein after the other."""
    proteins = coordinates.proteins
    rows = []
    for feature, (k, kind) in product(range(values.shape[1]), enumerate(KINDS[convention])):
        observed, by_chance, drawn = [], [], np.zeros(draws)
        for i, accession in enumerate(proteins.accessions):
            carbons = coordinates.alpha[proteins.rows(accession)].astype(float)
            there = np.flatnonzero(np.isfinite(carbons[:, 0]))
            a, xyz = values[proteins.rows(accession), feature][there], carbons[there]
            if convention == "published" and len(there) < len(carbons):
                continue
            if not len(there) or a.max() <= np.float32(0.6):
                continue
            around = neighbours(kind, there, xyz, int(a.argmax()))
            if not around:
                continue
            seed = [0, i] if convention == "published" else [0, i, k]
            draw = np.random.default_rng(seed)
            null = null_scores(convention, kind, a, there, xyz, draw)
            observed.append(mean_of(a, around))
            by_chance.append(float(np.mean(null)))
            if convention == "strict":
                drawn += np.array(null)[draw.integers(len(null), size=draws)]
        row = {"feature": feature, "neighbours": kind, "n_proteins": len(observed)}
        if len(observed) >= least:
            difference = np.array(observed) - np.array(by_chance)
            varies = len(difference) > 1 and difference.std(ddof=1) > 1e-12
            row |= {"score": np.mean(observed), "by_chance": np.mean(by_chance)}
            if varies:
                row["cohen_d"] = difference.mean() / difference.std(ddof=1)
            if convention == "strict":
                row["p_value"] = (1 + (drawn >= sum(observed) - 1e-9).sum()) / (1 + draws)
            elif varies:
                row["p_value"] = ttest_rel(observed, by_chance).pvalue
        rows.append(row)
    for kind in KINDS[convention]:
        tested = [r for r in rows if r["neighbours"] == kind and "p_value" in r]
        p = np.array([r["p_value"] for r in tested])
        n = sum(r["neighbours"] == kind and r["n_proteins"] >= least for r in rows)
        adjusted = np.minimum(1, p * n) if convention == "published" else false_discovery_control(p)
        for row, value in zip(tested, adjusted, strict=True):
            row["p_adjusted"] = value
    return rows


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, ResidueCoordinates]:
    """Short chains on a lattice, some of their residues without coordinates."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = draw(st.lists(st.integers(1, 24), min_size=2, max_size=5))
    carbons = [random.integers(0, 4, (n, 3)) * 3.0 for n in lengths]
    for c in carbons[: draw(st.integers(0, 2))]:
        c[random.random(len(c)) < 0.2] = np.nan
    n_features = draw(st.integers(1, 3))
    values = random.choice([0, 0, 0.25, 0.5, 0.75, 1], (sum(lengths), n_features))
    return values.astype(np.float32), in_space(carbons)


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from(["published", "strict"]))
def test_it_is_the_definition(case: tuple[np.ndarray, ResidueCoordinates], convention: str) -> None:
    values, coordinates = case
    found = spatial_test(
        active(coordinates, values), coordinates, convention, min_proteins=2, draws=20
    )
    expected = pl.DataFrame(
        by_definition(values, coordinates, convention, 2, 20), schema=SPATIAL, strict=False
    )
    assert found.table.select("feature", "neighbours", "n_proteins").equals(
        expected.select("feature", "neighbours", "n_proteins")
    )
    for column in ("score", "by_chance", "cohen_d", "p_value", "p_adjusted"):
        np.testing.assert_allclose(
            found.table[column].to_numpy(), expected[column].to_numpy(), rtol=1e-6, atol=1e-9
        )


def hairpin() -> np.ndarray:
    """Eight residues, the first and the last 5 angstrom apart, all others far from one another."""
    carbons = np.arange(8.0)[:, None] * [20.0, 0, 0]
    carbons[7] = [0, 5, 0]
    return carbons


def test_a_case_by_hand() -> None:
    """The maximum is at residue 1, 0.8 at residue 8, which touches it, and 0.2 at residue 2.

    Around the maximum, in space: 0.8. The track can be moved until its maximum is at residue 1
    (as it is) or at residue 8, whose neighbour is residue 1, where 0.2 then is (the residue after
    the maximum, round the end). By chance: 0.5.
    """
    coordinates = in_space([hairpin(), hairpin()])
    track = np.array([1, 0.2, 0, 0, 0, 0, 0, 0.8])
    values = np.concatenate([track, track])[:, None]
    found = spatial_test(active(coordinates, values), coordinates, min_proteins=2, draws=400)
    table = found.table
    assert table["n_proteins"].to_list() == [2, 2, 0]
    assert table["score"][1] == pytest.approx(0.8)
    assert table["by_chance"][1] == pytest.approx(0.5)
    # Both proteins are as they are in a quarter of the draws.
    assert table["p_value"][1] == pytest.approx(0.25, abs=0.08)
    assert table["cohen_d"][1] is None  # two equal proteins: nothing varies
    # In the sequence: residues 2 and 3 around the maximum, 0.1 on average; by chance, the mean of
    # the track, 0.25.
    assert (table["score"][0], table["by_chance"][0]) == pytest.approx((0.1, 0.25))
    assert found.tested("sequence").height == 1 and found.tested("space").height == 0


def folded(n_proteins: int, seed: int) -> list[np.ndarray]:
    """Chains of 60 residues, folded in three at residues 20 and 40."""
    random = np.random.default_rng(seed)
    along = np.array([*range(20), *range(19, -1, -1), *range(20)])
    carbons = np.column_stack([along * 3.8, np.repeat([0, 5, 10], 20), np.zeros(60)])
    return [carbons + random.normal(0, 0.2, carbons.shape) for _ in range(n_proteins)]


def tracks(n_proteins: int, seed: int) -> np.ndarray:
    """Three features: active around the maximum in space alone, along the sequence alone, and
    in a long run."""
    random = np.random.default_rng(seed)
    values = np.zeros((n_proteins, 60, 3))
    for protein in values:
        at = random.integers(3, 17)
        protein[[at, 39 - at, 40 + at], 0] = [0.9, 1, 0.9]
        protein[random.integers(4, 56) + np.arange(-2, 3), 1] = [0.7, 0.9, 1, 0.9, 0.7]
        protein[(random.integers(60) + np.arange(35)) % 60, 2] = random.uniform(0.5, 1, 35)
    return values.reshape(-1, 3)


def test_a_feature_in_space_is_found_and_a_long_run_is_not_one() -> None:
    coordinates = in_space(folded(40, 0))
    activations = active(coordinates, tracks(40, 1))
    strict = spatial_test(activations, coordinates)
    published = spatial_test(activations, coordinates, "published")
    p = {
        (row["feature"], row["neighbours"]): row["p_adjusted"]
        for row in [*strict.table.to_dicts(), *published.table.to_dicts()]
    }
    assert p[0, "space, 6 or more apart"] < 0.01 and p[0, "space"] < 1e-6
    assert p[1, "space, 6 or more apart"] > 0.1
    # A run is close in space because it is a run: the published test takes it for structure.
    assert p[2, "space"] < 0.01
    assert p[2, "space, 6 or more apart"] > 0.05 and p[2, "space, 12 or more apart"] > 0.05
    assert 0 in strict.only_in_space() and not {1, 2} & set(strict.only_in_space())
    assert strict.by_feature().shape == (3, 1 + 4 * 3)


def test_the_null_of_strict_is_fair() -> None:
    """Runs at random places of random folds: p is small as often as it says."""
    random = np.random.default_rng(5)
    carbons = [np.cumsum(random.normal(0, 2.2, (50, 3)), axis=0) for _ in range(60)]
    coordinates = in_space(carbons)
    smooth = random.random((3000, 300))
    smooth = (smooth + np.roll(smooth, 1, axis=0) + np.roll(smooth, 2, axis=0)) / 3
    activations = active(coordinates, smooth)
    found = spatial_test(activations, coordinates, draws=200, min_proteins=10)
    for kind in KINDS["strict"][1:]:
        p = found.tested(kind)["p_value"].to_numpy()
        assert len(p) > 250 and 0.01 < (p < 0.05).mean() < 0.1


def test_at_most_a_hundred_proteins_are_drawn_and_seeds_tell() -> None:
    coordinates = in_space(folded(110, 3))
    activations = active(coordinates, tracks(110, 4))
    found = spatial_test(activations, coordinates, "published", seed=1)
    assert found.table["n_proteins"].to_list() == [110] * 6
    again = spatial_test(activations, coordinates, "published", np.array([1, 0]), seed=1)
    same = found.table.filter(pl.col("feature") < 2).drop("p_adjusted")
    assert again.table.drop("p_adjusted").equals(same)
    other = spatial_test(activations, coordinates, "published", seed=2)
    assert not other.table["score"].equals(found.table["score"])


def test_strict_leaves_out_what_a_model_is_not_sure_of() -> None:
    plddt = np.full(16, 90, np.float32)
    plddt[7] = 69.9  # residue 8 of the first
    coordinates = in_space([hairpin(), hairpin()], plddt)
    values = np.tile([1, 0, 0, 0, 0, 0, 0, 0.5], 2)[:, None]
    activations = active(coordinates, values)
    found = spatial_test(activations, coordinates, min_proteins=1, draws=10)
    assert found.table["n_proteins"].to_list() == [2, 1, 0]
    low = spatial_test(activations, coordinates, min_proteins=1, draws=10, min_plddt=50)
    assert low.table["n_proteins"].to_list() == [2, 2, 0]
    assert coordinates.confident(95).accessions == ["P1"][:0]


def test_published_takes_complete_structures() -> None:
    gap = hairpin()
    gap[4] = np.nan
    coordinates = in_space([hairpin(), gap])
    values = np.tile([1, 0.5, 0, 0, 0, 0, 0, 0.5], 2)[:, None]
    found = spatial_test(active(coordinates, values), coordinates, "published", min_proteins=1)
    assert found.n_structures == 1 and found.table["n_proteins"].to_list() == [1, 1]


def test_too_few_proteins_are_said() -> None:
    coordinates = in_space(folded(24, 0))
    activations = active(coordinates, tracks(24, 0))
    found = spatial_test(activations, coordinates, "published")
    assert found.table["score"].null_count() == 6 and found.only_in_space() == []
    assert found.sentence() == (
        "0 of 3 features fire above 0.6 of their maximum in 25 proteins with a complete structure "
        "(of 24 available), so none is tested; give more structures"
    )
    enough = spatial_test(activations, coordinates, "published", min_proteins=24)
    assert enough.sentence() == (
        "published, 24 complete structures; features are tested that fire in 24 or more, and pass "
        "with an adjusted p under 0.05 and more than by chance. "
        "sequence: 3 of 3 features tested, 2 pass; space: 3 of 3 features tested, 2 pass"
    )


@pytest.mark.parametrize(("n_tested", "draws"), [(50, 1000), (51, 1000), (219, 1000), (219, 99)])
def test_it_says_where_the_draws_limit_what_can_pass(n_tested: int, draws: int) -> None:
    """Benjamini and Hochberg over p that are at least 1 / (1 + draws), counted out."""
    row = {"neighbours": "sequence", "n_proteins": 30, "score": 1.0, "by_chance": 0.0}
    rows = [row | {"feature": i, "p_adjusted": 1.0} for i in range(n_tested)]
    found = SpatialTest("strict", pl.DataFrame(rows, schema=SPATIAL), 40, 25, draws)
    floor = 1 / (1 + draws)
    least = next(
        k
        for k in range(1, n_tested + 1)
        if false_discovery_control([floor] * k + [1.0] * (n_tested - k))[0] < 0.05
    )
    assert found.least_to_pass() == least
    said = f"No p is under 1 / {1 + draws:,}, so that fewer than {least} features cannot pass"
    assert (said in found.sentence()) == (least > 1)


def test_less_than_by_chance_does_not_pass() -> None:
    """A feature that shuns the neighbours of its maximum differs from chance, and is not arranged
    around it; one whose scores are all alike has no effect size, and passes."""
    rows = [
        {"feature": i, "neighbours": kind, "n_proteins": 30, "score": score, "by_chance": 0.5}
        | {"cohen_d": d, "p_value": 0.001, "p_adjusted": p}
        for i, (score, d) in enumerate([(0.9, 2.0), (0.1, -2.0), (0.9, None)])
        for kind, p in (("sequence", 0.5), ("space", 0.001))
    ]
    found = SpatialTest("published", pl.DataFrame(rows, schema=SPATIAL), 40, 25)
    assert found.passing("space")["feature"].to_list() == [0, 2]
    assert found.only_in_space() == [0, 2]
    assert found.sentence().endswith("space: 3 of 3 features tested, 2 pass")


def test_what_it_refuses() -> None:
    coordinates = in_space([hairpin()])
    activations = active(coordinates, np.ones((8, 1)))
    with pytest.raises(ValueError, match=r"unit 'raw'; pass activations.relative_to\(maxima\)"):
        raw = type(activations).from_dense(np.ones((8, 1)), coordinates.proteins)
        spatial_test(raw, coordinates)
    other = ResidueCoordinates.of(Proteins.from_sequences({"Q": "MK"}), {})
    with pytest.raises(ValueError, match="make both of the same proteins"):
        spatial_test(activations, other)
    with pytest.raises(ValueError, match="features are numbered 0 to 0; got 3 to 3"):
        spatial_test(activations, coordinates, features=np.array([3]))
