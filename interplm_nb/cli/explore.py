"""`interplm-nb explore` and `notebooks`: JupyterLab or the app on a run; the lessons to keep."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interplm_nb.cli.paths import a_path, a_run

_EXAMPLES = """\
examples:
  interplm-nb explore runs/demo                     open 00_explore.ipynb in the run's folder
  interplm-nb explore runs/demo --app               the workbench alone: http://127.0.0.1:8866/
  interplm-nb explore runs/demo --app --no-browser  the same; open the printed address yourself
"""


def add_explore_commands(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `explore` and `notebooks` to the commands; `add` makes a parser, `say` prints a text."""
    explore = add(
        commands,
        "explore",
        "view a run's features in a JupyterLab notebook, or in an app without code",
        _EXAMPLES,
    )
    explore.add_argument("run", type=a_run, metavar="RUN", help="folder of a run")
    explore.add_argument(
        "--app",
        action="store_true",
        help="serve the workbench without code (Voila), on this computer only",
    )
    explore.add_argument(
        "--no-browser", action="store_true", help="print the address instead of opening it"
    )
    explore.set_defaults(do=_explore)
    notebooks = add(
        commands, "notebooks", "copy the lessons into a folder, to read, change and run"
    )
    notebooks.add_argument("folder", type=a_path, metavar="DIR")
    notebooks.set_defaults(do=lambda options: say(_copied(options.folder)))


def _explore(options: argparse.Namespace) -> int:
    from interplm_nb.pipeline.explore_run import explored, open_app, open_lab

    if options.app:
        return open_app(options.run, not options.no_browser)
    with explored(options.run) as notebook:
        return open_lab(notebook, not options.no_browser)


def _copied(folder: Path) -> str:
    from interplm_nb.pipeline.explore_run import copy_lessons

    return "\n".join(str(path) for path in copy_lessons(folder))
