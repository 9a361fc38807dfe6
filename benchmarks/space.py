"""The test of 1,000 features in space over 173 structures, compared with loops over features.

Structures are the embedded ones, again and again under other names, or with
INTERPLM_NB_STRUCTURES=TABLE and INTERPLM_NB_PROTEINS=FILE your own. Activations are made up: 64 of
1,000 features are active on each residue. The loops are run on `FEW` features and scaled up; their
results are equal.
"""

import os
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import polars as pl
from scipy import sparse

from benchmarks.harness import Figure, seconds
from interplm_nb.activations import FeatureActivations
from interplm_nb.features.spatial.spatial_test import FIRES, MIN_PLDDT, SpatialTest, spatial_test
from interplm_nb.proteins import Proteins
from interplm_nb.readers import demo
from interplm_nb.readers.read import read
from interplm_nb.readers.residue_coordinates import ResidueCoordinates
from interplm_nb.readers.structure_list import structures_in

N_STRUCTURES, N_FEATURES, ACTIVE, FEW, DRAWS = 173, 1_000, 64, 2, 1_000
SECONDS, TIMES = 60.0, 20.0


def run() -> list[Figure]:
    """Seconds of `strict` on all features, and how many times as long the loops take."""
    coordinates = structures()
    activations = made_up(coordinates.proteins, N_FEATURES)
    found: list[SpatialTest] = []
    took = seconds(lambda: found.append(spatial_test(activations, coordinates, draws=DRAWS)))
    plain: list[pl.DataFrame] = []
    loops = seconds(lambda: plain.append(loop(activations, coordinates, range(FEW), DRAWS)))
    check_equal(found[0].table.filter(pl.col("feature") < FEW), plain[0])
    note = f"{found[0].n_structures} structures, {N_FEATURES:,} features, {DRAWS:,} draws, strict"
    return [
        Figure.within(f"space: {N_FEATURES:,} features", took, SECONDS, "s", note),
        Figure.compare(
            "space: loops over features",
            took,
            loops * N_FEATURES / FEW,
            "s",
            TIMES,
            of="other / ours",
            note=f"{note}; other: loops, run on {FEW} features and scaled up; results equal",
        ),
    ]


def structures() -> ResidueCoordinates:
    """Yours, or `N_STRUCTURES` of the embedded ones, repeated."""
    table = os.environ.get("INTERPLM_NB_STRUCTURES")
    if table:
        proteins = read(os.environ["INTERPLM_NB_PROTEINS"]).proteins
        return ResidueCoordinates.of(proteins, structures_in(Path(table), proteins))
    embedded = read(demo.table_path()).proteins.select(demo.structures())
    names = list(islice(cycle(embedded.accessions), N_STRUCTURES))
    proteins = Proteins.from_sequences(
        {f"{a}-{i}": embedded.sequence(a) for i, a in enumerate(names)}
    )
    once = {a: demo.structure(a) for a in embedded.accessions}
    return ResidueCoordinates.of(
        proteins, {f"{a}-{i}": lambda a=a: once[a] for i, a in enumerate(names)}
    )


def made_up(proteins: Proteins, n_features: int, seed: int = 0) -> FeatureActivations:
    """`ACTIVE` random features on each residue, values even from 0 to 1."""
    random = np.random.default_rng(seed)
    active = min(ACTIVE, n_features)
    chosen = np.argsort(random.random((proteins.n_residues, n_features), np.float32))[:, :active]
    rows = np.repeat(np.arange(proteins.n_residues), active)
    values = random.random(len(rows), np.float32)
    shape = (proteins.n_residues, n_features)
    return FeatureActivations.from_csr(
        sparse.csr_array((values, (rows, chosen.ravel())), shape), proteins, "max"
    )


def loop(
    activations: FeatureActivations,
    coordinates: ResidueCoordinates,
    features: range,
    draws: int,
    min_proteins: int = 25,
) -> pl.DataFrame:
    """What `strict` is, written plainly: feature after feature, protein after protein, place after
    place."""
    sure = coordinates.confident(MIN_PLDDT)
    rows = []
    for feature in features:
        for k, (window, apart) in enumerate(((2, 1), (None, 6), (None, 12))):
            scores, by_chance, drawn = [], [], np.zeros(draws)
            for accession in sure.accessions:
                placed = sure.placed(accession)
                a = activations.along(accession, feature)[placed.index].astype(np.float64)
                if a.max() <= np.float32(FIRES):
                    continue
                peak = int(a.argmax())
                around = _neighbours(placed.index, placed.alpha, peak, window, apart)
                if not len(around):
                    continue
                null = []
                for place in range(len(a)):
                    if window is not None:
                        null.append(np.roll(a, place)[around].mean())
                        continue
                    there = _neighbours(placed.index, placed.alpha, place, window, apart)
                    if len(there):
                        null.append(np.roll(a, place - peak)[there].mean())
                protein = activations.proteins.index(accession)
                draw = np.random.default_rng([0, protein, k])
                scores.append(a[around].mean())
                by_chance.append(np.mean(null))
                drawn += np.array(null)[draw.integers(len(null), size=draws)]
            if len(scores) >= min_proteins:
                difference = np.array(scores) - np.array(by_chance)
                rows.append(
                    {
                        "cohen_d": difference.mean() / difference.std(ddof=1),
                        "p_value": (1 + (drawn >= sum(scores) - 1e-9).sum()) / (1 + draws),
                    }
                )
            else:
                rows.append({"cohen_d": None, "p_value": None})
    return pl.DataFrame(rows, schema={"cohen_d": pl.Float64, "p_value": pl.Float64})


def _neighbours(
    index: np.ndarray, alpha: np.ndarray, i: int, window: int | None, apart: int
) -> np.ndarray:
    gap = np.abs(index - index[i])
    near = gap <= window if window else np.linalg.norm(alpha - alpha[i], axis=1) <= 6
    return np.flatnonzero(near & (gap >= apart))


def check_equal(table: pl.DataFrame, plain: pl.DataFrame) -> None:
    """RuntimeError unless both say the same."""
    for column in plain.columns:
        ours, theirs = table[column].to_numpy(), plain[column].to_numpy()
        if not np.allclose(ours, theirs, rtol=1e-6, atol=1e-9, equal_nan=True):
            raise RuntimeError(f"space: {column} is {ours}, and {theirs} by loops")
