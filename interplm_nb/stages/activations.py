"""Stage `activations`: every feature on every residue, encoded once; the maxima that make features comparable; the map of all features."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.layout import PROJECTIONS, SAES
from interplm_nb.pipeline.parameters import ActivationsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.saving import write_json, write_parquet


@dataclass(frozen=True)
class ActivationsStage:
    """What stage `activations` made.

    `sources`: source, n_features, l0, alive (share of features that fire on a training residue), megabytes on disk. `maxima`: source, feature,
    maximum_train, maximum_all. `frequencies`: source, feature, frequency (share of residues on which it is active).
    """

    proteins: Proteins
    activations: FeatureActivations
    sources: pl.DataFrame
    maxima: pl.DataFrame
    frequencies: pl.DataFrame


def activations(run: Run, params: ActivationsParameters) -> ActivationsStage:
    """Encode all residues with each SAE; measure maxima on train and on all proteins, and the range of the neurons; map the SAE's features."""
    from interplm_nb.sae.encode import encode_to

    manifest.begin(run, params)
    proteins = run.proteins()
    train = run.accessions("train")
    for source in run.possible(SAES):
        folder = run.source(source) / "activations"
        if not folder.exists():  # a store gets its name when it is whole
            encode_to(
                run.sae(source, params.device),
                run.embeddings(shuffled=source == "shuffled_sae"),
                proteins,
                folder,
                params.max_l0,
            )
        if not (run.source(source) / "maxima.parquet").exists():
            _write_maxima(run, source, *_maxima(run.activations(source, proteins), train))
    if not (run.source("sae") / "atlas.parquet").exists():
        _write_atlas(run, run.activations("sae", proteins))
    if not (run.source("neurons") / "maxima.parquet").exists():
        _neurons(run, proteins, train)
    if not all((run.source(source) / "about.json").exists() for source in PROJECTIONS):
        _components(run, proteins.rows_of(train))
    return _result(run, proteins)


def _maxima(found: FeatureActivations, train: list[str]) -> tuple[dict[str, np.ndarray], str]:
    return {
        "maximum_train": found.largest(train),
        "maximum_all": found.largest(),
    }, found.proteins.sequence_hash


def _write_maxima(run: Run, source: str, columns: dict[str, np.ndarray], sequences: str) -> None:
    n = len(next(iter(columns.values())))
    table = pl.DataFrame(
        {
            "feature": np.arange(n, dtype=np.uint32),
            **{name: values.astype(np.float32) for name, values in columns.items()},
        }
    )
    write_parquet(
        table,
        run.source(source) / "maxima.parquet",
        {"type": "Maxima", "version": 1, "source": source, "sequences": sequences},
    )


def _write_atlas(run: Run, found: FeatureActivations) -> None:
    """Once for all views: to import umap alone takes seconds."""
    from interplm_nb.features.atlas import atlas
    from interplm_nb.features.statistics import feature_statistics

    sae, statistics = run.sae("sae"), feature_statistics(found)
    places = atlas(sae.W_dec.detach().numpy(), (statistics["n_active"] > 0).to_numpy())
    write_atlas(
        run,
        places,
        statistics,
        {"source": "sae", "sae": sae.weight_hash, "sequences": found.proteins.sequence_hash},
    )


def write_atlas(
    run: Run, places: pl.DataFrame, statistics: pl.DataFrame, about: Mapping[str, str]
) -> None:
    """Write what `Run.atlas` reads: the map (`features.atlas`), each feature with its `feature_statistics` on the run's residues."""
    table = places.join(statistics, on="feature", how="left", maintain_order="left")
    write_parquet(
        table, run.source("sae") / "atlas.parquet", {"type": "FeatureAtlas", "version": 1, **about}
    )


def _neurons(run: Run, proteins: Proteins, train: list[str]) -> None:
    """The PLM's own dimensions, to be scaled to 0..1 by their range; they are streamed when they are scored, and never stored."""
    from interplm_nb.concepts.controls.dense import fit_range

    embeddings = run.embeddings()
    minimum, maximum = fit_range(embeddings, proteins.rows_of(train))
    minimum_all, maximum_all = fit_range(embeddings, np.arange(proteins.n_residues))
    columns = {
        "minimum_train": minimum,
        "maximum_train": maximum,
        "minimum_all": minimum_all,
        "maximum_all": maximum_all,
    }
    write_dense_about(run, "neurons", embeddings.d_in)
    _write_maxima(run, "neurons", columns, proteins.sequence_hash)


def _components(run: Run, rows: np.ndarray) -> None:
    """The principal and independent components of train."""
    from interplm_nb.concepts.controls.projection import Moments, ica, pca

    embeddings = run.embeddings()
    moments = Moments.of(embeddings, rows)
    for source, fit in zip(PROJECTIONS, (pca, ica), strict=True):
        found = fit(embeddings, rows, moments)
        found.save(run.source(source))
        write_dense_about(run, source, len(found.names))


def write_dense_about(run: Run, source: str, n_features: int) -> None:
    """`about.json` of a source that is made of the PLM's embeddings as it is read."""
    embeddings = run.embeddings()
    about = {
        "kind": source,
        "plm": embeddings.plm,
        "plm_revision": embeddings.plm_revision,
        "layer": embeddings.layer,
        "d_sae": n_features,
    }
    write_json({"type": "Source", "version": 1, **about}, run.source(source) / "about.json")


def _result(run: Run, proteins: Proteins) -> ActivationsStage:
    stores = {source: run.activations(source, proteins) for source in run.possible(SAES)}
    maxima = pl.concat(
        [
            run.maxima(s).select(
                pl.lit(s).alias("source"), "feature", "maximum_train", "maximum_all"
            )
            for s in run.possible(SAES)
        ]
    )
    sources = pl.DataFrame([_row(run, source, store) for source, store in stores.items()])
    frequencies = pl.concat([_frequencies(source, store) for source, store in stores.items()])
    run.write_table("activations", "sources", sources)
    run.write_summary(
        "activations",
        residues=proteins.n_residues,
        l0={row["source"]: row["l0"] for row in sources.to_dicts()},
    )
    return ActivationsStage(proteins, stores["sae"], sources, maxima, frequencies)


def _row(run: Run, source: str, store: FeatureActivations) -> dict[str, str | int | float]:
    size = sum(f.stat().st_size for f in (run.source(source) / "activations").iterdir())
    alive = float((run.maxima(source)["maximum_train"] > 0).mean())  # type: ignore[arg-type]
    return {
        "source": source,
        "n_features": store.n_features,
        "l0": store.mean_l0(),
        "alive": alive,
        "megabytes": size / 1e6,
    }


def _frequencies(source: str, store: FeatureActivations) -> pl.DataFrame:
    counts = np.zeros(store.n_features, np.int64)
    for block in store.blocks():
        counts += np.bincount(block.values.indices, minlength=store.n_features)
    return pl.DataFrame(
        {
            "source": source,
            "feature": np.arange(store.n_features, dtype=np.uint32),
            "frequency": counts / store.n_residues,
        }
    )
