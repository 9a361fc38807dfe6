"""InterPLM's published and later checkpoints give their own features, whatever kind they are of."""

import json
import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from interplm_nb.sae.architectures import BatchTopK, JumpReLU, ReLU, TopK
from interplm_nb.sae.importers import Given, read
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

HERE = Given(plm="some-plm", layer=4)
ONES = torch.ones(D_SAE)


def published() -> dict[str, Tensor]:
    return linear(bias=numbers(D_IN, seed=4))


def normalised(t: dict[str, Tensor], m: Tensor) -> dict[str, Tensor]:
    """As the first release made ae_normalized.pt: infinity becomes 0, NaN stays."""
    weight, bias = t["encoder.weight"] / m[:, None], t["encoder.bias"] / m
    weight[weight.isinf()], bias[bias.isinf()] = 0, 0
    return t | {
        "encoder.weight": weight,
        "encoder.bias": bias,
        "decoder.weight": t["decoder.weight"] * m,
    }


def later(
    t: dict[str, Tensor], factor: Tensor = ONES, normalize: bool = False
) -> dict[str, Tensor]:
    return t | {"activation_rescale_factor": factor, "normalize_to_sqrt_d": torch.tensor(normalize)}


def save(tensors: dict[str, Tensor], path: Path) -> Path:
    torch.save(tensors, path)
    return path


def assert_same(sae, wanted: Features, x: Tensor | None = None) -> None:
    with torch.no_grad():
        found = sae(embeddings() if x is None else x)
    assert_close(found.f, wanted.f, rtol=1e-5, atol=1e-5)
    assert_close(found.x_hat, wanted.x_hat, rtol=1e-5, atol=1e-5)


def test_unnormalised(tmp_path):
    sae = read(save(published(), tmp_path / "ae.pt"), HERE)
    assert_same(sae, peers.relu(published(), embeddings()))
    assert (sae.architecture, sae.unit, sae.training) == (ReLU(), "raw", False)
    assert sae.about is not None
    about = sae.about
    assert (about.plm, about.plm_revision, about.layer, about.hook, about.recipe) == (
        "some-plm",
        "",
        4,
        "residual",
        "imported",
    )
    assert (
        about.origin["format"] == "interplm"
        and about.origin["file"] == "ae.pt"
        and about.origin["sha256"].startswith("sha256:")
    )


def test_normalised_has_unit_max_and_dead_features_are_zero(tmp_path, caplog):
    m = numbers(D_SAE, seed=7).abs() + 0.1
    m[[3, 11]] = 0
    plain = published()
    plain["encoder.weight"][3, 2] = 0  # 0 / 0: NaN; the other 7 become infinity and then 0
    plain["encoder.weight"][11] = 0
    plain["encoder.bias"][11] = 0
    tensors = normalised(plain, m)
    assert tensors["encoder.weight"].isnan().any()
    with caplog.at_level(logging.WARNING):
        sae = read(save(tensors, tmp_path / "ae_normalized.pt"), HERE)
    assert "2 dead features had NaN" in caplog.text
    assert sae.unit == "max" and sae.maxima is not None
    assert_close(sae.maxima, m)
    clean = {name: value.nan_to_num(0) for name, value in tensors.items()}
    assert_same(sae, peers.relu(clean, embeddings()))
    alive = peers.relu(plain, embeddings()).f / m
    assert_close(sae.encode(embeddings())[:, m > 0].detach(), alive[:, m > 0], rtol=1e-5, atol=1e-5)


def test_nan_elsewhere_is_refused_with_its_row(tmp_path):
    for name, row in (("encoder.weight", 5), ("decoder.weight", 6), ("bias", 2)):
        tensors = published()
        tensors[name][row] = float("nan")
        with pytest.raises(ValueError, match=rf"{name} holds NaN or infinity in row {row}"):
            read(save(tensors, tmp_path / "ae.pt"), HERE)


def test_both_published_files_check_one_another(tmp_path):
    m = numbers(D_SAE, seed=7).abs() + 0.1
    m[4] = 0
    plain = published()
    save(plain, tmp_path / "ae_unnormalized.pt")
    save(normalised(plain, m), tmp_path / "ae_normalized.pt")
    (tmp_path / "config.json").write_text(
        json.dumps({"architecture": {"esm_dim": D_IN, "expansion_factor": 3, "feature_dim": D_SAE}})
    )
    for name in ("ae_normalized.pt", "ae_unnormalized.pt"):
        read(tmp_path / name, HERE)
    changed = dict(plain)
    changed["encoder.weight"] = plain["encoder.weight"].clone()
    changed["encoder.weight"][7, 1] += 0.1
    save(changed, tmp_path / "ae_unnormalized.pt")
    with pytest.raises(
        ValueError,
        match=r"ae_normalized\.pt and ae_unnormalized\.pt belong to different SAEs: "
        r"encoder\.weight differs",
    ):
        read(tmp_path / "ae_normalized.pt", HERE)


def test_the_published_config_must_fit(tmp_path):
    save(published(), tmp_path / "ae.pt")
    (tmp_path / "config.json").write_text(
        json.dumps({"architecture": {"esm_dim": 320, "feature_dim": D_SAE}})
    )
    with pytest.raises(ValueError, match=rf"config\.json says esm_dim 320, the tensors say {D_IN}"):
        read(tmp_path / "ae.pt", HERE)


TOPK = {"b_dec": numbers(D_IN, seed=4), "k": torch.tensor(K, dtype=torch.int)}
KINDS = {
    "relu": (linear(bias=numbers(D_IN, seed=4)), peers.relu, None, ReLU()),
    "topk": (linear(**TOPK, threshold=torch.tensor(0.7)), peers.interplm_topk, "topk", TopK(K)),
    "topk, threshold never set": (
        linear(**TOPK, threshold=torch.tensor(-1.0)),
        peers.interplm_topk,
        "topk",
        TopK(K),
    ),
    "batchtopk": (
        linear(**TOPK, threshold=torch.tensor(0.7)),
        peers.interplm_batchtopk,
        "batchtopk",
        BatchTopK(K),
    ),
    "jumprelu": (
        linear(**{"decoder.bias": numbers(D_IN, seed=4), "threshold": numbers(D_SAE, seed=5)}),
        peers.interplm_jumprelu,
        None,
        JumpReLU(),
    ),
    "jumprelu 1.0.0": (
        matrices(threshold=numbers(D_SAE, seed=5).abs()),
        peers.plain_jumprelu,
        None,
        JumpReLU(),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sqrt_d", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_later_kinds(tmp_path, kind, sqrt_d, scaled):
    tensors, equation, architecture, wanted = KINDS[kind]
    factor = numbers(D_SAE, seed=8).abs() + 0.2 if scaled else ONES
    sae = read(
        save(later(tensors, factor, sqrt_d), tmp_path / "ae.pt"),
        Given(plm="some-plm", layer=4, architecture=architecture),
    )
    x = embeddings()
    theirs = peers.sqrt_d(equation, tensors, x) if sqrt_d else equation(tensors, x)
    assert sae.architecture == wanted
    assert sae.unit == ("max" if scaled else "raw")
    assert_same(sae, Features(theirs.f / factor, theirs.x_hat))


def test_a_dead_feature_of_a_later_file_is_zero_not_nan(tmp_path):
    tensors, equation, architecture, _ = KINDS["topk"]
    factor = torch.ones(D_SAE)
    factor[2] = 0
    sae = read(
        save(later(tensors, factor), tmp_path / "ae.pt"),
        Given(plm="some-plm", layer=4, architecture=architecture),
    )
    wanted = equation(tensors, embeddings()).f
    wanted[:, 2] = 0
    assert_close(sae.encode(embeddings()).detach(), wanted, rtol=1e-5, atol=1e-5)


def test_a_residue_of_zeros_is_no_nan(tmp_path):
    tensors, _, architecture, _ = KINDS["relu"]
    sae = read(
        save(later(tensors, normalize=True), tmp_path / "ae.pt"),
        Given(plm="some-plm", layer=4, architecture=architecture),
    )
    assert sae(torch.zeros(2, D_IN)).x_hat.isfinite().all()


def test_topk_and_batchtopk_have_one_set_of_tensors_so_the_user_says_which(tmp_path):
    path = save(later(KINDS["topk"][0]), tmp_path / "ae.pt")
    with pytest.raises(
        ValueError,
        match=r"the file does not say architecture\. Give architecture \(such as topk or "
        r"batchtopk.*--architecture",
    ):
        read(path, HERE)
    with pytest.raises(ValueError, match="tensors fit topk and batchtopk, not 'gated'"):
        read(path, Given(plm="some-plm", layer=4, architecture="gated"))
    with pytest.raises(ValueError, match="the file says k 5, you say 6"):
        read(path, Given(plm="some-plm", layer=4, architecture="topk", k=6))
    with pytest.raises(ValueError, match="an SAE of architecture 'topk' has no threshold to give"):
        read(path, Given(plm="some-plm", layer=4, architecture="topk", threshold=0.7))


def test_a_threshold_that_was_never_set_is_asked_for(tmp_path):
    path = save(later(linear(**TOPK, threshold=torch.tensor(-1.0))), tmp_path / "ae.pt")
    with pytest.raises(
        ValueError, match=r"its threshold is -1\.0, never set in training.*--threshold"
    ):
        read(path, Given(plm="some-plm", layer=4, architecture="batchtopk"))
    sae = read(path, Given(plm="some-plm", layer=4, architecture="batchtopk", threshold=0.5))
    assert_same(
        sae, peers.interplm_batchtopk(linear(**TOPK, threshold=torch.tensor(0.5)), embeddings())
    )
    save(later(KINDS["batchtopk"][0]), path)
    with pytest.raises(ValueError, match=r"the file says threshold 0\.69.*you say 0\.5"):
        read(path, Given(plm="some-plm", layer=4, architecture="batchtopk", threshold=0.5))


def test_a_tied_sae_does_not_centre(tmp_path):
    tensors = linear(**{"decoder.bias": numbers(D_IN, seed=4)})
    sae = read(save(later(tensors), tmp_path / "ae.pt"), HERE)
    f = (embeddings() @ tensors["encoder.weight"].T + tensors["encoder.bias"]).relu()
    assert_same(sae, peers.decoded(tensors, f))


def test_shapes_must_fit(tmp_path):
    tensors = published() | {"decoder.weight": numbers(D_IN, D_SAE + 1)}
    with pytest.raises(
        ValueError,
        match=rf"decoder\.weight has shape \({D_IN}, {D_SAE + 1}\), wanted \({D_IN}, {D_SAE}\)",
    ):
        read(save(tensors, tmp_path / "ae.pt"), HERE)
