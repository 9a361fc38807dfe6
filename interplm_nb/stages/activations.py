"""Stage `activations`: every feature on every residue, encoded once; the maxima that make features
comparable; the map of all features."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.embeddings import Embeddings
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.maxima import Maxima
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import ActivationsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import DENSE, PROJECTIONS, SAES, SEEDS, scored_source
from interplm_nb.proteins import Proteins
from interplm_nb.sae.feature_use import FeatureSums
from interplm_nb.scale.address import workers_at
from interplm_nb.scale.shard_task import Workers

if TYPE_CHECKING:
    from interplm_nb.concepts.controls.dense import Inputs
    from interplm_nb.concepts.controls.projection import Projection
    from interplm_nb.features.atlas_quality import AtlasQuality


@dataclass(frozen=True)
class ActivationsStage:
    """What stage `activations` made.

    `sources`: source, n_features, l0, silent, rare and effective (features, as `sae.feature_use`
    defines them, on residues of train), megabytes on disk. `maxima`: source, feature,
    maximum_train, maximum_all. `frequencies`: source, feature, frequency (share of the residues of
    train on which it is active).
    """

    proteins: Proteins
    activations: FeatureActivations
    sources: pl.DataFrame
    maxima: pl.DataFrame
    frequencies: pl.DataFrame


def activations(run: Run, params: ActivationsParameters) -> ActivationsStage:
    """Encode all residues with each SAE; measure maxima on train and on all proteins, and the range
    of neurons and letters; map the SAE's features."""
    from interplm_nb.sae.encode import encode_to

    if isinstance(run, RunToRead):
        return _made(run)
    manifest.begin(run, params)
    proteins = run.proteins()
    train = run.accessions("train")
    lacking = [s for s in run.possible(SEEDS) if not run.of_source(s, "activations").exists()]
    mapped = run.of_source("sae", "atlas").exists()
    with workers_at("" if mapped and not lacking else params.scheduler) as workers:
        for source in lacking:  # a store gets its name when it is whole
            encode_to(
                run.sae(source, params.device),
                run.embeddings(shuffled=scored_source(source).shuffled),
                proteins,
                run.of_source(source, "activations"),
                params.max_l0,
                scale=workers,
            )
        if not mapped:
            run.write_atlas(*_mapped(run, workers))
    for source in run.possible(SEEDS):
        if not run.of_source(source, "maxima").exists():
            found = run.activations(source)
            run.write_maxima(source, Maxima(found.largest(train), found.largest()))
    rows = proteins.rows_of(train)
    for source in DENSE:
        if not run.of_source(source, "maxima").exists():
            values = run.inputs(source)
            run.write_about(source, **dense_about(source, values, values.d_in))
            run.write_maxima(source, _ranges(values, rows))
    if not all(run.of_source(source, "about").exists() for source in PROJECTIONS):
        embeddings = run.embeddings()
        for source, found in _components(embeddings, rows):
            found.save(run.source(source))
            run.write_about(source, **dense_about(source, embeddings, len(found.names)))
    run.write_table("activations", "sources", _sources(run))
    result = _made(run)
    l0 = dict(result.sources.select("source", "l0").iter_rows())
    run.write_summary("activations", residues=proteins.n_residues, l0=l0)
    return result


def _mapped(
    run: Run, workers: Workers
) -> "tuple[pl.DataFrame, pl.DataFrame, AtlasQuality, dict[str, str]]":
    """What `Run.write_atlas` takes. Made once for all views: importing umap alone takes seconds."""
    from interplm_nb.features.atlas import atlas
    from interplm_nb.features.atlas_quality import atlas_quality
    from interplm_nb.features.statistic_shards import Measures, measure

    sae, found = run.sae(), run.activations()
    statistics = measure(found, Measures(), run.work("activations") / "statistics", workers)
    decoder = sae.W_dec.detach().numpy()
    places = atlas(decoder, (statistics["n_active"] > 0).to_numpy())
    sequences = found.proteins.sequence_hash
    about = {"source": "sae", "sae": sae.weight_hash, "sequences": sequences}
    return places, statistics, atlas_quality(places, decoder), about


def _ranges(values: "Inputs", train: np.ndarray) -> Maxima:
    """Of the PLM's own dimensions, or of letters, which are scaled to 0..1 when they are scored,
    and never stored."""
    from interplm_nb.concepts.controls.dense import fit_range

    minimum, maximum = fit_range(values, train)
    lowest, highest = fit_range(values, np.arange(len(values)))
    return Maxima(maximum, highest, minimum, lowest)


def _components(embeddings: Embeddings, rows: np.ndarray) -> "Iterator[tuple[str, Projection]]":
    """The principal and independent components of train, by source."""
    from interplm_nb.concepts.controls.projection import Moments, ica, pca

    moments = Moments.of(embeddings, rows)
    yield "pca", pca(embeddings, rows, moments)
    yield "ica", ica(embeddings, rows, moments)


def dense_about(source: str, inputs: "Inputs", n_features: int) -> dict[str, Any]:
    """What `Run.about` reads, for a source that is computed when it is read."""
    about = {name: getattr(inputs, name) for name in ("plm", "plm_revision", "layer")}
    return {"kind": source, **about, "d_sae": n_features}


def _sources(run: Run) -> pl.DataFrame:
    """The table of that name, measured on the stores."""
    rows, train = [], run.accessions("train")
    for source in run.possible(SAES):
        store = run.activations(source)
        use = FeatureSums.of(store, train).use()
        files = run.of_source(source, "activations").iterdir()
        rows.append(
            {
                "source": source,
                "n_features": store.n_features,
                "l0": store.mean_l0(),
                **{name: getattr(use, name) for name in ("silent", "rare", "effective")},
                "megabytes": sum(f.stat().st_size for f in files) / 1e6,
            }
        )
    return pl.DataFrame(rows)


def _made(run: Run) -> ActivationsStage:
    """Read what the stage has made."""
    train = run.accessions("train")
    maxima, frequencies = [], []
    for source in (s for s in SAES if s in run.with_activations()):
        found, named = run.maxima(source), pl.lit(source).alias("source")
        features = np.arange(len(found), dtype=np.uint32)
        columns = {"maximum_train": found.train, "maximum_all": found.everywhere}
        maxima.append(pl.DataFrame({"feature": features, **columns}).select(named, pl.all()))
        often = FeatureSums.of(run.activations(source), train).density
        frequencies.append(
            pl.DataFrame({"feature": features, "frequency": often}).select(named, pl.all())
        )
    return ActivationsStage(
        run.proteins(),
        run.activations(),
        run.table("activations", "sources"),
        pl.concat(maxima),
        pl.concat(frequencies),
    )
