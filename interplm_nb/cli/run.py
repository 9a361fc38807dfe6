"""`interplm-nb run`: a profile, from protein files to scored features."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from interplm_nb.cli.arguments import add_device, add_scheduler, add_strict
from interplm_nb.cli.paths import a_path, a_run

if TYPE_CHECKING:
    from interplm_nb.pipeline.runner import Request

_EXAMPLES = """\
PROFILE is a packaged profile (demo, laboratory, proteomes, esm2-8m, sweep-8m) or the path of a
.toml file with a table per stage. The stages are proteins, embed, train, activations, concepts,
features, interpret. Unchanged stages are skipped. To resume a run that was stopped, give the same
command again.

Stage compare follows train if the profile has a table [compare], as laboratory and sweep-8m have,
or if you set one of its parameters. It trains SAEs over layers x recipes x sparsities x learning
rates x seeds in one pass over the model, evaluates them alike and recommends one per layer.

examples:
  interplm-nb run demo --out runs/demo
  interplm-nb run demo --out runs/demo --scheduler local:2       shards in two processes
  interplm-nb run demo --out s3://lab/runs/demo                  in an object store (extra [s3])
  interplm-nb run demo --out runs/demo -p train.steps=10000      rerun train and all that follows
  interplm-nb run demo --out runs/esm2 -p embed.plm=esm2_t6_8M_UR50D --device cuda
  interplm-nb run demo --out runs/demo --dry-run                 estimate time, memory and disk
  interplm-nb run demo --out runs/demo --force concepts          redo stage concepts
  interplm-nb run laboratory --out runs/lab                      compare all SAE architectures
  interplm-nb run demo --out runs/demo -p 'compare.recipes=["topk", "jumprelu"]' \\
      -p 'compare.sparsities=[16, 32]' -p 'compare.seeds=[0, 1]'
"""


def add_run_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `run` to the commands; `add` makes a parser, `say` prints a text."""
    command = add(
        commands, "run", "run a profile: from protein files to scored features", _EXAMPLES
    )
    add_run_arguments(command, a_run, ", or an address such as s3://BUCKET/PREFIX")
    command.add_argument(
        "--from",
        dest="first",
        default="proteins",
        metavar="STAGE",
        help="start here; keep the earlier stages as they are",
    )
    command.add_argument("--force", metavar="STAGE", help="redo this stage and all later ones")
    command.add_argument(
        "--begin",
        default="",
        metavar="STAGE",
        help="do the stages before this one, and list its shards for interplm-nb work",
    )
    add_scheduler(command)
    command.add_argument(
        "--dry-run",
        action="store_true",
        help="check everything and estimate time, memory and disk; start nothing",
    )
    command.set_defaults(do=lambda options: _run(options, say))


def add_run_arguments(
    command: argparse.ArgumentParser, kind: Callable[[str], Path | str] = a_path, also: str = ""
) -> None:
    """What a run is made of, in a folder or in what `kind` takes `also`; `requested` reads it."""
    command.add_argument(
        "profile",
        metavar="PROFILE",
        help="demo, laboratory, proteomes, esm2-8m, sweep-8m, or a .toml file",
    )
    command.add_argument(
        "--out",
        type=kind,
        required=True,
        metavar="DIR",
        help=f"folder of the run{also}",
    )
    command.add_argument(
        "-p",
        dest="settings",
        action="append",
        default=[],
        metavar="stage.name=value",
        help="set a parameter; can be repeated",
    )
    add_device(command)
    add_strict(command)


def requested(options: argparse.Namespace) -> "Request":
    """The run that a person asks for, in this process."""
    from interplm_nb.pipeline.runner import Request
    from interplm_nb.pipeline.stored_run import working_folder
    from interplm_nb.remote.address import is_url

    url = options.out if is_url(options.out) else ""
    out = working_folder(url) if url else options.out
    settings = [*options.settings, *(["proteins.strict=true"] if options.strict else [])]
    return Request(options.profile, out, settings, device=options.device, url=url)


def _run(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    from interplm_nb.pipeline.runner import run
    from interplm_nb.pipeline.stored_run import run_stored

    request = replace(
        requested(options),
        first=options.first,
        force=options.force,
        scheduler=options.scheduler,
        begin=options.begin,
    )
    if options.dry_run:
        from interplm_nb.stages.estimate import estimated

        say(estimated(request))
        return
    from interplm_nb.stages.estimate import expected

    progress = sys.stderr if sys.stderr.isatty() else None
    done = (run_stored if request.url else run)(request, say, progress, expected)
    if request.begin:
        return
    say(
        f"{request.url or done.folder}: all stages are done. Next: "
        f"interplm-nb score {quote(str(options.out))}, "
        f"interplm-nb explore {quote(str(options.out))}"
    )
