"""`interplm-nb score`: a run's scores, runs compared, an export, and other SAEs on a run."""

import argparse
from collections.abc import Callable
from shlex import quote
from typing import TYPE_CHECKING, Any

from interplm_nb.cli.arguments import add_device
from interplm_nb.cli.numbers import activation, count, factor, layer
from interplm_nb.cli.paths import a_path
from interplm_nb.pipeline.errors import PipelineError

if TYPE_CHECKING:
    import polars as pl

    from interplm_nb.pipeline.run import Run

_EXAMPLES = """\
examples:
  interplm-nb score runs/demo                        features and their concepts, with controls
  interplm-nb score runs/demo --export table.tsv     all pairs, with a header of how they were made
  interplm-nb score runs/a runs/b                    concepts gained and lost, with intervals
  interplm-nb score sae other/ae.pt --run runs/demo  other SAEs of the same PLM on a run's proteins
  interplm-nb score Elana/InterPLM-esm2-8m --layer 4 --run runs/esm2     a published SAE
  interplm-nb score --published --run runs/esm2      every published SAE of the run's PLM

With --run, an SAE is a folder of this package, another project's file or folder, or a repository
on huggingface.co. It must belong to the run's PLM.
"""

_GIVEN = {
    "plm": str,
    "layer": layer,
    "hook": str,
    "architecture": str,
    "k": count,
    "threshold": activation,
    "input-scale": factor,
    "format": str,
}


def add_score_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `score` to the commands; `add` makes a parser, `say` prints a text."""
    command = add(
        commands,
        "score",
        "show which features match which concepts, with controls; compare runs; score any SAE",
        _EXAMPLES,
    )
    command.add_argument(
        "paths",
        nargs="*",
        metavar="RUN_OR_SAE",
        help="folder of a run, or of several runs to compare; with --run: SAEs",
    )
    command.add_argument(
        "--source",
        help="sae, or a control such as neurons, shuffled_sae, random_sae (default: sae)",
    )
    command.add_argument(
        "--convention", default="strict", choices=("strict", "published"), help="default: strict"
    )
    command.add_argument("--tsv", action="store_true", help="print only the table, as TSV")
    command.add_argument(
        "--export",
        type=a_path,
        metavar="FILE",
        help="write all pairs of feature and concept to a TSV file for publication",
    )
    command.add_argument(
        "--across-models", action="store_true", help="allow runs of different PLMs"
    )
    command.add_argument(
        "--run", type=a_path, metavar="RUN", help="score the SAEs on this run's proteins"
    )
    command.add_argument(
        "--published",
        action="store_true",
        help="with --run, instead of SAEs: every published SAE that interplm-nb models lists",
    )
    command.add_argument(
        "--keep-activations",
        action="store_true",
        help="with --run: make each SAE a source of the run, which the workbench and look open",
    )
    add_device(command, "with --run: ")
    command.add_argument("--revision", help="with --run: commit, branch or tag of a repository")
    command.add_argument("--file", metavar="PATH", help="with --run: weights file in a repository")
    said = command.add_argument_group(
        "with --run, what the SAE's file does not say (see interplm-nb models convert --help)"
    )
    for name, kind in _GIVEN.items():
        said.add_argument(f"--{name}", type=kind)
    command.set_defaults(do=lambda options: say(_score(options)))


def _score(options: argparse.Namespace) -> str:
    source, convention = options.source or "sae", options.convention
    if options.published and options.paths:
        raise PipelineError(
            f"--published scores every published SAE of the list, and {options.paths[0]} is one "
            "more; give one or the other"
        )
    if not (options.published or options.paths):
        raise PipelineError("nothing to score; give the folder of a run, or SAEs with --run RUN")
    if options.run is not None:
        return _rescored(options)
    said = [
        name
        for name, value in {
            **_given(options),
            "revision": options.revision,
            "file": options.file,
            "published": options.published,
            "keep-activations": options.keep_activations,
        }.items()
        if value not in (None, False)
    ]
    if said:
        raise PipelineError(
            f"--{said[0].replace('_', '-')} is about SAEs, and SAEs are scored on a run; "
            "add --run RUN"
        )
    if options.export is not None:
        return _exported(options, source)
    if len(options.paths) > 1:
        from interplm_nb.pipeline.run import Run
        from interplm_nb.questions.compare_runs import compare_runs

        compared = compare_runs(
            *map(Run.open, options.paths),
            source=source,
            convention=convention,
            across_models=options.across_models,
        )
        return _tsv(compared.concepts) if options.tsv else str(compared)
    from interplm_nb.cli.describe import describe_scores

    return describe_scores(options.paths[0], source, convention, options.tsv)


def _exported(options: argparse.Namespace, source: str) -> str:
    from interplm_nb.pipeline.run import Run
    from interplm_nb.questions.export import export_links

    if len(options.paths) > 1:
        raise PipelineError(
            f"--export writes the table of one run; got {len(options.paths)}. Export one at a time"
        )
    n = export_links(Run.open(options.paths[0]), source, options.convention, options.export)
    return f"{options.export}: {n:,} pairs of feature and concept"


def _rescored(options: argparse.Namespace) -> str:
    from interplm_nb.pipeline.run import Run
    from interplm_nb.questions.rescore import opened, rescore
    from interplm_nb.questions.rescore_published import rescore_published
    from interplm_nb.sae.importers.given import Given

    run, keep = Run.open(options.run), options.keep_activations
    if options.published:
        table = rescore_published(run, device=options.device, keep=keep)
    else:
        saes = opened(options.paths, Given(**_given(options)), options.revision, options.file)
        table = rescore(run, saes, device=options.device, keep=keep)
    return _tsv(table) if options.tsv else _rescored_text(table, run, options)


def _rescored_text(table: "pl.DataFrame", run: "Run", options: argparse.Namespace) -> str:
    """The table, why an SAE is not in it, and how to open what was kept."""
    from interplm_nb.questions.rescore import kept_as
    from interplm_nb.questions.rescore_table import rescored_text

    parts = [rescored_text(table, options.convention, run.summary("embed")["plm"])]
    if "why_not" in table.columns:
        absent = table.drop_nulls("why_not").select("sae", "why_not")
        parts.append("\n".join(f"{name}: not scored, because {why}" for name, why in absent.rows()))
    if options.keep_activations:
        folder = quote(str(run.folder))
        parts += [
            f"{name} is source {source} of {run.folder}: Workbench({str(run.folder)!r}, {source!r})"
            f" shows it; interplm-nb look mine.fasta --run {folder} --source {source} --out runs/m"
            for name, source in kept_as(run, table["sae"].to_list()).items()
        ]
    return "\n\n".join(filter(None, parts))


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {name.replace("-", "_"): getattr(options, name.replace("-", "_")) for name in _GIVEN}


def _tsv(table: Any) -> str:
    from interplm_nb.spreadsheet import tsv

    return tsv(table).rstrip("\n")
