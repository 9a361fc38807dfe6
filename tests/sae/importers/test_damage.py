"""Whatever a file's JSON or tensors hold, a reader gives an SAE or a ValueError that names the
file; nothing else escapes it."""

import json
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from interplm_nb.sae.importers import Given, read
from tests.sae.importers.peers import linear, matrices
from tests.sae.importers.test_formats import (
    DICTIONARIES,
    ESMC,
    ESMC_CONFIG,
    INTERPROT,
    MATRYOSHKA,
    SPARSE,
    SPARSE_CONFIG,
    trainer,
)
from tests.sae.importers.test_interplm import TOPK, later, published
from tests.sae.importers.test_saelens import settings as saelens_settings

FILES: dict[str, tuple[dict[str, Tensor], str, dict[str, Any]]] = {
    "interplm": (published(), "config.json", {"architecture": {"esm_dim": 8, "feature_dim": 24}}),
    "interplm, later": (later(linear(**TOPK, threshold=torch.tensor(0.7))), "config.json", {}),
    "interprot": (INTERPROT, "config.json", {}),
    "reticular": (MATRYOSHKA, "", {}),
    "saelens": (matrices(), "cfg.json", saelens_settings("topk")),
    "saelens, ours": (
        matrices(threshold=torch.ones(24)),
        "cfg.json",
        saelens_settings("jumprelu")
        | {
            "metadata": {
                "sae_lens_version": "6.0",
                "interplm_nb": {"plm": "p", "layer": 1, "hook": "residual", "architecture": {}},
            }
        },
    ),
    "dictionary-learning": (
        DICTIONARIES["AutoEncoderTopK"][0],
        "config.json",
        trainer("AutoEncoderTopK"),
    ),
    "esmc": (ESMC, "config.json", ESMC_CONFIG),
    "sparsify": (SPARSE, "cfg.json", SPARSE_CONFIG),
}
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70),
    st.floats(-3, 3),
    st.text(max_size=3),
    st.lists(st.integers(-1, 30), max_size=3),
    st.just({}),
    st.dictionaries(
        st.sampled_from(["name", "k", "esm_dim", "dict_class"]), st.integers(0, 30), max_size=2
    ),
)
SHAPES = st.lists(st.integers(0, 25), max_size=3)


@st.composite
def damaged(draw) -> tuple[dict[str, Tensor], str, dict[str, Any]]:
    """A file of some format with a value of its JSON or a tensor changed."""
    tensors, name, config = FILES[draw(st.sampled_from(sorted(FILES)))]
    tensors, config = dict(tensors), json.loads(json.dumps(config))
    for _ in range(draw(st.integers(1, 2))):
        inner = draw(
            st.sampled_from(
                [config, *(value for value in config.values() if isinstance(value, dict))]
            )
        )
        if inner and draw(st.booleans()):
            inner[draw(st.sampled_from(sorted(inner)))] = draw(ANYTHING)
        else:
            tensors[draw(st.sampled_from(sorted(tensors)))] = torch.zeros(draw(SHAPES))
    return tensors, name, config


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    file=damaged(),
    said=st.sampled_from(
        [Given("p", 4, "residual"), Given("p", 4, "residual", architecture="topk", k=3), Given()]
    ),
)
def test_an_sae_or_a_value_error(tmp_path, file, said):
    tensors, name, config = file
    for old in tmp_path.iterdir():
        old.unlink()
    torch.save(tensors, tmp_path / "layer_60.pt")
    if name:
        (tmp_path / name).write_text(json.dumps(config))
    try:
        sae = read(tmp_path / "layer_60.pt", said)
    except ValueError as error:
        assert "layer_60.pt" in str(error)
    else:
        assert (
            all(value.isfinite().all() for value in sae.weights().values())
            and sae.about is not None
        )


def test_an_input_scale_of_nothing_is_refused(tmp_path):
    torch.save(MATRYOSHKA, tmp_path / "m.ckpt")
    for scale in (0.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="a finite number other than 0; got"):
            read(tmp_path / "m.ckpt", Given("p", 4, "residual", input_scale=scale))


@pytest.mark.parametrize("name", ["config.json", "cfg.json"])
def test_brackets_without_end_in_the_json(tmp_path, name):
    torch.save(MATRYOSHKA, tmp_path / "m.ckpt")
    (tmp_path / name).write_text("[" * 100_000)
    with pytest.raises(ValueError, match=rf"{name}: not JSON"):
        read(tmp_path / "m.ckpt", Given("p", 4, "residual", input_scale=1.0))


def test_weights_that_become_infinite_by_scaling_are_refused(tmp_path):
    torch.save(ESMC | {"max": torch.full((24,), 1e-45)}, tmp_path / "layer_60.pt")
    (tmp_path / "config.json").write_text(json.dumps(ESMC_CONFIG))
    with pytest.raises(ValueError, match=r"layer_60\.pt: W_enc holds NaN or infinity in row 0"):
        read(tmp_path / "layer_60.pt", Given("p", 60, "residual"))


@pytest.mark.parametrize("version", ["²", "6²", "None"])
def test_a_version_that_is_no_number(tmp_path, version):
    torch.save(matrices(), tmp_path / "w.pt")
    settings = saelens_settings("topk")
    settings["metadata"]["sae_lens_version"] = version
    (tmp_path / "cfg.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=r"w\.pt"):
        read(tmp_path / "w.pt")
