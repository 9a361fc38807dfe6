"""What a weights file is, by its first bytes and never by its name."""

import zipfile
from pathlib import Path
from typing import Literal

Kind = Literal["safetensors", "pickled"]
"""safetensors, or what torch.save wrote."""

_POINTER = b"version https://git-lfs"
_OTHERS = (
    (b"\x89HDF", "an HDF5 file, as Keras saves weights"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"GGUF", "a GGUF file"),
    (b"\x1f\x8b", "a gzip archive: unpack it"),
    (b"\xfd7zXZ", "an xz archive: unpack it"),
)


def kind_of(path: Path) -> Kind | None:
    """The kind of a weights file; None where its first bytes say nothing.

    ValueError, with what the file is, for one that replaces weights (a git-lfs pointer, a web
    page, nothing) or is of another kind.
    """
    with path.open("rb") as stream:
        head = stream.read(200)
    if reason := stand_in(head):
        raise ValueError(f"{path}: {reason}")
    if head[8:9] == b"{":
        return "safetensors"
    if head[:2] == b"PK" and (found := _archive(path)):
        raise ValueError(f"{path}: {found}, wanted weights as .safetensors or as torch.save writes")
    if head[:2] == b"PK" or head[:1] == b"\x80":
        return "pickled"
    other = next((name for start, name in _OTHERS if head.startswith(start)), None)
    if other:
        raise ValueError(f"{path}: {other}; wanted weights as .safetensors or as torch.save writes")
    return None


def stand_in(head: bytes) -> str:
    """What a file really is, by its first bytes, and what to do; else empty.

    Examples
    --------
    >>> stand_in(b"version https://git-lfs.github.com/spec/v1")
    "a git-lfs pointer, not the file itself; run 'git lfs pull' there, or download the file"
    """
    if not head:
        return "an empty file; download it again"
    if head.startswith(_POINTER):
        return (
            "a git-lfs pointer, not the file itself; run 'git lfs pull' there, or download the file"
        )
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        return "a web page, not the file itself; download the file"
    return ""


def _archive(path: Path) -> str:
    """What a zip archive without torch's data.pkl is; empty for torch's, or where it is cut off."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return ""
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return ""
    numpy = names and all(name.endswith(".npy") for name in names)
    return "a NumPy archive (.npz)" if numpy else "a zip archive of other files"
