"""`run --out URL`: worked on here, kept equal to the store, resumed on another machine."""

import itertools
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from interplm_nb.cli.main import main
from interplm_nb.pipeline import runner, stored_run
from interplm_nb.pipeline.errors import PipelineError, StageError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.remote import mirror
from interplm_nb.remote.errors import StoreError
from interplm_nb.remote.index import object_of
from interplm_nb.remote.pull import found_index
from interplm_nb.remote.store import Store
from tests.pipeline.fakes import OF_DEMO, work_like

DRAFT = "embeddings/.layer_02.0123456789ab.draft/shard_00000.safetensors"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The address of a run that is not there yet."""
    return f"memory://{tmp_path.name}/run"


class Stages:
    """In place of the notebooks: each stage writes its parameters, and may do more."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.also: dict[str, Any] = {}

    def __call__(self, run: Run, params: Any, *_: object) -> None:
        self.ran.append(params.stage)
        if params.stage in self.also:
            self.also[params.stage](run)
        work_like(params.stage, run, f"{params.stage} {params.made()}")


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Stages:
    """Stages of a second each, less."""
    found = Stages()
    monkeypatch.setattr(runner, "execute", found)
    return found


def ask(url: str, tmp_path: Path) -> list[str]:
    said: list[str] = []
    request = runner.Request(
        "demo", Path("unused"), ["embed.plm=esm2-mini"], url=url, notebooks=tmp_path
    )
    stored_run.run_stored(request, said.append)
    return said


def another_machine() -> None:
    """One with an empty disk."""
    shutil.rmtree(mirror.cache())


def test_a_run_is_in_the_store_after_every_stage(url: str, tmp_path: Path, stages: Stages) -> None:
    there: dict[str, list[str]] = {}

    def look(run: Run) -> None:
        there[stages.ran[-1]] = list(found_index(Store(url)).files)

    stages.also = dict.fromkeys(OF_DEMO[1:], look)
    said = ask(url, tmp_path)
    assert stages.ran == list(OF_DEMO)
    for before, stage in itertools.pairwise(OF_DEMO):
        assert f"{STAGES[before].folder}/manifest.json" in there[stage]
        assert f"{STAGES[stage].folder}/manifest.json" not in there[stage]
    assert len([line for line in said if line.startswith(f"{url}: sent ")]) == len(OF_DEMO)
    another_machine()
    stages.ran.clear()
    said = ask(url, tmp_path)
    assert stages.ran == [] and said[0].startswith(f"{url}: fetched ")
    assert [line for line in said if "unchanged, skipped" in line] == [
        f"{STAGES[stage].folder}: unchanged, skipped" for stage in OF_DEMO
    ]
    assert Run.open(url).proteins().n_proteins == 150


def test_a_stage_that_fails_is_resumed_on_another_machine(
    url: str, tmp_path: Path, stages: Stages
) -> None:
    def fails(run: Run) -> None:
        (run.folder / DRAFT).parent.mkdir(parents=True)
        (run.folder / DRAFT).write_bytes(b"a shard")
        raise StageError("out of memory")

    stages.also = {"embed": fails}
    with pytest.raises(StageError, match=rf"interplm-nb run demo --out {url} -p"):
        ask(url, tmp_path)
    another_machine()
    seen: list[bytes] = []
    stages.also = {"embed": lambda run: seen.append((run.folder / DRAFT).read_bytes())}
    stages.ran.clear()
    ask(url, tmp_path)
    assert stages.ran == list(OF_DEMO[1:]) and seen == [b"a shard"]


def test_what_was_not_sent_is_not_lost_on_the_same_machine(
    url: str, tmp_path: Path, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(run: Run) -> None:
        (run.folder / DRAFT).parent.mkdir(parents=True)
        (run.folder / DRAFT).write_bytes(b"a shard")
        raise SystemExit

    monkeypatch.setattr(stored_run._Kept, "try_to_send", lambda self: None)
    stages.also = {"embed": dies}
    with pytest.raises(SystemExit):
        ask(url, tmp_path)
    assert DRAFT not in found_index(Store(url)).files
    seen: list[bytes] = []
    stages.also = {"embed": lambda run: seen.append((run.folder / DRAFT).read_bytes())}
    assert not [line for line in ask(url, tmp_path) if "fetched" in line]
    assert seen == [b"a shard"]


def test_what_another_machine_went_on_with_replaces_what_is_here(
    url: str, tmp_path: Path, stages: Stages
) -> None:
    ask(url, tmp_path)
    copy, here = tmp_path / "copy", stored_run.working_folder(url)
    stored_run.pull_run(url, copy)
    (copy / "00_explore.ipynb").write_bytes(b"theirs")
    (copy / "08_steer" / "manifest.json").unlink()
    stored_run.push_run(copy, url)
    stages.ran.clear()
    ask(url, tmp_path)
    assert stages.ran == ["steer"]
    assert (here / "00_explore.ipynb").read_bytes() == b"theirs"


def test_what_a_stage_has_finished_is_sent_meanwhile(
    url: str, tmp_path: Path, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_run, "EVERY_SECONDS", 0.02)

    def waits(run: Run) -> None:
        (run.folder / DRAFT).parent.mkdir(parents=True)
        (run.folder / DRAFT).write_bytes(b"a shard")
        (run.folder / DRAFT).with_name(".shard_00001.safetensors.1f2e.tmp").write_bytes(b"half")
        ends = time.monotonic() + 30
        while DRAFT not in found_index(Store(url)).files:
            assert time.monotonic() < ends
            time.sleep(0.01)

    stages.also = {"embed": waits}
    ask(url, tmp_path)
    names = found_index(Store(url)).files
    assert not [name for name in names if name.endswith(".tmp") or "hashes" in name]


def test_another_machine_that_wrote_meanwhile_is_noticed(
    url: str, tmp_path: Path, stages: Stages
) -> None:
    def other(run: Run) -> None:
        copy = tmp_path / "copy"
        stored_run.pull_run(url, copy)
        (copy / "splits.parquet").write_bytes(b"theirs")
        stored_run.push_run(copy, url)

    stages.also = {"embed": other}
    with pytest.raises(StoreError, match="was written by another process since"):
        ask(url, tmp_path)
    index = found_index(Store(url))
    entry = index.files["splits.parquet"]
    assert Store(url).read(object_of("splits.parquet", entry)) == b"theirs"


def test_a_bad_profile_touches_no_store(url: str, tmp_path: Path) -> None:
    request = runner.Request("no such profile", Path("unused"), url=url)
    with pytest.raises(PipelineError, match="no such profile"):
        stored_run.run_stored(request, print)
    assert Store(url).sizes() == {}


def command(*words: str) -> int:
    return main(list(words))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s4://lab/run", "s4://lab/run: no store is known as s4://; give s3://BUCKET/PREFIX"),
        ("s3:/lab/run", "s3:/lab/run: s3: is followed by two slashes; give"),
        ("file://lab/run", "file://lab/run: file: is followed by three slashes; give"),
        ("s3://lab", "s3://lab: it names a bucket alone; add a prefix for the run, such as"),
        ("s3://lab//run", "s3://lab//run: it names no place for a run; give"),
        ("s3://lab/../run", "s3://lab/../run: it names no place for a run; give"),
        ("memory://nothing/here", "memory://nothing/here holds no run (no index.json); check the"),
    ],
)
def test_a_wrong_address_is_a_sentence(
    url: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("score", url) == 2
    assert capsys.readouterr().err.startswith(f"interplm-nb: {said}")


def test_credentials_in_an_address_are_refused_and_not_repeated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for url in ("s3://key:hush@lab/run", "s3://lab/run?token=hush", "s3://lab/run#hush"):
        assert command("score", url) == 2
        said = capsys.readouterr().err
        assert "an address holds no user, key or query; give credentials as" in said
        assert "hush" not in said


@pytest.mark.parametrize(
    ("url", "package", "how"),
    [
        ("s3://lab/run", "s3fs", "pip install 'interplm-nb[s3]'"),
        ("gs://lab/run", "gcsfs", "pip install gcsfs"),
    ],
)
def test_a_missing_package_is_named(
    url: str,
    package: str,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert command("verify", url) == 2
    kind = url[:2]
    assert capsys.readouterr().err.strip() == (
        f"interplm-nb: {url}: {kind}:// needs {package}, not installed here: {how}"
    )


def test_a_bucket_that_is_missing_or_closed(
    s3: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("score", "s3://nobody/run") == 2
    assert capsys.readouterr().err.strip() == (
        "interplm-nb: s3://nobody/run: there is no bucket 'nobody'; check its name, or make it "
        "(aws s3 mb s3://nobody)"
    )
    s3.fault = lambda request: "deny"
    assert command("score", "s3://lab/run") == 2
    said = capsys.readouterr().err
    assert "s3://lab/run: reading index.json was refused (" in said
    assert "check that these credentials may list, read and write lab/run" in said


def test_no_credentials(
    s3: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert command("score", "s3://lab/run") == 2
    assert capsys.readouterr().err.strip() == (
        "interplm-nb: s3://lab/run: no credentials were found; set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    )


def test_push_pull_verify_and_score_take_addresses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, url, copy = tmp_path / "run", f"memory://{tmp_path.name}", tmp_path / "copy"
    shutil.copytree(Run.shipped().folder, run)
    assert command("push", str(run), url) == 0
    assert f"{url}: " in capsys.readouterr().out
    assert command("score", str(run)) == 0
    here = capsys.readouterr().out
    assert command("score", url) == 0
    assert capsys.readouterr().out == here
    assert command("verify", url) == 0
    assert f"{url}: all " in capsys.readouterr().out
    assert command("pull", url, str(copy)) == 0
    assert "were fetched" in capsys.readouterr().out
    assert command("verify", str(copy)) == 0
    with pytest.raises(SystemExit):
        command("interpret", "--run", url)
    assert "is in an object store, and a path of this machine is wanted" in capsys.readouterr().err
