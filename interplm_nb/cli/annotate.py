"""`interplm-nb annotate`: what a run's features say about new sequences or a family."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interplm_nb.cli.arguments import (
    add_concepts,
    add_device,
    add_min_confidence,
    add_scheduler,
    add_strict,
)
from interplm_nb.cli.numbers import count, share
from interplm_nb.cli.paths import a_path, a_run

_EXAMPLES = """\
examples:
  interplm-nb annotate mine.fasta --run runs/p                   a table of named stretches (TSV)
  interplm-nb annotate mine.fasta --run runs/p --out mine.gff3   or .json or .tsv, by suffix
  interplm-nb annotate mine.fasta --run runs/p --concepts "Signal peptide" --min-confidence 0.8
  interplm-nb annotate many.fasta --run runs/p --out many.tsv --scheduler local:2
  interplm-nb annotate PF00076.sto --run runs/p --family --out rrm.tsv --picture rrm.png

A name is a UniProtKB concept linked to a feature. It comes with its confidence (calibrated on
train) and the precision and F1 of the pair on test proteins. With --family the file is Stockholm,
Clustal, A3M (lower case is an insert), aligned FASTA or FASTA, recognised by its content; the
output lists the features that its members share, compared with stretches of the run's proteins of
the same lengths, read by themselves as the members are.
"""


def add_annotate_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `annotate` to the commands; `add` makes a parser, `say` prints a text."""
    command = add(
        commands,
        "annotate",
        "name what a run's features find in new sequences or in a family",
        _EXAMPLES,
    )
    command.add_argument(
        "file",
        type=a_path,
        metavar="FASTA",
        help="sequences, plain or compressed; with --family also an alignment",
    )
    command.add_argument(
        "--run",
        type=a_run,
        metavar="RUN",
        help="folder of a finished run (default: the demo run that comes with the package)",
    )
    command.add_argument(
        "--source",
        default="sae",
        help="which of the run's SAEs: sae, or random_sae as a control (default: %(default)s)",
    )
    _add_output(command)
    _add_naming(command)
    command.add_argument(
        "--family",
        action="store_true",
        help="treat the sequences as one family: what do its members share?",
    )
    command.add_argument(
        "--picture",
        type=a_path,
        metavar="FILE",
        help="with --family: draw it as .png, .svg or .pdf",
    )
    add_device(command)
    add_scheduler(command)
    add_strict(command)
    command.set_defaults(do=lambda options: _annotate(options, say))


def _add_output(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--out", type=a_path, metavar="FILE", help="file to write (default: standard output)"
    )
    command.add_argument(
        "--format",
        choices=("json", "gff3", "tsv"),
        help="output format (default: by the suffix of --out, else tsv)",
    )


def _add_naming(command: argparse.ArgumentParser) -> None:
    """Which pairs of concept and feature give a name, and how many are shown."""
    command.add_argument(
        "--max-q",
        type=share,
        default=0.05,
        metavar="Q",
        help="largest false discovery rate on test of a name (default: %(default)s)",
    )
    add_min_confidence(command, "a name")
    add_concepts(command, "--concepts")
    command.add_argument(
        "--top",
        type=count,
        default=20,
        metavar="N",
        help="show N names and N other features per sequence (default: %(default)s)",
    )


def _annotate(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    from interplm_nb.pipeline.errors import PipelineError
    from interplm_nb.pipeline.model_note import model_note
    from interplm_nb.pipeline.run import Run
    from interplm_nb.questions.annotate import Annotator
    from interplm_nb.questions.annotate_formats import format_of
    from interplm_nb.scale.address import check_address

    kind = format_of(options.out, options.format)
    if options.picture and not options.family:
        raise PipelineError("--picture draws a family; add --family")
    if options.picture and options.picture.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise PipelineError(f"--picture {options.picture}: name it .png, .svg or .pdf")
    if options.family and kind == "gff3":
        raise PipelineError(
            "a family is written as json or tsv: its rows are features, not stretches of a sequence"
        )
    if options.family and options.scheduler:
        raise PipelineError("a family is read in one process; leave --scheduler out")
    check_address(options.scheduler)
    annotator = Annotator(
        Run.open(options.run) if options.run else Run.shipped(), options.source, options.device
    )
    text, summary = (_family if options.family else _sequences)(annotator, options, kind)
    if options.out:
        _write(text, options.out)
        say("\n".join([*summary, f"written: {options.out}"]))
    else:
        say(text)
        sys.stderr.write("\n".join(summary) + "\n")
    if note := model_note(annotator.plm.name):
        sys.stderr.write(f"{note}\n")


def _sequences(annotator: Any, options: argparse.Namespace, kind: str) -> tuple[str, list[str]]:
    from interplm_nb.questions.annotate_formats import written

    found = annotator(
        options.file,
        options.min_confidence,
        options.concepts,
        max_q=options.max_q,
        strict=options.strict,
        progress=sys.stderr.isatty(),
        scale=options.scheduler,
    )
    without = len(found.proteins) - found.concepts["accession"].n_unique()
    summary = [
        str(found.report),
        f"{found.concepts.height:,} named stretches with confidence >= {options.min_confidence:g}; "
        f"no named concept in {without:,} of {len(found.proteins):,} sequences",
        *filter(None, [found.best_hidden]),
    ]
    return written(found, kind, options.top), summary


def _family(annotator: Any, options: argparse.Namespace, kind: str) -> tuple[str, list[str]]:
    from interplm_nb.questions.family import family
    from interplm_nb.readers.alignment import read_family

    found = family(
        annotator,
        read_family(options.file, options.strict),
        top=options.top,
        progress=sys.stderr.isatty(),
    )
    summary = [str(found.report), found.caption]
    if options.picture:
        from interplm_nb.figures.family import picture
        from interplm_nb.saving import atomic_path

        with atomic_path(options.picture) as draft:
            picture(found).figure.savefig(draft, format=options.picture.suffix[1:].lower(), dpi=200)
        summary.append(f"drawn: {options.picture}")
    return found.to_json() if kind == "json" else found.to_tsv(), summary


def _write(text: str, path: Path) -> None:
    from interplm_nb.saving import atomic_path

    with atomic_path(path) as draft:
        draft.write_text(text + "\n", encoding="utf-8")
