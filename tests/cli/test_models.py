"""`interplm-nb models list | get | convert | push`: what they write and print; mistakes."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from interplm_nb.sae import checkpoint
from tests.cli.test_main import ask
from tests.sae.importers.peers import D_IN, D_SAE, K, linear, matrices, numbers
from tests.sae.loopback_hub import Hub, running

HERE = ("--plm", "some-plm", "--layer", "4")


@pytest.fixture
def ae(tmp_path) -> Path:
    torch.save(linear(bias=numbers(D_IN)), tmp_path / "ae.pt")
    return tmp_path / "ae.pt"


@pytest.fixture
def loopback():
    with running() as server:
        yield server


def on_hub(server: Hub, home: Path, *words: object) -> tuple[int, str, str]:
    """`interplm-nb models ...` in its own process: huggingface_hub's variables name the hub."""
    variables = {
        "HF_ENDPOINT": server.address,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": "t",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    command = [sys.executable, "-m", "interplm_nb.cli.main", "models", *map(str, words)]
    done = subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("part", ["", "list", "get", "convert", "push"])
def test_help_explains_itself(capsys, part):
    with pytest.raises(SystemExit) as ended:
        ask(capsys, "models", *part.split(), "--help")
    assert ended.value.code == 0
    assert "usage: interplm-nb models" in capsys.readouterr().out


def test_list_is_what_models_alone_says(capsys):
    alone, listed = ask(capsys, "models"), ask(capsys, "models", "list")
    assert alone == listed and alone[0] == 0
    for text in (
        "esm2_t6_8M_UR50D",
        "It is not ESM-2",
        "Elana/InterPLM-esm2-650m",
        "1, 9, 18, 24, 30, 33",
        "liambai/InterProt-ESM2-SAEs",
        "reticular-sae",
    ):
        assert text in alone[1]


def test_convert_to_this_package_and_on(tmp_path, capsys, ae):
    code, out, _ = ask(capsys, "models", "convert", ae, *HERE, "--out", tmp_path / "sae")
    assert code == 0
    assert (
        out.splitlines()[0]
        == "SAE of some-plm, layer 4, hook residual: relu, 8 inputs, 24 features in unit raw, "
        "from interplm"
    )
    first = checkpoint.load(tmp_path / "sae", plm="some-plm", layer=4)
    for to, file in (("saelens", "sae_weights.safetensors"), ("interplm", "ae_unnormalized.pt")):
        code, out, _ = ask(
            capsys, "models", "convert", tmp_path / "sae", "--to", to, "--out", tmp_path / to
        )
        assert code == 0 and str(tmp_path / to / file) in out
        code, _, err = ask(
            capsys, "models", "convert", tmp_path / to, "--out", tmp_path / f"back from {to}"
        )
        assert (code, err) == (0, "")
        assert (
            checkpoint.load(tmp_path / f"back from {to}", plm="some-plm", layer=4).weight_hash
            == first.weight_hash
        )


def test_what_is_said_on_the_command_line_reaches_the_reader(tmp_path, capsys):
    tensors = matrices(
        k=torch.tensor(K), threshold=torch.tensor(-1.0), group_sizes=torch.tensor([2, 3, 4, 5, 10])
    )
    torch.save(tensors, tmp_path / "m.ckpt")
    said = (
        "--input-scale",
        "0.5",
        "--threshold",
        "0.25",
        "--k",
        K,
        "--hook",
        "residual",
        "--architecture",
        "matryoshka",
        "--format",
        "reticular",
    )
    code, _, err = ask(
        capsys,
        "models",
        "convert",
        tmp_path / "m.ckpt",
        *HERE,
        *said[:4],
        "--format",
        "reticular",
        "--out",
        tmp_path / "sae",
    )
    assert (code, err) == (0, "")
    weights = load_file(tmp_path / "sae" / "sae.safetensors")
    torch.testing.assert_close(weights["W_enc"], tensors["W_enc"] * 0.5)
    assert (weights["threshold"] == 0.25).all()
    code, _, err = ask(
        capsys, "models", "convert", tmp_path / "m.ckpt", *HERE, *said, "--out", tmp_path / "more"
    )
    assert code == 2 and "architecture cannot be given for an SAE of format reticular" in err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["convert", "ae.pt", "--out", "x"], "the file does not say plm, layer. Give plm"),
        (["convert", "ae.pt", *HERE, "--sha256", "00ff", "--out", "x"], "wrong checksum"),
        (["convert", "nothing.pt", "--out", "x"], "nothing.pt: no such file"),
        (
            ["convert", "ae.pt", *HERE, "--out", "full"],
            "full exists already; give another folder",
        ),
        (["convert", "evil.pt", *HERE, "--out", "x"], "asks for the Python object"),
        (
            ["push", "full", "someone/something"],
            "an SAE is a folder with sae.safetensors and config.json",
        ),
    ],
)
def test_an_error_is_one_sentence_and_exit_code_2(tmp_path, monkeypatch, capsys, ae, words, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    torch.save({"bias": Path("x")}, tmp_path / "evil.pt")
    code, out, err = ask(capsys, "models", *words)
    assert (code, out) == (2, "")
    assert err.startswith("interplm-nb: ") and text in err and "Traceback" not in err
    assert not (tmp_path / "x").exists()


def test_push_and_get(tmp_path, capsys, ae, loopback):
    assert ask(capsys, "models", "convert", ae, *HERE, "--out", tmp_path / "sae")[0] == 0
    code, out, _ = on_hub(loopback, tmp_path, "push", tmp_path / "sae", "someone/my-sae")
    assert code == 0 and out.startswith(f"published: {loopback.address}/someone/my-sae/commit/")
    commit = loopback.repositories["someone/my-sae"].names["main"]
    code, out, err = on_hub(loopback, tmp_path, "get", "someone/my-sae", "--out", tmp_path / "back")
    assert code == 0 and commit in out and f"someone/my-sae: the newest is commit {commit}" in err
    back, mine = checkpoint.load(tmp_path / "back"), checkpoint.load(tmp_path / "sae")
    assert back.weight_hash == mine.weight_hash
    assert back.about is not None
    assert (back.about.origin["revision"], back.about.origin["format"]) == (commit, "interplm")


def test_get_at_a_revision_with_a_file_and_a_checksum(tmp_path, loopback):
    stream = io.BytesIO()
    torch.save(linear(bias=numbers(D_IN)), stream)
    config = json.dumps({"architecture": {"esm_dim": D_IN, "feature_dim": D_SAE}}).encode()
    old = loopback.repository(
        "someone/saes", {"a/ae.pt": stream.getvalue(), "a/config.json": config, "b/ae.pt": b""}
    )
    loopback.repositories["someone/saes"].commit({"a/ae.pt": b"changed"})
    words = ("get", "someone/saes", "--revision", old, "--file", "a/ae.pt", *HERE)
    code, out, err = on_hub(loopback, tmp_path, *words, "--out", tmp_path / "sae")
    assert (code, err) == (0, "") and f"from interplm at {old}" in out
    code, _, err = on_hub(
        loopback, tmp_path, *words, "--sha256", "00ff", "--out", tmp_path / "more"
    )
    assert code == 2 and "wrong checksum" in err and "Traceback" not in err
    assert not (tmp_path / "more").exists()


def test_listing_needs_neither_huggingface_hub_nor_a_network():
    code = (
        "import sys; from interplm_nb.cli import main as cli; cli.main(['models']); "
        "print([m for m in ('huggingface_hub', 'httpx2') if m in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert said.splitlines()[-1] == "[]"
