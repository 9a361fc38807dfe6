"""`interplm-nb follow`: what happens to features from run to run."""

import argparse
from collections.abc import Callable
from typing import Any

from interplm_nb.cli.paths import a_path, a_run

_EXAMPLES = """\
examples:
  interplm-nb follow runs/layer_1 runs/layer_2 runs/layer_3     three layers of one model
  interplm-nb follow runs/esm2 runs/unirep --out fates.tsv      two models, every feature's fate

Features are compared by their activations on the proteins that all runs have. A feature is kept,
split, merged or lost in the next run, or born there; docs/features.md defines these words. To
compare layers in one pass over the model, run stage compare: -p 'compare.layers=[1, 2, 3]'.
"""


def add_follow_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `follow` to the commands; `add` makes a parser, `say` prints a text."""
    command = add(
        commands,
        "follow",
        "follow features from run to run, such as layers: kept, split, merged, lost or born",
        _EXAMPLES,
    )
    command.add_argument(
        "runs", type=a_run, nargs="+", metavar="RUN", help="folders of two finished runs or more"
    )
    command.add_argument(
        "--out", type=a_path, metavar="FILE", help="write every feature's fate as TSV"
    )
    command.set_defaults(do=lambda options: say(_follow(options)))


def _follow(options: argparse.Namespace) -> str:
    from interplm_nb.pipeline.run import Run
    from interplm_nb.questions.follow import follow_runs
    from interplm_nb.spreadsheet import write_tsv

    found = follow_runs(*map(Run.open, options.runs))
    if not options.out:
        return str(found)
    write_tsv(found.features, options.out, 6)
    return f"{found}\n\nwritten: {options.out}"
