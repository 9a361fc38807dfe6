"""Runs a profile: one stage's notebook after another, skipping unchanged ones, under one lock."""

import errno
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, cast

from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.enough import FEW, too_few
from interplm_nb.pipeline.errors import PipelineError, StageError
from interplm_nb.pipeline.explore_run import EXPLORE, prepare
from interplm_nb.pipeline.lock import locked
from interplm_nb.pipeline.memory import MEASURE, PeakMemory
from interplm_nb.pipeline.model_choice import settle_model, settled
from interplm_nb.pipeline.notebooks import execute, lessons
from interplm_nb.pipeline.parameters import EmbedParameters, StageParameters
from interplm_nb.pipeline.preflight import (
    check_batches,
    check_device,
    check_files,
    check_fits,
    check_motifs,
)
from interplm_nb.pipeline.profiles import Profile, asking_for, load
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.pipeline.shard_work import work_command
from interplm_nb.pipeline.stage_table import REQUIRED, STAGES, stage_named
from interplm_nb.pipeline.time_left import TimeLeft, every_minute
from interplm_nb.saving import remove
from interplm_nb.scale.address import check_address

Expect = Callable[[RunModel, int, Mapping[str, StageParameters]], Mapping[str, float]]
"""Seconds by stage that a model is expected to take on this many residues; empty where nobody
knows."""

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Request:
    """What a person asks for: `interplm-nb run PROFILE --out DIR ...`."""

    profile: str
    out: Path
    settings: Sequence[str] = ()
    first: str = REQUIRED[0]
    force: str | None = None
    device: str = "auto"
    scheduler: str = ""
    begin: str = ""
    """A stage whose shards are only listed, for `shard_work`; nothing after it is done."""
    url: str = ""
    """The object store of which `out` is a copy; see `pipeline.stored_run`."""
    notebooks: Path | None = field(default=None, compare=False)

    def command(self) -> str:
        """The command line that asks for this again, to resume."""
        words = ["interplm-nb", "run", self.profile, "--out", self.url or str(self.out)]
        words += [word for setting in self.settings for word in ("-p", setting)]
        words += ["--device", self.device] if self.device != "auto" else []
        words += ["--scheduler", self.scheduler] if self.scheduler else []
        words += ["--begin", self.begin] if self.begin else []
        return shlex.join(words)


@dataclass(frozen=True)
class _Work:
    """What the stages of one call share."""

    descriptor: int
    say: Callable[[str], None]
    progress: TextIO | None
    expect: Expect | None
    after_stage: Callable[[], object]


def run(
    request: Request,
    say: Callable[[str], None],
    progress: TextIO | None = None,
    expect: Expect | None = None,
    after_stage: Callable[[], object] = lambda: None,
) -> Run:
    """Bring a run up to date with a profile.

    Everything is checked before the first kernel starts. `say` gets a line when a stage starts and
    when it ends, and one a minute where no `progress` is shown. `expect` estimates what the stages
    after the first take, once the proteins are known. `after_stage` is called after each. Raises
    `StageError` with the notebook, the cell, the last line of the error and the way to resume.
    """
    profile = asked(request)
    folder = request.notebooks or lessons()
    try:
        run = Run(request.out.expanduser().resolve())
        run.folder.mkdir(parents=True, exist_ok=True)
        with locked(run.lock) as descriptor:
            run = Run.create(run.folder, profile.name)
            run.clear_drafts()
            profile = fitted(run, profile, say)
            work = _Work(descriptor, say, progress, expect, after_stage)
            _stages(run, profile, request, folder, work)
            if (folder / EXPLORE).is_file() and not request.begin:
                prepare(run.folder)  # the lessons' tables link to it
    except StageError as error:
        raise StageError(f"{error}\nresume with: {request.command()}") from None
    except OSError as error:
        if error.errno in NO_SPACE:
            raise PipelineError(
                f"no space left on the disk that holds {request.out}; "
                f"free some and run again: {request.command()}"
            ) from None
        raise
    return run


def asked(request: Request) -> Profile:
    """The requested profile, checked as far as possible without a model."""
    for stage in (request.first, *([request.force] if request.force else [])):
        stage_named(stage)
    if request.begin:
        _ = stage_named(request.begin).begin
    profile = load(request.profile, request.settings)
    _check_asked(profile, request)
    check_device(request.device)
    check_address(request.scheduler)
    if request.first == REQUIRED[0]:  # else stage 1's output is used unchanged
        check_files(profile.stages)
    check_motifs(profile.stages)
    return profile


def fitted(run: Run, profile: Profile, say: Callable[[str], None]) -> Profile:
    """The profile with the run's model and its settings, checked before a stage starts."""
    embed = cast(EmbedParameters, profile.stages["embed"])
    model = settle_model(run, embed, say)
    stages = {name: settled(run, params) for name, params in profile.stages.items()}
    check_fits(model, stages)
    return replace(profile, stages=stages)


def _check_asked(profile: Profile, request: Request) -> None:
    """Refuse to start at an optional stage that the profile does not ask for."""
    for stage in (request.first, request.force):
        if stage and stage not in profile.stages:
            others = asking_for(stage)
            raise PipelineError(
                f"stage {stage!r} is optional, and profile {profile.name} has no table [{stage}]; "
                f"set one of its parameters with -p {stage}.name=value"
                + (f", or take a profile that has it: {', '.join(others)}" if others else "")
            )


def _stages(
    run: Run,
    profile: Profile,
    request: Request,
    folder: Path,
    work: _Work,
) -> None:
    order, judged, say = list(STAGES), False, work.say
    left = TimeLeft(list(profile.stages), {})
    forced = order.index(request.force) if request.force else len(order)
    stages = profile.at(str(run.folder), request.device, request.scheduler)
    for stage, params in stages.items():
        name, number = STAGES[stage].folder, order.index(stage)
        if number < order.index(request.first):
            run.manifest(stage)  # it must have ended; its outputs are used as they are
            say(f"{name}: taken as it is (--from {request.first})")
            continue
        now = manifest.key(run, params)
        if number >= forced:
            run.clear(stage)
        elif manifest.is_current(run, params, now):
            say(f"{name}: unchanged, skipped")
            if stage == request.begin:
                return
            continue
        if not judged and stage != REQUIRED[0]:
            ahead = {s: p for s, p in profile.stages.items() if order.index(s) >= number}
            with_proteins = Run.open(run.folder)
            _judge(with_proteins, ahead, say)
            judged = True
            left.seconds = _expected(with_proteins, stages, work.expect)
        if stage == request.begin:
            STAGES[stage].begin(run, params)
            say(f"{name}: begun; compute its shards with: {work_command(request.out, stage)}")
            return
        _stage(run, params, now, folder / f"{name}.ipynb", work, left)
        work.after_stage()


def _judge(run: Run, stages: Mapping[str, StageParameters], say: Callable[[str], None]) -> None:
    """Say where stage 1 made too little for the stages ahead; refuse a batch that it cannot
    fill."""
    proteins, splits = run.proteins(), run.splits()
    check_batches(proteins.select(run.accessions("train")).n_residues, stages)
    for sentence in too_few(proteins, run.annotations(), splits, stages, run.model()):
        say(f"{FEW}: {sentence}")


def _expected(
    run: Run, stages: Mapping[str, StageParameters], expect: Expect | None
) -> dict[str, float]:
    model = run.model()
    if expect is None or model is None:
        return {}
    return dict(expect(model, run.proteins().n_residues, stages))


def _stage(
    run: Run,
    params: StageParameters,
    now: manifest.Key,
    notebook: Path,
    work: _Work,
    left: TimeLeft,
) -> None:
    name, place = STAGES[params.stage].folder, left.place(params.stage)
    words = left.words(params.stage)
    work.say(f"{name}: {place}{words and f', {words}'}; running {notebook}")

    def still(passed: float) -> None:
        """Say how long the stage has run, where no progress is shown."""
        words = left.words(params.stage, passed)
        if work.progress is None:
            work.say(f"{name}: {place}, {passed / 60:.0f} min passed{words and f', {words}'}")

    manifest.begin(run, params)
    run.manifest_path(params.stage).unlink(missing_ok=True)
    started, clock = datetime.now(UTC), time.perf_counter()
    with PeakMemory() as memory, every_minute(still):
        execute(run, params, notebook, work.descriptor, work.progress)
    seconds = time.perf_counter() - clock
    measured = {
        "device": _device(run, params.stage),
        "seconds": round(seconds, 1),
        "peak_memory_bytes": memory.peak,
        "peak_memory_measure": MEASURE,
        "started": started.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    manifest.write(run, params, now, measured)
    remove(run.work(params.stage))
    left.took(params.stage, seconds)
    work.say(
        f"{name}: done in {seconds:.0f} s on {measured['device']}, "
        f"peak memory {memory.peak / 2**20:.0f} MiB"
    )


def _device(run: Run, stage: str) -> str:
    """The device that a stage reports; stages without torch report none."""
    return (
        run.summary(stage).get("device", "cpu")
        if (run.stage_folder(stage) / "summary.json").is_file()
        else "cpu"
    )
