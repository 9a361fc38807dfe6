"""Folders that sae-lens, dictionary_learning and sparsify write themselves, in their own
environment, are read here and give the features that their authors' code computes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from interplm_nb.sae.architectures import (
    Architecture,
    BatchTopK,
    Gated,
    JumpReLU,
    Matryoshka,
    ReLU,
    TopK,
)
from interplm_nb.sae.importers import Given, read
from tests.peers.environment import NEEDS_PEERS, peers_python

pytestmark = NEEDS_PEERS

MADE = """
import json, sys
from pathlib import Path
import numpy as np, torch
from safetensors.torch import load_file, save_file

root = Path(sys.argv[1])
torch.manual_seed(0)
x = torch.randn(64, 320) + 0.3
np.save(root / "x.npy", x.numpy())

def randomised(sae):
    with torch.no_grad():
        for name, value in [*sae.named_parameters(), *sae.named_buffers()]:
            if name == "threshold" or name == "topk_threshold":
                value.fill_(0.5)
            elif value.is_floating_point():
                value.normal_(0, 0.1)
    return sae

import sae_lens
from sae_lens.saes.sae import SAEMetadata

def lens(folder, kind, hook, **more):
    config = getattr(sae_lens, kind + "Config")(
        d_in=320, d_sae=64, device="cpu",
        metadata=SAEMetadata(model_name="facebook/esm2_t6_8M_UR50D", hook_name=hook), **more)
    sae = randomised(getattr(sae_lens, kind)(config))
    sae.save_model(root / folder)
    with torch.no_grad():
        f = sae.encode(x.to(sae.W_enc.dtype))
    np.save(root / folder / "f.npy", f.float().numpy())
    return root / folder / "sae_weights.safetensors"

POST = "blocks.3.hook_resid_post"
weights = lens("sl-with-sparsity", "StandardSAE", POST)
save_file({"sparsity": torch.zeros(64)}, weights.with_name("sparsity.safetensors"))
for name, factor in (("ones", torch.ones(64)), ("other", torch.arange(64.0))):
    weights = lens(f"sl-scaling-{name}", "StandardSAE", POST)
    save_file(load_file(weights) | {"scaling_factor": factor}, weights)
lens("sl-module", "StandardSAE", "esm.encoder.layer.3", apply_b_dec_to_input=False)
lens("sl-module-last", "StandardSAE", "esm.encoder.layer.5")
lens("sl-topk", "TopKSAE", POST, k=8, rescale_acts_by_decoder_norm=True)
lens("sl-jumprelu", "JumpReLUSAE", POST, normalize_activations="layer_norm")
lens("sl-gated", "GatedSAE", POST, normalize_activations="constant_norm_rescale")

from dictionary_learning import dictionary
from dictionary_learning.trainers import batch_top_k, matryoshka_batch_top_k, top_k

def learned(folder, trainer, left_out=(), **more):
    made = trainer(steps=10, warmup_steps=0, activation_dim=320, dict_size=64, k=8, layer=3,
        lm_name="facebook/esm2_t6_8M_UR50D", device="cpu", submodule_name="resid_post_layer_3",
        **more)
    randomised(made.ae)
    state = {k: v for k, v in made.ae.state_dict().items() if k not in left_out}
    (root / folder).mkdir()
    torch.save(state, root / folder / "ae.pt")
    (root / folder / "config.json").write_text(json.dumps({"trainer": made.config}))
    with torch.no_grad():
        np.save(root / folder / "f.npy", made.ae.encode(x).numpy())

learned("dl-topk", top_k.TopKTrainer)
learned("dl-topk-2024", top_k.TopKTrainer, ("k", "threshold"))
learned("dl-batchtopk", batch_top_k.BatchTopKTrainer)
learned("dl-matryoshka", matryoshka_batch_top_k.MatryoshkaBatchTopKTrainer,
    group_fractions=[0.25, 0.75])

from sparsify import SparseCoder, SparseCoderConfig
coder = randomised(SparseCoder(320, SparseCoderConfig(num_latents=64, k=8), device="cpu"))
coder.save_to_disk(root / "sparsify")
with torch.no_grad():
    out = coder.encode(x)
    f = torch.zeros(64, 64).scatter_(1, out.top_indices.long(), out.top_acts)
np.save(root / "sparsify" / "f.npy", f.numpy())
"""
READ: dict[str, tuple[Architecture, str]] = {
    "sl-with-sparsity": (ReLU(), "residual"),
    "sl-scaling-ones": (ReLU(), "residual"),
    "sl-module": (ReLU(), "residual"),
    "sl-module-last": (ReLU(), "esm.encoder.layer.5"),
    "sl-topk": (TopK(8), "residual"),
    "sl-jumprelu": (JumpReLU(), "residual"),
    "sl-gated": (Gated(), "residual"),
    "dl-topk": (TopK(8), "residual"),
    "dl-topk-2024": (TopK(8), "residual"),
    "dl-batchtopk": (BatchTopK(8), "residual"),
    "dl-matryoshka": (Matryoshka(8, (16, 64)), "residual"),
    "sparsify": (TopK(8), "residual"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder per SAE, with f.npy, its features of x.npy by its authors' code."""
    folder = tmp_path_factory.mktemp("made")
    peers_python("-c", MADE, folder)
    return folder


@pytest.mark.parametrize("name", READ)
def test_their_folders_give_their_features(made, name):
    architecture, hook = READ[name]
    said = Given("esm2_t6_8M_UR50D", 4, "residual") if name == "sparsify" else Given()
    sae = read(made / name, said)
    assert sae.architecture == architecture and sae.about is not None
    where = (sae.about.plm, sae.about.layer, sae.about.hook)
    assert where == ("esm2_t6_8M_UR50D", 6 if name == "sl-module-last" else 4, hook)
    theirs = np.load(made / name / "f.npy")
    with torch.no_grad():
        ours = sae.encode(torch.from_numpy(np.load(made / "x.npy"))).numpy()
    assert (theirs > 0).any()
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-4)


def test_a_scaling_factor_other_than_ones_is_refused(made):
    with pytest.raises(ValueError, match="its scaling_factor multiplies features after they are"):
        read(made / "sl-scaling-other")
