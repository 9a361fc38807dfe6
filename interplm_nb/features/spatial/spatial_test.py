"""Is a feature's activation arranged in space, or along the sequence?

Around a feature's maximum in a protein, p = argmax a, its score is the mean activation of the
neighbours of p, in the sequence or in space. Scores are compared with those of a null model, over
all proteins in which the feature fires above `FIRES`.

`published` is InterPLM's test (Simon & Zou 2025): structures in which every residue has
coordinates; neighbours in the sequence at most 2 away, neighbours in space within 6 angstrom
(neighbours in the sequence are among them); the null is the mean score over 5 permutations of the
protein's activations, around the same place. A paired t-test of scores and null, Cohen's d = mean /
standard deviation of the differences, Bonferroni over the features tested. At least 25 proteins, of
which at most 100 are drawn.

`strict` asks more. A helix or a domain is close in space because it is close in the sequence, and a
permutation destroys both. So neighbours in space must be at least 6 residues apart (and again, at
least 12), and the null moves the whole track of activations along the chain, circularly, its
maximum with it: runs and periods stay, and only the fold is another. For neighbours in the
sequence, which such a move does not change, the place stays and the track moves under it.
Structures may be incomplete: a protein is its residues with coordinates. Residues of models with a
pLDDT under 70 are left out.

    p = (1 + draws in which the mean over proteins is at least the observed) / (1 + draws)

and Benjamini and Hochberg over the features tested.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.spatial.neighbours import SEQUENCE, SPACE, SPACE_6, SPACE_12, Neighbours
from interplm_nb.features.spatial.published import published
from interplm_nb.features.spatial.strict import strict
from interplm_nb.readers.residue_coordinates import ResidueCoordinates

Convention = Literal["strict", "published"]

FIRES = 0.6
"""Share of its maximum that a feature must exceed in a protein."""
MIN_PROTEINS = 25
"""Fewer proteins are not tested."""
MIN_PLDDT = 70.0
"""`strict` leaves out residues of models with less confidence; AlphaFold DB calls these low."""

KINDS: dict[Convention, tuple[Neighbours, ...]] = {
    "published": (SEQUENCE, SPACE),
    "strict": (SEQUENCE, SPACE_6, SPACE_12),
}

SPATIAL: dict[str, Any] = {
    "feature": pl.UInt32,
    "neighbours": pl.String,
    "n_proteins": pl.UInt32,
    "score": pl.Float64,
    "by_chance": pl.Float64,
    "cohen_d": pl.Float64,
    "p_value": pl.Float64,
    "p_adjusted": pl.Float64,
}
"""Columns of `SpatialTest.table`, a row per feature and kind of neighbours.

`n_proteins`: in which the feature fires and its maximum has such neighbours. `score` and
`by_chance`: means over the proteins tested, in unit "max". `cohen_d`: mean / standard deviation
(n - 1) of score less chance, null where that does not vary; the t-test of `published` has no p
then. All are null below the least number of proteins.
"""


@dataclass(frozen=True)
class SpatialTest:
    """What `spatial_test` found."""

    convention: Convention
    table: pl.DataFrame
    """Columns of `SPATIAL`."""
    n_structures: int
    """Structures that were used; `published` takes complete ones alone."""
    min_proteins: int
    """Proteins that a feature had to fire in."""
    draws: int | None = None
    """Of `strict`: shifts drawn, so that no p is under 1 / (1 + draws)."""

    def tested(self, neighbours: str) -> pl.DataFrame:
        """The features with enough proteins, by one kind of neighbours."""
        return self.table.filter(
            pl.col("neighbours") == neighbours, pl.col("n_proteins") >= self.min_proteins
        )

    def passing(self, neighbours: str, alpha: float = 0.05) -> pl.DataFrame:
        """The tested features whose adjusted p is under `alpha`, with more than by chance."""
        return self.tested(neighbours).filter(
            pl.col("p_adjusted") < alpha, pl.col("score") > pl.col("by_chance")
        )

    def by_feature(self) -> pl.DataFrame:
        """One row per feature: feature, then score, cohen_d and p_adjusted of each kind, named
        `cohen_d, space` and so on."""
        kinds = [kind.name for kind in KINDS[self.convention]]
        columns = ("n_proteins", "score", "cohen_d", "p_adjusted")
        found = self.table.select("feature").unique().sort("feature")
        for kind in kinds:
            part = self.table.filter(neighbours=kind).select("feature", *columns)
            named = part.rename({column: f"{column}, {kind}" for column in columns})
            found = found.join(named, on="feature", how="left", maintain_order="left")
        return found

    def only_in_space(self, alpha: float = 0.05) -> list[int]:
        """Features that pass by the first kind of neighbours in space, and whose adjusted p by
        neighbours in the sequence is above `alpha`: the paper's "structural only"."""
        sequence, space, *_ = KINDS[self.convention]
        apart = self.tested(sequence.name).filter(pl.col("p_adjusted") > alpha)
        passed = self.passing(space.name, alpha)
        return passed.join(apart, on="feature", how="semi")["feature"].to_list()

    def least_to_pass(self, alpha: float = 0.05) -> int:
        """How many features must have the least p that the draws allow, for one of them to pass.

        1 or fewer: the draws do not limit what can be found.
        """
        if self.draws is None:
            return 1
        most = max(self.tested(kind.name).height for kind in KINDS[self.convention])
        return int(most / (alpha * (1 + self.draws))) + 1

    def sentence(self, alpha: float = 0.05) -> str:
        """How many features could be tested, and how many passed."""
        n = self.table["feature"].n_unique()
        complete = "complete " if self.convention == "published" else ""
        said = []
        for kind in KINDS[self.convention]:
            tested = self.tested(kind.name)
            some = self.passing(kind.name, alpha).height
            said.append(f"{kind.name}: {tested.height:,} of {n:,} features tested, {some:,} pass")
        if not (self.table["n_proteins"] >= self.min_proteins).any():
            return (
                f"0 of {n:,} features fire above {FIRES:g} of their maximum in "
                f"{self.min_proteins} proteins with a {complete}structure "
                f"(of {self.n_structures:,} available), so none is tested; give more structures"
            )
        least = self.least_to_pass(alpha)
        limit = (
            f". No p is under 1 / {1 + (self.draws or 0):,}, so that fewer than {least:,} features "
            "cannot pass: ask for more draws"
            if least > 1
            else ""
        )
        return (
            f"{self.convention}, {self.n_structures:,} {complete}structures; features are tested "
            f"that fire in {self.min_proteins} or more, and pass with an adjusted p under "
            f"{alpha:g} and more than by chance. {'; '.join(said)}{limit}"
        )


def spatial_test(
    activations: FeatureActivations,
    coordinates: ResidueCoordinates,
    convention: Convention = "strict",
    features: np.ndarray | None = None,
    *,
    min_proteins: int = MIN_PROTEINS,
    draws: int = 1_000,
    min_plddt: float = MIN_PLDDT,
    seed: int = 0,
) -> SpatialTest:
    """Test whether features' activations are arranged in space and along the sequence.

    Parameters
    ----------
    activations
        In unit "max".
    coordinates
        Of the same proteins.
    convention
        "strict" or "published"; the module says what they are.
    features
        int [n]; None: all.
    min_proteins
        Features that fire in fewer proteins are in the table, untested.
    draws, min_plddt
        Of `strict`: shifts drawn in each protein, and the least confidence of a model's residue. Of
        m features that are tested, one alone passes only with 20 m draws or more.
    seed
        Equal seeds give equal results.

    Returns
    -------
    SpatialTest
        A feature with fewer proteins than 25 has null figures; the table says in how many it fires.

    Raises
    ------
    ValueError
        For another unit, other proteins, or features that are not there.

    Examples
    --------
    >>> from interplm_nb.proteins import Proteins
    >>> proteins = Proteins.from_sequences({"P1": "MKV"})
    >>> activations = FeatureActivations.from_dense(np.eye(3)[:, :2], proteins, unit="max")
    >>> found = spatial_test(activations, ResidueCoordinates.of(proteins, {}))
    >>> found.sentence()[:67]
    '0 of 2 features fire above 0.6 of their maximum in 25 proteins with'
    """
    _check(activations, coordinates)
    chosen = np.arange(activations.n_features) if features is None else np.unique(features)
    if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < activations.n_features:
        raise ValueError(
            f"features are numbered 0 to {activations.n_features - 1}; got {chosen[0]} to "
            f"{chosen[-1]}"
        )
    kinds = KINDS[convention]
    if convention == "published":
        where = coordinates.complete
        parts = published(activations, coordinates, kinds, chosen, FIRES, min_proteins, seed)
    else:
        coordinates = coordinates.confident(min_plddt)
        where = coordinates.accessions
        parts = strict(activations, coordinates, kinds, chosen, FIRES, min_proteins, draws, seed)
    order = {kind.name: i for i, kind in enumerate(kinds)}
    table = pl.concat(parts).select(pl.col(c).cast(t) for c, t in SPATIAL.items())
    table = table.sort("feature", pl.col("neighbours").replace_strict(order))
    drawn = draws if convention == "strict" else None
    return SpatialTest(convention, table, len(where), min_proteins, drawn)


def _check(activations: FeatureActivations, coordinates: ResidueCoordinates) -> None:
    if activations.unit != "max":
        raise ValueError(
            f"the test takes shares of each feature's maximum (unit 'max'), and these activations "
            f"have unit {activations.unit!r}; pass activations.relative_to(maxima)"
        )
    if activations.proteins.sequence_hash != coordinates.proteins.sequence_hash:
        raise ValueError(
            f"the activations are of {activations.proteins}, the coordinates of "
            f"{coordinates.proteins}; make both of the same proteins"
        )
