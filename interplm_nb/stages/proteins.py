"""Stage `proteins`: from a file of proteins to the residue axis, its annotations and its splits."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.model_choice import settled
from interplm_nb.pipeline.parameters import ProteinsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import CONVENTIONS
from interplm_nb.proteins import Proteins
from interplm_nb.readers.report import ReadReport


@dataclass(frozen=True)
class ProteinsStage:
    """What stage `proteins` made.

    `read`: reason, n, records, example: what was left out or changed. `shares`: split, n_proteins,
    n_residues. `leaks`: homologous pairs of a test protein and one of train or validation, of which
    there should be none. `clusters` says how clusters were made.
    """

    proteins: Proteins
    annotations: Annotations
    annotations_published: Annotations
    splits: pl.DataFrame
    read: pl.DataFrame
    shares: pl.DataFrame
    leaks: pl.DataFrame
    clusters: str


class ReadFile(NamedTuple):
    """Annotations by convention, on the same proteins, and what was left out."""

    annotations: dict[str, Annotations]
    report: ReadReport


def proteins(run: Run, params: ProteinsParameters) -> ProteinsStage:
    """Read, filter, annotate in both conventions, cluster by homology, split, and look for leaks
    between the splits."""
    params = settled(run, params)
    manifest.begin(run, params)
    if not run.has_proteins():
        _make(run, params)
    return _result(run, params)


def read_file(params: ProteinsParameters) -> ReadFile:
    """Read the file that the parameters name, once per convention."""
    from interplm_nb.readers import demo
    from interplm_nb.readers.read import read

    path = Path(params.path).expanduser() if params.path else demo.table_path()
    # Before a model is chosen max_residues is 0: no limit yet.
    limit = params.max_residues or None if params.too_long == "skip" else None
    strict, published = (
        read(
            path,
            convention,
            params.strict,
            format=params.format,
            max_length=limit,
            min_instances=params.min_instances,
        )
        for convention in CONVENTIONS
    )
    return ReadFile(
        {"strict": strict.annotations, "published": published.annotations}, strict.report
    )


def with_labels(read: ReadFile, params: ProteinsParameters) -> ReadFile:
    """The annotations with the person's own labels among them, in both conventions."""
    from interplm_nb.readers.label_files import read_labels

    path = Path(params.labels).expanduser()
    own = read_labels(path, read.annotations["strict"].proteins, strict=params.strict)
    for reason, n, records, example in own.report.table().iter_rows():
        read.report.note(f"{path.name}: {reason}", records[0] if records else path.name, example, n)
    return ReadFile(
        {c: _joined(a, own.annotations) for c, a in read.annotations.items()}, read.report
    )


def _joined(file: Annotations, own: Annotations) -> Annotations:
    common = sorted(set(file.concepts) & set(own.concepts))
    if common:
        raise PipelineError(
            f"proteins.labels: the file's own annotations also have a concept {common[0]!r}; "
            "give yours another name"
        )
    return Annotations(pl.concat([file.table, own.table]), file.proteins)


def _make(run: Run, params: ProteinsParameters) -> None:
    from interplm_nb.plm.lengths import limit_length

    read = with_labels(read_file(params), params) if params.labels else read_file(params)
    found = read.annotations["strict"].proteins
    limited = limit_length(found, params.too_long, params.max_residues)
    for accession in limited.left_out:
        read.report.note(f"filtered: longer than {params.max_residues:,} residues", accession)
    kept = _draw(limited.proteins, params, read.report)
    tables = _split(kept, params)
    for name, table in (tables | {"read": read.report.table()}).items():
        if name != "splits":
            run.write_table("proteins", name, table)
    annotations = {convention: read.annotations[convention].of(kept) for convention in CONVENTIONS}
    run.write_axis(kept, annotations, tables["splits"])


def _draw(found: Proteins, params: ProteinsParameters, report: ReadReport) -> Proteins:
    """`max_proteins` proteins drawn at random; all of them for 0, or where there are no more."""
    if not 0 < params.max_proteins < len(found):
        return found
    chosen = np.random.default_rng(params.seed).choice(
        len(found), params.max_proteins, replace=False
    )
    report.note(
        f"not drawn (max_proteins = {params.max_proteins:,})",
        "proteins",
        n=len(found) - params.max_proteins,
    )
    return found.select(found.accessions[i] for i in chosen)


def _split(kept: Proteins, params: ProteinsParameters) -> dict[str, pl.DataFrame]:
    from interplm_nb.readers import homology

    test_share = 1 - params.train_share - params.validation_share
    if test_share < 0.01:
        raise PipelineError(
            f"train_share {params.train_share} and validation_share {params.validation_share} "
            "leave nothing for test; lower them"
        )
    clusters = homology.cluster(
        kept, params.identity, params.coverage, max_share=params.train_share
    )
    parts = homology.split(
        clusters, (params.train_share, params.validation_share, test_share), params.seed
    )
    splits = parts.join(
        homology.split_published(kept.accessions, params.seed),
        on="accession",
        how="left",
        maintain_order="left",
    )
    leaks = homology.leaks(kept, splits, params.identity, clusters.report.coverage)
    return {
        "splits": splits,
        "leaks": leaks,
        "clusters": pl.DataFrame({"text": [str(clusters.report)]}),
    }


def _result(run: Run, params: ProteinsParameters) -> ProteinsStage:
    kept = run.proteins()
    splits = run.splits()
    lengths = pl.DataFrame({"accession": kept.accessions, "residues": kept.lengths})
    shares = (
        splits.join(lengths, on="accession")
        .group_by("split")
        .agg(pl.len().alias("n_proteins"), pl.col("residues").sum().alias("n_residues"))
    )
    shares = shares.sort(pl.col("split").replace_strict({"train": 0, "validation": 1, "test": 2}))
    tables = (
        run.table("proteins", "read"),
        shares,
        run.table("proteins", "leaks"),
        run.table("proteins", "clusters")["text"][0],
    )
    result = ProteinsStage(
        kept, run.annotations("strict"), run.annotations("published"), splits, *tables
    )
    run.write_summary(
        "proteins",
        proteins=len(kept),
        residues=kept.n_residues,
        concepts=len(result.annotations.concepts),
        leaks=result.leaks.height,
        too_long=params.too_long,
        device="cpu",
    )
    return result
