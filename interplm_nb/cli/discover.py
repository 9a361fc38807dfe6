"""`interplm-nb discover`: proteins of a run that may lack an annotation."""

import argparse
from collections.abc import Callable
from typing import Any

from interplm_nb.cli.arguments import add_concepts, add_min_confidence
from interplm_nb.cli.numbers import count
from interplm_nb.cli.paths import a_path, a_run

_EXAMPLES = """\
examples:
  interplm-nb discover runs/p                        the best candidates and what confidence means
  interplm-nb discover runs/p --evaluate             hide a fifth of the labels and search for them
  interplm-nb discover runs/p --out candidates.tsv   all candidates with their evidence
  interplm-nb discover runs/p --concept "Signal peptide" --concept Helix --min-confidence 0.3
  interplm-nb discover runs/p --source random_sae    what an untrained dictionary proposes

A candidate is a stretch of a protein without the label where a feature linked to the concept is
active. Its row names the most similar annotated site with the alignment, other annotations there
and a structure if one is known. An evaluation is stored in the run and shown from then on.
"""

_SHOWN = 20
"""Candidates on the terminal."""

_HEADINGS = {
    "start": "from",
    "end": "to",
    "n_annotated": "elsewhere",
    "alike": "most alike",
    "n_aligned": "over",
    "precision": "precision on test",
}

_COLUMNS = ("rank", "accession", "concept", "confidence", "feature", "start", "end")
_COLUMNS += ("n_annotated", "alike", "identity", "n_aligned", "precision", "structure")


def add_discover_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `discover` to the commands; `add` makes a parser, `say` prints a text."""
    command = add(
        commands,
        "discover",
        "find proteins that may lack an annotation where its features are active",
        _EXAMPLES,
    )
    command.add_argument("run", type=a_run, metavar="RUN", help="folder of a finished run")
    command.add_argument(
        "--out",
        type=a_path,
        metavar="FILE",
        help="write all candidates with their evidence to a TSV file",
    )
    add_concepts(command, "--concept")
    add_min_confidence(command, "a candidate")
    command.add_argument(
        "--per-concept",
        type=count,
        default=3,
        metavar="N",
        help="use a concept's N best features (default: %(default)s)",
    )
    command.add_argument(
        "--source",
        default="sae",
        help="which of the run's SAEs: sae, or random_sae, shuffled_sae (default: %(default)s)",
    )
    command.add_argument(
        "--evaluate",
        action="store_true",
        help="measure how well hidden labels are recovered, and store the result in the run",
    )
    command.set_defaults(do=lambda options: say(_discover(options)))


def _discover(options: argparse.Namespace) -> str:
    from interplm_nb.pipeline.model_note import model_note
    from interplm_nb.pipeline.run import Run
    from interplm_nb.questions.discover import confidence_meaning, discover
    from interplm_nb.spreadsheet import write_tsv

    run = Run.open(options.run)
    found = discover(
        run, options.concept, options.min_confidence, options.per_concept, options.source
    )
    control = _control(run, options)
    if options.out:
        write_tsv(found.table, options.out)
        shown = f"written: {options.out}"
    else:
        shown = _first(found.table)
    note = model_note(str(run.about("sae")["plm"]))
    return "\n\n".join(
        part
        for part in (
            found.caption,
            shown,
            confidence_meaning(options.min_confidence),
            control,
            note,
        )
        if part
    )


def _control(run: Any, options: argparse.Namespace) -> str:
    """How well hidden labels are recovered, or how to measure it."""
    from interplm_nb.pipeline.errors import PipelineError
    from interplm_nb.questions.discover import (
        not_evaluated,
        refound,
        refound_text,
        store_refound,
        stored_refound,
    )

    if not options.evaluate:
        stored = stored_refound(run, options.source)
        return (
            refound_text(stored, options.source) if stored else not_evaluated(run, options.source)
        )
    measured = refound(run, options.source, per_concept=options.per_concept)
    text = refound_text(measured, options.source)
    try:
        store_refound(run, measured, options.source)
    except (OSError, PipelineError) as error:
        text += f"\n\nThis was not stored: {error}"
    return text


def _first(table: Any) -> str:
    import polars as pl

    from interplm_nb.pipeline.text import text_table

    if table.is_empty():
        return ""
    of = (
        f"the first {_SHOWN} of {table.height:,}; all, with their evidence, with --out FILE.tsv"
        if table.height > _SHOWN
        else "all candidates"
    )
    shown = (
        table.head(_SHOWN)
        .select(_COLUMNS)
        .rename(_HEADINGS)
        .with_columns(pl.col(pl.String).fill_null("–"))
    )
    return (
        f"{text_table(shown)}\n{of}. elsewhere: instances of the concept at other places of the "
        "protein. most alike, identity, over: the annotated protein whose site aligns best, and "
        "the share of identical residues over that many columns."
    )
