"""Which measures of fidelity a PLM has, by what it declares. Imports no torch."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM
    from interplm_nb.plm.record import ModelRecord

Measure = Literal[
    "strict",
    "including masked positions",
    "published",
    "next residue, output",
    "next residue, recurrence",
]
"""How fidelity is measured; `sae.evaluation.fidelity` says what each one is."""

COLUMNS: dict[Measure, str] = {
    "strict": "strict",
    "including masked positions": "including_masked",
    "published": "published",
    "next residue, output": "output",
    "next residue, recurrence": "recurrence",
}
"""The end of a measure's columns in tables: `loss_recovered_recurrence`."""

FIGURES = (
    "loss_recovered",
    "loss_recovered_low",
    "loss_recovered_high",
    "kl",
    "ce_original",
    "ce_sae",
    "ce_zero",
)
"""What is measured by each measure: fields of `Fidelity`, the starts of columns in tables."""

LEAST_COST = 0.01
"""Nats per residue that zeros at the layer must cost for the loss recovered to be defined: a share
of less than that is a share of noise."""


def measures_of(plm: "PLM | ModelRecord", layer: int) -> tuple[Measure, ...]:
    """The measures that exist for a layer of a model, the headline first; none where fidelity is
    absent (`why_absent`).

    A masked model: "strict", "including masked positions", "published". A next-residue model: "next
    residue, output", and for a recurrent layer "next residue, recurrence", which is the headline
    except of the last layer. The embedding, layer 0, carries nothing from step to step, so it has
    no recurrence to replace.
    """
    if why_absent(plm):
        return ()
    if plm.objective == "masked":
        return ("strict", "including masked positions", "published")
    if not plm.recurrent or layer == 0:
        return ("next residue, output",)
    if layer == plm.n_layers:
        return ("next residue, output", "next residue, recurrence")
    return ("next residue, recurrence", "next residue, output")


def why_absent(plm: "PLM | ModelRecord") -> str:
    """One sentence that says why fidelity cannot be measured on a model; "" where it can."""
    if plm.objective is None:
        return (
            f"fidelity is absent: {plm.name} is not known to predict residues, so there is no loss "
            "that an SAE could recover"
        )
    if not plm.has_logits:
        return (
            f"fidelity is absent: {plm.name} came without its head, so it predicts nothing; load "
            "it with its head to measure fidelity"
        )
    return ""
