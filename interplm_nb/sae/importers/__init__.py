"""Others' SAEs, read into this package's `SAE`: a reader per format, chosen by a file's content,
never by its name.

Where no reader fits, or several do, the refusal says what was found and what each format wants.
What a file does not say has to be given.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
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
from interplm_nb.sae.importers.assembly import refuse_non_finite
from interplm_nb.sae.importers.given import Given, Reading, plm_name
from interplm_nb.sae.importers.tensors import (
    WEIGHT_SUFFIXES,
    Found,
    find,
    read_config,
    weights_among,
)
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
        """What the user may say besides plm, layer and hook."""
        ...

    def mismatch(self, found: Found, given: Given) -> str:
        """Why this is not a file of the format; empty where it is."""
        ...

    def read(self, found: Found, given: Given) -> Reading:
        """The SAE, and what the file says about where it belongs."""
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
    """Read another project's SAE.

    Parameters
    ----------
    path
        Its weights file, or a folder with one.
    given
        What the file does not say.
    sha256
        The checksum that the file must have.
    plm_revision
        `sha256:...` of the PLM's weights, where known.
    repository, revision
        Where it was downloaded, for `about.origin`.

    Returns
    -------
    SAE
        On the CPU, in eval mode, with `about` set.

    Raises
    ------
    ValueError
        For a file of no known format or of several, or that is unsafe, damaged, not what the user
        says, or incomplete without more from the user.
    FileNotFoundError
        For a missing file.

    Examples
    --------
    >>> import tempfile, torch
    >>> weights = {
    ...     "bias": torch.zeros(2),
    ...     "encoder.weight": torch.eye(2),
    ...     "encoder.bias": torch.zeros(2),
    ...     "decoder.weight": torch.eye(2),
    ... }
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save(weights, Path(folder) / "ae.pt")
    ...     sae = read(Path(folder), Given(plm="my-plm", layer=3))
    >>> sae.architecture, sae.about.origin["format"]
    (ReLU(), 'interplm')
    """
    given = given or Given()
    given = replace(given, plm=plm_name(given.plm))
    found = find(_weights_file(Path(path), given), sha256)
    reader = _chosen(found, given)
    strange = sorted(given.said().keys() - {"plm", "layer", "hook"} - reader.TAKES)
    if strange:
        raise ValueError(
            f"{found.path}: {', '.join(strange)} cannot be given for an SAE of format "
            f"{reader.NAME}; leave it out"
        )
    sae, says = _reading(reader, found, given)
    settled = given.settle(found.path, {name: says.get(name) for name in ("plm", "layer", "hook")})
    refuse_non_finite(sae.weights(), found.path)  # scaling may have made them so
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
    """Read the file; whatever an unexpected JSON or tensor raises means that it is damaged."""
    try:
        return reader.read(found, given)
    except ValueError as error:
        if found.path.name in str(error):
            raise
        raise ValueError(f"{found.path}: {error}") from error  # such as from an architecture
    except (TypeError, AttributeError, LookupError, RuntimeError) as error:
        raise ValueError(
            f"{found.path}: damaged, or not what {reader.NAME} writes ({error}). Found: "
            f"{found.outline()}"
        ) from error


def _weights_file(path: Path, given: Given) -> Path:
    """`path`, or the only weights file of a folder; in Biohub's folders, the file of the layer."""
    if not path.is_dir():
        return path
    config = path / "config.json"
    stated = read_config(config) if config.is_file() else {}
    if stated.get("type") == "SAE":
        raise ValueError(
            f"{path} is an SAE of this package already: interplm_nb.sae.checkpoint.load reads it"
        )
    if "num_hidden_layers" in stated:
        raise ValueError(
            f"{path} is a language model of type {stated.get('model_type')!r}, by its config.json, "
            "not an SAE; it can be a run's PLM (-p embed.plm=...), or name the SAE's file"
        )
    files = [path / name for name in weights_among(p.name for p in path.iterdir())]
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
        raise ValueError(f"unknown format {given.format!r}; take one of {', '.join(FORMATS)}")
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
        return f"an unexpected JSON next to it ({error})"


def _refusal(
    found: Found, asked: Sequence[Reader], fitting: Sequence[Reader], reasons: dict[str, str]
) -> str:
    if fitting:
        names = ", ".join(reader.NAME for reader in fitting)
        return (
            f"{found.path}: fits several formats ({names}); choose one with format= (--format). "
            f"Found: {found.outline()}"
        )
    wants = "\n".join(
        f"  {reader.NAME}: {reasons[reader.NAME]}; wants {reader.WANTS}" for reader in asked
    )
    return f"{found.path}: unknown format. Found: {found.outline()}.\n{wants}"


def _check_said(path: Path, given: Given, sae: SAE) -> None:
    """Refuse an SAE that is not of the architecture, k or threshold that the user said."""
    kind = sae.architecture
    k = getattr(kind, "k", None)
    if given.architecture not in (None, kind.name) or given.k not in (None, k):
        said = f"architecture {given.architecture or kind.name!r}" + (
            f", k {given.k}" if given.k is not None else ""
        )
        raise ValueError(
            f"{path}: the file says architecture {kind.name!r}{'' if k is None else f', k {k}'}; "
            f"you say {said}"
        )
    if given.threshold is not None and kind.calibrated_k is None:
        raise ValueError(
            f"{path}: an SAE of architecture {kind.name!r} has no threshold to give; leave it out"
        )
