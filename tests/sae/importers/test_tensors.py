"""Files that would run code, or are damaged: each is refused with its own message, and no code of
theirs runs."""

import argparse
import json
import logging
import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from interplm_nb.sae.importers import Given, read
from interplm_nb.sae.importers.tensors import find
from tests.sae.importers.peers import D_IN, linear, numbers

HERE = Given(plm="some-plm", layer=4)


class Malicious:
    """Unpickled, it makes a folder: a sign that code of the file ran."""

    def __init__(self, sign: Path) -> None:
        self.sign = str(sign)

    def __reduce__(self):
        return os.mkdir, (self.sign,)


def published(path: Path) -> Path:
    torch.save(linear(bias=numbers(D_IN, seed=4)), path)
    return path


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("where", ["a value", "the whole", "a tensor's neighbour"])
def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path, zipped, where):
    sign = tmp_path / "sign"
    evil = Malicious(sign)
    holds = {
        "a value": {"bias": evil},
        "the whole": evil,
        "a tensor's neighbour": linear() | {"bias": numbers(D_IN), "_": evil},
    }[where]
    path = tmp_path / "ae.pt"
    torch.save(holds, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ValueError,
        match=r"cannot be read safely: it asks for the Python object "
        r"(posix|nt)\.mkdir.*Nothing in it was run",
    ):
        read(path, HERE)
    assert not sign.exists()
    torch.load(
        path, weights_only=False
    )  # the file is what it claims to be: read without care, it runs
    assert sign.exists()


@pytest.mark.parametrize(
    ("protocol", "text"),
    [
        (2, r"safely: it asks for the Python object (posix|nt)\.mkdir"),
        (4, r"not a file of torch\.save"),
    ],
)
def test_a_bare_pickle_is_refused_and_does_not_run(tmp_path, protocol, text):
    path = tmp_path / "ae.pt"
    path.write_bytes(pickle.dumps({"bias": Malicious(tmp_path / "sign")}, protocol))
    with pytest.raises(ValueError, match=text):
        read(path, HERE)
    assert not (tmp_path / "sign").exists()


YAML = "!!python/object/apply:os.mkdir [{sign}]\n"


def test_a_yaml_object_is_named_and_does_not_run(tmp_path, caplog):
    sign = tmp_path / "sign"
    (tmp_path / "config.yaml").write_text(YAML.format(sign=json.dumps(str(sign))))
    with caplog.at_level(logging.WARNING):
        read(published(tmp_path / "ae.pt"), HERE)
    assert (
        "config.yaml is not read (it asks for a Python object, !!python/object/apply:os.mkdir"
        in caplog.text
    )
    with pytest.raises(
        ValueError,
        match=r"config\.yaml: YAML is not read \(it asks for a Python object, "
        r"!!python/object/apply:os\.mkdir.*nothing in it",
    ):
        read(tmp_path / "config.yaml", HERE)
    assert not sign.exists()


def test_a_truncated_pt_is_refused(tmp_path):
    path = published(tmp_path / "ae.pt")
    whole = path.read_bytes()
    for length in (len(whole) // 2, len(whole) - 10, 300, 100, 30, 9):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"ae\.pt: .*damaged or cut off .*download it again"):
            read(path, HERE)


def test_a_truncated_safetensors_is_refused(tmp_path):
    path = tmp_path / "ae.safetensors"
    save_file(linear(bias=numbers(D_IN)), path)
    whole = path.read_bytes()
    for length in (len(whole) // 2, len(whole) - 4, 20):
        path.write_bytes(whole[:length])
        with pytest.raises(
            ValueError, match=r"ae\.safetensors: damaged or cut off .*download it again"
        ):
            read(path, HERE)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    noise=st.binary(max_size=200),
    head=st.sampled_from([b"", b"PK", b"PK\x03\x04", b"\x80\x02", b"\x80", b"\x08\0\0\0\0\0\0\0{"]),
)
def test_noise_is_refused_with_the_files_name(tmp_path, noise, head):
    path = tmp_path / "noise.pt"
    path.write_bytes(head + noise)
    with pytest.raises(ValueError, match=r"noise\.pt: "):
        find(path)


def test_a_wrong_checksum_is_refused_before_the_file_is_read(tmp_path):
    path = tmp_path / "ae.pt"
    torch.save(Malicious(tmp_path / "sign"), path)
    with pytest.raises(
        ValueError,
        match=r"ae\.pt: wrong checksum: wanted sha256 00ff, the file has [0-9a-f]{64}\. It "
        r"is another file, or damaged",
    ):
        read(path, HERE, sha256="sha256:00ff")
    digest = find(published(path)).sha256
    for spelling in (
        digest,
        digest.removeprefix("sha256:"),
        digest.upper().replace("SHA256", "sha256"),
    ):
        assert read(path, HERE, sha256=spelling).about


def test_json_that_is_none_is_refused(tmp_path):
    published(tmp_path / "ae.pt")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json: not JSON"):
        read(tmp_path / "ae.pt", HERE)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"config\.json: wanted a JSON object .* found list"):
        read(tmp_path / "ae.pt", HERE)


def test_what_is_no_dictionary_of_tensors_is_refused(tmp_path):
    for holds, found in (
        (torch.ones(3), "Tensor"),
        ({"lr": 1.0}, r"a dictionary with \['lr'\]"),
        ({}, r"a dictionary with \[\]"),
    ):
        torch.save(holds, tmp_path / "ae.pt")
        with pytest.raises(
            ValueError, match=rf"wanted a dictionary of tensors by name .* found {found}"
        ):
            read(tmp_path / "ae.pt", HERE)
    with pytest.raises(FileNotFoundError, match=r"nothing\.pt: no such file"):
        read(tmp_path / "nothing.pt", HERE)


def test_a_lightning_checkpoint_gives_its_arguments(tmp_path):
    arguments = argparse.Namespace(k=7, layer_to_use=24)
    torch.save(
        {
            "state_dict": {"sae_model.b_pre": torch.ones(2)},
            "hyper_parameters": {"args": arguments},
            "epoch": 3,
        },
        tmp_path / "sae.ckpt",
    )
    found = find(tmp_path / "sae.ckpt")
    assert (found.settings["k"], found.settings["layer_to_use"], list(found.tensors)) == (
        7,
        24,
        ["sae_model.b_pre"],
    )
