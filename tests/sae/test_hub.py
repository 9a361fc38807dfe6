"""SAEs from and to a hub on this machine: pinned, cached, resumed, checked; and each way that it
can fail, in one sentence."""

import io
import json
import logging
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from interplm_nb.sae import checkpoint, hub, published
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.importers import FORMATS, Given
from interplm_nb.sae.importers.widths import KNOWN
from interplm_nb.sae.model import SAE
from interplm_nb.sae.random_sae import random_sae
from tests.sae.importers import peers
from tests.sae.importers.peers import D_IN, embeddings, linear, numbers
from tests.sae.loopback_hub import Hub, running

NAME = "someone/something"
pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"
)  # huggingface_hub's upload by LFS


@pytest.fixture
def loopback(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with running() as server:
        yield server


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def pt(tensors: dict[str, Tensor]) -> bytes:
    stream = io.BytesIO()
    torch.save(tensors, stream)
    return stream.getvalue()


def interplm(seed: int = 4) -> dict[str, Tensor]:
    return linear(bias=numbers(D_IN, seed=seed))


def downloads(server: Hub) -> list[str]:
    return [
        path.split("/resolve/")[1]
        for method, path, _ in server.asked
        if method == "GET" and "/resolve/" in path
    ]


CONFIG = json.dumps({"architecture": {"esm_dim": D_IN, "feature_dim": 24}}).encode()


def test_the_newest_is_resolved_to_a_commit_that_is_said_and_recorded(loopback, cache, caplog):
    commit = loopback.repository(
        NAME, {"layer_4/ae_unnormalized.pt": pt(interplm()), "layer_4/config.json": CONFIG}
    )
    with caplog.at_level(logging.WARNING):
        sae = hub.get(NAME, Given(plm="some-plm", layer=4), endpoint=loopback.address, cache=cache)
    assert f"{NAME}: the newest is commit {commit}" in caplog.text
    assert sae.about is not None
    assert (sae.about.origin["repository"], sae.about.origin["revision"]) == (NAME, commit)
    assert downloads(loopback) == [
        f"{commit}/layer_4/ae_unnormalized.pt",
        f"{commit}/layer_4/config.json",
    ]
    assert_close(
        sae(embeddings()).f.detach(), peers.relu(interplm(), embeddings()).f, rtol=1e-5, atol=1e-5
    )


def test_a_pinned_revision_stays_whatever_the_repository_becomes(loopback, cache):
    old = loopback.repository(NAME, {"ae.pt": pt(interplm(4))})
    loopback.repositories[NAME].names["v1"] = old
    new = loopback.repositories[NAME].commit({"ae.pt": pt(interplm(5))})

    def b_dec(revision: str | None) -> Tensor:
        return hub.get(
            NAME,
            Given(plm="some-plm", layer=4),
            revision=revision,
            endpoint=loopback.address,
            cache=cache,
        ).b_dec.detach()

    for revision, seed in ((old, 4), ("v1", 4), (new, 5), ("main", 5), (None, 5)):
        assert_close(b_dec(revision), numbers(D_IN, seed=seed))


def test_what_is_in_the_cache_at_a_commit_asks_no_one(loopback, cache):
    commit = loopback.repository(NAME, {"ae.pt": pt(interplm())})
    first = hub.fetch(NAME, commit, ["ae.pt"], endpoint=loopback.address, cache=cache)
    asked = len(loopback.asked)
    again = hub.fetch(NAME, commit, ["ae.pt"], endpoint=loopback.address, cache=cache)
    assert again == first and len(loopback.asked) == asked
    assert (
        hub.fetch(NAME, commit, ["ae.pt"], endpoint="http://127.0.0.1:1", cache=cache).paths
        == first.paths
    )


def test_a_download_that_is_cut_off_is_taken_up(loopback, cache, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 500)
    data = pt(interplm())
    commit = loopback.repository(NAME, {"ae.pt": data})
    loopback.cuts = 1
    found = hub.fetch(NAME, commit, ["ae.pt"], endpoint=loopback.address, cache=cache)
    assert found.paths[0].read_bytes() == data
    ranges = [r for method, path, r in loopback.asked if method == "GET" and "/resolve/" in path]
    assert len(ranges) == 2 and ranges[1] is not None and ranges[1].startswith("bytes=1000-")


def test_a_wrong_checksum_is_refused(loopback, cache):
    commit = loopback.repository(NAME, {"ae.pt": pt(interplm())})
    with pytest.raises(
        ValueError, match=r"ae\.pt: wrong checksum: wanted sha256 00ff, the file has"
    ):
        hub.get(
            NAME,
            Given(plm="some-plm", layer=4),
            revision=commit,
            sha256="00ff",
            endpoint=loopback.address,
            cache=cache,
        )


def test_a_published_repository_needs_its_layer_alone(loopback, cache):
    entry = published.BY_REPOSITORY["elana/interplm-esm2-8m"]
    wide = {
        "bias": torch.zeros(320),
        "encoder.weight": torch.ones(2, 320),
        "encoder.bias": torch.zeros(2),
    }
    wide["decoder.weight"] = torch.ones(320, 2) * 0.1
    files = {
        "layer_4/ae_normalized.pt": pt(wide),
        "layer_4/config.json": json.dumps(
            {"architecture": {"esm_dim": 320, "feature_dim": 2}}
        ).encode(),
    }
    loopback.repository(entry.repository, files)
    sae = hub.get(entry.repository, Given(layer=4), endpoint=loopback.address, cache=cache)
    assert sae.about is not None
    about = sae.about
    assert (about.plm, about.layer, about.hook, about.origin["format"], sae.unit) == (
        "esm2_t6_8M_UR50D",
        4,
        "residual",
        "interplm",
        "max",
    )
    for given, text in (
        (Given(), "has the layers 1, 2, 3, 4, 5, 6; give one"),
        (Given(layer=7), "has the layers 1, 2, 3, 4, 5, 6, not 7"),
        (Given(layer=4, plm="another"), "has plm 'esm2_t6_8M_UR50D', you say 'another'"),
    ):
        with pytest.raises(ValueError, match=text):
            hub.get(entry.repository, given, endpoint=loopback.address, cache=cache)
    with pytest.raises(
        FileNotFoundError,
        match=r"Elana/InterPLM-esm2-8m/layer_5/ae_normalized\.pt at .*: the repository has "
        r"no such file",
    ):
        hub.get(entry.repository, Given(layer=5), endpoint=loopback.address, cache=cache)


def test_the_table_of_published_saes_is_of_known_formats_and_layers():
    for entry in published.PUBLISHED:
        assert entry.format in FORMATS
        assert entry.layers and all(entry.files(layer) for layer in entry.layers)
        assert entry.plm not in KNOWN or max(entry.layers) <= KNOWN[entry.plm][1]
        assert entry.revision is None or len(entry.revision) == 40
        assert set(entry.k) <= set(entry.layers)


def test_several_weights_files_are_listed(loopback, cache):
    loopback.repository(NAME, {"a/ae.pt": b"", "b/ae.pt": b"", "README.md": b""})
    with pytest.raises(
        ValueError,
        match=r"has 2 weights files, a/ae\.pt, b/ae\.pt; name the one to read \(--file\)",
    ):
        hub.get(NAME, endpoint=loopback.address, cache=cache)
    loopback.repository(NAME, {"README.md": b""})
    with pytest.raises(ValueError, match="has no weights file"):
        hub.get(NAME, endpoint=loopback.address, cache=cache)


def test_what_is_not_there_is_said(loopback, cache):
    commit = loopback.repository(NAME, {"ae.pt": b""})
    where = {"endpoint": loopback.address, "cache": cache}
    with pytest.raises(
        FileNotFoundError, match="someone/else: the repository does not exist or is private"
    ):
        hub.get("someone/else", **where)
    with pytest.raises(
        FileNotFoundError, match=r"someone/something at v9: the repository has no such revision"
    ):
        hub.fetch(NAME, "v9", ["ae.pt"], **where)
    with pytest.raises(
        FileNotFoundError,
        match=r"someone/something/other\.pt at main: the repository has no such file",
    ):
        hub.fetch(NAME, "main", ["other.pt"], **where)
    with pytest.raises(FileNotFoundError, match=rf"no such revision|no such file|{'0' * 40}"):
        hub.fetch(NAME, "0" * 40, ["ae.pt"], **where)
    loopback.repositories[NAME].gated = True
    with pytest.raises(PermissionError, match="is gated: ask for access"):
        hub.fetch(NAME, commit, ["ae.pt"], **where)


def test_no_network_is_one_sentence_with_the_way_out(monkeypatch, cache):
    monkeypatch.setattr(
        "huggingface_hub.utils._http.time.sleep", lambda seconds: None
    )  # between its own tries
    way = (
        r"could not be reached.*download .* on another machine from "
        r"https://huggingface\.co/someone/something, copy it here, .*models convert"
    )
    for revision in (None, "0" * 40):
        with pytest.raises(ConnectionError, match=way):
            hub.fetch(NAME, revision, ["ae.pt"], endpoint="http://127.0.0.1:1", cache=cache)


def test_offline_mode_is_one_sentence(monkeypatch, cache):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        ConnectionError,
        match=r"someone/something/ae\.pt at 0{40} is not in the cache and the Hub could not "
        r"be reached; download",
    ):
        hub.fetch(NAME, "0" * 40, ["ae.pt"], cache=cache)


ABOUT = SAEAbout("esm2-mini", "sha256:1", 3, "topk", data="sha256:2", seed=7, training={"lr": 0.1})


def saved(folder: Path) -> SAE:
    sae = random_sae(8, 32, 4, torch.ones(8), 0)
    checkpoint.save(sae, folder, ABOUT)
    return sae


def test_what_is_pushed_comes_back(loopback, cache, tmp_path):
    sae = saved(tmp_path / "mine")
    address = hub.push(tmp_path / "mine", NAME, endpoint=loopback.address, token="t")
    held = loopback.repositories[NAME]
    commit = held.names["main"]
    assert address == f"{loopback.address}/{NAME}/commit/{commit}"
    assert set(held.commits[commit]) == {
        ".gitattributes",
        "README.md",
        "config.json",
        "sae.safetensors",
    }
    assert (
        held.commits[commit]["sae.safetensors"]
        == (tmp_path / "mine" / "sae.safetensors").read_bytes()
    )
    card = held.commits[commit]["README.md"].decode()
    assert (
        "# Sparse autoencoder of esm2-mini, layer 3" in card
        and "| architecture | topk, k 4 |" in card
        and sae.weight_hash in card
        and "## Not scored" in card
    )
    found = hub.get(NAME, Given(layer=3), endpoint=loopback.address, cache=cache)
    assert found.weight_hash == sae.weight_hash
    assert found.about is not None
    assert (found.about.plm, found.about.recipe, found.about.training) == (
        "esm2-mini",
        "topk",
        {"lr": 0.1},
    )
    assert found.about.origin == {"repository": NAME, "revision": commit}
    with pytest.raises(
        ValueError, match="SAE of 'esm2-mini', layer 3; wanted one of 'esm2-mini', layer 4"
    ):
        hub.get(NAME, Given(layer=4), endpoint=loopback.address, cache=cache)
    with pytest.raises(ValueError, match="says itself what it is; leave k out"):
        hub.get(NAME, Given(k=4), endpoint=loopback.address, cache=cache)
    with pytest.raises(ValueError, match="wrong checksum"):
        hub.get(NAME, sha256="00ff", endpoint=loopback.address, cache=cache)


def test_a_card_of_ones_own_is_kept(loopback, tmp_path):
    saved(tmp_path / "mine")
    (tmp_path / "mine" / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    hub.push(tmp_path / "mine", NAME, endpoint=loopback.address, token="t")
    held = loopback.repositories[NAME]
    assert held.commits[held.names["main"]]["README.md"] == b"---\nlicense: mit\n---\n# Mine\n"


def test_a_card_and_a_table_that_are_given_are_beside_it(loopback, cache, tmp_path):
    saved(tmp_path / "mine")
    (tmp_path / "t.tsv").write_text("# a table\n")
    hub.push(
        tmp_path / "mine",
        NAME,
        card="---\ntags: [x]\n---\n# Scored\n",
        table=tmp_path / "t.tsv",
        endpoint=loopback.address,
        token="t",
    )
    held = loopback.repositories[NAME]
    assert held.commits[held.names["main"]]["README.md"].endswith(b"# Scored\n")
    where = {"endpoint": loopback.address, "cache": cache}
    path = hub.table_of(hub.get(NAME, **where), **where)
    assert path is not None and path.read_text() == "# a table\n"
    loopback.repository("someone/without", {"ae.pt": pt(interplm())})
    sae = hub.get("someone/without", Given(plm="some-plm", layer=4), **where)
    assert hub.table_of(sae, **where) is None


def test_private_is_private_or_refused(loopback, tmp_path):
    loopback.token = "t"
    saved(tmp_path / "mine")
    hub.push(tmp_path / "mine", NAME, private=True, endpoint=loopback.address, token="t")
    assert loopback.repositories[NAME].private
    commit = loopback.repository("someone/public", {"README.md": b""})
    with pytest.raises(ValueError, match="someone/public exists already and is public"):
        hub.push(
            tmp_path / "mine", "someone/public", private=True, endpoint=loopback.address, token="t"
        )
    assert list(loopback.repositories["someone/public"].commits) == [commit]


def test_what_is_broken_is_not_published(loopback, tmp_path):
    saved(tmp_path / "mine")
    (tmp_path / "mine" / "sae.safetensors").write_bytes(b"half")
    with pytest.raises(ValueError, match="not the weights that config"):
        hub.push(tmp_path / "mine", NAME, endpoint=loopback.address, token="t")
    assert not loopback.repositories and not loopback.asked


def test_an_upload_that_fails_is_one_sentence(loopback, tmp_path, monkeypatch):
    saved(tmp_path / "mine")
    monkeypatch.setattr(
        "huggingface_hub._commit_api.lfs_upload",
        lambda **_: (_ for _ in ()).throw(OSError("the line dropped")),
    )
    with pytest.raises(
        ConnectionError, match=r"someone/something: the upload failed .*the line dropped.*try again"
    ):
        hub.push(tmp_path / "mine", NAME, endpoint=loopback.address, token="t")


def test_pushing_without_the_right_to(loopback, tmp_path):
    loopback.token = "another"
    saved(tmp_path / "mine")
    with pytest.raises((PermissionError, FileNotFoundError), match=r"hf auth login"):
        hub.push(tmp_path / "mine", NAME, endpoint=loopback.address, token="t")
