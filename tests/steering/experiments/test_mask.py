"""The mask experiment: numbers against the model run by hand, and a model that has a period."""

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError

from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.steering.experiments.mask import (
    COLLAGEN,
    EFFECTS,
    PAPERS,
    PROBABILITIES,
    MaskSettings,
    identity_features,
    mask,
    periodic_features,
)
from interplm_nb.steering.intervene import Change, Intervention
from tests.plm.tiny_unirep import tiny
from tests.steering.test_intervene import esm2, layer_with_sae

FEW = MaskSettings(strengths=(0.0, 1.0, 2.0), n_controls=3)


def by_hand(at, changes: list[Change], sequence: str, n: int, letter: str) -> np.ndarray:
    """P(letter) among the twenty at each residue's logits, from one full pass."""
    tokens = at.plm.tokens([sequence])
    intervention = Intervention(at, changes)
    if at.plm.recurrent:
        edits = {"step_edits": {at.layer: intervention.step_edit([n])}}
    else:
        edits = {"edit": {at.layer: intervention.edit([n])}}
    with torch.no_grad():
        logits = at.plm.forward(tokens, logits=True, **edits).logits[0]
    kinds = at.plm.classes(at.plm.tokens([AMINO_ACIDS]))[0]
    kinds = kinds[at.plm.first_residue : at.plm.first_residue + 20]
    first = at.plm.first_residue
    p = torch.softmax(logits[first : first + n][:, kinds].double(), -1).numpy()
    return p[:, AMINO_ACIDS.index(letter)]


def test_masked_probabilities_are_those_of_full_passes() -> None:
    at = layer_with_sae(esm2())
    table = mask(at, [3], [5], FEW).probabilities
    assert dict(table.schema) == PROBABILITIES
    assert table.height == 2 * (1 + 3 + 3) * 3 * 7
    for strength in FEW.strengths:
        own = table.filter(
            pl.col("feature") == 3, pl.col("control").is_null(), pl.col("strength") == strength
        )
        wanted = by_hand(at, [Change(3, "clamp", strength, (2,))], PAPERS, 7, "G")
        np.testing.assert_allclose(own["G"].to_numpy(), wanted, atol=1e-6)
        assert own["position"].to_list() == list(range(1, 8))
        assert own["residue"].to_list() == [*"MGPP", "<mask>", *"PP"]
        places = ["out of phase"] * 7
        places[1], places[4] = "edited", "in phase"
        assert own["place"].to_list() == places
    kept = mask(at, [3], (), FEW.model_copy(update={"n_controls": 1})).probabilities
    plain = by_hand(at, [Change(3, "scale", 1.0)], PAPERS, 7, "G")
    np.testing.assert_allclose(kept["before"].to_numpy()[:7], plain, atol=1e-6)


def test_a_next_residue_model_is_edited_inside_and_read_one_ahead() -> None:
    at = layer_with_sae(tiny(n_layers=1), 1)
    table = mask(at, [3], (), FEW).probabilities
    own = table.filter(pl.col("control").is_null(), pl.col("strength") == 2.0)
    wanted = by_hand(at, [Change(3, "clamp", 2.0, (2,))], COLLAGEN, 16, "G")
    np.testing.assert_allclose(own["G"].to_numpy(), wanted[1:], atol=1e-6)
    assert own["position"].to_list() == list(range(3, 18))
    assert own["residue"].to_list() == [*COLLAGEN[2:], None]
    in_phase = own.filter(pl.col("place") == "in phase")["position"].to_list()
    assert in_phase == [5, 8, 11, 14, 17]


def test_effects_are_the_plain_means_beside_their_controls() -> None:
    at = layer_with_sae(esm2())
    settings = FEW.model_copy(update={"sequences": ("MGPP<mask>PP", "AGKKGKK<mask>")})
    result = mask(at, [3], [5], settings)
    assert dict(result.effects.schema) == EFFECTS
    table = result.probabilities.filter(pl.col("strength") > 0)

    def mean(place: str, **key) -> float:
        own = table.filter(
            pl.col("place") == place, *(pl.col(k).eq_missing(v) for k, v in key.items())
        )
        return float((own["G"] - own["before"]).mean())

    for row in result.effects.iter_rows(named=True):
        key = {"feature": row["feature"], "kind": row["kind"], "control": None}
        assert row["edited"] == pytest.approx(mean("edited", **key))
        assert row["in_phase"] == pytest.approx(mean("in phase", **key))
        assert row["out_of_phase"] == pytest.approx(mean("out of phase", **key))
        for kind, name in (("matched feature", "matched"), ("random", "random")):
            own = table.filter(pl.col("feature") == row["feature"], pl.col("kind") == kind)
            others = [
                mean("in phase", feature=row["feature"], kind=kind, control=control)
                for control in own["control"].unique()
            ]
            assert len(others) == 3
            assert row[f"{name}_in_phase"] == pytest.approx(np.mean(others))
            above = sum(other >= row["in_phase"] for other in others)
            assert row[f"p_{name}"] == (1 + above) / 4
    assert "seen" in " ".join(table["place"].unique())  # the glycine at 5 of the second sequence
    assert "1 periodic feature changes P(G) in phase by" in result.sentence
    assert "with 1 identity feature." in result.sentence


def test_matched_features_are_none_of_those_asked_about() -> None:
    at = layer_with_sae(esm2())
    settings = FEW.model_copy(update={"n_controls": 9})
    table = mask(at, [3, 4], [5], settings).probabilities
    drawn = table.filter(pl.col("kind") == "matched feature")["control"].unique()
    assert sorted(drawn) == [0, 1, 2, 6, 7, 8, 9, 10, 11]


def test_features_are_found_by_rule() -> None:
    statistics = pl.DataFrame(
        {
            "feature": [0, 1, 2, 3, 4],
            "period": [3, 3, 3, 4, 3],
            "period_strength": [0.3, 0.5, 0.9, 0.9, 0.1],
            "top_amino_acid": ["G", "G", "P", "G", "G"],
        }
    )
    assert periodic_features(statistics, MaskSettings()) == [1, 0]
    assert periodic_features(statistics, MaskSettings(n_features=1)) == [1]
    with pytest.raises(ValueError, match="no feature of this SAE fires on W every 3 residues"):
        periodic_features(statistics, MaskSettings(letter="W"))
    identity = pl.DataFrame(
        {"feature": [0, 1, 2, 3], "letter": list("GGPG"), "f1": [0.9, 0.95, 0.99, 0.5]}
    )
    assert identity_features(identity, MaskSettings()) == [1, 0]
    assert identity_features(identity, MaskSettings(), without=[1]) == [0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: mask(at, []), "needs at least one periodic feature"),
        (lambda at: mask(at, [3], [3]), "feature 3 is given as periodic and as an identity"),
        (
            lambda at: mask(at, [3], (), MaskSettings(sequences=("MGPP",), n_controls=2)),
            "MGPP has no residue to predict a whole number of periods",
        ),
        (
            lambda at: mask(at, [3], (), MaskSettings(edited=9, n_controls=2)),
            "residue 9 is to be clamped, and MGPP<mask>PP has 7",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(layer_with_sae(esm2()))


def test_masks_are_refused_by_a_model_without_any() -> None:
    at = layer_with_sae(tiny(n_layers=1), 1)
    with pytest.raises(ValueError, match="has no mask token"):
        mask(at, [3], (), MaskSettings(sequences=(PAPERS,), n_controls=2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"letter": "GP"}, "letter must be one of"),
        ({"letter": "X"}, "letter must be one of"),
        ({"strengths": (1.0, 0.5)}, "strengths must rise, and end above 0"),
        ({"strengths": (-1.0, 0.0)}, "strengths must rise, and end above 0"),
        ({"edited": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_are_checked(settings, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MaskSettings(**settings)
