"""`interplm-nb spatial`: are features arranged in space, and what do structures say they match?"""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from interplm_nb.cli.arguments import add_structures
from interplm_nb.cli.numbers import count
from interplm_nb.cli.paths import a_path, a_run

if TYPE_CHECKING:
    import polars as pl

    from interplm_nb.features.spatial.spatial_test import SpatialTest
    from interplm_nb.pipeline.run import Run

_EXAMPLES = """\
examples:
  interplm-nb spatial runs/demo                          available structures
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
    command.add_argument("run", type=a_run, metavar="RUN", help="folder of a finished run")
    add_structures(command)
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
        "--draws",
        type=count,
        default=1_000,
        metavar="N",
        help="shifts drawn by strict; to find one feature among m tested take 20 m (default: "
        "%(default)s)",
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
    from interplm_nb.readers.structure_list import structures_in

    run = Run.open(options.run)
    found = structures_in(options.structures, run.proteins())
    parts = _labelled(run, found, options) if options.labels else _tested(run, found, options)
    note = model_note(str(run.about(options.source)["plm"]))
    return "\n\n".join(part for part in (*parts, note) if part)


def _tested(run: "Run", structures: Any, options: argparse.Namespace) -> list[str]:
    from interplm_nb.pipeline.text import text_table
    from interplm_nb.questions.space import left_out, spatial_of_run

    found = spatial_of_run(
        run,
        structures,
        options.convention,
        options.source,
        min_proteins=options.min_proteins,
        draws=options.draws,
    )
    test = found.tests[options.source]
    parts = [
        f"{found.coordinates}\n{left_out(found.coordinates)}".strip(),
        test.sentence(),
        text_table(found.summary()),
    ]
    best = _most_in_space(test)
    if best.height:
        parts += [f"the features most arranged in space ({options.source}):", text_table(best)]
    return [*parts, _written(found.table(), options)]


def _most_in_space(test: "SpatialTest") -> "pl.DataFrame":
    """The tested features with the largest effect in space; effects and adjusted p of each kind."""
    from interplm_nb.features.spatial.spatial_test import KINDS

    sequence, *space = KINDS[test.convention]
    first = f"cohen_d, {space[0].name}"
    found = test.by_feature().drop_nulls(first).sort(first, descending=True).head(_SHOWN)
    shown = {"feature": "feature", "proteins": f"n_proteins, {space[0].name}"}
    for kind in (*space, sequence):
        shown[f"d {kind.name}"] = f"cohen_d, {kind.name}"
        shown[f"p {kind.name}"] = f"p_adjusted, {kind.name}"
    return found.select(**shown)


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
    from interplm_nb.spreadsheet import write_tsv

    if options.out is None:
        return ""
    write_tsv(table, options.out, 6)
    return f"written: {options.out}"
