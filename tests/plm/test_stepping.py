"""A sequence read residue by residue gives what one run over the whole of it gives."""

import pytest
import torch
from torch import Tensor

from interplm_nb.plm.stepping import Stepping
from interplm_nb.plm.unirep import UniRep
from tests.plm.tiny_unirep import tiny
from tests.plm.toy_esm2 import toy

SEQUENCES = ["MKVLAGHWTC", "MAAWXDEKRQ"]


def read(plm: UniRep, **edits) -> Tensor:
    """Logits [B, 1 + L, n_classes] of `SEQUENCES`, one step at a time."""
    tokens = plm.tokens(SEQUENCES)
    reading = plm.begin(len(tokens), **edits)
    logits = [reading.logits]
    for t in range(1, tokens.shape[1]):
        assert reading.n_residues == t - 1
        reading = plm.advance(reading, tokens[:, t], **edits)
        logits.append(reading.logits)
    return torch.stack(logits, 1)


@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@torch.no_grad()
def test_the_logits_are_those_of_the_whole_sequence(n_layers: int, dtype: str) -> None:
    plm = tiny(32, n_layers=n_layers, dtype=dtype)
    whole = plm.forward(plm.tokens(SEQUENCES), logits=True).logits
    torch.testing.assert_close(read(plm), whole)


def moved(h: Tensor, position: int) -> Tensor:
    """Every third position is moved, each sequence by another step."""
    return h + 0.3 * (position % 3 == 1) * torch.arange(1.0, 1 + len(h))[:, None]


@pytest.mark.parametrize("layer", [1, 2])
@torch.no_grad()
def test_an_edit_of_the_state_is_carried_on_as_in_forward(layer: int) -> None:
    plm = tiny(n_layers=2)
    found = read(plm, step_edits={layer: moved})
    whole = plm.forward(plm.tokens(SEQUENCES), logits=True, step_edits={layer: moved}).logits
    torch.testing.assert_close(found, whole)


@pytest.mark.parametrize("layer", [0, 1, 2])
@torch.no_grad()
def test_an_edit_of_the_output_leaves_the_layers_own_state(layer: int) -> None:
    plm = tiny(n_layers=2)

    def edit(h: Tensor) -> Tensor:
        return torch.stack([moved(h[:, t], t) for t in range(h.shape[1])], 1)

    found = read(plm, output_edits={layer: moved})
    whole = plm.forward(plm.tokens(SEQUENCES), edit={layer: edit}, logits=True).logits
    torch.testing.assert_close(found, whole)
    assert not torch.allclose(found, read(plm))


def test_the_embedding_has_no_state_to_edit() -> None:
    plm = tiny()
    with pytest.raises(ValueError, match="layer 3"):
        plm.begin(1, step_edits={3: moved})
    with pytest.raises(ValueError, match="layer 0 of tiny is the embedding, which has no steps"):
        plm.begin(1, step_edits={0: moved})


def test_only_a_model_that_reads_step_by_step_is_stepping() -> None:
    assert isinstance(tiny(), Stepping)
    assert not isinstance(toy(), Stepping)


def test_the_stop_class_is_the_last_of_the_head() -> None:
    assert tiny().begin(1).logits.shape[1] == tiny().stop_class + 1
