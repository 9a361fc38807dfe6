"""Training an SAE: one loop, which may be killed at any step and run again to the same weights."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from interplm_nb.plm.esm2 import choose_device
from interplm_nb.sae.checkpoint import CONFIG, SAEAbout, load, save
from interplm_nb.sae.losses import auxiliary_k, fraction_unexplained, interplm_paper, squared_error
from interplm_nb.sae.model import SAE
from interplm_nb.sae.progress import METRICS, STATE, Metrics, load_state, read_state_record, save_state
from interplm_nb.sae.recipes import TrainConfig, new_sae, project_gradient, renormalise, resample
from interplm_nb.sae.reconstruct import Reconstruction, reconstruct
from interplm_nb.sae.stream import Batches
from interplm_nb.saving import remove

__all__ = ["TrainConfig", "train"]

_log = logging.getLogger(__name__)
_SAMPLE_BATCHES = 4
"""Batches whose mean b_dec begins with (recipe "topk")."""
_DEAD_STEPS = 1000
"""The metric `dead` counts features that did not fire in this many steps, or since the first."""


def train(
    batches: Batches,
    config: TrainConfig,
    folder: Path,
    device: str = "auto",
    log: Callable[[Mapping[str, float]], None] | None = None,
    log_every: int = 100,
    checkpoint_every: int = 1000,
    restart: bool = False,
    progress: bool = True,
) -> SAE:
    """Train an SAE, save it to `folder` (`sae.safetensors`, `config.json`, `metrics.jsonl`) and return it, on `device`.

    A training that was killed goes on from its last checkpoint when called again with the same batches and config, on a CPU to the same weights bit
    for bit; one that was finished is loaded. A folder with a training of other batches or another config is refused unless `restart`.
    `log` is called with each line of metrics: step, loss and its parts, fvu, l0, dead (share of features), lr, tokens_per_second.
    Ctrl-C saves and raises KeyboardInterrupt. Raises FloatingPointError if the loss is NaN or infinite.
    """
    if batches.batch_size != config.batch_size:
        raise ValueError(f"the config has batch_size={config.batch_size}, the batches have {batches.batch_size}; make both the same")
    if restart:
        for name in (STATE, METRICS, CONFIG):
            remove(folder / name)
    folder.mkdir(parents=True, exist_ok=True)
    identity = {"config": asdict(config), **batches.about}
    finished = _finished(folder, identity)
    if finished is not None:
        remove(folder / STATE)
        return finished.to(choose_device(device))
    training = _Training(batches, config, folder, identity, choose_device(device))
    with closing(Metrics(folder / METRICS, training.step)) as metrics:
        _run(training, metrics, log, log_every, checkpoint_every, progress)
    about = SAEAbout(recipe=config.recipe, seed=config.seed, training=asdict(config), **batches.about)
    save(training.sae, folder, about)
    remove(folder / STATE)
    return training.sae.eval()


def _run(
    training: "_Training", metrics: Metrics, log: Callable[[Mapping[str, float]], None] | None, log_every: int, checkpoint_every: int, progress: bool
) -> None:
    steps = training.config.steps
    clock = _Clock(training)
    with (
        tqdm(total=steps, initial=training.step, desc=f"train {training.config.recipe}", unit=" steps", disable=not progress) as bar,
        _interruptible() as interrupted,
        closing(_ahead(training.batches, training.step, steps)) as ahead,
    ):
        for x in ahead:
            measured = training.take_step(x)
            bar.update()
            if training.step % log_every == 0 or training.step == steps:
                values = {**training.metrics(*measured), "tokens_per_second": clock.tokens_per_second()}
                metrics.write(values)
                bar.set_postfix({name: f"{values[name]:.3g}" for name in ("loss", "fvu", "l0", "dead")})
                if log is not None:
                    log(values)
            if training.step % checkpoint_every == 0 or interrupted.is_set():
                training.save()
            if interrupted.is_set():
                raise KeyboardInterrupt(f"training stopped after step {training.step} of {steps} and saved; the same call goes on from there")
        training.check_finite()


class _Training:
    """Weights, optimizer and counters after `step` steps; made anew, or from the folder's saved state."""

    def __init__(self, batches: Batches, config: TrainConfig, folder: Path, identity: dict[str, Any], device: torch.device) -> None:
        self.batches, self.config, self.device = batches, config, device
        self._state, self._identity = folder / STATE, identity
        self.step = _saved_step(self._state, identity)
        sample = torch.cat([batches.batch(step) for step in range(min(_SAMPLE_BATCHES if self.step == 0 else 1, config.steps))])
        self.sae = new_sae(config, sample.cpu()).to(device).train()
        self.optimizer = torch.optim.Adam(self.sae.parameters(), lr=config.learning_rate, fused=device.type in ("cpu", "cuda"))
        self.silent = torch.zeros(config.d_sae, dtype=torch.int64, device=device)
        self._dead: Tensor | None = None
        self._first_bad = torch.full((), -1, dtype=torch.int64, device=device)
        if self.step > 0:
            load_state(self._state, self.sae, self.optimizer, self.silent)

    def take_step(self, x: Tensor) -> tuple[Tensor, Reconstruction, Tensor, dict[str, Tensor]]:
        """One step of the optimizer; returns what `metrics` takes, without waiting for the device."""
        x = x.to(self.device)
        self._revive(x)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr_at(self.step)
        output = reconstruct(self.sae, x)
        loss, parts = self._loss(x, output)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        project_gradient(self.sae.W_dec)
        if self.config.recipe == "topk" and self.config.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.sae.parameters(), self.config.clip_norm)
        self.optimizer.step()
        renormalise(self.sae.W_dec)
        self.silent += len(x)
        self.silent[output.fired] = 0
        self.step += 1
        self._first_bad = torch.where((self._first_bad < 0) & ~loss.detach().isfinite(), self.step, self._first_bad)
        return x, output, loss, parts

    def _loss(self, x: Tensor, output: Reconstruction) -> tuple[Tensor, dict[str, Tensor]]:
        if self.config.recipe == "interplm-paper":
            return interplm_paper(x, output.x_hat, output.activity, self.config.l1_at(self.step))
        error = squared_error(x, output.x_hat)
        dead = self._dead_features()
        if dead is None:
            return error, {"squared_error": error}
        auxiliary = auxiliary_k(self.sae, x, output.x_hat, dead)
        return error + self.config.auxk_alpha * auxiliary, {"squared_error": error, "auxiliary": auxiliary}

    def _dead_features(self) -> Tensor | None:
        # No feature can be dead before enough residues were seen; asking the device only then keeps the first steps free of waiting.
        if self.step * self.config.batch_size < self.config.dead_after_tokens:
            return None
        dead = (self.silent >= self.config.dead_after_tokens).nonzero()[:, 0]
        return dead if len(dead) else None

    def _revive(self, x: Tensor) -> None:
        every = self.config.resample_every
        if self.config.recipe == "interplm-paper" and every and self.step > 0 and self.step % every == 0:
            dead = self.silent > every // 2 * self.config.batch_size
            n = resample(self.sae, x, dead, self.optimizer, self.config.seed + self.step)
            _log.info("step %d: %d of %d dead features were resampled", self.step, n, int(dead.sum()))

    @torch.no_grad()
    def metrics(self, x: Tensor, output: Reconstruction, loss: Tensor, parts: Mapping[str, Tensor]) -> dict[str, float]:
        """The numbers of the step just taken."""
        self.check_finite()
        dead = self.silent >= min(_DEAD_STEPS, self.step) * self.config.batch_size
        values = {"loss": loss, **parts, "fvu": fraction_unexplained(x, output.x_hat), "l0": output.l0, "dead": dead.float().mean()}
        schedule = {"lr": self.config.lr_at(self.step - 1)}
        if self.config.recipe == "interplm-paper":
            schedule["l1"] = self.config.l1_at(self.step - 1)
        return {"step": self.step, **{name: float(value) for name, value in values.items()}, **schedule}

    def check_finite(self) -> None:
        bad = int(self._first_bad)
        if bad >= 0:
            saved = "a good checkpoint is kept; " if self._state.exists() else ""
            raise FloatingPointError(
                f"the loss became NaN or infinite at step {bad} of {self.config.steps} (lr {self.config.lr_at(bad - 1):g}). "
                f"{saved}train again with a smaller lr and restart=True, and check the embeddings for NaN"
            )

    def save(self) -> None:
        self.check_finite()
        save_state(self._state, self.sae, self.optimizer, self.silent, self.step, self._identity)


class _Clock:
    """Residues per second since it was last asked."""

    def __init__(self, training: _Training) -> None:
        self._training = training
        self._last = training.step, time.perf_counter()

    def tokens_per_second(self) -> float:
        step, now = self._training.step, time.perf_counter()
        steps, seconds = step - self._last[0], now - self._last[1]
        self._last = step, now
        return steps * self._training.config.batch_size / max(seconds, 1e-9)


def _ahead(batches: Batches, first: int, last: int) -> Generator[Tensor, None, None]:
    """Batches of the steps `first` to `last` (excluded), each fetched while the one before it is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        coming = pool.submit(batches.batch, first)
        for step in range(first, last):
            x = coming.result()
            if step + 1 < last:
                coming = pool.submit(batches.batch, step + 1)
            yield x


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that a step is never cut in two; a second Ctrl-C interrupts at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def interrupt(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def _finished(folder: Path, identity: Mapping[str, Any]) -> SAE | None:
    if not (folder / CONFIG).exists():
        return None
    sae = load(folder)
    about = sae.about
    assert about is not None
    of = {"config": about.training, "plm": about.plm, "plm_revision": about.plm_revision, "layer": about.layer, "data": about.data}
    _refuse_other(folder, of, identity, "a finished training")
    return sae


def _saved_step(path: Path, identity: Mapping[str, Any]) -> int:
    if not path.exists():
        return 0
    record = read_state_record(path)
    _refuse_other(path.parent, record["identity"], identity, f"a training stopped after step {record['step']}")
    return record["step"]


def _refuse_other(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any], what: str) -> None:
    def flat(identity: Mapping[str, Any]) -> dict[str, Any]:
        return {**identity["config"], **{name: value for name, value in identity.items() if name != "config"}}

    old, new = flat(found), flat(wanted)
    differences = [f"{name} {old.get(name)!r} there, {new.get(name)!r} now" for name in sorted(old | new) if old.get(name) != new.get(name)]
    if differences:
        raise ValueError(f"{folder} holds {what} with other settings ({'; '.join(differences)}); take another folder, or restart=True to begin anew")
