"""A generation: its conditions, tables and verdict; against counts by hand."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from interplm_nb.proteins import Proteins
from interplm_nb.steering.experiments.generation.conditions import conditions
from interplm_nb.steering.experiments.generation.experiment import generation
from interplm_nb.steering.experiments.generation.judging import Judging
from interplm_nb.steering.experiments.generation.kinds import KINDS
from interplm_nb.steering.experiments.generation.result import GenerationResult
from interplm_nb.steering.experiments.generation.scan import scan
from interplm_nb.steering.experiments.generation.settings import (
    GenerationSettings,
    ScanSettings,
)
from interplm_nb.steering.experiments.generation.tables import RATES
from interplm_nb.steering.experiments.rates import beyond_letters, more_often, wilson
from interplm_nb.steering.rules import pattern
from tests.plm.tiny_unirep import tiny
from tests.steering.test_intervene import esm2, layer_with_sae

RULE = pattern("pair of alanines", "AA")
RNG = np.random.default_rng(0)
NATURAL = Proteins.from_sequences(
    {f"P{i}": "".join(RNG.choice(list("ACDEFGHIKLMNPQRSTVWY"), 60)) for i in range(8)}
)
JUDGING = Judging(RULE, NATURAL, ("P1", "P3"), related=(4,))
SMALL = GenerationSettings(
    n_sequences=4,
    n_seeds=2,
    length=20,
    strengths=(0.5, 1.0),
    n_features=2,
    n_directions=2,
    n_shuffles=3,
    n_natural=5,
    n_steps=4,
)


@pytest.fixture(scope="module")
def recurrent() -> GenerationResult:
    return generation(layer_with_sae(tiny(n_layers=1), 1), 3, JUDGING, SMALL)


@pytest.fixture(scope="module")
def masked() -> GenerationResult:
    return generation(layer_with_sae(esm2()), 3, JUDGING, SMALL)


def test_conditions_have_every_control_at_the_strengths_asked_for() -> None:
    at = layer_with_sae(tiny(n_layers=1), 1)
    plan = conditions(at, 3, SMALL, JUDGING)
    kinds = [(one.kind, one.strength, one.lane.where) for one in plan]
    assert kinds == [
        ("steered", 0.5, "recurrence"),
        ("output only", 0.5, "output"),
        ("steered", 1.0, "recurrence"),
        ("output only", 1.0, "output"),
        ("atom alone", 1.0, "recurrence"),
        *[("matched features", 1.0, "recurrence")] * 2,
        *[("random directions", 1.0, "recurrence")] * 2,
        ("unsteered", None, "output"),
    ]
    others = {one.which for one in plan if one.kind == "matched features"}
    assert len(others) == 2 and not others & {3, 4}
    assert not plan[-1].lane.changes
    assert {one.lane.where for one in conditions(layer_with_sae(esm2()), 3, SMALL, JUDGING)} == {
        "output"
    }


@pytest.mark.parametrize("which", ["recurrent", "masked"])
def test_every_share_is_a_count_of_the_sequences(which: str, request) -> None:
    result = request.getfixturevalue(which)
    assert set(result.kinds["kind"]) == set(KINDS) - (
        {"output only"} if which == "masked" else set()
    )
    for row in result.conditions.iter_rows(named=True):
        part = result.sequences.filter(pl.col("condition") == row["condition"])
        sequences = part["sequence"].to_list()
        assert row["n"] == len(sequences) == 8
        assert {len(sequence) for sequence in sequences} == {20}
        assert row["found"] == sum("AA" in sequence for sequence in sequences)
        assert (row["low"], row["high"]) == wilson(row["found"], 8)
        nats = part["surprise"].mean()
        assert row["perplexity"] == pytest.approx(np.exp(nats))
        letters = "".join(sequences)
        assert row["letter_share"] == max(map(letters.count, letters)) / len(letters)
    for start, end, sequence in result.sequences.select("start", "end", "sequence").iter_rows():
        assert start is None or sequence[start - 1 : end] == "AA"


def test_controls_of_a_kind_are_together_and_tested_beside_unsteered(recurrent) -> None:
    plain = recurrent.control("unsteered", 1.0)
    assert plain["p_value"] is None
    together = recurrent.control("matched features", 1.0)
    single = recurrent.conditions.filter(pl.col("kind") == "matched features")
    assert together["n"] == single["n"].sum() == 16
    assert together["found"] == single["found"].sum()
    assert together["p_value"] == pytest.approx(
        more_often(together["found"], 16, plain["found"], plain["n"])
    )
    assert recurrent.control("matched features", 0.5) is None


def test_seeds_repeat_and_conditions_share_their_random_numbers(recurrent) -> None:
    again = generation(layer_with_sae(tiny(n_layers=1), 1), 3, JUDGING, SMALL)
    assert again.sequences.equals(recurrent.sequences)
    assert again.sentence == recurrent.sentence
    seeds = recurrent.sequences.filter(pl.col("kind") == "unsteered").partition_by("seed")
    assert seeds[0]["sequence"].to_list() != seeds[1]["sequence"].to_list()


def test_base_rates_are_of_natural_proteins(recurrent) -> None:
    windows, carriers = recurrent.natural.rows(named=True)
    assert (windows["kind"], windows["n"]) == ("natural windows", 5)
    assert (carriers["kind"], carriers["n"]) == ("natural carriers", 2)
    assert carriers["found"] == sum("AA" in NATURAL.sequence(a) for a in ("P1", "P3"))
    assert carriers["perplexity"] is None
    without = generation(
        layer_with_sae(tiny(n_layers=1), 1), 3, replace(JUDGING, natural=None), SMALL
    )
    assert without.natural.height == 0 and set(RATES) < set(without.natural.columns)
    assert without.kinds["with_relative"].null_count() == without.kinds.height


def with_counts(result: GenerationResult, **found: int) -> GenerationResult:
    """The result as if 100 sequences of each kind had been drawn."""
    rows = [
        row
        | {"n": 100, "found": k, "rate": k / 100, "shuffled": 0.1}
        | {"p_letters": beyond_letters(k, 100, [0.1] * 20)}
        for row in result.kinds.rows(named=True)
        for k in [found.get(row["kind"].replace(" ", "_"), 0)]
    ]
    return replace(result, kinds=pl.DataFrame(rows, schema=result.kinds.schema))


def test_a_feature_causes_only_what_exceeds_every_control(recurrent) -> None:
    assert with_counts(recurrent, steered=40).works
    assert not with_counts(recurrent, steered=14).works  # its letters do as much
    for control in ("matched_features", "random_directions", "unsteered"):
        assert not with_counts(recurrent, steered=40, **{control: 35}).works
    assert with_counts(recurrent, steered=40, output_only=60).works
    sentence = with_counts(recurrent, steered=40, output_only=7).sentence
    assert "40% of 100 sequences hold a pair of alanines" in sentence
    assert "10% with their letters shuffled, 7% with the output alone changed" in sentence
    assert sentence.endswith("the feature causes it.")
    assert with_counts(recurrent).sentence.endswith("the feature does not cause it.")


def test_examples_hold_the_motif(recurrent) -> None:
    table = recurrent.examples(3)
    for sequence, start, end in table.select("sequence", "start", "end").iter_rows():
        assert sequence[start - 1 : end] == "AA"


def test_a_strength_without_controls_claims_nothing() -> None:
    settings = SMALL.model_copy(update={"controls_at": (), "n_seeds": 1})
    result = generation(layer_with_sae(tiny(n_layers=1), 1), 3, JUDGING, settings)
    with pytest.raises(ValueError, match=r"no strength of .* has controls .* give one to both"):
        _ = result.sentence


@pytest.mark.parametrize(
    "wrong",
    [
        {"strengths": ()},
        {"strengths": (1e9,)},
        {"length": 3},
        {"n_sequences": 1},
        {"temperature": -1},
        {"order": "left"},
        {"words": 1},
    ],
)
def test_settings_have_bounds(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        GenerationSettings(**wrong)


def test_a_scan_is_every_feature_beside_every_rule() -> None:
    at = layer_with_sae(tiny(n_layers=1), 1)
    rules = {"alanine": RULE, "tryptophan": pattern("W", "W"), "never": pattern("never", "W{20}")}
    settings = ScanSettings(n_sequences=6, n_seeds=2, length=20, n_shuffles=2)
    result = scan(at, {3: "alanine", 5: "tryptophan", 7: ""}, rules, settings)
    table = result.table
    assert table.height == 9
    assert table.filter("own").select("feature", "rule").rows() == [
        (3, "alanine"),
        (5, "tryptophan"),
    ]
    assert table["n"].unique().to_list() == [12]
    # Benjamini-Hochberg by its definition.
    p = np.sort(table.select(pl.max_horizontal("p_letters", "p_unsteered")).to_series().to_numpy())
    q = np.minimum.accumulate((p * 9 / np.arange(1, 10))[::-1])[::-1]
    np.testing.assert_allclose(np.sort(table["q_value"].to_numpy()), q)
    assert not table.filter(pl.col("rule") == "never")["caused"].any()
    assert "of 2 features of a concept cause it" in result.sentence
    assert result.tables()["scan"] is table
    for row in table.iter_rows(named=True):
        own = result.sequences.filter(pl.col("feature") == row["feature"])["sequence"].to_list()
        assert row["found"] == rules[row["rule"]].count(own)
        plain = result.sequences.filter(pl.col("feature").is_null())["sequence"].to_list()
        unsteered = rules[row["rule"]].count(plain)
        assert row["p_unsteered"] == more_often(row["found"], 12, unsteered, 12)
    with pytest.raises(ValueError, match="needs features and rules; got 0 features and 3 rules"):
        scan(at, {}, rules)
