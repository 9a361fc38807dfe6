"""The steps of a training, with its metrics, checkpoints and evaluations, and stopping on
Ctrl-C."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from interplm_nb.progress import progress_bar
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.checkpoint import save
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.best import Best, check_best
from interplm_nb.sae.training.options import TrainingOptions
from interplm_nb.sae.training.progress import (
    CHECKPOINTS,
    METRICS,
    Metrics,
    read_metrics,
    save_state,
)
from interplm_nb.sae.training.stream import Batches
from interplm_nb.sae.training.trainee import Setting, Trainee
from interplm_nb.saving import remove

_log = logging.getLogger(__name__)
_CALIBRATION_BATCHES = 16
"""Batches after the last step, on which a threshold is calibrated."""


class Loop:
    """The steps of all SAEs that share batches."""

    def __init__(
        self,
        batches: Batches,
        trainees: Sequence[Trainee],
        setting: Setting,
        options: TrainingOptions,
    ) -> None:
        self.batches, self.trainees = batches, list(trainees)
        self.setting, self.options = setting, options
        self._metrics: dict[Path, Metrics] = {}
        self._failed: list[FloatingPointError] = []
        self._best: dict[Path, Best] = {}
        self._names: set[str] = set()
        # One PLM may give the batches and be evaluated with: it does one thing at a time.
        self._using_plm = threading.Lock()

    def run(self) -> None:
        """Run from the step of the least advanced SAE to the end; each joins at its own step. One
        that diverges is left out; its error is raised when the others are finished."""
        first, steps = min(t.step for t in self.trainees), self.setting.steps
        names = (
            f"{len(self.trainees)} SAEs"
            if len(self.trainees) > 1
            else self.trainees[0].config.label
        )
        clock = _Clock(self.setting.batch_size, first)
        with ExitStack() as stack:
            hidden = not (self.options.progress and self.setting.world.writes)
            bar = stack.enter_context(
                progress_bar(
                    total=steps, initial=first, desc=f"train {names}", unit=" steps", disable=hidden
                )
            )
            interrupted = stack.enter_context(_interruptible())
            for trainee in self.trainees if self.setting.world.writes else ():
                self._metrics[trainee.folder] = stack.enter_context(
                    closing(Metrics(trainee.folder / METRICS, trainee.step))
                )
                self._best[trainee.folder] = Best(trainee.folder, self.options)
            self._catch_up()
            for step, batch in stack.enter_context(closing(self._ahead(first, steps))):
                x = {layer: values.to(self.setting.device) for layer, values in batch.items()}
                active = [trainee for trainee in self.trainees if trainee.step == step]
                for trainee in active:
                    self._unless_diverged(
                        trainee, lambda t, x=x: t.take_step(*seen(t.config, x, self.batches))
                    )
                bar.update()
                self._after(step + 1, active, interrupted, bar, clock)
            self._finish(interrupted)
        if self._failed:
            raise self._failed[0]

    def _ahead(
        self, first: int, last: int
    ) -> Generator[tuple[int, Mapping[int, Tensor]], None, None]:
        """Batches of the steps `first` to `last` (excluded), each fetched while the one before is
        used."""
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
            coming = pool.submit(self._batch, first) if first < last else None
            for step in range(first, last):
                assert coming is not None
                x = coming.result()
                if step + 1 < last:
                    coming = pool.submit(self._batch, step + 1)
                yield step, x

    def _batch(self, step: int) -> Mapping[int, Tensor]:
        with self._using_plm:
            return self.batches.batch(step)

    def _finish(self, interrupted: threading.Event) -> None:
        """Save all before any is evaluated: an evaluation that fails, or takes long, loses
        nothing."""
        finished = [
            (t, sae)
            for t in list(self.trainees)
            if (sae := self._unless_diverged(t, self._save_finished)) is not None
        ]
        if self.options.evaluate is None or not self.setting.world.writes:
            return
        for trainee, sae in finished:
            if interrupted.is_set():
                raise KeyboardInterrupt(
                    "training is finished and saved; the same call makes the remaining evaluations"
                )
            self._evaluate(trainee, sae)

    def _after(
        self,
        step: int,
        active: Sequence[Trainee],
        interrupted: threading.Event,
        bar: Any,
        clock: "_Clock",
    ) -> None:
        stop = self.setting.world.any(interrupted.is_set(), self.setting.device)
        if step % self.options.log_every == 0 or step == self.setting.steps:
            speed = clock.tokens_per_second(step)
            lines = [
                line
                for trainee in active
                if (line := self._unless_diverged(trainee, lambda t: self._line(t, speed)))
            ]
            shown = (
                {
                    name: sum(line[name] for line in lines) / len(lines)
                    for name in ("loss", "fvu", "l0", "silent_in_window")
                }
                if lines
                else {}
            )
            bar.set_postfix({name: f"{value:.3g}" for name, value in shown.items()})
        # After the line, which starts the counts again: a checkpoint counts from the last line.
        evaluates = [t for t in active if self._evaluates(step) and t in self.trainees]
        if step % self.options.checkpoint_every == 0 or stop or evaluates:
            for trainee in active:
                self._unless_diverged(trainee, self._save)
        # Saved first: no evaluation can lose what was trained. One process makes it, the others
        # wait for it at their next step.
        for trainee in evaluates if self.setting.world.writes else ():
            self._evaluate(trainee, _finished(trainee))
        if stop:
            raise KeyboardInterrupt(
                f"training stopped after step {step} of {self.setting.steps} and saved; the same "
                "call resumes from there"
            )
        if not self.trainees:
            raise self._failed[0]

    def _unless_diverged(self, trainee: Trainee, what: Callable[[Trainee], Any]) -> Any:
        """Call `what`; an SAE whose loss is NaN or infinite is left out from then on."""
        if trainee not in self.trainees:
            return None
        try:
            return what(trainee)
        except FloatingPointError as error:
            _log.warning("%s", error)
            self._failed.append(error)
            self.trainees.remove(trainee)
            return None

    def _line(self, trainee: Trainee, speed: float) -> dict[str, Any]:
        values = {**trainee.metrics(), "tokens_per_second": speed}
        self._names = set(values)
        if self.options.evaluate is None:
            check_best(self.options, self._names)
        if self.setting.world.writes:
            self._write(trainee, values, lambda: _finished(trainee))
        return values

    def _write(self, trainee: Trainee, values: Mapping[str, Any], sae: Callable[[], SAE]) -> None:
        self._best[trainee.folder].keep(values, sae)
        self._metrics[trainee.folder].write(values)
        if self.options.log is not None:
            self.options.log({"sae": trainee.config.label, **values})

    def _evaluates(self, step: int) -> bool:
        every = self.options.evaluate_every
        return (
            self.options.evaluate is not None
            and every > 0
            and step % every == 0
            and step < self.setting.steps
        )

    def _evaluate(self, trainee: Trainee, sae: SAE) -> None:
        """Measure, and write another line for the same step."""
        assert self.options.evaluate is not None
        with self._using_plm:
            values = evaluation_line(self.options.evaluate(sae), trainee.step)
        if self._names:
            check_best(self.options, self._names | set(values))
        self._write(trainee, values, lambda: sae)

    def _catch_up(self) -> None:
        """Make the evaluations that a kill cut off."""
        for trainee in self.trainees if self.setting.world.writes else ():
            if (
                trainee.step
                and self._evaluates(trainee.step)
                and not evaluated(trainee.folder, trainee.step)
            ):
                self._evaluate(trainee, _finished(trainee))

    def _save(self, trainee: Trainee) -> None:
        trainee.check_finite()
        record, tensors = trainee.state()
        if self.setting.world.writes:
            save_state(trainee.folder, tensors, trainee.step, record, self.options.keep)
        self.setting.world.wait()

    def _save_finished(self, trainee: Trainee) -> SAE:
        layer, steps = layer_of(trainee.config, self.batches), self.setting.steps
        calibration = (
            (self.batches.batch(steps + i)[layer] for i in range(_CALIBRATION_BATCHES))
            if trainee.config.architecture.calibrated_k is not None
            else ()
        )
        trainee.check_finite()
        sae = _finished(trainee, calibration)
        trainee.check_finite()  # the calibrated threshold may overflow
        if self.setting.world.writes:
            save(sae, trainee.folder, about_of(trainee))
            remove(trainee.folder / CHECKPOINTS)
        return sae


def evaluation_line(values: Mapping[str, float], step: int) -> dict[str, Any]:
    """The line of metrics that an evaluation writes."""
    return {**values, "step": step, "evaluation": True}


def evaluated(folder: Path, step: int) -> bool:
    """Is an evaluation after this step among the lines of metrics?"""
    return any(
        line["step"] == step and "evaluation" in line for line in read_metrics(folder / METRICS)
    )


class _Clock:
    """Residues per second since it was last asked."""

    def __init__(self, batch_size: int, first: int) -> None:
        self._batch_size = batch_size
        self._last = first, time.perf_counter()

    def tokens_per_second(self, step: int) -> float:
        """The mean rate between the step of the last call and this one."""
        now = time.perf_counter()
        steps, seconds = step - self._last[0], now - self._last[1]
        self._last = step, now
        return steps * self._batch_size / max(seconds, 1e-9)


def layer_of(config: SAEConfig, batches: Batches) -> int:
    """The layer of the batches that a config is for."""
    layer = batches.layers[0] if config.layer is None and len(batches.layers) == 1 else config.layer
    if layer is None or layer not in batches.layers:
        raise ValueError(
            f"{config.label} is for layer {layer}; the batches hold layers "
            f"{', '.join(map(str, batches.layers))}"
        )
    return layer


def seen(
    config: SAEConfig, batch: Mapping[int, Tensor], batches: Batches
) -> tuple[Tensor, Tensor | None]:
    """What a config's SAE reads of a batch, and what a transcoder is to write."""
    x = batch[layer_of(config, batches)]
    if config.target is None:
        return x, None
    if config.target not in batch:
        raise ValueError(
            f"{config.label} writes layer {config.target}; the batches hold layers "
            f"{', '.join(map(str, batches.layers))}"
        )
    return x, batch[config.target]


def about_of(trainee: Trainee) -> SAEAbout:
    """The record that a trained SAE is saved with."""
    config, identity = trainee.config, trainee.identity
    training = {
        **identity["config"],
        **{name: identity[name] for name in ("steps", "precision")},
        "batch_size": trainee.setting.batch_size,
    }
    return SAEAbout.of(
        identity,
        recipe=config.recipe_name,
        seed=config.seed,
        training=training,
        target=config.target,
    )


def _finished(trainee: Trainee, calibration: Iterable[Tensor] = ()) -> SAE:
    sae = trainee.finished(calibration)
    sae.about = about_of(trainee)
    return sae


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that it never cuts a step in two; a second Ctrl-C interrupts at
    once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def interrupt(*_: object) -> None:
        """Set the event, and leave the next Ctrl-C to the handler from before."""
        event.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
