"""Readers of binary files: embeddings, structures, others' SAEs, models."""

import gzip
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np
import safetensors.numpy
import torch
from biotite.structure.info import one_letter_code
from biotite.structure.io import pdbx
from safetensors.torch import save
from torch import Tensor

from interplm_nb.plm import checkpoints, unirep_weights
from interplm_nb.proteins import Proteins
from interplm_nb.readers import hdf5
from interplm_nb.readers.arrays import check_arrays, embeddings_from
from interplm_nb.readers.residue_mapping import residue_numbers
from interplm_nb.readers.structures import Structure
from interplm_nb.sae import importers
from interplm_nb.sae.importers import Given
from interplm_nb.sae.model import SAE
from tests.fuzz.mutations import BYTES, TEXT, number
from tests.fuzz.ring import Fuzzed
from tests.plm.test_checkpoints import official_state, write_official
from tests.plm.test_esm2_transformers import settings as transformers_settings
from tests.plm.test_esm2_transformers import theirs
from tests.plm.tiny_unirep import random_arrays
from tests.plm.toy_esm2 import random_weights
from tests.readers.made_structures import SEQUENCE, mmcif, pdb_lines, residues
from tests.sae.importers.test_damage import FILES

PROTEINS = Proteins.from_sequences({"P1": "MKTAY", "P2": "ACD"})
ARRAYS = {
    name: np.random.default_rng(0).normal(size=(n, 6)).astype(np.float32)
    for name, n in (("P1", 5), ("P2", 3))
}
BINARY = (*BYTES, number)


def _embeddings(path: Path) -> np.ndarray:
    check_arrays(path)
    with tempfile.TemporaryDirectory() as folder:
        found = embeddings_from(path, PROTEINS, Path(folder) / "e", layer=1, progress=False)
        return np.array(found[:])


def _embeddings_hdf5(path: Path) -> np.ndarray:
    with patch.object(hdf5, "PATIENCE", 5.0):  # else a file that libhdf5 hangs on takes a minute
        return _embeddings(path)


def _same_npz(path: Path, found: np.ndarray) -> None:
    with zipfile.ZipFile(path) as archive:
        names = {name.removesuffix(".npy"): name for name in archive.namelist()}
        arrays = [np.load(io.BytesIO(archive.read(names[name]))) for name in ("P1", "P2")]
    assert np.array_equal(found, np.concatenate(arrays).astype(np.float32))


def _same_safetensors(path: Path, found: np.ndarray) -> None:
    arrays = safetensors.numpy.load_file(path)
    assert np.array_equal(found, np.concatenate([arrays["P1"], arrays["P2"]]))


def _same_hdf5(path: Path, found: np.ndarray) -> None:
    with h5py.File(path, "r") as file:
        arrays: Any = {d.attrs.get("original_id", n): d[()] for n, d in file.items()}
    arrays = {a.decode() if isinstance(a, bytes) else a: array for a, array in arrays.items()}
    assert np.array_equal(found, np.concatenate([arrays["P1"], arrays["P2"]]))


def _npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _npz_packed(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _hdf5(compression: str | None = None) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for i, (name, array) in enumerate(ARRAYS.items()):
            key = name if compression is None else str(i)
            file.create_dataset(key, data=array, compression=compression)
            file[key].attrs["original_id"] = name
    return stream.getvalue()


CHAIN = residues(SEQUENCE)


def _structure(path: Path, sequence: str = SEQUENCE) -> Structure:
    return Structure.by_alignment(path, "P1", sequence)


def _same_pdb(path: Path, found: Structure) -> None:
    """Each mapped number stands in the file's atoms, by columns."""
    data = path.read_bytes()
    data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    text = data.decode("utf-8", "replace")
    lines = [line for line in re.split("[\r\n]+", text) if line[:6] in ("ATOM  ", "HETATM")]
    numbers = {line[22:27].strip() for line in lines}
    odd = [number for number in numbers if not number.isdigit()]
    assert odd or {*found.positions} <= numbers
    _fits(path, found)


def _fits(_: Path, found: Structure) -> None:
    """Each mapped residue is the amino acid at its position, unless its atoms do not agree."""
    atoms: Any = found.atoms
    names: dict[str, set[str]] = {}
    for place, name in zip(residue_numbers(atoms), atoms.res_name.tolist(), strict=True):
        names.setdefault(place, set()).add(name)
    for place, position in found.positions.items():
        if len(names[place]) == 1:
            assert one_letter_code(*names[place]) == SEQUENCE[position - 1]
    assert len(set(found.positions.values())) == len(found.positions)


def _bcif() -> bytes:
    block = pdbx.CIFFile.read(io.StringIO(mmcif(CHAIN)))["x"]
    columns = {name: column.as_array(str) for name, column in block["atom_site"].items()}
    category = pdbx.BinaryCIFCategory(columns)
    packed = io.BytesIO()
    file = pdbx.BinaryCIFFile({"x": pdbx.BinaryCIFBlock({"atom_site": category})})
    compressed: Any = pdbx.compress(file)
    compressed.write(packed)
    return packed.getvalue()


def _sae_file(tensors: Mapping[str, Tensor], pickled: bool) -> bytes:
    if not pickled:
        return save({name: value.contiguous() for name, value in tensors.items()})
    stream = io.BytesIO()
    torch.save(dict(tensors), stream)
    return stream.getvalue()


def _finite(path: Path, sae: SAE) -> None:
    assert all(value.isfinite().all() for value in sae.weights().values())
    assert sae.about is not None


SAID = {
    "interplm, later": Given("p", 60, "residual", architecture="batchtopk"),
    "interprot": Given("p", 60, "residual", k=5),
    "reticular": Given("p", 60, "residual", input_scale=1.0),
    "saelens": Given(),
    "saelens, ours": Given(),
    "dictionary-learning": Given(layer=4, hook="residual"),
}
"""What the user must say of a format that does not say it."""


def _saes() -> list[Fuzzed]:
    """Per format: its weights damaged, and its JSON."""
    made = []
    for name, (tensors, config, values) in FILES.items():
        files = [_sae_file(tensors, True), _sae_file(tensors, False)]
        beside = {config: json.dumps(values).encode()} if config else {}
        read = partial(_sae, given=SAID.get(name, Given("p", 60, "residual")))
        made.append(
            Fuzzed(f"SAE, {name}", "layer_60.pt", files, read, _finite, BINARY, beside=beside)
        )
        if config:
            other = {"layer_60.pt": files[1]}
            settings = Fuzzed(
                f"SAE, {name}, its JSON", config, [beside[config]], read, _finite, beside=other
            )
            made.append(settings)
    return made


def _sae(path: Path, given: Given) -> SAE:
    return importers.read(path.with_name("layer_60.pt"), given)


def _pt() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_official(Path(folder) / "m.pt", official_state())
        return (Path(folder) / "m.pt").read_bytes()


def _weights_finite(_: Path, found: checkpoints.Checkpoint) -> None:
    assert all(value.isfinite().all() for value in found.weights.values())


def _folder(path: Path) -> checkpoints.Checkpoint:
    return checkpoints.read(path.parent)


STATE = save({name: value.contiguous() for name, value in theirs(random_weights()).items()})
CONFIG = json.dumps(transformers_settings()).encode()

READERS = [
    Fuzzed(
        "embeddings, npz",
        "e.npz",
        [_npz(**ARRAYS), _npz_packed(**ARRAYS)],
        _embeddings,
        _same_npz,
        BINARY,
    ),
    Fuzzed(
        "embeddings, safetensors",
        "e.safetensors",
        [safetensors.numpy.save(ARRAYS)],
        _embeddings,
        _same_safetensors,
        BINARY,
    ),
    Fuzzed(
        "embeddings, HDF5",
        "e.h5",
        [_hdf5(), _hdf5("gzip")],
        _embeddings_hdf5,
        _same_hdf5,
        BINARY,
        longer=10,
    ),
    Fuzzed(
        "structure, PDB",
        "x.pdb",
        ["\n".join([*pdb_lines(CHAIN), "TER", "END", ""]).encode()],
        _structure,
        _same_pdb,
        compress=True,
    ),
    Fuzzed("structure, mmCIF", "x.cif", [mmcif(CHAIN).encode()], _structure, _fits, compress=True),
    Fuzzed("structure, BinaryCIF", "x.bcif", [_bcif()], _structure, _fits, BYTES),
    *_saes(),
    Fuzzed("ESM-2, .pt", "m.pt", [_pt()], checkpoints.read, _weights_finite, BINARY),
    Fuzzed(
        "ESM-2, transformers' weights",
        "model.safetensors",
        [STATE],
        _folder,
        _weights_finite,
        BINARY,
        beside={"config.json": CONFIG},
    ),
    Fuzzed(
        "ESM-2, transformers' JSON",
        "config.json",
        [CONFIG],
        _folder,
        _weights_finite,
        TEXT,
        beside={"model.safetensors": STATE},
    ),
    Fuzzed(
        "UniRep, npz",
        "u.npz",
        [_npz(**random_arrays(8, 1)), _npz_packed(**random_arrays(4, 2))],
        unirep_weights.read_npz,
        None,
        BINARY,
    ),
]
