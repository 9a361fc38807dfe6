"""A release: the same bytes twice, what it is made of, and files that say the same of it."""

import json
import re
import subprocess
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import build_release, build_sbom

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CONDA_NAMES = {"matplotlib": "matplotlib-base", "torch": "pytorch"}
"""Where conda-forge calls a package otherwise than PyPI."""


def of_yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_the_conda_recipe_requires_what_pyproject_requires() -> None:
    recipe = of_yaml("conda/recipe.yaml")
    expected = {f"python {Requirement('python' + PROJECT['requires-python']).specifier}"}
    for text in PROJECT["dependencies"]:
        wanted = Requirement(text)
        expected.add(f"{CONDA_NAMES.get(wanted.name, wanted.name)} {wanted.specifier}")

    def parts(line: str) -> tuple[str, frozenset[str]]:
        name, _, versions = line.partition(" ")
        return name, frozenset(versions.split(","))

    assert set(map(parts, recipe["requirements"]["run"])) == set(map(parts, expected))
    assert recipe["context"]["version"] == PROJECT["version"]
    assert recipe["about"]["license"] == PROJECT["license"]
    assert recipe["about"]["license_file"] == PROJECT["license-files"]
    (entry,) = recipe["build"]["python"]["entry_points"]
    name, _, place = entry.partition(" = ")
    assert PROJECT["scripts"] == {name: place}
    assert recipe["source"]["sha256"] == build_release.PLACE_OF_SUM


def test_zenodo_and_citation_say_what_pyproject_says_and_name_no_doi_of_their_own() -> None:
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    citation = of_yaml("CITATION.cff")
    authors = [author["name"] for author in PROJECT["authors"]]
    for about, named in ((zenodo, zenodo["creators"]), (citation, citation["authors"])):
        assert about["title"] == PROJECT["name"]
        assert about["version"] == PROJECT["version"]
        assert about["keywords"] == PROJECT["keywords"]
        assert [author["name"] for author in named] == authors
        assert "doi" not in about
    assert zenodo["description"] == PROJECT["description"]
    cited = {reference["doi"] for reference in citation["references"]}
    assert {related["identifier"] for related in zenodo["related_identifiers"]} == cited
    assert {"cff-version", "message", "type", "license"} <= citation.keys()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_read_only_keep_no_secret_and_run_what_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets." not in text and "password" not in str(workflow["jobs"])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for job in workflow["jobs"].values():
        assert job.get("timeout-minutes", 6) <= 360
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_ci_is_ci_run_and_installs_on_every_python() -> None:
    jobs = of_yaml(".github/workflows/ci.yml")["jobs"]
    assert ".ci/run" in [step.get("run") for step in jobs["all"]["steps"]]
    named = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert jobs["installs"]["strategy"]["matrix"]["python"] == named
    checked = str(jobs["installs"]["steps"])
    assert all((ROOT / path).exists() for path in re.findall(r"scripts/\w+\.py", checked))
    assert "scripts/check_installed.py" in checked


def test_each_tag_gets_its_documentation_and_pages_name_their_version() -> None:
    build = of_yaml(".readthedocs.yaml")["build"]
    first, *_, last = build["commands"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert first.startswith("make docs ")
    assert "the documentation site, into docs/_build/html" in makefile
    assert last == "cp -r docs/_build/html $READTHEDOCS_OUTPUT/html"
    assert f"Programming Language :: Python :: {build['tools']['python']}" in PROJECT["classifiers"]
    conf = (ROOT / "docs" / "conf.py").read_text(encoding="utf-8")
    assert 'html_title = f"{project} {version}"' in conf


def test_only_the_job_that_publishes_may_ask_for_an_identity() -> None:
    jobs = of_yaml(".github/workflows/release.yml")["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["environment"] == "pypi"
    assert jobs["publish"]["needs"] == "build"
    assert "permissions" not in jobs["build"]


def metadata(text: str) -> Distribution:
    class Written(Distribution):
        def read_text(self, filename: str) -> str | None:
            return text if filename == "METADATA" else None

        def locate_file(self, path: Any) -> Any:
            raise NotImplementedError

    assert Parser().parsestr(text)["Name"]
    return Written()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: no", "MIT OR Apache-2.0"),
        ("License: BSD", "BSD"),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT License"),
        (
            "License: Copyright\n        all rights\nClassifier: License :: OSI Approved :: ISC",
            "ISC",
        ),
        ("License: UNKNOWN", build_sbom.NOT_STATED),
        ("Classifier: License :: OSI Approved", build_sbom.NOT_STATED),
    ],
)
def test_a_licence_is_what_the_metadata_states(lines: str, expected: str) -> None:
    text = f"Metadata-Version: 2.4\nName: thing\nVersion: 1\n{lines}\n"
    assert build_sbom.licence(metadata(text)) == expected


def test_the_bill_lists_every_runtime_requirement_and_no_other_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    bill = build_sbom.sbom()
    assert bill == build_sbom.sbom()
    assert bill["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    parts = {part["bom-ref"]: part for part in bill["components"]}
    assert len(parts) == len(bill["components"])
    own = bill["metadata"]["component"]["bom-ref"]
    links = {link["ref"]: link["dependsOn"] for link in bill["dependencies"]}
    named = {parts[ref]["name"] for ref in links[own] if ref.startswith("pkg:pypi")}
    assert named == {canonicalize_name(Requirement(r).name) for r in PROJECT["dependencies"]}
    reached, waiting = set(), [own]
    while waiting:
        ref = waiting.pop()
        waiting += [other for other in links.get(ref, ()) if other not in reached]
        reached |= set(links.get(ref, ()))
    assert reached == set(parts), "each is there because something requires it"
    assert not {"pytest", "ruff", "hypothesis"} & {part["name"] for part in bill["components"]}
    assert "ngl" in {part["name"] for part in bill["components"]}
    table = build_sbom.licences(bill)
    assert all(f"| {part['name']} | {part['version']} |" in table for part in parts.values())


@pytest.mark.slow
def test_a_release_has_the_same_bytes_twice_and_holds_what_is_committed(tmp_path: Path) -> None:
    if not (ROOT / build_release.STATIC / "ngl.version").exists():
        pytest.skip("NGL is not here: make install with a network brings it")
    made = []
    for name in ("one", "two"):
        clone = tmp_path / name
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        (clone / "interplm_nb" / "stray.py").write_text("not committed\n")
        static = clone / build_release.STATIC
        static.mkdir(parents=True)
        for file in (ROOT / build_release.STATIC).iterdir():
            (static / file.name).write_bytes(file.read_bytes())
        made.append(build_release.build(clone, tmp_path / f"{name}_packages"))
    for first, second in zip(*made, strict=True):
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes()
    sdist, wheel = made[0]
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        times = {member.mtime for member in archive.getmembers()}
    log = ["git", "log", "-1", "--format=%ct"]
    said = subprocess.run(log, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert times == {int(said)}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True).stdout
    committed = set(listed.decode().splitlines())
    left_out = {name for name in committed if {".ci", "benchmarks"} & set(Path(name).parts)}
    assert names - committed == {"PKG-INFO"}
    assert committed - left_out <= names
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    assert "interplm_nb/stray.py" not in inside
    package = {name for name in committed if name.startswith("interplm_nb/")}
    assert package <= inside
    assert {"interplm_nb/widgets/static/ngl.js.gz", "interplm_nb/glossary.md"} <= inside
