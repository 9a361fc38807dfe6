"""`interplm-nb push` and `pull`: a run's folder to an object store, and back."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from interplm_nb.cli.paths import a_path

_EXAMPLES = """\
examples:
  interplm-nb push runs/demo s3://lab/runs/demo      only what differs moves, the index last
  interplm-nb pull s3://lab/runs/demo runs/copy      each file compared with its sha256

URL is s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///FOLDER. Credentials come from the
environment, as of any program of the store: AWS_PROFILE, or AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY; AWS_ENDPOINT_URL for a server that is not Amazon's. Most commands take such
an address where they take RUN, and fetch what they read.
"""


def add_store_commands(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `push` and `pull` to the commands; `add` makes a parser, `say` prints a text."""
    pushing = add(commands, "push", "send a run to an object store", _EXAMPLES)
    pushing.add_argument("run", type=a_path, metavar="RUN", help="folder of a run")
    pushing.add_argument("url", metavar="URL", help="where to, such as s3://lab/runs/demo")
    pushing.set_defaults(do=lambda options: say(_push(options)))
    pulling = add(commands, "pull", "bring a run from an object store", _EXAMPLES)
    pulling.add_argument("url", metavar="URL", help="where from, such as s3://lab/runs/demo")
    pulling.add_argument("folder", type=a_path, metavar="DIR", help="an empty or a new folder")
    pulling.set_defaults(do=lambda options: say(_pull(options)))


def _push(options: argparse.Namespace) -> str:
    from interplm_nb.pipeline.stored_run import push_run

    moved = push_run(options.run, options.url, sys.stderr.isatty())
    return f"{options.url}: {len(moved.index.files):,} files; {_moved('sent', moved)}"


def _pull(options: argparse.Namespace) -> str:
    from interplm_nb.pipeline.stored_run import pull_run

    moved = pull_run(options.url, options.folder, sys.stderr.isatty())
    return f"{options.folder}: {len(moved.index.files):,} files; {_moved('fetched', moved)}"


def _moved(what: str, moved: Any) -> str:
    return f"{moved.files:,} were {what} ({moved.bytes / 1e6:,.1f} MB)"
