"""Evidence for a missing annotation: similar annotated sites, other concepts there, a structure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.discovery.sites import firing_sites
from interplm_nb.proteins import Proteins

FLANK = 10
"""Residues on either side of a site that are aligned too."""
WIDEST = 150
"""Maximum residues of a window; of a longer site, those around its maximum."""
EXAMPLES = 10
"""Number of annotated sites, each of another protein, compared with a candidate: the feature's
strongest."""
GAPS = (-10, -1)
"""Penalties for opening and extending a gap, with BLOSUM62."""

_BY_PAIR: dict[str, Any] = {
    "sites": pl.String,
    "positions": pl.String,
    "alike": pl.String,
    "also_alike": pl.String,
    "identity": pl.Float64,
    "n_aligned": pl.Int64,
    "aligned_start": pl.Int64,
    "alike_start": pl.Int64,
    "aligned_site": pl.String,
    "aligned_alike": pl.String,
}
EVIDENCE: dict[str, Any] = _BY_PAIR | {"other_concepts": pl.String, "structure": pl.String}
"""Columns that `with_evidence` adds and explains."""


class Window(NamedTuple):
    """A stretch of a protein: its letters, and the position (from 1) of the first."""

    accession: str
    start: int
    letters: str


class SiteAlignment(NamedTuple):
    """A local alignment of two windows: score, first aligned positions, both strings with gaps."""

    score: int
    start: int
    other_start: int
    aligned: str
    other: str

    @property
    def n_aligned(self) -> int:
        """Number of columns without a gap."""
        return sum(a != "-" and b != "-" for a, b in zip(self.aligned, self.other, strict=True))

    @property
    def identity(self) -> float:
        """Share of identical letters among the columns without a gap; 0 if nothing aligns."""
        return sum(a == b for a, b in zip(self.aligned, self.other, strict=True)) / max(
            self.n_aligned, 1
        )


def with_evidence(
    found: pl.DataFrame,
    source: FeatureActivations,
    annotations: Annotations,
    structures: Mapping[str, Path],
    examples: int = EXAMPLES,
) -> pl.DataFrame:
    """`discover.candidates` with the columns of `EVIDENCE`, null where missing.

    - sites, positions: all sites of the pair on this protein without the label, and the positions
      of their maxima ("12-30;45-60" and "17;52").
    - alike, also_alike: among the other proteins with the `examples` strongest annotated sites of
      the pair, the one whose site aligns with the highest score, and the next two ("P1;P2").
    - identity, n_aligned, aligned_start, alike_start, aligned_site, aligned_alike: of that
      alignment (`align_windows`) of both sites with 10 residues on either side.
    - other_concepts: other concepts that overlap start..end ("A;B").
    - structure: a file name.
    """
    cells: list[dict[str, Any]] = []
    for pair, rows in found.group_by("concept", "feature", "threshold", maintain_order=True):
        concept, feature, threshold = map(str, pair)
        sites = firing_sites(source, int(feature), float(threshold), annotations.mask(concept))
        known = _strongest(source.proteins, sites.filter("annotated"), examples + 1)
        lists = _lists(sites.filter(~pl.col("annotated")))
        for row in rows.iter_rows(named=True):
            alike = _most_alike(_window(source.proteins, row), known, examples)
            cells.append(
                {"rank": row["rank"], **lists[source.proteins.index(row["accession"])], **alike}
            )
    by_pair = pl.DataFrame(cells, schema={"rank": pl.Int64, **_BY_PAIR})
    files = pl.DataFrame(
        {
            "accession": list(structures),
            "structure": [Path(path).name for path in structures.values()],
        },
        schema={"accession": pl.String, "structure": pl.String},
    )
    table = found.join(by_pair, on="rank", how="left").join(
        _other_concepts(found, annotations), on="rank", how="left"
    )
    return (
        table.join(files, on="accession", how="left").sort("rank").select(*found.columns, *EVIDENCE)
    )


def align_windows(window: Window, other: Window) -> SiteAlignment:
    """The best local alignment (Smith-Waterman) with BLOSUM62 and affine gaps `GAPS`.

    Empty if no two letters score above 0.
    """
    import biotite.sequence as seq
    import biotite.sequence.align as align

    both = [seq.ProteinSequence(_standard(w.letters)) for w in (window, other)]
    matrix = align.SubstitutionMatrix.std_protein_matrix()
    # Compiled, so that type checkers do not see it.
    optimal = align.align_optimal  # pyright: ignore[reportAttributeAccessIssue]
    best = optimal(*both, matrix, gap_penalty=GAPS, local=True, max_number=1)[0]
    if len(best.trace) == 0 or best.score <= 0:
        return SiteAlignment(0, window.start, other.start, "", "")
    # Letters from the windows, not from the alignment, to keep U and O.
    rows = [
        "".join("-" if i < 0 else w.letters[i] for i in column)
        for w, column in zip((window, other), best.trace.T, strict=True)
    ]
    first = best.trace[0]
    return SiteAlignment(
        int(best.score), window.start + int(first[0]), other.start + int(first[1]), *rows
    )


def _most_alike(window: Window, known: list[Window], examples: int) -> dict[str, Any]:
    others = [other for other in known if other.accession != window.accession][:examples]
    aligned = sorted(
        ((align_windows(window, other), other.accession) for other in others),
        key=lambda pair: -pair[0].score,
    )
    aligned = [(alignment, accession) for alignment, accession in aligned if alignment.n_aligned]
    if not aligned:
        return {}
    best, alike = aligned[0]
    return {
        "alike": alike,
        "also_alike": ";".join(accession for _, accession in aligned[1:3]) or None,
        "identity": best.identity,
        "n_aligned": best.n_aligned,
        "aligned_start": best.start,
        "alike_start": best.other_start,
        "aligned_site": best.aligned,
        "aligned_alike": best.other,
    }


def _lists(sites: pl.DataFrame) -> dict[int, dict[str, str]]:
    """Each protein's sites and the positions of their maxima, as text."""
    texts = sites.group_by("protein", maintain_order=True).agg(
        pl.format("{}-{}", "start", "end").str.join(";").alias("sites"),
        pl.col("position").cast(pl.String).str.join(";").alias("positions"),
    )
    return {
        protein: {"sites": spans, "positions": positions}
        for protein, spans, positions in texts.iter_rows()
    }


def _strongest(proteins: Proteins, annotated: pl.DataFrame, n: int) -> list[Window]:
    """The strongest annotated site of each of the `n` proteins where it is strongest.

    Ties go to the first protein of the axis.
    """
    best = (
        annotated.sort("total", "protein", "start", descending=[True, False, False])
        .unique("protein", keep="first", maintain_order=True)
        .head(n)
    )
    return [
        _window(proteins, {**row, "accession": proteins.accessions[row["protein"]]})
        for row in best.iter_rows(named=True)
    ]


def _window(proteins: Proteins, site: Mapping[str, Any]) -> Window:
    """A site with `FLANK` residues on either side, cut to `WIDEST` around the maximum."""
    sequence = proteins.sequence(site["accession"])
    first, last = max(site["start"] - FLANK, 1), min(site["end"] + FLANK, len(sequence))
    if last - first + 1 > WIDEST:
        first = min(max(first, site["position"] - WIDEST // 2), last - WIDEST + 1)
        last = first + WIDEST - 1
    return Window(site["accession"], first, sequence[first - 1 : last])


def _other_concepts(table: pl.DataFrame, annotations: Annotations) -> pl.DataFrame:
    """rank, other_concepts: sorted names of other concepts that overlap start..end."""
    segments = annotations.table.select(
        "accession",
        pl.col("concept").alias("other"),
        pl.col("start").alias("from"),
        pl.col("end").alias("to"),
    )
    over = table.select("rank", "accession", "concept", "start", "end").join(
        segments, on="accession"
    )
    over = over.filter(
        pl.col("other") != pl.col("concept"),
        pl.col("from") <= pl.col("end"),
        pl.col("to") >= pl.col("start"),
    )
    return over.group_by("rank").agg(
        pl.col("other").unique().sort().str.join(";").alias("other_concepts")
    )


def _standard(letters: str) -> str:
    """Replace U and O, which the substitution matrix lacks, by the amino acids they resemble."""
    return letters.replace("U", "C").replace("O", "K")
