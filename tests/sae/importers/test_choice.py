"""Which reader is asked, what the user must say, and that both must agree."""

import json
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from interplm_nb.sae import checkpoint
from interplm_nb.sae.importers import FORMATS, Given, read
from interplm_nb.sae.model import SAE
from tests.sae.importers import peers
from tests.sae.importers.peers import D_IN, D_SAE, K, embeddings, linear, matrices, numbers

HERE = Given(plm="some-plm", layer=4, hook="residual")


def save(tensors: dict[str, torch.Tensor], path: Path, config: dict | None = None) -> Path:
    torch.save(tensors, path)
    if config is not None:
        (path.parent / "config.json").write_text(json.dumps(config))
    return path


def test_what_the_file_does_not_say_is_asked_for_together(tmp_path):
    path = save(linear(bias=numbers(D_IN)), tmp_path / "ae.pt")
    with pytest.raises(
        ValueError,
        match=r"the file does not say plm, layer\. Give plm \(.*\); layer \(.*\)\. On the "
        r"command line: --plm \.\.\. --layer",
    ):
        read(path)
    with pytest.raises(ValueError, match="the file says hook 'residual', you say 'mlp'"):
        read(path, Given(plm="some-plm", layer=4, hook="mlp"))


def test_a_known_plm_of_another_width_or_depth_is_refused(tmp_path):
    path = save(linear(bias=numbers(D_IN)), tmp_path / "ae.pt")
    with pytest.raises(
        ValueError,
        match=rf"takes {D_IN} values per residue, esm2_t6_8M_UR50D has 320; {D_IN} fits none "
        rf"of the known PLMs",
    ):
        read(path, Given(plm="esm2_t6_8M_UR50D", layer=4))
    wide = {
        "bias": torch.zeros(320),
        "encoder.weight": torch.ones(2, 320),
        "encoder.bias": torch.zeros(2),
        "decoder.weight": torch.ones(320, 2),
    }
    save(wide, path)
    with pytest.raises(ValueError, match="esm2_t6_8M_UR50D has layers 0 to 6, not 7"):
        read(path, Given(plm="esm2_t6_8M_UR50D", layer=7))
    with pytest.raises(ValueError, match="320 fits esm2_t6_8M_UR50D"):
        read(path, Given(plm="esm2_t33_650M_UR50D", layer=6))
    assert read(path, Given(plm="esm2_t6_8M_UR50D", layer=6)).d_in == 320


def test_no_reader_fits(tmp_path):
    path = save(
        {"W": torch.ones(2, 3), "threshold": torch.ones(3)}, tmp_path / "ae.pt", {"name": "mine"}
    )
    with pytest.raises(ValueError, match="unknown format") as raised:
        read(path, HERE)
    text = str(raised.value)
    assert "Found: tensors W [2, 3], threshold [3]; config.json with name" in text
    for name in FORMATS:
        assert f"\n  {name}: " in text


@pytest.mark.parametrize(
    "config", [None, {"architecture": "standard"}, {"trainer": {"dict_class": "AutoEncoder"}}]
)
def test_the_same_four_tensors_go_by_the_config(tmp_path, config):
    path = save(linear(bias=numbers(D_IN)), tmp_path / "ae.pt", config)
    if config is None:
        assert read(path, HERE).about.origin["format"] == "interplm"
    elif "trainer" in config:
        assert read(path, HERE).about.origin["format"] == "dictionary-learning"
    else:
        with pytest.raises(ValueError, match="interplm: the JSON next to it is another format's"):
            read(path, HERE)


def test_the_name_of_the_file_decides_nothing(tmp_path):
    tensors = {
        "w_enc": numbers(D_IN, D_SAE),
        "w_dec": numbers(D_SAE, D_IN),
        "b_enc": numbers(D_SAE),
        "b_pre": numbers(D_IN),
    }
    sae = read(save(tensors, tmp_path / "ae_normalized.pt"), Given(plm="some-plm", layer=4, k=K))
    assert sae.about is not None and sae.about.origin["format"] == "interprot"


def test_five_groups_without_a_config_are_reticulars_or_what_the_user_says(tmp_path):
    tensors = matrices(
        k=torch.tensor(K), threshold=torch.tensor(0.4), group_sizes=torch.tensor([2, 3, 4, 5, 10])
    )
    path = save(tensors, tmp_path / "ae.pt")
    with pytest.raises(ValueError, match="the file does not say input_scale"):
        read(path, HERE)
    sae = read(path, Given(plm="some-plm", layer=4, hook="residual", format="dictionary-learning"))
    assert_close(
        sae.encode(embeddings()).detach(),
        peers.matryoshka(tensors, embeddings()).f,
        rtol=1e-5,
        atol=1e-5,
    )
    with pytest.raises(ValueError, match="unknown format 'theirs'; take one of interplm"):
        read(path, Given(format="theirs"))
    with pytest.raises(ValueError, match="sparsify: other tensors"):
        read(path, Given(format="sparsify"))


def test_what_a_format_does_not_take_is_refused(tmp_path):
    path = save(linear(bias=numbers(D_IN)), tmp_path / "ae.pt")
    with pytest.raises(
        ValueError, match="input_scale cannot be given for an SAE of format interplm"
    ):
        read(path, Given(plm="some-plm", layer=4, input_scale=2.0))
    with pytest.raises(
        ValueError, match="the file says architecture 'relu'; you say architecture 'relu', k 3"
    ):
        read(path, Given(plm="some-plm", layer=4, k=3))


def test_a_folder_with_one_weights_file_is_that_file(tmp_path):
    with pytest.raises(ValueError, match="this folder has no weights file"):
        read(tmp_path, HERE)
    save(linear(bias=numbers(D_IN)), tmp_path / "a.pt")
    assert read(tmp_path, HERE).d_sae == D_SAE
    save(linear(bias=numbers(D_IN)), tmp_path / "b.pt")
    with pytest.raises(ValueError, match=r"2 weights files, a\.pt, b\.pt; name one of them"):
        read(tmp_path, HERE)


def test_a_language_models_folder_is_no_sae(tmp_path):
    config = {"model_type": "esm", "num_hidden_layers": 6}
    save(linear(bias=numbers(D_IN)), tmp_path / "pytorch_model.bin", config)
    with pytest.raises(ValueError, match="is a language model of type 'esm', by its config"):
        read(tmp_path, HERE)


def test_an_imported_sae_is_saved_and_comes_back(tmp_path):
    path = save(linear(bias=numbers(D_IN)), tmp_path / "ae.pt")
    sae = read(path, HERE, plm_revision="sha256:1", repository="someone/something", revision="abc")
    assert sae.about is not None
    assert (
        sae.about.origin["repository"],
        sae.about.origin["revision"],
        sae.about.plm_revision,
    ) == ("someone/something", "abc", "sha256:1")
    checkpoint.save(sae, tmp_path / "mine", sae.about)
    found: SAE = checkpoint.load(tmp_path / "mine", plm="some-plm", layer=4)
    assert found.weight_hash == sae.weight_hash and found.about == sae.about
    with pytest.raises(ValueError, match="is an SAE of this package already"):
        read(tmp_path / "mine", HERE)
