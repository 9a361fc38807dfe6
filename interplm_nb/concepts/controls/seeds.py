"""Several seeds of one control, whose figure is the mean over them."""

from collections.abc import Sequence

import numpy as np

from interplm_nb.concepts.intervals import ClusterCounts


def stacked(counts: Sequence[ClusterCounts]) -> ClusterCounts:
    """The counts of several seeds as those of one source, whose mean is the mean over seeds.

    Each concept has one pair per seed. A concept is in a resample for all seeds or for none, so
    the mean over all pairs is the mean over seeds of their mean best F1, on all clusters and
    within each resample of `interval` and `difference`.

    Parameters
    ----------
    counts : sequence of ClusterCounts
        Of the best pair of each concept, one per seed.

    Raises
    ------
    ValueError
        For seeds that were scored on other concepts or clusters than the first.
    """
    first = counts[0]
    for other in counts:
        if (other.concepts, other.clusters) != (first.concepts, first.clusters):
            raise ValueError(
                "seeds of a control must be scored on the same concepts and clusters, not "
                f"{len(first.concepts)} and {len(other.concepts)} concepts, {len(first.clusters)} "
                f"and {len(other.clusters)} clusters"
            )
    order = np.arange(len(counts) * len(first.concepts)).reshape(len(counts), -1).T.ravel()

    def joined(name: str) -> np.ndarray:
        """A field of the counts of all seeds, the seeds of a concept next to each other."""
        return np.concatenate([getattr(one, name) for one in counts])[order]

    features = [feature for one in counts for feature in one.features]
    return ClusterCounts(
        tuple(np.repeat(first.concepts, len(counts)).tolist()),
        tuple(features[i] for i in order),
        first.clusters,
        *(
            joined(name)
            for name in (
                "residue_level",
                "tp",
                "active",
                "instance_hits",
                "n_residues",
                "n_instances",
            )
        ),
    )
