"""A run's features ranked against your own labels of proteins, with the run's controls."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from interplm_nb.concepts.by_protein.controls import AMINO_ACIDS
from interplm_nb.concepts.by_protein.pool import Pool, pool
from interplm_nb.concepts.by_protein.rank import LETTERS, NAMES, By, Ranked, rank
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SAE_CONTROLS, scored_source
from interplm_nb.pipeline.text import text_table
from interplm_nb.readers.protein_labels import ProteinLabels
from interplm_nb.spreadsheet import write_tsv


def rank_run(
    run: Run,
    labels: ProteinLabels,
    source: str = "sae",
    how: Pool = "max",
    by: By = "f1",
    top: int = 20,
    controls: Collection[str] | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Ranked:
    """Pool a run's features on the labelled proteins of its splits, and rank them.

    Takes about half a minute for one class on 1,200 proteins.

    Parameters
    ----------
    run
        A run with its stage 'activations'.
    labels
        Labels; proteins that the run lacks are not used.
    source
        Source of the features.
    how
        As `pool`.
    by, top, n_resamples, seed
        As `rank`.
    controls
        Sources to compare with; None: the model's neurons, if the run has embeddings, and those
        of `SAE_CONTROLS` whose activations it has. Neurons have no share: they are never silent.

    Raises
    ------
    PipelineError
        Where a split of the run has no labelled protein.

    Examples
    --------
    >>> run = Run.shipped()
    >>> labels = ProteinLabels.carrying(run.annotations(), ["Helix"])
    >>> ranked = rank_run(run, labels, controls=(), n_resamples=20)
    >>> ranked.best()["source"].to_list()[0]
    'sae'
    """
    splits = run.splits().filter(pl.col("accession").is_in(labels.accessions))
    lacking = [s for s in ("train", "validation", "test") if s not in set(splits["split"])]
    if lacking:
        raise PipelineError(
            f"{splits.height} of the {len(labels.accessions)} labelled proteins are in "
            f"{run.folder}, and none of them in {' and '.join(lacking)}; make a run of the "
            "labelled proteins: interplm-nb run demo --out runs/mine -p proteins.path=FILE"
        )
    names = splits["accession"].to_list()
    asked = _controls(run, source, how) if controls is None else list(controls)
    others = {name: pool(run.scored(name, "strict"), how, names) for name in asked}
    own = pool(run.scored(source, "strict"), how, names)
    return rank(own, labels, splits, others, by, top, n_resamples, seed, source)


def _controls(run: Run, source: str, how: Pool) -> list[str]:
    found = [s for s in SAE_CONTROLS if s != source and s in run.with_activations()]
    neurons = how != "share" and source != "neurons" and "neurons" in run.sources()
    return [*(["neurons"] if neurons and run.is_embedded() else []), *found]


def shown(table: pl.DataFrame, by: str) -> pl.DataFrame:
    """`Ranked.table` for people: what scores, its figures with intervals, chance and q."""
    figures = ["rho"] if by == "rho" else ["f1", "auprc"]
    rows = []
    for row in table.iter_rows(named=True):
        cells = {
            NAMES[f]: f"{row[f]:.3f} [{row[f'{f}_low']:.3f}, {row[f'{f}_high']:.3f}]"
            for f in figures
        }
        about = {"label": row["label"], "source": scored_source(row["source"]).name}
        last = {"chance": row["chance"], "q": row["q_value"]}
        rows.append(about | {"what": _what(row), "validation": row["validation"]} | cells | last)
    return pl.DataFrame(rows)


def _what(row: Mapping[str, Any]) -> str:
    if row["model"] == "search":
        return "MMseqs2"
    if row["source"] == "length":
        return "longer" if row["direction"] > 0 else "shorter"
    if row["model"] == "classifier":
        return f"classifier, {len(row['features'])}"
    name = AMINO_ACIDS[row["features"][0]] if row["source"] == LETTERS else row["features"][0]
    return f"{name}{'' if row['direction'] > 0 else ', low'}"


def ranked_text(ranked: Ranked) -> str:
    """The best of each source per label, the ranked features, a verdict, and what is left out."""
    own = ranked.table.filter(pl.col("source") == ranked.source, pl.col("model") == "feature")
    positives = dict(ranked.best().select("label", "n_positive").iter_rows())
    counts = ", ".join(f"{label} {n}" for label, n in positives.items() if n is not None)
    read = (
        f"{ranked.labels!r}; read on {ranked.table['n'][0]} test proteins in {ranked.n_clusters} "
        f"homology clusters{f' ({counts})' if counts else ''}. Signs from train, features and "
        "thresholds chosen on validation, figures from test [95 %, clusters resampled]; chance: "
        "labels exchanged between clusters."
    )
    parts = [
        read,
        text_table(shown(ranked.best(), ranked.by)),
        "features, best on validation first:",
        text_table(shown(own.group_by("label", maintain_order=True).head(10), ranked.by)),
        ranked.verdict(),
        "\n".join(f"left out: {name}: {why}" for name, why in ranked.left_out.items()),
    ]
    return "\n\n".join(part for part in parts if part)


def written(ranked: Ranked, path: Path) -> None:
    """Write `Ranked.table` as TSV; features of a row are joined by spaces."""
    joined = pl.col("features").cast(pl.List(pl.String)).list.join(" ")
    write_tsv(ranked.table.with_columns(joined), path, 6)
