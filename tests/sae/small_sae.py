"""An SAE of a few features with random weights, for the tests of this folder."""

from dataclasses import fields

import pytest
import torch

from interplm_nb.sae.architectures import ARCHITECTURES, Architecture, BatchTopK, TopK
from interplm_nb.sae.model import SAE
from interplm_nb.sae.residue_norm import ResidueNorm

D_SAE = 20


def examples(d_sae: int = D_SAE, k: int = 3) -> list[Architecture]:
    """One of each kind in the table, for an SAE of `d_sae` features."""
    values = {"k": k, "prefixes": (d_sae // 5, d_sae // 2, d_sae)}
    return [
        kind(**{field.name: values[field.name] for field in fields(kind)})
        for kind in ARCHITECTURES.values()
    ]


def _name(architecture: Architecture) -> str:
    return str(architecture).replace(" ", "")


every_architecture = pytest.mark.parametrize(
    "architecture", [*examples(), TopK(1), TopK(D_SAE)], ids=_name
)
"""Every kind, for an SAE of 20 features: a kind that joins the table is tested by being there."""

every_listed = pytest.mark.parametrize(
    "architecture",
    [
        *(kind for kind in examples() if hasattr(kind, "reconstruct")),
        *(TopK(1), TopK(D_SAE), BatchTopK(D_SAE)),
    ],
    ids=_name,
)
"""Every kind whose training pass runs over listed activations."""


def any_sae(
    architecture: Architecture,
    d_in: int = 6,
    d_sae: int = D_SAE,
    seed: int = 0,
    residue_norm: ResidueNorm | None = None,
    d_out: int | None = None,
) -> SAE:
    """Random weights; thresholds are 0 or more."""
    sae = SAE(d_in, d_sae, architecture, residue_norm, d_out)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sae.state_dict().items():
            values = torch.randn(weight.shape, generator=generator)
            weight.copy_(values.abs() / 2 if name == "threshold" else values)
    return sae
