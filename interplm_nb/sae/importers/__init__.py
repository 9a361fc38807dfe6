"""Others' SAEs, read into this package's `SAE`: a reader per format, chosen by what a file holds, never by its name.

Where no reader fits, or several do, the file is refused with what was found and what each format wants. What a file does not say is asked for.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.importers import (
    dictionary_learning,
    esmc,
    interplm,
    interprot,
    reticular,
    saelens,
    sparsify,
)
from interplm_nb.sae.importers.given import Given, Reading
from interplm_nb.sae.importers.tensors import WEIGHT_SUFFIXES, Found, find, read_config
from interplm_nb.sae.importers.widths import check_width
from interplm_nb.sae.model import SAE

__all__ = ["FORMATS", "Given", "read"]


class Reader(Protocol):
    """A module that reads one format."""

    @property
    def NAME(self) -> str:  # noqa: N802
        """Name of the format."""
        ...

    @property
    def WANTS(self) -> str:  # noqa: N802
        """What a file of this format has, in a line."""
        ...

    @property
    def TAKES(self) -> frozenset[str]:  # noqa: N802
        """What the user may say beside plm, layer and hook."""
        ...

    def mismatch(self, found: Found, given: Given) -> str:
        """Why this is no file of the format; empty where it is one."""
        ...

    def read(self, found: Found, given: Given) -> Reading:
        """The SAE and what the file says of where it belongs."""
        ...


_READERS: tuple[Reader, ...] = (
    interplm,
    interprot,
    reticular,
    saelens,
    dictionary_learning,
    esmc,
    sparsify,
)
FORMATS = tuple(reader.NAME for reader in _READERS)


def read(
    path: Path,
    given: Given | None = None,
    *,
    sha256: str | None = None,
    plm_revision: str = "",
    repository: str = "",
    revision: str = "",
) -> SAE:
    """Read another project's SAE from its weights file, or from a folder with one; on the CPU, in eval mode, with `about` set.

    `given` says what the file does not; `sha256` is the checksum that it must have; `repository` and `revision` say where it was downloaded, for
    `about.origin`. ValueError for a file that is of no known format or of several, unsafe, damaged, not what the user says, or that leaves something
    unsaid; FileNotFoundError.
    """
    given = given or Given()
    found = find(_weights_file(Path(path), given), sha256)
    reader = _chosen(found, given)
    strange = sorted(given.said().keys() - {"plm", "layer", "hook"} - reader.TAKES)
    if strange:
        raise ValueError(
            f"{found.path}: {', '.join(strange)} cannot be said of an SAE of format {reader.NAME}; leave it out"
        )
    sae, says = _reading(reader, found, given)
    settled = given.settle(found.path, {name: says.get(name) for name in ("plm", "layer", "hook")})
    check_width(found.path, settled["plm"], settled["layer"], sae.d_in)
    _check_said(found.path, given, sae)
    origin = {"format": reader.NAME, "file": found.path.name, "sha256": found.sha256}
    origin |= {
        name: value for name, value in (("repository", repository), ("revision", revision)) if value
    }
    sae.about = SAEAbout(
        plm_revision=says.get("plm_revision") or plm_revision,
        recipe="imported",
        origin=origin,
        **settled,
    )
    return sae.eval()


def _reading(reader: Reader, found: Found, given: Given) -> Reading:
    """A JSON or a tensor of another kind than the format has raises what it happens to break; that is a damaged file."""
    try:
        return reader.read(found, given)
    except ValueError as error:
        if found.path.name in str(error):
            raise
        raise ValueError(f"{found.path}: {error}") from error  # such as an architecture's own
    except (TypeError, AttributeError, LookupError, RuntimeError) as error:
        raise ValueError(
            f"{found.path}: damaged, or not what {reader.NAME} writes ({error}). Found: {found.outline()}"
        ) from error


def _weights_file(path: Path, given: Given) -> Path:
    """`path`, or the one weights file of a folder; of Biohub's folders the layer's."""
    if not path.is_dir():
        return path
    config = path / "config.json"
    stated = read_config(config) if config.is_file() else {}
    if stated.get("type") == "SAE":
        raise ValueError(
            f"{path} is an SAE of this package already: interplm_nb.sae.checkpoint.load reads it"
        )
    files = sorted(p for p in path.iterdir() if p.suffix in WEIGHT_SUFFIXES)
    if stated.get("model_type") == esmc.MODEL_TYPE and given.layer is not None:
        files = [
            p for p in files if re.fullmatch(rf"layer_0*{given.layer}\.safetensors", p.name)
        ] or files
    if len(files) == 1:
        return files[0]
    said = (
        f"{len(files)} weights files, {', '.join(p.name for p in files[:8])}; name one of them"
        if files
        else "no weights file"
    )
    raise ValueError(
        f"{path}: this folder has {said} (a weights file ends in {', '.join(WEIGHT_SUFFIXES)})"
    )


def _chosen(found: Found, given: Given) -> Reader:
    if given.format is not None and given.format not in FORMATS:
        raise ValueError(f"no format {given.format!r}; there are {', '.join(FORMATS)}")
    asked = [reader for reader in _READERS if given.format in (None, reader.NAME)]
    reasons = {reader.NAME: _mismatch(reader, found, given) for reader in asked}
    fitting = [reader for reader in asked if not reasons[reader.NAME]]
    if len(fitting) == 1:
        return fitting[0]
    raise ValueError(_refusal(found, asked, fitting, reasons))


def _mismatch(reader: Reader, found: Found, given: Given) -> str:
    try:
        return reader.mismatch(found, given)
    except (TypeError, AttributeError, LookupError) as error:
        return f"a JSON beside it that no one of its kind has ({error})"


def _refusal(
    found: Found, asked: Sequence[Reader], fitting: Sequence[Reader], reasons: dict[str, str]
) -> str:
    if fitting:
        names = ", ".join(reader.NAME for reader in fitting)
        return f"{found.path}: fits several formats ({names}); say which with format= (--format). Found: {found.outline()}"
    wants = "\n".join(
        f"  {reader.NAME}: {reasons[reader.NAME]}; wants {reader.WANTS}" for reader in asked
    )
    return f"{found.path}: of no known format. Found: {found.outline()}.\n{wants}"


def _check_said(path: Path, given: Given, sae: SAE) -> None:
    """What the user said of the architecture is what came out."""
    kind = sae.architecture
    k = getattr(kind, "k", None)
    if given.architecture not in (None, kind.name) or given.k not in (None, k):
        said = f"architecture {given.architecture or kind.name!r}" + (
            f", k {given.k}" if given.k is not None else ""
        )
        raise ValueError(
            f"{path}: the file says architecture {kind.name!r}{'' if k is None else f', k {k}'}; you say {said}"
        )
    if given.threshold is not None and kind.calibrated_k is None:
        raise ValueError(
            f"{path}: a threshold cannot be said of an SAE of architecture {kind.name!r}; leave it out"
        )
