"""Weights from files: the official .pt format, safetensors, and everything that is not ESM-2."""

import argparse
import json
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.testing import assert_close

from interplm_nb.plm import checkpoints, esm2
from interplm_nb.plm.checkpoints import Architecture
from tests.plm.toy_esm2 import SMALL, random_weights


def settings_of(architecture=SMALL) -> argparse.Namespace:
    a = architecture
    return argparse.Namespace(
        arch="roberta_large",
        encoder_layers=a.n_layers,
        encoder_embed_dim=a.d_model,
        encoder_attention_heads=a.n_heads,
        token_dropout=a.token_dropout,
    )


def official_state(weights=None) -> dict[str, torch.Tensor]:
    """As in the published files: prefixes, the tied head written out, rotary tables."""
    weights = weights or random_weights()
    state = {
        ("encoder." if k.startswith("lm_head") else "encoder.sentence_encoder.") + k: v
        for k, v in weights.items()
    }
    state["encoder.lm_head.weight"] = weights["embed_tokens.weight"]
    for i in range(SMALL.n_layers):
        state[f"encoder.sentence_encoder.layers.{i}.self_attn.rot_emb.inv_freq"] = torch.ones(4)
    return state


def write_official(path, state=None, **about) -> None:
    torch.save({"cfg": {"model": settings_of()}, "model": state or official_state(), **about}, path)


def assert_holds(path, weights) -> None:
    plm = esm2.load(path, "cpu")
    assert plm.architecture == SMALL
    for name, value in plm.weights().items():
        assert_close(value, weights[name], rtol=0, atol=0)


def test_the_official_format(tmp_path):
    write_official(tmp_path / "esm2_toy.pt")
    assert_holds(tmp_path / "esm2_toy.pt", random_weights())
    assert esm2.load(tmp_path / "esm2_toy.pt", "cpu").name == "esm2_toy"


def test_settings_under_args_and_the_older_file_format(tmp_path):
    torch.save(
        {"args": settings_of(), "model": official_state()},
        tmp_path / "old.pt",
        _use_new_zipfile_serialization=False,
    )
    assert_holds(tmp_path / "old.pt", random_weights())


def test_contact_regression_in_the_file_is_no_part_of_the_revision(tmp_path):
    head = {
        "contact_head.regression.weight": torch.ones(1, 9),
        "contact_head.regression.bias": torch.ones(1),
    }
    write_official(tmp_path / "with.pt", official_state() | head)
    write_official(tmp_path / "without.pt")
    assert (
        checkpoints.read(tmp_path / "with.pt").revision
        == checkpoints.read(tmp_path / "without.pt").revision
    )


def test_fair_esm_reads_the_same_file(tmp_path, monkeypatch):
    from esm import pretrained

    write_official(tmp_path / "esm2_toy.pt")
    head = {
        "contact_head.regression.weight": torch.ones(1, 9),
        "contact_head.regression.bias": torch.ones(1),
    }
    with torch.serialization.safe_globals([argparse.Namespace]):
        data = torch.load(tmp_path / "esm2_toy.pt", weights_only=True)
    theirs, _ = pretrained.load_model_and_alphabet_core(
        "esm2_toy", {**data, "model": official_state()}, {"model": head}
    )
    for name, value in esm2.load(tmp_path / "esm2_toy.pt", "cpu").weights().items():
        assert_close(value, theirs.state_dict()[name], rtol=0, atol=0)


@pytest.mark.parametrize("where", ["folder", "file", "metadata"])
def test_safetensors(tmp_path, where):
    weights, path = random_weights(), tmp_path / "model.safetensors"
    if where == "metadata":
        architecture = {
            "num_layers": SMALL.n_layers,
            "embed_dim": SMALL.d_model,
            "attention_heads": SMALL.n_heads,
        }
        save_file(weights, path, {"architecture": json.dumps(architecture)})
    else:
        checkpoints.write_safetensors(weights, SMALL, "toy", tmp_path, torch.float32)
    assert_holds(tmp_path if where == "folder" else path, weights)
    assert esm2.load(path, "cpu").name == ("model" if where == "metadata" else "toy")


def test_the_revision_is_the_values_whatever_the_format(tmp_path):
    weights = {k: v.half() for k, v in random_weights().items()}
    checkpoints.write_safetensors(weights, SMALL, "a", tmp_path, torch.float16)
    write_official(tmp_path / "b.pt", official_state(weights))
    revisions = {checkpoints.read(p).revision for p in (tmp_path, tmp_path / "b.pt")} | {
        checkpoints.revision_of({k: v.float() for k, v in weights.items()})
    }
    assert len(revisions) == 1
    weights["layers.0.fc1.bias"][0] += 1
    assert checkpoints.revision_of(weights) not in revisions


def changed(**new) -> dict[str, torch.Tensor]:
    state = official_state()
    for name, value in new.items():
        name = "encoder.sentence_encoder." + name
        state[name] = value(state[name]) if callable(value) else value
        if value is None:
            del state[name]
    return state


NAN = lambda v: torch.full_like(v, torch.nan)  # noqa: E731


@pytest.mark.parametrize(
    ("state", "match"),
    [
        (changed(**{"layers.1.fc1.weight": NAN}), r"layers\.1\.fc1\.weight holds NaN or infinity"),
        (
            changed(**{"layers.1.fc1.weight": lambda v: v[:5]}),
            r"layers\.1\.fc1\.weight has shape \(5, 24\), wanted \(96, 24\)",
        ),
        (
            changed(**{"layers.1.fc1.weight": None}),
            r"3 layers: 1 missing, such as 'layers\.1\.fc1\.weight'",
        ),
        (
            changed(**{"layers.3.fc1.weight": torch.ones(2)}),
            r"1 unexpected, such as 'layers\.3\.fc1\.weight'",
        ),
        (
            changed(**{"layers.1.fc1.bias": lambda v: v.int()}),
            "not a floating-point tensor",
        ),
        (
            changed(**{"embed_tokens.weight": lambda v: v + 1}),
            "lm_head.weight differs from embed_tokens.weight",
        ),
        ({"bert.embeddings": torch.ones(2)}, "these are not the parameters of ESM-2"),
    ],
    ids=["NaN", "shape", "missing", "strange", "integers", "untied", "another model"],
)
def test_what_is_not_esm2_is_refused_by_name(tmp_path, state, match):
    write_official(tmp_path / "bad.pt", state)
    with pytest.raises(ValueError, match=rf"bad\.pt: .*{match}"):
        esm2.load(tmp_path / "bad.pt")


class Trap:
    def __reduce__(self):
        return (open, ("trapped", "w"))


def test_nothing_but_tensors_and_a_namespace_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_official(tmp_path / "trap.pt", extra=Trap())
    with pytest.raises(ValueError, match=r"trap\.pt: not a checkpoint that can be read safely"):
        esm2.load(tmp_path / "trap.pt")
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 cut", b"hello", pickle.dumps({"a": 1}, protocol=2)],
    ids=["empty", "zip", "text", "pickle"],
)
def test_a_damaged_pt(tmp_path, content):
    (tmp_path / "bad.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.pt: "):
        esm2.load(tmp_path / "bad.pt")


def test_a_cut_pt(tmp_path):
    write_official(tmp_path / "bad.pt")
    (tmp_path / "bad.pt").write_bytes((tmp_path / "bad.pt").read_bytes()[:-5000])
    with pytest.raises(ValueError, match=r"bad\.pt: not a checkpoint that can be read safely"):
        esm2.load(tmp_path / "bad.pt")


def test_settings_that_are_not_there(tmp_path):
    torch.save(official_state(), tmp_path / "bare.pt")
    with pytest.raises(ValueError, match="wanted a dictionary with 'model' and 'cfg'"):
        esm2.load(tmp_path / "bare.pt")
    torch.save({"model": official_state()}, tmp_path / "bare.pt")
    with pytest.raises(ValueError, match="wanted the model's settings under 'cfg'"):
        esm2.load(tmp_path / "bare.pt")
    torch.save(
        {"model": official_state(), "cfg": {"model": argparse.Namespace(encoder_layers=3)}},
        tmp_path / "bare.pt",
    )
    with pytest.raises(ValueError, match="lack d_model, n_heads"):
        esm2.load(tmp_path / "bare.pt")


def test_damaged_safetensors(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"not")
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        esm2.load(tmp_path)
    save_file(random_weights(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json: not JSON"):
        esm2.load(tmp_path)


def test_names_and_paths_that_are_not_there(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match="'esm2_t7' is neither a file nor a model's name; names are esm2-mini, esm2_t6_8M",
    ):
        esm2.load("esm2_t7")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: no such file"):
        esm2.load(tmp_path)
    (tmp_path / "x.bin").touch()
    with pytest.raises(ValueError, match=r"not \.bin"):
        esm2.load(tmp_path / "x.bin")


@given(st.integers(-1, 3), st.integers(0, 12), st.integers(0, 3))
def test_an_impossible_architecture_is_refused(n_layers, d_model, n_heads):
    possible = n_layers > 0 and n_heads > 0 and d_model > 0 and d_model % (2 * n_heads) == 0
    if possible:
        Architecture(n_layers, d_model, n_heads)
    else:
        with pytest.raises(ValueError, match=r"multiple of 2 \* n_heads"):
            Architecture(n_layers, d_model, n_heads)
