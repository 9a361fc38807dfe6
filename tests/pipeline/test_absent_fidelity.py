"""Stage `compare` and the training stages with a model that has other measures of fidelity, or
none: what is absent is absent, never 0."""

import numpy as np
import polars as pl
import pytest

from interplm_nb.figures import compare as figures
from interplm_nb.figures import tables
from interplm_nb.proteins import Proteins
from interplm_nb.sae.architectures import TopK
from interplm_nb.sae.evaluation.fidelity import fidelities
from interplm_nb.sae.evaluation.measures import FIGURES
from interplm_nb.stages.compare_tables import comparison_table
from interplm_nb.stages.training import meanwhile
from interplm_nb.stages.yardstick import Yardstick
from tests.sae.evaluation.fitted import fitted
from tests.sae.fake_plm import FakePLM, FakeRecurrentPLM
from tests.sae.small_sae import any_sae

PROTEINS = Proteins.from_sequences({"P0": "ACDEFGHIKL", "P1": "MNPQRSTVWY"})


def measured(plm, layer: int) -> dict:
    """What a yardstick says of an SAE's fidelity."""
    yardstick = object.__new__(Yardstick)
    for name, value in {"plm": plm, "faithful": PROTEINS, "layer": layer}.items():
        object.__setattr__(yardstick, name, value)
    return yardstick._fidelity(any_sae(TopK(5), seed=3))


def table(*rows: dict) -> pl.DataFrame:
    """The comparison of SAEs with these figures, and their layer's neurons."""
    common = {"kind": "sae", "recipe": "topk", "sparsity": "k5", "lr": 1e-3, "seed": 0, "fvu": 0.5}
    saes = [
        {
            **common,
            "label": f"topk{i}",
            "l0": 5.0 + i,
            "f1_tuning": 0.1 * i,
            "mean_f1_per_domain": 0.2,
            **row,
        }
        for i, row in enumerate(rows)
    ]
    neurons = [
        {
            "label": f"n{layer}",
            "kind": "neurons",
            "recipe": "neurons",
            "layer": layer,
            "mean_f1_per_domain": 0.1,
        }
        for layer in {row["layer"] for row in rows}
    ]
    return comparison_table([*saes, *neurons], {})


def test_a_yardstick_measures_what_exists_and_names_the_headline():
    ends = {0: ["output"], 1: ["recurrence", "output"], 2: ["output", "recurrence"]}
    plm = FakeRecurrentPLM(start=True)
    for layer, expected in ends.items():
        found = measured(plm, layer)
        assert found.pop("fidelity_measure") == f"next residue, {expected[0]}"
        names = {f"{name}_{end}" for name in (*FIGURES, "sums") for end in expected}
        assert set(found) == names
        by_end = fidelities(any_sae(TopK(5), seed=3), plm, PROTEINS, layer, progress=False)
        assert found[f"kl_{expected[0]}"] == by_end[0].kl
    masked = measured(FakePLM(), 1)
    assert masked.pop("fidelity_measure") == "strict"
    ends = ("strict", "including_masked", "published")
    assert set(masked) == {f"{name}_{end}" for name in (*FIGURES, "sums") for end in ends}


@pytest.mark.parametrize("lacking", [{"objective": None}, {"has_logits": False}])
def test_a_model_without_fidelity_has_nulls_and_is_compared_all_the_same(lacking):
    plm = FakePLM()
    for name, value in lacking.items():
        setattr(plm, name, value)
    assert measured(plm, 1) == {"fidelity_measure": None} and plm.n_forward == 0
    assert meanwhile(plm, PROTEINS, every=10, steps=100) == {}
    found = table({"layer": 1, **measured(plm, 1)}, {"layer": 1, **measured(plm, 1)})
    absent = found.select(pl.col("^(loss_recovered|kl)_.*$"), "fidelity_measure")
    assert absent.width == 21 and all(n == found.height for n in absent.null_count().row(0))
    assert found.filter("chosen")["label"].to_list() == ["topk1"]
    fidelity, concepts = figures.fidelity(found), figures.concepts(found)
    for chart, axis in ((fidelity, 0), (concepts, 1)):
        assert "image/svg+xml" in chart._repr_mimebundle_()[0]  # next to plotly's own
        (text,) = chart.figure.axes[axis].texts
        assert text.get_text() == "fidelity is absent: this model predicts no residues"
    assert "fidelity is absent" in repr(fidelity)
    assert not fidelity.figure.axes[1].texts  # FVU needs no predictions


def test_fidelity_is_asked_for_where_it_is_measured():
    assert meanwhile(FakePLM(), PROTEINS, every=0, steps=100) == {}
    options = meanwhile(FakeRecurrentPLM(start=True), PROTEINS, every=10, steps=100)
    assert set(options) == {"evaluate", "evaluate_every"}


def test_each_layer_shows_its_own_headline():
    plm = fitted(FakeRecurrentPLM(start=True), PROTEINS)
    rows = {layer: measured(plm, layer) for layer in (1, 2)}
    found = table(*({"layer": layer, **rows[layer]} for layer in (1, 2)))
    axes = figures.fidelity(found).figure.axes
    for layer, axis, end, words in (
        (1, axes[0], "recurrence", "next-residue loss recovered, in the recurrence"),
        (2, axes[2], "output", "next-residue loss recovered, output replaced"),
    ):
        assert axis.get_ylabel().startswith(words) and not axis.texts
        own = rows[layer][f"loss_recovered_{end}"]
        assert own in np.concatenate([np.ravel(line.get_ydata()) for line in axis.lines])
    assert "in the recurrence or next-residue" in repr(figures.concepts(found))


def test_a_share_that_is_not_defined_is_null_and_said_with_its_costs():
    """Of the last layer, nothing visible reaches a masked prediction."""
    rows = [{"layer": 1, **measured(fitted(FakePLM(), PROTEINS), 1)} for _ in range(2)]
    rows[1] |= {"ce_sae_strict": rows[1]["ce_sae_strict"] + 0.25}
    found = table(*rows)
    assert found["loss_recovered_strict"].is_null().all()
    assert found["loss_recovered_published"].drop_nulls().len() == 2
    words = (
        "layer 1, strict: loss recovered is not defined (zeros cost 0.0000 nats per residue, under "
        "0.01; SAEs cost 0.0000 to 0.2500)"
    )
    chart, shown = figures.fidelity(found), tables.compared(found)
    assert words in repr(shown) and words in repr(chart)
    assert "loss_recovered_strict" not in shown.table.columns
    (text,) = chart.figure.axes[0].texts
    assert text.get_text() == "not defined: zeros cost under 0.01 nats per residue"
    own = found.rename({f"{name}_strict": name for name in FIGURES}).select(
        *FIGURES,
        pl.lit("sae").alias("source"),
        pl.lit("strict").alias("measure"),
        n_proteins=2,
        n_residues=4,
    )
    assert words.replace("layer 1", "sae").split("; SAEs")[0] in repr(tables.fidelity(own[:1]))
