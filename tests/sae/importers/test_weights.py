"""Weights of every format as people store them: in other dtypes, under another name, transposed,
quantised, damaged. Each is read as it is, or refused with what it is."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.testing import assert_close

from interplm_nb.sae.importers import Given, read
from tests.sae.importers.peers import D_IN, K, embeddings, linear, numbers
from tests.sae.importers.test_damage import FILES

SAID = {
    "interplm": Given("some-plm", 4),
    "interplm, later": Given("some-plm", 4, architecture="topk"),
    "interprot": Given("some-plm", 4, k=K),
    "reticular": Given("some-plm", 4, input_scale=1.0),
    "saelens": Given(),
    "saelens, ours": Given("some-plm", 4, "residual"),
    "dictionary-learning": Given(layer=4, hook="residual"),
    "esmc": Given("some-plm", 60),
    "sparsify": Given("some-plm", 4, "residual"),
}
FORMATS = [name for name in FILES if name != "saelens, ours"]


def write(folder: Path, name: str, tensors: dict[str, Tensor], file: str = "w.pt") -> Path:
    config_name, config = FILES[name][1:]
    if config_name:
        (folder / config_name).write_text(json.dumps(config))
    if file.endswith(".pt"):
        torch.save(tensors, folder / file)
    else:
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / file)
    return folder / file


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", FORMATS)
def test_a_dtype_rounds_and_changes_nothing_else(tmp_path, name, dtype):
    cast = {k: v.to(dtype) if v.is_floating_point() else v for k, v in FILES[name][0].items()}
    single = {k: v.float() if v.is_floating_point() else v for k, v in cast.items()}
    found = read(write(tmp_path, name, cast), SAID[name])
    wanted = read(write(tmp_path, name, single), SAID[name])
    assert {value.dtype for value in found.weights().values()} == {torch.float32}
    with torch.no_grad():
        assert_close(found.encode(embeddings()), wanted.encode(embeddings()), rtol=0, atol=0)


@pytest.mark.parametrize("name", FORMATS)
def test_the_suffix_decides_nothing(tmp_path, name):
    tensors = FILES[name][0]
    right = read(write(tmp_path, name, tensors), SAID[name]).weight_hash
    pickled = write(tmp_path, name, tensors).rename(tmp_path / "w.safetensors")
    assert read(pickled, SAID[name]).weight_hash == right
    safe = write(tmp_path, name, tensors, "other.safetensors").rename(tmp_path / "w.pt")
    assert read(safe, SAID[name]).weight_hash == right


MATRICES = {"encoder.weight", "decoder.weight", "W_enc", "W_dec", "w_enc", "w_dec"}


@pytest.mark.parametrize("name", FORMATS)
def test_transposed_weights_are_refused(tmp_path, name):
    tensors = FILES[name][0]
    matrices = sorted(MATRICES & tensors.keys())
    for turned in ([matrices[0]], [matrices[1]], matrices):
        wrong = tensors | {key: tensors[key].T.contiguous() for key in turned}
        with pytest.raises(ValueError, match=r"to fit the other tensors|the tensors say"):
            read(write(tmp_path, name, wrong), SAID[name])
    decoder = next(key for key in matrices if "dec" in key.lower())
    wrong = tensors | {decoder: tensors[decoder].T.contiguous()}
    with pytest.raises(ValueError, match=rf"{decoder} .*it is transposed"):
        read(write(tmp_path, name, wrong), SAID[name])


@pytest.mark.parametrize("name", FORMATS)
def test_quantised_weights_are_refused(tmp_path, name):
    tensors = FILES[name][0]
    decoder = next(key for key in sorted(MATRICES & tensors.keys()) if "dec" in key.lower())
    wrong = tensors | {decoder: (tensors[decoder] * 50).to(torch.int8)}
    with pytest.raises(ValueError, match=rf"{decoder} holds torch\.int8, not floating-point"):
        read(write(tmp_path, name, wrong), SAID[name])


def test_float64_beyond_float32_is_refused(tmp_path):
    tensors = {key: value.double() for key, value in linear(bias=numbers(D_IN)).items()}
    tensors["bias"][0] = 1e60
    with pytest.raises(ValueError, match="bias holds float64 values beyond the range of float32"):
        read(write(tmp_path, "interplm", tensors), SAID["interplm"])


@pytest.mark.parametrize("name", FORMATS)
def test_nan_is_refused(tmp_path, name):
    tensors = FILES[name][0]
    decoder = next(key for key in sorted(MATRICES & tensors.keys()) if "dec" in key.lower())
    wrong = tensors | {decoder: tensors[decoder].clone()}
    wrong[decoder][2, 1] = float("nan")
    with pytest.raises(ValueError, match=rf"w\.pt: {decoder} holds NaN or infinity in row 2"):
        read(write(tmp_path, name, wrong), SAID[name])


@pytest.mark.parametrize("name", [n for n in FORMATS if FILES[n][1] and "interp" not in n])
def test_without_its_config_the_refusal_says_what_is_missing(tmp_path, name):
    path = write(tmp_path, name, FILES[name][0])
    (tmp_path / FILES[name][1]).unlink()
    kind = name.partition(",")[0]
    with pytest.raises(ValueError, match=rf"unknown format[^$]*\n  {kind}: no c\w+\.json with"):
        read(path, SAID[name])


@pytest.mark.parametrize("name", FORMATS)
def test_another_formats_config_is_not_taken(tmp_path, name):
    """Only formats that need no JSON may be read next to another's, and no value of it is taken."""
    path = write(tmp_path, name, FILES[name][0])
    beside = {FILES[other][1]: FILES[other][2] for other in FORMATS if FILES[other][1]}
    for config_name, config in beside.items():
        if config_name == FILES[name][1]:
            continue
        (tmp_path / config_name).write_text(json.dumps(config))
        try:
            about = read(path, SAID[name]).about
        except ValueError as error:
            assert "w.pt" in str(error)
        else:
            assert about is not None and about.origin["format"] == name.partition(",")[0]
            assert about.layer == (60 if name == "esmc" else 4)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4096\n"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (POINTER, r"a git-lfs pointer, not the file itself; run 'git lfs pull'"),
        (b"", "an empty file; download it again"),
        (b"\n<!DOCTYPE html><html>", "a web page, not the file itself"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras saves weights; wanted weights as"),
        (b"\x1f\x8b\x08", "a gzip archive: unpack it; wanted weights as"),
    ],
)
@pytest.mark.parametrize("file", ["ae.pt", "sae_weights.safetensors"])
def test_what_stands_where_weights_should_be_is_named(tmp_path, file, content, text):
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{file}: {text}") as raised:
        read(tmp_path, Given("some-plm", 4))
    assert "\n" not in str(raised.value)


def test_a_numpy_archive_is_named(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    (tmp_path / "w.npz").rename(tmp_path / "ae.pt")
    with pytest.raises(ValueError, match=r"ae\.pt: a NumPy archive \(\.npz\), wanted weights"):
        read(tmp_path, Given("some-plm", 4))


def test_a_config_that_is_a_pointer_is_named(tmp_path):
    path = write(tmp_path, "saelens", FILES["saelens"][0])
    (tmp_path / "cfg.json").write_bytes(POINTER)
    with pytest.raises(ValueError, match=r"cfg\.json: a git-lfs pointer, not the file itself"):
        read(path)
