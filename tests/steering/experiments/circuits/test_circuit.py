"""Circuits: edges against the chain rule and removals, faithfulness against gates by hand."""

import numpy as np
import pytest
import torch

from interplm_nb.steering.experiments.attribution import gradients, parts
from interplm_nb.steering.experiments.attribution.ablations import Node
from interplm_nb.steering.experiments.attribution.prediction import Prediction, PredictionSettings
from interplm_nb.steering.experiments.circuits import edges
from interplm_nb.steering.experiments.circuits.circuit import CircuitSettings, circuit
from interplm_nb.steering.intervene import Change, Intervention
from tests.plm.tiny_unirep import tiny
from tests.steering.test_intervene import SEQUENCE, esm2, layer_with_sae

MAKES = [
    pytest.param(esm2, None, id="esm2"),
    pytest.param(esm2, "layer-norm", id="normalised"),
    pytest.param(tiny, None, id="unirep"),
]


def pair(make, norm=None):
    plm = make().to("cpu", "float64")
    two = [layer_with_sae(plm, layer, norm, k=4, seed=layer) for layer in (1, 2)]
    for at in two:
        at.sae.double()
    return two


def step_of(two, asked, backgrounds=None):
    prediction = Prediction(two[0].plm, SEQUENCE, PredictionSettings(**asked))
    h = gradients.state(two[0], prediction)
    return edges.Step(*two, prediction, h, backgrounds or tuple(parts.zero(at) for at in two))


@pytest.mark.parametrize(("make", "norm"), MAKES)
@pytest.mark.parametrize("asked", [{"position": 9}, {"metric": "log-likelihood"}])
def test_edges_to_all_nodes_and_errors_are_the_lower_layers_attribution(make, norm, asked) -> None:
    """The chain rule: nothing goes round the nodes of the upper layer."""
    two = pair(make, norm)
    step = step_of(two, asked)
    upper_h = gradients.state(two[1], step.prediction)
    slope = gradients.slope(two[1], step.prediction, upper_h)
    f = two[1].sae.encode(upper_h[0, step.prediction.residues])
    nodes = [Node(i, (t + 1,)) for t, i in f.nonzero().tolist()]
    into, errors = edges.inputs(step, nodes, slope)
    total = sum(one.weight.features for one in into) + errors.features
    wanted = gradients.attributed(two[0], step.prediction, step.h, step.backgrounds[0])
    scale = float(wanted.features.abs().max())
    np.testing.assert_allclose(total, wanted.features.numpy(), atol=1e-5 * scale)
    of_errors = sum(one.weight.error for one in into) + errors.error
    assert of_errors == pytest.approx(float(wanted.error.sum()), rel=1e-4)


@pytest.mark.parametrize(("make", "norm"), MAKES)
@torch.no_grad()
def test_a_value_is_the_slope_of_the_target_when_the_source_is_scaled(make, norm) -> None:
    two = pair(make, norm)
    step = step_of(two, {"metric": "log-likelihood"})
    there = step.prediction.residues
    upper = two[1].plm.forward(step.prediction.tokens, [2]).representations[2]
    f = two[1].sae.encode(upper[0, there])
    targets = [Node(i, (t + 1,)) for t, i in f.nonzero().tolist()[::5]]
    targets.append(Node(targets[0].feature, tuple(range(1, 11))))
    into, _ = edges.inputs(step, targets, torch.zeros_like(upper[0]))
    own = two[0].sae.encode(step.h[0, there])
    small, compared = 2.0**-10, 0
    for t, i in own.nonzero().tolist()[::4]:
        moved = []
        for strength in (1 + small, 1 - small):
            change = Intervention(two[0], [Change(i, "scale", strength, (t + 1,))])
            h = change.applied(step.h, [10])
            moved.append(edges.values(step._replace(h=h), targets)[0])
        slopes = (moved[0] - moved[1]) / (2 * small)
        found = [one.value.of(Node(i, (t + 1,))) for one in into]
        np.testing.assert_allclose(found, slopes, rtol=1e-2, atol=1e-4)
        compared += int((np.abs(slopes) > 1e-3).sum())
    assert compared > 3


@torch.no_grad()
def test_what_a_target_loses_is_measured_by_removing_the_source() -> None:
    two = pair(esm2)
    step = step_of(two, {"position": 9})
    targets, sources = [Node(3, (2,)), Node(5, (4, 6))], [Node(1, (3,)), Node(7, (1, 2))]
    found = edges.values(step, targets, sources)
    for row, changes in enumerate(
        (
            [Change(1, "scale", 1.0)],
            [Change(1, "ablate", positions=(3,))],
            [Change(7, "ablate", positions=(1, 2))],
        )
    ):
        edit = {1: Intervention(two[0], changes).edit([10])}
        h = two[0].plm.forward(step.prediction.tokens, [2], edit).representations[2][0, 1:11]
        f = two[1].sae.encode(h)
        wanted = [f[1, 3] / two[1].maxima[3], (f[3, 5] + f[5, 5]) / two[1].maxima[5]]
        np.testing.assert_allclose(found[row], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [esm2, tiny])
@pytest.mark.parametrize("unit", ["residue", "feature"])
def test_the_nodes_are_the_true_top_of_each_layer_and_edges_of_all_edges(make, unit) -> None:
    two = [layer_with_sae(make(), layer, k=4, seed=layer) for layer in (2, 1)]
    settings = CircuitSettings(position=9, n_nodes=3, n_edges=5, unit=unit, n_random=2)
    found = circuit(two, SEQUENCE, settings)
    everything = circuit(
        two, SEQUENCE, settings.model_copy(update={"n_edges": 10_000, "n_nodes": 1000})
    )
    for layer in (1, 2):
        every = everything.nodes.filter(layer=layer)["attribution"].to_list()
        mine = found.nodes.filter(layer=layer)["attribution"].to_list()
        assert mine == sorted(every, key=lambda a: -abs(a))[:3]
    every = circuit(two, SEQUENCE, settings.model_copy(update={"n_edges": 10_000})).edges
    assert every.height == 3 * 3 + 2 * 3 + 1 + 3 + 1
    wanted = sorted(every["weight"].to_list(), key=lambda w: -abs(w))[:5]
    assert found.edges["weight"].to_list() == wanted
    assert set(found.tables()) >= {"nodes", "edges", "faithfulness", "layers", "inputs"}


@pytest.mark.parametrize("make", [esm2, tiny])
@pytest.mark.parametrize("baseline", ["zero", "mean"])
@torch.no_grad()
def test_faithfulness_is_that_of_gates_by_hand(make, baseline) -> None:
    two = [layer_with_sae(make(), layer, k=4, seed=layer) for layer in (1, 2)]
    settings = CircuitSettings(
        metric="log-likelihood", n_nodes=4, sizes=(1000,), n_random=2, baseline=baseline
    )
    background = ["MKVLAGHWW", "GGHHTC"]
    found = circuit(two, SEQUENCE, settings, background)
    prediction = Prediction(two[0].plm, SEQUENCE, settings)
    rows = {
        (r["set"], r["per_layer"], r["errors"]): r for r in found.faithfulness.iter_rows(named=True)
    }
    for errors in (False, True):

        def edit(at, errors=errors):
            own = found.nodes.filter(layer=at.layer)
            kept = set(own.select("residue", "feature").iter_rows())
            removed = parts.background(at, baseline, background)

            def gate(h):
                new = h.clone()
                for t in range(10):
                    x = h[0, 1 + t]
                    f, v = at.sae.encode(x), removed.features.clone()
                    for i in range(12):
                        if (t + 1, i) in kept:
                            v[i] = f[i]
                    error = x - at.sae.decode(f) if errors else removed.error
                    new[0, 1 + t] = at.sae.decode(v) + error
                return new

            return gate

        edit_of = {at.layer: edit(at) for at in two}
        logits = two[0].plm.forward(prediction.tokens, edit=edit_of, logits=True).logits
        wanted = float(prediction.of(logits[:, prediction.residues]))
        assert rows["circuit", 4, errors]["metric"] == pytest.approx(wanted, abs=2e-4)
    row = found.summary.row(0, named=True)
    assert rows["nothing", None, False]["faithfulness"] == pytest.approx(0, abs=1e-3)
    assert rows["all features", None, True]["faithfulness"] == pytest.approx(1, abs=1e-3)
    assert rows["all features", None, True]["metric"] == pytest.approx(row["whole"], abs=1e-3)
    assert rows["circuit", 1000, True]["n_nodes"] == found.layers["n_active"].sum()
    # UniRep's last residue predicts nothing: random circuits take none of its nodes.
    unreached = 8 if make is tiny else 0
    drawn = rows["random", 1000, True]["n_nodes"]
    assert drawn == found.layers["n_active"].sum() - unreached
    assert rows["all but the circuit", 4, True]["n_nodes"] == found.layers["n_active"].sum() - 8
    assert rows["random", 4, True]["n_sets"] == 2


def test_the_values_of_a_node_come_from_the_circuit_the_others_and_the_errors() -> None:
    """In the last layer of a ReLU SAE on a ReLU-free step, to first order, all is accounted for."""
    two = [layer_with_sae(esm2(), layer, k=4, seed=layer) for layer in (1, 2)]
    few, all_ = (
        circuit(two, SEQUENCE, CircuitSettings(position=9, n_nodes=n, n_random=1)).inputs.head(2)
        for n in (2, 500)
    )
    for column in ("value", "from_errors"):
        np.testing.assert_allclose(few[column], all_[column], rtol=1e-4)
    np.testing.assert_allclose(all_["from_others"], 0, atol=1e-4)
    total = few["from_circuit"] + few["from_others"]
    np.testing.assert_allclose(total, all_["from_circuit"], rtol=1e-3, atol=1e-4)


def test_the_sentence_has_both_ways_and_both_controls() -> None:
    two = [layer_with_sae(esm2(), layer, k=4, seed=layer) for layer in (1, 2)]
    said = circuit(two, SEQUENCE, CircuitSettings(position=9, n_nodes=2, n_random=5)).sentence
    for words in (
        "layers 1 and 2 removed",
        "circuit of 4 nodes",
        "random ones",
        "of like mass",
        "errors alone",
    ):
        assert words in said
    assert "of the layers' attribution" in said


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (lambda: [layer_with_sae(esm2(), 1)], r"two or more different layers.*got \[1\]"),
        (lambda: [layer_with_sae(esm2(), 1)] * 2, r"got \[1, 1\]"),
        (
            lambda: [layer_with_sae(esm2(), 1), layer_with_sae(tiny(), 2)],
            r"layers of different PLMs \(tiny, toy\) make no circuit",
        ),
    ],
)
def test_layers_that_make_no_circuit_are_refused(layers, message) -> None:
    with pytest.raises(ValueError, match=message):
        circuit(layers(), SEQUENCE, CircuitSettings(position=9))


def test_the_same_seed_gives_the_same_circuit() -> None:
    two = [layer_with_sae(esm2(), layer, k=4, seed=layer) for layer in (1, 2)]
    first, again = (circuit(two, SEQUENCE, CircuitSettings(position=9)) for _ in range(2))
    for name, table in first.tables().items():
        assert table.equals(again.tables()[name])
