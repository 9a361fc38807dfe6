"""Changes of features: against the equation written out, and against the model run in full."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from interplm_nb.plm.esm2 import ESM2
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.architectures import ReLU, TopK
from interplm_nb.sae.model import SAE
from interplm_nb.sae.residue_norm import ResidueNorm
from interplm_nb.steering.intervene import Change, Intervention, edits, steered_logits
from interplm_nb.steering.steered_layer import SteeredLayer
from tests.plm.tiny_unirep import tiny
from tests.plm.toy_esm2 import SMALL, random_weights

SEQUENCE = "MKVLAGHWTC"
MASKED = "MKV<mask>AGHWTC"


def esm2() -> ESM2:
    return ESM2(random_weights(), SMALL, "toy", "sha256:toy", "cpu", "float32")


def layer_with_sae(plm, layer: int = 2, norm: str | None = None, k: int | None = None, seed=0):
    """A steered layer with a random SAE of 12 features, most of which fire."""
    generator = torch.Generator().manual_seed(seed)
    width = plm.widths[layer]
    sae = SAE(width, 12, TopK(k) if k else ReLU(), ResidueNorm(norm) if norm else None)
    with torch.no_grad():
        for weight in (sae.W_enc, sae.W_dec, sae.b_enc, sae.b_dec):
            weight.copy_(torch.randn(weight.shape, generator=generator))
    sae.about = SAEAbout(plm.name, plm.revision, layer, "by hand")
    return SteeredLayer(plm, sae, np.linspace(0.5, 2, 12).astype(np.float32))


def by_hand(at: SteeredLayer, changes: list[Change], h: Tensor, keep_error: bool) -> Tensor:
    """One residue's state [width] after changes that all apply to it."""
    f = at.sae.encode(h)
    v = f.clone()
    for change in changes:
        i, m = change.feature, float(at.maxima[change.feature])
        v[i] = {
            "clamp": change.strength * m,
            "add": f[i] + change.strength * m,
            "scale": change.strength * f[i],
            "ablate": 0.0,
        }[change.how]
    decoded, own = at.sae.decode(v, h), at.sae.decode(f, h)
    return decoded + (h - own) if keep_error else decoded


CHANGES = st.lists(
    st.builds(
        Change,
        st.integers(0, 11),
        st.sampled_from(["clamp", "add", "scale", "ablate"]),
        st.floats(-2, 3, width=32),
        st.one_of(st.none(), st.lists(st.integers(1, 10), min_size=1, unique=True).map(tuple)),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda change: change.feature,
)


@settings(max_examples=60, deadline=None)
@given(CHANGES, st.booleans(), st.sampled_from([None, "layer-norm"]), st.sampled_from([None, 4]))
@torch.no_grad()
def test_the_changed_state_is_the_equation_residue_by_residue(changes, keep_error, norm, k) -> None:
    at = layer_with_sae(esm2(), norm=norm, k=k)
    tokens = at.plm.tokens([SEQUENCE])
    h = at.plm.forward(tokens, [2]).representations[2]
    changed = Intervention(at, changes, keep_error).applied(h, [10])
    wanted = h.clone()
    for residue in range(1, 11):
        here = [c for c in changes if c.positions is None or residue in c.positions]
        if here:
            wanted[0, residue] = by_hand(at, here, h[0, residue], keep_error)
    torch.testing.assert_close(changed, wanted, rtol=1e-4, atol=1e-4)
    assert torch.equal(changed[0, [0, 11]], h[0, [0, 11]])  # <cls> and <eos>


@torch.no_grad()
def test_the_error_stays_and_the_features_alone_move() -> None:
    at = layer_with_sae(esm2())
    h = at.plm.forward(at.plm.tokens([SEQUENCE]), [2]).representations[2]
    f, x_hat = at.sae(h)
    changed = Intervention(at, [Change(3, "clamp", 2.0)]).applied(h, [10])
    v = f.clone()
    v[:, 1:11, 3] = 2.0 * float(at.maxima[3])
    torch.testing.assert_close(changed - at.sae.decode(v), h - x_hat, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
@torch.no_grad()
def test_a_feature_kept_at_its_own_value_gives_equal_logits(layer: int) -> None:
    at = layer_with_sae(esm2(), layer)
    own = at.plm.forward(at.plm.tokens([MASKED]), logits=True).logits[0, 1:11]
    kept = steered_logits([Intervention(at, [Change(i, "scale", 1.0) for i in range(12)])], MASKED)
    torch.testing.assert_close(kept[0], own, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
@torch.no_grad()
def test_rows_that_share_the_layers_below_equal_full_passes(layer: int) -> None:
    at = layer_with_sae(esm2(), layer)
    rows = [[Change(i, "clamp", s, (4, 6))] for i in (1, 5) for s in (0.0, 1.0, 2.5)]
    shared = steered_logits([Intervention(at, rows)], MASKED)
    tokens = at.plm.tokens([MASKED])
    for found, row in zip(shared, rows, strict=True):
        edit = {layer: Intervention(at, row).edit([10])}
        full = at.plm.forward(tokens, edit=edit, logits=True).logits[0, 1:11]
        torch.testing.assert_close(found, full, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_an_edit_of_layer_n_is_seen_by_layer_n_plus_1_and_by_no_layer_below() -> None:
    plm = esm2()
    tokens = plm.tokens([SEQUENCE])
    plain = plm.forward(tokens, [0, 1, 2, 3], logits=True)
    at = layer_with_sae(plm, 2)
    edit = {2: Intervention(at, [Change(3, "add", 1.0)]).edit([10])}
    found = plm.forward(tokens, [0, 1, 2, 3], edit, logits=True)
    for layer in (0, 1):
        assert torch.equal(found.representations[layer], plain.representations[layer])
    moved = found.representations[2] - plain.representations[2]
    step = at.sae.W_dec[3] * float(at.maxima[3])
    torch.testing.assert_close(moved[0, 1:11], step.expand(10, -1), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found.representations[3], plain.representations[3], atol=1e-3)


@torch.no_grad()
def test_the_last_layer_is_changed_after_its_norm() -> None:
    """The head reads what the edit returns: nothing normalises it again."""
    plm = esm2()
    at = layer_with_sae(plm, 3)
    intervention = Intervention(at, [Change(3, "add", 1.0)])
    tokens = plm.tokens([SEQUENCE])
    h = plm.forward(tokens, [3]).representations[3]
    head_alone = plm.forward(tokens, logits=True, given=(3, intervention.applied(h, [10]))).logits
    found = plm.forward(tokens, edit={3: intervention.edit([10])}, logits=True).logits
    torch.testing.assert_close(found, head_alone)


@torch.no_grad()
def test_several_layers_at_once_equal_the_edits_by_hand() -> None:
    plm = esm2()
    one = Intervention(layer_with_sae(plm, 1), [Change(2, "clamp", 1.5)])
    other = Intervention(
        layer_with_sae(plm, 2, seed=1), [[Change(5, "add", s)] for s in (0.0, 2.0)]
    )
    found = steered_logits([other, one], SEQUENCE)
    for row, strength in enumerate((0.0, 2.0)):
        last = Intervention(other.at, [Change(5, "add", strength)])
        edit = {1: one.edit([10]), 2: last.edit([10])}
        wanted = plm.forward(plm.tokens([SEQUENCE]), edit=edit, logits=True).logits[0, 1:11]
        torch.testing.assert_close(found[row], wanted, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_recurrent_edits_agree_at_the_first_changed_residue_and_part_later() -> None:
    plm = tiny(n_layers=1)
    at = layer_with_sae(plm, 1)
    intervention = Intervention(at, [Change(3, "clamp", 1.0, (4,))])
    outside = steered_logits([intervention], SEQUENCE)[0]
    inside = steered_logits([intervention], SEQUENCE, "recurrence")[0]
    plain = plm.forward(plm.tokens([SEQUENCE]), logits=True).logits[0, 1:]
    for found in (outside, inside):
        torch.testing.assert_close(found[:3], plain[:3])
    torch.testing.assert_close(outside[3], inside[3])
    torch.testing.assert_close(outside[4:], plain[4:])  # the output alone: later steps stay
    assert (inside[4:] - plain[4:]).abs().amax() > 1e-4


@torch.no_grad()
def test_inside_the_recurrence_every_later_step_starts_from_the_changed_state() -> None:
    """Against the recurrence run by hand, one step at a time."""
    plm = tiny(n_layers=1)
    at = layer_with_sae(plm, 1)
    change = Change(3, "clamp", 1.0)
    tokens = plm.tokens([SEQUENCE])

    def by_step(h: Tensor, position: int) -> Tensor:
        return by_hand(at, [change], h[0], True)[None] if position else h

    wanted = plm.forward(tokens, [1], step_edits={1: by_step}).representations[1]
    for lengths in ([10], None):
        step = Intervention(at, [change]).step_edit(lengths)
        found = plm.forward(tokens, [1], step_edits={1: step}).representations[1]
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_random_direction_makes_a_step_of_the_same_length() -> None:
    at = layer_with_sae(esm2())
    h = at.plm.forward(at.plm.tokens([SEQUENCE]), [2]).representations[2]
    rows = [[Change(3, "clamp", 2.0, direction=direction)] for direction in (None, 1, 1, 2)]
    moved = Intervention(at, rows).applied(h, [10])[:, 1:11] - h[:, 1:11]
    torch.testing.assert_close(moved.norm(dim=-1), moved[:1].norm(dim=-1).expand(4, -1))
    assert torch.equal(moved[1], moved[2])
    cosine = torch.cosine_similarity(moved[1, 0], moved[[0, 3], 0])
    assert bool((cosine.abs() < 0.9).all())


@torch.no_grad()
def test_sequences_of_other_lengths_keep_their_padding() -> None:
    plm = esm2()
    at = layer_with_sae(plm)
    both, lengths = ["MKVLA", SEQUENCE], [5, 10]
    rows = [[Change(2, "add", 1.0)], [Change(4, "ablate", positions=(9,))]]
    found = plm.forward(plm.tokens(both), [2], edits([Intervention(at, rows)], lengths)["edit"])
    plain = plm.forward(plm.tokens(both), [2]).representations[2]
    moved = (found.representations[2] != plain).any(-1)
    assert moved[0].nonzero().flatten().tolist() == [1, 2, 3, 4, 5]
    assert set(moved[1].nonzero().flatten().tolist()) <= {9}


def test_gradients_flow_to_the_state_below_an_edit() -> None:
    plm = esm2()
    at = layer_with_sae(plm)
    h = plm.forward(plm.tokens([SEQUENCE]), [2]).representations[2].detach().requires_grad_()
    changed = Intervention(at, [Change(3, "scale", 2.0)]).applied(h, [10])
    plm.forward(plm.tokens([SEQUENCE]), logits=True, given=(2, changed)).logits[0, 3, 5].backward()
    assert h.grad is not None and bool(h.grad.abs().sum() > 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: Intervention(at, []), "no change was given"),
        (lambda at: Intervention(at, [Change(12)]), "no feature 12; its features are 0 to 11"),
        (lambda at: Intervention(at, [Change(0)]), "feature 0 is dead: it never fires"),
        (lambda at: Intervention(at, [Change(1), Change(1)]), "feature 1 is changed twice"),
        (lambda at: Change(1, "boost"), "clamp, add, scale or ablate; feature 1 has 'boost'"),
        (lambda at: Change(1, "clamp", float("nan")), "must be a finite number; got nan"),
        (lambda at: Change(1, positions=(0,)), "counted from 1"),
        (lambda at: Change(1, positions=()), "at least one is needed"),
        (
            lambda at: steered_logits([Intervention(at, [Change(1, positions=(11,))])], SEQUENCE),
            "position 11 is outside the sequence, which has residues 1 to 10",
        ),
        (
            lambda at: steered_logits([Intervention(at, [Change(1)])], SEQUENCE, "recurrence"),
            "toy is not recurrent, so nothing can be changed inside",
        ),
        (lambda at: steered_logits([Intervention(at, [Change(1)])], "MK*"), "no token for '\\*'"),
        (
            lambda at: steered_logits([Intervention(at, [Change(1, "clamp", 1e38)])], SEQUENCE),
            "not finite under this change: feature 1, strength 1e\\+38; take a smaller",
        ),
        (lambda at: steered_logits([], SEQUENCE), "one intervention per layer is needed; got 0"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(make, message: str) -> None:
    at = layer_with_sae(esm2())
    at.maxima[0] = 0
    with pytest.raises(ValueError, match=message):
        make(at)


def test_masks_are_refused_by_a_model_without_any() -> None:
    at = layer_with_sae(tiny(n_layers=1), 1)
    with pytest.raises(ValueError, match="predicts the next residue and has no mask token"):
        steered_logits([Intervention(at, [Change(1)])], MASKED)


def test_an_sae_of_another_model_or_layer_is_refused() -> None:
    at = layer_with_sae(esm2())
    with pytest.raises(ValueError, match="was trained on 'toy', the PLM given is 'tiny'"):
        SteeredLayer(tiny(), at.sae, at.maxima)
    with pytest.raises(ValueError, match=r"shape \(12,\); got shape \(3,\)"):
        SteeredLayer(at.plm, at.sae, at.maxima[:3])


@pytest.mark.parametrize("make", [esm2, lambda: tiny(n_layers=2)])
@torch.no_grad()
def test_a_run_from_a_given_layer_equals_the_whole_run(make) -> None:
    plm = make()
    tokens = plm.tokens([SEQUENCE])
    every = list(range(plm.n_layers + 1))
    whole = plm.forward(tokens, every, logits=True)
    for layer in every:
        above = [n for n in every if n > layer]
        start = (layer, whole.representations[layer])
        found = plm.forward(tokens, above, logits=True, given=start)
        torch.testing.assert_close(found.logits, whole.logits)
        for n in above:
            torch.testing.assert_close(found.representations[n], whole.representations[n])


@pytest.mark.parametrize("make", [esm2, lambda: tiny(n_layers=2)])
def test_what_lies_below_a_given_layer_is_refused(make) -> None:
    plm = make()
    tokens = plm.tokens([SEQUENCE])
    h = plm.forward(tokens, [1]).representations[1]
    with pytest.raises(ValueError, match="layer 1 is given, so the run starts above it; layer 1"):
        plm.forward(tokens, [1, 2], given=(1, h))
    with pytest.raises(ValueError, match=r"the output of layer 1 of .* is \[B, T, "):
        plm.forward(tokens, [2], given=(1, h[..., :3]))
