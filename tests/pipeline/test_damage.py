"""A run that is damaged: every reader refuses by name or gives the intact values, and `verify`
finds the file."""

import json
import random
import secrets
import shlex
import shutil
from pathlib import Path

import pytest

from interplm_nb.cli.main import main
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.verification import verify
from interplm_nb.saving import read_json, write_json
from scripts import damage_run
from tests.pipeline.tiny import tiny_parameters

BOTH_ORDERS = {"by_feature.parquet", "by_residue.parquet"}


@pytest.fixture(scope="module")
def copied(tiny_run, tmp_path_factory) -> Path:
    """A copy of the tiny run; put back what you change."""
    folder = tmp_path_factory.mktemp("damaged") / "run"
    shutil.copytree(tiny_run.folder, folder)
    return folder


@pytest.fixture
def changed(copied):
    """Write other bytes to a file of the copy; the old ones come back after the test."""
    kept: dict[Path, bytes] = {}

    def change(name: str, data: bytes | None) -> Path:
        path = copied / name
        kept[path] = path.read_bytes()
        path.unlink() if data is None else path.write_bytes(data)
        return path

    yield change
    for path, data in kept.items():
        path.write_bytes(data)


def fails(copied: Path, rng: random.Random, tries: int) -> list[damage_run.Trial]:
    found = list(damage_run.trials(copied, rng, tries))
    assert {made.name for made in found} == set(damage_run.files(copied))
    return [made for made in found if made.result not in damage_run.SURVIVED]


@pytest.mark.parametrize("part", range(4))
def test_no_damaged_file_gives_other_values_or_a_traceback(copied, part, monkeypatch):
    """Each file once, with a damage drawn at random: the message has the seed."""
    seed = secrets.randbits(32)
    mine = damage_run.files(copied)[part::4]
    monkeypatch.setattr(damage_run, "files", lambda _: mine)
    assert not (wrong := fails(copied, random.Random(seed), 1)), f"seed {seed}: {wrong}"


@pytest.mark.slow
def test_no_damage_of_any_file_gives_other_values_or_a_traceback(copied):
    seed = secrets.randbits(32)
    assert not (wrong := fails(copied, random.Random(seed), 25)), f"seed {seed}: {wrong}"


def test_the_ring_sees_a_reader_that_gives_other_values(copied, monkeypatch):
    monkeypatch.setattr("interplm_nb.saving._file_sum", lambda data: data[slice(*_sum(data))])
    rng, name = random.Random(0), "sources/sae/maxima.parquet"
    intact = damage_run.fingerprint(damage_run.contents(Run.open(copied), name))
    results = {damage_run.trial(copied, name, "bit", rng, intact).result for _ in range(60)}
    assert "other values" in results


def _sum(data: bytes) -> tuple[int, int]:
    place = data.rfind(b"interplm_nb.crc32:") + len("interplm_nb.crc32:")
    return place, place + 8


def test_a_damaged_file_of_a_run_names_the_stage_to_run_again(copied, changed):
    path = changed("splits.parquet", b"PAR1")
    with pytest.raises(PipelineError) as raised:
        Run.open(copied).splits()
    assert str(raised.value).startswith(f"{path}: damaged, ")
    assert str(raised.value).endswith(
        f"; run stage 'proteins' again: interplm-nb run PROFILE --out {copied} --force proteins"
    )


def test_a_file_that_may_not_be_read(copied, monkeypatch):
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    run = Run.open(copied)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(
        PipelineError,
        match=r"splits\.parquet: cannot be read \(Permission denied\); check its permissions, and",
    ):
        run.splits()


def test_a_damaged_record_of_the_run_says_that_no_stage_makes_it(copied, changed):
    changed("run.json", b"{")
    with pytest.raises(
        PipelineError,
        match=r"run\.json: damaged, not JSON .*; copy it again from a run of the same",
    ):
        Run.open(copied)


def test_a_stage_with_a_damaged_manifest_runs_again(copied, changed, caplog):
    params = tiny_parameters(copied)["proteins"]
    run = Run.open(copied)
    assert manifest.is_current(run, params, manifest.key(run, params))
    changed("01_proteins/manifest.json", b"")
    assert not manifest.is_current(run, params, manifest.key(run, params))
    assert "manifest.json: damaged, it is empty" in caplog.text


def test_an_intact_run_is_verified_and_not_written_to(copied, capsys):
    before = {f: f.stat().st_mtime_ns for f in copied.rglob("*")}
    assert main(["verify", str(copied)]) == 0
    n = len(damage_run.files(copied)) - 1  # all but .hashes.json
    assert capsys.readouterr().out == f"{copied}: all {n} files are as the stages left them.\n"
    assert {f: f.stat().st_mtime_ns for f in copied.rglob("*")} == before


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("splits.parquet", "proteins"),
        ("embeddings/layer_01/shard_00000.safetensors", "embed"),
        ("embeddings/layer_01/about.json", "embed"),
        ("sources/sae/sae.safetensors", "train"),
        ("sources/sae/activations/by_residue.parquet", "activations"),
        ("sources/pca/projection.safetensors", "activations"),
        ("05_concepts/summary.json", "concepts"),
    ],
)
def test_a_changed_bit_is_found_by_the_manifest_and_by_the_files_own_sum(
    copied, changed, capsys, name, stage, listed
):
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 4
    changed(name, bytes(data))
    if not listed:
        changed(str(manifest.STAGES[stage].folder) + "/manifest.json", None)
    assert main(["verify", str(copied)]) == 1
    out = capsys.readouterr().out
    assert f"changed          {name}  (stage {stage})\n" in out
    assert "1 of " in out
    assert out.endswith(f"again: interplm-nb run tiny --out {copied} --force {stage}\n")


def test_a_name_that_leads_out_of_the_run_is_not_read(copied, changed):
    path = copied / manifest.STAGES["embed"].folder / "manifest.json"
    outside = "../../etc/passwd"
    kept = read_json(path, "Manifest", 1)
    kept["outputs"] = {outside: {"hash": "sha256:0", "size": 0}}
    write_json(kept, changed(str(path.relative_to(copied)), None))
    found = {file.name: file.fault for file in verify(copied)}
    assert found[outside] == "outside the run"


@pytest.mark.parametrize(
    ("record", "edit", "files"),
    [
        ("sources/sae/config.json", {"weights": None}, {"sae.safetensors"}),
        ("sources/sae/activations/about.json", {"sums": {"other": ""}}, BOTH_ORDERS),
        ("sources/sae/activations/about.json", {"sums": {"by_feature": "!"}}, BOTH_ORDERS),
        ("sources/sae/activations/about.json", {"sums": 3}, BOTH_ORDERS),
        ("embeddings/layer_01/about.json", {"bounds": None}, {"shard_00000.safetensors"}),
        ("embeddings/layer_01/about.json", {"bounds": [0]}, {"shard_00000.safetensors"}),
        ("embeddings/layer_01/about.json", {"bounds": [2**70]}, {"shard_00000.safetensors"}),
        ("embeddings/layer_01/about.json", {"dtype": 3}, {"shard_00000.safetensors"}),
        ("embeddings/layer_01/about.json", {"type": "Other"}, {"shard_00000.safetensors"}),
    ],
)
def test_a_file_that_its_record_does_not_describe_is_found(copied, changed, record, edit, files):
    """The record's own sum is right, and no manifest lists the file."""
    for stage in ("embed", "train", "activations"):
        changed(f"{manifest.STAGES[stage].folder}/manifest.json", None)
    kept = json.loads((copied / record).read_bytes()) | edit
    write_json({k: v for k, v in kept.items() if v is not None}, changed(record, None))
    found = {checked.name: checked.fault for checked in verify(copied) if checked.fault}
    assert found == {(Path(record).parent / file).as_posix(): "changed" for file in files}


@pytest.mark.parametrize(
    "outputs", [None, ["splits.parquet"], {"splits.parquet": "sha256:0"}, {"splits.parquet": {}}]
)
def test_a_manifest_without_hashes_is_refused_in_one_sentence(copied, changed, caplog, outputs):
    name = "01_proteins/manifest.json"
    kept = read_json(copied / name, "Manifest", 1) | {"outputs": outputs}
    write_json(kept, changed(name, None))
    sentence = (
        f"{copied / name}: damaged, it does not list the stage's files with their hashes; run "
        f"stage 'proteins' again: interplm-nb run PROFILE --out {copied} --force proteins"
    )
    run, params = Run.open(copied), tiny_parameters(copied)["proteins"]
    with pytest.raises(PipelineError) as raised:
        run.manifest("proteins")
    assert str(raised.value) == sentence
    assert not manifest.is_current(run, params, manifest.key(run, params))
    assert caplog.messages == [sentence]
    assert {c.name for c in verify(copied) if c.fault} == {name}


def test_a_record_that_names_no_profile_is_damaged(tmp_path):
    run = Run.create(tmp_path, "demo")
    write_json({"type": "Run", "version": 1}, run.record)
    with pytest.raises(PipelineError, match=r"run\.json: damaged, it names no profile; copy it"):
        Run.open(tmp_path)


def test_the_command_that_verify_prints_can_be_pasted(tmp_path, capsys):
    folder = tmp_path / "a run; of mine"
    run = Run.create(folder, "my profile")
    (folder / "splits.parquet").write_bytes(b"PAR1, once")
    assert main(["verify", str(folder)]) == 1
    command = capsys.readouterr().out.rpartition("again: ")[2]
    assert shlex.split(command) == [
        *("interplm-nb", "run", "my profile"),
        *("--out", str(run.folder), "--force", "proteins"),
    ]


def test_missing_and_unreadable_files_and_manifests_are_found(copied, changed):
    changed("splits.parquet", None)
    changed("02_embed/manifest.json", b"{}"[:1])
    (copied / "proteins.parquet").rename(copied / "kept")
    (copied / "proteins.parquet").mkdir()
    try:
        found = {file.name: file.fault for file in verify(copied) if file.fault}
    finally:
        (copied / "proteins.parquet").rmdir()
        (copied / "kept").rename(copied / "proteins.parquet")
    assert found == {
        "splits.parquet": "missing",
        "proteins.parquet": "unreadable",
        "02_embed/manifest.json": "changed",
    }


def test_the_shipped_run_is_verified():
    assert {file.fault for file in verify(Run.shipped().folder)} == {None}


def test_verify_takes_a_run(tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 2
    assert "is not a run: it has no run.json" in capsys.readouterr().err
