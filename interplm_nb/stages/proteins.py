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
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import ProteinsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import CONVENTIONS
from interplm_nb.proteins import Proteins
from interplm_nb.readers.mmseqs import HOW_TO_GET_IT
from interplm_nb.readers.report import ReadReport
from interplm_nb.readers.separation import partial_counts, separate

NOT_SOUGHT = (
    "No MMseqs2 program was found, so relatives were not sought: every protein is a cluster of its "
    "own, test proteins may have relatives in train, and the check of the splits and the figures "
    f"without partial relatives are left out (to have them: {HOW_TO_GET_IT})."
)

NOT_KEPT = "This run does not keep how its clusters were made."


@dataclass(frozen=True)
class ProteinsStage:
    """What stage `proteins` made.

    `read`: reason, n, records, example: what was left out or changed. `shares`: split, n_proteins,
    n_residues, partial_relatives (proteins with a partial relative in train; null in train, and
    without MMseqs2). `clusters` says how clusters were made, what the check of the splits found and
    what was done; or that all this was left out. `annotations_published` and `read` are None in a
    run that does not keep them, such as the one that ships.
    """

    proteins: Proteins
    annotations: Annotations
    annotations_published: Annotations | None
    splits: pl.DataFrame
    read: pl.DataFrame | None
    shares: pl.DataFrame
    clusters: str


class ReadFile(NamedTuple):
    """Annotations by convention, on the same proteins, and what was left out."""

    annotations: dict[str, Annotations]
    report: ReadReport


def proteins(run: Run, params: ProteinsParameters) -> ProteinsStage:
    """Read, filter, annotate in both conventions, cluster by homology, split, and separate what is
    still related across the splits."""
    if isinstance(run, RunToRead):
        return _made(run)
    params = settled(run, params)
    manifest.begin(run, params)
    if not run.has_proteins():
        read = read_kept(params)
        kept = read.annotations["strict"].proteins
        tables = _split(kept, params) | {"read": read.report.table()}
        splits = tables.pop("splits")
        for name, table in tables.items():
            run.write_table("proteins", name, table)
        run.write_axis(kept, read.annotations, splits)
    return _summed_up(run, params.too_long)


def _summed_up(run: Run, too_long: str) -> ProteinsStage:
    """Read what was made, and write its summary."""
    result = _made(run)
    run.write_summary(
        "proteins",
        proteins=len(result.proteins),
        residues=result.proteins.n_residues,
        concepts=len(result.annotations.concepts),
        partial_relatives=_partial(run),
        too_long=too_long,
        device="cpu",
    )
    return result


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
    if not len(own.annotations):
        raise PipelineError(_no_label(path, own.report))
    for reason, n, records, example in own.report.table().iter_rows():
        read.report.note(f"{path.name}: {reason}", records[0] if records else path.name, example, n)
    return ReadFile(
        {c: _joined(a, own.annotations) for c, a in read.annotations.items()}, read.report
    )


def _no_label(path: Path, report: ReadReport) -> str:
    reasons = "; ".join(
        f"{n:,} {reason} ({records[0]}: {example})"
        for reason, n, records, example in report.table().iter_rows()
    )
    return (
        f"proteins.labels: 0 of {report.rejected:,} labels could be used, of {path}: "
        f"{reasons or 'it has no row'}. Mend the file, or run without proteins.labels"
    )


def _joined(file: Annotations, own: Annotations) -> Annotations:
    common = sorted(set(file.concepts) & set(own.concepts))
    if common:
        raise PipelineError(
            f"proteins.labels: the file's own annotations also have a concept {common[0]!r}; "
            "give yours another name"
        )
    return Annotations(pl.concat([file.table, own.table]), file.proteins)


def read_kept(params: ProteinsParameters) -> ReadFile:
    """The proteins that are kept, with the file's annotations and the person's own labels."""
    from interplm_nb.plm.lengths import limit_length

    of_file = read_file(params)
    read = with_labels(of_file, params) if params.labels else of_file
    found = read.annotations["strict"].proteins
    limited = limit_length(found, params.too_long, params.max_residues)
    for accession in limited.left_out:
        read.report.note(f"filtered: longer than {params.max_residues:,} residues", accession)
    kept = _draw(limited.proteins, params, read.report)
    annotations = {convention: own.of(kept) for convention, own in read.annotations.items()}
    own = {*read.annotations["strict"].concepts} - {*of_file.annotations["strict"].concepts}
    if own and own.isdisjoint(annotations["strict"].concepts):
        raise PipelineError(
            f"proteins.labels: none of the {len(kept):,} proteins that are kept, of {len(found):,},"
            " has one of your labels; raise proteins.max_proteins or proteins.max_residues, or run "
            "without proteins.labels"
        )
    return ReadFile(annotations, read.report)


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
    """`splits`, and the tables that the stage shows of how they were made."""
    from interplm_nb.readers import homology, mmseqs

    published = homology.split_published(kept.accessions, params.seed)
    if not mmseqs.is_installed():
        splits = homology.split(homology.alone(kept), params.shares, params.seed)
        text, tables = NOT_SOUGHT, {}
    else:
        clusters = homology.cluster(
            kept, params.identity, params.coverage, max_share=params.train_share
        )
        dealt = homology.split(clusters.table, params.shares, params.seed)
        apart = separate(kept, clusters, dealt)
        splits, text = apart.splits, f"{apart.clusters.report}\n{apart}"
        tables = {
            "merged_relatives": apart.merged,
            "partial_relatives": apart.partial_relatives,
        }
    return tables | {
        "splits": splits.join(published, on="accession", maintain_order="left"),
        "clusters": pl.DataFrame({"text": [text]}),
    }


def _made(run: Run) -> ProteinsStage:
    """Read what the stage has made."""
    kept = run.proteins()
    splits = run.splits()
    lengths = pl.DataFrame({"accession": kept.accessions, "residues": kept.lengths})
    shares = (
        splits.join(lengths, on="accession")
        .group_by("split")
        .agg(pl.len().alias("n_proteins"), pl.col("residues").sum().alias("n_residues"))
    )
    counted = pl.col("split").replace_strict(_partial(run), default=None, return_dtype=pl.Int64)
    shares = shares.sort(pl.col("split").replace_strict({"train": 0, "validation": 1, "test": 2}))
    shares = shares.with_columns(counted.alias("partial_relatives"))
    strict = run.annotations("strict")
    try:
        published, read = run.annotations("published"), run.table("proteins", "read")
        clusters = run.table("proteins", "clusters")["text"][0]
    except PipelineError:
        published, read, clusters = None, None, NOT_KEPT
    return ProteinsStage(kept, strict, published, splits, read, shares, clusters)


def _partial(run: Run) -> dict[str, int]:
    """Proteins with a partial relative in train, by split; empty where they were not sought."""
    try:
        return partial_counts(run.splits(), run.partial_relatives())
    except PipelineError:
        return {}
