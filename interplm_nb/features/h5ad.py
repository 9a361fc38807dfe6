"""Activations as an AnnData file (.h5ad), written in parts: residues are observations."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from interplm_nb.activations import ORIGIN, FeatureActivations
from interplm_nb.saving import atomic_path

_CHUNK = 2**18
_ENTRIES = 2**22
"""Entries that are held at a time."""


def write_h5ad(
    activations: FeatureActivations, path: Path, accessions: Collection[str] | None = None
) -> None:
    """Write activations as AnnData reads them, with little memory however many residues there are.

    Rows are residues, named `accession:position`, with the columns accession and position;
    columns are features. `uns["interplm_nb"]` has the unit, the PLM, its layer and the SAE. The
    package anndata is not needed to write; `anndata.read_h5ad(path, backed="r")` reads in parts.

    Parameters
    ----------
    activations
        In either unit.
    path
        The file, which appears when it is whole.
    accessions
        The proteins to write, in the order of the residue axis; None: all.

    Raises
    ------
    KeyError
        For an accession that is not on the residue axis.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> proteins = ipn.Proteins.from_sequences({"P1": "MKV", "P2": "GA"})
    >>> values = np.array([[0, 2], [0, 4], [0, 0], [1, 0], [0, 1]])
    >>> write_h5ad(ipn.FeatureActivations.from_dense(values, proteins), Path("mine.h5ad"))
    >>> with h5py.File("mine.h5ad") as file:
    ...     file["X"].attrs["shape"].tolist(), file["obs/residue"].asstr()[3]
    ([5, 2], 'P2:1')
    """
    proteins = activations.proteins
    chosen = (
        np.arange(len(proteins))
        if accessions is None
        else np.unique([proteins.index(accession) for accession in accessions]).astype(np.int64)
    )
    with atomic_path(path) as draft, h5py.File(draft, "w") as file:
        _encoded(file, "anndata", "0.1.0")
        for name in ("layers", "obsm", "obsp", "varm", "varp"):
            _encoded(file.create_group(name), "dict", "0.1.0")
        _write_values(file, activations, [proteins.accessions[i] for i in chosen])
        _write_residues(file, activations, chosen)
        features = _frame(file, "var", "feature", [])
        names = np.arange(activations.n_features).astype("U").astype(object)
        _strings(features, "feature", names)
        _write_about(file, activations)


def _write_values(
    file: h5py.File, activations: FeatureActivations, accessions: Collection[str]
) -> None:
    matrix = _encoded(file.create_group("X"), "csr_matrix", "0.1.0")
    data, indices = _growing(matrix, "data", np.float32), _growing(matrix, "indices", np.int32)
    ends = _growing(matrix, "indptr", np.int64)
    _append(ends, np.zeros(1, np.int64))
    done = n_rows = 0
    residues = max(1, int(_ENTRIES / max(1.0, activations.mean_l0())))
    for block in activations.blocks(accessions, residues):
        _append(data, block.values.data)
        _append(indices, block.values.indices)
        _append(ends, block.values.indptr[1:].astype(np.int64) + done)
        done, n_rows = done + block.values.nnz, n_rows + len(block.values.indptr) - 1
    matrix.attrs["shape"] = np.array([n_rows, activations.n_features], np.int64)


def _write_residues(file: h5py.File, activations: FeatureActivations, chosen: np.ndarray) -> None:
    """The name of each residue, its accession and its position."""
    proteins, lengths = activations.proteins, activations.proteins.lengths
    frame = _frame(file, "obs", "residue", ["accession", "position"])
    names = _growing(frame, "residue", h5py.string_dtype())
    _encoded(names, "string-array", "0.2.0")
    positions = _encoded(_growing(frame, "position", np.int32), "array", "0.2.0")
    kinds = _encoded(frame.create_group("accession"), "categorical", "0.2.0")
    kinds.attrs["ordered"] = False
    accessions = np.array([proteins.accessions[i] for i in chosen], object)
    _strings(kinds, "categories", accessions)
    codes = _encoded(_growing(kinds, "codes", np.int32), "array", "0.2.0")
    step = 1_000
    for first in range(0, len(chosen), step):
        part = lengths[chosen[first : first + step]]
        code = np.repeat(np.arange(first, first + len(part), dtype=np.int32), part)
        position = np.concatenate([np.arange(1, n + 1, dtype=np.int32) for n in part])
        _append(codes, code)
        _append(positions, position)
        of = zip(code.tolist(), position.tolist(), strict=True)
        _append(names, np.array([f"{accessions[i]}:{at}" for i, at in of], object))


def _write_about(file: h5py.File, activations: FeatureActivations) -> None:
    about = _encoded(file.create_group("uns"), "dict", "0.1.0").create_group("interplm_nb")
    _encoded(about, "dict", "0.1.0")
    said = {"unit": activations.unit} | {name: activations.about.get(name) for name in ORIGIN}
    for name, value in said.items():
        if isinstance(value, str):
            _encoded(about.create_dataset(name, data=value), "string", "0.2.0")
        elif value is not None:
            _encoded(about.create_dataset(name, data=value), "numeric-scalar", "0.2.0")


def _frame(file: h5py.File, name: str, index: str, columns: list[str]) -> h5py.Group:
    group = _encoded(file.create_group(name), "dataframe", "0.2.0")
    group.attrs["_index"] = index
    group.attrs.create("column-order", np.array(columns, object), dtype=h5py.string_dtype())
    return group


def _strings(group: h5py.Group, name: str, values: np.ndarray) -> None:
    made = group.create_dataset(name, data=values, dtype=h5py.string_dtype())
    _encoded(made, "string-array", "0.2.0")


def _growing(group: h5py.Group, name: str, dtype: Any) -> h5py.Dataset:
    return group.create_dataset(
        name, (0,), dtype, maxshape=(None,), chunks=(_CHUNK,), compression="gzip",
        compression_opts=1, shuffle=True,
    )  # fmt: skip


def _append(dataset: h5py.Dataset, values: np.ndarray) -> None:
    start = dataset.shape[0]
    dataset.resize(start + len(values), 0)
    dataset[start:] = values


def _encoded(made: Any, kind: str, version: str) -> Any:
    """AnnData's own words for what a group or a dataset is."""
    made.attrs["encoding-type"], made.attrs["encoding-version"] = kind, version
    return made
