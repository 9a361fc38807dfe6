"""`interplm-nb rank`: which features tell your own labels of proteins."""

import argparse
from collections.abc import Callable
from typing import Any

from interplm_nb.cli.numbers import count
from interplm_nb.cli.paths import a_path, a_run

_EXAMPLES = """\
examples:
  interplm-nb rank runs/demo localisation.tsv          columns accession and label
  interplm-nb rank runs/demo stability.csv --column tm       a number per protein
  interplm-nb rank runs/demo localisation.tsv --how mean --by auprc --out ranked.tsv
  interplm-nb rank runs/demo localisation.tsv --save classifier.json

LABELS is a table (.tsv, .csv or .parquet) of the run's proteins; a protein may have several
classes, one a row. Proteins that carry none of them, and were examined, have the label "none";
proteins without a row count for nothing.
"""


def add_rank_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `rank` to the commands; `add` makes a parser, `say` prints a text."""
    command = add(
        commands,
        "rank",
        "rank features by your own labels of proteins, with controls",
        _EXAMPLES,
    )
    command.add_argument("run", type=a_run, metavar="RUN", help="folder of a finished run")
    command.add_argument("labels", type=a_path, metavar="LABELS", help="table of labels")
    command.add_argument("--column", default="label", help="its column of labels (default: label)")
    command.add_argument(
        "--kind", default="auto", choices=("auto", "class", "number"), help="default: auto"
    )
    command.add_argument(
        "--how",
        default="max",
        choices=("max", "mean", "share"),
        help="how residues are pooled (default: max)",
    )
    command.add_argument(
        "--by", default="f1", choices=("f1", "auprc"), help="rank classes by (default: f1)"
    )
    command.add_argument(
        "--source", default="sae", help="which of the run's sources (default: sae)"
    )
    command.add_argument(
        "--top",
        type=count,
        default=20,
        metavar="N",
        help="features per label (default: %(default)s)",
    )
    command.add_argument("--out", type=a_path, metavar="FILE", help="write the whole table as TSV")
    command.add_argument("--save", type=a_path, metavar="FILE", help="write the classifier as JSON")
    command.set_defaults(do=lambda options: say(_rank(options)))


def _rank(options: argparse.Namespace) -> str:
    from interplm_nb.pipeline.errors import PipelineError
    from interplm_nb.pipeline.model_note import model_note
    from interplm_nb.pipeline.run import Run
    from interplm_nb.questions.rank import rank_run, ranked_text, written
    from interplm_nb.readers.protein_labels import read_protein_labels

    run = Run.open(options.run)
    labels, report = read_protein_labels(
        options.labels, options.column, options.kind, run.proteins()
    )
    if options.save and labels.kind == "number":
        raise PipelineError(
            "--save writes a classifier, and these labels are numbers; leave it out"
        )
    ranked = rank_run(run, labels, options.source, options.how, options.by, options.top)
    parts = [str(report), ranked_text(ranked)]
    if options.out:
        written(ranked, options.out)
        parts.append(f"written: {options.out}")
    if options.save and ranked.classifier is not None:
        ranked.classifier.save(options.save)
        parts.append(f"written: {options.save}: {ranked.classifier!r}")
    return "\n\n".join([*parts, *filter(None, [model_note(str(run.about("sae")["plm"]))])])
