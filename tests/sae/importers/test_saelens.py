"""SAELens' architectures, normalisations and older files give their own features; what has no equal
here is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.testing import assert_close

from interplm_nb.sae import hub
from interplm_nb.sae.architectures import BatchTopK, Gated, JumpReLU, Matryoshka, ReLU, TopK
from interplm_nb.sae.importers import Given, read
from tests.sae.importers import peers
from tests.sae.importers.peers import D_IN, D_SAE, K, embeddings, matrices, numbers

GATED = {name: value for name, value in matrices().items() if name != "b_enc"}
GATED |= {name: numbers(D_SAE, seed=i) for i, name in enumerate(("b_gate", "b_mag", "r_mag"), 5)}
TRAINED = matrices(topk_threshold=torch.tensor(0.6, dtype=torch.double))
KINDS: dict[str, tuple[dict[str, Tensor], dict[str, Any], Any]] = {
    "standard": (matrices(), {}, ReLU()),
    "topk": (matrices(), {"k": K, "rescale_acts_by_decoder_norm": False}, TopK(K)),
    "topk, by norm": (matrices(), {"k": K, "rescale_acts_by_decoder_norm": True}, TopK(K)),
    "jumprelu": (matrices(threshold=numbers(D_SAE, seed=5)), {}, JumpReLU()),
    "batchtopk": (TRAINED, {"k": float(K), "rescale_acts_by_decoder_norm": True}, BatchTopK(K)),
    "matryoshka_batchtopk": (
        TRAINED,
        {"k": float(K), "matryoshka_widths": [6, 12], "rescale_acts_by_decoder_norm": True},
        Matryoshka(K, (6, 12, 24)),
    ),
    "gated": (GATED, {}, Gated()),
}


def settings(kind: str, **more: Any) -> dict[str, Any]:
    config = {
        "architecture": kind.split(",")[0],
        "d_in": D_IN,
        "d_sae": D_SAE,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
    }
    config |= {"normalize_activations": "none", "reshape_activations": "none"}
    metadata = {
        "sae_lens_version": "6.54.12",
        "model_name": "facebook/some-plm",
        "hook_name": "blocks.3.hook_resid_post",
    }
    return {**config, "metadata": metadata, **KINDS[kind][1], **more}


def write(folder: Path, tensors: dict[str, Tensor], config: dict[str, Any]) -> Path:
    save_file(tensors, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize(
    "normalize", ["none", "layer_norm", "constant_norm_rescale", "expected_average_only_in"]
)
def test_each_architecture(tmp_path, kind, centred, normalize):
    tensors, _, architecture = KINDS[kind]
    config = settings(kind, apply_b_dec_to_input=centred, normalize_activations=normalize)
    factor = 0.5 if normalize == "expected_average_only_in" else None
    sae = read(write(tmp_path, tensors, config), Given(input_scale=factor))
    wanted = peers.saelens(tensors, embeddings(), {**config, "factor": factor or 1.0})
    with torch.no_grad():
        found = sae(embeddings())
    assert_close(found.f, wanted.f.float(), rtol=1e-5, atol=2e-5)
    assert_close(found.x_hat, wanted.x_hat.float(), rtol=1e-5, atol=5e-5)
    assert sae.architecture == architecture
    assert sae.about is not None and (sae.about.plm, sae.about.layer, sae.about.hook) == (
        "some-plm",
        4,
        "residual",
    )


def test_hooks(tmp_path):
    def layer_and_hook(name: str | None, given: Given) -> tuple[int, str]:
        config = settings("standard")
        config["metadata"]["hook_name"] = name
        about = read(write(tmp_path, matrices(), config), given).about
        assert about is not None
        return about.layer, about.hook

    assert layer_and_hook("blocks.3.hook_resid_pre", Given()) == (3, "residual")
    assert layer_and_hook("blocks.3.hook_mlp_out", Given(layer=4)) == (4, "blocks.3.hook_mlp_out")
    with pytest.raises(ValueError, match="does not say layer"):
        layer_and_hook("blocks.3.hook_mlp_out", Given())
    with pytest.raises(ValueError, match="does not say layer, hook"):
        layer_and_hook(None, Given())


@pytest.mark.parametrize("normalize", [False, None, True])
def test_files_before_version_6(tmp_path, normalize):
    old = {
        "d_in": D_IN,
        "d_sae": D_SAE,
        "model_name": "some-plm",
        "hook_point": "blocks.0.hook_resid_pre",
        "activation_fn_str": "topk",
    }
    old |= {"activation_fn_kwargs": {"k": K}, "normalize_activations": normalize}
    sae = read(write(tmp_path, matrices(), old), Given(input_scale=2.0 if normalize else None))
    wanted = settings("topk", factor=2.0 if normalize else 1.0, normalize_activations="none")
    assert_close(
        sae.encode(embeddings()).detach(),
        peers.saelens(matrices(), embeddings(), wanted).f,
        rtol=1e-5,
        atol=1e-5,
    )
    assert sae.about is not None and (sae.about.layer, sae.about.plm) == (0, "some-plm")
    write(tmp_path, matrices(), old | {"hook_point": "blocks.0.attn.hook_z"})
    with pytest.raises(ValueError, match="reshape_activations 'hook_z', which this package lacks"):
        read(tmp_path, Given(layer=0))
    write(tmp_path, matrices(), old | {"activation_fn_str": "tanh-relu"})
    with pytest.raises(ValueError, match="activation_fn 'tanh-relu', which this package lacks"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"normalize_activations": "covariance_whitening"},
            "normalize_activations 'covariance_whitening', which this package lacks",
        ),
        ({"reshape_activations": "hook_z"}, "reshape_activations 'hook_z'"),
        ({"finetuning_scaling_factor": True}, "finetuning_scaling_factor True"),
        ({"activation_fn": "tanh-relu"}, "activation_fn 'tanh-relu', which this package lacks"),
        ({"activation_fn": "topk"}, "activation_fn 'topk', which this package lacks"),
        ({"apply_b_dec_to_input": "false"}, "apply_b_dec_to_input 'false', wanted true or false"),
        (
            {"metadata": {"sae_lens_version": "6.0.0", "hook_head_index": 3}},
            "hook_head_index 3, which this package lacks",
        ),
        (
            {"architecture": "transcoder"},
            "saelens: architecture 'transcoder' is not one of standard",
        ),
        (
            {"architecture": "jumprelu"},
            r"saelens: not the weights of jumprelu \(W_dec, W_enc, b_dec, b_enc, threshold\)",
        ),
        ({"d_sae": 25}, "says d_in 8 and d_sae 25, the tensors say 8 and 24"),
        ({"normalize_activations": "expected_average_only_in"}, "does not say input_scale"),
    ],
)
def test_what_is_refused(tmp_path, change, text):
    with pytest.raises(ValueError, match=text):
        read(write(tmp_path, matrices(), settings("standard", **change)))


def test_a_plm_by_its_name_on_the_hub_is_the_same_plm(tmp_path):
    write(tmp_path, matrices(), settings("standard"))
    about = read(tmp_path, Given(plm="facebook/some-plm")).about
    assert about is not None and about.plm == "some-plm"
    with pytest.raises(ValueError, match="the file says plm 'some-plm', you say 'me/some-plm'"):
        read(tmp_path, Given(plm="me/some-plm"))


def test_what_lies_beside_the_weights_is_not_read(tmp_path):
    write(tmp_path, matrices(), settings("standard"))
    alone = read(tmp_path).weight_hash
    save_file({"sparsity": torch.zeros(D_SAE)}, tmp_path / "sparsity.safetensors")
    save_file({"n": torch.zeros(1)}, tmp_path / "activations_store_state.safetensors")
    torch.save({"n": 1}, tmp_path / "trainer_state.pt")
    assert read(tmp_path).weight_hash == alone
    with pytest.raises(ValueError, match=r"sparsity\.safetensors: unknown format"):
        read(tmp_path / "sparsity.safetensors")
    names = ["a/sparsity.safetensors", "a/cfg.json", "a/sae_weights.safetensors"]
    assert hub._wanted("someone/something", names, None) == [names[2], names[1]]


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize("kind", ["standard", "topk", "jumprelu", "gated"])
def test_a_scaling_factor(tmp_path, kind, flag):
    """Of ones, as older versions wrote it whatever the flag says, it is as if it were not there."""
    tensors = KINDS[kind][0]
    alone = read(write(tmp_path, tensors, settings(kind))).weight_hash
    config = settings(kind, finetuning_scaling_factor=flag)
    sae = read(write(tmp_path, tensors | {"scaling_factor": torch.ones(D_SAE)}, config))
    assert sae.weight_hash == alone
    other = torch.ones(D_SAE)
    other[3] = 1.5
    with pytest.raises(ValueError, match="its scaling_factor multiplies features after they are"):
        read(write(tmp_path, tensors | {"scaling_factor": other}, config))
    with pytest.raises(ValueError, match=r"scaling_factor has shape \(2,\), wanted \(24,\)"):
        read(write(tmp_path, tensors | {"scaling_factor": torch.ones(2)}, config))


def test_a_hook_named_after_a_module(tmp_path):
    def about(name: str, **said: Any) -> tuple[int, str]:
        config = settings("standard")
        config["metadata"]["hook_name"] = name
        found = read(write(tmp_path, matrices(), config), Given(**said)).about
        assert found is not None
        return found.layer, found.hook

    assert about("esm.encoder.layer.3") == about("esm.encoder.layer.3", layer=4) == (4, "residual")
    with pytest.raises(ValueError, match="output of block 4, counted from 0, which is layer 5"):
        about("esm.encoder.layer.4", layer=4)


def test_the_last_blocks_output_cannot_encode_the_last_layer(tmp_path):
    """ESM-2's last layer is after its final layer norm, the block's output before it."""
    wide = {
        "W_enc": numbers(320, 2),
        "b_enc": numbers(2),
        "W_dec": numbers(2, 320),
        "b_dec": numbers(320),
    }
    config = settings("standard", d_in=320, d_sae=2)
    config["metadata"] |= {
        "model_name": "facebook/esm2_t6_8M_UR50D",
        "hook_name": "esm.encoder.layer.5",
    }
    sae = read(write(tmp_path, wide, config))
    assert sae.about is not None
    assert (sae.about.layer, sae.about.hook) == (6, "esm.encoder.layer.5")
    with pytest.raises(ValueError, match=r"trained on hook 'esm\.encoder\.layer\.5' of layer 6"):
        sae.check_place(320, "esm2_t6_8M_UR50D")
    config["metadata"]["hook_name"] = "esm.encoder.layer.6"
    with pytest.raises(ValueError, match="esm2_t6_8M_UR50D has layers 0 to 6, not 7"):
        read(write(tmp_path, wide, config))


def test_topk_before_version_6_has_its_k_or_asks_for_it(tmp_path):
    old = {"d_in": D_IN, "d_sae": D_SAE, "model_name": "p", "hook_name": "blocks.0.hook_resid_pre"}
    write(tmp_path, matrices(), old | {"architecture": "topk", "k": K})
    assert read(tmp_path).architecture == TopK(K)
    write(tmp_path, matrices(), old | {"activation_fn": "topk", "activation_fn_kwargs": {}})
    with pytest.raises(ValueError, match="does not say k"):
        read(tmp_path)
    assert read(tmp_path, Given(k=K)).architecture == TopK(K)
    strange = {"activation_fn": "topk", "activation_fn_kwargs": {"k": K, "postact_fn": "tanh"}}
    write(tmp_path, matrices(), old | strange)
    with pytest.raises(ValueError, match=r"activation_fn_kwargs \{'postact_fn': 'tanh'\}, which"):
        read(tmp_path)


def test_more_that_is_refused(tmp_path):
    write(tmp_path, matrices(), settings("topk", k=2.5))
    with pytest.raises(ValueError, match=r"k must be a whole number; cfg\.json says 2\.5"):
        read(tmp_path)
    write(tmp_path, matrices(), settings("topk"))
    with pytest.raises(ValueError, match=r"its input is not scaled; leave input_scale out"):
        read(tmp_path, Given(input_scale=2.0))
    dead = matrices()
    dead["W_dec"][3] = 0
    write(tmp_path, dead, settings("topk, by norm"))
    with pytest.raises(ValueError, match="atoms' norms holds NaN or infinity in row 3"):
        read(tmp_path)
    broken = matrices()
    broken["W_enc"][2] = float("inf")
    write(tmp_path, broken, settings("standard"))
    with pytest.raises(ValueError, match="W_enc holds NaN or infinity in row 2"):
        read(tmp_path)
