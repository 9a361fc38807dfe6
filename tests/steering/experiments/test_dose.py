"""The dose-response experiment: every figure against the model run by hand, one protein and one
row at a time."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.proteins import Proteins
from interplm_nb.steering.controls import matched_features
from interplm_nb.steering.experiments.dose.dose_response import (
    FEATURES,
    DoseResult,
    Split,
    dose_response,
)
from interplm_nb.steering.experiments.dose.measure import doses
from interplm_nb.steering.experiments.dose.settings import DoseSettings
from interplm_nb.steering.experiments.dose.sites import (
    check_targets,
    drawn_sites,
    most_telling,
    peaks,
    random_alive,
    target_letters,
)
from interplm_nb.steering.experiments.dose.summary import (
    BY_PROTEIN,
    DOSES,
    LOCALITY,
    spread,
)
from interplm_nb.steering.intervene import Change, Intervention
from interplm_nb.steering.steered_layer import SteeredLayer
from tests.plm.tiny_unirep import tiny
from tests.steering.test_intervene import esm2, layer_with_sae

SETTINGS = DoseSettings(
    strengths=(0.5, 2.0),
    n_proteins=6,
    longest=40,
    reach=2,
    furthest=4,
    n_controls=6,
    n_directions=3,
    n_shown=2,
    n_resamples=100,
)
MODELS = [(esm2, 2, (0, 1)), (lambda: tiny(n_layers=1), 1, (1, 10))]
"""A model, a layer of it, and seeds of two random SAEs whose features 3 and 6 fire."""


def scene(at: SteeredLayer, n: int = 60) -> tuple[FeatureActivations, Split]:
    """Proteins of 20 random letters, with the SAE's own activations on them."""
    rng = np.random.default_rng(0)
    letters = rng.choice(list(AMINO_ACIDS), (n, 20))
    proteins = Proteins.from_sequences({f"P{i:02}": "".join(row) for i, row in enumerate(letters)})
    values = []
    with torch.no_grad():
        for sequence in proteins.sequences:
            tokens = at.plm.tokens([sequence])
            h = at.plm.forward(tokens, [at.layer]).representations[at.layer][0]
            own = slice(at.plm.first_residue, at.plm.first_residue + 20)
            values.append(at.sae.encode(h[own]).numpy())
    activations = FeatureActivations.from_dense(np.concatenate(values), proteins)
    names = proteins.accessions
    clusters = {name: i // 2 for i, name in enumerate(names)}
    return activations, Split(names[: n // 2], names[n // 2 :], clusters)


@pytest.fixture(scope="module", params=MODELS, ids=["masked", "next residue"])
def done(request) -> tuple[SteeredLayer, FeatureActivations, Split, DoseResult]:
    make, layer, seeds = request.param
    plm = make()
    at, other = (layer_with_sae(plm, layer, seed=seed) for seed in seeds)
    activations, split = scene(at)
    found = dose_response(at, activations, split, {3: "Helix", 6: ""}, SETTINGS, second=other)
    return at, activations, split, found


def run_by_hand(at: SteeredLayer, change: Change | None, sequence: str) -> np.ndarray:
    """log P [L, 20] of one sequence in one full pass."""
    plm = at.plm
    edits = {}
    if change is not None:
        one = Intervention(at, [change])
        edits = (
            {"step_edits": {at.layer: one.step_edit([len(sequence)])}}
            if plm.recurrent
            else {"edit": {at.layer: one.edit([len(sequence)])}}
        )
    with torch.no_grad():
        logits = plm.forward(plm.tokens([sequence]), logits=True, **edits).logits[0]
    first = plm.first_residue
    kinds = plm.classes(plm.tokens([AMINO_ACIDS]))[0, first : first + 20]
    return torch.log_softmax(logits[first:, kinds].double(), -1).numpy()


def log_odds(log_p: np.ndarray, letters: str) -> np.ndarray:
    p = np.exp(log_p)
    own = p[:, [AMINO_ACIDS.index(a) for a in letters]].sum(axis=1)
    return np.log(own / (1 - own))


def by_hand(at, sequence: str, position: int, change: Change, letters: str) -> dict[int, float]:
    """Change of the target's log odds by distance, whole sequence."""
    before, after = (log_odds(run_by_hand(at, c, sequence), letters) for c in (None, change))
    ahead = int(at.plm.recurrent)
    first = 1 if ahead else -4
    return {
        d: after[position - 1 + d - ahead] - before[position - 1 + d - ahead]
        for d in range(first, 5)
        if 0 <= position - 1 + d - ahead < len(sequence)
    }


def own_value(at: SteeredLayer, sequence: str, position: int, feature: int) -> float:
    with torch.no_grad():
        tokens = at.plm.tokens([sequence])
        h = at.plm.forward(tokens, [at.layer]).representations[at.layer]
        return float(at.sae.encode(h[0, at.plm.first_residue + position - 1])[feature])


def test_effects_are_those_of_full_passes(done) -> None:
    at, activations, _, found = done
    letters = dict(found.features.select("feature", "letters").iter_rows())
    assert found.by_protein.height == 12
    for row in found.by_protein.iter_rows(named=True):
        sequence = activations.proteins.sequence(row["accession"])
        feature, position = row["feature"], row["position"]
        change = Change(feature, "clamp", 2.0, (position,))
        along = by_hand(at, sequence, position, change, letters[feature])
        near = [value for d, value in along.items() if abs(d) <= 2]
        assert row["effect"] == pytest.approx(np.mean(near), abs=1e-5)


def test_controls_take_a_step_of_the_same_length(done) -> None:
    at, activations, _, found = done
    letters = dict(found.features.select("feature", "letters").iter_rows())
    length = at.maxima * at.sae.W_dec.detach().norm(dim=1).numpy()
    for row in found.by_protein.filter(pl.col("feature") == 3).head(2).iter_rows(named=True):
        sequence = activations.proteins.sequence(row["accession"])
        position = row["position"]
        f = own_value(at, sequence, position, 3)
        step = 2.0 - f / float(at.maxima[3])
        effects = []
        for control in matched_features(at, 3, 6):
            change = Change(control, "add", step * length[3] / length[control], (position,))
            along = by_hand(at, sequence, position, change, letters[3])
            effects.append(np.mean([value for d, value in along.items() if abs(d) <= 2]))
        assert row["matched_effect"] == pytest.approx(np.mean(effects), abs=1e-4)


def test_tables_have_their_columns_and_every_claim_its_controls(done) -> None:
    *_, found = done
    for table, schema in (
        (found.features, FEATURES),
        (found.doses, DOSES),
        (found.locality, LOCALITY),
        (found.by_protein, BY_PROTEIN),
    ):
        assert dict(table.schema) == schema
    counts = found.doses.filter(pl.col("feature") == 3).select("kind", "strength", "n_changes")
    assert sorted(counts.rows()) == [
        ("atom alone", 0.5, 1),
        ("atom alone", 2.0, 1),
        ("feature", 0.5, 1),
        ("feature", 2.0, 1),
        ("matched feature", 0.5, 2),
        ("matched feature", 2.0, 6),
        ("random direction", 0.5, 2),
        ("random direction", 2.0, 3),
    ]
    steps = found.doses.filter(pl.col("kind") != "atom alone").group_by("feature", "strength")
    spreads = steps.agg(pl.col("step").max() - pl.col("step").min())["step"]
    assert spreads.max() < 1e-6
    assert set(found.tables()) == {"features", "doses", "locality", "by_protein", "left_out"}


def test_kl_is_the_plain_sum_and_splits_into_target_and_rest(done) -> None:
    at, activations, _, found = done
    letters = dict(found.features.select("feature", "letters").iter_rows())
    target = [AMINO_ACIDS.index(a) for a in letters[6]]
    ahead, totals, parts, far, changes = int(at.plm.recurrent), [], [], [], []
    for row in found.by_protein.filter(pl.col("feature") == 6).iter_rows(named=True):
        sequence, position = activations.proteins.sequence(row["accession"]), row["position"]
        change = Change(6, "clamp", 2.0, (position,))
        before, after = (np.exp(run_by_hand(at, c, sequence)) for c in (None, change))
        own: dict[bool, list] = {True: [], False: []}
        split, moved = [], []
        for d in range(1 if ahead else -4, 5):
            i = position - 1 + d - ahead
            if not 0 <= i < len(sequence):
                continue
            p, q = before[i], after[i]
            own[abs(d) <= 2].append(float((p * np.log(p / q)).sum()))
            if abs(d) <= 2:
                a, b = p[target].sum(), q[target].sum()
                split.append(a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b)))
                moved.append(b - a)
        totals.append(np.mean(own[True]))
        parts.append(np.mean(split))
        changes.append(np.mean(moved))
        far.append(np.mean(own[False]))
        assert 0 <= parts[-1] <= totals[-1] + 1e-9
    row = found.doses.filter(
        pl.col("feature") == 6, pl.col("kind") == "feature", pl.col("strength") == 2.0
    ).row(0, named=True)
    assert row["kl"] == pytest.approx(np.mean(totals), abs=1e-5)
    assert row["kl_of_target"] == pytest.approx(np.mean(parts), abs=1e-5)
    assert row["kl_far"] == pytest.approx(np.nanmean(far), abs=1e-5)
    assert row["probability"] == pytest.approx(np.mean(changes), abs=1e-5)
    features = found.features.filter(pl.col("feature") == 6).row(0, named=True)
    assert features["on_target"] == pytest.approx(np.sum(parts) / np.sum(totals), abs=1e-5)


def test_locality_is_the_mean_at_each_distance(done) -> None:
    at, activations, _, found = done
    letters = dict(found.features.select("feature", "letters").iter_rows())
    along: dict[int, list[float]] = {}
    for row in found.by_protein.filter(pl.col("feature") == 3).iter_rows(named=True):
        sequence, position = activations.proteins.sequence(row["accession"]), row["position"]
        change = Change(3, "clamp", 2.0, (position,))
        for d, value in by_hand(at, sequence, position, change, letters[3]).items():
            along.setdefault(d, []).append(value)
    own = found.locality.filter(pl.col("feature") == 3, pl.col("kind") == "feature")
    for distance, n, effect in own.select("distance", "n_proteins", "effect").iter_rows():
        assert n == len(along.get(distance, []))
        if n:
            assert effect == pytest.approx(np.mean(along[distance]), abs=1e-5)


def test_p_counts_controls_and_q_is_benjamini_hochberg(done) -> None:
    *_, found = done
    table = found.features.sort("p")
    p = table["p"].to_list()
    assert all(round(value * 7) == pytest.approx(value * 7) for value in p)  # (1 + c) / (1 + 6)
    assert table["q"].to_list() == pytest.approx([min(2 * p[0], p[1]), p[1]])
    for row in table.iter_rows(named=True):
        assert row["beyond"] == pytest.approx(row["effect"] - row["matched_effect"])
        holds = (
            row["q"] <= 0.05
            and row["match_p"] <= 0.05
            and row["match_by_chance"] <= 0.05
            and row["effect"] * row["match_effect"] > 0
        )
        assert row["holds"] is holds
    assert "with 6 controls p is at least 0.143" in found.sentence


def test_a_dictionary_repeats_itself() -> None:
    at = layer_with_sae(tiny(n_layers=1), 1, seed=1)
    activations, split = scene(at)
    found = dose_response(at, activations, split, {3: "x"}, SETTINGS, second=at)
    row = found.features.row(0, named=True)
    assert row["match"] == 3 and row["similarity"] == pytest.approx(1)
    assert row["match_effect"] == pytest.approx(row["effect"], abs=1e-6)
    assert row["match_p"] == row["p"]


def test_all_residues_are_changed_on_request() -> None:
    at = layer_with_sae(esm2())
    activations, split = scene(at)
    settings = SETTINGS.model_copy(update={"edited": "all"})
    found = dose_response(at, activations, split, {3: "x"}, settings)
    letters = found.features["letters"][0]
    for row in found.by_protein.iter_rows(named=True):
        sequence = activations.proteins.sequence(row["accession"])
        along = by_hand(at, sequence, row["position"], Change(3, "clamp", 2.0), letters)
        near = [value for d, value in along.items() if abs(d) <= 2]
        assert row["effect"] == pytest.approx(np.mean(near), abs=1e-5)
        assert row["step"] is None


def test_maxima_are_found_by_protein() -> None:
    proteins = Proteins.from_sequences({"A": "MKVL", "B": "MKV", "C": "MK"})
    values = np.array([0, 0.3, 0.9, 0.9, 0, 0, 0, 0.2, 0.1])[:, None]
    activations = FeatureActivations.from_dense(values, proteins)
    assert peaks(activations, 0, ["C", "B", "A"]) == [("A", 3), ("C", 1)]
    assert peaks(activations, 0, ["A", "C"], above=0.2) == [("A", 3)]


def test_targets_are_the_letters_around_strong_maxima_on_train() -> None:
    proteins = Proteins.from_sequences(
        {"A": "AAAAWCCAAA", "B": "AAWCCAAAAA", "C": "HHHHHHHHHH", "D": "AAAAAAAAAK"}
    )
    values = np.zeros((40, 1))
    values[4] = values[12] = 1.0  # the W of A and of B
    values[25] = 0.4  # C is too weak to count
    activations = FeatureActivations.from_dense(values, proteins)
    settings = SETTINGS.model_copy(update={"n_letters": 2, "reach": 2})
    accessions = ["A", "B", "C", "D"]
    ahead = target_letters(activations, [0], accessions, settings, True)
    around = target_letters(activations, [0], accessions, settings, False)
    assert ahead == {0: "AC"}
    assert around == {0: "CW"}
    assert target_letters(activations, [0], ["D"], settings, True) == {}


def test_the_most_telling_letters_weigh_share_and_rarity() -> None:
    counts, background = np.zeros(20), np.full(20, 0.02)
    counts[[0, 1, 2]] = 50, 45, 5
    background[[0, 1]] = 0.6, 0.04
    p = counts / 100
    with np.errstate(divide="ignore", invalid="ignore"):
        tells = np.where(p > 0, p * np.log(p / background), 0)
    order = np.argsort(-tells, kind="stable")[:2]
    wanted = "".join(sorted(AMINO_ACIDS[i] for i in order))
    assert most_telling(counts, 2, background) == wanted == "CD"


@pytest.mark.parametrize("next_residue", [False, True])
def test_only_proteins_that_can_be_run_are_drawn(next_residue: bool) -> None:
    proteins = Proteins.from_sequences({"long": "M" * 60, "end": "M" * 20, "short": "M" * 20})
    values = np.zeros((100, 1))
    values[[5, 60 + 19, 80 + 5]] = 1.0
    activations = FeatureActivations.from_dense(values, proteins)
    names = proteins.accessions
    found = drawn_sites(activations, 0, names, SETTINGS, next_residue)
    wanted = ["long", "short"] if next_residue else ["end", "short"]
    assert [site.accession for site in found] == wanted


def test_a_seed_draws_the_same_proteins() -> None:
    at = layer_with_sae(esm2())
    activations, split = scene(at)
    few = SETTINGS.model_copy(update={"n_proteins": 5})
    one, again = (drawn_sites(activations, 3, split.test, few, False) for _ in range(2))
    other = few.model_copy(update={"seed": 1})
    assert one == again and len(one) == 5
    assert drawn_sites(activations, 3, split.test, other, False) != one


def test_shown_controls_are_a_part_of_the_tested_ones() -> None:
    at = layer_with_sae(esm2())
    rows = doses(at, 3, SETTINGS)
    drawn = {
        s: [r.control for r in rows if r[0] == "matched feature" and r[2] == s] for s in (0.5, 2)
    }
    assert len(drawn[0.5]) == 2 and set(drawn[0.5]) < set(drawn[2])


def test_intervals_resample_clusters() -> None:
    values = np.array([1.0, 1, 1, 1, 5, 2, 3, np.nan])
    cluster = np.array([0, 0, 0, 0, 1, 2, 3, 4])
    assert spread(values, cluster, SETTINGS).low is None  # four clusters with a value
    values[7] = 4.0
    found = spread(values, cluster, SETTINGS)
    rng = np.random.default_rng(SETTINGS.seed)
    means = []
    for counts in rng.multinomial(5, np.full(5, 1 / 5), size=100):
        weight = counts[cluster]
        means.append((weight * values).sum() / weight.sum())
    assert found.mean == pytest.approx(18 / 8)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


def test_what_cannot_be_tested_is_left_out_with_a_reason() -> None:
    at = layer_with_sae(esm2())
    activations, split = scene(at)
    fires = [site.accession for site in peaks(activations, 3, split.test)]
    short = Split(split.train, fires[:3], split.cluster_of)
    found = dose_response(at, activations, short, {3: "x"}, SETTINGS)
    assert found.features["q"].to_list() == [None]
    assert "fires on 3 test proteins that can be run, and 5 are needed" in found.left_out["why"][0]
    assert found.sentence.startswith("No feature could be tested: it fires on 3 test proteins")
    assert found.doses.is_empty()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at, a, s: dose_response(at, a, s, {}), "no feature was given"),
        (lambda at, a, s: dose_response(at, a, s, {0: ""}), "feature 0 is dead"),
        (lambda at, a, s: dose_response(at, a, s, {99: ""}), "no feature 99"),
        (
            lambda at, a, s: dose_response(at, a.relative_to(at.maxima), s, {3: ""}),
            "must be in unit 'raw', as the SAE encodes them; got 'max'",
        ),
        (
            lambda at, a, s: dose_response(at, a, s, {3: ""}, targets={3: "GB"}),
            "target of feature 3 must be different letters of ACDEFGHIKLMNPQRSTVWY; got 'GB'",
        ),
        (
            lambda at, a, s: dose_response(
                at, a, s, {3: ""}, second=layer_with_sae(at.plm, 1, seed=1)
            ),
            "the second dictionary is of layer 1 of toy, the first of layer 2 of toy",
        ),
        (lambda at, a, s: check_targets({3: AMINO_ACIDS}), "holds all amino acids"),
        (lambda at, a, s: random_alive(at, 12), "12 random features are wanted, and only 11"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(make, message: str) -> None:
    at = layer_with_sae(esm2())
    activations, split = scene(at, 12)
    maxima = at.maxima.copy()
    maxima[0] = 0
    with pytest.raises(ValueError, match=message):
        make(replace(at, maxima=maxima), activations, split)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tested": 3.0}, "the tested strength must be one of strengths; got 3"),
        ({"reach": 8, "furthest": 8}, "furthest must be above reach"),
        ({"n_proteins": 4}, "greater than or equal to 5"),
        ({"how": "scale"}, "Input should be 'clamp' or 'add'"),
    ],
)
def test_settings_are_checked(settings, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DoseSettings(**settings)
