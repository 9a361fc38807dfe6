"""A run of a store, opened as a folder is: what is fetched, when, and in how many requests."""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from interplm_nb.activations import FeatureActivations
from interplm_nb.activations_writer import ActivationsWriter
from interplm_nb.checksums import BLOCK, DamagedFileError, n_blocks
from interplm_nb.embeddings import Embeddings
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stored_run import pull_run, push_run
from interplm_nb.pipeline.verification import verify
from interplm_nb.proteins import Proteins
from interplm_nb.questions.discover import store_refound
from interplm_nb.remote import mirror, partial_file
from interplm_nb.remote import store as stores
from interplm_nb.remote.errors import StoreError
from interplm_nb.remote.index import object_of
from interplm_nb.remote.pull import found_index
from interplm_nb.remote.store import Store
from tests.remote.s3_server import SECRET, Proxy


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run that ships, with embeddings that somebody computed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    shutil.copytree(Run.shipped().folder, folder)
    run = Run.open(folder)
    proteins, rng = run.proteins(), np.random.default_rng(0)
    arrays = {
        accession: rng.random((length, 8), np.float32)
        for accession, length in zip(proteins.accessions, proteins.lengths.tolist(), strict=True)
    }
    Embeddings.from_arrays(run.embeddings_folder(3), proteins, arrays, "mine", 3)
    return run


@pytest.fixture
def pushed(s3: Proxy, finished: Run, tmp_path: Path) -> str:
    """The address of the run on S3."""
    folder = tmp_path / "pushed"
    shutil.copytree(finished.folder, folder)
    push_run(folder, f"s3://lab/{tmp_path.name}")
    s3.seen.clear()
    return f"s3://lab/{tmp_path.name}"


def gets(s3: Proxy, part: str = "") -> list[str]:
    return [r.path.split("/files/")[-1] for r in s3.seen if r.method == "GET" and part in r.path]


def test_a_run_is_read_as_its_folder_is(
    pushed: str, finished: Run, s3: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.open(pushed)
    assert run.folder.name == pushed.rpartition("/")[2]
    assert not gets(s3, ".safetensors") and not gets(s3, "activations/by_")
    here, there = finished.activations(), run.activations()
    for feature in range(0, here.n_features, 50):
        for one, other in zip(here.feature(feature), there.feature(feature), strict=True):
            np.testing.assert_array_equal(one, other)
    accession = finished.proteins().accessions[3]
    assert (here.of(accession) != there.of(accession)).nnz == 0
    assert not gets(s3, "embeddings/layer_03/shard")
    layer = finished.layers()[0]
    one, other = finished.embeddings(layer), run.embeddings(layer)
    np.testing.assert_array_equal(one[0:50], other[0:50])
    assert run.sae().weight_hash == finished.sae().weight_hash
    assert run.feature_table("statistics").equals(finished.feature_table("statistics"))
    assert run.scores().concepts.equals(finished.scores().concepts)
    monkeypatch.chdir(run.folder)  # as a notebook in the run's folder opens it
    assert Run.open(".").mirror is run.mirror
    np.testing.assert_array_equal(Run.open(".").activations().feature(3)[1], here.feature(3)[1])
    # By now all is here: another process reads it without a request for a file.
    s3.seen.clear()
    again = Run.open(pushed)
    again.activations().feature(3), again.embeddings(layer)[0:50], again.sae()
    assert not [r for r in s3.seen if "/files/" in r.path]


def test_what_is_fetched_is_said(pushed: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "interplm_nb.remote"):
        Run.open(pushed).sae()
    assert [m.partition(": ")[0] for m in caplog.messages] == [pushed] * 3
    assert " files, " in caplog.messages[0] and "fetched" in caplog.messages[0]
    assert caplog.messages[1].endswith("stay there until they are read")
    assert "fetched sources/sae/sae.safetensors, " in caplog.messages[2]


def test_an_opened_run_does_not_change_when_the_store_does(
    pushed: str, tmp_path: Path, s3: Proxy
) -> None:
    first = Run.open(pushed)
    before = (first.folder / "splits.parquet").read_bytes()
    other = Run(tmp_path / "pushed")
    (other.folder / "notes").mkdir()
    other.write_note(3, "binds zinc")
    os.replace(other.folder / "annotations.parquet", other.folder / "splits.parquet")
    push_run(other.folder, pushed)
    s3.seen.clear()
    second = Run.open(pushed)
    assert second.folder != first.folder and len(gets(s3, "/files/")) == 2  # splits and the note
    assert (first.folder / "splits.parquet").read_bytes() == before
    assert (second.folder / "splits.parquet").read_bytes() != before
    assert not (second.folder / "annotations.parquet").exists()
    assert second.notes()["description"].to_list() == ["binds zinc"]
    first.activations().feature(0)  # of the older index, whose objects stay


def test_what_a_run_of_a_store_refuses_names_its_address(pushed: str) -> None:
    run = Run.open(pushed)
    with pytest.raises(PipelineError, match=rf"{pushed} has no 09_x\.parquet: run stage 'steer'"):
        run._table("steer", "09_x.parquet", "StageTable")
    with pytest.raises(PipelineError, match=rf"Notes are not saved, because {pushed} is opened to"):
        run.write_note(3, "binds zinc")
    with pytest.raises(PipelineError, match=rf"^{pushed} is opened to be read; make a folder of"):
        store_refound(run, None)  # type: ignore  # it is refused before it is looked at


def test_a_run_that_somebody_sent_names_no_store(finished: Run, tmp_path: Path, s3: Proxy) -> None:
    folder = tmp_path / "sent" / "key" / "run"
    shutil.copytree(finished.folder, folder)
    (folder.parent / "address").write_text("s3://lab/elsewhere")
    (folder / "proteins.parquet").unlink()
    with pytest.raises(PipelineError, match=r"has no proteins\.parquet"):
        Run.open(folder).proteins()
    assert not s3.seen


def test_a_whole_run_is_verified(pushed: str, tmp_path: Path) -> None:
    checked = verify(mirror.opened(pushed, whole=True))
    assert {file.fault for file in checked} == {None}
    assert len(checked) == len(verify(tmp_path / "pushed"))
    assert pull_run(pushed, tmp_path / "copy").files == len(found_index(Store(pushed)).files)
    assert {file.fault for file in verify(tmp_path / "copy")} == {None}
    assert pull_run(pushed, tmp_path / "copy").files == 0
    with pytest.raises(PipelineError, match="holds other files; give an empty or a new folder"):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.tex").write_text("mine")
        pull_run(pushed, tmp_path / "mine")


def test_nothing_holds_the_credentials(
    pushed: str, tmp_path: Path, s3: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "interplm_nb"):
        s3.fault = lambda request: "slow"
        with pytest.raises(StoreError) as error:
            Run.open(pushed)
        s3.fault = lambda request: ""
        Run.open(pushed).sae()
    store = Store(pushed)
    everything = [store.read(name) for name in store.sizes()]
    everything += [f.read_bytes() for f in (tmp_path / "cache").rglob("*") if f.is_file()]
    everything += [str(error.value).encode(), caplog.text.encode()]
    assert len(everything) > 60
    assert not [text for text in everything if SECRET.encode() in text]


def stored_activations(folder: Path, n_residues: int, active: int, d_sae: int = 64) -> Proteins:
    """A store of `active` features per residue; feature 7 fires on every residue."""
    rng = np.random.default_rng(0)
    proteins = Proteins.from_sequences({f"P{i}": "A" * 500 for i in range(n_residues // 500)})
    with ActivationsWriter(folder, proteins, d_sae, {"plm": "p", "layer": 1}) as writer:
        for first in range(0, n_residues, 5000):
            n = min(5000, n_residues - first)
            chosen = rng.random((n, d_sae)).argsort(1)[:, :active]
            chosen[:, 0] = np.where((chosen == 7).any(1), chosen[:, 0], 7)
            rows = np.repeat(np.arange(n), active)
            values = rng.random(n * active, np.float32) + 0.5
            block = sparse.csr_array((values, (rows, chosen.ravel())), shape=(n, d_sae))
            writer.write(first, block)
        writer.finish()
    return proteins


class OfStore:
    """An activation store on S3, without a run around it: its files by themselves."""

    def __init__(self, folder: Path, proteins: Proteins, url: str) -> None:
        (folder.parent / "run.json").write_text("{}")
        from interplm_nb.remote.push import push

        push(folder.parent, Store(url))
        self.run = mirror.opened(url)
        self.mirror = mirror.mirror_of(self.run)
        assert self.mirror is not None
        self.there = FeatureActivations.open(self.run / folder.name, proteins, self.mirror.bytes_of)


@pytest.mark.parametrize("n_residues", [10_000, 40_000, 160_000])
def test_one_feature_takes_a_bounded_number_of_requests(
    s3: Proxy, tmp_path: Path, n_residues: int
) -> None:
    folder = tmp_path / "sources" / "activations"
    proteins = stored_activations(folder, n_residues, active=8)
    here = FeatureActivations.open(folder, proteins)
    stored = OfStore(folder, proteins, f"s3://lab/{tmp_path.name}")
    s3.seen.clear()
    found = stored.there.feature(20)
    footer, entries = gets(s3), s3.seen[-1]
    # The end of the footer, then the row groups that hold the feature, which are one piece.
    assert len(footer) <= 3 and all("by_feature" in path for path in footer)
    assert entries.range
    np.testing.assert_array_equal(found[0], here.feature(20)[0])
    np.testing.assert_array_equal(found[1], here.feature(20)[1])
    s3.seen.clear()
    stored.there.feature(40)
    assert len(s3.seen) <= 1
    s3.seen.clear()
    stored.there.feature(20)
    assert not s3.seen
    rows = stored.there.of("P3")
    assert len(s3.seen) <= 3 and (rows != here.of("P3")).nnz == 0


def test_a_feature_of_many_bytes_comes_in_parts(
    s3: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sources" / "activations"
    proteins = stored_activations(folder, 40_000, active=8)
    monkeypatch.setattr(partial_file, "PART", 2 * BLOCK)
    stored = OfStore(folder, proteins, f"s3://lab/{tmp_path.name}")
    stored.there.feature(20)
    s3.seen.clear()
    rows, _ = stored.there.feature(7)
    assert len(rows) == 40_000
    ranges = [tuple(map(int, r.range.removeprefix("bytes=").split("-"))) for r in s3.seen]
    assert all(stop - start < 2 * BLOCK for start, stop in ranges)
    size = (folder / "by_feature.parquet").stat().st_size
    assert len(ranges) <= -(-n_blocks(size) // 2)


def test_a_damaged_block_is_fetched_again_then_refused(s3: Proxy, tmp_path: Path) -> None:
    folder = tmp_path / "sources" / "activations"
    proteins = stored_activations(folder, 10_000, active=8)
    here, url = FeatureActivations.open(folder, proteins), f"s3://lab/{tmp_path.name}"
    stored = OfStore(folder, proteins, url)
    flips = iter(["flip", ""])
    s3.fault = lambda request: next(flips, "")
    np.testing.assert_array_equal(stored.there.feature(3)[1], here.feature(3)[1])
    assert s3.faults == 1
    # The cache on this disk was changed: fetched again.
    (part,) = (tmp_path / "cache").rglob("by_feature.parquet")
    data = bytearray(part.read_bytes())
    data[1000] ^= 1
    part.write_bytes(data)
    mirror._mirror.cache_clear()
    opened = mirror.mirror_of(stored.run)
    assert opened is not None
    again = FeatureActivations.open(stored.run / "activations", proteins, opened.bytes_of)
    np.testing.assert_array_equal(again.feature(3)[1], here.feature(3)[1])
    # The store itself is damaged.
    index = found_index(Store(url))
    name = "activations/by_feature.parquet"
    spoilt = bytearray((folder / "by_feature.parquet").read_bytes())
    spoilt[1000] ^= 1
    Store(url).write(object_of(name, index.files[name]), bytes(spoilt))
    shutil.rmtree(tmp_path / "cache")
    stored = OfStore(folder, proteins, url)
    with pytest.raises(StoreError, match=rf"{name} is damaged there, near byte 0"):
        stored.there.feature(3)


def test_a_run_that_was_replaced_meanwhile_is_said(
    s3: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sources" / "activations"
    proteins = stored_activations(folder, 10_000, active=8)
    stored = OfStore(folder, proteins, f"s3://lab/{tmp_path.name}")
    store = Store(f"s3://lab/{tmp_path.name}")
    for name in store.sizes():
        store.remove(name)
    with pytest.raises(StoreError, match=r"by_feature\.parquet is gone; the run was written anew"):
        stored.there.feature(3)


def test_blocks_in_files_of_this_machine_are_compared_as_before(tmp_path: Path) -> None:
    folder = tmp_path / "activations"
    proteins = stored_activations(folder, 10_000, active=8)
    data = bytearray((folder / "by_feature.parquet").read_bytes())
    data[1000] ^= 1
    (folder / "by_feature.parquet").write_bytes(data)
    with pytest.raises(DamagedFileError, match="its bytes changed near byte 0"):
        FeatureActivations.open(folder, proteins).feature(3)


def test_a_dropped_connection_within_a_block_is_mended(
    s3: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "TIMEOUT", 1)
    folder = tmp_path / "sources" / "activations"
    proteins = stored_activations(folder, 10_000, active=8)
    here = FeatureActivations.open(folder, proteins)
    stored = OfStore(folder, proteins, f"s3://lab/{tmp_path.name}")
    faults = iter(["cut", "slow", "hang", ""])
    s3.fault = lambda request: next(faults, "")
    np.testing.assert_array_equal(stored.there.feature(3)[1], here.feature(3)[1])
    assert s3.faults == 3
