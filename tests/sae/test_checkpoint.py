"""A saved SAE comes back bit for bit and names its PLM and layer; the wrong company and broken files are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from interplm_nb.sae.checkpoint import SAEAbout, load, save
from interplm_nb.sae.controls import random_sae
from interplm_nb.sae.model import SAE, ReLU, TopK
from interplm_nb.saving import file_hash

ABOUT = SAEAbout(plm="esm2-mini", plm_revision="sha256:1", layer=3, recipe="topk", data="sha256:2", seed=7, training={"lr": 0.1})


def saved(folder: Path) -> SAE:
    sae = random_sae(8, 32, 4, torch.ones(8), 0)
    save(sae, folder, ABOUT)
    return sae


def change(folder: Path, **values: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


@pytest.mark.parametrize("activation", [ReLU(), TopK(4)])
@pytest.mark.parametrize("folded", [False, True])
def test_round_trip(tmp_path, activation, folded):
    sae = SAE(8, 32, activation)
    torch.nn.init.normal_(sae.W_enc, generator=torch.Generator().manual_seed(0))
    if folded:
        sae = sae.folded(np.arange(32, dtype=np.float32))
    save(sae, tmp_path, ABOUT)
    found = load(tmp_path, plm="esm2-mini", layer=3)
    assert found.weight_hash == sae.weight_hash
    assert (found.activation, found.unit, found.about) == (activation, sae.unit, ABOUT)
    assert not found.training


def test_another_plm_or_layer_is_refused_with_both_names(tmp_path):
    saved(tmp_path)
    with pytest.raises(ValueError, match=r"SAE of 'esm2-mini', layer 3; wanted one of 'esm2_t6_8M_UR50D', layer 3"):
        load(tmp_path, plm="esm2_t6_8M_UR50D")
    with pytest.raises(ValueError, match=r"'esm2-mini', layer 3; wanted one of 'esm2-mini', layer 4"):
        load(tmp_path, layer=4)


def test_nan_is_refused(tmp_path):
    sae = saved(tmp_path)
    weights = load_file(tmp_path / "sae.safetensors")
    weights["b_enc"][3] = float("nan")
    save_file(weights, tmp_path / "sae.safetensors")
    change(tmp_path, weights=file_hash(tmp_path / "sae.safetensors"))
    with pytest.raises(ValueError, match=r"sae\.safetensors: b_enc holds NaN or infinity; train again"):
        load(tmp_path)
    with torch.no_grad():
        sae.W_dec[0, 0] = float("inf")
    with pytest.raises(ValueError, match="W_dec holds NaN or infinity"):
        save(sae, tmp_path, ABOUT)


def test_unknown_keys_and_tensors_are_refused(tmp_path):
    saved(tmp_path)
    change(tmp_path, normalize=True)
    with pytest.raises(ValueError, match=r"unknown keys \['normalize'\]"):
        load(tmp_path)
    saved(tmp_path)
    weights = load_file(tmp_path / "sae.safetensors")
    save_file({**weights, "threshold": torch.zeros(1)}, tmp_path / "sae.safetensors")
    change(tmp_path, weights=file_hash(tmp_path / "sae.safetensors"))
    with pytest.raises(ValueError, match=r"wanted the tensors .* found .*'threshold'"):
        load(tmp_path)


def test_broken_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="stage 'train' makes one"):
        load(tmp_path)
    saved(tmp_path)
    change(tmp_path, d_sae=31)
    with pytest.raises(ValueError, match=r"W_enc has shape \(8, 32\), config.json says \(8, 31\)"):
        load(tmp_path)
    change(tmp_path, d_sae=32, activation={"name": "jumprelu"})
    with pytest.raises(ValueError, match=r"the activation is .* not \{'name': 'jumprelu'\}"):
        load(tmp_path)
    saved(tmp_path)
    (tmp_path / "sae.safetensors").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"not the weights that config\.json was written for"):
        load(tmp_path)
    change(tmp_path, weights=file_hash(tmp_path / "sae.safetensors"))
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load(tmp_path)
