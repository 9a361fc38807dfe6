"""Statistics of features as one writes them down: a loop over features and proteins."""

from typing import Any

import numpy as np
from scipy import stats

from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.proteins import Proteins


def plain_statistics(
    column: np.ndarray, proteins: Proteins, threshold: float, accessions: list[str]
) -> dict[str, Any]:
    """Columns of `features.statistics.STATISTICS` of one feature, float32 [n_residues], without
    its number and class of density."""
    tracks, letters = [], []
    for accession in accessions:
        track = column[proteins.rows(accession)]
        tracks.append(np.where(track > threshold, track, 0))
        letters.append(proteins.letters[proteins.rows(accession)])
    every = np.concatenate(tracks)
    values = every[every > 0].astype(np.float64)
    present = [track for track in tracks if track.any()]
    found: dict[str, Any] = {
        "n_active": len(values),
        "density": len(values) / len(every),
        "n_proteins": len(present),
        "protein_frequency": len(present) / len(tracks),
        "maximum": every.max(),
    }
    if not len(values):
        return found
    found["share_when_present"] = np.mean([(track > 0).mean() for track in present])
    found["mean_active"] = values.mean()
    for q in (25, 50, 75, 95):
        found[f"quantile_{q}"] = np.percentile(values, q)
    found["protein_entropy"] = stats.entropy([track.sum() for track in present], base=2)
    text = np.concatenate(letters)
    background = np.array([(text == ord(a)).sum() for a in AMINO_ACIDS])
    mass = np.array([every[text == ord(a)].sum(dtype=np.float64) for a in AMINO_ACIDS])
    if mass.any():
        found["amino_acid_entropy"] = stats.entropy(mass, base=2)
        found["amino_acid_information"] = stats.entropy(mass, background, base=2)
        found["top_amino_acid"] = AMINO_ACIDS[mass.argmax()]
        found["top_amino_acid_share"] = mass.max() / mass.sum()
    near, chance, places = [], [], []
    for track in present:
        n, position = len(track), int(track.argmax()) + 1
        near.append(position <= 5 or n - position < 5)
        chance.append(min(10, n) / n)
        places.append((position - 0.5) / n)
    found["share_near_ends"] = np.mean(near)
    found["near_ends_by_chance"] = np.mean(chance)
    found["mean_position"] = np.mean(places)
    test: Any = stats.ks_1samp(places, stats.uniform.cdf)
    found["position_bias"] = test.statistic
    found["position_bias_by_chance"] = stats.kstwobign.mean() / np.sqrt(len(places))
    runs = []
    for track in present:
        ends = np.flatnonzero(np.diff(np.concatenate([[False], track > 0, [False]])))
        runs += (ends[1::2] - ends[::2]).tolist()
    found |= {"n_runs": len(runs), "mean_run": np.mean(runs), "longest_run": max(runs)}
    return found
