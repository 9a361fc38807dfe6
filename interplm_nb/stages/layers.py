"""The layers of stage `compare` side by side: which one to open, and what happens to features from
one to the next."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from scipy import sparse

from interplm_nb.activations import FeatureActivations
from interplm_nb.embeddings import Embeddings
from interplm_nb.features.coactivation import sampled
from interplm_nb.features.fates import FATES, RESIDUES, STEPS, Across, across_layers
from interplm_nb.proteins import Proteins
from interplm_nb.sae.evaluation.measures import COLUMNS
from interplm_nb.saving import remove

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM
    from interplm_nb.sae.model import SAE

_ROWS = 8192
_SEED = 0

_HEADLINE = ("loss_recovered", "loss_recovered_low", "loss_recovered_high")

LAYERS: dict[str, Any] = {
    "layer": pl.Int64,
    "label": pl.String,
    "recipe": pl.String,
    "sparsity": pl.String,
    "l0": pl.Float64,
    "f1_tuning": pl.Float64,
    "concepts_test": pl.Int64,
    "concepts_found": pl.Int64,
    "mean_f1_per_domain": pl.Float64,
    "f1_low": pl.Float64,
    "f1_high": pl.Float64,
    "seeds": pl.Int64,
    "lowest_seed": pl.Float64,
    "highest_seed": pl.Float64,
    "random_f1": pl.Float64,
    "random_found": pl.Int64,
    "neurons_f1": pl.Float64,
    "fvu": pl.Float64,
    "fidelity_measure": pl.String,
    **dict.fromkeys(_HEADLINE, pl.Float64),
    "random_loss_recovered": pl.Float64,
    "d_sae": pl.Int64,
    "silent": pl.Int64,
    "recur": pl.Float64,
    "recur_rotated": pl.Float64,
    "best": pl.Boolean,
}
"""Columns of the table `layers`: a row per layer, of its chosen SAE, in the words of
`compare_tables.COMPARISON`. seeds: SAEs with its settings and any seed; lowest_seed, highest_seed:
the range of their mean_f1_per_domain (null for one). random_: of its control, the random SAE;
neurons_f1: of the layer's own dimensions. loss_recovered, its interval: of fidelity_measure.
recur, recur_rotated: mean over pairs of these seeds, as in `compare_tables.STABILITY`. best: the
layer with the highest f1_tuning, the first of equals."""


def layers_table(comparison: pl.DataFrame, stability: pl.DataFrame) -> pl.DataFrame:
    """Which layer to open: columns of `LAYERS`, from the tables of stage `compare`.

    The SAE of a layer, and the best layer, are chosen on the tuning part of validation alone, so
    that the figures of test are not optimistic.
    """
    rows = [_row(row, comparison, stability) for row in chosen(comparison)]
    best = max(rows, key=lambda row: row["f1_tuning"], default={})
    table = [row | {"best": row is best} for row in rows]
    return pl.DataFrame([{name: row.get(name) for name in LAYERS} for row in table], schema=LAYERS)


def chosen(comparison: pl.DataFrame) -> list[dict[str, Any]]:
    """The row of each layer's chosen SAE, by layer."""
    return list(comparison.filter("chosen").sort("layer").iter_rows(named=True))


def _row(own: dict[str, Any], comparison: pl.DataFrame, stability: pl.DataFrame) -> dict[str, Any]:
    same = ("layer", "recipe", "sparsity", "lr")
    settings = [pl.col(name).eq_missing(own[name]) for name in same]
    alike = comparison.filter(pl.col("kind") == "sae", *settings)["mean_f1_per_domain"]
    layer = comparison.filter(pl.col("layer") == own["layer"])
    random = layer.filter(pl.col("label") == own["control"]).row(0, named=True)
    (neurons,) = layer.filter(pl.col("kind") == "neurons")["mean_f1_per_domain"]
    pairs = stability.filter(*settings)
    several = len(alike) > 1
    return {
        **own,
        **_headline(own),
        "seeds": len(alike),
        "lowest_seed": alike.min() if several else None,
        "highest_seed": alike.max() if several else None,
        "random_f1": random["mean_f1_per_domain"],
        "random_found": random["concepts_found"],
        "random_loss_recovered": _headline(random)["loss_recovered"],
        "neurons_f1": neurons,
        "recur": pairs["recur"].mean(),
        "recur_rotated": pairs["recur_rotated"].mean(),
    }


def _headline(row: Mapping[str, Any]) -> dict[str, Any]:
    """Loss recovered and its interval by the layer's headline measure; None without one."""
    measure = row["fidelity_measure"]
    end = COLUMNS[measure] if measure else None
    return {name: row[f"{name}_{end}"] if end else None for name in _HEADLINE}


class OpenedLayer(NamedTuple):
    """A layer whose features are followed."""

    layer: int
    sae: "SAE"
    control: Mapping[str, Any]
    """Its random SAE: d_sae, sparsity ("k8") and seed."""
    embeddings: Embeddings | None
    """Of all proteins of the run; None where the layer is not stored."""


def followed(
    opened: Sequence[OpenedLayer],
    plm: "PLM",
    proteins: Proteins,
    test: Sequence[str],
    work: Path,
) -> Across:
    """The features of these SAEs, from layer to layer, on test proteins.

    Layers that are not stored are embedded in one pass over the model, in `work`. Empty tables for
    fewer than two layers.
    """
    from interplm_nb.plm.store import embed_to

    if len(opened) < 2:
        return Across(pl.DataFrame(schema=FATES), pl.DataFrame(schema=STEPS))
    held_out = proteins.select(test)
    some = held_out.select(sampled(held_out, RESIDUES, _SEED))
    missing = [one.layer for one in opened if one.embeddings is None]
    made: dict[int, Embeddings] = {}
    if missing:
        made = embed_to(plm, some, missing, lambda layer: work / f"followed_{layer:02d}")
    saes: dict[int, FeatureActivations] = {}
    controls: dict[int, FeatureActivations] = {}
    for one in opened:
        stored, axis = one.embeddings, proteins
        if stored is None:
            stored, axis = made[one.layer], some
        rows = axis.rows_of(some.accessions)
        saes[one.layer] = _encoded(one.sae.to(plm.device), stored, rows, some)
        random = _random(one.control, stored, rows).to(plm.device)
        controls[one.layer] = _encoded(random, stored, rows, some)
    found = across_layers(saes, controls)
    for embeddings in made.values():
        remove(embeddings.path)
    return found


def _random(control: Mapping[str, Any], stored: Embeddings, rows: np.ndarray) -> "SAE":
    """The layer's random SAE, centred on the mean of the residues that are followed."""
    from interplm_nb.sae.random_sae import mean_embedding, random_sae

    k = int(control["sparsity"].removeprefix("k"))
    mean = mean_embedding(stored, rows)
    return random_sae(stored.d_in, control["d_sae"], k, mean, control["seed"])


def _encoded(
    sae: "SAE", stored: Embeddings, rows: np.ndarray, proteins: Proteins
) -> FeatureActivations:
    from interplm_nb.sae.encoded import encoded

    parts = [
        part
        for first in range(0, len(rows), _ROWS)
        for _, part in encoded(sae, stored[rows[first : first + _ROWS]])
    ]
    values = sparse.csr_array(sparse.vstack(parts, format="csr"))
    return FeatureActivations.from_csr(values, proteins)
