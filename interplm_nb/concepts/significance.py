"""Which pairs beat chance on the test split: permutation tests against two null models."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from scipy.sparse import csc_array, vstack

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.measures import measures
from interplm_nb.concepts.nulls import Exchanged, Null, Places, Segments, Shifted
from interplm_nb.concepts.pairs import ChosenPairs
from interplm_nb.concepts.source import Source, joined

SIGNIFICANCE: dict[str, Any] = {
    "concept": pl.String,
    "feature": pl.UInt32,
    "threshold": pl.Float64,
    "f1_per_domain": pl.Float64,
    "shifted_f1_per_domain": pl.Float64,
    "exchanged_f1_per_domain": pl.Float64,
    "p_shifted": pl.Float64,
    "p_exchanged": pl.Float64,
    "q_value": pl.Float64,
}
"""Columns of `significance`."""

_PREFIX_BYTES = 64_000_000
"""Size limit of the running counts of a concept's pairs in memory at once."""

_PLACES = 500_000
"""Segments times draws placed at once."""


def significance(
    source: Source,
    annotations: Annotations,
    pairs: pl.DataFrame,
    clusters: pl.DataFrame,
    n_draws: int = 1000,
    seed: int = 0,
) -> pl.DataFrame:
    """Test each pair's f1_per_domain against rotated and exchanged label tracks.

        p = (1 + draws whose f1_per_domain is at least the observed) / (1 + draws)

    The two null models are `Shifted` and `Exchanged`. Every draw recomputes all counts: tp,
    instance hits, and (exchanged) the concept's residues and instances. The smallest p is
    1 / (1 + n_draws). Draws are the same for all pairs. Memory: 8 bytes per draw and protein, and
    the active residues of the pairs.

    Parameters
    ----------
    source : Source
        Values in unit "max".
    annotations : Annotations
        The labels, on the source's proteins.
    pairs : pl.DataFrame
        concept, feature (null: p is 1), threshold, chosen on other proteins.
    clusters : pl.DataFrame
        accession, cluster, of the test split.
    n_draws, seed : int
        Number of draws per null model, and their seed.

    Returns
    -------
    pl.DataFrame
        Columns of `SIGNIFICANCE`, one row per pair, in order. q_value is the false discovery rate
        (Benjamini and Hochberg 1995) over all pairs, of the larger p of the two null models: both
        must be beaten. shifted_f1_per_domain and exchanged_f1_per_domain are the means over draws:
        the F1 of chance.

    Raises
    ------
    ValueError
        Without draws or proteins, or if one cluster holds more than half of the proteins.

    Examples
    --------
    >>> from interplm_nb.activations import FeatureActivations
    >>> from interplm_nb.proteins import Proteins
    >>> proteins = Proteins.from_sequences({f"P{i}": "MKVLAGWEHK" for i in range(4)})
    >>> site = {"concept": "Site", "category": "Site", "level": "residue", "start": 3, "end": 3}
    >>> sites = [site | {"accession": f"P{i}", "instance": i} for i in range(2)]
    >>> annotations = Annotations(pl.DataFrame(sites), proteins)
    >>> values = np.zeros((40, 1))
    >>> values[[2, 12]] = 1.0  # position 3 of P0 and P1
    >>> source = FeatureActivations.from_dense(values, proteins, unit="max")
    >>> pairs = pl.DataFrame({"concept": ["Site"], "feature": [0], "threshold": [0.5]})
    >>> clusters = pl.DataFrame({"accession": proteins.accessions, "cluster": [0, 1, 2, 3]})
    >>> table = significance(source, annotations, pairs, clusters, n_draws=200)
    >>> table["f1_per_domain"].item(), table["p_shifted"].item() < 0.05
    (1.0, True)
    """
    if n_draws < 1 or clusters.height == 0:
        raise ValueError(
            f"a test against chance needs draws and proteins, not {n_draws} and {clusters.height}"
        )
    clusters = clusters[np.argsort([source.proteins.index(a) for a in clusters["accession"]])]
    tested = _Tested.of(source, annotations, pairs, clusters["accession"].to_list())
    nulls = [
        null.draw(tested.lengths, clusters["cluster"].to_numpy(), n_draws, seed)
        for null in (Shifted, Exchanged)
    ]
    f1 = np.zeros((3, len(pairs)))
    p = np.ones((2, len(pairs)))
    for track, few in tested.parts():
        observed = tested.f1_per_domain(Shifted.unshifted(tested.lengths), track, few)
        f1[0, few] = observed[:, 0]
        for i, null in enumerate(nulls):
            by_chance = tested.f1_per_domain(null, track, few)
            f1[1 + i, few] = by_chance.mean(axis=1)
            p[i, few] = (1 + (by_chance >= observed).sum(axis=1)) / (1 + n_draws)
    columns = dict(
        zip(
            SIGNIFICANCE,
            [*pairs.select("concept", "feature", "threshold"), *f1, *p, _q_values(p)],
            strict=True,
        )
    )
    return pl.DataFrame(columns, schema=SIGNIFICANCE)


def _q_values(p: np.ndarray) -> np.ndarray:
    from scipy.stats import false_discovery_control

    return false_discovery_control(p.max(axis=0), method="bh") if p.size else np.empty(0)


@dataclass(frozen=True)
class _Track:
    """One concept on the test proteins.

    `merged` holds its residues as segments that do not overlap, `instances` its segments sorted by
    instance. If they are the same object, they are placed and looked up once; this is so for a
    residue-level concept, which needs no hits. `first_of_instance` int64: index in `instances` of
    each instance's first segment.
    """

    merged: Segments
    instances: Segments
    first_of_instance: np.ndarray
    residue_level: bool

    @classmethod
    def of(cls, segments: pl.DataFrame) -> Self:
        """From the segments of one concept: protein, start (from 0), stop (i64), instance,
        level.
        """
        merged = _merged(segments)
        if segments["level"][0] == "residue":
            return cls(merged, merged, np.arange(len(merged.start)), True)
        ordered = segments.sort("instance", "start")
        instances = _segments(ordered)
        number = ordered["instance"].to_numpy().astype(np.int64)
        no_overlap = len(merged.start) == len(instances.start)
        return cls(
            instances if no_overlap else merged,
            instances,
            np.flatnonzero(np.diff(number, prepend=-1)),
            False,
        )

    def hits(self, amounts: np.ndarray) -> np.ndarray:
        """int64 [n_draws]: instances with a positive amount on any segment.

        `amounts` [n_draws, n_segments].
        """
        if len(self.first_of_instance) < amounts.shape[1]:
            amounts = np.add.reduceat(amounts, self.first_of_instance, axis=1)
        return np.count_nonzero(amounts, axis=1)


def _segments(table: pl.DataFrame) -> Segments:
    return Segments(*(table[name].to_numpy().astype(np.int64) for name in Segments._fields))


def _merged(table: pl.DataFrame) -> Segments:
    """The same residues as segments that do not overlap."""
    before = pl.col("stop").cum_max().shift(1).over("protein")
    begins = (pl.col("start") >= before).fill_null(True).cum_sum()
    parts = table.sort("protein", "start").with_columns(part=begins.over("protein"))
    return _segments(
        parts.group_by("protein", "part")
        .agg(pl.col("start").min(), pl.col("stop").max())
        .sort("protein", "part")
    )


@dataclass(frozen=True)
class _Tested:
    """Pairs on the test proteins, in the order of the axis.

    `lengths` int64 [n_proteins]; `active` int32 [n_residues, n_pairs]; `tracks` by concept, without
    those that these proteins lack.
    """

    chosen: ChosenPairs
    lengths: np.ndarray
    active: csc_array
    tracks: dict[int, _Track]

    @classmethod
    def of(
        cls, source: Source, annotations: Annotations, pairs: pl.DataFrame, accessions: list[str]
    ) -> Self:
        """`accessions` of the test proteins, in the order of the axis."""
        chosen = ChosenPairs.of(source, annotations, pairs, accessions)
        proteins = source.proteins
        lengths = proteins.lengths[[proteins.index(a) for a in accessions]]
        active = csc_array(
            vstack([chosen.active(values) for _, values in joined(source, accessions)])
        )
        axis = pl.DataFrame({"accession": accessions, "protein": np.arange(len(accessions))})
        codes = chosen.labels.concepts.select("concept").with_row_index("code")
        segments = annotations.table.join(axis, on="accession").join(codes, on="concept")
        spans = segments.select(
            "code", "level", "instance", "protein", pl.col("start") - 1, pl.col("end").alias("stop")
        )
        tracks = {
            int(code): _Track.of(part)
            for (code,), part in spans.partition_by("code", as_dict=True).items()
        }
        return cls(chosen, lengths, active, tracks)

    def parts(self) -> Iterator[tuple[_Track, np.ndarray]]:
        """Some pairs of one concept at a time, and its track."""
        width = max(1, _PREFIX_BYTES // (8 * int(self.lengths.sum())))
        for code, track in self.tracks.items():
            own = np.flatnonzero((self.chosen.concept == code) & self.chosen.there)
            yield from ((track, own[i : i + width]) for i in range(0, len(own), width))

    def f1_per_domain(self, null: Null, track: _Track, pairs: np.ndarray) -> np.ndarray:
        """float64 [n_pairs, n_draws]: F1 of pairs of one concept, with its track as drawn."""
        prefixes = [self._prefix(p) for p in pairs.tolist()]
        n_active = np.diff(self.active.indptr)[pairs]
        level = np.array(track.residue_level)
        found = np.empty((len(pairs), null.n_draws))
        step = max(1, _PLACES // len(track.instances.start))
        for draws in (slice(i, i + step) for i in range(0, null.n_draws, step)):
            merged = null.places(track.merged, draws)
            instances = (
                merged if track.instances is track.merged else null.places(track.instances, draws)
            )
            n_residues, n_instances = (
                (merged.last - merged.first).sum(axis=1),
                track.hits(instances.last - instances.first),
            )
            for i, prefix in enumerate(prefixes):
                on = _covered(prefix, merged)
                hits = track.hits(on if instances is merged else _covered(prefix, instances))
                found[i, draws] = measures(
                    on.sum(axis=1), n_active[i], hits, n_residues, n_instances, level
                ).f1_per_domain
        return found

    def _prefix(self, pair: int) -> np.ndarray:
        """int32 [2 n_residues + 1]: active residues before each position of the doubled axis."""
        row = self.active.indices[self.active.indptr[pair] : self.active.indptr[pair + 1]].astype(
            np.int64
        )
        end = np.cumsum(self.lengths)
        protein = np.searchsorted(end, row, side="right")
        # A protein's first copy begins at twice its offset on the axis.
        first = row + (end - self.lengths)[protein]
        on = np.zeros(2 * int(self.lengths.sum()) + 1, np.int8)
        on[1 + first] = on[1 + first + self.lengths[protein]] = 1
        return np.cumsum(on, dtype=np.int32)


def _covered(prefix: np.ndarray, places: Places) -> np.ndarray:
    """int32 [n_draws, n_segments]: active residues on each segment."""
    return prefix[places.last] - prefix[places.first]
