"""The command line: `interplm-nb run | data | models | score | annotate | discover | explore | notebooks`.

Errors that a person can act on are one sentence on stderr and exit code 2.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import interplm_nb
from interplm_nb.cli.annotate import add_annotate_command
from interplm_nb.cli.discover import add_discover_command
from interplm_nb.cli.models import add_models_command
from interplm_nb.cli.score import add_score_command
from interplm_nb.pipeline.errors import PipelineError

_EXAMPLES = """\
examples:
  interplm-nb run demo --out runs/demo                                   the whole path on the embedded proteins
  interplm-nb run demo --out runs/mine -p proteins.path=mine.fasta       your own proteins
  interplm-nb run proteomes --out runs/p -p proteins.path=uniprot.tsv.gz a UniProt download
  interplm-nb score runs/demo                                            which features match which concepts
  interplm-nb discover runs/demo                                         which proteins lack an annotation
  interplm-nb explore runs/demo                                          look at a feature, in JupyterLab (--app: without code)
  interplm-nb models get Elana/InterPLM-esm2-8m --layer 4 --out sae      a published SAE
"""

_RUN_EXAMPLES = """\
PROFILE is a packaged profile (demo, laboratory, proteomes, esm2-8m, sweep-8m) or the path of a .toml file with a table per stage. The stages are
proteins, embed, train, activations, concepts. A stage that is unchanged is skipped; a run that was stopped goes on where it was when the same command
is given again.

Stage compare comes after train where the profile has a table [compare], as laboratory and sweep-8m have, or where one of its parameters is given. It
trains SAEs over layers x recipes x sparsities x learning rates x seeds in one pass over the model, measures them alike and says which to take.

examples:
  interplm-nb run demo --out runs/demo
  interplm-nb run demo --out runs/demo -p train.steps=10000              runs train and what follows from it
  interplm-nb run demo --out runs/esm2 -p embed.plm=esm2_t6_8M_UR50D --device cuda
  interplm-nb run demo --out runs/demo --dry-run                         time, memory and disk, and nothing starts
  interplm-nb run demo --out runs/demo --force concepts                  makes stage concepts anew
  interplm-nb run laboratory --out runs/lab                              every SAE architecture side by side
  interplm-nb run demo --out runs/demo -p 'compare.recipes=["topk", "jumprelu"]' -p 'compare.sparsities=[16, 32]' -p 'compare.seeds=[0, 1]'
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and do what it asks; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    try:
        return options.do(options) or 0
    except KeyboardInterrupt:
        return _fail("stopped; give the same command again to go on", 130)
    except BrokenPipeError:  # the reader of our output, such as `head`, has had enough
        sys.stderr.close()
        return 0
    except (
        PipelineError,
        ValueError,
        OSError,
        KeyError,
    ) as error:  # InputError and pydantic's errors are ValueErrors
        return _fail(
            str(error.args[0])
            if isinstance(error, KeyError) and error.args
            else str(error) or type(error).__name__
        )
    except ModuleNotFoundError as error:
        return _fail(
            f"{error.name} is not installed in this environment; install interplm-nb with all of its dependencies"
        )


def _fail(text: str, code: int = 2) -> int:
    sys.stderr.write(f"interplm-nb: {text}\n")
    return code


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="interplm-nb",
        description="Open up protein language models: train sparse autoencoders on their embeddings and find which features match known biology.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"interplm-nb {interplm_nb.__version__}"
    )
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
    return commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


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
        help="set a parameter; may be given often",
    )
    command.add_argument(
        "--from",
        dest="first",
        default="proteins",
        metavar="STAGE",
        help="take the stages before this one as they are",
    )
    command.add_argument("--force", metavar="STAGE", help="make this stage and those after it anew")
    command.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)"
    )
    command.add_argument(
        "--strict",
        action="store_true",
        help="stop at the first bad record of a file, in place of skipping and counting it",
    )
    command.add_argument(
        "--dry-run",
        action="store_true",
        help="check everything, say what time, memory and disk it takes, and start nothing",
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
        f"{done.folder}: all stages are done. Look at them: interplm-nb score {options.out}, interplm-nb explore {options.out}"
    )


def _data_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    examples = """\
examples:
  interplm-nb data                                                        the embedded proteins
  interplm-nb data check mine.tsv.gz                                      what would be read, and what left out
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
    check = _add(parts, "check", "read a file of proteins and say what would be kept and left out")
    check.add_argument("file", type=Path)
    check.add_argument("--format", default="auto", choices=("auto", "fasta", "tsv", "text", "xml"))
    check.add_argument("--strict", action="store_true", help="stop at the first bad record")
    check.set_defaults(do=_data_check)
    fetch = _add(
        parts, "fetch", "download annotated proteins from UniProt, by query or by accessions"
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
    fetch.add_argument("--offline", action="store_true", help="answer from the cache alone")
    fetch.add_argument(
        "--strict", action="store_true", help="stop at an accession that is not answered"
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
  interplm-nb explore runs/demo                     00_explore.ipynb in the run's folder, to read, change and run
  interplm-nb explore runs/demo --app               the workbench alone, without code, at http://127.0.0.1:8866/
  interplm-nb explore runs/demo --app --no-browser  the same; open the printed address yourself
"""
    explore = _add(
        commands,
        "explore",
        "look at a run's features: open a notebook in JupyterLab, or an app without code",
        examples,
    )
    explore.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    explore.add_argument(
        "--app",
        action="store_true",
        help="the workbench as a page without code (Voila), on this machine alone",
    )
    explore.add_argument(
        "--no-browser", action="store_true", help="print the address; open nothing"
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
