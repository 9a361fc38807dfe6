"""What has to be equal on every worker for its results to be equal."""

import platform
from functools import cache
from importlib import metadata

from interplm_nb import __version__

_PACKAGES = ("numpy", "torch")


@cache
def installed() -> dict[str, str]:
    """Versions by name: of this package, Python (its first two numbers) and what computes.

    >>> sorted(installed())
    ['Python', 'interplm-nb', 'numpy', 'torch']
    """
    python = ".".join(platform.python_version_tuple()[:2])
    versions = {name: _version(name) for name in _PACKAGES}
    return {"interplm-nb": __version__, "Python": python, **versions}


def differences(here: dict[str, str], there: dict[str, str]) -> str:
    """What differs, in words; empty if nothing does.

    >>> differences({"numpy": "2.2.6"}, {"numpy": "2.1.0"})
    'numpy 2.1.0 (here: 2.2.6)'
    """
    return ", ".join(
        f"{name} {there.get(name, 'none')} (here: {version})"
        for name, version in here.items()
        if there.get(name) != version
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"
