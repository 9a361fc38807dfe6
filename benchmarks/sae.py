"""SAE training on 2 CPU threads: ours, sae-lens, dictionary-learning, sparsify and a dense loop.

Also the feeding of batches. The peers run in their own environment
(`make peers`), each side in its own process, alternating, on the same cached activations: layer 3
of random weights at the shape of ESM-2 8M (width 320) on embedded proteins.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import PEERS_PYTHON, Figure, in_own_process, in_turn, medians, seconds
from benchmarks.random_plm import SHAPE, random_plm
from benchmarks.threads import two_threads
from interplm_nb.embeddings import Embeddings, EmbeddingsWriter
from interplm_nb.plm.devices import multiplies_bfloat16
from interplm_nb.proteins import Proteins
from interplm_nb.readers import demo
from interplm_nb.readers.uniprot_tsv import read_uniprot_tsv
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.training.distributed import ALONE
from interplm_nb.sae.training.stream import StoredBatches
from interplm_nb.sae.training.trainee import Setting, Trainee

D_SAE, K, BATCH, LR = 10_240, 64, 4_096, 4e-4
STEPS, EVALUATED, RESIDUES = 100, 8_192, 60_000
TURNS, PAIRS = 5, 3
FEEDING_RESIDUES, SHARDS = 512_000, (1, 100, 1_000)


def run() -> list[Figure]:
    """All figures; those against the peers only after `make peers`."""
    if not PEERS_PYTHON.exists():
        print("sae: sae-lens and dictionary-learning are left out; make peers installs them")
    with two_threads(), tempfile.TemporaryDirectory() as folder:
        activations = _activations(Path(folder) / "activations.npy")
        against = (
            [*_against_peers(activations), *_beside_sparsify(activations)]
            if PEERS_PYTHON.exists()
            else []
        )
        x = torch.from_numpy(np.load(activations, mmap_mode="r")[:BATCH].copy())
        return [*against, _against_dense(x), _of_products(x), *_feeding(Path(folder))]


def proteins_of(residues: int) -> Proteins:
    """The first embedded proteins of up to 1,022 residues each, at most `residues` in total."""
    found, _ = read_uniprot_tsv(demo.table_path()).proteins.up_to(1022)
    n = int(np.searchsorted(found.offsets, residues))
    return Proteins(found.table[:n])


def _activations(path: Path) -> Path:
    plm, proteins = random_plm(), proteins_of(RESIDUES)
    x = np.empty((proteins.n_residues, SHAPE.d_model), np.float32)
    for batch in plm.embed(proteins, [3], progress=False):
        x[batch.rows] = batch.layers[3].numpy()
    np.save(path, x[np.random.default_rng(0).permutation(len(x))])
    return path


def _against_peers(activations: Path) -> list[Figure]:
    found = {
        name: _trained(name, activations) for name in ("ours", "saelens", "dictionary_learning")
    }
    ours = found.pop("ours")
    figures = []
    for name, peer in found.items():
        library = f"{peer['library']} {peer['version']}"
        fvu = (
            f"held-out FVU after {STEPS} steps: {ours['final_fvu']:.4f} ours, "
            f"{peer['final_fvu']:.4f} theirs"
        )
        note = f"320 to {D_SAE}, k = {K}, batches of {BATCH}; other: {library}; {fvu}"
        speed = Figure.compare(
            f"sae: TopK tokens/s, {name}",
            ours["tokens_per_second"],
            peer["tokens_per_second"],
            "tokens/s",
            3,
            note=note,
        )
        quality = Figure.compare(
            f"sae: TopK held-out FVU, {name}",
            ours["final_fvu"],
            peer["final_fvu"],
            "share",
            1,
            "at most",
            note="the same run",
        )
        figures += [speed, quality]
    memory = {
        name: r["peak_anonymous_bytes"] / 2**30 for name, r in {"ours": ours, **found}.items()
    }
    note = (
        "peak RssAnon of the process, sampled; "
        f"dictionary_learning {memory['dictionary_learning']:.2f} GiB"
    )
    return [
        *figures,
        Figure.compare(
            "sae: TopK memory, saelens",
            memory["ours"],
            memory["saelens"],
            "GiB",
            0.5,
            "at most",
            note=note,
        ),
    ]


def _beside_sparsify(activations: Path) -> list[Figure]:
    """With two threads and with one; in bfloat16 too, where the processor multiplies it."""
    figures = [
        *_pairs_with_sparsify(activations, "2 threads"),
        *_pairs_with_sparsify(activations, "1 thread", threads=1),
    ]
    if multiplies_bfloat16(torch.device("cpu")):
        figures += [
            *_pairs_with_sparsify(activations, "ours in bfloat16", ("bfloat16", "float32"), 1.5),
            *_pairs_with_sparsify(activations, "both in bfloat16", ("bfloat16", "bfloat16")),
            _of_bfloat16(activations),
        ]
    return figures


def _pairs_with_sparsify(
    activations: Path,
    words: str,
    precisions: tuple[str, str] = ("float32", "float32"),
    goal: float = 1,
    threads: int = 2,
) -> list[Figure]:
    """Medians of alternating pairs."""
    pairs = [
        (
            _trained("ours", activations, threads, precisions[0]),
            _trained("sparsify", activations, threads, precisions[1]),
        )
        for _ in range(PAIRS)
    ]
    speed, memory, fvu = (
        medians(pairs, measure)
        for measure in ("tokens_per_second", "peak_anonymous_bytes", "final_fvu")
    )
    note = (
        f"{in_turn(pairs, 'tokens_per_second')}; other: eai-sparsify "
        f"{pairs[0][1]['version']}, its SparseCoder in its trainer's step, Adam; held-out FVU "
        f"{fvu[0]:.4f} ours, {fvu[1]:.4f} theirs"
    )
    name, gib = f"sparsify, {words}", [n / 2**30 for n in memory]
    return [
        Figure.compare(
            f"sae: TopK tokens/s, {name}", speed[0], speed[1], "tokens/s", goal, note=note
        ),
        Figure.compare(
            f"sae: TopK memory, {name}", gib[0], gib[1], "GiB", 1, "at most", note="same runs"
        ),
    ]


def _of_bfloat16(activations: Path) -> Figure:
    half, whole = (
        _trained("ours", activations, precision=precision)["final_fvu"]
        for precision in ("bfloat16", "float32")
    )
    note = f"after {STEPS} steps; other: ours in float32"
    return Figure.compare(
        "sae: TopK held-out FVU, bfloat16", half, whole, "share", 1.01, "at most", note=note
    )


def _trained(
    name: str, activations: Path, threads: int = 2, precision: str = "float32"
) -> dict[str, Any]:
    sizes = {
        "d-in": SHAPE.d_model,
        "d-sae": D_SAE,
        "k": K,
        "batch-size": BATCH,
        "steps": STEPS,
        "lr": LR,
        "evaluate": EVALUATED,
        "threads": threads,
        "precision": precision,
    }
    python = sys.executable if name == "ours" else PEERS_PYTHON
    return in_own_process(python, f"benchmarks.peers.train_{name}", sizes, activations)


def untrained(config: SAEConfig, x: torch.Tensor) -> Trainee:
    """An SAE about to be trained on batches like x."""
    trainee = Trainee(
        config, Path(), {}, Setting(1_000, len(x), torch.device("cpu"), torch.float32, False, ALONE)
    )
    trainee.begin(x)
    return trainee


def _against_dense(x: torch.Tensor) -> Figure:
    """ReLU-L1 from its first weights, half of whose features are active: the dense case."""
    trainee, dense = untrained(SAEConfig.recipe("interplm-paper", D_SAE), x), _DenseLoop(x.shape[1])
    turns = [
        (seconds(lambda: trainee.take_step(x)), seconds(lambda: dense.step(x)))
        for _ in range(TURNS + 1)
    ][1:]
    ours, other = (BATCH / min(turn[i] for turn in turns) for i in (0, 1))
    note = (
        "alternating steps in one process, least of 5; other: plain autograd, torch.optim.Adam "
        "with the same loss and constraint"
    )
    return Figure.compare(
        "sae: ReLU-L1 tokens/s, dense loop", ours, other, "tokens/s", 1.2, note=note
    )


class _DenseLoop:
    """The paper's recipe as one would write it."""

    def __init__(self, d_in: int) -> None:
        atoms = torch.nn.functional.normalize(torch.randn(D_SAE, d_in), dim=1)
        weights = (
            torch.randn(d_in, D_SAE) * d_in**-0.5,
            torch.zeros(D_SAE),
            atoms,
            torch.zeros(d_in),
        )
        self.W_enc, self.b_enc, self.W_dec, self.b_dec = (torch.nn.Parameter(w) for w in weights)
        self.optimizer = torch.optim.Adam([self.W_enc, self.b_enc, self.W_dec, self.b_dec], lr=1e-4)

    def step(self, x: torch.Tensor) -> None:
        f = torch.relu((x - self.b_dec) @ self.W_enc + self.b_enc)
        loss = (x - (f @ self.W_dec + self.b_dec)).norm(dim=1).mean() + 0.1 * f.abs().sum(1).mean()
        self.optimizer.zero_grad()
        loss.backward()
        assert self.W_dec.grad is not None
        with torch.no_grad():
            self.W_dec.grad -= (self.W_dec.grad * self.W_dec).sum(1, keepdim=True) * self.W_dec
            self.optimizer.step()
            self.W_dec.div_(self.W_dec.norm(dim=1, keepdim=True))


def _of_products(x: torch.Tensor) -> Figure:
    """The share of the machine's matrix rate that a TopK step reaches.

    Only the one dense product that it needs counts: its encoder's.
    """
    trainee = untrained(SAEConfig.recipe("topk", D_SAE, k=K), x)
    W_enc = trainee.sae.W_enc.detach()
    turns = [
        (seconds(lambda: trainee.take_step(x)), seconds(lambda: x @ W_enc))
        for _ in range(TURNS + 1)
    ][1:]
    ours, rate = (
        2e-9 * x.shape[1] * D_SAE * len(x) / min(turn[i] for turn in turns) for i in (0, 1)
    )
    note = (
        "the encoder's product over the time of the whole step; other: that product alone; "
        "a dense step has five"
    )
    return Figure.compare(
        "sae: TopK step, share of matrix rate", ours, rate, "GFLOP/s", 0.75, note=note
    )


def _feeding(folder: Path) -> list[Figure]:
    return [_fed(folder / f"stored_{n}", n) for n in SHARDS]


def _fed(folder: Path, n_shards: int) -> Figure:
    """Mean time of a batch over one epoch of stored embeddings, files in the page cache."""
    proteins = Proteins.from_sequences({f"P{i}": "A" * 512 for i in range(FEEDING_RESIDUES // 512)})
    about = {"plm": "x", "plm_revision": "x", "layer": 1, "d_in": SHAPE.d_model}
    block = np.random.default_rng(0).standard_normal((512, SHAPE.d_model), np.float32)
    with EmbeddingsWriter(
        folder, proteins, about, shard_rows=FEEDING_RESIDUES // n_shards
    ) as writer:
        for first in range(0, FEEDING_RESIDUES, 512):
            writer.write(np.arange(first, first + 512), block)
    batches = StoredBatches(Embeddings.open(folder), np.arange(FEEDING_RESIDUES), BATCH, 0)
    ours = (
        1e3
        * min([seconds(_Epoch(batches, epoch)) for epoch in range(4)][1:])
        / batches.steps_per_epoch
    )
    n = len(list(folder.glob("*.safetensors")))
    note = (
        f"{FEEDING_RESIDUES:,} residues of width {SHAPE.d_model}, shuffled in blocks and then one "
        "by one; least of 3 epochs"
    )
    return Figure.within(f"sae: feeding, {n} shards", ours, 1.0, "ms per batch", note)


class _Epoch:
    """All batches of an epoch, each released before the next, as in training."""

    def __init__(self, batches: StoredBatches, epoch: int) -> None:
        self._batches, self._first = batches, epoch * batches.steps_per_epoch

    def __call__(self) -> None:
        for step in range(self._batches.steps_per_epoch):
            self._batches.batch(self._first + step)
