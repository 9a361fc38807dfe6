"""`interplm-nb look` on 30 proteins of the embedded ones' length mix: from start to end.

A separate process, imports and loading the model included, with the shipped run and its model
unirep-1900, which reads residue after residue. There is no other side to run; the goal is a bound
on 2 cores. Nothing is fetched: without the model's weights the benchmark is skipped.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

from benchmarks.harness import Figure, seconds
from interplm_nb.pipeline.run import Run
from interplm_nb.plm.fetching import to_fetch
from interplm_nb.readers import demo
from interplm_nb.readers.uniprot_tsv import read_uniprot_tsv

N, SECONDS = 30, 60.0


def run() -> list[Figure]:
    """Seconds of the command, once."""
    model = Run.shipped().model()
    if model is None or to_fetch(model.weights):
        print("look: left out; the model of the shipped run is not here")
        return []
    chosen = mix()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "mix.fasta"
        rows = chosen.select("accession", "sequence").iter_rows()
        path.write_text("".join(f">{a}\n{s}\n" for a, s in rows), encoding="utf-8")
        command = [sys.executable, "-m", "interplm_nb", "look", str(path)]
        command += ["--out", str(Path(name) / "mine"), "--device", "cpu"]
        threads = {**os.environ, "OMP_NUM_THREADS": "2"}
        took = seconds(
            lambda: subprocess.run(command, check=True, env=threads, stdout=subprocess.DEVNULL)
        )
    note = f"{model.name}, {chosen['length'].sum():,} residues; one process, from start to end"
    return [Figure.within(f"look: {N} proteins with {model.name}", took, SECONDS, "s", note)]


def mix() -> pl.DataFrame:
    """Accession, sequence and length of every fortieth of the embedded proteins by length."""
    proteins = read_uniprot_tsv(demo.table_path()).proteins
    table = proteins.table.with_columns(length=pl.Series(proteins.lengths)).sort("length")
    step = len(proteins) // N
    return table[step // 2 :: step].head(N)
