"""What an installed interplm-nb is made of: an SBOM (CycloneDX) and a list of licences.

    python -m scripts.build_sbom build/release

Python packages are those that the runtime dependencies bring in this environment, from their own
metadata; NGL and what it bundles from `widgets/package-lock.json`.
"""

import argparse
import json
import os
import re
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from interplm_nb.saving import atomic_path

ROOT = Path(__file__).resolve().parents[1]
SPEC_VERSION = "1.6"
NAME = "interplm-nb"
NOT_STATED = "not stated in its metadata"
SHORT = 60
"""A licence field with more letters is the licence's text, not its name."""


def runtime_packages(name: str = NAME) -> dict[str, tuple[Distribution, set[str]]]:
    """The package and all that it requires here, by name, each with what itself requires.

    PackageNotFoundError for one that is required and not installed.
    """
    found: dict[str, tuple[Distribution, set[str]]] = {}
    waiting: list[tuple[str, frozenset[str]]] = [(name, frozenset())]
    seen = set(waiting)
    while waiting:
        wanted, extras = waiting.pop()
        package, links = found.setdefault(wanted, (distribution(wanted), set()))
        asked = {
            (canonicalize_name(requirement.name), frozenset(requirement.extras))
            for requirement in requirements(package, extras)
        }
        links |= {other for other, _ in asked} - {wanted}
        waiting += asked - seen
        seen |= asked
    return dict(sorted(found.items()))


def requirements(package: Distribution, extras: Iterable[str] = ()) -> list[Requirement]:
    """What a package requires in this environment, with these extras."""
    read = [Requirement(text) for text in package.requires or []]
    return [
        requirement
        for requirement in read
        if requirement.marker is None
        or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


def licence(package: Distribution) -> str:
    """An SPDX expression where the metadata has one, else the name that it gives."""
    about = package.metadata
    if "License-Expression" in about:
        return about["License-Expression"]
    classified = [
        line.rsplit(" :: ", 1)[1]
        for line in about.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    written = about["License"].strip() if "License" in about else ""
    if written and len(written) < SHORT and "\n" not in written and written.upper() != "UNKNOWN":
        return written
    return "; ".join(classified) or NOT_STATED


def bundled() -> list[dict[str, Any]]:
    """NGL and what its script contains: npm packages that are no development tools."""
    lock = json.loads((ROOT / "widgets" / "package-lock.json").read_text(encoding="utf-8"))
    return [
        component(
            name.removeprefix("node_modules/"),
            part["version"],
            "npm",
            part.get("license", NOT_STATED),
        )
        for name, part in sorted(lock["packages"].items())
        if name and not part.get("dev") and not part.get("peer")
    ]


def component(name: str, version: str, kind: str, said: str) -> dict[str, Any]:
    """A component of an SBOM, with its package URL and its licence."""
    address = f"pkg:{kind}/{name.replace('@', '%40')}@{version.replace('+', '%2B')}"
    is_spdx = SPDX.issuperset(re.findall(r"[^\s()]+", said))
    licences = [{"expression": said}] if is_spdx else [{"license": {"name": said}}]
    return {
        "type": "library",
        "bom-ref": address,
        "name": name,
        "version": version,
        "purl": address,
        "licenses": licences,
    }


SPDX = {
    *(
        "AND",
        "OR",
        "WITH",
        "CC-BY-NC-4.0",
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
    ),
    *("MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib", "ZPL-2.1"),
}
"""Words of a licence that make it an SPDX expression; any other is given as a name."""


def sbom() -> dict[str, Any]:
    """The bill of materials; the same content has the same serial number.

    Its time is SOURCE_DATE_EPOCH, or left out.
    """
    packages = runtime_packages()
    parts = {
        name: component(name, package.version, "pypi", licence(package))
        for name, (package, _) in packages.items()
    }
    own = {**parts[NAME], "type": "application"}
    from_npm = bundled()
    bundles = {NAME: [part["bom-ref"] for part in from_npm]}
    links = [
        {
            "ref": parts[name]["bom-ref"],
            "dependsOn": sorted([parts[other]["bom-ref"] for other in required])
            + bundles.get(name, []),
        }
        for name, (_, required) in packages.items()
    ]
    components = [part for name, part in parts.items() if name != NAME] + from_npm
    content = json.dumps([own, components, links], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {**_time(), "component": own},
        "components": components,
        "dependencies": links,
    }


def _time() -> dict[str, str]:
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    return {"timestamp": datetime.fromtimestamp(int(seconds), UTC).isoformat()} if seconds else {}


def licences(bill: dict[str, Any]) -> str:
    """A table of the bill's components and their licences, in Markdown."""
    rows = [
        f"| {part['name']} | {part['version']} "
        f"| {said.get('expression') or said['license']['name']} |"
        for part in [bill["metadata"]["component"], *bill["components"]]
        for said in part["licenses"]
    ]
    return "\n".join(["| package | version | licence |", "| --- | --- | --- |", *rows, ""])


def write(folder: Path) -> None:
    """Write `sbom.cdx.json` and `licences.md`."""
    bill = sbom()
    texts = {
        "sbom.cdx.json": json.dumps(bill, indent=1, sort_keys=True) + "\n",
        "licences.md": licences(bill),
    }
    for name, text in texts.items():
        with atomic_path(folder / name) as draft:
            draft.write_text(text, encoding="utf-8")
    print(f"{folder / 'sbom.cdx.json'}: {len(bill['components'])} components")


def main() -> None:
    parser = argparse.ArgumentParser(description="SBOM and licences of an installed interplm-nb.")
    parser.add_argument("folder", type=Path, help="where they are written")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    try:
        write(folder)
    except PackageNotFoundError as error:
        parser.exit(1, f"{error.name} is required and not installed here: make install first\n")


if __name__ == "__main__":
    main()
