"""`interplm-nb data`: the embedded proteins, a file checked, downloads, labels from structures."""

import argparse
from collections.abc import Callable
from typing import Any

from interplm_nb.cli.arguments import add_strict, add_structures
from interplm_nb.cli.numbers import share
from interplm_nb.cli.paths import a_path
from interplm_nb.readers.uniprot_rest import CACHE

_EXAMPLES = """\
examples:
  interplm-nb data                            describe the embedded proteins
  interplm-nb data check mine.tsv.gz          what would be kept and what left out
  interplm-nb data fetch "organism_id:559292 AND reviewed:true" --out yeast.tsv
  interplm-nb data fetch --accessions list.txt --out mine.tsv
  interplm-nb data structures runs/mine       models of AlphaFold DB of all proteins of a run
  interplm-nb data structures P69905 --pdb    the best entry of the PDB, else the model
  interplm-nb data structure-labels runs/mine --out labels.tsv        burial, helices, contacts
"""


def add_data_command(
    commands: Any, add: Callable[..., argparse.ArgumentParser], say: Callable[[str], None]
) -> None:
    """Add `data` and its parts to the commands; `add` makes a parser, `say` prints a text."""
    command = add(
        commands,
        "data",
        "describe the embedded proteins, check a file, fetch from UniProt",
        _EXAMPLES,
    )
    command.set_defaults(do=lambda _: say(_data()))
    parts = command.add_subparsers(metavar="PART")
    check = add(
        parts, "check", "read a file of proteins and report what would be kept and left out"
    )
    check.add_argument("file", type=a_path)
    check.add_argument("--format", default="auto", choices=("auto", "fasta", "tsv", "text", "xml"))
    add_strict(check)
    check.set_defaults(do=lambda options: say(_data_check(options)))
    fetch = add(
        parts, "fetch", "download annotated proteins from UniProt, by query or by accession"
    )
    fetch.add_argument(
        "query", nargs="?", help='a UniProt query, such as "organism_id:559292 AND reviewed:true"'
    )
    fetch.add_argument(
        "--accessions", type=a_path, metavar="FILE", help="file with one accession per line"
    )
    fetch.add_argument(
        "--out", type=a_path, required=True, metavar="FILE", help="TSV file to write"
    )
    fetch.add_argument(
        "--cache",
        type=a_path,
        default=CACHE,
        metavar="DIR",
        help="folder of downloads (default: %(default)s)",
    )
    fetch.add_argument("--offline", action="store_true", help="use only the cache")
    fetch.add_argument(
        "--strict", action="store_true", help="stop at an accession that UniProt does not return"
    )
    fetch.set_defaults(do=lambda options: say(_data_fetch(options)))
    _add_structures(add, parts, say)
    _add_structure_labels(add, parts, say)


def _add_structures(
    add: Callable[..., argparse.ArgumentParser], parts: Any, say: Callable[[str], None]
) -> None:
    command = add(
        parts, "structures", "download structures by accession, where the workbench finds them"
    )
    command.add_argument(
        "proteins",
        nargs="+",
        metavar="PROTEINS",
        help="folder of a run, a file of proteins or of accessions, or accessions",
    )
    command.add_argument(
        "--pdb",
        action="store_true",
        help="take the best entry of the PDB where there is one, else AlphaFold DB's model",
    )
    command.add_argument(
        "--own",
        type=a_path,
        metavar="DIR",
        help="folder of files that you have, named by accession: these are not requested",
    )
    command.add_argument(
        "--cache",
        type=a_path,
        metavar="DIR",
        help="folder of downloads (default: the one where the workbench looks)",
    )
    command.add_argument("--offline", action="store_true", help="say what is here, ask nobody")
    command.add_argument(
        "--refresh", action="store_true", help="download again what is in the cache"
    )
    command.set_defaults(do=lambda options: say(_structures(options)))


def _add_structure_labels(
    add: Callable[..., argparse.ArgumentParser], parts: Any, say: Callable[[str], None]
) -> None:
    command = add(
        parts,
        "structure-labels",
        "label residues by structures: accessibility, secondary structure, contacts, interfaces",
    )
    command.add_argument(
        "proteins", type=a_path, metavar="PROTEINS", help="folder of a run, or a file of proteins"
    )
    add_structures(command)
    command.add_argument(
        "--min-coverage",
        type=share,
        default=0.8,
        metavar="SHARE",
        help="leave out proteins of which a structure shows less (default: %(default)s)",
    )
    command.add_argument(
        "--out", type=a_path, required=True, metavar="FILE", help="table of labels to write"
    )
    command.set_defaults(do=lambda options: say(_structure_labels(options)))


def _data() -> str:
    from interplm_nb.cli.describe import describe_demo

    return describe_demo()


def _data_check(options: argparse.Namespace) -> str:
    from interplm_nb.cli.describe import check_file

    return check_file(options.file, options.format, options.strict)


def _data_fetch(options: argparse.Namespace) -> str:
    from interplm_nb.cli.describe import fetch_uniprot

    return fetch_uniprot(
        options.query,
        options.accessions,
        options.out,
        options.cache.expanduser(),
        options.offline,
        options.strict,
    )


def _structures(options: argparse.Namespace) -> str:
    from interplm_nb.cli.describe import fetched_structures
    from interplm_nb.readers.structure_files import CACHE, StructureFiles

    files = StructureFiles(
        options.own, options.cache or CACHE, offline=options.offline, refresh=options.refresh
    )
    return fetched_structures(options.proteins, files, options.pdb)


def _structure_labels(options: argparse.Namespace) -> str:
    from interplm_nb.cli.describe import labelled_by_structure

    return labelled_by_structure(
        options.proteins, options.structures, options.min_coverage, options.out
    )
