"""Embedding real lengths, 2 CPU threads: ESM-2 8M's shape (random weights) and UniRep-1900.

ESM-2 (float32, 6 layers x 320, 20 heads) is compared with fair-esm's own forward in its usual use
(file order, batches of 16), and with the bare matrix products and attention of our own batches; all
run alternately in one process, batch by batch or round by round. UniRep: see `unirep_embedding`.
"""

import statistics
from pathlib import Path

import esm
import polars as pl
import torch
import torch.nn.functional as F
from esm.model import esm2 as fair_esm

from benchmarks import unirep_embedding
from benchmarks.harness import Figure, seconds
from benchmarks.threads import two_threads
from interplm_nb.plm.batches import by_length
from interplm_nb.plm.checkpoints import Architecture
from interplm_nb.plm.esm2 import ESM2
from interplm_nb.plm.lengths import limit_length, pieces
from interplm_nb.proteins import Proteins
from interplm_nb.readers import demo
from interplm_nb.readers.fasta import read_fasta
from interplm_nb.readers.uniprot_tsv import read_uniprot_tsv

SHAPE = Architecture(n_layers=6, d_model=320, n_heads=20)
N_PROTEINS, ROUNDS, TURNS, SEED = 64, 3, 3, 0


def run(proteins: Path | None = None) -> list[Figure]:
    """Residues per second of ours, fair-esm and bare products; medians over rounds."""
    with two_threads():
        sets = _samples(_read(proteins))
        theirs = _fair_esm()
        ours = ESM2(
            {k: v for k, v in theirs.state_dict().items() if k in SHAPE.shapes()},
            SHAPE,
            "random-8M",
            "sha256:none",
            "cpu",
        )
        _ours(ours, Proteins(sets[0].table[:2]))
        _theirs(theirs, Proteins(sets[0].table[:2]))
        recurrent = Proteins(pl.concat([s.table for s in sets]))
        return [
            _against_fair_esm(ours, theirs, sets),
            _against_products(ours, sets),
            *unirep_embedding.figures(recurrent),
        ]


def _against_fair_esm(ours: ESM2, theirs: fair_esm.ESM2, sets: list[Proteins]) -> Figure:
    rates = [(s.n_residues / _ours(ours, s), s.n_residues / _theirs(theirs, s)) for s in sets]
    fast, slow = (statistics.median(r[i] for r in rates) for i in (0, 1))
    note = (
        f"all {SHAPE.n_layers} layers, {len(sets)} rounds of {N_PROTEINS} proteins; "
        "other: fair-esm's forward, file order, batches of 16"
    )
    return Figure.compare("embed: residues per second", fast, slow, "residues/s", 3, note=note)


def _against_products(ours: ESM2, sets: list[Proteins]) -> Figure:
    spent, bare = 0.0, 0.0
    for batch in by_length(list(pieces(sets[0])), ours.tokens_per_batch):
        alone = sets[0].select(sets[0].accessions[piece.protein] for piece in batch)
        products = _Products(len(batch), 2 + int(alone.lengths.max()))
        turns = [(_ours(ours, alone), seconds(products.run)) for _ in range(TURNS)]
        # The least of several turns: other work on the machine only adds time.
        spent, bare = spent + min(t[0] for t in turns), bare + min(t[1] for t in turns)
    note = (
        f"seconds for {sets[0].n_residues:,} residues, each batch {TURNS} times, alternating, "
        "least taken; other: its matrix products and attention alone"
    )
    return Figure.compare("embed: over bare products", spent, bare, "s", 1.15, "at most", note=note)


class _Products:
    """The matrix products and attention of one batch, on operands that already exist.

    Without bias, norm, rotation, GELU or sum.
    """

    def __init__(self, n: int, length: int) -> None:
        d, generator = SHAPE.d_model, torch.Generator().manual_seed(SEED)
        self.x, self.wide = (torch.randn(n * length, k * d, generator=generator) for k in (1, 4))
        self.qkv, self.out, self.fc1 = (
            torch.randn(d, k * d, generator=generator) for k in (3, 1, 4)
        )
        self.fc2 = torch.randn(4 * d, d, generator=generator)
        self.heads = torch.randn(
            n, length, 3, SHAPE.n_heads, d // SHAPE.n_heads, generator=generator
        ).permute(2, 0, 3, 1, 4)

    def run(self) -> None:
        q, k, v = self.heads
        with torch.inference_mode():
            for _ in range(SHAPE.n_layers):
                torch.mm(self.x, self.qkv)
                F.scaled_dot_product_attention(q, k, v)
                torch.mm(self.x, self.out)
                torch.mm(self.x, self.fc1)
                torch.mm(self.wide, self.fc2)


def _ours(plm: ESM2, proteins: Proteins) -> float:
    return seconds(
        lambda: [batch.layers for batch in plm.embed(proteins, [SHAPE.n_layers], progress=False)]
    )


def _theirs(model: fair_esm.ESM2, proteins: Proteins) -> float:
    """fair-esm as its README shows it: BatchConverter, forward, residues of each sequence."""
    convert = model.alphabet.get_batch_converter()
    named = list(zip(proteins.accessions, proteins.sequences, strict=True))

    def embed() -> None:
        for i in range(0, len(named), 16):
            _, sequences, tokens = convert(named[i : i + 16])
            with torch.no_grad():
                found = model(tokens, repr_layers=[SHAPE.n_layers])["representations"][
                    SHAPE.n_layers
                ]
            _ = [found[j, 1 : len(s) + 1].clone() for j, s in enumerate(sequences)]

    return seconds(embed)


def _fair_esm() -> fair_esm.ESM2:
    torch.manual_seed(SEED)
    return fair_esm.ESM2(
        SHAPE.n_layers, SHAPE.d_model, SHAPE.n_heads, esm.Alphabet.from_architecture("ESM-1b")
    ).eval()


def _read(path: Path | None) -> Proteins:
    if path is None or ".tsv" in path.name:
        return read_uniprot_tsv(path or demo.table_path()).proteins
    return read_fasta(path).proteins


def _samples(proteins: Proteins) -> list[Proteins]:
    """Disjoint random samples in random order, as a file would be, of proteins that ESM-2 takes."""
    kept = limit_length(proteins).proteins
    shuffled = Proteins(kept.table.sample(fraction=1, shuffle=True, seed=SEED))
    n = max(1, min(ROUNDS, len(kept) // N_PROTEINS))
    return [Proteins(shuffled.table[i * N_PROTEINS : (i + 1) * N_PROTEINS]) for i in range(n)]
