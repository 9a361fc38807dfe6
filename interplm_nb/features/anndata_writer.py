"""Activations as AnnData (.h5ad or .zarr), written in parts: residues are observations."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np

from interplm_nb.activations import ORIGIN, FeatureActivations
from interplm_nb.saving import atomic_path

_CHUNK = 2**18
_ENTRIES = 2**22
"""Entries that are held at a time."""


def write_anndata(
    activations: FeatureActivations, path: Path, accessions: Collection[str] | None = None
) -> None:
    """Write activations as AnnData reads them, with little memory however many residues there are.

    Rows are residues, named `accession:position`, with the columns accession and position;
    columns are features. `uns["interplm_nb"]` has the unit, the PLM, its layer and the SAE. The
    package anndata is not needed to write; `anndata.read_h5ad(path, backed="r")` and
    `anndata.experimental.read_lazy(path)` read in parts.

    Parameters
    ----------
    activations
        In either unit.
    path
        `.h5ad`: one file. `.zarr`: a folder (format 2), which object stores serve in parts; needs
        the package zarr. Either appears when it is whole.
    accessions
        The proteins to write, in the order of the residue axis; None: all.

    Raises
    ------
    ValueError
        For a path with another ending.
    ModuleNotFoundError
        For `.zarr` without the package zarr, with the command that installs it.
    KeyError
        For an accession that is not on the residue axis.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> proteins = ipn.Proteins.from_sequences({"P1": "MKV", "P2": "GA"})
    >>> values = np.array([[0, 2], [0, 4], [0, 0], [1, 0], [0, 1]])
    >>> write_anndata(ipn.FeatureActivations.from_dense(values, proteins), Path("mine.h5ad"))
    >>> with h5py.File("mine.h5ad") as file:
    ...     file["X"].attrs["shape"].tolist(), file["obs/residue"].asstr()[3]
    ([5, 2], 'P2:1')
    """
    formats = {".h5ad": _hdf5, ".zarr": _zarr}
    if path.suffix not in formats:
        raise ValueError(f"AnnData is written to a path that ends in .h5ad or .zarr, not {path}")
    proteins = activations.proteins
    chosen = (
        np.arange(len(proteins))
        if accessions is None
        else np.unique([proteins.index(accession) for accession in accessions]).astype(np.int64)
    )
    with atomic_path(path) as draft, formats[path.suffix](draft) as (root, arrays):
        _encoded(root, "anndata", "0.1.0")
        for name in ("layers", "obsm", "obsp", "varm", "varp"):
            _encoded(root.create_group(name), "dict", "0.1.0")
        _write_values(root, arrays, activations, [proteins.accessions[i] for i in chosen])
        _write_residues(root, arrays, activations, chosen)
        features = _frame(root, arrays, "var", "feature", [])
        names = np.arange(activations.n_features).astype("U").astype(object)
        _write_strings(features, arrays, "feature", names)
        _write_about(root, arrays, activations)


class _Arrays(Protocol):
    """What HDF5 and zarr do each in their own way."""

    def growing(self, group: Any, name: str, dtype: Any) -> Any:
        """An empty array that `append` extends; dtype str: text."""

    def append(self, array: Any, values: np.ndarray) -> None:
        """Values at the array's end."""

    def scalar(self, group: Any, name: str, value: str | float) -> Any:
        """An array without axes."""

    def names(self, group: Any, key: str, names: list[str]) -> None:
        """A list of names as an attribute."""


class _Hdf5Arrays(_Arrays):
    def growing(self, group: h5py.Group, name: str, dtype: Any) -> h5py.Dataset:
        kind = h5py.string_dtype() if dtype is str else dtype
        return group.create_dataset(
            name, (0,), kind, maxshape=(None,), chunks=(_CHUNK,), compression="gzip",
            compression_opts=1, shuffle=True,
        )  # fmt: skip

    def append(self, array: h5py.Dataset, values: np.ndarray) -> None:
        start = array.shape[0]
        array.resize(start + len(values), 0)
        array[start:] = values

    def scalar(self, group: h5py.Group, name: str, value: str | float) -> h5py.Dataset:
        return group.create_dataset(name, data=value)

    def names(self, group: h5py.Group, key: str, names: list[str]) -> None:
        group.attrs.create(key, np.array(names, object), dtype=h5py.string_dtype())


class _ZarrArrays(_Arrays):
    def growing(self, group: Any, name: str, dtype: Any) -> Any:
        return group.create_array(name, shape=(0,), dtype=dtype, chunks=(_CHUNK,))

    def append(self, array: Any, values: np.ndarray) -> None:
        array.append(values)

    def scalar(self, group: Any, name: str, value: str | float) -> Any:
        made = group.create_array(name, shape=(), dtype=type(value))
        made[()] = value
        return made

    def names(self, group: Any, key: str, names: list[str]) -> None:
        group.attrs[key] = names


@contextmanager
def _hdf5(draft: Path) -> Iterator[tuple[Any, _Arrays]]:
    with h5py.File(draft, "w") as file:
        yield file, _Hdf5Arrays()


@contextmanager
def _zarr(draft: Path) -> Iterator[tuple[Any, _Arrays]]:
    try:
        import zarr
    except ModuleNotFoundError as error:
        said = "zarr files need the package zarr: pip install 'interplm-nb[anndata]'"
        raise ModuleNotFoundError(said, name="zarr") from error
    yield zarr.open_group(draft, mode="w", zarr_format=2), _ZarrArrays()
    # One request for all metadata, not one for each array.
    zarr.consolidate_metadata(str(draft), zarr_format=2)


def _write_values(
    root: Any, arrays: _Arrays, activations: FeatureActivations, accessions: Collection[str]
) -> None:
    matrix = _encoded(root.create_group("X"), "csr_matrix", "0.1.0")
    data = arrays.growing(matrix, "data", np.float32)
    indices = arrays.growing(matrix, "indices", np.int32)
    ends = arrays.growing(matrix, "indptr", np.int64)
    arrays.append(ends, np.zeros(1, np.int64))
    done = n_rows = 0
    residues = max(1, int(_ENTRIES / max(1.0, activations.mean_l0())))
    for block in activations.blocks(accessions, residues):
        arrays.append(data, block.values.data)
        arrays.append(indices, block.values.indices)
        arrays.append(ends, block.values.indptr[1:].astype(np.int64) + done)
        done, n_rows = done + block.values.nnz, n_rows + len(block.values.indptr) - 1
    matrix.attrs["shape"] = [n_rows, activations.n_features]


def _write_residues(
    root: Any, arrays: _Arrays, activations: FeatureActivations, chosen: np.ndarray
) -> None:
    """The name of each residue, its accession and its position."""
    proteins, lengths = activations.proteins, activations.proteins.lengths
    frame = _frame(root, arrays, "obs", "residue", ["accession", "position"])
    names = _encoded(arrays.growing(frame, "residue", str), "string-array", "0.2.0")
    positions = _encoded(arrays.growing(frame, "position", np.int32), "array", "0.2.0")
    kinds = _encoded(frame.create_group("accession"), "categorical", "0.2.0")
    kinds.attrs["ordered"] = False
    accessions = np.array([proteins.accessions[i] for i in chosen], object)
    _write_strings(kinds, arrays, "categories", accessions)
    codes = _encoded(arrays.growing(kinds, "codes", np.int32), "array", "0.2.0")
    step = 1_000
    for first in range(0, len(chosen), step):
        part = lengths[chosen[first : first + step]]
        code = np.repeat(np.arange(first, first + len(part), dtype=np.int32), part)
        position = np.concatenate([np.arange(1, n + 1, dtype=np.int32) for n in part])
        arrays.append(codes, code)
        arrays.append(positions, position)
        of = zip(code.tolist(), position.tolist(), strict=True)
        arrays.append(names, np.array([f"{accessions[i]}:{at}" for i, at in of], object))


def _write_about(root: Any, arrays: _Arrays, activations: FeatureActivations) -> None:
    about = _encoded(root.create_group("uns"), "dict", "0.1.0").create_group("interplm_nb")
    _encoded(about, "dict", "0.1.0")
    said = {"unit": activations.unit} | {name: activations.about.get(name) for name in ORIGIN}
    for name, value in said.items():
        if value is not None:
            kind = "string" if isinstance(value, str) else "numeric-scalar"
            _encoded(arrays.scalar(about, name, value), kind, "0.2.0")


def _frame(root: Any, arrays: _Arrays, name: str, index: str, columns: list[str]) -> Any:
    group = _encoded(root.create_group(name), "dataframe", "0.2.0")
    group.attrs["_index"] = index
    arrays.names(group, "column-order", columns)
    return group


def _write_strings(group: Any, arrays: _Arrays, name: str, values: np.ndarray) -> None:
    made = _encoded(arrays.growing(group, name, str), "string-array", "0.2.0")
    arrays.append(made, values)


def _encoded(made: Any, kind: str, version: str) -> Any:
    """AnnData's own words for what a group or an array is."""
    made.attrs["encoding-type"], made.attrs["encoding-version"] = kind, version
    return made
