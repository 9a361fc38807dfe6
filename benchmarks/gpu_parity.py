"""Part 1 of the GPU benchmark: results on the device equal what they should be."""

import copy
import math
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array, vstack
from torch import Tensor

from benchmarks.concepts_data import annotations_of, blocks_of, proteins_of
from benchmarks.gpu_models import fair_esm_model, same_weights, sampled, shape
from benchmarks.gpu_rows import Measurement, Row, Setting
from benchmarks.gpu_unirep import random_unirep
from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.count import count
from interplm_nb.plm.tokens import PAD
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.count_on_device import on_device
from interplm_nb.sae.training.distributed import ALONE
from interplm_nb.sae.training.trainee import Setting as Training
from interplm_nb.sae.training.trainee import Trainee

PART = "parity"
FP32 = 1e-5
"""Largest difference allowed in float32, relative to the reference's largest value."""
SAE_DRIFT = 0.01
"""Largest difference between two trainings' weights, relative to how far training moved them.
Adam's step is about lr however small the gradient, so where rounding flips a gradient's sign, the
weight moves the other way."""


def measurements(setting: Setting) -> list[Measurement]:
    """ESM-2 by layer in two dtypes, UniRep, the counts of concepts, and an SAE's training."""
    return [
        Measurement("ESM-2 8M, float32", lambda _: _esm2(setting, "8M", torch.float32)),
        Measurement("ESM-2 8M, bfloat16", lambda _: _esm2(setting, "8M", torch.bfloat16)),
        Measurement("ESM-2 650M, float32", lambda _: _esm2(setting, "650M", torch.float32)),
        Measurement("UniRep 1900, float32", lambda _: [_unirep(setting)]),
        Measurement("concept counts", lambda _: [_counts(setting)]),
        Measurement("SAE, 20 steps", lambda _: _training(setting)),
    ]


def difference(found: Tensor, wanted: Tensor) -> float:
    """Largest absolute difference, relative to the largest absolute value that was expected.

    RuntimeError where either is not finite.
    """
    found, wanted = found.detach().double().cpu(), wanted.detach().double().cpu()
    value = float((found - wanted).abs().max() / wanted.abs().max())
    if not math.isfinite(value):
        raise RuntimeError("values that are not finite were found")
    return value


@torch.no_grad()
def _esm2(setting: Setting, name: str, dtype: torch.dtype) -> list[Row]:
    """A row per layer: ours against fair-esm's float32, each on the same device and weights."""
    architecture = shape(name, setting)
    theirs = fair_esm_model(architecture, setting.device)
    ours = same_weights(theirs, architecture, dtype)
    proteins = sampled(setting.pick(16, 4), setting.pick(600, 80))
    tokens = ours.tokens(proteins.sequences)
    layers, real = list(range(architecture.n_layers + 1)), tokens != PAD
    # Copied before its first run, which leaves float32 tables in it.
    low = copy.deepcopy(theirs).to(dtype) if dtype != torch.float32 else None
    wanted = theirs(tokens, repr_layers=layers)["representations"]
    found = ours.forward(tokens, layers).representations
    errors = [difference(found[k][real], wanted[k][real]) for k in layers]
    kind = str(dtype).removeprefix("torch.")
    if low is None:
        bound = [FP32] * len(layers)
        note, sense = "other: the bound", "at most"
    else:
        rounded = low(tokens, repr_layers=layers)["representations"]
        bound = [difference(rounded[k][real], wanted[k][real]) for k in layers]
        note, sense = f"other: fair-esm's own in {kind}", ""
    return [
        Row(
            PART,
            f"ESM-2 {name}, {kind}, layer {k}",
            "max difference / scale",
            error,
            other,
            f"to fair-esm's float32, same weights; {note}",
            sense,
        )
        for k, error, other in zip(layers, errors, bound, strict=True)
    ]


@torch.no_grad()
def _unirep(setting: Setting) -> Row:
    sequences = sampled(setting.pick(8, 2), setting.pick(400, 40)).sequences
    found = []
    for device in (setting.device, torch.device("cpu")):
        plm = random_unirep(setting, device, torch.float32)
        tokens = plm.tokens(sequences)
        output = plm.forward(tokens, [plm.n_layers]).representations[plm.n_layers]
        # Past a sequence's end a recurrent model's states mean nothing.
        ends = [plm.first_residue + len(s) for s in sequences]
        found.append(torch.cat([row[:end] for row, end in zip(output.cpu(), ends, strict=True)]))
    return Row(
        PART,
        "UniRep 1900, float32",
        "max difference / scale",
        difference(*found),
        FP32,
        "to the CPU's, same weights; other: the bound",
        "at most",
    )


def _counts(setting: Setting) -> Row:
    """Integers that differ; the CPU's are those of sparse products."""
    rng = np.random.default_rng(0)
    residues, features = setting.pick(200_000, 4_000), setting.pick(10_240, 64)
    proteins = proteins_of(rng, residues)
    annotations = annotations_of(rng, proteins, setting.pick(433, 10), 3.0)
    drawn = setting.pick(109, 5)
    values = vstack([block for _, block in blocks_of(rng, residues, features, drawn)], format="csr")
    source = FeatureActivations.from_csr(csr_array(values), proteins, "max")
    wanted, found = (
        count(source, annotations),
        count(source, annotations, sums=on_device(str(setting.device))),
    )
    pairs = [
        (wanted.tp, found.tp),
        (wanted.instance_hits, found.instance_hits),
        (wanted.active, found.active),
    ]
    different = sum(int(np.count_nonzero(a != b)) for a, b in pairs)
    total = sum(a.size for a, _ in pairs)
    note = f"of {total:,}, {int(wanted.tp.sum()):,} hits among them; other: the bound, less than 1"
    return Row(PART, "concept counts", "integers that differ", different, 0.5, note, "at most")


def _training(setting: Setting) -> list[Row]:
    d_in, d_sae, batch = setting.pick(320, 32), setting.pick(4_096, 128), setting.pick(1_024, 64)
    generator = torch.Generator().manual_seed(0)
    batches = torch.randn(20, batch, d_in, generator=generator)
    config = SAEConfig.recipe("topk", d_sae, k=setting.pick(32, 8))
    cpu = trainee(config, batches[0], torch.device("cpu"), len(batches))
    first = {k: v.clone() for k, v in cpu.sae.state_dict().items()}
    device = trainee(config, batches[0], setting.device, len(batches))
    for x in batches:
        cpu.take_step(x)
        device.take_step(x.to(setting.device))
    drift = max(
        drift_of(device.sae.state_dict()[k], cpu.sae.state_dict()[k], first[k])
        for k in ("W_enc", "W_dec", "b_enc", "b_dec")
    )
    ours, other = (t.metrics()["fvu"] for t in (device, cpu))
    note = "rms difference to the CPU's over rms movement in training, worst tensor"
    shape_note = f"TopK, {d_in} to {d_sae:,}, float32"
    return [
        Row(
            PART,
            "SAE, 20 steps, weights",
            "share of movement",
            drift,
            SAE_DRIFT,
            f"{note}; {shape_note}; other: the bound",
            "at most",
        ),
        Row(PART, "SAE, 20 steps, FVU", "share", ours, other, f"other: the CPU's; {shape_note}"),
    ]


def drift_of(found: Tensor, wanted: Tensor, first: Tensor) -> float:
    """rms of found - wanted over rms of wanted - first; 0 where nothing moved and nothing differs.

    RuntimeError where values are not finite.
    """
    found, wanted, first = (x.detach().double().cpu() for x in (found, wanted, first))
    apart, moved = (found - wanted).norm(), (wanted - first).norm()
    value = float(apart / moved) if moved else float(apart)
    if not math.isfinite(value):
        raise RuntimeError("weights that are not finite were found")
    return value


def trainee(
    config: SAEConfig, sample: Tensor, device: torch.device, steps: int, autocast: bool = False
) -> Trainee:
    """An SAE at its first step: batches as large as `sample`, [batch, d_in] on the CPU."""
    training = Training(steps, len(sample), device, torch.float32, autocast, ALONE)
    begun = Trainee(config, Path(), {}, training)
    begun.begin(sample)
    return begun
