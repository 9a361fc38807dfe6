"""InterProt, Reticular, dictionary_learning, sparsify and Biohub: files of their exact tensors give
their own features and reconstructions."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.testing import assert_close

from interplm_nb.sae.architectures import BatchTopK, Gated, JumpReLU, Matryoshka, ReLU, TopK
from interplm_nb.sae.importers import Given, read
from interplm_nb.sae.model import SAE
from tests.sae.importers import peers
from tests.sae.importers.peers import (
    D_IN,
    D_SAE,
    Features,
    K,
    embeddings,
    linear,
    matrices,
    numbers,
)


def assert_same(sae: SAE, wanted: Features) -> None:
    with torch.no_grad():
        found = sae(embeddings())
    assert_close(found.f, wanted.f, rtol=1e-5, atol=1e-5)
    assert_close(found.x_hat, wanted.x_hat, rtol=1e-5, atol=1e-5)


def write(
    folder: Path,
    tensors: dict[str, Tensor],
    name: str,
    config: dict[str, Any] | None = None,
    config_name: str = "config.json",
) -> Path:
    folder.mkdir(exist_ok=True)
    if name.endswith(".safetensors"):
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / name)
    else:
        torch.save(tensors, folder / name)
    if config is not None:
        (folder / config_name).write_text(json.dumps(config))
    return folder / name


INTERPROT = {
    "w_enc": numbers(D_IN, D_SAE, seed=1),
    "w_dec": numbers(D_SAE, D_IN, seed=2),
    "b_enc": numbers(D_SAE, seed=3),
    "b_pre": numbers(D_IN, seed=4),
}


def test_interprot(tmp_path):
    tensors = INTERPROT | {"stats_last_nonzero": torch.arange(D_SAE)}
    path = write(tmp_path, tensors, "esm2_plm1280_l24_sae4096.safetensors")
    sae = read(path, Given(plm="some-plm", layer=24, k=K))
    assert_same(sae, peers.interprot(INTERPROT, embeddings(), K))
    assert sae.architecture == TopK(K) and sae.residue_norm is not None
    with pytest.raises(ValueError, match=r"does not say k\. Give k "):
        read(path, Given(plm="some-plm", layer=24))


def test_interprot_as_lightning_saves_it(tmp_path):
    state = {f"sae_model.{name}": value for name, value in INTERPROT.items()}
    torch.save(
        {
            "state_dict": state,
            "hyper_parameters": {"args": argparse.Namespace(k=K, layer_to_use=24)},
        },
        tmp_path / "sae.ckpt",
    )
    sae = read(tmp_path / "sae.ckpt", Given(plm="some-plm"))
    assert_same(sae, peers.interprot(INTERPROT, embeddings(), K))
    assert sae.about is not None and sae.about.layer == 24
    with pytest.raises(ValueError, match="the file says layer 24, you say 12"):
        read(tmp_path / "sae.ckpt", Given(plm="some-plm", layer=12))


GROUPS = [2, 3, 4, 5, 10]
MATRYOSHKA = matrices(
    k=torch.tensor(K, dtype=torch.int),
    threshold=torch.tensor(0.4),
    group_sizes=torch.tensor(GROUPS),
)


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_reticular(tmp_path, scale):
    """Trained on scaled embeddings: what it makes of x is what its own equation makes of scale * x,
    brought back."""
    path = write(tmp_path, MATRYOSHKA, "3b-l36-matry-k-5.ckpt")
    sae = read(path, Given(plm="some-plm", layer=36, input_scale=scale))
    f, x_hat = peers.matryoshka(MATRYOSHKA, embeddings() * scale)
    assert_same(sae, Features(f, x_hat / scale))
    assert sae.architecture == Matryoshka(K, (2, 5, 9, 14, 24))


TOPK = {
    "b_dec": numbers(D_IN, seed=4),
    "k": torch.tensor(K, dtype=torch.int),
    "threshold": torch.tensor(0.6),
}
GATED = {
    name: numbers(n, seed=i)
    for i, (name, n) in enumerate(
        [("decoder_bias", D_IN), ("r_mag", D_SAE), ("gate_bias", D_SAE), ("mag_bias", D_SAE)]
    )
}
GATED |= {
    "encoder.weight": numbers(D_SAE, D_IN, seed=8),
    "decoder.weight": numbers(D_IN, D_SAE, seed=9),
}
DICTIONARIES = {
    "AutoEncoder": (linear(bias=numbers(D_IN, seed=4)), peers.relu, ReLU()),
    "AutoEncoderNew": (
        linear(**{"decoder.bias": numbers(D_IN, seed=4)}),
        peers.plain_relu,
        ReLU(),
    ),
    "AutoEncoderTopK": (linear(**TOPK), peers.interplm_topk, TopK(K)),
    "BatchTopKSAE": (linear(**TOPK), peers.interplm_batchtopk, BatchTopK(K)),
    "MatryoshkaBatchTopKSAE": (MATRYOSHKA, peers.matryoshka, Matryoshka(K, (2, 5, 9, 14, 24))),
    "JumpReluAutoEncoder": (
        matrices(threshold=numbers(D_SAE, seed=5).abs()),
        peers.plain_jumprelu,
        JumpReLU(),
    ),
    "GatedAutoEncoder": (GATED, peers.gated, Gated()),
}


def trainer(name: str, **more: Any) -> dict[str, Any]:
    k = {"k": K} if "TopK" in name else {}
    known = {
        "dict_class": name,
        "trainer_class": "Some",
        "activation_dim": D_IN,
        "dict_size": D_SAE,
        "layer": 3,
        "lm_name": "some-plm",
    }
    return {"trainer": {**known, **k, **more}, "buffer": {"d_submodule": D_IN, "io": "out"}}


@pytest.mark.parametrize("name", DICTIONARIES)
def test_dictionary_learning(tmp_path, name):
    tensors, equation, architecture = DICTIONARIES[name]
    sae = read(write(tmp_path, tensors, "ae.pt", trainer(name)), Given(layer=4, hook="residual"))
    assert_same(sae, equation(tensors, embeddings()))
    assert sae.architecture == architecture
    assert sae.about is not None and (sae.about.plm, sae.about.layer) == ("some-plm", 4)


def test_dictionary_learning_makes_atoms_unit_norm_as_its_loader_does(tmp_path):
    tensors = linear(bias=numbers(D_IN, seed=4))
    norms = numbers(D_SAE, seed=6).abs() + 0.1
    tensors["decoder.weight"] = tensors["decoder.weight"] * norms
    sae = read(
        write(tmp_path, tensors, "ae.pt", trainer("AutoEncoder")), Given(layer=4, hook="residual")
    )
    plain = peers.relu(tensors, embeddings())
    assert_same(sae, Features(plain.f * norms, plain.x_hat))
    assert sae.unit == "raw"


@pytest.mark.parametrize("threshold", [-0.5, float("nan"), float("inf")])
def test_a_threshold_that_is_none_is_refused(tmp_path, threshold):
    unset = linear(**TOPK | {"threshold": torch.tensor(-1.0)})
    path = write(tmp_path, unset, "ae.pt", trainer("BatchTopKSAE"))
    with pytest.raises(ValueError, match="threshold must be a finite number of 0 or more; got"):
        read(path, Given(layer=4, hook="residual", threshold=threshold))


@pytest.mark.parametrize("held", [{"b_dec"}, {"b_dec", "k"}])
def test_dictionary_learning_topk_of_2024_has_its_k_in_the_config(tmp_path, held):
    tensors = linear(**{name: TOPK[name] for name in held})
    where = Given(layer=4, hook="residual")
    sae = read(write(tmp_path, tensors, "ae.pt", trainer("AutoEncoderTopK")), where)
    assert sae.architecture == TopK(K)
    assert_same(sae, peers.interplm_topk(linear(**TOPK), embeddings()))
    if "k" not in held:
        config = trainer("AutoEncoderTopK", k=None)
        with pytest.raises(ValueError, match="does not say k"):
            read(write(tmp_path, tensors, "ae.pt", config), where)
    with pytest.raises(ValueError, match="dictionary-learning: not the tensors of BatchTopKSAE"):
        read(write(tmp_path, tensors, "ae.pt", trainer("BatchTopKSAE")), where)
    (tmp_path / "config.json").unlink()
    said = Given("some-plm", 4, "residual", k=K, format="dictionary-learning")
    assert read(tmp_path, said).architecture == TopK(K)


@pytest.mark.parametrize(
    ("name", "io", "place"),
    [
        ("resid_post_layer_3", "out", (4, "residual")),
        ("resid_pre_layer_3", "out", (3, "residual")),
        ("esm.encoder.layer.3", "out", (4, "residual")),
        ("esm.encoder.layer.3", "in", None),
        ("resid_post_layer_13", "out", None),
        ("mlp_out_layer_3", "out", None),
    ],
)
def test_dictionary_learning_names_its_submodule(tmp_path, name, io, place):
    config = trainer("AutoEncoderTopK", submodule_name=name)
    config["buffer"]["io"] = io
    path = write(tmp_path, DICTIONARIES["AutoEncoderTopK"][0], "ae.pt", config)
    if place is None:
        with pytest.raises(ValueError, match="does not say layer, hook"):
            read(path)
    else:
        about = read(path).about
        assert about is not None and (about.layer, about.hook) == place


def test_dictionary_learning_and_the_user_must_agree(tmp_path):
    path = write(
        tmp_path, DICTIONARIES["AutoEncoderTopK"][0], "ae.pt", trainer("AutoEncoderTopK", k=9)
    )
    with pytest.raises(
        ValueError, match=r"does not say layer, hook|config\.json says k 9, the tensors say 5"
    ):
        read(path)
    write(tmp_path, DICTIONARIES["AutoEncoderTopK"][0], "ae.pt", trainer("AutoEncoderTopK"))
    with pytest.raises(ValueError, match="does not say layer, hook"):
        read(path)
    with pytest.raises(
        ValueError,
        match=r"config\.json says block 3, whose input is layer 3 and output layer 4; you say 5",
    ):
        read(path, Given(layer=5, hook="residual"))
    with pytest.raises(ValueError, match="the file says plm 'some-plm', you say 'another'"):
        read(path, Given(plm="another", layer=4, hook="residual"))
    write(
        tmp_path,
        DICTIONARIES["AutoEncoderTopK"][0],
        "ae.pt",
        trainer("AutoEncoderTopK", dict_size=25),
    )
    with pytest.raises(ValueError, match="says dict_size 25, the tensors say 24"):
        read(path, Given(layer=4, hook="residual"))
    write(tmp_path, DICTIONARIES["AutoEncoderTopK"][0], "ae.pt", trainer("CrossCoder"))
    with pytest.raises(
        ValueError, match="dictionary-learning: dict_class 'CrossCoder' is not one of AutoEncoder,"
    ):
        read(path, Given(layer=4, hook="residual"))


SPARSE = {name: value for name, value in linear().items() if name != "decoder.weight"} | {
    "W_dec": numbers(D_SAE, D_IN, seed=3),
    "b_dec": numbers(D_IN, seed=4),
}
SPARSE_CONFIG = {
    "activation": "topk",
    "expansion_factor": 3,
    "normalize_decoder": True,
    "num_latents": 0,
    "k": K,
    "multi_topk": False,
}
SPARSE_CONFIG |= {"skip_connection": False, "transcode": False, "d_in": D_IN}


def test_sparsify(tmp_path):
    where = Given(plm="some-plm", layer=4, hook="residual")
    path = write(tmp_path, SPARSE, "sae.safetensors", SPARSE_CONFIG, "cfg.json")
    assert_same(read(path, where), peers.sparsify(SPARSE, embeddings(), K))
    with pytest.raises(ValueError, match="does not say plm, layer, hook"):
        read(path)
    for change, text in (
        ({"transcode": True}, "a transcoder"),
        ({"skip_connection": True}, "a skip connection"),
        ({"signed": True}, "signed latents"),
        ({"activation": "groupmax"}, "activation 'groupmax' cannot be read"),
        ({"num_latents": 30}, "8 inputs and 30 features, the tensors say 8 and 24"),
    ):
        write(tmp_path, SPARSE, "sae.safetensors", SPARSE_CONFIG | change, "cfg.json")
        with pytest.raises(ValueError, match=text):
            read(path, where)


ESMC = {
    "W_enc": numbers(D_IN, D_SAE, seed=1),
    "W_dec": numbers(D_SAE, D_IN, seed=2),
    "b_dec": numbers(D_IN, seed=3),
}
ESMC |= {"idf": numbers(D_SAE, seed=4).abs(), "max": torch.ones(D_SAE)}
ESMC_CONFIG = {
    "model_type": "esmc_sae",
    "d_model": D_IN,
    "codebook_dim": D_SAE,
    "k": K,
    "available_layers": [12, 60],
}


def test_esmc(tmp_path):
    path = write(tmp_path, ESMC, "layer_60.safetensors", ESMC_CONFIG)
    write(tmp_path, ESMC | {"b_dec": numbers(D_IN, seed=30)}, "layer_12.safetensors")
    sae = read(path, Given(plm="ESMC-6B"))
    assert_same(sae, peers.esmc(ESMC, embeddings(), K))
    assert sae.about is not None and (sae.about.layer, sae.about.hook) == (60, "residual")
    assert read(tmp_path, Given(plm="ESMC-6B", layer=60)).weight_hash == sae.weight_hash
    with pytest.raises(ValueError, match="the file says layer 60, you say 12"):
        read(path, Given(plm="ESMC-6B", layer=12))
    with pytest.raises(ValueError, match=r"2 weights files, layer_12\.safetensors, layer_60"):
        read(tmp_path, Given(plm="ESMC-6B"))
    with pytest.raises(ValueError, match="does not say plm"):
        read(path)


def test_esmc_with_maxima_has_unit_max(tmp_path):
    maxima = numbers(D_SAE, seed=5).abs() + 0.3
    path = write(
        tmp_path,
        ESMC | {"max": maxima},
        "layer_60.safetensors",
        ESMC_CONFIG | {"available_layers": [60]},
    )
    sae = read(path, Given(plm="ESMC-6B"))
    plain = peers.esmc(ESMC, embeddings(), K)
    assert sae.unit == "max"
    assert_same(sae, Features(plain.f / maxima, plain.x_hat))


def test_esmc_refuses_what_its_config_contradicts(tmp_path):
    path = write(tmp_path, ESMC, "layer_60.safetensors", ESMC_CONFIG | {"available_layers": [12]})
    with pytest.raises(ValueError, match=r"config\.json lists the layers \[12\], not 60"):
        read(path, Given(plm="ESMC-6B"))
    write(tmp_path, ESMC, "layer_60.safetensors", ESMC_CONFIG | {"codebook_dim": 16384})
    with pytest.raises(ValueError, match="codebook_dim 16384, the tensors say 8 and 24"):
        read(path, Given(plm="ESMC-6B"))
    write(
        tmp_path,
        ESMC,
        "layer_60.safetensors",
        ESMC_CONFIG | {"use_residual_update_instead_of_states": True},
    )
    sae = read(path, Given(plm="ESMC-6B"))
    assert sae.about is not None and sae.about.hook == "residual-update"


@pytest.mark.parametrize("name", ["interprot", "reticular", "gated", "sparsify", "esmc"])
def test_nan_is_refused_with_its_row(tmp_path, name):
    tensors, tensor, config, config_name, given = {
        "interprot": (INTERPROT, "w_dec", None, "", Given(k=K)),
        "reticular": (MATRYOSHKA, "W_enc", None, "", Given(input_scale=1.0)),
        "gated": (GATED, "r_mag", trainer("GatedAutoEncoder"), "config.json", Given()),
        "sparsify": (SPARSE, "W_dec", SPARSE_CONFIG, "cfg.json", Given()),
        "esmc": (ESMC, "W_dec", ESMC_CONFIG, "config.json", Given(layer=60)),
    }[name]
    broken = tensors | {tensor: tensors[tensor].clone()}
    broken[tensor][4] = float("nan")
    with pytest.raises(ValueError, match=rf"{tensor} holds NaN or infinity in row 4"):
        read(write(tmp_path, broken, "w.safetensors", config, config_name), given)
