"""The steps of repo2docker on the files of `binder/`, without Docker; then what a visitor gets.

    python -m scripts.binder_steps FOLDER [--environment binder/full] [--browser]

A virtual environment takes the place of the conda environment, with the same versions from PyPI.
If this Python is not the one of `environment.yml`, the versions are those of `constraints.txt` for
this Python. Then postBuild runs in a copy of what is committed, without what `.dockerignore` names,
and `start` starts the measurement (`scripts/binder_measure.py`), which stops at the first notebook
that neither runs nor says why. With `--browser`, Chromium then opens what the badge opens
(`scripts/binder_browser.py`, which needs Playwright and psutil here).
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def requirements(environment: Path, python: str) -> tuple[list[str], bool]:
    """Lines for pip, and whether `python` ("3.12") is the one that the environment asks for.

    Conda's own packages become those of PyPI. For another Python the lines have no versions.
    """
    listed = yaml.safe_load(environment.read_text(encoding="utf-8"))["dependencies"]
    parts = [str(item).partition("=") for item in listed if not isinstance(item, dict)]
    conda = {name: version for name, _, version in parts}
    lines = next(item["pip"] for item in listed if isinstance(item, dict))
    is_same = conda.pop("python") == python
    conda.pop("pip")
    lines = [f"{name}=={version}" for name, version in conda.items()] + lines
    return lines if is_same else [line.partition("==")[0] for line in lines], is_same


def install(environment: Path, folder: Path) -> Path:
    """Make the environment; its folder of programs."""
    python = "{}.{}".format(*sys.version_info)
    lines, is_same = requirements(environment, python)
    if not is_same:
        print(f"Python {python} is not the environment's: versions are those of constraints.txt")
    venv.create(folder / "env", with_pip=True)
    listed = folder / "requirements.txt"
    listed.write_text("\n".join(lines) + "\n", encoding="utf-8")
    programs = folder / "env" / "bin"
    command = [programs / "python", "-m", "pip", "install", "--quiet", "--no-cache-dir"]
    constraints = [] if is_same else ["-c", ROOT / "constraints.txt"]
    subprocess.run([*command, *constraints, "-r", listed], check=True)
    return programs


def ignored() -> list[str]:
    """The files and folders of `.dockerignore`, which has no patterns."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def copy_repository(folder: Path) -> Path:
    """What is committed, where repo2docker copies it, without what `.dockerignore` names."""
    place = folder / "repository"
    archive = folder / "repository.tar"
    subprocess.run(["git", "archive", "-o", archive, "HEAD"], cwd=ROOT, check=True)
    with tarfile.open(archive) as files:
        files.extractall(place, filter="data")
    archive.unlink()
    for name in ignored():
        left_out = place / name
        shutil.rmtree(left_out) if left_out.is_dir() else left_out.unlink(missing_ok=True)
    return place


def main() -> None:
    parser = argparse.ArgumentParser(description="repo2docker's steps without Docker.")
    parser.add_argument("folder", type=Path, help="an empty or a new folder to work in")
    parser.add_argument("--environment", default="binder", help="binder, or binder/full")
    parser.add_argument("--browser", action="store_true", help="then open it in Chromium")
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    programs = install(ROOT / options.environment / "environment.yml", folder)
    place = copy_repository(folder)
    environment = {
        **{k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")},
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder / "home"),  # trust, settings and IPython's profile
        "IPYTHONDIR": str(folder / "home" / ".ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "BINDER_LAUNCH_HOST": "https://mybinder.org/",  # as BinderHub names itself and what it runs
        "BINDER_REQUEST": "v2/gh/OWNER/interplm-nb/HEAD",
    }
    (folder / "home").mkdir(exist_ok=True)
    binder = place / options.environment
    subprocess.run([binder / "postBuild"], cwd=place, env=environment, check=True)
    measure = [programs / "python", "-m", "scripts.binder_measure"]
    subprocess.run([binder / "start", *measure], cwd=place, env=environment, check=True)
    if options.browser:
        from scripts.binder_browser import visit  # Playwright: only where it is asked for

        print(visit(binder / "start", place, environment, folder / "explore.png"))


if __name__ == "__main__":
    main()
