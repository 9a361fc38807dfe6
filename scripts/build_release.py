"""Everything of a release: wheel, sdist, their sums, SBOM, licences, and the conda recipe.

    python -m scripts.build_release build/release

It builds what is committed at HEAD, in a folder of its own. The same commit gives the same bytes:
times are that of the commit (SOURCE_DATE_EPOCH, if it is set). The wheel is built from the sdist,
as pip would do it.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from scripts import build_sbom

ROOT = Path(__file__).resolve().parents[1]
STATIC = Path("interplm_nb/widgets/static")
PLACE_OF_SUM = "SHA256_OF_THE_SDIST"
"""Where `conda/recipe.yaml` has the sum of the source."""


def build(root: Path, packages: Path) -> tuple[Path, Path]:
    """The sdist and the wheel of the clone in `root`, written to `packages`.

    RuntimeError if the wheel lacks NGL, CalledProcessError if git or a build fails.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or _said(root, "git", "log", "-1", "--format=%ct")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    packages.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        clone, archive = Path(scratch) / "clone", Path(scratch) / "committed.tar"
        subprocess.run(["git", "archive", "-o", str(archive), "HEAD"], cwd=root, check=True)
        _unpack(archive, clone)
        sdist = _hatch(clone, "sdist", packages, environment)
        _unpack(sdist, Path(scratch) / "unpacked")
        (source,) = (Path(scratch) / "unpacked").iterdir()
        if (root / STATIC / "ngl.version").exists():  # the build takes it if its version is locked
            shutil.copytree(root / STATIC, source / STATIC)
        wheel = _hatch(source, "wheel", packages, environment)
    with zipfile.ZipFile(wheel) as archive:
        if f"{STATIC.as_posix()}/ngl.js.gz" not in archive.namelist():
            raise RuntimeError(
                f"{wheel.name} lacks NGL, because npm could not be reached: "
                "build again with a network"
            )
    return sdist, wheel


def _hatch(source: Path, target: str, packages: Path, environment: dict[str, str]) -> Path:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder]
        subprocess.run(command, cwd=source, check=True, capture_output=True, env=environment)
        (made,) = Path(folder).iterdir()
        return Path(shutil.move(made, packages / made.name))


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")


def _said(root: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description="Everything of a release.")
    parser.add_argument("folder", type=Path, help="where it is written")
    folder: Path = parser.parse_args().folder
    if changed := _said(ROOT, "git", "status", "--porcelain", "--untracked-files=no"):
        print(f"Left out, because a release is of what is committed:\n{changed}", file=sys.stderr)
    shutil.rmtree(folder / "packages", ignore_errors=True)
    sdist, wheel = build(ROOT, folder / "packages")
    sums = "".join(f"{sha256(path)}  packages/{path.name}\n" for path in (sdist, wheel))
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")
    recipe = (ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    recipe = recipe.replace(PLACE_OF_SUM, sha256(sdist))
    (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
    build_sbom.write(folder)
    print(sums, end="")


if __name__ == "__main__":
    main()
