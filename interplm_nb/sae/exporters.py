"""This package's SAEs in others' formats: InterPLM's and SAELens'. What a format cannot say is refused, with what can be done instead."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from interplm_nb.sae import architectures
from interplm_nb.sae.architectures import BatchTopK, Gated, JumpReLU, Matryoshka, ReLU, TopK
from interplm_nb.sae.checkpoint import SAEAbout
from interplm_nb.sae.importers.given import OURS
from interplm_nb.sae.model import SAE
from interplm_nb.saving import atomic_path, write_json

SAELENS = "6.54.12"
"""The version of sae-lens whose files these are, and that the tests load them with."""
_UNIT_ATOM = 1e-3


def to_interplm(sae: SAE, folder: Path) -> list[Path]:
    """Write an SAE as InterPLM reads it; returns the files.

    ReLU with unit atoms, which InterPLM trains, becomes the published layout: `ae_unnormalized.pt`, `ae_normalized.pt` where the SAE has unit "max",
    `config.json`. ReLU with other atoms, TopK, BatchTopK and JumpReLU become `ae.pt` as InterPLM 1.0.0 and after save it (`activation_rescale_factor`
    are the maxima). ValueError for Gated and Matryoshka, which InterPLM lacks, and for what else its files cannot say.
    """
    about = _about(sae)
    raw = _raw(sae)
    _check_interplm(raw)
    folder.mkdir(parents=True, exist_ok=True)
    norms = raw.W_dec.detach().norm(dim=1)
    alive = torch.ones_like(norms, dtype=torch.bool) if sae.maxima is None else sae.maxima > 0
    config = {
        "architecture": {
            "esm_dim": sae.d_in,
            "expansion_factor": sae.d_sae / sae.d_in,
            "feature_dim": sae.d_sae,
        },
        OURS: _record(sae, about),
    }
    write_json(config, folder / "config.json")
    if (
        not isinstance(raw.architecture, ReLU)
        or raw.residue_norm
        or bool(((norms[alive] - 1).abs() > _UNIT_ATOM).any())
    ):
        return [_save_pt(_later(sae, raw), folder / "ae.pt"), folder / "config.json"]
    written = [folder / "config.json"]
    if sae.maxima is not None:
        written.append(_save_pt(_linear(sae, "bias"), folder / "ae_normalized.pt"))
    if bool(alive.all()):  # a dead feature's encoder is gone: only the normalised file can say so
        written.append(_save_pt(_linear(raw, "bias"), folder / "ae_unnormalized.pt"))
    return written


def to_saelens(sae: SAE, folder: Path) -> list[Path]:
    """Write `cfg.json` and `sae_weights.safetensors` as sae-lens saves an SAE for use; returns the two.

    ReLU becomes "standard", TopK "topk", Gated "gated"; JumpReLU, BatchTopK and Matryoshka become "jumprelu", as after sae-lens' own trainings. Our
    record in the metadata brings architecture, PLM and layer back. ValueError for a TopK SAE with unit "max" (it chooses before it scales).
    """
    about = _about(sae)
    _check_saelens(sae)
    kind = sae.architecture
    weights: dict[str, Tensor] = {
        "W_enc": sae.W_enc,
        "W_dec": sae.W_dec,
        "b_dec": sae.b_dec,
        ("b_mag" if isinstance(kind, Gated) else "b_enc"): sae.b_enc,
    }
    weights |= {
        name: getattr(sae, name) for name in ("threshold", "r_mag", "b_gate") if hasattr(sae, name)
    }
    norm = {None: "none", "layer-norm": "layer_norm", "sqrt-d": "constant_norm_rescale"}[
        sae.residue_norm.kind if sae.residue_norm else None
    ]
    config: dict[str, Any] = {
        "architecture": {"relu": "standard", "topk": "topk", "gated": "gated"}.get(
            kind.name, "jumprelu"
        ),
        "d_in": sae.d_in,
        "d_sae": sae.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": norm,
        "reshape_activations": "none",
    }
    if isinstance(kind, TopK):
        config |= {"k": kind.k, "rescale_acts_by_decoder_norm": False}
    config["metadata"] = {
        "sae_lens_version": SAELENS,
        "sae_lens_training_version": None,
        "model_name": about.plm,
    }
    config["metadata"] |= {
        "hook_name": f"layers.{about.layer}.{about.hook}",
        OURS: _record(sae, about),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / "sae_weights.safetensors") as draft:
        save_file(_plain(weights), draft)
    write_json(config, folder / "cfg.json")
    return [folder / "cfg.json", folder / "sae_weights.safetensors"]


def _about(sae: SAE) -> SAEAbout:
    if sae.about is None:
        raise ValueError(
            "this SAE does not say which PLM and layer it is of (about is None); save and load it first, or set sae.about"
        )
    return sae.about


def _record(sae: SAE, about: SAEAbout) -> dict[str, Any]:
    """What our reader takes back from an export."""
    return {
        "plm": about.plm,
        "plm_revision": about.plm_revision,
        "layer": about.layer,
        "hook": about.hook,
        "architecture": architectures.record(sae.architecture),
        "maxima": None if sae.maxima is None else sae.maxima.tolist(),
    }


def _raw(sae: SAE) -> SAE:
    """The SAE with its features in the unit they were trained in."""
    return sae if sae.maxima is None else sae.rescaled(torch.where(sae.maxima > 0, sae.maxima, 1))


def _check_interplm(raw: SAE) -> None:
    kind = raw.architecture
    if isinstance(kind, Gated | Matryoshka):
        raise ValueError(
            f"InterPLM has no {type(kind).__name__}; export to SAELens' format, which has"
        )
    if raw.residue_norm and raw.residue_norm.kind != "sqrt-d":
        raise ValueError(
            f"InterPLM's files cannot say that each residue is normalised by {raw.residue_norm.kind}; export to SAELens' format"
        )
    _check_rank(raw)
    if isinstance(kind, BatchTopK) and not bool(
        torch.isclose(raw.threshold, raw.threshold.max(), rtol=1e-4)[raw.W_enc.any(0)].all()
    ):
        raise ValueError(
            "InterPLM's BatchTopK has one threshold for all features, this SAE has several; export to SAELens' format"
        )


def _check_rank(sae: SAE) -> None:
    if sae.rank is not None and not bool(
        torch.isclose(sae.rank, torch.ones_like(sae.rank), rtol=1e-4).all()
    ):
        raise ValueError(
            "this TopK SAE chooses by rescaled activations, which the format cannot say; export it as it was trained, with unit 'raw'"
        )


def _check_saelens(sae: SAE) -> None:
    if isinstance(sae.architecture, TopK):
        _check_rank(sae)
        if sae.maxima is not None and bool((sae.maxima == 0).any()):
            raise ValueError(
                "this TopK SAE has features that are chosen but count as 0, which SAELens cannot say; export it with unit 'raw'"
            )
    norm = sae.residue_norm
    if norm and not (
        (norm.kind, norm.eps) == ("layer-norm", 1e-5)
        or (norm.kind == "sqrt-d" and norm.eps <= 1e-8)
    ):
        raise ValueError(
            f"SAELens normalises a residue with another eps than this SAE's {norm}; it would give other features"
        )


def _linear(sae: SAE, centre: str) -> dict[str, Tensor]:
    return {
        "encoder.weight": sae.W_enc.T,
        "encoder.bias": sae.b_enc,
        "decoder.weight": sae.W_dec.T,
        centre: sae.b_dec,
    }


def _later(sae: SAE, raw: SAE) -> dict[str, Tensor]:
    """The tensors of InterPLM 1.0.0 and after."""
    kind = raw.architecture
    factor = torch.ones(sae.d_sae) if sae.maxima is None else sae.maxima
    tensors = {
        "activation_rescale_factor": factor,
        "normalize_to_sqrt_d": torch.tensor(raw.residue_norm is not None),
    }
    if isinstance(kind, JumpReLU):  # theirs does not centre
        tensors |= _linear(raw, "decoder.bias") | {"threshold": raw.threshold}
        return tensors | {"encoder.bias": raw.b_enc - raw.b_dec @ raw.W_enc}
    if isinstance(kind, ReLU):
        return tensors | _linear(raw, "bias")
    threshold = raw.threshold.max() if isinstance(kind, BatchTopK) else torch.tensor(-1.0)
    assert isinstance(kind, TopK | BatchTopK)
    return (
        tensors
        | _linear(raw, "b_dec")
        | {"k": torch.tensor(kind.k, dtype=torch.int), "threshold": threshold}
    )


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}


def _save_pt(tensors: dict[str, Tensor], path: Path) -> Path:
    with atomic_path(path) as draft:
        torch.save(_plain(tensors), draft)
    return path
