"""Everything that the views show of one feature, in one bundle.

Exact counts over the whole store, and the residues of some proteins.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.features.examples import (
    Distribution,
    distribution,
    protein_distribution,
    proteins_of,
    sampled_proteins,
)
from interplm_nb.widgets.concept_rows import concept_rows
from interplm_nb.widgets.feature_page import FeaturePages
from interplm_nb.widgets.feature_words import feature_words

N_PROTEINS = 200
"""Proteins whose residues a bundle holds, at most."""


def bundle(
    pages: FeaturePages,
    feature: int,
    n_proteins: int = N_PROTEINS,
    among: Collection[str] = (),
    always: Sequence[str] = (),
    pinned: Sequence[int] = (),
    with_structure: Collection[str] = (),
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Record and arrays of `packing.pack` for one feature.

    Counts are of every residue and protein of the store; `annotated` counts those that carry the
    feature's best concept on validation, where it has one. Residues are of at most `n_proteins`
    proteins: all of `always` (even if they are more), and a sample, even over bins of per-protein
    maximum (`sampled_proteins`), or the strongest `among` those requested. Activations are shares
    of the maximum on training proteins, sparse: `index` counts residues over the bundle's proteins
    in order, from 0; `pinned_<i>_index` and `pinned_<i>_value` belong to other features on the
    same residues. A `silent` feature fires on no training protein: it has no maximum to be a share
    of, and counts as silent everywhere.
    """
    rows, values = pages.activations.feature(feature)
    best = pages.best.get(feature)
    # FASTA says nothing about concepts: its residues are not known to lack them.
    known = len(pages.annotations) > 0
    carried = pages.carried(best["concept"]) if best and known else None
    proteins = pages.proteins
    residues = distribution(rows, values, proteins.n_residues, carried)
    maxima = protein_distribution(rows, values, proteins.offsets, carried)
    shown = _shown(pages, feature, n_proteins, among, always)
    places = np.array([proteins.index(a) for a in shown["accession"]], np.int64)
    index, value = _along(rows, values, proteins.offsets, places)
    arrays = {
        "edges": residues.edges.astype(np.float32),
        "index": index,
        "value": value,
        **_counts("residues", residues),
        **_counts("proteins", maxima),
    }
    for i, other in enumerate(pinned):
        arrays[f"pinned_{i}_index"], arrays[f"pinned_{i}_value"] = _along(
            *pages.activations.feature(other), proteins.offsets, places
        )
    record = {
        "feature": feature,
        "source": pages.source,
        "silent": feature not in pages.alive,
        "n_residues": proteins.n_residues,
        "n_proteins": len(proteins),
        "n_active": len(rows),
        "n_firing": int(maxima.counts.sum()),
        "zero": {"residues": _silent(residues), "proteins": _silent(maxima)},
        "best": best,
        "proteins": _proteins(pages, shown, with_structure),
        "pinned": [{"feature": other, "best": pages.best.get(other)} for other in pinned],
        "concepts": concept_rows(pages, feature),
        "words": feature_words(pages.tables, feature),
    }
    return record, arrays


def _counts(kind: str, found: Distribution) -> dict[str, np.ndarray]:
    arrays = {f"{kind}_total": found.counts.astype(np.uint32)}
    return arrays | (
        {f"{kind}_annotated": found.annotated.astype(np.uint32)}
        if found.annotated is not None
        else {}
    )


def _silent(found: Distribution) -> dict[str, int | None]:
    return {"total": found.n_zero, "annotated": found.n_zero_annotated}


def _shown(
    pages: FeaturePages,
    feature: int,
    n_proteins: int,
    among: Collection[str],
    always: Sequence[str],
) -> pl.DataFrame:
    """accession, maximum, mean, position (null where the feature is silent), strongest first."""
    firing = proteins_of(pages.activations, feature).select(
        "accession", "maximum", "mean", "position"
    )
    kept = [a for a in dict.fromkeys(always) if a in pages.proteins]
    room = max(0, n_proteins - len(kept))
    if among:
        wanted = set(among) - set(kept)
        loud = firing["accession"].filter(firing["accession"].is_in(list(wanted))).to_list()
        others = [*loud, *sorted(wanted - set(loud))][:room]
    else:
        sample = [
            a
            for a in sampled_proteins(pages.activations, feature, n_proteins)["accession"]
            if a not in kept
        ]
        places = (
            range(len(sample))
            if len(sample) <= room
            else np.linspace(0, len(sample) - 1, room).round().astype(int)
        )
        others = [sample[i] for i in places]  # of every strength still
    shown = {*kept, *others}
    silent = sorted(shown - set(firing["accession"]))
    quiet = pl.DataFrame(
        {"accession": silent, "maximum": 0.0, "mean": 0.0, "position": None}, schema=firing.schema
    )
    return pl.concat([firing.filter(pl.col("accession").is_in(list(shown))), quiet])


def _along(
    rows: np.ndarray, values: np.ndarray, offsets: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Active residues of some proteins, numbered over these proteins in order: u32 and f32."""
    firsts = np.searchsorted(rows, offsets[places])
    lasts = np.searchsorted(rows, offsets[places + 1])
    starts = np.concatenate([[0], np.cumsum(offsets[places + 1] - offsets[places])])
    parts = [np.arange(a, b) for a, b in zip(firsts, lasts, strict=True)]
    taken = np.concatenate(parts) if parts else np.empty(0, np.int64)
    shift = np.repeat(starts[:-1] - offsets[places], lasts - firsts)
    return (rows[taken] + shift).astype(np.uint32), values[taken].astype(np.float32)


def _proteins(
    pages: FeaturePages, shown: pl.DataFrame, with_structure: Collection[str]
) -> list[dict[str, Any]]:
    spans = pages.spans(shown["accession"].to_list())
    return [
        {
            **row,
            "name": pages.name(row["accession"]),
            "organism": pages.organism(row["accession"]),
            "sequence": pages.proteins.sequence(row["accession"]),
            "spans": spans.get(row["accession"], []),
            "structure": row["accession"] in with_structure,
        }
        for row in shown.to_dicts()
    ]
