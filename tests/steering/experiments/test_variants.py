"""Variants: every figure against its plain definition, sequence by sequence."""

import math
import re
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import torch
from scipy.stats import false_discovery_control, rankdata, spearmanr
from sklearn.metrics import roc_auc_score

from interplm_nb.plm import mlstm
from interplm_nb.plm.protocol import PLM
from interplm_nb.proteins import Proteins
from interplm_nb.readers.variants import (
    AMINO_ACIDS,
    Mutation,
    Variant,
    VariantScan,
    mutated,
    parse_variant,
)
from interplm_nb.steering.experiments.variants.energy import design_energy
from interplm_nb.steering.experiments.variants.feature_changes import (
    changes_in_proteins,
    feature_changes,
)
from interplm_nb.steering.experiments.variants.letters import (
    blosum62,
    hydropathy_change,
    position_means,
)
from interplm_nb.steering.experiments.variants.likelihood import log_likelihood_ratios
from interplm_nb.steering.experiments.variants.one_mutation import SETS, lost_and_gained
from interplm_nb.steering.experiments.variants.resampling import (
    auroc,
    draws_of_positions,
    partial_correlation,
)
from interplm_nb.steering.experiments.variants.scan import scan_variants
from interplm_nb.steering.experiments.variants.separating import halves, separating_features
from interplm_nb.steering.experiments.variants.settings import VariantsSettings
from interplm_nb.steering.experiments.variants.variant_rows import AT_ONCE
from interplm_nb.steering.steered_layer import SteeredLayer
from tests.plm.tiny_unirep import tiny
from tests.steering.test_intervene import esm2, layer_with_sae

WILD = "MKVLAAGHWTCKLAEDKAVW"
LEAST = 0.2


def drawn_variants(n: int, wild_type: str = WILD, seed: int = 0) -> list[Variant]:
    """Single and multiple mutants, the first and the last residue among them."""
    rng = np.random.default_rng(seed)
    found: dict[Variant, None] = {
        (Mutation(wild_type[0], 1, "A"),): None,
        (Mutation(wild_type[-1], len(wild_type), "G"),): None,
    }
    while len(found) < n:
        many = rng.choice([1, 1, 1, 2, 3])
        positions = sorted(rng.choice(len(wild_type), many, replace=False) + 1)
        letters = [rng.choice([a for a in AMINO_ACIDS if a != wild_type[p - 1]]) for p in positions]
        found[
            tuple(
                Mutation(wild_type[p - 1], int(p), str(a))
                for p, a in zip(positions, letters, strict=True)
            )
        ] = None
    return list(found)


def log_p(plm: PLM, sequence: str) -> torch.Tensor:
    """float64 [T, n_classes], of a whole pass."""
    return torch.log_softmax(plm.forward(plm.tokens([sequence]), logits=True).logits[0].double(), 1)


def log_likelihood(plm: PLM, sequence: str) -> float:
    """Of a next-residue model, one residue after another."""
    target = plm.classes(plm.tokens([sequence]))[0]
    p = log_p(plm, sequence)
    return sum(float(p[t, target[t + 1]]) for t in range(len(target) - 1))


def states(at: SteeredLayer, sequence: str) -> torch.Tensor:
    """[L, width], of a whole pass."""
    h = at.plm.forward(at.plm.tokens([sequence]), [at.layer]).representations[at.layer][0]
    return h[at.plm.first_residue :][: len(sequence)]


def encoded(at: SteeredLayer, sequence: str) -> np.ndarray:
    """float64 [L, d_sae], in units of the maximum."""
    f = at.sae.encode(states(at, sequence)).detach().double().numpy()
    return np.where(at.maxima > 0, f / np.where(at.maxima > 0, at.maxima, 1), 0)


@pytest.fixture(params=["unirep", "esm2"])
def at(request: pytest.FixtureRequest) -> SteeredLayer:
    plm = tiny() if request.param == "unirep" else esm2()
    steered = layer_with_sae(plm)
    steered.maxima[3] = 0  # a dead feature
    return steered


@torch.no_grad()
def test_shared_prefixes_give_the_ratio_of_two_whole_passes() -> None:
    plm = tiny()
    variants = drawn_variants(150)
    found = log_likelihood_ratios(plm, WILD, variants)
    wild = log_likelihood(plm, WILD)
    wanted = [log_likelihood(plm, mutated(WILD, variant)) - wild for variant in variants]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.ptp(wanted) > 1


def test_a_variant_runs_from_its_first_changed_residue_on(monkeypatch) -> None:
    read = []
    original = mlstm.Product.__call__
    monkeypatch.setattr(
        mlstm.Product, "__call__", lambda self, x: (read.append(len(x)), original(self, x))[1]
    )
    variants = drawn_variants(150)
    log_likelihood_ratios(tiny(n_layers=1), WILD, variants)
    wild_type_twice = 2 * (len(WILD) + 1)  # logits, then states to resume from; a start token each
    first = sorted(variant[0].position for variant in variants)
    batches = [first[i : i + AT_ONCE] for i in range(0, len(first), AT_ONCE)]
    steps = sum(len(batch) * (len(WILD) + 1 - batch[0]) for batch in batches)
    assert sum(read) == wild_type_twice + steps < len(variants) * len(WILD)


class WithoutResuming:
    """A next-residue model that is not recurrent, as decoders are."""

    recurrent = False

    def __init__(self, plm) -> None:
        self._plm = plm

    def __getattr__(self, name: str):
        return getattr(self._plm, name)


def test_a_decoder_that_does_not_resume_gives_the_same_ratios() -> None:
    variants = drawn_variants(20)
    resumed = log_likelihood_ratios(tiny(), WILD, variants)
    whole = log_likelihood_ratios(WithoutResuming(tiny()), WILD, variants)
    np.testing.assert_allclose(whole, resumed, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("method", ["masked marginals", "wild-type marginals"])
def test_marginals_are_those_of_one_masked_sequence_at_a_time(method) -> None:
    plm = esm2()
    variants = drawn_variants(40)
    found = log_likelihood_ratios(plm, WILD, variants, method)
    wanted = []
    for variant in variants:
        letters = list(WILD)
        for m in variant:
            letters[m.position - 1] = "<mask>"
        p = log_p(plm, "".join(letters) if method == "masked marginals" else WILD)
        ids = {a: int(plm.tokens([a])[0, 1]) for a in AMINO_ACIDS}
        wanted.append(
            sum(float(p[m.position, ids[m.after]] - p[m.position, ids[m.before]]) for m in variant)
        )
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.ptp(wanted) > 0.1


@torch.no_grad()
def test_changes_of_features_are_those_of_two_whole_passes(at: SteeredLayer) -> None:
    variants = drawn_variants(140)
    wild = encoded(at, WILD)
    seen = []
    for index, changes in feature_changes(at, WILD, variants):
        for place, i in enumerate(index):
            difference = encoded(at, mutated(WILD, variants[i])) - wild
            site = np.zeros(len(WILD), bool)
            site[[m.position - 1 for m in variants[i]]] = True
            for k, rows in enumerate((site, ~site)):
                lost = np.maximum(-difference[rows], 0).max(axis=0)
                gained = np.maximum(difference[rows], 0).max(axis=0)
                np.testing.assert_allclose(changes.lost[place, k], lost, atol=1e-4)
                np.testing.assert_allclose(changes.gained[place, k], gained, atol=1e-4)
            np.testing.assert_allclose(changes.summed[place], difference.sum(axis=0), atol=1e-3)
            assert math.isclose(changes.absolute[place], np.abs(difference).sum(), rel_tol=1e-3)
        seen += index.tolist()
        either = np.maximum(changes.lost, changes.gained) >= LEAST
        assert np.array_equal(changes.n_changed(LEAST), either.sum(axis=2))
        whole = changes.anywhere()
        assert np.array_equal(whole.n_changed(LEAST)[:, 0], either.any(axis=1).sum(axis=1))
    assert sorted(seen) == list(range(140))


def test_changes_in_different_proteins_are_those_in_each_alone(at: SteeredLayer) -> None:
    pairs = [
        (sequence, variant)
        for sequence in (WILD, WILD[5:], "MAAKAAG")
        for variant in drawn_variants(12, sequence)
    ]
    together = changes_in_proteins(at, pairs)
    for i, (sequence, variant) in enumerate(pairs):
        ((_, alone),) = feature_changes(at, sequence, [variant])
        for name in ("lost", "gained", "summed"):
            np.testing.assert_allclose(
                getattr(together, name)[i], getattr(alone, name)[0], atol=1e-3
            )


def test_dead_features_never_change(at: SteeredLayer) -> None:
    for _, changes in feature_changes(at, WILD, drawn_variants(30)):
        assert not changes.lost[..., 3].any() and not changes.gained[..., 3].any()


def p_by_hand(own: float, null: list[float]) -> float:
    return (1 + sum(x > own - 1e-4 * own for x in null)) / (1 + len(null))


@torch.no_grad()
def test_lost_and_gained_features_and_their_nulls_by_hand(at: SteeredLayer) -> None:
    settings = VariantsSettings.model_validate({"least": LEAST, "other_sites": 20})
    found = lost_and_gained(at, WILD, "A6W", settings)
    wild = encoded(at, WILD)

    def effect(sequence: str, site: int) -> np.ndarray:
        """[kind, place, d_sae]"""
        difference = encoded(at, sequence) - wild
        rows = np.arange(len(WILD)) == site - 1
        return np.array(
            [[sign * difference[r] for r in (rows, ~rows)] for sign in (-1, 1)], dtype=object
        )

    def strongest(sequence: str, site: int, kind: int, place: int, feature: int) -> float:
        return max(0.0, effect(sequence, site)[kind, place][:, feature].max())

    at_site = [WILD[:5] + a + WILD[6:] for a in AMINO_ACIDS if a not in "AW"]
    elsewhere = [p for p, a in enumerate(WILD, 1) if a == "A" and p != 6]
    mutant = WILD[:5] + "W" + WILD[6:]
    listed = set()
    for feature, place, kind, change, position, p_site, p_same in found.features.iter_rows():
        k, w = ["lost", "gained"].index(kind), ["at the site", "elsewhere"].index(place)
        listed.add((feature, w, k))
        assert change >= LEAST
        assert math.isclose(change, strongest(mutant, 6, k, w, feature), abs_tol=1e-4)
        difference = (1 if k else -1) * (encoded(at, mutant) - wild)[position - 1, feature]
        assert math.isclose(change, difference, abs_tol=1e-4) and (position == 6) == (w == 0)
        null = [strongest(s, 6, k, w, feature) for s in at_site]
        assert p_site == p_by_hand(change, null)
        null = [strongest(WILD[: p - 1] + "W" + WILD[p:], p, k, w, feature) for p in elsewhere]
        assert p_same == p_by_hand(change, null)
    wanted = {
        (f, w, k)
        for f in range(12)
        for w in range(2)
        for k in range(2)
        if at.maxima[f] > 0 and strongest(mutant, 6, k, w, f) >= LEAST
    }
    assert listed == wanted and len(listed) > 3
    assert found.counts["n"].to_list() == [1, 1, 18, 18, len(elsewhere), len(elsewhere)]
    own = found.counts.filter(pl.col("mutations") == SETS[0])
    assert own["lost"].sum() == (found.features["kind"] == "lost").sum()
    assert own["p"].null_count() == 2


def test_a_left_to_right_model_changes_nothing_before_the_site_and_says_so() -> None:
    at = layer_with_sae(tiny())
    found = lost_and_gained(at, WILD, "A6W", VariantsSettings.model_validate({"least": 0.01}))
    assert found.features["position"].min() == 6
    assert found.sentence.endswith(
        "tiny reads from left to right: nothing before the residue can change."
    )
    both = lost_and_gained(layer_with_sae(esm2()), WILD, "A6W")
    assert "left to right" not in both.sentence and both.features["position"].min() < 6
    assert "the 18 other substitutions at the site change" in both.sentence
    assert "on average, the same substitution at 3 other sites " in both.sentence


def test_few_sites_of_the_letter_are_joined_by_those_of_other_proteins(at: SteeredLayer) -> None:
    settings = VariantsSettings.model_validate({"least": LEAST, "other_sites": 6})
    others = Proteins.from_sequences({"same": WILD, "P1": "MHHKHAH", "P2": "MKLH"})
    alone = lost_and_gained(at, WILD, "H8W", settings)  # the only one of its letter
    assert alone.counts["n"].to_list() == [1, 1, 18, 18, 0, 0]
    assert alone.features["p_same"].null_count() == alone.features.height
    assert "no other site has its letter" in alone.sentence
    joined = lost_and_gained(at, WILD, "H8W", settings, others)
    assert joined.counts["n"].to_list() == [1, 1, 18, 18, 5, 5]
    assert joined.features["p_same"].null_count() == 0
    own = lost_and_gained(at, WILD, "H8W", settings)
    assert own.features.drop("p_same").equals(joined.features.drop("p_same"))


@pytest.mark.parametrize(
    ("mutation", "why"),
    [
        ("K2A,L4V", "one mutation is needed, such as A24C; got 'K2A,L4V'"),
        ("A2C", "the wild type has K at 2"),
        ("", "one mutation is needed"),
    ],
)
def test_other_than_one_fitting_mutation_is_refused(at, mutation: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        lost_and_gained(at, WILD, mutation)


@torch.no_grad()
def test_the_energy_is_minus_the_weighted_largest_values(at: SteeredLayer) -> None:
    sequences = [WILD, WILD[:7], "MAAAA"]
    found = design_energy(at, sequences, {1: 3.0, 5: -1.0})
    wanted = [
        -0.75 * f[:, 1].max() + 0.25 * f[:, 5].max() for f in (encoded(at, s) for s in sequences)
    ]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    np.testing.assert_allclose(design_energy(at, sequences, {1: 0.3, 5: -0.1}), found, atol=1e-12)


@pytest.mark.parametrize(
    ("weights", "sequences", "why"),
    [
        ({1: 0.0}, [WILD], "the weights of an energy must be finite and not all 0; got {1: 0.0}"),
        ({}, [WILD], "got {}: give at least one feature a weight"),
        ({1: math.nan}, [WILD], "must be finite"),
        ({3: 1.0}, [WILD], "feature 3 is dead"),
        ({12: 1.0}, [WILD], "no feature 12; its features are 0 to 11"),
        ({1: 1.0}, [], "at least one sequence"),
    ],
)
def test_energies_without_a_meaning_are_refused(at, weights, sequences, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        design_energy(at, sequences, weights)


def test_what_letters_say() -> None:
    variants = [parse_variant(text, WILD) for text in ("K2R", "K2R,W9D")]
    assert blosum62(variants).tolist() == [2, 2 - 4]
    assert hydropathy_change(variants).round(6).tolist() == [0.6, 3.2]
    assert blosum62([(Mutation("U", 1, "A"),)]).tolist() == [0]  # X


def test_position_means_leave_the_variant_itself_out() -> None:
    variants = drawn_variants(60)
    scores = np.random.default_rng(1).normal(size=60)
    wanted = []
    for i, variant in enumerate(variants):
        means = []
        for m in variant:
            others = [
                scores[j]
                for j, v in enumerate(variants)
                if j != i and m.position in [x.position for x in v]
            ]
            means.append(np.mean(others) if others else np.delete(scores, i).mean())
        wanted.append(np.mean(means))
    np.testing.assert_allclose(position_means(variants, scores), wanted)


def test_auroc_under_weights_is_that_of_repeated_examples() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 6, 40).astype(float)  # with ties
    positive = rng.random(40) < 0.4
    weights = rng.integers(0, 4, (20, 40))
    found = auroc(values, positive, weights)
    wanted = [roc_auc_score(np.repeat(positive, w), np.repeat(values, w)) for w in weights]
    np.testing.assert_allclose(found, wanted)
    assert auroc(values, np.zeros(40, bool), weights).tolist() == [0.5] * 20


def test_partial_correlations_are_those_of_residuals() -> None:
    rng = np.random.default_rng(2)
    given = rng.normal(size=(80, 3))
    given[:, 1] = 5  # constant
    x, y = given[:, 0] + rng.normal(size=80), given[:, 0] - given[:, 2] + rng.normal(size=80)
    weights = rng.integers(0, 3, (5, 80))

    def residuals(values: np.ndarray, w: np.ndarray) -> np.ndarray:
        design = np.column_stack([np.ones(80), rankdata(given[:, [0, 2]], axis=0)])
        root = np.sqrt(w)
        fit = np.linalg.lstsq(design * root[:, None], rankdata(values) * root, rcond=None)[0]
        return np.repeat(rankdata(values) - design @ fit, w)

    wanted = [np.corrcoef(residuals(x, w), residuals(y, w))[0, 1] for w in weights]
    np.testing.assert_allclose(partial_correlation(x, y, given, weights), wanted)
    assert partial_correlation(given[:, 0], y, given, weights).tolist() == [0] * 5


def test_variants_of_a_position_are_drawn_together() -> None:
    variants = [parse_variant(text, WILD) for text in ("K2R", "V3A", "K2A", "V3L")]
    weights = draws_of_positions(variants, 50, seed=0)
    assert np.array_equal(weights[:, 0], weights[:, 2])
    assert np.array_equal(weights[:, 1], weights[:, 3])
    assert (weights[:, :2].sum(axis=1) == 2).all()


def scored(n: int, seed: int = 0) -> list[Variant]:
    """Single mutants of a long protein, some at each position."""
    rng = np.random.default_rng(seed)
    wild_type = "".join(rng.choice(list(AMINO_ACIDS), 120))
    found = [
        (Mutation(w, i, a),) for i, w in enumerate(wild_type, 1) for a in AMINO_ACIDS if a != w
    ]
    return [found[i] for i in sorted(rng.choice(len(found), n, replace=False))]


def test_a_planted_feature_separates_on_both_halves_and_noise_does_not() -> None:
    variants = scored(600)
    rng = np.random.default_rng(0)
    tolerated = rng.random(600) < 0.5
    values = rng.normal(size=(600, 30)).astype(np.float32)
    values[:, 7] += tolerated
    values[:, 8] -= tolerated
    noise = rng.normal(size=(600, 30)).astype(np.float32)
    noise[:, 2] = 0  # never changes: not tested
    found = separating_features(variants, tolerated, {"a": values, "b": noise}, 30, 1000, 0)
    held = found.filter(pl.col("q_value") <= 0.05)
    assert set(held.filter(source="a")["feature"]) == {7, 8} and held.filter(source="b").is_empty()
    assert 2 not in found.filter(source="b")["feature"]
    tests = halves(variants, 0).tests
    row = found.filter(source="a", feature=8).row(0, named=True)
    assert row["auroc_chosen"] < 0.5
    assert math.isclose(row["auroc"], roc_auc_score(tolerated[tests], values[tests, 8]))
    assert row["auroc_low"] < row["auroc"] < row["auroc_high"] < 0.5
    a = found.filter(source="a")
    np.testing.assert_allclose(a["q_value"], false_discovery_control(a["p_value"].to_numpy()))
    chosen = np.abs(a["auroc_chosen"].to_numpy() - 0.5)
    assert all(x >= y for x, y in pairwise(chosen))


def test_halves_share_no_position() -> None:
    variants = drawn_variants(150)
    chooses, tests = halves(variants, seed=1)
    first, second = ({m.position for i in half for m in variants[i]} for half in (chooses, tests))
    assert first and second and not first & second
    across = set(range(150)) - {*chooses.tolist(), *tests.tolist()}
    assert all(len(variants[i]) > 1 for i in across)


def test_one_sided_scans_have_no_separating_features() -> None:
    variants = scored(40)
    found = separating_features(variants, np.ones(40, bool), {"a": np.ones((40, 2))}, 5, 100, 0)
    assert found.is_empty() and "q_value" in found.columns


@pytest.fixture
def scan() -> VariantScan:
    variants = drawn_variants(120)
    rng = np.random.default_rng(5)
    return VariantScan("P1", WILD, variants, rng.normal(size=120) - 0.2 * np.arange(120) / 120)


SETTINGS = VariantsSettings.model_validate({"least": LEAST, "resamples": 100, "chosen": 4})


@torch.no_grad()
def test_a_scan_correlates_what_its_parts_give(at: SteeredLayer, scan: VariantScan) -> None:
    control = layer_with_sae(at.plm, seed=1)
    result = scan_variants(at, scan, SETTINGS, {"random SAE": control}, progress=False)
    ratios = log_likelihood_ratios(at.plm, WILD, scan.variants)
    table = result.variants
    np.testing.assert_allclose(table["model: log_likelihood_ratio"], ratios, atol=1e-5)
    assert table["variant"][0] == str(scan.variants[0][0]) and table.height == 120
    counts = np.zeros((120, 2))
    for index, changes in feature_changes(control, WILD, scan.variants):
        counts[index] = changes.n_changed(LEAST)
    assert table["random SAE: features_changed_elsewhere"].to_list() == counts[:, 1].tolist()
    moved = [
        np.linalg.norm(states(at, mutated(WILD, v)) - states(at, WILD), axis=1).sum()
        for v in scan.variants
    ]
    np.testing.assert_allclose(table["model: distance_of_states"], moved, rtol=1e-4)
    single = np.array([len(v) == 1 for v in scan.variants])
    for group, source, score, rho, low, high in result.correlations.select(
        "variants", "source", "score", "rho", "low", "high"
    ).iter_rows():
        kept = {"all": single | True, "single mutants": single, "multiple mutants": ~single}[group]
        x = table[f"{source}: {score}"].to_numpy()[kept]
        wanted = spearmanr(x, scan.scores[kept]).statistic if np.ptp(x) else 0.0
        assert math.isclose(rho, wanted, abs_tol=1e-9) and low <= high
    positions = result.correlations.filter(pl.col("low_positions").is_not_null())
    assert set(positions["variants"]) == {"single mutants"}
    letters = [table[name].to_numpy() for name in table.columns if name.startswith("letters")]
    row = result.correlations.filter(variants="all", source="SAE", score="features_lost")
    wanted = partial_correlation(
        table["SAE: features_lost"].to_numpy(),
        scan.scores,
        np.column_stack(letters),
        np.ones((1, 120), int),
    )
    assert math.isclose(row["beyond_letters"].item(), wanted[0]) and len(letters) == 4
    told = result.correlations.filter(pl.col("beyond_letters").is_null())
    assert set(told["source"]) == {"letters", "other scores"}
    assert set(result.tables()) == {"correlations", "robustness", "separating", "variants"}
    assert result.sentence.startswith(f"P1, 120 variants, {at.plm.name}: rank correlation with")
    assert "random SAE" in result.sentence and "blosum62 of letters" in result.sentence


def test_robustness_compares_single_mutants_above_and_below_the_wild_type(scan) -> None:
    at = layer_with_sae(esm2())
    result = scan_variants(at, scan, SETTINGS, progress=False)
    single = np.array([len(v) == 1 for v in scan.variants])
    up = scan.scores > 0
    row = result.robustness.filter(source="SAE", measure="features_changed").row(0, named=True)
    x = result.variants["SAE: features_changed"].to_numpy()
    assert row["stabilising"] == x[single & up].mean()
    assert row["destabilising"] == x[single & ~up].mean()
    assert row["n_stabilising"] == (single & up).sum()
    assert row["low"] <= row["difference"] <= row["high"]
    highest = np.sort(scan.scores[single])[-3]  # two single mutants above: too few
    few = scan_variants(
        at, scan, SETTINGS.model_copy(update={"wild_type_score": highest}), progress=False
    )
    row = few.robustness.filter(source="letters", measure="n_mutations").row(0, named=True)
    assert row["n_stabilising"] + row["n_destabilising"] == 120 and row["difference"] != 0
    above = SETTINGS.model_copy(update={"wild_type_score": 100.0})
    assert scan_variants(at, scan, above, progress=False).robustness.is_empty()


def test_a_scan_is_drawn_by_seed(scan: VariantScan) -> None:
    at = layer_with_sae(tiny())
    few = SETTINGS.model_copy(update={"n": 30})
    result = scan_variants(at, scan, few, progress=False)
    wanted = [" ".join(map(str, v)) for v in scan.drawn(30, 0).variants]
    assert result.variants["variant"].to_list() == wanted and result.n == 30
    again = scan_variants(at, scan, few, progress=False)
    assert result.correlations.equals(again.correlations)


def test_scans_that_cannot_be_read_are_refused(scan: VariantScan) -> None:
    at = layer_with_sae(esm2())
    with pytest.raises(ValueError, match="P1 has 3 variants; a correlation needs 4 or more"):
        scan_variants(at, VariantScan("P1", WILD, scan.variants[:3], scan.scores[:3]))
    with pytest.raises(ValueError, match=r"control 'other' is of layer 1 of toy, not of layer 2"):
        scan_variants(at, scan, SETTINGS, {"other": layer_with_sae(esm2(), layer=1)})
    with pytest.raises(ValueError, match=r"1 variants, 1 of them without a mutation"):
        log_likelihood_ratios(at.plm, WILD, [()])
