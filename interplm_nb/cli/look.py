"""`interplm-nb look`: your own proteins through an existing SAE."""

import argparse
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from interplm_nb.cli.arguments import add_device, add_strict
from interplm_nb.cli.numbers import count, layer
from interplm_nb.cli.paths import a_path, a_run

if TYPE_CHECKING:
    import polars as pl

    from interplm_nb.pipeline.run import Run
    from interplm_nb.questions.own_proteins import OwnProteins

_EXAMPLES = """\
examples:
  interplm-nb look mine.fasta --out runs/mine          with the nearest run, else the package's
  interplm-nb look P69905 P68871 --run runs/demo --out runs/mine          accessions of UniProt
  interplm-nb look mine.fasta --sae Elana/InterPLM-esm2-8m --layer 4 --out runs/mine
  interplm-nb look mine.fasta --run runs/esm2 --sae Elana/InterPLM-esm2-8m --layer 4 --out runs/m

Nothing is trained and nothing is scored: names, F1 scores and controls are those of the SAE's own
run, and said to be. Features come first that these proteins have more than the proteins of that
run. A published SAE has names where a run of its PLM has scored it:
interplm-nb score SAE --run RUN --keep-activations
"""


def add_look_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    add: Callable[..., argparse.ArgumentParser],
    say: Callable[[str], None],
) -> None:
    """Add `look` to the commands; `add` makes a parser, `say` prints a text."""
    command = add(
        commands,
        "look",
        "look at your own proteins through an existing SAE, without training",
        _EXAMPLES,
    )
    command.add_argument(
        "proteins",
        nargs="+",
        metavar="PROTEINS",
        help="a file (FASTA, a UniProt download, or a list of accessions), or accessions",
    )
    command.add_argument(
        "--run",
        type=a_run,
        metavar="RUN",
        help="run of the SAE (default: the nearest finished one, as notebooks find it, else the "
        "demo run that comes with the package)",
    )
    command.add_argument(
        "--source",
        default="sae",
        help="which of the run's SAEs: sae, random_sae, or one scored with --keep-activations "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--sae",
        metavar="SAE",
        help="an SAE instead of the run's: its folder or file, or a published one "
        "(interplm-nb models); with --run, one that was scored there",
    )
    command.add_argument("--layer", type=layer, help="layer of a published SAE")
    command.add_argument(
        "--out", type=a_path, required=True, metavar="DIR", help="folder of the run to make"
    )
    command.add_argument(
        "--top",
        type=count,
        default=10,
        metavar="N",
        help="show the N most enriched features (default: %(default)s)",
    )
    add_device(command)
    command.add_argument(
        "--offline", action="store_true", help="take accessions from the cache alone"
    )
    add_strict(command)
    command.set_defaults(do=lambda options: say(_look(options)))


def _look(options: argparse.Namespace) -> str:
    from interplm_nb.questions.look import look

    run = look(
        _proteins(options.proteins),
        options.out,
        options.run,
        source=options.source,
        sae=options.sae,
        layer=options.layer,
        device=options.device,
        offline=options.offline,
        strict=options.strict,
    )
    return _said(run, options.top)


def _proteins(words: list[str]) -> "OwnProteins":
    """A file where there is one of that name; else accessions."""
    from interplm_nb.readers.report import InputError
    from interplm_nb.readers.uniprot_rest import ACCESSION

    if len(words) == 1 and (Path(words[0]).exists() or ACCESSION.fullmatch(words[0]) is None):
        return Path(words[0])
    wrong = [word for word in words if ACCESSION.fullmatch(word) is None]
    if wrong:
        raise InputError(
            f"{wrong[0]!r} is not an accession of UniProt, such as P69905; give one file, or "
            "accessions alone"
        )
    return words


def _said(run: "Run", top: int) -> str:
    """What was made, what these proteins have most, and what to do next."""
    from interplm_nb.pipeline.looked import looked
    from interplm_nb.pipeline.model_note import model_note
    from interplm_nb.pipeline.text import text_table

    found = looked(run)
    assert found is not None  # `look` has written it
    about = found.about
    left_out = [f"  {n:,} {reason}" for reason, n in about["left_out"].items()]
    folder = quote(str(run.folder))
    parts = [
        "\n".join([f"{run.folder}: {run.proteins()}, {about['plm']}", *left_out]),
        text_table(_first(run, top)),
        "\n".join(filter(None, (about[name] for name in ("enrichment", "names", "scale")))),
        model_note(about["plm"]),
        f"See them: interplm-nb explore {folder}\n"
        f"Fetch their structures: interplm-nb data structures {folder}",
    ]
    return "\n\n".join(filter(None, parts))


def _first(run: "Run", top: int) -> "pl.DataFrame":
    """The first rows of the workbench's table: the most enriched features and their names."""
    import polars as pl

    from interplm_nb.widgets.feature_list import feature_list
    from interplm_nb.widgets.feature_page import FeaturePages

    table = feature_list(FeaturePages(run))
    rank = pl.col("enrichment") if "enrichment" in table.columns else -pl.col("share_here")
    rows = table.sort(rank, "feature", nulls_last=True).head(top)
    q = pl.col("q_enrichment").map_elements(lambda q: f"{q:.1e}", return_dtype=pl.String)
    columns = {
        "feature": pl.col("feature"),
        "best concept": pl.col("concept"),
        "F1 test": pl.col("f1_per_domain"),
        "here": pl.col("share_here"),
        "background": pl.col("share_background"),
        "q": q,
    }
    there = {
        words: column
        for words, column in columns.items()
        if column.meta.root_names()[0] in table.columns
    }
    return rows.select(**there)
