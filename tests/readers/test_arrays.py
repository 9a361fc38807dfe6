"""A person's own embeddings: what is read is what was written; every way to be wrong is said."""

import io
import zipfile

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from interplm_nb.embeddings import Embeddings, EmbeddingsWriter
from interplm_nb.proteins import Proteins
from interplm_nb.readers import array_files, hdf5
from interplm_nb.readers.array_files import open_arrays
from interplm_nb.readers.arrays import Held, check_arrays, embeddings_from
from interplm_nb.readers.report import InputError
from interplm_nb.saving import file_hash

PROTEINS = Proteins.from_sequences({"P1": "MKTAY", "P2": "M", "P3": "ACDEFGHIKL", "P4": "WWW"})
KINDS = ["npz", "compressed.npz", "safetensors", "h5", "hdf5", "indexed.h5"]


def arrays_of(width=3, dtype=np.float32, seed=0):
    random = np.random.default_rng(seed)
    return {
        a: random.normal(size=(n, width)).astype(dtype)
        for a, n in zip(PROTEINS.accessions, PROTEINS.lengths, strict=True)
    }


def saved(folder, arrays, kind="npz"):
    """A file of these arrays: `kind` is its suffix, before which stands a variant of the format."""
    path = folder / f"mine.{kind}"
    if kind == "npz":
        np.savez(path, **arrays)
    elif kind == "compressed.npz":
        np.savez_compressed(path, **arrays)
    elif kind == "safetensors":
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, path)
    else:
        with h5py.File(path, "w") as file:
            for i, (name, values) in enumerate(arrays.items()):
                dataset = file.create_dataset(str(i) if kind == "indexed.h5" else name, data=values)
                if kind == "indexed.h5":
                    dataset.attrs["original_id"] = name
    return path


def taken(path, folder, **options):
    return embeddings_from(path, PROTEINS, folder, layer=7, progress=False, **options)


@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    width=st.integers(1, 5),
    order=st.permutations(["P1", "P2", "P3", "P4", "extra"]),
    names=st.sampled_from(["{}", "sp|{}|NAME_HUMAN", "tr|{}|NAME_HUMAN"]),
)
@settings(max_examples=40, deadline=None)
def test_arrays_of_every_format_are_read_back(tmp_path_factory, kind, dtype, width, order, names):
    folder = tmp_path_factory.mktemp("arrays")
    arrays = arrays_of(width, dtype) | {"extra": np.ones((2, width), dtype)}
    path = saved(folder, {names.format(a): arrays[a] for a in order}, kind)
    assert check_arrays(path) == Held(5, width)
    found = taken(path, folder / "e")
    wanted = np.concatenate([arrays[a] for a in PROTEINS.accessions]).astype(np.float32)
    np.testing.assert_array_equal(found[:], wanted)
    found.check(PROTEINS, path.stem, 7)
    assert found.plm_revision == file_hash(path)


def test_bfloat16_is_read_and_stored(tmp_path):
    arrays = {a: torch.from_numpy(v).bfloat16() for a, v in arrays_of().items()}
    save_torch(arrays, tmp_path / "mine.safetensors")
    wanted = torch.cat([arrays[a] for a in PROTEINS.accessions]).float().numpy()
    np.testing.assert_array_equal(
        taken(tmp_path / "mine.safetensors", tmp_path / "e", stored="bfloat16")[:], wanted
    )
    assert Embeddings.open(tmp_path / "e").stored == "bfloat16"


def test_what_is_there_is_kept_and_what_is_others_is_made_again(tmp_path):
    path, about = saved(tmp_path, arrays_of()), tmp_path / "e" / "about.json"
    inode = lambda: about.stat().st_ino  # noqa: E731
    taken(path, tmp_path / "e")
    first = inode()
    taken(path, tmp_path / "e")
    assert inode() == first
    assert taken(path, tmp_path / "e", stored="bfloat16").stored == "bfloat16"
    assert taken(path, tmp_path / "e", name="ProtT5").plm == "ProtT5"
    other = taken(saved(tmp_path, arrays_of(seed=1)), tmp_path / "e", name="ProtT5")
    assert other.plm_revision == file_hash(path)
    np.testing.assert_array_equal(other[:5], arrays_of(seed=1)["P1"])


def test_one_array_is_read_at_a_time_and_a_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("interplm_nb.embeddings._SHARD_BYTES", 6 * 3 * 4)
    path, read = saved(tmp_path, arrays_of() | {"extra": np.ones((9, 3))}), []
    plain = array_files._Npz.read
    monkeypatch.setattr(
        array_files._Npz, "read", lambda self, e: read.append(e.name) or plain(self, e)
    )
    about = {"plm": "mine", "plm_revision": file_hash(path), "layer": 7, "d_in": 3}
    killed = EmbeddingsWriter(tmp_path / "e", PROTEINS, about)
    killed.write(np.arange(6), np.concatenate([arrays_of()[a] for a in ("P1", "P2")]))
    assert killed.missing == [1, 2]
    found = taken(path, tmp_path / "e")
    assert read == ["P1", "P3", "P4"]  # P1 tells the width
    np.testing.assert_array_equal(found[:], np.concatenate(list(arrays_of().values())))


def refused(tmp_path, arrays, match, kind="npz", error=InputError):
    path = saved(tmp_path, arrays, kind)
    with pytest.raises(error, match=match):
        taken(path, tmp_path / "e")
    assert list(tmp_path.iterdir()) == [path], "nothing is half-written"
    return path


def test_proteins_and_lengths_are_compared_before_anything_is_written(tmp_path):
    arrays = arrays_of()
    lacking = {f"x{k}": v for k, v in arrays.items()}
    refused(
        tmp_path,
        lacking,
        r"mine\.npz: no array for 4 of 4 proteins: P1, P2, P3 and 1 more; the file's keys, such as "
        "'xP1', must be the proteins' accessions; add these arrays, or remove these proteins",
    )
    rows = lambda n: np.zeros((n, 3), np.float32)  # noqa: E731
    refused(
        tmp_path,
        arrays | {"P3": rows(12), "P4": rows(5)},
        r"P3 has 12 rows for 10 residues \(1 other proteins differ too\): it seems to include "
        "<cls> and <eos>; remove the first and the last row",
    )
    refused(tmp_path, arrays | {"P3": rows(11)}, "P3 has 11 rows for 10 residues: .*one special")
    refused(tmp_path, arrays | {"P3": rows(9)}, "P3 has 9 rows .*of another sequence, or truncated")
    refused(tmp_path, arrays | {"P2": np.full((1, 3), np.nan)}, r"mine\.npz: P2: .*NaN")
    refused(tmp_path, arrays | {"P2": np.full((1, 3), 1e300)}, r"mine\.npz: P2: .*infinity")


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({}, "holds no arrays; wanted one"),
        ({"P1": np.zeros(1024, np.float16)}, "P1 is one vector of 1024 values for the whole prot"),
        ({"P1": np.zeros((1, 5, 3))}, r"P1 has shape \(1, 5, 3\); wanted \[residues, width\]"),
        ({"P1": np.zeros((5, 0))}, r"P1 has shape \(5, 0\)"),
        ({"P1": np.zeros((5, 3), int)}, "P1 has dtype int64; wanted floats"),
        (
            {"P1": np.zeros((5, 3)), "P2": np.zeros((1, 4))},
            "P1 has 3 .* and P2 has 4; use one layer",
        ),
        (
            {"P1": np.zeros((5, 3)), "sp|P1|X": np.zeros((5, 3))},
            r"two arrays for P1, 'P1(\.npy)?' and 'sp\|P1\|X(\.npy)?'; remove one",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["npz", "h5"])
def test_arrays_that_are_no_embeddings_are_refused_before_any_run(tmp_path, arrays, match, kind):
    path = refused(tmp_path, arrays, match, kind)
    with pytest.raises(InputError, match=match):
        check_arrays(path)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("mine.npz", b"PK nonsense", r"mine\.npz: not a readable npz file \(File is not"),
        ("mine.safetensors", b"\x01", r"mine\.safetensors: not a readable safetensors file"),
        ("mine.h5", b"\x89HDF but not", r"mine\.h5: not a readable HDF5 file .*again"),
        (
            "mine.csv",
            b"x",
            r"mine\.csv: cannot read arrays from \.csv; .*\.npz, \.safetensors, \.h5",
        ),
        ("mine", b"x", "mine: cannot read arrays from a file without a suffix"),
    ],
)
def test_files_of_another_kind_are_said(tmp_path, name, content, match):
    path = tmp_path / name
    with pytest.raises(InputError, match=f"{name}: no such file; wanted one"):
        check_arrays(path)
    path.write_bytes(content)
    with pytest.raises(InputError, match=match):
        check_arrays(path)


@pytest.mark.parametrize("kind", ["npz", "safetensors", "h5"])
def test_a_file_cut_off_is_said(tmp_path, kind):
    path = saved(tmp_path, arrays_of(width=300), kind)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match=f"mine.{kind}: not a readable .* file"):
        taken(path, tmp_path / "e")


def test_damage_found_while_reading_is_said_and_nothing_is_left(tmp_path):
    path = saved(tmp_path, arrays_of(width=300))
    content = bytearray(path.read_bytes())
    content[content.index(b"P3.npy") + 2000] ^= 1
    path.write_bytes(content)
    assert check_arrays(path) == Held(4, 300)
    with pytest.raises(InputError, match=r"not a readable npz file \(Bad CRC-32"):
        taken(path, tmp_path / "e")
    assert list(tmp_path.iterdir()) == [path]


def test_pickled_objects_are_never_loaded(tmp_path):
    np.savez(tmp_path / "mine.npz", P1=np.array([{"a": 1}], object))
    with pytest.raises(InputError, match="P1 has dtype object; wanted floats"):
        check_arrays(tmp_path / "mine.npz")


def test_groups_and_links_of_hdf5_are_refused(tmp_path):
    with h5py.File(saved(tmp_path, arrays_of(), "h5"), "a") as file:
        file["elsewhere"] = h5py.ExternalLink("other.h5", "/P1")
    with pytest.raises(InputError, match=r"'elsewhere' is a link, not a dataset; wanted one"):
        check_arrays(tmp_path / "mine.h5")
    with h5py.File(tmp_path / "grouped.h5", "w") as file:
        file["P1/layer_33"] = np.zeros((5, 3))
    with pytest.raises(InputError, match=r"grouped\.h5: 'P1' is a group, not a dataset"):
        check_arrays(tmp_path / "grouped.h5")


def test_values_in_another_file_are_refused(tmp_path):
    (tmp_path / "other").write_bytes(np.zeros((5, 3)).tobytes())
    outside = [(str(tmp_path / "other"), 0, h5py.h5f.UNLIMITED)]
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file.create_dataset("P1", (5, 3), float, external=outside)
    with pytest.raises(InputError, match="'P1' is a dataset of values in another file"):
        check_arrays(tmp_path / "mine.h5")
    layout = h5py.VirtualLayout((5, 3), float)
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "P1", (5, 3))
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("P1", layout)
    with pytest.raises(InputError, match="'P1' is a dataset of values in another file"):
        check_arrays(tmp_path / "virtual.h5")


@pytest.mark.parametrize("chunks", [None, (7, 5), (1, 300)])
def test_hdf5_of_many_pieces_is_read_in_one(tmp_path, chunks):
    values = np.random.default_rng(0).normal(size=(9_001, 300)).astype(np.float16)  # 3 pieces
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file.create_dataset("P\u00e9 1", data=values, chunks=chunks, compression=chunks and 1)
    with open_arrays(tmp_path / "mine.h5") as file:
        for _ in range(2):
            np.testing.assert_array_equal(file.read(file.entries[0]), values.astype(np.float32))


def test_an_npz_that_declares_more_than_it_holds_is_refused(tmp_path):
    header = io.BytesIO()
    about = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
    np.lib.format.write_array_header_1_0(header, about)
    for packing in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "mine.npz", "w", packing) as archive:
            archive.writestr("P1.npy", header.getvalue() + bytes(100))
        with pytest.raises(InputError, match=r"mine\.npz: .*declares 4,000,000,000,000 bytes"):
            check_arrays(tmp_path / "mine.npz")


def test_an_hdf5_dataset_that_declares_billions_of_values_is_refused(tmp_path):
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file.create_dataset("P1", (5, 10**9), np.float32, chunks=(1, 1024))  # a file of 1.4 KB
    match = r"mine\.h5: P1 declares 5 residues x 1,000,000,000 values, over 2 GiB"
    with pytest.raises(InputError, match=match):
        check_arrays(tmp_path / "mine.h5")


SILENT = "import sys, time; sys.stdout.buffer.write(b'r' + bytes(8)); sys.stdout.flush(); {}"
"""A process that says that it started, and then reads as libhdf5 may on damage."""


@pytest.mark.parametrize(
    ("patience", "then", "match"),
    [
        (0.2, "time.sleep(600)", r"HDF5 file \(nothing could be read for 0\.2 seconds\)"),
        (60, "import os; os.abort()", r"HDF5 file \(the library that reads HDF5 crashed on it\)"),
    ],
)
def test_a_library_that_hangs_or_crashes_is_given_up(tmp_path, monkeypatch, patience, then, match):
    script = tmp_path / "reads.py"
    script.write_text(SILENT.format(then))
    monkeypatch.setattr(hdf5.hdf5_process, "__file__", str(script))
    monkeypatch.setattr(hdf5, "PATIENCE", patience)
    with pytest.raises(InputError, match=rf"mine\.h5: not a readable {match}; copy"):
        check_arrays(saved(tmp_path, arrays_of(), "h5"))


def test_a_process_that_does_not_start_is_no_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5.hdf5_process, "__file__", str(tmp_path / "absent.py"))
    with pytest.raises(
        InputError, match=r"mine\.h5: HDF5 .* did not start; try `.*python.* -P -c 'import h5py'`"
    ):
        check_arrays(saved(tmp_path, arrays_of(), "h5"))


def test_a_check_reads_no_values(tmp_path, monkeypatch):
    path = saved(tmp_path, arrays_of(), "h5")
    monkeypatch.setattr(array_files._Hdf5, "read", lambda *_: pytest.fail("a value was read"))
    assert check_arrays(path) == Held(4, 3)
    with open_arrays(path) as file:
        assert [(e.name, e.shape) for e in file.entries][:2] == [("P1", (5, 3)), ("P2", (1, 3))]
