"""One SAE in training: its weights, optimizer and counters after `step` steps, and the step
itself."""

import logging
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.feature_use import WINDOW
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.atoms import (
    first_atoms,
    project_gradient,
    renormalise,
    share_moved,
)
from interplm_nb.sae.training.calibrate import calibrated_threshold
from interplm_nb.sae.training.dead import resample
from interplm_nb.sae.training.distributed import World
from interplm_nb.sae.training.initial import new_sae
from interplm_nb.sae.training.input_scaling import InputScaling
from interplm_nb.sae.training.losses import Loss, fraction_unexplained, loss
from interplm_nb.sae.training.progress import load_optimizer, optimizer_tensors

_log = logging.getLogger(__name__)
_THRESHOLD_MEMORY = 0.99
"""Memory of the running threshold that BatchTopK has until its threshold is calibrated."""
DENSITY_BINS = tuple(range(-6, 1))
"""Powers of ten between which the metric `density` counts features, by the share of residues on
which they fired since the line before; the first count is of features below 1e-6 or silent."""


@dataclass(frozen=True)
class Setting:
    """What all SAEs of a training share."""

    steps: int
    batch_size: int
    """Residues per step, over all processes."""
    device: torch.device
    dtype: torch.dtype
    autocast: bool
    world: World


class Trainee:
    """An SAE in training. `sae` takes scaled inputs; `finished` gives the one that takes
    embeddings."""

    def __init__(
        self, config: SAEConfig, folder: Path, identity: Mapping[str, Any], setting: Setting
    ) -> None:
        self.config, self.folder = config, folder
        self.identity, self.setting = dict(identity), setting
        self.step = 0
        self._rows_at_once = setting.batch_size
        self._last: tuple[Tensor, Loss] | None = None
        self.written: InputScaling | None = None

    def begin(self, sample: Tensor, target: Tensor | None = None) -> None:
        """Set first weights, from a sample [n, d_in] of embeddings on the CPU, and of a transcoder
        from what it is to write there, [n, d_out]."""
        sample = sample.to(self.setting.dtype)
        scaling = InputScaling.of(self.config.scaling, sample)
        if target is None:
            sae = new_sae(self.config, scaling(sample))
        else:
            target = target.to(self.setting.dtype)
            self.written = InputScaling.of(self.config.scaling, target)
            sae = new_sae(self.config, scaling(sample), self.written(target))
        zeros = torch.zeros(self.config.d_sae, dtype=torch.int64)
        counters = {
            "silent": zeros,
            "fired": zeros.clone(),
            "fired_among": torch.zeros((), dtype=torch.int64),
        }
        self._set(sae, scaling, counters)

    def restore(self, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
        scaling = InputScaling(tensors["scaling.shift"], tensors["scaling.scale"])
        d_out = None
        if "written.shift" in tensors:
            self.written = InputScaling(tensors["written.shift"], tensors["written.scale"])
            d_out = len(self.written.shift)
        sae = SAE(len(scaling.shift), self.config.d_sae, self.config.architecture, d_out=d_out).to(
            self.setting.dtype
        )
        sae.load_state_dict({name: tensors[name] for name in sae.state_dict()})
        self._set(
            sae, scaling, {name: tensors[name] for name in ("silent", "fired", "fired_among")}
        )
        load_optimizer(self.optimizer, dict(self.sae.named_parameters()), tensors)
        self.step = record["step"]

    def _set(self, sae: SAE, scaling: InputScaling, counters: Mapping[str, Tensor]) -> None:
        device = self.setting.device
        self.sae = sae.to(device).train()
        self.scaling = scaling.to(device)
        self.written = None if self.written is None else self.written.to(device)
        fused = device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.Adam(
            self.sae.parameters(), lr=self.config.lr, betas=self.config.betas, fused=fused
        )
        self.counters = {name: value.to(device) for name, value in counters.items()}
        self._first_bad = torch.full((), -1, dtype=torch.int64, device=device)

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """A JSON record and tensors from which another process can resume. There is no generator
        state: random draws are a function of (seed, step)."""
        parameters = dict(self.sae.named_parameters())
        scaling = {"scaling.shift": self.scaling.shift, "scaling.scale": self.scaling.scale}
        if self.written is not None:
            scaling |= {"written.shift": self.written.shift, "written.scale": self.written.scale}
        tensors = {
            **self.sae.state_dict(),
            **optimizer_tensors(self.optimizer, parameters),
            **self.counters,
            **scaling,
        }
        return {"identity": self.identity}, tensors

    def take_step(self, embeddings: Tensor, target: Tensor | None = None) -> None:
        """One step of the optimizer on this process's residues [batch_size / processes, d_in]; of a
        transcoder with what it is to write there, [batch_size / processes, d_out]."""
        if len(embeddings) * self.setting.world.size != self.setting.batch_size:
            raise ValueError(
                f"one of {self.setting.world.size} processes that share {self.setting.batch_size} "
                f"residues got a batch of {len(embeddings)}; "
                "make batches with share=(rank, processes)"
            )
        x = self.scaling(embeddings.to(self.setting.device, self.setting.dtype))
        t = x
        if self.written is not None:
            assert target is not None
            t = self.written(target.to(self.setting.device, self.setting.dtype))
        self._revive(x, t)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr_at(self.step, self.setting.steps)
        output = self._gradients(x, t)
        self.setting.world.average_gradients(self.sae.parameters())
        self._constrain_and_step()
        self._count(output)
        self.step += 1
        self._first_bad = torch.where(
            (self._first_bad < 0) & ~output.total.isfinite(), self.step, self._first_bad
        )
        self._last = t, output

    def _gradients(self, x: Tensor, target: Tensor) -> Loss:
        """Fill the gradients. A batch that does not fit the device is halved from then on; what
        depends on a whole batch (BatchTopK's choice, JumpReLU's L0, AuxK's spread) then takes each
        part as a batch."""
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            try:
                return _joined(
                    [
                        self._backward(part, of_part, len(part) / len(x))
                        for part, of_part in zip(
                            x.split(self._rows_at_once),
                            target.split(self._rows_at_once),
                            strict=True,
                        )
                    ]
                )
            except torch.OutOfMemoryError:
                rows = min(self._rows_at_once, len(x))
                if rows < 2 or self.setting.world.size > 1:
                    raise
                self._rows_at_once = -(-rows // 2)
                _log.warning(
                    "%s: out of memory with %d residues at once; continuing with %d at once",
                    self.config.label,
                    rows,
                    self._rows_at_once,
                )

    def _backward(self, x: Tensor, target: Tensor, share: float) -> Loss:
        sparsity = self.config.sparsity_at(self.step, self.setting.steps)
        with self._autocast():
            output = loss(
                self.sae,
                x,
                self.config,
                sparsity,
                self._dead_features(),
                self.setting.world,
                target,
            )
        (share * output.total).backward()
        return output._replace(
            total=output.total.detach(),
            parts={name: value.detach() for name, value in output.parts.items()},
        )

    def _autocast(self) -> AbstractContextManager[Any]:
        return (
            torch.autocast(self.setting.device.type, torch.bfloat16)
            if self.setting.autocast
            else nullcontext()
        )

    def _constrain_and_step(self) -> None:
        config, parameters = self.config, list(self.sae.parameters())
        if config.clip_norm is not None and config.clip_before_projection:
            torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        if config.unit_norm:
            project_gradient(self.sae.W_dec)
        if config.clip_norm is not None and not config.clip_before_projection:
            torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        self.optimizer.step()
        if config.unit_norm:
            renormalise(self.sae.W_dec)
        for name, own in self.sae.architecture.own_weights.items():
            if own.minimum is not None:
                with torch.no_grad():
                    getattr(self.sae, name).clamp_(min=own.minimum)

    @torch.no_grad()
    def _count(self, output: Loss) -> None:
        counts = self.setting.world.sum(output.counts)
        self.counters["silent"] += self.setting.batch_size
        self.counters["silent"].masked_fill_(counts > 0, 0)
        self.counters["fired"] += counts
        self.counters["fired_among"] += self.setting.batch_size
        if output.threshold is not None:
            memory = _THRESHOLD_MEMORY if self.step else 0.0
            self.sae.threshold.mul_(memory).add_((1 - memory) * output.threshold)

    def _dead_features(self) -> Tensor | None:
        # No feature can be dead before enough residues were seen. Not asking the device before
        # that spares the first steps its wait.
        size = self.setting.batch_size
        after = self.config.revived_after(self.setting.steps * size)
        if self.config.dead != "auxk" or self.step * size < after:
            return None
        dead = (self.counters["silent"] >= after).nonzero()[:, 0]
        return dead if len(dead) else None

    def _revive(self, x: Tensor, target: Tensor) -> None:
        every = self.config.resample_every
        if self.config.dead.startswith("resample") and self.step > 0 and self.step % every == 0:
            dead = self.counters["silent"] > every // 2 * self.setting.batch_size
            by_error = self.config.dead == "resample by error"
            n = resample(
                self.sae,
                self.setting.world.gather(x),
                dead,
                self.optimizer,
                self.config.seed + self.step,
                by_error,
                self.setting.world.gather(target),
            )
            _log.info(
                "step %d: %d of %d dead features were resampled", self.step, n, int(dead.sum())
            )

    @torch.no_grad()
    def metrics(self) -> dict[str, Any]:
        """Metrics of the step just taken; the density covers all steps since the last call."""
        self.check_finite()
        assert self._last is not None
        (target, output), world = self._last, self.setting.world
        scale = (self.written or self.scaling).scale
        fvu = fraction_unexplained(target * scale, output.x_hat * scale, world)
        window = self._window()
        silent = self.counters["silent"] >= window
        l0 = world.sum(output.counts).sum() / self.setting.batch_size
        values = {
            "loss": world.mean(output.total),
            **{name: world.mean(part) for name, part in output.parts.items()},
            "fvu": fvu,
            "l0": l0,
        }
        schedule: dict[str, Any] = {
            "lr": self.config.lr_at(self.step - 1, self.setting.steps),
            "density": self._density(),
        }
        if self.config.sparsity > 0:
            schedule["sparsity_weight"] = self.config.sparsity_at(self.step - 1, self.setting.steps)
        return {
            "step": self.step,
            **{name: float(value) for name, value in values.items()},
            "silent_in_window": float(silent.float().mean()),
            "window": window,
            "moved": self._moved(),
            **schedule,
        }

    def _window(self) -> int:
        """`WINDOW` in whole steps, or the residues so far."""
        size = self.setting.batch_size
        return min(-(-WINDOW // size), self.step) * size

    def _moved(self) -> float:
        """Drawn again, because first atoms that are kept would take the memory of all SAEs."""
        generator = torch.Generator().manual_seed(self.config.seed)
        return share_moved(
            self.sae.W_dec, first_atoms(self.config.d_sae, self.sae.d_out, generator)
        )

    def _density(self) -> list[int]:
        """Features by share of residues: below each power of `DENSITY_BINS`, and at most 1. Resets
        the counters."""
        share = (self.counters["fired"] / self.counters["fired_among"]).cpu()
        bounds = torch.tensor([10.0**power for power in DENSITY_BINS])
        self.counters["fired"].zero_()
        self.counters["fired_among"].zero_()
        return torch.bincount(
            torch.bucketize(share, bounds[:-1], right=True), minlength=len(DENSITY_BINS)
        ).tolist()

    def check_finite(self) -> None:
        """Raise FloatingPointError where the loss has become NaN or infinite."""
        bad = int(self.setting.world.gather(self._first_bad[None]).max())
        if bad < 0 and not all(
            bool(value.isfinite().all()) for value in self.sae.state_dict().values()
        ):
            bad = self.step  # the loss was still finite
        if bad >= 0:
            lr = self.config.lr_at(bad - 1, self.setting.steps)
            raise FloatingPointError(
                f"{self.config.label}: the loss became NaN or infinite at step {bad} of "
                f"{self.setting.steps} (lr {lr:g}). The last good "
                "checkpoint is kept, where one was due; train again with a smaller lr and "
                "restart=True, and check the embeddings for NaN"
            )

    @torch.no_grad()
    def finished(self, calibration: Iterable[Tensor] = ()) -> SAE:
        """The SAE of embeddings: scaling folded in, eval mode, its threshold calibrated on batches
        of embeddings where it has one to calibrate and there are any."""
        batches = [self.scaling(x.to(self.setting.device, self.setting.dtype)) for x in calibration]
        k = self.sae.architecture.calibrated_k
        if batches and k is not None:
            threshold = calibrated_threshold(self.sae, k, batches, self.setting.world)
            self.sae.threshold.fill_(threshold)
        return self.scaling.folded_into(self.sae, self.written).float().eval()


def _joined(outputs: list[Loss]) -> Loss:
    """The loss of a batch from the losses of its parts; all but the last have equal size."""
    if len(outputs) == 1:
        return outputs[0]
    sizes = torch.tensor([float(len(o.x_hat)) for o in outputs])
    shares = (sizes / sizes.sum()).tolist()
    parts = {
        name: sum(s * o.parts[name] for s, o in zip(shares, outputs, strict=True))
        for name in outputs[0].parts
    }
    total = torch.stack([s * o.total for s, o in zip(shares, outputs, strict=True)]).sum()
    thresholds = [o.threshold for o in outputs if o.threshold is not None]
    threshold = torch.stack(thresholds).mean() if thresholds else None
    counts = torch.stack([o.counts for o in outputs]).sum(0)
    return Loss(
        total,
        {n: torch.as_tensor(p) for n, p in parts.items()},
        torch.cat([o.x_hat for o in outputs]),
        counts,
        threshold,
    )
