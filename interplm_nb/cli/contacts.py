"""`interplm-nb contacts`: the contacts that a run's model knows, and what its SAE keeps of them."""

import argparse
from collections.abc import Callable
from typing import Any

from interplm_nb.cli.arguments import add_device, add_structures
from interplm_nb.cli.numbers import feature
from interplm_nb.cli.paths import a_path, a_run

_EXAMPLES = """\
examples:
  interplm-nb contacts runs/esm2 --protein P69905                 as it is, and reconstructed
  interplm-nb contacts runs/esm2 --protein P69905 --feature 12 --feature 40     and without each
  interplm-nb contacts runs/esm2 --structures models/ --out contacts.tsv        all with a structure

Contacts are read from substitutions (the categorical Jacobian): 20 runs of the model per residue,
for each row of the table. The model must predict masked residues, as ESM-2 does and UniRep does
not. If the model has a head for them: also contacts from attention, in one run.
"""


def add_contacts_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `contacts` to the commands; `add` makes a parser, `say` prints a text."""
    command = add(
        commands,
        "contacts",
        "compare the contacts that a masked model knows, and what its SAE keeps, with structures",
        _EXAMPLES,
    )
    command.add_argument("run", type=a_run, metavar="RUN", help="folder of a run")
    add_structures(command)
    command.add_argument(
        "--protein",
        action="append",
        default=[],
        metavar="ACCESSION",
        help="only this protein; can be repeated",
    )
    command.add_argument(
        "--feature",
        action="append",
        type=feature,
        metavar="N",
        help="leave this feature out; can be repeated, one row each",
    )
    command.add_argument("--source", default="sae", help="which of the run's SAEs (default: sae)")
    add_device(command)
    command.add_argument("--out", type=a_path, metavar="FILE", help="write the table as TSV")
    command.set_defaults(do=lambda options: say(_contacts(options)))


def _contacts(options: argparse.Namespace) -> str:
    from interplm_nb.pipeline.model_note import model_note
    from interplm_nb.pipeline.run import Run
    from interplm_nb.pipeline.text import text_table
    from interplm_nb.questions.contacts import contacts_of_run, without_attention
    from interplm_nb.readers.structure_list import structures_in
    from interplm_nb.spreadsheet import write_tsv

    run = Run.open(options.run)
    proteins = run.proteins().select(options.protein) if options.protein else run.proteins()
    structures = structures_in(options.structures, proteins)
    table = contacts_of_run(run, structures, options.feature or (), options.source, options.device)
    read = table["attention_l"].is_not_null().any()
    absent = "" if read else without_attention(run)
    parts = [
        "precision of the highest L/5 and L long-range pairs; by chance: of all such pairs",
        text_table(table.drop("attention_l5", "attention_l") if absent else table),
        absent,
        model_note(str(run.about(options.source)["plm"])),
    ]
    if options.out is not None:
        write_tsv(table, options.out, 6)
        parts.append(f"written: {options.out}")
    return "\n\n".join(part for part in parts if part)
