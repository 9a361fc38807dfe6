"""Blocks count from 0: what a hook's name says of layer and hook, and what a user must not say."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.sae.importers.given import Given
from interplm_nb.sae.importers.hooks import placed

HERE = Path("sae_weights.safetensors")
ESM2_8M = "esm2_t6_8M_UR50D"
OUTPUTS = (
    "blocks.{}.hook_resid_post",
    "esm.encoder.layer.{}",
    "encoder.layer.{}",
    "layers.{}",
    "model.layers.{}",
    "transformer.h.{}",
    "resid_post_layer_{}",
)
INPUTS = ("blocks.{}.hook_resid_pre", "resid_pre_layer_{}")


@given(st.sampled_from(OUTPUTS), st.integers(0, 4))
def test_an_output_of_a_block_is_the_layer_after_it(name, block):
    for said in (Given(), Given(layer=block + 1), Given(layer=block + 1, hook="residual")):
        assert placed(HERE, name.format(block), ESM2_8M, said) == {
            "layer": block + 1,
            "hook": "residual",
        }
    with pytest.raises(
        ValueError,
        match=rf"is the output of block {block}, counted from 0, which is layer {block + 1}; "
        rf"you say layer {block}; leave layer out",
    ):
        placed(HERE, name.format(block), ESM2_8M, Given(layer=block))


@given(st.sampled_from(INPUTS), st.integers(0, 5))
def test_an_input_of_a_block_is_the_layer_before_it(name, block):
    wanted = {"layer": block, "hook": "residual"}
    assert placed(HERE, name.format(block), ESM2_8M, Given()) == wanted
    with pytest.raises(ValueError, match=rf"is the input of block {block}, .* is layer {block}"):
        placed(HERE, name.format(block), ESM2_8M, Given(layer=block + 1))


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize(("plm", "last"), [(ESM2_8M, 5), ("esm2-mini", 3)])
def test_the_output_of_the_last_block_is_not_the_last_layer(name, plm, last):
    name = name.format(last)
    assert placed(HERE, name, plm, Given()) == {"layer": last + 1, "hook": name}
    assert placed(HERE, name, None, Given(plm=plm)) == {"layer": last + 1, "hook": name}
    with pytest.raises(
        ValueError, match=rf"output of the last block of {plm}, before the final layer norm"
    ):
        placed(HERE, name, plm, Given(layer=last + 1, hook="residual"))


@pytest.mark.parametrize(
    "name", ["blocks.3.hook_mlp_out", "esm.encoder.layer.3.attention", "layers.4.residual", "mlp"]
)
def test_other_hooks_keep_their_names(name):
    assert placed(HERE, name, ESM2_8M, Given(layer=4)) == {"layer": None, "hook": name}


@pytest.mark.parametrize("name", [None, "", 3, ["layers.3"]])
def test_what_is_no_name_says_nothing(name):
    assert placed(HERE, name, ESM2_8M, Given()) == {"layer": None, "hook": None}


def test_an_unknown_depth_is_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        assert placed(HERE, "layers.3", "some-plm", Given())["layer"] == 4
        assert "representation after layer 4 of some-plm, whose number of blocks" in caplog.text
        caplog.clear()
        placed(HERE, "layers.3", "some-plm", Given(hook="residual"))
        placed(HERE, "blocks.3.hook_resid_pre", "some-plm", Given())
    assert not caplog.text
