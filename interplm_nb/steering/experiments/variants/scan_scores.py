"""Every score of the variants of a scan: of the model, of dictionaries, and of letters alone."""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from interplm_nb.readers.variants import VariantScan
from interplm_nb.steering.experiments.variants.feature_changes import (
    Collected,
    FeatureChanges,
    Reader,
)
from interplm_nb.steering.experiments.variants.letters import (
    blosum62,
    hydropathy_change,
    position_means,
)
from interplm_nb.steering.experiments.variants.likelihood import (
    SequenceRatios,
    log_likelihood_ratios,
)
from interplm_nb.steering.experiments.variants.settings import VariantsSettings
from interplm_nb.steering.experiments.variants.variant_rows import batches, embedded
from interplm_nb.steering.steered_layer import SteeredLayer

MODEL, LETTERS, MEASURED = "model", "letters", "other scores"

Scores = dict[tuple[str, str], np.ndarray]
"""(source, score) -> float64 [n_variants]."""


class ScanScores(NamedTuple):
    """Scores, and by dictionary `FeatureChanges.summed`, float32 [n_variants, d_sae]."""

    scores: Scores
    summed: dict[str, np.ndarray]


def scan_scores(
    sources: Mapping[str, SteeredLayer],
    scan: VariantScan,
    settings: VariantsSettings,
    progress: bool,
) -> ScanScores:
    """Score all variants; the PLM reads each once for its likelihood and all dictionaries.

    `sources` are of one layer of one PLM, which a masked model's marginals run once more.
    """
    at = next(iter(sources.values()))
    plm, wild_type, variants = at.plm, scan.wild_type, scan.variants
    resumes = plm.recurrent and plm.objective == "next residue" and plm.has_logits
    ratios = SequenceRatios(plm, wild_type, variants) if resumes else None
    layers = list({at.layer, plm.n_layers} if ratios else {at.layer})
    readers = {name: Reader(one, wild_type) for name, one in sources.items()}
    states = embedded(plm, wild_type, [at.layer])[at.layer]
    found: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(len(variants)))
    summed = {
        name: np.zeros((len(variants), one.sae.d_sae), np.float32) for name, one in sources.items()
    }
    for index, rows in batches(plm, wild_type, variants, layers, progress):
        these = [variants[i] for i in index]
        collected = {
            name: Collected(these, one.sae.d_sae, len(wild_type)) for name, one in sources.items()
        }
        for part in rows:
            if ratios:
                ratios.add(index, part)
            moved = (part.layers[at.layer] - states[part.residue]).norm(dim=1).cpu().numpy()
            np.add.at(found[MODEL, "distance_of_states"], index[part.variant], moved)
            for name, reader in readers.items():
                collected[name].add(reader.entries(part))
        for name, one in collected.items():
            changes = one.changes()
            summed[name][index] = changes.summed
            for score, values in _of_features(changes, settings.least).items():
                found[name, score][index] = values
    likelihood: Scores = {}
    if ratios:
        likelihood[MODEL, "log_likelihood_ratio"] = ratios.ratios
        likelihood[MODEL, "ratio_at_first_site"] = ratios.at_site
    elif plm.objective is not None and plm.has_logits:
        likelihood[MODEL, "log_likelihood_ratio"] = log_likelihood_ratios(
            plm, wild_type, variants, settings.method
        )
    return ScanScores({**likelihood, **found, **_without_model(scan)}, summed)


def _of_features(changes: FeatureChanges, least: float) -> dict[str, np.ndarray]:
    at_site, elsewhere = changes.n_changed(least).T
    whole = changes.anywhere()
    return {
        "features_changed": whole.n_changed(least)[:, 0],
        "features_changed_at_the_site": at_site,
        "features_changed_elsewhere": elsewhere,
        "features_lost": whole.n_lost(least)[:, 0],
        "features_gained": whole.n_gained(least)[:, 0],
        "absolute_change": changes.absolute,
        "net_change": changes.summed.sum(axis=1),
    }


def _without_model(scan: VariantScan) -> Scores:
    return {
        (LETTERS, "blosum62"): blosum62(scan.variants),
        (LETTERS, "hydropathy_change"): hydropathy_change(scan.variants),
        (LETTERS, "n_mutations"): np.array([len(v) for v in scan.variants], np.float64),
        (LETTERS, "first_position"): np.array([v[0].position for v in scan.variants], np.float64),
        (MEASURED, "position_mean"): position_means(scan.variants, scan.scores),
    }
