"""Convert an SAE of any known format to another."""

from pathlib import Path

from interplm_nb.sae import checkpoint, importers
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.exporters import to_interplm, to_saelens
from interplm_nb.sae.importers.given import Given
from interplm_nb.sae.importers.tensors import read_config
from interplm_nb.sae.model import SAE

TARGETS = ("interplm-nb", "interplm", "saelens")


def convert(path: Path, out: Path, to: str, given: Given, sha256: str | None = None) -> str:
    """Read an SAE of this package or another project and write it to the folder `out` in format
    `to` (one of TARGETS); returns a text that says what was read and written.

    ValueError as in `importers.read` and `exporters`, and for a folder that is not empty.
    """
    check_out(out, to)
    return written(opened(path, given, sha256), out, to)


def opened(path: Path, given: Given, sha256: str | None = None) -> SAE:
    """Read an SAE from a folder of this package, or from another project's file or folder
    (`importers.read`); `given` says what the files do not.

    ValueError as in `importers.read`, for weights whose checksum is not `sha256`, and, for this
    package's own SAE, where `given` says more than PLM and layer, or another PLM or layer.
    """
    config = path / checkpoint.CONFIG
    if not (path.is_dir() and config.is_file() and read_config(config).get("type") == "SAE"):
        return importers.read(path, given, sha256=sha256)
    strange = sorted(given.said().keys() - {"plm", "layer"})
    if strange:
        raise ValueError(
            f"{path} is an SAE of this package and says itself what it is; leave "
            f"{', '.join(strange)} out"
        )
    if sha256 is not None:
        importers.find(path / checkpoint.WEIGHTS, sha256)
    return checkpoint.load(path, plm=given.plm, layer=given.layer)


def check_out(out: Path, to: str = TARGETS[0]) -> None:
    """ValueError for an unknown format, and for a folder that holds something."""
    if to not in TARGETS:
        raise ValueError(f"cannot write format {to!r}; take one of {', '.join(TARGETS)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists already; give another folder (--out)")


def written(sae: SAE, out: Path, to: str = TARGETS[0]) -> str:
    """Write an SAE that says where it belongs; returns a text on what was written."""
    assert sae.about is not None, "what was read says where it belongs"
    if to == "interplm-nb":
        checkpoint.save(sae, out, sae.about)
        files = [out / checkpoint.WEIGHTS, out / checkpoint.CONFIG]
    else:
        files = to_interplm(sae, out) if to == "interplm" else to_saelens(sae, out)
    return "\n".join([_summary(sae, sae.about), *(str(path) for path in sorted(files))])


def _summary(sae: SAE, about: SAEAbout) -> str:
    where = f"{about.plm}, layer {about.layer}, hook {about.hook}"
    origin = f", from {about.origin['format']}" if "format" in about.origin else ""
    revision = f" at {about.origin['revision']}" if "revision" in about.origin else ""
    return (
        f"SAE of {where}: {sae.architecture.name}, {sae.d_in} inputs, {sae.d_sae} features in unit "
        f"{sae.unit}{origin}{revision}"
    )
