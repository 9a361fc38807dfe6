"""Drawn sequences: against a plain loop over the model, and within what was asked for."""

import numpy as np
import pytest
import torch

from interplm_nb.plm.residue_tokens import STANDARD
from interplm_nb.steering.generate import Lane, Sampling, Unmasking, sample, unmask
from interplm_nb.steering.intervene import MASK, Change, Intervention
from tests.plm.tiny_unirep import tiny
from tests.steering.test_intervene import esm2, layer_with_sae

STEERED = (Change(3, "clamp", 1.5), Change(7, "add", 0.5, positions=(2, 4)))


def drawn_by_hand(at, lane: Lane, number: int, how: Sampling) -> str:
    """One sequence, with a whole forward pass for each residue."""
    plm = at.plm
    classes = plm.classes(plm.tokens([how.letters]))[0, 1:].tolist()
    uniform = np.random.default_rng([how.seed, number]).random(how.length)
    sequence = how.prefix
    while len(sequence) < how.length:
        tokens = plm.tokens([sequence])
        one = Intervention(at, [lane.changes]) if lane.changes else None
        edits = {}
        if one and sequence:
            inside = lane.where == "recurrence"
            # No lengths: a change of a later position is not there yet.
            step = one.step_edit()
            if inside:
                edits = {"step_edits": {at.layer: step}}
            else:
                edits = {
                    "edit": {
                        at.layer: lambda h, step=step: torch.stack(
                            [step(h[:, t], t) for t in range(h.shape[1])], 1
                        )
                    }
                }
        logits = plm.forward(tokens, logits=True, **edits).logits[0, -1].double()
        allowed = classes + ([plm.stop_class] if how.stop else [])
        p = (logits[allowed] / how.temperature).softmax(-1).numpy()
        place = int((np.cumsum(p) <= uniform[len(sequence)]).sum())
        if place == len(how.letters):
            break
        sequence += how.letters[place]
    return sequence


@pytest.mark.parametrize(
    "how",
    [
        Sampling(12, 0.8, seed=3),
        Sampling(12, 1.3, prefix="MKV"),
        Sampling(60, stop=True),
        Sampling(9, letters="ACWX"),
    ],
)
@pytest.mark.parametrize("n_layers", [1, 2])
@torch.no_grad()
def test_every_lane_is_drawn_as_if_alone(how: Sampling, n_layers: int) -> None:
    at = layer_with_sae(tiny(n_layers=n_layers), 1)
    lanes = [Lane(), Lane(STEERED, "recurrence"), Lane(STEERED, "output")]
    found = sample(at, lanes, 3, how)
    assert found == [[drawn_by_hand(at, lane, i, how) for i in range(3)] for lane in lanes]
    if how.stop:
        assert any(len(sequence) < how.length for lane in found for sequence in lane)
    else:
        assert {len(sequence) for lane in found for sequence in lane} == {how.length}
    assert {letter for lane in found for sequence in lane for letter in sequence} <= set(
        how.letters
    ) | set(how.prefix)


def test_a_lane_does_not_depend_on_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    at = layer_with_sae(tiny(n_layers=1), 1)
    steered = Lane(STEERED, "recurrence")
    alone = sample(at, [steered], 3, Sampling(20))
    monkeypatch.setattr("interplm_nb.steering.generate.SIDE_BY_SIDE", 2)
    assert sample(at, [Lane(), steered, Lane(STEERED)], 3, Sampling(20))[1:2] == alone


def test_temperature_0_takes_the_most_probable_residue() -> None:
    at = layer_with_sae(tiny(n_layers=1), 1)
    (one, other), (cold, _) = (
        sample(at, [Lane()], 2, Sampling(15, t, seed=s))[0] for t, s in ((0, 1), (1e-6, 2))
    )
    assert one == other == cold


@torch.no_grad()
def masked_by_hand(at, changes, number: int, how: Unmasking, length: int) -> str:
    """One sequence, filled in pass by pass with loops over the masks."""
    plm = at.plm
    classes = plm.classes(plm.tokens([STANDARD]))[0, 1:-1].tolist()
    uniform = np.random.default_rng([how.seed, number]).random((how.steps + 1) * length)
    uniform = uniform.reshape(how.steps + 1, length)
    letters = ["" if c == "\n" else c for c in how.template.replace(MASK, "\n")]
    n_masks = letters.count("")
    for step in range(how.steps):
        tokens = plm.tokens(["".join(c or MASK for c in letters)])
        edit = {at.layer: Intervention(at, changes).edit([length])} if changes else {}
        logits = plm.forward(tokens, edit=edit, logits=True).logits[0, 1:-1].double()
        drawn = {}
        for i in (i for i, c in enumerate(letters) if not c):
            p = (logits[i, classes] / how.temperature).softmax(-1).numpy()
            place = min(int((np.cumsum(p) <= uniform[step, i]).sum()), 19)
            worth = p[place] if how.order == "confidence" else uniform[how.steps, i]
            drawn[i] = (-worth, STANDARD[place])
        left = n_masks - round(n_masks * (step + 1) / how.steps)
        for i in sorted(drawn, key=lambda i: drawn[i][0])[: letters.count("") - left]:
            letters[i] = drawn[i][1]
    return "".join(letters)


@pytest.mark.parametrize("order", ["confidence", "random"])
@pytest.mark.parametrize("steps", [1, 4, 30])
def test_masks_are_filled_in_as_by_hand(order, steps: int) -> None:
    at = layer_with_sae(esm2())
    template = f"MK{MASK * 4}XGA{MASK * 3}"
    how = Unmasking(template, 0.7, order, steps, seed=2)
    lanes = [Lane(), Lane(STEERED)]
    found = unmask(at, lanes, 3, how)
    assert found == [
        [masked_by_hand(at, lane.changes, i, how, 12) for i in range(3)] for lane in lanes
    ]
    for sequence in (sequence for lane in found for sequence in lane):
        assert sequence[:2] == "MK" and sequence[6:9] == "XGA"
        assert set(sequence[2:6] + sequence[9:]) <= set(STANDARD)


RECURRENT = layer_with_sae(tiny(n_layers=1), 1)
MASKED = layer_with_sae(esm2())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sampling(5, prefix="MKVLA"), "leaves nothing to draw after a prefix of 5"),
        (lambda: Sampling(temperature=-1), "a finite number of 0 or more; got -1"),
        (lambda: Unmasking("MKV"), "the template has no <mask>"),
        (lambda: Unmasking(MASK, steps=0), "steps must be 1 or more; got 0"),
        (lambda: Unmasking(MASK, order="left"), "the order is confidence or random; got 'left'"),
        (
            lambda: sample(MASKED, [Lane()], 1, Sampling(5)),
            "toy does not predict the next residue step by step.*use unmask",
        ),
        (
            lambda: unmask(RECURRENT, [Lane()], 1, Unmasking(MASK)),
            "tiny predicts the next residue and has no mask token",
        ),
        (
            lambda: unmask(MASKED, [Lane(STEERED, "recurrence")], 1, Unmasking(MASK * 5)),
            "toy has no recurrence to change",
        ),
        (
            lambda: sample(RECURRENT, [Lane((Change(1, positions=(9,)),))], 1, Sampling(5)),
            "feature 1: position 9 is outside the sequences, which have residues 1 to 5",
        ),
        (
            lambda: sample(RECURRENT, [Lane()], 1, Sampling(5, letters="AB*")),
            "letters to draw must be among those of tiny.*got 'AB\\*'",
        ),
        (
            lambda: sample(RECURRENT, [Lane()], 1, Sampling(5, letters="ABX")),
            "are one class for tiny",
        ),
        (
            lambda: sample(
                RECURRENT, [Lane((Change(1, "clamp", 1e38),), "recurrence")], 1, Sampling(5)
            ),
            "not finite under this change: feature 1, strength 1e\\+38; take a smaller",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
