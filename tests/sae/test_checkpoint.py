"""A saved SAE comes back bit for bit and names its PLM and layer; the wrong company and broken
files are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.architectures import ReLU, TopK
from interplm_nb.sae.checkpoint import load, save
from interplm_nb.sae.model import SAE
from interplm_nb.sae.random_sae import random_sae
from interplm_nb.sae.residue_norm import ResidueNorm
from interplm_nb.saving import file_hash, read_json, write_json
from tests.sae.small_sae import any_sae, every_architecture

ABOUT = SAEAbout(
    plm="esm2-mini",
    plm_revision="sha256:1",
    layer=3,
    recipe="topk",
    data="sha256:2",
    seed=7,
    training={"lr": 0.1},
)


def saved(folder: Path) -> SAE:
    sae = random_sae(8, 32, 4, torch.ones(8), 0)
    save(sae, folder, ABOUT)
    return sae


def change(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    write_json({**read_json(path, "SAE", 3), **values}, path)


@every_architecture
@given(
    folded=st.booleans(),
    scaled=st.booleans(),
    norm=st.sampled_from([None, ResidueNorm("layer-norm", 1e-6)]),
)
def test_saving_and_loading_is_exact(tmp_path_factory, architecture, folded, scaled, norm):
    folder = tmp_path_factory.mktemp("sae")
    sae = any_sae(architecture, residue_norm=norm)
    if scaled:
        sae = sae.rescaled(torch.linspace(0.5, 2, 20))
    if folded:
        sae = sae.folded(np.arange(20, dtype=np.float32))
    save(sae, folder, ABOUT)
    found = load(folder, plm="esm2-mini", layer=3)
    assert found.weight_hash == sae.weight_hash
    assert (found.architecture, found.unit, found.about, found.residue_norm) == (
        architecture,
        sae.unit,
        ABOUT,
        norm,
    )
    assert not found.training
    x = torch.randn(9, 6, generator=torch.Generator().manual_seed(0))
    assert all(torch.equal(one, other) for one, other in zip(found(x), sae(x), strict=True))


def test_another_plm_or_layer_is_refused_with_both_names(tmp_path):
    saved(tmp_path)
    with pytest.raises(
        ValueError, match=r"SAE of 'esm2-mini', layer 3; wanted one of 'esm2_t6_8M_UR50D', layer 3"
    ):
        load(tmp_path, plm="esm2_t6_8M_UR50D")
    with pytest.raises(
        ValueError, match=r"'esm2-mini', layer 3; wanted one of 'esm2-mini', layer 4"
    ):
        load(tmp_path, layer=4)


def test_nan_is_refused(tmp_path):
    sae = saved(tmp_path)
    weights = load_file(tmp_path / "sae.safetensors")
    weights["b_enc"][3] = float("nan")
    save_file(weights, tmp_path / "sae.safetensors")
    change(tmp_path, weights=file_hash(tmp_path / "sae.safetensors"))
    with pytest.raises(
        ValueError, match=r"sae\.safetensors: b_enc holds NaN or infinity; train again"
    ):
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
    change(tmp_path, d_sae=32, architecture={"name": "moe"})
    with pytest.raises(ValueError, match=r"config.json: unknown architecture \{'name': 'moe'\}"):
        load(tmp_path)
    saved(tmp_path)
    (tmp_path / "sae.safetensors").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"not the weights that config\.json was written for"):
        load(tmp_path)
    change(tmp_path, weights=file_hash(tmp_path / "sae.safetensors"))
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load(tmp_path)


def test_float16_rounds_the_weights_and_says_so(tmp_path):
    sae = any_sae(TopK(3), d_in=8)
    save(sae, tmp_path, ABOUT, stored="float16")
    assert read_json(tmp_path / "config.json", "SAE", 3)["stored"] == "float16"
    found = load(tmp_path)
    for name, value in sae.weights().items():
        assert torch.equal(found.weights()[name], value.half().float())
    huge = any_sae(TopK(3), d_in=8)
    with torch.no_grad():
        huge.b_dec[0] = 1e6
    with pytest.raises(ValueError, match=r"the SAE in float16: b_dec holds NaN or infinity"):
        save(huge, tmp_path / "huge", ABOUT, stored="float16")


def test_a_random_sae_is_its_seed_and_mean(tmp_path):
    about = replace(ABOUT, recipe="random", seed=7)
    sae = random_sae(8, 12, 3, torch.arange(8.0), 7)
    save(sae, tmp_path, about, stored="seed")
    assert (tmp_path / "sae.safetensors").stat().st_size < 200
    found = load(tmp_path)
    assert found.weight_hash == sae.weight_hash and found.about == about
    with pytest.raises(ValueError, match=r"not the random one of seed 8; store its weights"):
        save(sae, tmp_path / "other", replace(about, seed=8), stored="seed")
    with pytest.raises(ValueError, match="only a random SAE"):
        save(any_sae(ReLU()), tmp_path / "relu", about, stored="seed")
