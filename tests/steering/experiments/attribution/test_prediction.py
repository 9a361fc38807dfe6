"""What is attributed: each metric by its definition, on both objectives."""

import pytest
import torch

from interplm_nb.steering.experiments.attribution.prediction import (
    AMINO_ACIDS,
    Prediction,
    PredictionSettings,
)
from tests.plm.tiny_unirep import IDS, tiny
from tests.steering.test_intervene import SEQUENCE, esm2

UNIREP = {letter: i - 1 for letter, i in IDS.items()}
ESM2 = {letter: i for i, letter in enumerate("LAGVSERTIDPKQNFYMHWCXBUZO", 4)}


@pytest.mark.parametrize("make", [esm2, lambda: tiny(n_layers=1)])
@pytest.mark.parametrize("metric", ["log probability", "logit"])
@torch.no_grad()
def test_a_residue_at_a_position_is_what_the_model_predicts_there(make, metric: str) -> None:
    plm = make()
    settings = PredictionSettings(metric=metric, position=4, residue="W")
    prediction = Prediction(plm, SEQUENCE, settings)
    masked = plm.objective == "masked"
    read = "MKV<mask>AGHWTC" if masked else SEQUENCE
    logits = plm.forward(plm.tokens([read]), logits=True).logits[0, 4 if masked else 3].double()
    known = ESM2 if masked else UNIREP
    wanted = {
        "log probability": logits.log_softmax(0)[known["W"]],
        "logit": logits[known["W"]] - logits[[known[letter] for letter in AMINO_ACIDS]].mean(),
    }[metric]
    found = plm.forward(prediction.tokens, logits=True).logits[:, prediction.residues]
    torch.testing.assert_close(prediction.of(found)[0], wanted)
    assert prediction.words == f"{metric} of W at position 4"
    assert prediction.letters == (["M", "K", "V", "<mask>", *"AGHWTC"] if masked else [*"MKV"])


@torch.no_grad()
def test_the_log_likelihood_is_of_every_residue_that_the_model_predicts() -> None:
    plm = tiny(n_layers=1)
    prediction = Prediction(plm, SEQUENCE, PredictionSettings(metric="log-likelihood"))
    logits = plm.forward(prediction.tokens, logits=True).logits[0]
    log_p = logits.double().log_softmax(-1)
    wanted = sum(log_p[i, UNIREP[letter]] for i, letter in enumerate(SEQUENCE) if i > 0)
    torch.testing.assert_close(prediction.of(logits[None, 1:])[0], wanted)

    plm = esm2()
    with_mask = "MKV<mask>AGHWTC"
    prediction = Prediction(plm, with_mask, PredictionSettings(metric="log-likelihood"))
    log_p = plm.forward(prediction.tokens, logits=True).logits[0, 1:11].double().log_softmax(-1)
    wanted = sum(log_p[i, ESM2[letter]] for i, letter in enumerate(SEQUENCE) if i != 3)
    found = plm.forward(prediction.tokens, logits=True).logits[:, prediction.residues]
    torch.testing.assert_close(prediction.of(found)[0], wanted)


def test_the_residue_is_the_sequences_own_unless_given() -> None:
    assert Prediction(esm2(), SEQUENCE, PredictionSettings(position=5)).residue == "A"


@pytest.mark.parametrize(
    ("make", "sequence", "settings", "message"),
    [
        (esm2, SEQUENCE, {}, "the log probability is of a residue at a position; give position"),
        (esm2, SEQUENCE, {"position": 11}, "position 11 is outside the sequence, .* 1 to 10"),
        (tiny, SEQUENCE, {"position": 1}, "predicts position 1 from no residue"),
        (esm2, "M<mask>A", {"position": 2}, "position 2 is masked; give the residue"),
        (tiny, "M<mask>A", {"position": 2}, "has no mask token"),
        (esm2, SEQUENCE, {"position": 2, "residue": "*"}, "no token for '\\*'"),
        (esm2, SEQUENCE, {"metric": "log-likelihood", "position": 2}, "is of the whole sequence"),
        (tiny, "M", {"metric": "log-likelihood"}, "needs residues to predict"),
    ],
)
def test_a_prediction_that_does_not_exist_is_refused(make, sequence, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        Prediction(make(), sequence, PredictionSettings(**settings))


def test_a_model_without_its_head_is_refused() -> None:
    plm = esm2()
    for name in [name for name in plm._weights if name.startswith("lm_head")]:
        del plm._weights[name]
    with pytest.raises(ValueError, match="predicts no residues, so there is no prediction"):
        Prediction(plm, SEQUENCE, PredictionSettings(position=2))
