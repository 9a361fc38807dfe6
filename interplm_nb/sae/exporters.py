"""This package's SAEs in others' formats: InterPLM's and SAELens'. What a format cannot say is
refused, with what can be done instead."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.architectures import (
    Architecture,
    BatchTopK,
    Gated,
    JumpReLU,
    Matryoshka,
    ReLU,
    TopK,
)
from interplm_nb.sae.importers.given import OURS
from interplm_nb.sae.model import SAE
from interplm_nb.saving import atomic_path, write_json

SAELENS = "6.54.12"
"""The version of sae-lens whose files these are, and with which the tests load them."""
_SAELENS_KINDS: dict[type[Architecture], str] = {
    ReLU: "standard",
    TopK: "topk",
    BatchTopK: "jumprelu",
    Matryoshka: "jumprelu",
    JumpReLU: "jumprelu",
    Gated: "gated",
}
_INTERPLM_KINDS = (ReLU, TopK, BatchTopK, JumpReLU)
_UNIT_ATOM = 1e-3


def to_interplm(sae: SAE, folder: Path) -> list[Path]:
    """Write an SAE as InterPLM reads it; returns the files.

    ReLU with unit atoms, which InterPLM trains, becomes the published layout:
    `ae_unnormalized.pt`, `ae_normalized.pt` where the SAE has unit "max", `config.json`. ReLU with
    other atoms, TopK, BatchTopK and JumpReLU become `ae.pt` as InterPLM 1.0.0 and later save it
    (`activation_rescale_factor` holds the maxima). ValueError for architectures that InterPLM
    lacks, and for everything else that its files cannot say.
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
    unit_atoms = not bool(((norms[alive] - 1).abs() > _UNIT_ATOM).any())
    if type(raw.architecture) is not ReLU or raw.residue_norm or not unit_atoms:
        return [_save_pt(_later(sae, raw), folder / "ae.pt"), folder / "config.json"]
    written = [folder / "config.json"]
    if sae.maxima is not None:
        written.append(_save_pt(_linear(sae, "bias"), folder / "ae_normalized.pt"))
    if bool(alive.all()):  # a dead feature's encoder is gone: only the normalised file can say so
        written.append(_save_pt(_linear(raw, "bias"), folder / "ae_unnormalized.pt"))
    return written


def to_saelens(sae: SAE, folder: Path) -> list[Path]:
    """Write `cfg.json` and `sae_weights.safetensors` as sae-lens saves an SAE for use; returns the
    two.

    ReLU becomes "standard", TopK "topk", Gated "gated"; JumpReLU, BatchTopK and Matryoshka become
    "jumprelu", as after sae-lens' own trainings. Our record in the metadata lets
    `importers.read` restore architecture, PLM and layer. ValueError for a TopK SAE with unit "max"
    (it chooses before it scales), and for architectures that SAELens lacks.
    """
    about = _about(sae)
    _check_saelens(sae)
    kind = sae.architecture
    weights: dict[str, Tensor] = {
        "W_enc": sae.W_enc,
        "W_dec": sae.W_dec,
        "b_dec": sae.b_dec,
        "b_mag" if type(kind) is Gated else "b_enc": sae.b_enc,
        **{name: getattr(sae, name) for name in kind.own_weights},
    }
    norm = {None: "none", "layer-norm": "layer_norm", "sqrt-d": "constant_norm_rescale"}[
        sae.residue_norm.kind if sae.residue_norm else None
    ]
    config: dict[str, Any] = {
        "architecture": _SAELENS_KINDS[type(kind)],
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
            "this SAE does not say which PLM and layer it is of (about is None); save and load it "
            "first, or set sae.about"
        )
    sae.check_reconstructs("another project's format")
    return sae.about


def _record(sae: SAE, about: SAEAbout) -> dict[str, Any]:
    """What our reader restores from an export."""
    return {
        "plm": about.plm,
        "plm_revision": about.plm_revision,
        "layer": about.layer,
        "hook": about.hook,
        "architecture": sae.architecture.record(),
        "maxima": None if sae.maxima is None else sae.maxima.tolist(),
    }


def _raw(sae: SAE) -> SAE:
    """The SAE with its features in the unit they were trained in."""
    return sae if sae.maxima is None else sae.rescaled(torch.where(sae.maxima > 0, sae.maxima, 1))


def _check_interplm(raw: SAE) -> None:
    kind = raw.architecture
    if type(kind) not in _INTERPLM_KINDS:
        other = "; export to SAELens' format, which has" if type(kind) in _SAELENS_KINDS else ""
        raise ValueError(f"InterPLM has no {type(kind).__name__}{other}")
    if raw.residue_norm and raw.residue_norm.kind != "sqrt-d":
        raise ValueError(
            "InterPLM's files cannot say that each residue is normalised by "
            f"{raw.residue_norm.kind}; export to SAELens' format"
        )
    _check_rank(raw)
    if isinstance(kind, BatchTopK) and not bool(
        torch.isclose(raw.threshold, raw.threshold.max(), rtol=1e-4)[raw.W_enc.any(0)].all()
    ):
        raise ValueError(
            "InterPLM's BatchTopK has one threshold for all features, this SAE has several; export "
            "to SAELens' format"
        )


def _check_rank(sae: SAE) -> None:
    if sae.rank is not None and not bool(
        torch.isclose(sae.rank, torch.ones_like(sae.rank), rtol=1e-4).all()
    ):
        raise ValueError(
            "this TopK SAE chooses by rescaled activations, which the format cannot say; export it "
            "as it was trained, with unit 'raw'"
        )


def _check_saelens(sae: SAE) -> None:
    if type(sae.architecture) not in _SAELENS_KINDS:
        raise ValueError(f"SAELens has no {type(sae.architecture).__name__}")
    if isinstance(sae.architecture, TopK):
        _check_rank(sae)
        if sae.maxima is not None and bool((sae.maxima == 0).any()):
            raise ValueError(
                "this TopK SAE has features that are chosen but count as 0, which SAELens cannot "
                "say; export it with unit 'raw'"
            )
    norm = sae.residue_norm
    if norm and not (
        (norm.kind, norm.eps) == ("layer-norm", 1e-5)
        or (norm.kind == "sqrt-d" and norm.eps <= 1e-8)
    ):
        raise ValueError(
            f"SAELens normalises a residue with another eps than this SAE's {norm}; it would give "
            "other features"
        )


def _linear(sae: SAE, centre: str) -> dict[str, Tensor]:
    return {
        "encoder.weight": sae.W_enc.T,
        "encoder.bias": sae.b_enc,
        "decoder.weight": sae.W_dec.T,
        centre: sae.b_dec,
    }


def _later(sae: SAE, raw: SAE) -> dict[str, Tensor]:
    """The tensors of InterPLM 1.0.0 and later."""
    kind = raw.architecture
    tensors = {
        "activation_rescale_factor": torch.ones(sae.d_sae) if sae.maxima is None else sae.maxima,
        "normalize_to_sqrt_d": torch.tensor(raw.residue_norm is not None),
    }
    match kind:
        case ReLU():
            return tensors | _linear(raw, "bias")
        case JumpReLU():  # theirs does not centre
            tensors |= _linear(raw, "decoder.bias") | {"threshold": raw.threshold}
            return tensors | {"encoder.bias": raw.b_enc - raw.b_dec @ raw.W_enc}
        case TopK(k):
            own = {"k": torch.tensor(k, dtype=torch.int), "threshold": torch.tensor(-1.0)}
        case BatchTopK(k):
            own = {"k": torch.tensor(k, dtype=torch.int), "threshold": raw.threshold.max()}
        case _:
            raise AssertionError(f"{kind} passed _check_interplm")
    return tensors | _linear(raw, "b_dec") | own


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}


def _save_pt(tensors: dict[str, Tensor], path: Path) -> Path:
    with atomic_path(path) as draft:
        torch.save(_plain(tensors), draft)
    return path
