"""The same versions in every file that names them, pages that name what exists, whole wheels."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import files as installed_files
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import hatch_build
import interplm_nb
from interplm_nb.cli.machine import NOT_TO_EXPLORE

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PYTHONS = ("3.11", "3.12", "3.13")
MAX_WHEEL = 60e6


def requirements() -> list[Requirement]:
    project = PYPROJECT["project"]
    return [
        Requirement(text)
        for text in [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    ]


def pins(python: str) -> dict[str, Version]:
    """The version of each package that constraints.txt gives on Linux for one Python."""
    where = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
    }
    found = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(where):
            name = canonicalize_name(requirement.name)
            assert name not in found, f"{name} has two versions for Python {python}"
            (specifier,) = requirement.specifier
            assert specifier.operator == "==", line
            found[name] = Version(specifier.version)
    return found


def conda(path: str) -> tuple[dict[str, str], list[str]]:
    """Conda packages with their versions, and the lines for pip."""
    listed = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))["dependencies"]
    packages = dict((*item.split("="), "")[:2] for item in listed if isinstance(item, str))
    return packages, next(item["pip"] for item in listed if isinstance(item, dict))


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_meet_pyproject(python: str) -> None:
    found = pins(python)
    for requirement in requirements():
        assert found[canonicalize_name(requirement.name)] in requirement.specifier, (
            f"{requirement} on Python {python}"
        )


def test_biotite_is_the_same_for_every_python() -> None:
    """From 1.7 on it wants Python 3.12 and lacks the module with which long chains are written."""
    assert {pins(python)["biotite"] for python in PYTHONS} == {Version("1.6.0")}


def test_torch_has_no_local_suffix() -> None:
    assert str(pins("3.11")["torch"]) == "2.13.0"
    assert not [name for name in pins("3.11") if name.startswith(("nvidia-", "cuda-", "triton"))], (
        "the chosen PyTorch pins its own CUDA packages"
    )


def test_pythons_are_the_same_everywhere() -> None:
    assert PYPROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    named = [
        c.rsplit(" ", 1)[1]
        for c in PYPROJECT["project"]["classifiers"]
        if re.search(r":: 3\.\d+$", c)
    ]
    assert tuple(named) == PYTHONS
    assert conda("environment.yml")[0]["python"] in PYTHONS
    assert conda("binder/environment.yml")[0]["python"] in PYTHONS


def test_full_environment_takes_the_constraints() -> None:
    packages, lines = conda("environment.yml")
    assert lines == ["-c constraints.txt", "-e .[dev]"]
    assert packages["numpy"] == "2.2.*"
    assert all(pins(python)["numpy"].release[:2] == (2, 2) for python in PYTHONS)


def test_binder_has_the_same_versions_and_no_torch() -> None:
    packages, lines = conda("binder/environment.yml")
    text = (ROOT / "binder/environment.yml").read_text(encoding="utf-8")
    assert re.search(r"- python=3\.\d+\n", text), (
        "repo2docker reads the Python version only after ="
    )
    expected = pins(packages["python"])
    assert Version(packages["numpy"]) == expected["numpy"]
    for line in lines:
        requirement = Requirement(line)
        assert (
            requirement.specifier
            == Requirement(f"x=={expected[canonicalize_name(requirement.name)]}").specifier
        ), line
    named = {canonicalize_name(Requirement(line).name) for line in lines} | {"numpy"}
    wanted = {
        canonicalize_name(Requirement(text).name) for text in PYPROJECT["project"]["dependencies"]
    }
    assert named == wanted - NOT_TO_EXPLORE, (
        "binder explores; it reads no arrays, embeds, trains, clusters and fits nothing"
    )


def test_binder_scripts_stop_at_the_first_error() -> None:
    for name in ("postBuild", "start"):
        path = ROOT / "binder" / name
        assert path.stat().st_mode & 0o111, f"{name} must be executable"
    assert "set -euo pipefail" in (ROOT / "binder/postBuild").read_text(encoding="utf-8")
    assert (ROOT / "binder/start").read_text(encoding="utf-8").rstrip().endswith('exec "$@"')


def test_versions_of_the_package_agree() -> None:
    version = PYPROJECT["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_nglview_asks_for_the_extension_that_it_brings() -> None:
    """nglview 4.0.1 asks for another version than it ships, and then draws nothing."""
    from nglview._frontend import __frontend_version__

    found = [
        f
        for f in installed_files("nglview") or []
        if f.parts[-2:] == ("nglview-js-widgets", "package.json") and "labextensions" in f.parts
    ]
    assert len(found) == 1, found
    assert json.loads(found[0].read_text())["version"] == __frontend_version__


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_the_pages_name_what_exists(page: str) -> None:
    """Targets of make, files and folders; a page on the code gives paths below the package."""
    text = (ROOT / page).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake ([a-z-]+)", text)):
        if f"`make {target}`" in text or f"    make {target}" in text:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    for name in re.findall(r"`([\w./]+/|[\w/]+\.\w{2,5})`", text):
        if name.startswith("ipn."):
            assert name.removeprefix("ipn.") in interplm_nb.__all__, name
        elif page == "README.md" or name.startswith((".", "docs/")):
            assert (ROOT / name).exists(), name
        elif "/" in name.rstrip("/"):
            assert (ROOT / name).exists() or (ROOT / "interplm_nb" / name).exists(), name


def test_pre_commit_runs_the_tools_of_make_lint() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    ours = [hook["entry"] for repo in hooks["repos"] for hook in repo["hooks"]]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition("\nlint:")[2].partition("\ntest:")[0]
    tools = re.findall(r"^\t\$\(BIN\)/([\w-]+)(?: (check|format))?", recipe, re.MULTILINE)
    assert len(tools) == 4
    for tool in tools:
        assert any(entry.startswith(f".venv/bin/{' '.join(tool).strip()}") for entry in ours), tool
    assert any("typescript" in entry for entry in ours)


FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


@pytest.mark.parametrize("form", FORMS, ids=lambda p: p.name)
def test_forms_for_issues_are_whole(form: Path) -> None:
    content = yaml.safe_load(form.read_text(encoding="utf-8"))
    if form.name != "config.yml":
        assert content.keys() >= {"name", "description", "body"}
        assert all(part["attributes"]["label"] for part in content["body"])


def test_the_lock_of_npm_has_no_addresses_and_the_versions_of_its_package() -> None:
    wanted = json.loads((ROOT / "widgets/package.json").read_text(encoding="utf-8"))
    text = (ROOT / "widgets/package-lock.json").read_text(encoding="utf-8")
    assert "resolved" not in text
    assert "://" not in text
    locked = json.loads(text)["packages"]
    for name, version in {**wanted["dependencies"], **wanted["devDependencies"]}.items():
        assert locked[f"node_modules/{name}"]["version"] == version, name
    assert all(part["integrity"].startswith("sha512-") for name, part in locked.items() if name)


def test_the_build_takes_ngl_once_per_version_and_again_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def npm(*_: str, cwd: str) -> None:
        asked.append(
            json.loads((Path(cwd) / "package-lock.json").read_text())["packages"][
                "node_modules/ngl"
            ]["version"]
        )
        if len(asked) == 1:
            raise OSError("no network")
        dist = Path(cwd) / "node_modules/ngl/dist"
        dist.mkdir(parents=True)
        (dist / "ngl.js").write_text(f"// {asked[-1]}")
        (dist.parent / "LICENSE").write_text("Free */ to use\n")

    def take(version: str) -> None:
        (tmp_path / "package-lock.json").write_text(
            json.dumps({"packages": {"node_modules/ngl": {"version": version}}})
        )
        hatch_build.take_ngl(tmp_path, tmp_path / "static")

    monkeypatch.setattr(hatch_build, "npm", npm)
    (tmp_path / "package.json").write_text("{}")
    with pytest.raises(OSError, match="no network"):
        take("1.0")
    take("1.0")
    take("1.0")
    assert (
        gzip.decompress((tmp_path / "static/ngl.js.gz").read_bytes())
        == b"/*! NGL 1.0 and what it contains\n\nngl\n\nFree * / to use\n*/\n// 1.0"
    )
    take("2.0")
    assert asked == ["1.0", "1.0", "2.0"]
    assert (tmp_path / "static/ngl.version").read_text() == "2.0"


def committed() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git repository")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_no_committed_file_names_a_machine() -> None:
    # In pieces, so that this file does not name them either.
    places = (
        "/work" + "/",
        "/opt/" + "pypi",
        "/opt/" + "wheels",
        "/root" + "/",
        r"\.\./" + "shared",
        r"/home/\w+/",
        r"/Users/\w+/",
    )
    here = re.compile("|".join(places))
    for path in committed():
        if not path.is_file() or path.suffix in {
            ".gz",
            ".safetensors",
            ".parquet",
            ".png",
            ".npz",
            ".pt",
        }:
            continue
        found = here.search(path.read_text(encoding="utf-8", errors="replace"))
        assert found is None, f"{path.relative_to(ROOT)} names {found[0]}"


def build(root: Path, folder: Path, **variables: str) -> tuple[Path, set[str], str]:
    """A wheel of the project in `root`, the names in it, and what the build said."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(
        command,
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return wheel, set(archive.namelist()), done.stdout + done.stderr


def in_the_wheel(wheel: Path, folder: Path, program: str) -> str:
    """What a program prints that imports interplm_nb from the wheel, not from this clone."""
    target = folder / "installed"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(target),
        str(wheel),
    ]
    subprocess.run(command, check=True, capture_output=True)
    program = f"import sys\nsys.path.insert(0, {str(target)!r})\n{program}"
    return subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


ASSETS = """
from interplm_nb.widgets import assets
assert str(assets.STATIC).startswith(sys.path[0]), assets.STATIC
assert assets.sources() == assets.STATIC
views = [path.stem for path in assets.STATIC.glob("*.js")]
filled = min(len(assets.esm(view)) for view in views) > 0
print(len(views), filled, len(assets.css()) > 0, assets.ngl() is not None)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str], str]:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.mark.slow
def test_the_wheel_carries_data_notebooks_and_profiles(wheel: tuple[Path, set[str], str]) -> None:
    path, names, _ = wheel
    assert path.stat().st_size < MAX_WHEEL
    shipped = [
        path
        for folder in ("data", "pipeline/profiles")
        for path in (ROOT / "interplm_nb" / folder).rglob("*")
        if path.is_file()
    ]
    assert {
        path.relative_to(ROOT).as_posix() for path in shipped if path in set(committed())
    } <= names
    notebooks = [
        path for path in committed() if path.suffix == ".ipynb" and path.parent.name == "notebooks"
    ]
    assert {f"interplm_nb/notebooks/{path.name}" for path in notebooks} <= names
    for part in ("data/demo/proteins.tsv.gz", "data/demo/README.md", "glossary.md"):
        assert f"interplm_nb/{part}" in names
    strangers = [n for n in names if n.endswith((".tmp", ".pyc")) or ".ipynb_checkpoints" in n]
    assert not strangers


def views() -> set[str]:
    """What a wheel carries of `widgets/`, by its name there."""
    widgets = ROOT / "widgets"
    parts = [
        path for path in widgets.glob("*/*.js") if path.parent.name not in ("tests", "node_modules")
    ]
    return {
        path.relative_to(widgets).as_posix()
        for path in [*widgets.glob("*.js"), *parts, widgets / "style.css"]
    }


@pytest.mark.slow
def test_the_wheel_carries_the_views_and_ngl(
    wheel: tuple[Path, set[str], str], tmp_path: Path
) -> None:
    path, names, said = wheel
    static = "interplm_nb/widgets/static/"
    ngl = {"ngl.js.gz", "ngl.LICENSE", "ngl.version"}
    assert {
        name.removeprefix(static) for name in names if name.startswith(static)
    } == views() | ngl, said
    assert not [name for name in names if "node_modules" in name or name.startswith("widgets")]
    with zipfile.ZipFile(path) as archive:
        script = gzip.decompress(archive.read(static + "ngl.js.gz")).decode()
        version = archive.read(static + "ngl.version").decode()
        assert "Alexander S Rose" in archive.read(static + "ngl.LICENSE").decode()
    assert (
        version
        == json.loads((ROOT / "widgets/package.json").read_text(encoding="utf-8"))["dependencies"][
            "ngl"
        ]
    )
    assert script.startswith(f"/*! NGL {version}")
    assert "Permission is hereby granted" in script[: script.index("*/")]
    assert (
        in_the_wheel(path, tmp_path, ASSETS)
        == f"{len(list((ROOT / 'widgets').glob('*.js')))} True True True"
    )


@pytest.mark.slow
def test_without_npm_the_wheel_lacks_only_ngl(tmp_path: Path) -> None:
    for name in ("interplm_nb", "widgets", "notebooks"):
        left_out = shutil.ignore_patterns("data", "static", "node_modules", "__pycache__", "*.tmp")
        shutil.copytree(ROOT / name, tmp_path / "clone" / name, ignore=left_out)
    (tmp_path / "clone" / "docs").mkdir()
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "docs/glossary.md"):
        shutil.copy(ROOT / name, tmp_path / "clone" / name)
    wheel, names, said = build(tmp_path / "clone", tmp_path / "built", INTERPLM_NB_NO_NPM="1")
    static = "interplm_nb/widgets/static/"
    assert {name.removeprefix(static) for name in names if name.startswith(static)} == views()
    assert "built without NGL" in said
    assert in_the_wheel(wheel, tmp_path, ASSETS).endswith("True True False")
