"""From residues to proteins: each feature's maximum, mean or share over a protein."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.activations import ORIGIN, FeatureActivations
from interplm_nb.activations_writer import shape_of
from interplm_nb.concepts.source import Matrix, Source, joined, stacked
from interplm_nb.proteins import Proteins

if TYPE_CHECKING:
    import anndata  # pyright: ignore[reportMissingImports]

Pool = Literal["max", "mean", "share"]
"""How a protein's residues become one value per feature: the maximum, the mean, or the share of
residues on which the feature is active."""


@dataclass(frozen=True, eq=False)
class PooledFeatures:
    """One value per protein and feature; rows and columns are named. Made by `pool`.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> pooled = ipn.pool(ipn.Run.open("runs/demo").activations(), how="max")
    >>> isinstance(pooled, ipn.PooledFeatures), pooled.how, pooled.unit
    (True, 'max', 'raw')
    """

    proteins: Proteins
    """The proteins of the rows, in the order of the residue axis."""
    features: np.ndarray
    """int64 [n_features]: the number of each column's feature."""
    values: Matrix
    """float32 [n_proteins, n_features]: csr, or ndarray for a dense source."""
    how: Pool
    unit: str
    """"raw" or "max", of the activations; a share is a share in either."""
    above: float = 0.0
    """A share counts residues strictly above this."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """plm, plm_revision, layer and sae (the hash of its weights), where the source says so, and
    scale: the hash of the maxima that values of unit "max" are fractions of."""

    @property
    def accessions(self) -> list[str]:
        """Accession of each row."""
        return self.proteins.accessions

    def __repr__(self) -> str:
        n, m = shape_of(self.values)
        return f"PooledFeatures({n:,} proteins x {m:,} features, {self.how}, unit {self.unit!r})"

    def select(self, accessions: Collection[str]) -> Self:
        """Only these proteins, in the order of the residue axis.

        ValueError for one that is not pooled.
        """
        missing = [accession for accession in accessions if accession not in self.proteins]
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(accessions)} proteins, such as {missing[0]!r}, are not "
                f"among {self!r}; pool them too, or leave them out of the splits"
            )
        places = np.sort(np.array([self.proteins.index(a) for a in accessions], np.int64))
        kept = self.proteins.select(accessions)
        return replace(self, proteins=kept, values=self.values[places])

    def to_frame(self, features: Collection[int] | None = None) -> pl.DataFrame:
        """A column `accession`, and one per feature (None: all), named by its number: float32.

        ValueError for a feature that is not here.
        """
        wanted = self.features.tolist() if features is None else list(features)
        place = {feature: i for i, feature in enumerate(self.features.tolist())}
        strange = [feature for feature in wanted if feature not in place]
        if strange:
            raise ValueError(f"no feature {strange[0]} among these {len(place):,} features")
        values = self.values[:, [place[feature] for feature in wanted]]
        dense = values if isinstance(values, np.ndarray) else values.toarray()
        columns = {str(f): dense[:, i] for i, f in enumerate(wanted)}
        return pl.DataFrame({"accession": self.accessions, **columns})

    def to_anndata(self) -> "anndata.AnnData":
        """Proteins as observations, features as variables, the rest in `uns["interplm_nb"]`.

        Takes the extra `anndata`; ModuleNotFoundError without it.
        """
        try:
            import anndata  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "to_anndata takes the package anndata, which is not installed: pip install "
                "'interplm-nb[anndata]', or use to_frame",
                name="anndata",
            ) from error
        import pandas as pd
        from scipy.sparse import csr_matrix

        values = self.values
        numbers = [str(feature) for feature in self.features]
        # Indices of objects: a file of pandas' own strings is one that older readers refuse.
        said = {name: value for name, value in self.about.items() if value is not None}
        about = {"how": self.how, "unit": self.unit, "above": self.above, **said}
        return anndata.AnnData(
            X=values if isinstance(values, np.ndarray) else csr_matrix(values),
            obs=pd.DataFrame(index=pd.Index(self.accessions, dtype=object, name="accession")),
            var=pd.DataFrame(index=pd.Index(numbers, dtype=object, name="feature")),
            uns={"interplm_nb": about},
        )


def pool(
    activations: Source,
    how: Pool = "max",
    accessions: Collection[str] | None = None,
    above: float = 0.0,
) -> PooledFeatures:
    """Pool features over the residues of each protein.

    A store is read by blocks of whole proteins, about 4 million entries at a time.

    Parameters
    ----------
    activations
        `FeatureActivations` in either unit, or a dense source such as `run.scored("neurons",
        "strict")`.
    how
        "max": the largest value on a residue. "mean": the mean over all residues, silent ones
        too. "share": the share of residues on which the feature is active.
    accessions
        The proteins to pool; None: all.
    above
        A share counts residues strictly above this value, in the unit of the activations; 0 or
        more.

    Returns
    -------
    PooledFeatures
        Proteins x features, sparse where the activations are; rows in the order of the residue
        axis.

    Raises
    ------
    ValueError
        For another `how`, or `above` below 0.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> proteins = ipn.Proteins.from_sequences({"P1": "MKV", "P2": "GA"})
    >>> values = np.array([[0, 2], [0, 4], [0, 0], [1, 0], [0, 1]])
    >>> activations = ipn.FeatureActivations.from_dense(values, proteins)
    >>> ipn.pool(activations).to_frame().rows()
    [('P1', 0.0, 4.0), ('P2', 1.0, 1.0)]
    >>> ipn.pool(activations, how="mean").to_frame().rows()
    [('P1', 0.0, 2.0), ('P2', 0.5, 0.5)]
    """
    if how not in get_args(Pool):
        raise ValueError(f"how must be {', '.join(get_args(Pool))}, not {how!r}")
    if not above >= 0:
        raise ValueError(f"a share counts residues above 0 or more, not above {above}")
    proteins = activations.proteins
    wanted = proteins.accessions if accessions is None else list(dict.fromkeys(accessions))
    parts = list(_parts(activations, wanted, how, above))
    empty = csr_array((0, activations.n_features), dtype=np.float32)
    return PooledFeatures(
        proteins.select(wanted),
        np.arange(activations.n_features, dtype=np.int64),
        stacked(parts) if parts else empty,
        how,
        activations.unit,
        above,
        _about(activations),
    )


def _about(source: Source) -> dict[str, Any]:
    if not isinstance(source, FeatureActivations):
        return {}
    known = {name: source.about[name] for name in ORIGIN if name in source.about}
    return known | {"scale": source.scale}


def _parts(
    source: Source, accessions: Collection[str], how: Pool, above: float
) -> Iterator[Matrix]:
    for rows, values in joined(source, accessions):
        firsts = np.flatnonzero(np.isin(rows, source.proteins.offsets[:-1]))
        lengths = np.diff(np.append(firsts, len(rows)))
        if isinstance(values, np.ndarray):
            yield _dense(values, firsts, lengths, how, above)
        else:
            yield _sparse(values, lengths, how, above)


def _dense(
    values: np.ndarray, firsts: np.ndarray, lengths: np.ndarray, how: Pool, above: float
) -> np.ndarray:
    if how == "max":
        return np.maximum.reduceat(values, firsts, axis=0)
    summed = values > above if how == "share" else values
    sums = np.add.reduceat(summed, firsts, axis=0, dtype=np.float64)
    return (sums / lengths[:, None]).astype(np.float32)


def _sparse(values: csr_array, lengths: np.ndarray, how: Pool, above: float) -> csr_array:
    n, n_features = len(lengths), shape_of(values)[1]
    protein = np.repeat(np.repeat(np.arange(n), lengths), np.diff(values.indptr))
    data, feature = values.data, values.indices
    if how == "share":
        on = data > above
        data, feature, protein = on[on], feature[on], protein[on]
    key = protein * n_features + feature
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    if not len(starts):
        return csr_array((n, n_features), dtype=np.float32)
    if how == "max":
        pooled = np.maximum.reduceat(data[order], starts)
    else:
        sums = np.add.reduceat(data[order], starts, dtype=np.float64)
        pooled = (sums / lengths[key[starts] // n_features]).astype(np.float32)
    rows, columns = np.divmod(key[starts], n_features)
    indptr = np.searchsorted(rows, np.arange(n + 1))
    return csr_array((pooled, columns.astype(np.int32), indptr.astype(np.int32)), (n, n_features))
