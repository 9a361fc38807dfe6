"""Training SAEs: one loop for all that take the same batches, which may be killed at any step and run again to the same weights."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

import torch

from interplm_nb.plm.devices import choose_device
from interplm_nb.plm.protocol import PLM
from interplm_nb.proteins import Proteins
from interplm_nb.sae.checkpoint import CONFIG, load
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.distributed import World, joined, rank_and_size
from interplm_nb.sae.training.loop import (
    BEST,
    Evaluate,
    Log,
    Loop,
    Upkeep,
    evaluated,
    evaluation_line,
    layer_of,
)
from interplm_nb.sae.training.progress import CHECKPOINTS, METRICS, Metrics, newest_state
from interplm_nb.sae.training.stream import Batches, StreamedBatches
from interplm_nb.sae.training.trainee import Setting, Trainee
from interplm_nb.saving import remove

__all__ = ["SAEConfig", "train", "train_on"]

Precision = Literal["auto", "float32", "bfloat16", "float64"]
_LOWEST_IS_BEST = ("loss", "reconstruction", "fvu", "dead", "ce", "kl")
_HIGHEST_IS_BEST = ("loss_recovered", "loss_recovered_published")
_SAMPLE_BATCHES = 4
"""Batches from which b_dec and the scaling of inputs are measured."""


def train(
    plm: PLM,
    proteins: Proteins,
    configs: Sequence[SAEConfig],
    folder: Path,
    steps: int,
    batch_size: int = 2048,
    *,
    seed: int = 0,
    buffer_residues: int | None = None,
    spread: Literal["residues", "layers"] = "residues",
    **options: Any,
) -> dict[str, SAE]:
    """Train SAEs of one or more layers from one pass of the PLM over proteins; returns them by their label, saved in `folder/<label>`.

    Every SAE of a layer sees the same batches. Under `torchrun` each process embeds its share of the proteins and gradients are averaged, or with
    `spread="layers"` each trains the SAEs of its share of the layers. `options` are those of `train_on`.
    """
    rank, size = rank_and_size()
    plan = _named(configs, folder)
    layers = [_own_layer(config) for config in plan.values()]
    if spread == "layers" and size > 1:
        mine = sorted(set(layers))[rank::size]
        plan, rank, size = (
            {path: config for path, config in plan.items() if config.layer in mine},
            0,
            1,
        )
        layers = mine
    if not layers:
        return {}
    batches = StreamedBatches(
        plm, proteins, layers, batch_size, seed, (rank, size), buffer_residues
    )
    saes = train_on(batches, plan, steps, alone=size == 1, **options)
    return {config.label: sae for config, sae in zip(plan.values(), saes, strict=True)}


def train_on(
    batches: Batches,
    plan: Mapping[Path, SAEConfig],
    steps: int,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    log: Log | None = None,
    log_every: int = 100,
    checkpoint_every: int = 1000,
    keep: int = 2,
    evaluate: Evaluate | None = None,
    evaluate_every: int = 0,
    best: str | None = None,
    best_is: Literal["lowest", "highest"] | None = None,
    restart: bool = False,
    progress: bool = True,
    alone: bool = False,
) -> list[SAE]:
    """Train the SAE of each config on the same batches and save it to its folder (`sae.safetensors`, `config.json`, `metrics.jsonl`); in `plan`'s
    order.

    A training that was killed goes on from its checkpoints (`keep` newest of each SAE, every `checkpoint_every` steps) when called again with the
    same batches and configs, on a CPU to the same weights bit for bit; SAEs that are finished are loaded. A folder with a training of other batches
    or another config is refused unless `restart`.

    `log` gets each line of metrics with the SAE's label: step, loss and its parts, fvu, l0, dead (share), density, lr, tokens_per_second; with
    `evaluate`, every `evaluate_every` steps and at the end, what it measures too (`fidelity.probe` gives one). `best` names a metric: the weights
    with its best value so far are kept in `<folder>/best`. `precision` "auto" is bfloat16 autocast on a CUDA device that has it, else float32.

    Under `torchrun` the processes train together on their shares of each batch, unless `alone`; the folders must be on a disk that all of them see.
    Ctrl-C saves and raises KeyboardInterrupt. An SAE whose loss becomes NaN or infinite is left out, the others are trained to the end, and then
    FloatingPointError is raised for it.
    """
    for name, value in (
        ("log_every", log_every),
        ("checkpoint_every", checkpoint_every),
        ("keep", keep),
    ):
        if value < 1:
            raise ValueError(f"{name} is at least 1, not {value}")
    upkeep = Upkeep(
        log,
        log_every,
        checkpoint_every,
        keep,
        evaluate,
        evaluate_every,
        best,
        _highest(best, best_is),
        progress,
    )
    where = choose_device(device)
    with joined(where) if not alone else _alone() as world:
        setting = _setting(steps, batches.batch_size, where, precision, world)
        identities = {
            folder: _identity(config, batches, setting) for folder, config in plan.items()
        }
        _prepare(identities, restart, world)
        unfinished = [
            folder
            for folder, identity in identities.items()
            if not _finished(folder, identity, world)
        ]
        trainees = [
            Trainee(plan[folder], folder, identities[folder], setting) for folder in unfinished
        ]
        if trainees:
            _begin(trainees, batches)
            Loop(batches, trainees, setting, upkeep).run()
        world.wait()
        saes = [load(folder).to(where) for folder in plan]
        if evaluate is not None and world.writes:
            _catch_up(plan, saes, steps, upkeep)
        return saes


def _catch_up(
    plan: Mapping[Path, SAEConfig], saes: Sequence[SAE], steps: int, upkeep: Upkeep
) -> None:
    """Finished SAEs whose last evaluation a process died in."""
    assert upkeep.evaluate is not None
    for (folder, config), sae in zip(plan.items(), saes, strict=True):
        if not evaluated(folder, steps):
            line = evaluation_line(upkeep.evaluate(sae), steps)
            with closing(Metrics(folder / METRICS, steps)) as metrics:
                metrics.write(line)
            if upkeep.log is not None:
                upkeep.log({"sae": config.label, **line})


def _highest(best: str | None, best_is: str | None) -> bool:
    """Is the best value of a metric the highest?"""
    known = (
        "lowest" if best in _LOWEST_IS_BEST else "highest" if best in _HIGHEST_IS_BEST else best_is
    )
    if best is not None and (known is None or best_is not in (None, known)):
        raise ValueError(
            f"best={best!r}: is the lowest or the highest value the best? Say best_is='lowest' or 'highest', not {best_is!r}"
        )
    return known == "highest"


def _setting(
    steps: int, batch_size: int, device: torch.device, precision: Precision, world: World
) -> Setting:
    if steps < 1:
        raise ValueError(f"steps is at least 1, not {steps}")
    capable = device.type == "cuda" and torch.cuda.is_bf16_supported()
    if precision == "bfloat16" and not capable:
        raise ValueError(
            f"precision 'bfloat16' needs a CUDA device that computes in it, not {device}; use precision='auto' or 'float32'"
        )
    if precision not in ("auto", "float32", "bfloat16", "float64"):
        raise ValueError(
            f"precision is 'auto', 'float32', 'bfloat16' or 'float64', not {precision!r}"
        )
    autocast = precision == "bfloat16" or (precision == "auto" and capable)
    return Setting(
        steps,
        batch_size,
        device,
        torch.float64 if precision == "float64" else torch.float32,
        autocast,
        world,
    )


def _named(configs: Sequence[SAEConfig], folder: Path) -> dict[Path, SAEConfig]:
    labels = [config.label for config in configs]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError(
            f"two SAEs are called {twice[0]!r}; give them names of their own (SAEConfig.name)"
        )
    return {folder / config.label: config for config in configs}


def _own_layer(config: SAEConfig) -> int:
    if config.layer is None:
        raise ValueError(f"{config.label}: which layer? Give SAEConfig(layer=...)")
    return config.layer


def _identity(config: SAEConfig, batches: Batches, setting: Setting) -> dict[str, Any]:
    """What the weights depend on."""
    precision = "bfloat16" if setting.autocast else str(setting.dtype).removeprefix("torch.")
    about = batches.about(layer_of(config, batches))
    return {
        "config": config.record() | {"layer": about["layer"], "name": ""},
        "steps": setting.steps,
        "precision": precision,
        **about,
    }


def _prepare(identities: Mapping[Path, Mapping[str, Any]], restart: bool, world: World) -> None:
    if world.writes:
        for folder in identities:
            for name in (CHECKPOINTS, METRICS, CONFIG, BEST) if restart else ():
                remove(folder / name)
            folder.mkdir(parents=True, exist_ok=True)
            for draft in list(folder.rglob(".*.tmp")):  # left by a process that was killed
                remove(draft)
    world.wait()


def _finished(folder: Path, identity: Mapping[str, Any], world: World) -> bool:
    if not (folder / CONFIG).exists():
        return False
    about = load(folder).about
    assert about is not None
    training = dict(about.training)
    outside = {name: training.pop(name, None) for name in ("steps", "precision")}
    training.pop("batch_size", None)
    found = {
        "config": training,
        **outside,
        **{name: getattr(about, name) for name in ("plm", "plm_revision", "layer", "data")},
    }
    _refuse_other(folder, found, identity, "a finished training")
    if world.writes:
        remove(folder / CHECKPOINTS)
    return True


def _begin(trainees: Sequence[Trainee], batches: Batches) -> None:
    """Each from its newest checkpoint, or from first weights."""
    new = []
    for trainee in trainees:
        found = newest_state(trainee.folder)
        if found is None:
            new.append(trainee)
            continue
        _refuse_other(
            trainee.folder,
            found[0]["identity"],
            trainee.identity,
            f"a training stopped after step {found[0]['step']}",
        )
        trainee.restore(*found)
    samples = [batches.batch(step) for step in range(_SAMPLE_BATCHES)] if new else []
    for trainee in new:
        own = [sample[layer_of(trainee.config, batches)] for sample in samples]
        trainee.begin(
            torch.cat(
                [trainee.setting.world.gather(x.to(trainee.setting.device)) for x in own]
            ).cpu()
        )


def _refuse_other(
    folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any], what: str
) -> None:
    def flat(identity: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **identity["config"],
            **{name: value for name, value in identity.items() if name != "config"},
        }

    old, new = flat(found), flat(wanted)
    differences = [
        f"{name} {old.get(name)!r} there, {new.get(name)!r} now"
        for name in sorted(old | new)
        if old.get(name) != new.get(name)
    ]
    if differences:
        raise ValueError(
            f"{folder} holds {what} with other settings ({'; '.join(differences)}); take another folder, or restart=True to begin anew"
        )


@contextmanager
def _alone() -> Iterator[World]:
    yield World()
