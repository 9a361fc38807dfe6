"""What a run will take, before it starts: time, memory and disk of each stage, from its sizes and
from how fast this machine multiplies matrices.

The matrix products of the model, the SAEs and the controls are counted; a factor per stage,
measured on the demo, covers the rest. Real times differ by a factor of about two, more on a GPU.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.pipeline.enough import FEW, too_few
from interplm_nb.pipeline.parameters import (
    ConceptsParameters,
    EmbedParameters,
    ProteinsParameters,
    StageParameters,
    TrainParameters,
)
from interplm_nb.pipeline.preflight import check_batches
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.pipeline.scored_sources import SOURCES
from interplm_nb.pipeline.text import text_table
from interplm_nb.stages.proteins import read_kept

if TYPE_CHECKING:
    from interplm_nb.pipeline.runner import Request

OVER_PRODUCTS = {"embed": 1.2, "train": 2.0, "activations": 2.9, "concepts": 4.5}
"""Measured time of a stage over the time of its products, on the demo, unirep-1900 and 2 cores."""

FIXED_SECONDS = {
    "proteins": 14.0,
    "embed": 10.0,
    "train": 40.0,
    "activations": 50.0,
    "concepts": 60.0,
    "features": 10.0,
    "interpret": 60.0,
    "steer": 35.0,
}
"""The rest of a stage: its kernel, clusters, fidelity, the map of features, the tables."""

BASE_MEMORY = 1.2e9
"""Bytes of a kernel with its imports, and of the runner."""

BUFFER = (2**17, 2**29)
"""Most residues and bytes that training holds in memory (`sae.training.stream`)."""

STORED_VALUE_BYTES = 11.0
"""Bytes of one active feature on one residue in a store, sorted both ways, with its index."""


_FEATURE = 5e8
"""Operations on a feature in stage `features`, most of them on shuffled maxima: products that take
as long."""


class Sizes(NamedTuple):
    """What a run's cost depends on."""

    residues: int
    model_flops: float
    """Floating-point operations of the model per residue, to the layer that is read."""
    width: int
    stored_bytes: int
    """Bytes of a stored value."""
    passes: int
    """1 for arrays, else 2: the model and its shuffled control."""
    d_sae: int
    k: int
    seeds: int
    """Of the SAE; the shuffled one has one, and random ones are drawn and kept by their seeds."""
    trained_residues: int
    """Steps times batch size, for one SAE."""
    resamples: int


def estimated(request: "Request") -> str:
    """A table for people: each stage's time, peak memory and disk.

    Chooses the model and checks everything as a run would, leaves nothing behind, and raises what a
    run would raise before its first stage.
    """
    from interplm_nb.pipeline.runner import asked, fitted
    from interplm_nb.plm.product_rate import product_rate

    profile = asked(request)
    said: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        record = request.out.expanduser() / "run.json"
        if record.is_file():
            shutil.copyfile(record, Path(folder) / "run.json")
        run = Run.create(folder, request.profile)
        profile = fitted(run, profile, said.append)
        model = run.model()
    assert model is not None  # `fitted` has chosen it
    params = cast(ProteinsParameters, profile.stages["proteins"])
    annotations = read_kept(params).annotations["strict"]
    sizes = _sizes(profile.stages, model, annotations.proteins.n_residues)
    table = stages_table(sizes, product_rate()).filter(pl.col("stage").is_in(profile.stages))
    left_out = [stage for stage in profile.stages if stage not in table["stage"]]
    total, disk = sum(table["seconds"].to_list()), sum(table["disk"].to_list())
    memory = max(table["memory"].to_list())
    free = shutil.disk_usage(_existing(request.out)).free
    return "\n".join(
        [
            *said,
            f"{sizes.residues:,} residues",
            *_few(annotations, profile.stages, model),
            text_table(
                table.select(
                    "stage",
                    pl.col("seconds").map_elements(_time, pl.String).alias("time"),
                    (pl.col("memory") / 2**30).round(1).alias("memory, GiB"),
                    (pl.col("disk") / 1e9).round(2).alias("disk, GB"),
                )
            ),
            *(f"stage {stage!r} is not estimated, and comes on top" for stage in left_out),
            f"in all about {_time(total)}, {memory / 2**30:.1f} GiB of memory at most and "
            f"{disk / 1e9:.1f} GB of disk ({free / 1e9:.0f} GB are free)",
            "Estimated from the sizes and from this CPU's speed of matrix products; real times "
            "differ by a factor of about two, and a GPU is faster. Nothing was started.",
        ]
    )


def expected(
    model: RunModel, n_residues: int, stages: Mapping[str, StageParameters]
) -> dict[str, float]:
    """Seconds by stage, after the first, from this CPU's speed; empty where a GPU does the work,
    whose speed is not measured."""
    # In its own process: torch would stay in the runner's memory.
    command = (sys.executable, "-P", "-c", _RATE, stages["embed"].device)
    measured = subprocess.run(command, capture_output=True, text=True, check=False)
    if measured.returncode or not (rate := float(measured.stdout)):
        return {}
    table = stages_table(_sizes(stages, model, n_residues), rate)
    later = table.filter(pl.col("stage") != "proteins", pl.col("stage").is_in(list(stages)))
    return dict(later.select("stage", "seconds").iter_rows())


_RATE = """
import sys
from interplm_nb.plm.devices import choose_device
from interplm_nb.plm.product_rate import product_rate

print(product_rate() if choose_device(sys.argv[1]).type == "cpu" else 0.0)
"""


def stages_table(sizes: Sizes, rate: float) -> pl.DataFrame:
    """stage, seconds, memory (peak bytes), disk (bytes kept); `rate` in FLOP/s."""
    n, d, m = sizes.residues, sizes.width, sizes.d_sae
    n_trained = sizes.seeds + sizes.passes - 1
    n_stores = n_trained + SOURCES["random_sae"].seeds
    probed = min(200_000, 2**29 // (4 * d), n)  # residues on which linear probes are fitted
    products = {
        "proteins": 0.0,
        "embed": sizes.passes * n * sizes.model_flops,
        "train": n_trained * sizes.trained_residues * 6.0 * d * m,
        "activations": n_stores * n * 2.0 * d * m + 2.0 * n * d * d,
        "concepts": n * 2.0 * d * min(d, 256) * 4 + sizes.resamples * 2e8 + probed * d * 1e4,
        "features": _FEATURE * m * (1 + sizes.passes),
        "interpret": 0.0,
        "steer": 0.0,
    }
    block = 65_536 * d * 4.0
    memory = {
        "proteins": 0.0,
        "embed": sizes.model_flops * 2 + block,
        "train": min(BUFFER[0] * d * 4.0, BUFFER[1]) * 1.4 + 16.0 * d * m * 2,
        "activations": 1.8 * block + 8.0 * d * d * 3,
        "concepts": block + 4.0 * probed * d,
        "features": 4.0 * 5 * m * m + 100.0 * 2**20,
        "interpret": 20.0 * n,
        "steer": sizes.model_flops * 2,
    }
    disk = {
        "proteins": n * 2.0,
        "embed": sizes.passes * n * d * sizes.stored_bytes,
        "train": n_trained * 2 * 4.0 * d * m,
        "activations": n_stores * n * sizes.k * STORED_VALUE_BYTES,
        "concepts": 2e7,
        "features": 1e3 * m,
        "interpret": 1e6,
        "steer": 1e6,
    }
    rows = [
        {
            "stage": stage,
            "seconds": FIXED_SECONDS[stage] + OVER_PRODUCTS.get(stage, 1.0) * flops / rate,
            "memory": BASE_MEMORY + memory[stage],
            "disk": disk[stage],
        }
        for stage, flops in products.items()
    ]
    return pl.DataFrame(rows)


def _few(
    annotations: Annotations, stages: Mapping[str, StageParameters], model: RunModel
) -> list[str]:
    """Where the data are too few for the settings, and for a batch, as far as is known before
    relatives are joined: the splits are dealt as if every protein were its own cluster."""
    from interplm_nb.readers import homology

    params, proteins = cast(ProteinsParameters, stages["proteins"]), annotations.proteins
    splits = homology.split(homology.alone(proteins), params.shares, params.seed)
    train = splits.filter(pl.col("split") == "train")["accession"]
    check_batches(proteins.select(train).n_residues, stages)
    found = too_few(proteins, annotations, splits, stages, model)
    if not found:
        return []
    return [
        *(f"{FEW}: {sentence}" for sentence in found),
        "Expected from the shares of the splits, before relatives are kept in one split; a run "
        "says it again after stage 1.",
    ]


def _sizes(stages: Mapping[str, StageParameters], model: RunModel, residues: int) -> Sizes:
    embed = cast(EmbedParameters, stages["embed"])
    train = cast(TrainParameters, stages["train"])
    concepts = cast(ConceptsParameters, stages["concepts"])
    read = embed.joined or [embed.layer]
    width = sum(model.record.widths[n] for n in read) if model.record else _width_of(embed)
    return Sizes(
        residues=residues,
        model_flops=_flops(model, embed.layer),
        width=width,
        stored_bytes=2 if embed.stored == "bfloat16" else 4,
        passes=2 if model.record else 1,
        d_sae=train.d_sae,
        k=train.k,
        seeds=train.seeds,
        trained_residues=train.steps * train.batch_size,
        resamples=concepts.bootstrap + 2 * concepts.null_draws,
    )


def _flops(model: RunModel, layer: int) -> float:
    """Two operations per weight: a recurrent layer of width H has 5 H^2 weights, a transformer
    layer of width d has 12 d^2."""
    if model.record is None:
        return 0.0
    per_weight = 10.0 if model.record.recurrent else 24.0
    return sum(per_weight * width**2 for width in model.record.widths[1 : layer + 1])


def _width_of(embed: EmbedParameters) -> int:
    from interplm_nb.readers.arrays import check_arrays

    return check_arrays(Path(embed.arrays).expanduser()).width


def _existing(path: Path) -> Path:
    path = path.expanduser().resolve()
    return next(p for p in (path, *path.parents) if p.exists())


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
