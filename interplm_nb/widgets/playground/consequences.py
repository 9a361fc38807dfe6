"""What a mutation means to the model: its likelihood, and features lost and gained with nulls."""

from collections.abc import Sequence
from typing import Any

from interplm_nb.pipeline.encoder import Encoder
from interplm_nb.pipeline.steered_layer import layer_of
from interplm_nb.readers.variants import Mutation

SHOWN = 12
"""Features lost and gained that are listed: those that change most."""


def likelihood(encoder: Encoder, sequence: str, mutations: Sequence[Mutation]) -> str:
    """The log-likelihood ratio of the mutant and how it is taken, or why there is none."""
    from interplm_nb.steering.experiments.variants.likelihood import log_likelihood_ratios

    plm = encoder.plm
    try:
        nats = float(log_likelihood_ratios(plm, sequence, [tuple(mutations)])[0])
    except ValueError as error:
        return f"{plm.name} gives no likelihood of the mutant: {error}"
    exact = plm.objective == "next residue"
    how = "exact, of the whole sequence" if exact else "masked marginals"
    sign, side = ("−", "less") if nats < 0 else ("+", "more")
    return (
        f"To {plm.name}, the mutant is {side} likely than the reference: log-likelihood ratio "
        f"{sign}{abs(nats):.2f} nats ({how})."
    )


def lost_and_gained(encoder: Encoder, sequence: str, mutation: Mutation) -> dict[str, Any]:
    """One mutation compared with all others at its site, and with the same one at other sites.

    sentence; features: at most `SHOWN` rows of the experiment's table, the largest change first; n:
    how many there are; least: the change from which on a feature is lost or gained.
    """
    from interplm_nb.steering.experiments.variants.one_mutation import lost_and_gained
    from interplm_nb.steering.experiments.variants.settings import DEFAULTS

    found = lost_and_gained(layer_of(encoder), sequence, str(mutation))
    return {
        "sequence": sequence,
        "mutation": str(mutation),
        "sentence": found.sentence,
        "features": found.features.head(SHOWN).to_dicts(),
        "n": found.features.height,
        "least": DEFAULTS.least,
    }
