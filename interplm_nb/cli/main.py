"""The command line: run, data, models, score, look, annotate, discover, rank, follow, spatial,
contacts, interpret, steer, explore, notebooks, verify, work, slurm, push, pull, doctor.

A mistake that the user can correct is one sentence on stderr and exit code 2 (`--debug` adds the
traceback). Anything else is a fault of interplm-nb: a traceback and how to report it.
"""

import argparse
import logging
import sys
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import interplm_nb
from interplm_nb.cli.annotate import add_annotate_command
from interplm_nb.cli.contacts import add_contacts_command
from interplm_nb.cli.data import add_data_command
from interplm_nb.cli.discover import add_discover_command
from interplm_nb.cli.doctor import add_doctor_command
from interplm_nb.cli.explore import add_explore_commands
from interplm_nb.cli.follow import add_follow_command
from interplm_nb.cli.interpret import add_interpret_command
from interplm_nb.cli.look import add_look_command
from interplm_nb.cli.models import add_models_command
from interplm_nb.cli.process import end_in_order, place_for_caches, write_plainly
from interplm_nb.cli.rank import add_rank_command
from interplm_nb.cli.run import add_run_command
from interplm_nb.cli.score import add_score_command
from interplm_nb.cli.slurm import add_slurm_command
from interplm_nb.cli.spatial import add_spatial_command
from interplm_nb.cli.steer import add_steer_command
from interplm_nb.cli.store import add_store_commands
from interplm_nb.cli.verify import add_verify_command
from interplm_nb.cli.work import add_work_command
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.readers.report import InputError
from interplm_nb.remote.errors import StoreError
from interplm_nb.scale.errors import ClusterError

_EXAMPLES = """\
examples:
  interplm-nb doctor                                  what is missing on this machine
  interplm-nb run demo --out runs/demo                run every stage on the embedded proteins
  interplm-nb run demo --out runs/mine -p proteins.path=mine.fasta         on your own proteins
  interplm-nb run proteomes --out runs/p -p proteins.path=uniprot.tsv.gz   on a UniProt download
  interplm-nb look mine.fasta --out runs/mine         your proteins, with an existing SAE
  interplm-nb score runs/demo                         which features match which concepts
  interplm-nb discover runs/demo                      which proteins may lack an annotation
  interplm-nb rank runs/demo mine.tsv                 which features tell your labels of proteins
  interplm-nb follow runs/layer_1 runs/layer_2        what happens to features between layers
  interplm-nb spatial runs/demo                       which features are arranged in space
  interplm-nb interpret --run runs/demo               describe features in words, with scores
  interplm-nb steer generation --run runs/demo        change a feature, and see what is generated
  interplm-nb explore runs/demo                       view features in JupyterLab (--app: no code)
  interplm-nb models get Elana/InterPLM-esm2-8m --layer 4 --out sae        a published SAE
"""

_SAID = (PipelineError, ClusterError, StoreError)
"""Errors whose text is a sentence for the user."""

_LOG = "%(name)s: %(message)s"

_FAULT = (
    "interplm-nb: this is a fault of interplm-nb, not of your input. Please report it, with the "
    "command and the traceback above, on the project's issue tracker"
)


def program() -> int:
    """The command line as its own process: `main`, with plain text and an orderly end."""
    write_plainly()
    end_in_order()
    logging.basicConfig(level=logging.WARNING, format=_LOG)
    with place_for_caches():
        return main()


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and do what it asks; return the exit code.

    An exception that is a fault of this package leaves with a note that says so (exit code 1).
    """
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format=_LOG)
    logging.getLogger("interplm_nb.remote").setLevel(logging.INFO)  # says what is fetched
    with ExitStack() as leaving:
        leaving.push(_noted)
        return _done(options)


def _noted(kind: object, error: BaseException | None, _: object) -> None:
    """What leaves `main` as an exception is a fault of ours, and says so."""
    if isinstance(error, Exception):
        error.add_note(_FAULT)


def _done(options: argparse.Namespace) -> int:
    """The exit code; a mistake that the user can correct is said in a sentence."""
    try:
        return options.do(options) or 0
    except KeyboardInterrupt:
        return _fail("stopped; give the same command again to resume", 130)
    except BrokenPipeError:  # the reader of our output, such as `head`, has had enough
        sys.stderr.close()
        return 0
    except (*_SAID, ValueError, OSError, ModuleNotFoundError) as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        if options.debug:
            traceback.print_exc()
        return _fail(sentence)


def _sentence(error: Exception) -> str | None:
    """What the user can correct, in one sentence; None for a fault of this package.

    The readers of models and SAEs refuse with a plain ValueError. One that this package raises
    itself carries such a sentence; one that Python or a library raises does not.
    """
    if isinstance(error, ModuleNotFoundError):
        missing = error.name or ""
        return (
            None
            if missing.startswith("interplm_nb")
            else (
                f"{missing} is not installed in this environment; "
                "install interplm-nb with all of its dependencies"
            )
        )
    if isinstance(error, ValueError) and not isinstance(error, InputError):
        raised = traceback.extract_tb(error.__traceback__)[-1]
        own = Path(raised.filename).is_relative_to(Path(interplm_nb.__file__).parent)
        return str(error) if own and (raised.line or "").startswith("raise ") else None
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _fail(text: str, code: int = 2) -> int:
    sys.stderr.write(f"interplm-nb: {text}\n")
    return code


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def parser() -> argparse.ArgumentParser:
    """The parser of every command; docs/command_line.md is made from it."""
    parser = argparse.ArgumentParser(
        prog="interplm-nb",
        description=(
            "Open up protein language models: train sparse autoencoders on their embeddings "
            "and find which features match known biology."
        ),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"interplm-nb {interplm_nb.__version__}"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of every error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    add_run_command(commands, _add, _say)
    add_data_command(commands, _add, _say)
    add_models_command(commands, _add, _say)
    add_score_command(commands, _add, _say)
    add_look_command(commands, _add, _say)
    add_annotate_command(commands, _add, _say)
    add_discover_command(commands, _add, _say)
    add_rank_command(commands, _add, _say)
    add_follow_command(commands, _add, _say)
    add_spatial_command(commands, _add, _say)
    add_contacts_command(commands, _add, _say)
    add_interpret_command(commands, _add, _say)
    add_steer_command(commands, _add, _say)
    add_explore_commands(commands, _add, _say)
    add_verify_command(commands, _add, _say)
    add_work_command(commands, _add, _say)
    add_slurm_command(commands, _add, _say)
    add_store_commands(commands, _add, _say)
    add_doctor_command(commands, _add, _say)
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    summary: str,
    epilog: str = "",
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # Suppressed, or the default of a command would overwrite a --debug given before it.
    command.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the traceback of every error",
    )
    return command


if __name__ == "__main__":
    sys.exit(program())
