"""A stage that is begun, worked on by several processes and finished has a plain stage's bytes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from interplm_nb.embeddings import CLAIMS, TASK
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import EmbedParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.runner import Request, asked
from interplm_nb.pipeline.shard_work import work
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.saving import write_json
from interplm_nb.scale.claims import Claims


@pytest.fixture
def begun(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Run, EmbedParameters]:
    """A copy of the run in which embed is begun, in shards of some 500 residues."""
    monkeypatch.setattr("interplm_nb.plm.store.SHARD_BYTES", 1)
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    params = EmbedParameters(
        plm="esm2-mini", layer=1, tokens_per_batch=500, run=str(run.folder), device="cpu"
    )
    STAGES["embed"].begin(run, params)
    return run, params


def drafts(run: Run) -> list[Path]:
    return sorted(path.parent for path in (run.folder / "embeddings").rglob(TASK))


def test_work_then_the_stage_gives_the_bytes_of_the_plain_stage(
    begun: tuple[Run, EmbedParameters], tmp_path: Path
) -> None:
    run, params = begun
    assert len(drafts(run)) == 2  # the model and its shuffled copy
    assert not list((run.folder / "embeddings").rglob("*.safetensors"))
    command = [sys.executable, "-m", "interplm_nb", "work", str(run.folder), "embed"]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said: list[str] = []
    work(run, "embed", said.append)
    for other in others:
        said += other.communicate(timeout=100)[0].splitlines()
        assert other.returncode == 0
    for name in ("esm2-mini", "esm2-mini-shuffled-42"):
        mine = [
            int(line.split(": ")[1].split(" ")[0].replace(",", ""))
            for line in said
            if line.startswith(f"embedding with {name}: ")
        ]
        assert len(mine) == 3 and sum(mine) == run.proteins().n_residues
    assert all(list(draft.glob(CLAIMS)) == [] for draft in drafts(run))
    made = {d.parent: sorted(f.name for f in d.glob("*.safetensors")) for d in drafts(run)}
    assert all(len(names) > 10 for names in made.values())

    plain = tmp_path / "plain"
    shutil.copytree(run.folder, plain)
    Run.open(plain).clear("embed")
    bytes_of = []
    for folder in (run.folder, plain):
        here = Run.open(folder)
        STAGES["embed"].call(here, params.model_copy(update={"run": str(folder)}))
        root = folder / "embeddings"
        files = sorted(path for path in root.rglob("*") if path.is_file())
        bytes_of.append({str(f.relative_to(root)): f.read_bytes() for f in files})
    assert bytes_of[0] == bytes_of[1]

    manifest.write(run, params, manifest.key(run, params), {"device": "cpu"})
    said.clear()
    work(run, "embed", said.append)
    assert said == ["embed: the stage has ended, no shard is missing"]


def test_the_stage_alone_finishes_what_workers_left(begun: tuple[Run, EmbedParameters]) -> None:
    """A worker that was killed leaves its claim and half a shard."""
    run, params = begun
    for draft in drafts(run):
        (draft / "00000.claim").write_text("{}")
        (draft / ".shard_00000.safetensors.1234abcd.tmp").write_text("half")
    STAGES["embed"].call(run, params)
    files = [path.name for path in (run.folder / "embeddings").rglob("*")]
    assert not {TASK, "proteins.parquet"} & set(files)
    assert not [name for name in files if name.startswith(".") or name.endswith(".claim")]


def test_a_stage_that_nobody_began_is_refused(tiny_run: Run, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    run.clear("embed")
    with pytest.raises(
        PipelineError, match="nobody has begun the stage 'embed'; begin it with: in"
    ):
        work(run, "embed", print)
    with pytest.raises(PipelineError, match=r"know no shards of stage 'train', only of: embed$"):
        work(run, "train", print)
    with pytest.raises(PipelineError, match="only of: embed; a Dask cluster computes them: run --"):
        work(run, "concepts", print)
    with pytest.raises(PipelineError, match="no stage 'embedd'"):
        work(run, "embedd", print)


def test_other_versions_and_other_weights_are_refused(begun: tuple[Run, EmbedParameters]) -> None:
    run, _ = begun
    path = drafts(run)[0] / TASK
    record = json.loads(path.read_text())
    write_json({**record, "installed": {**record["installed"], "numpy": "1.0"}}, path)
    with pytest.raises(ValueError, match=r"was begun with other versions than .*: numpy [\d.]+ \("):
        work(run, "embed", print)
    write_json({**record, "plm": {**record["plm"], "revision": "sha256:0"}}, path)
    with pytest.raises(ValueError, match="esm2-mini has other weights on this machine"):
        work(run, "embed", print)


def test_a_task_names_no_folder_outside_its_run(begun: tuple[Run, EmbedParameters]) -> None:
    run, _ = begun
    draft = drafts(run)[0]
    record = json.loads((draft / TASK).read_text())
    (draft / TASK).unlink()
    outside = run.folder.parent / "outside.draft"
    shutil.copytree(draft, outside)
    write_json({**record, "drafts": [[1, "../../../outside.draft"]]}, draft / TASK)
    with pytest.raises(FileNotFoundError):
        work(run, "embed", print)
    shutil.rmtree(draft)
    write_json(record, outside / TASK)
    draft.symlink_to(outside)
    for other in drafts(run):
        shutil.rmtree(other)
    with pytest.raises(PipelineError, match="nobody has begun"):
        work(run, "embed", print)
    assert not list(outside.glob("*.safetensors"))


def test_the_arithmetic_that_auto_chose_is_part_of_the_task(
    begun: tuple[Run, EmbedParameters],
) -> None:
    record = json.loads((drafts(begun[0])[0] / TASK).read_text())
    assert record["plm"]["dtype"] == "float32"


def test_a_stage_without_shards_cannot_be_begun() -> None:
    with pytest.raises(PipelineError, match="know no shards of stage 'train'"):
        asked(Request("demo", Path("x"), begin="train"))
    request = Request("demo", Path("x"), begin="embed")
    assert request.command() == "interplm-nb run demo --out x --begin embed"


def test_arrays_have_no_shards_to_share(begun: tuple[Run, EmbedParameters]) -> None:
    run, params = begun
    with pytest.raises(PipelineError, match="embeddings are read from a file, so there are no sh"):
        STAGES["embed"].begin(run, params.model_copy(update={"arrays": "mine.npz"}))


def test_one_worker_waits_for_a_shard_that_another_holds(
    begun: tuple[Run, EmbedParameters],
) -> None:
    """It ends only when none is missing; a claim that nobody renews lapses."""
    run, _ = begun
    folder = drafts(run)[0]
    (folder / "00000.claim").write_text("{}")
    work(run, "embed", lambda _: None, lease=0.5)
    assert list(folder.glob(CLAIMS)) == []
    with Claims(folder).holding(0) as ours:
        assert ours
