"""`interplm-nb spatial`: are features arranged in space, and what do structures say they match?"""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from interplm_nb.cli.numbers import count
from interplm_nb.cli.paths import a_path

if TYPE_CHECKING:
    from interplm_nb.pipeline.run import Run

_EXAMPLES = """\
examples:
  interplm-nb spatial runs/demo                          structures that are at hand
  interplm-nb spatial runs/demo --structures models/     files named by accession
  interplm-nb spatial runs/demo --structures map.tsv     columns accession, file and chain
  interplm-nb spatial runs/demo --convention published   as InterPLM tests it
  interplm-nb spatial runs/demo --labels                 F1 on burial, secondary structure, contacts

A feature is tested where it fires in at least 25 proteins with a structure. Fetch structures with
interplm-nb data structures RUN.
"""
_SHOWN = 15


def add_spatial_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `spatial` to the commands; `add` makes a parser, `say` prints a text."""
    command = add(
        commands,
        "spatial",
        "test whether features are active around their maximum in space, or along the sequence",
        _EXAMPLES,
    )
    command.add_argument("run", type=a_path, metavar="RUN", help="folder of a finished run")
    command.add_argument(
        "--structures",
        type=a_path,
        metavar="PATH",
        help="folder of files named by accession, or a table with the columns accession and file "
        "(default: the structures that are at hand)",
    )
    command.add_argument(
        "--convention", default="strict", choices=("strict", "published"), help="default: strict"
    )
    command.add_argument("--source", default="sae", help="default: sae, with the run's controls")
    command.add_argument(
        "--min-proteins",
        type=count,
        default=25,
        metavar="N",
        help="test features that fire in at least N proteins (default: %(default)s)",
    )
    command.add_argument(
        "--labels",
        action="store_true",
        help="score features on labels of the structures instead, with F1 on test",
    )
    command.add_argument("--out", type=a_path, metavar="FILE", help="write the whole table as TSV")
    command.set_defaults(do=lambda options: say(_spatial(options)))


def _spatial(options: argparse.Namespace) -> str:
    from interplm_nb.pipeline.model_note import model_note
    from interplm_nb.pipeline.run import Run
    from interplm_nb.readers.structure_list import structures_at_hand, structures_in

    run = Run.open(options.run)
    proteins = run.proteins()
    found = (
        structures_in(options.structures, proteins)
        if options.structures
        else structures_at_hand(proteins)
    )
    parts = _labelled(run, found, options) if options.labels else _tested(run, found, options)
    note = model_note(str(run.about(options.source)["plm"]))
    return "\n\n".join(part for part in (*parts, note) if part)


def _tested(run: "Run", structures: Any, options: argparse.Namespace) -> list[str]:
    from interplm_nb.pipeline.text import text_table
    from interplm_nb.questions.space import left_out, spatial_of_run

    found = spatial_of_run(
        run, structures, options.convention, options.source, min_proteins=options.min_proteins
    )
    test = found.tests[options.source]
    best = test.by_feature().drop_nulls()
    space = next(c for c in best.columns if c.startswith("cohen_d, space"))
    parts = [
        f"{found.coordinates}\n{left_out(found.coordinates)}".strip(),
        test.sentence(),
        text_table(found.summary()),
    ]
    if best.height:
        shown = best.sort(space, descending=True).head(_SHOWN)
        parts += [f"the features most arranged in space ({options.source}):", text_table(shown)]
    return [*parts, _written(found.table(), options)]


def _labelled(run: "Run", structures: Any, options: argparse.Namespace) -> list[str]:
    from interplm_nb.pipeline.scored_sources import SAE_CONTROLS
    from interplm_nb.pipeline.text import text_table
    from interplm_nb.questions.space import structure_scores
    from interplm_nb.readers.structure_labels import structure_labels

    labels = structure_labels(run.proteins(), structures)
    stored = run.with_activations()
    sources = [options.source, *(s for s in SAE_CONTROLS if s in stored and s != options.source)]
    scores = structure_scores(run, labels, sources)
    return [
        f"{labels}; features and thresholds chosen on train and validation, figures from test",
        text_table(scores),
        _written(scores, options),
    ]


def _written(table: Any, options: argparse.Namespace) -> str:
    from interplm_nb.saving import atomic_path
    from interplm_nb.spreadsheet import tsv

    if options.out is None:
        return ""
    with atomic_path(options.out) as draft:
        draft.write_text(tsv(table, 6), encoding="utf-8", newline="\n")
    return f"written: {options.out}"
