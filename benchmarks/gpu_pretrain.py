"""Part 5 of the GPU benchmark: pretraining at the shape of ESM-2 8M in the time that is left.

The number of steps is set from the rate of a short run beforehand, so that the learning rate falls
to 0 before time runs out; the exported model is one that `plm.load` reads.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from benchmarks.gpu_rows import Clock, Measurement, Row, Setting
from interplm_nb.plm.pretrain import PretrainConfig, pretrain
from interplm_nb.proteins import Proteins
from interplm_nb.readers.fasta import read_fasta

PART = "pretrain"
WHAT = "pretraining, 8M shape"
USED = 0.8
"""Share of the time that steps are planned for: the rest is for evaluation, saving and
a misjudged rate."""


def measurements(setting: Setting, fasta: Sequence[Path], out: Path) -> list[Measurement]:
    """The one run, left out with the reason if no sequences are given."""
    return [Measurement(WHAT, lambda clock: _pretrained(setting, fasta, out, clock))]


def config_of(setting: Setting) -> PretrainConfig:
    """ESM-2 8M's shape and larger batches than a CPU's."""
    if setting.tiny:
        return PretrainConfig(
            1, 16, 2, warmup_steps=1, crop=32, batch_tokens=256, held_out=2, evaluate_every=2
        )
    return PretrainConfig(6, 320, 20, crop=512, batch_tokens=65_536)


def _pretrained(setting: Setting, fasta: Sequence[Path], out: Path, clock: Clock) -> list[Row]:
    if not fasta:
        return [Row(PART, WHAT, note="left out: no --pretrain-fasta was given")]
    proteins = _proteins(fasta)
    base, device = config_of(setting), str(setting.device)
    steps = setting.pick(40, 2)
    with tempfile.TemporaryDirectory() as folder:
        short = replace(base, steps=steps, decay_steps=1, evaluate_every=steps)
        pretrain(proteins, short, Path(folder) / "warm", device)
        started = time.monotonic()
        pretrain(proteins, replace(short, seed=1), Path(folder) / "timed", device)
        spent = time.monotonic() - started
    planned = max(steps, int(USED * clock.left * steps / spent))
    config = replace(
        base, steps=planned, decay_steps=planned // 4, evaluate_every=max(1, planned // 8)
    )
    pretrain(proteins, config, out, device)
    return _rows(out, planned, proteins)


def _proteins(fasta: Sequence[Path]) -> Proteins:
    tables = [read_fasta(path).proteins.table for path in fasta]
    return Proteins(pl.concat(tables).unique("accession", maintain_order=True))


def _rows(out: Path, steps: int, proteins: Proteins) -> list[Row]:
    figures = json.loads((out / "training.json").read_text(encoding="utf-8"))
    log = (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    rate = max(json.loads(line)["residues_per_second"] for line in log)
    seen = f"{figures['residues_seen']:,} residues of {proteins.n_residues:,}, {steps:,} steps"
    perplexity, unigram = figures["held_out_masked_perplexity"], figures["unigram_perplexity"]
    return [
        Row(PART, WHAT, "residues/s", rate, None, f"{seen}; written to {out}"),
        Row(
            PART,
            f"{WHAT}, held-out perplexity",
            "",
            perplexity,
            unigram,
            "of masked residues; other: of the letters' frequencies",
            "at most",
        ),
    ]
