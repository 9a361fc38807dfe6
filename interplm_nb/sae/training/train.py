"""Training SAEs: one loop for all that take the same batches. It can be killed at any step and run
again to the same weights."""

from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import torch

from interplm_nb.plm.devices import choose_device, multiplies_bfloat16
from interplm_nb.plm.protocol import PLM
from interplm_nb.proteins import Proteins
from interplm_nb.sae.checkpoint import CONFIG, load
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.best import BEST, Best, check_best
from interplm_nb.sae.training.distributed import ALONE, World, joined, rank_and_size
from interplm_nb.sae.training.loop import Loop, evaluated, evaluation_line, layer_of, seen
from interplm_nb.sae.training.options import Precision, TrainingOptions
from interplm_nb.sae.training.progress import (
    CHECKPOINTS,
    METRICS,
    Metrics,
    newest_state,
    read_metrics,
)
from interplm_nb.sae.training.stream import Batches, StreamedBatches
from interplm_nb.sae.training.trainee import Setting, Trainee
from interplm_nb.saving import remove

__all__ = ["SAEConfig", "TrainingOptions", "train", "train_on"]

_SAMPLE_BATCHES = 4
"""Batches from which b_dec and the scaling of inputs are measured."""
_DEFAULT = TrainingOptions()


def train(
    plm: PLM,
    proteins: Proteins,
    configs: Sequence[SAEConfig],
    folder: Path,
    steps: int,
    batch_size: int = 2048,
    options: TrainingOptions = _DEFAULT,
    *,
    seed: int = 0,
    buffer_residues: int | None = None,
) -> dict[str, SAE]:
    """Train SAEs of one or more layers from one pass of the PLM over proteins.

    Every SAE of a layer sees the same batches.

    Parameters
    ----------
    configs
        One per SAE, each with its `layer`.
    folder
        Each SAE is saved in `folder/<label>`; killed or repeated calls behave as in `train_on`.
    steps, batch_size
        Steps of the optimizer, and residues per step over all processes.
    options
        Device, metrics, checkpoints and evaluations. Under `torchrun`, each process embeds its
        share of the proteins and gradients are averaged, or with `spread="layers"` each trains the
        SAEs of its share of the layers.
    seed
        Order of the proteins and residues.
    buffer_residues
        Residues shuffled among each other; by default as many as `stream.BUFFER_RESIDUES` and
        `stream.BUFFER_BYTES` allow.

    Returns
    -------
    dict
        The SAEs (of this process's layers) by their label.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> plm = ipn.load_plm("esm2-mini", "cpu")
    >>> proteins = ipn.Proteins.from_sequences({"P1": "MKTAYIAK" * 8, "P2": "GGSAVLKE" * 8})
    >>> configs = [ipn.SAEConfig.recipe("topk", 256, k=8, layer=layer) for layer in (2, 3)]
    >>> saes = ipn.train(plm, proteins, configs, Path("saes"), steps=2, batch_size=64)
    >>> sorted(sae.about.layer for sae in saes.values())
    [2, 3]
    """
    rank, size = rank_and_size()
    plan = _named(configs, folder)
    layers = [_own_layer(config) for config in plan.values()]
    if options.spread == "layers" and size > 1:
        layers = sorted(set(layers))[rank::size]
        plan = {path: config for path, config in plan.items() if config.layer in layers}
        rank, size = 0, 1
    if not layers:
        return {}
    layers += [config.target for config in plan.values() if config.target is not None]
    batches = StreamedBatches(
        plm, proteins, layers, batch_size, seed, (rank, size), buffer_residues
    )
    saes = train_on(batches, plan, steps, options)
    return {config.label: sae for config, sae in zip(plan.values(), saes, strict=True)}


def train_on(
    batches: Batches,
    plan: Mapping[Path, SAEConfig],
    steps: int,
    options: TrainingOptions = _DEFAULT,
) -> list[SAE]:
    """Train the SAE of each config on the same batches.

    A training that was killed resumes from its checkpoints when called again with the same batches
    and configs, on a CPU to the same weights bit for bit; SAEs that are finished are loaded. Ctrl-C
    saves and raises KeyboardInterrupt. An SAE whose loss becomes NaN or infinite is left out, the
    others are trained to the end, and then FloatingPointError is raised for it. Under `torchrun`,
    the folders must be on a disk that all processes see.

    Parameters
    ----------
    batches
        Such as `StoredBatches` or `StreamedBatches`.
    plan
        By folder, the SAE that is saved there: `sae.safetensors`, `config.json`, `metrics.jsonl`.
    steps
        Steps of the optimizer.
    options
        Device, metrics, checkpoints and evaluations.

    Returns
    -------
    list
        The SAEs in the order of `plan`.

    Raises
    ------
    ValueError
        For a folder with a training of other batches or another config, unless
        `options.restart`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> class Gaussian:
    ...     layers, batch_size = (1,), 64
    ...     def about(self, layer):
    ...         return {"plm": "none", "plm_revision": "", "layer": layer, "data": "gaussian"}
    ...     def batch(self, step):
    ...         return {1: torch.randn(64, 8, generator=torch.Generator().manual_seed(step))}
    >>> config = SAEConfig.recipe("topk", 16, k=2)
    >>> with TemporaryDirectory() as folder:
    ...     options = TrainingOptions(device="cpu", progress=False)
    ...     (sae,) = train_on(Gaussian(), {Path(folder): config}, 5, options)
    >>> sae.architecture, sae.about.layer
    (TopK(k=2), 1)
    """
    where = choose_device(options.device)
    with nullcontext(ALONE) if options.spread == "layers" else joined(where) as world:
        setting = _setting(steps, batches.batch_size, where, options.precision, world)
        identities = {
            folder: _identity(config, batches, setting) for folder, config in plan.items()
        }
        _prepare(identities, options.restart, world)
        trainees = [
            Trainee(plan[folder], folder, identity, setting)
            for folder, identity in identities.items()
            if not _finished(folder, identity, world)
        ]
        if trainees:
            _begin(trainees, batches)
            Loop(batches, trainees, setting, options).run()
        world.wait()
        saes = [load(folder).to(where) for folder in plan]
        if options.evaluate is not None and world.writes:
            _catch_up(plan, saes, steps, options)
        return saes


def _catch_up(
    plan: Mapping[Path, SAEConfig], saes: Sequence[SAE], steps: int, options: TrainingOptions
) -> None:
    """Evaluate finished SAEs whose last evaluation was cut off by a kill."""
    assert options.evaluate is not None
    for (folder, config), sae in zip(plan.items(), saes, strict=True):
        if not evaluated(folder, steps):
            line = evaluation_line(options.evaluate(sae), steps)
            known = {name for before in read_metrics(folder / METRICS) for name in before}
            check_best(options, known | set(line))
            Best(folder, options).keep(line, lambda sae=sae: sae)
            with closing(Metrics(folder / METRICS, steps)) as metrics:
                metrics.write(line)
            if options.log is not None:
                options.log({"sae": config.label, **line})


def _setting(
    steps: int, batch_size: int, device: torch.device, precision: Precision, world: World
) -> Setting:
    if steps < 1:
        raise ValueError(f"steps must be at least 1; got {steps}")
    capable = multiplies_bfloat16(device)
    if precision == "bfloat16" and not capable:
        raise ValueError(
            "precision 'bfloat16' needs a device that multiplies it (a GPU of CUDA, or a processor "
            f"with AVX512-BF16 or AMX), which this {device} is not; use precision='auto' or "
            "'float32'"
        )
    dtype = torch.float64 if precision == "float64" else torch.float32
    unasked = precision == "auto" and capable and device.type == "cuda"
    autocast = precision == "bfloat16" or unasked
    return Setting(steps, batch_size, device, dtype, autocast, world)


def _named(configs: Sequence[SAEConfig], folder: Path) -> dict[Path, SAEConfig]:
    labels = [config.label for config in configs]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError(f"two SAEs are called {twice[0]!r}; give each its own SAEConfig.name")
    return {folder / config.label: config for config in configs}


def _own_layer(config: SAEConfig) -> int:
    if config.layer is None:
        raise ValueError(f"{config.label} has no layer; give SAEConfig(layer=...)")
    return config.layer


def _identity(config: SAEConfig, batches: Batches, setting: Setting) -> dict[str, Any]:
    """Everything that the weights depend on."""
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
        **about.place(),
    }
    _refuse_other(folder, found, identity, "a finished training")
    if world.writes:
        remove(folder / CHECKPOINTS)
    return True


def _begin(trainees: Sequence[Trainee], batches: Batches) -> None:
    """Start each SAE from its newest checkpoint, or from first weights."""
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
        own = [seen(trainee.config, sample, batches) for sample in samples]
        written = [target for _, target in own if target is not None]
        trainee.begin(
            _gathered(trainee, [x for x, _ in own]),
            _gathered(trainee, written) if written else None,
        )


def _gathered(trainee: Trainee, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Residues of all processes, on the CPU."""
    device = trainee.setting.device
    return torch.cat([trainee.setting.world.gather(x.to(device)) for x in parts]).cpu()


def _refuse_other(
    folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any], what: str
) -> None:
    def flat(identity: Mapping[str, Any]) -> dict[str, Any]:
        """The config's settings and the rest of the identity side by side."""
        return {**identity["config"], **{k: v for k, v in identity.items() if k != "config"}}

    old, new = flat(found), flat(wanted)
    differences = [
        f"{name} {old.get(name)!r} there, {new.get(name)!r} now"
        for name in sorted(old | new)
        if old.get(name) != new.get(name)
    ]
    if differences:
        raise ValueError(
            f"{folder} holds {what} with other settings ({'; '.join(differences)}); take another "
            "folder, or restart=True to start again"
        )
