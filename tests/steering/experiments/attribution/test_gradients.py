"""Attributions against finite differences, against the plain integral, and against removals."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interplm_nb.steering.experiments.attribution import gradients, parts
from interplm_nb.steering.experiments.attribution.gradients import Steps, attributed, state
from interplm_nb.steering.experiments.attribution.prediction import Prediction, PredictionSettings
from interplm_nb.steering.experiments.attribution.top import largest
from interplm_nb.steering.intervene import Change, Intervention, edits
from tests.plm.tiny_unirep import tiny
from tests.steering.test_intervene import SEQUENCE, esm2, layer_with_sae

FINE = Steps(64, 512, 1e-4)


def wide(plm):
    """The model in float64, so that finite differences are exact enough."""
    return plm.to("cpu", "float64")


def double(at):
    at.sae.double()
    return at


def models():
    return [
        pytest.param(lambda k=None: double(layer_with_sae(wide(esm2()), 2, k=k)), "output"),
        pytest.param(
            lambda k=None: double(layer_with_sae(wide(esm2()), 2, "layer-norm", k)), "output"
        ),
        pytest.param(lambda k=None: double(layer_with_sae(wide(tiny()), 1, k=k)), "output"),
        pytest.param(lambda k=None: double(layer_with_sae(wide(tiny()), 1, k=k)), "recurrence"),
    ]


@torch.no_grad()
def metric_with(at, prediction, change, where) -> float:
    """The metric under one change, by the steering that other tests prove."""
    options = edits([Intervention(at, [change])], [prediction.n_residues], where)
    logits = at.plm.forward(prediction.tokens, logits=True, **options).logits
    return float(prediction.of(logits[:, prediction.residues])[0])


@pytest.mark.parametrize(("make", "where"), models())
@pytest.mark.parametrize("asked", [{"position": 8}, {"metric": "log-likelihood"}])
def test_a_gradient_is_the_slope_of_the_metric_when_a_feature_is_scaled(make, where, asked) -> None:
    at = make(4)
    prediction = Prediction(at.plm, SEQUENCE, PredictionSettings(**asked))
    found = attributed(at, prediction, state(at, prediction), parts.zero(at), where)
    f = at.sae.encode(state(at, prediction)[0, prediction.residues]).detach()
    small = 2.0**-10  # exact in float32, as strengths are
    checked = 0
    for residue, feature in f.nonzero().tolist()[::3]:
        up, down = (
            metric_with(at, prediction, Change(feature, "scale", s, (residue + 1,)), where)
            for s in (1 + small, 1 - small)
        )
        slope = (up - down) / (2 * small)
        assert found.features[residue, feature].item() == pytest.approx(slope, rel=5e-3, abs=2e-5)
        checked += slope != 0
    assert checked >= 3


@pytest.mark.parametrize(("make", "where"), models())
@pytest.mark.parametrize("mean", [False, True])
def test_integrated_attributions_sum_to_the_difference_of_the_metric(make, where, mean) -> None:
    at = make(4)
    prediction = Prediction(at.plm, SEQUENCE, PredictionSettings(metric="log-likelihood"))
    removed = parts.background(at, "mean" if mean else "zero", ["MKVLAGH", "GGWTC"])
    found = attributed(at, prediction, state(at, prediction), removed, where, FINE)
    assert found.gap < 1e-3
    assert found.total == pytest.approx(found.whole - found.removed, rel=1e-3)
    assert abs(found.whole - found.removed) > 0.05
    plain = at.plm.forward(prediction.tokens, logits=True).logits[:, prediction.residues]
    assert found.whole == pytest.approx(float(prediction.of(plain)), rel=1e-5)


@pytest.mark.parametrize("where", ["output", "recurrence"])
def test_integrated_attributions_are_the_plain_integral(where) -> None:
    """Against equal steps at autograd's own slopes of gates, one gate per node."""
    at = double(layer_with_sae(wide(tiny(n_layers=1)), 1, k=4))
    prediction = Prediction(at.plm, "MKVLAG", PredictionSettings(metric="log-likelihood"))
    found = attributed(at, prediction, state(at, prediction), parts.zero(at), where, FINE)
    sae, n = at.sae, prediction.n_residues
    total = torch.zeros(n, 13, dtype=torch.float64)
    steps = 400
    for step in range(steps):
        gates = torch.full((n, 13), (step + 0.5) / steps, dtype=torch.float64, requires_grad=True)

        def gated(h, residue, gates=gates):
            own, error = sae.encode(h).detach(), None
            error = h - sae.decode(own)
            kept = (gates[residue, :12] - 1) * own @ sae.W_dec
            # The gates change the node; the state before them is the run's own.
            return h + kept + (gates[residue, 12] - 1) * error

        if where == "output":
            edit = {
                1: lambda h: torch.stack([h[0, 0], *(gated(h[0, 1 + t], t) for t in range(n))])[
                    None
                ]
            }
            logits = at.plm.forward(prediction.tokens, edit=edit, logits=True).logits
        else:
            edit = {1: lambda h, t: gated(h[0], t - 1)[None] if t else h}
            logits = at.plm.forward(prediction.tokens, step_edits=edit, logits=True).logits
        metric = prediction.of(logits[:, prediction.residues])
        total += torch.autograd.grad(metric.sum(), gates)[0] / steps
    scale = float(total.abs().max())
    mine = torch.cat([found.features, found.error[:, None]], 1).double()
    torch.testing.assert_close(mine, total, rtol=0, atol=5e-3 * scale)


def test_an_interval_where_the_metric_jumps_is_halved_until_the_sum_is_right() -> None:
    """A step that equal steps miss, placed by hand."""
    at = double(layer_with_sae(wide(tiny(n_layers=1)), 1))
    run = _Steep(at)
    for most, gap in ((8, 0.1), (512, 0.0)):
        total = (torch.zeros(1, 12).double(), torch.zeros(1).double())
        taken = gradients._integrate(
            run, total, *run.metric([1.0, 0.0]).tolist(), Steps(8, most, 0.01)
        )
        missed = abs(float(total[1].sum()) - 1)
        assert taken <= most
        assert missed > gap if most == 8 else missed < 0.01


class _Steep:
    """One node, the error, whose metric is a steep sigmoid of its gate: from 0 to 1 near 0.83."""

    def __init__(self, at) -> None:
        self.at = at

    def metric(self, gates):
        return torch.sigmoid(500 * (torch.tensor(gates, dtype=torch.float64) - 0.83))

    def gradient(self, gates):
        value = self.metric(gates)
        slope = 500 * value * (1 - value)
        width = self.at.sae.d_in
        error = torch.zeros(len(gates), 1, width, dtype=torch.float64)
        error[..., 0] = 1
        gradient = torch.zeros_like(error)
        gradient[:, 0, 0] = slope
        nothing = torch.zeros(len(gates), 1, 12, dtype=torch.float64)
        return value, gradient, parts.Parts(nothing, error, error, error.new_ones(()))


@pytest.mark.parametrize("norm", [None, "layer-norm", "sqrt-d"])
@torch.no_grad()
def test_the_parts_of_a_state_add_up_to_it(norm) -> None:
    at = layer_with_sae(esm2(), norm=norm, k=4)
    h = at.plm.forward(at.plm.tokens([SEQUENCE]), [2]).representations[2][0, 1:11]
    for removed in (parts.zero(at), parts.mean(at, [SEQUENCE, "MKV"])):
        own = parts.parts(at, h, removed)
        again = own.start + (own.features @ at.sae.W_dec) * own.scale + own.error
        torch.testing.assert_close(again, h, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(parts.start(at, h, removed), own.start, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_mean_background_is_over_all_residues() -> None:
    at = layer_with_sae(esm2(), k=4)
    states = [
        at.plm.forward(at.plm.tokens([s]), [2]).representations[2][0, 1 : 1 + len(s)]
        for s in (SEQUENCE, "MKV")
    ]
    h = torch.cat(states)
    f, x_hat = at.sae(h)
    found = parts.mean(at, [SEQUENCE, "MKV"])
    torch.testing.assert_close(found.features, f.mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.error, (h - x_hat).mean(0), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="the mean over sequences, and none was given"):
        parts.mean(at, [])


def test_gates_inside_a_recurrence_need_one() -> None:
    at = layer_with_sae(esm2())
    prediction = Prediction(at.plm, SEQUENCE, PredictionSettings(position=2))
    with pytest.raises(ValueError, match="not recurrent, so nothing can be removed inside"):
        attributed(at, prediction, state(at, prediction), parts.zero(at), "recurrence")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(-5, 5).map(float) | st.floats(-1e6, 1e6), min_size=1, max_size=200),
    st.integers(1, 220),
)
def test_the_largest_are_those_of_a_full_sort(values: list[float], k: int) -> None:
    wanted = sorted(range(len(values)), key=lambda i: (-values[i], i))[:k]
    assert largest(np.array(values), k).tolist() == wanted


@pytest.mark.parametrize(
    ("values", "k", "message"), [([1.0], 0, "at least 1"), ([np.nan], 1, "no")]
)
def test_what_has_no_largest_is_refused(values, k, message) -> None:
    with pytest.raises(ValueError, match=message):
        largest(np.array(values), k)
