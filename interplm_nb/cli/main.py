"""The command line: run, data, models, score, annotate, discover, explore, notebooks.

A mistake that the user can correct is one sentence on stderr and exit code 2 (`--debug` adds the
traceback). Anything else is a fault of interplm-nb: a traceback and how to report it.
"""

import argparse
import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import interplm_nb
from interplm_nb.cli.annotate import add_annotate_command
from interplm_nb.cli.discover import add_discover_command
from interplm_nb.cli.models import add_models_command
from interplm_nb.cli.score import add_score_command
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.readers.report import InputError

_EXAMPLES = """\
examples:
  interplm-nb run demo --out runs/demo                run every stage on the embedded proteins
  interplm-nb run demo --out runs/mine -p proteins.path=mine.fasta         on your own proteins
  interplm-nb run proteomes --out runs/p -p proteins.path=uniprot.tsv.gz   on a UniProt download
  interplm-nb score runs/demo                         which features match which concepts
  interplm-nb discover runs/demo                      which proteins may lack an annotation
  interplm-nb explore runs/demo                       view features in JupyterLab (--app: no code)
  interplm-nb models get Elana/InterPLM-esm2-8m --layer 4 --out sae        a published SAE
"""

_RUN_EXAMPLES = """\
PROFILE is a packaged profile (demo, laboratory, proteomes, esm2-8m, sweep-8m) or the path of a
.toml file with a table per stage. The stages are proteins, embed, train, activations, concepts.
Unchanged stages are skipped. To resume a run that was stopped, give the same command again.

Stage compare follows train if the profile has a table [compare], as laboratory and sweep-8m have,
or if you set one of its parameters. It trains SAEs over layers x recipes x sparsities x learning
rates x seeds in one pass over the model, evaluates them alike and recommends one per layer.

examples:
  interplm-nb run demo --out runs/demo
  interplm-nb run demo --out runs/demo -p train.steps=10000      rerun train and all that follows
  interplm-nb run demo --out runs/esm2 -p embed.plm=esm2_t6_8M_UR50D --device cuda
  interplm-nb run demo --out runs/demo --dry-run                 estimate time, memory and disk
  interplm-nb run demo --out runs/demo --force concepts          redo stage concepts
  interplm-nb run laboratory --out runs/lab                      compare all SAE architectures
  interplm-nb run demo --out runs/demo -p 'compare.recipes=["topk", "jumprelu"]' \\
      -p 'compare.sparsities=[16, 32]' -p 'compare.seeds=[0, 1]'
"""

_FAULT = (
    "interplm-nb: this is a fault of interplm-nb, not of your input. Please report it, with the "
    "command and the traceback above, on the project's issue tracker"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and do what it asks; return the exit code.

    An exception that is a fault of this package leaves with a note that says so (exit code 1).
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    try:
        return options.do(options) or 0
    except KeyboardInterrupt:
        return _fail("stopped; give the same command again to resume", 130)
    except BrokenPipeError:  # the reader of our output, such as `head`, has had enough
        sys.stderr.close()
        return 0
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            error.add_note(_FAULT)
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
    if isinstance(error, PipelineError | InputError | OSError):
        return str(error) or type(error).__name__
    return None


def _fail(text: str, code: int = 2) -> int:
    sys.stderr.write(f"interplm-nb: {text}\n")
    return code


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
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
    _run_command(commands)
    _data_command(commands)
    add_models_command(commands, _add, _say)
    add_score_command(commands, _add, _say)
    add_annotate_command(commands, _add, _say)
    add_discover_command(commands, _add, _say)
    _folder_commands(commands)
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


def _run_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = _add(
        commands, "run", "run a profile: from protein files to scored features", _RUN_EXAMPLES
    )
    command.add_argument(
        "profile",
        metavar="PROFILE",
        help="demo, laboratory, proteomes, esm2-8m, sweep-8m, or a .toml file",
    )
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    command.add_argument(
        "-p",
        dest="settings",
        action="append",
        default=[],
        metavar="stage.name=value",
        help="set a parameter; can be repeated",
    )
    command.add_argument(
        "--from",
        dest="first",
        default="proteins",
        metavar="STAGE",
        help="start here; keep the earlier stages as they are",
    )
    command.add_argument("--force", metavar="STAGE", help="redo this stage and all later ones")
    command.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)"
    )
    command.add_argument(
        "--strict",
        action="store_true",
        help="stop at the first bad record instead of skipping and counting it",
    )
    command.add_argument(
        "--dry-run",
        action="store_true",
        help="check everything and estimate time, memory and disk; start nothing",
    )
    command.set_defaults(do=_run)


def _run(options: argparse.Namespace) -> None:
    from interplm_nb.pipeline.runner import Request, run

    settings = [*options.settings, *(["proteins.strict=true"] if options.strict else [])]
    request = Request(
        options.profile, options.out, settings, options.first, options.force, options.device
    )
    if options.dry_run:
        from interplm_nb.stages.estimate import estimated

        _say(estimated(request))
        return
    done = run(request, _say, sys.stderr if sys.stderr.isatty() else None)
    _say(
        f"{done.folder}: all stages are done. Next: "
        f"interplm-nb score {options.out}, interplm-nb explore {options.out}"
    )


def _data_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    examples = """\
examples:
  interplm-nb data                            describe the embedded proteins
  interplm-nb data check mine.tsv.gz          what would be kept and what left out
  interplm-nb data fetch "organism_id:559292 AND reviewed:true" --out yeast.tsv
  interplm-nb data fetch --accessions list.txt --out mine.tsv
"""
    command = _add(
        commands,
        "data",
        "describe the embedded proteins, check a file, fetch from UniProt",
        examples,
    )
    command.set_defaults(do=_data)
    parts = command.add_subparsers(metavar="PART")
    check = _add(
        parts, "check", "read a file of proteins and report what would be kept and left out"
    )
    check.add_argument("file", type=Path)
    check.add_argument("--format", default="auto", choices=("auto", "fasta", "tsv", "text", "xml"))
    check.add_argument("--strict", action="store_true", help="stop at the first bad record")
    check.set_defaults(do=_data_check)
    fetch = _add(
        parts, "fetch", "download annotated proteins from UniProt, by query or by accession"
    )
    fetch.add_argument(
        "query", nargs="?", help='a UniProt query, such as "organism_id:559292 AND reviewed:true"'
    )
    fetch.add_argument(
        "--accessions", type=Path, metavar="FILE", help="file with one accession per line"
    )
    fetch.add_argument("--out", type=Path, required=True, metavar="FILE", help="TSV file to write")
    fetch.add_argument(
        "--cache",
        type=Path,
        default=Path("~/.cache/interplm-nb/uniprot"),
        metavar="DIR",
        help="folder of downloads (default: %(default)s)",
    )
    fetch.add_argument("--offline", action="store_true", help="use only the cache")
    fetch.add_argument(
        "--strict", action="store_true", help="stop at an accession that UniProt does not return"
    )
    fetch.set_defaults(do=_data_fetch)


def _data(options: argparse.Namespace) -> None:
    from interplm_nb.cli.describe import describe_demo

    _say(describe_demo())


def _data_check(options: argparse.Namespace) -> None:
    from interplm_nb.cli.describe import check_file

    _say(check_file(options.file, options.format, options.strict))


def _data_fetch(options: argparse.Namespace) -> None:
    from interplm_nb.cli.describe import fetch_uniprot

    _say(
        fetch_uniprot(
            options.query,
            options.accessions,
            options.out,
            options.cache.expanduser(),
            options.offline,
            options.strict,
        )
    )


def _folder_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    examples = """\
examples:
  interplm-nb explore runs/demo                     open 00_explore.ipynb in the run's folder
  interplm-nb explore runs/demo --app               the workbench alone: http://127.0.0.1:8866/
  interplm-nb explore runs/demo --app --no-browser  the same; open the printed address yourself
"""
    explore = _add(
        commands,
        "explore",
        "view a run's features in a JupyterLab notebook, or in an app without code",
        examples,
    )
    explore.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    explore.add_argument(
        "--app",
        action="store_true",
        help="serve the workbench without code (Voila), on this computer only",
    )
    explore.add_argument(
        "--no-browser", action="store_true", help="print the address instead of opening it"
    )
    explore.set_defaults(do=_explore)
    notebooks = _add(
        commands, "notebooks", "copy the lessons into a folder, to read, change and run"
    )
    notebooks.add_argument("folder", type=Path, metavar="DIR")
    notebooks.set_defaults(do=_notebooks)


def _explore(options: argparse.Namespace) -> int:
    from interplm_nb.pipeline.explore_run import open_app, open_lab, prepare

    if options.app:
        return open_app(options.run, not options.no_browser)
    return open_lab(prepare(options.run), not options.no_browser)


def _notebooks(options: argparse.Namespace) -> None:
    from interplm_nb.pipeline.explore_run import copy_lessons

    _say("\n".join(str(path) for path in copy_lessons(options.folder)))


if __name__ == "__main__":
    sys.exit(main())
