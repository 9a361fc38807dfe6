"""Measure what docs/steering/attribution.md says of a run: python scripts/measure_attribution.py.

`layer RUN FOLDER` attributes predictions in test proteins to the run's own layer, by its SAE or
another `--source`; `--model NAME --layers 2 3` trains SAEs of another model's layers on the run's
train proteins instead. `circuits` does so with circuits across these layers. Tables are written to
the folder as Parquet.
"""

import argparse
from pathlib import Path

import torch

from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.steered_layer import steered_layer
from interplm_nb.plm import load as load_plm
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.training.train import train
from interplm_nb.steering.experiments.attribution.attribute import AttributionSettings
from interplm_nb.steering.experiments.attribution.survey import (
    AttributionSurveySettings,
    attribution_survey,
)
from interplm_nb.steering.experiments.circuits.circuit import CircuitSettings
from interplm_nb.steering.experiments.circuits.survey import CircuitSurveySettings, circuit_survey
from interplm_nb.steering.experiments.over_proteins import SurveySettings, of_run
from interplm_nb.steering.experiments.settings import ExperimentResult
from interplm_nb.steering.measured_layers import measured_layers
from interplm_nb.steering.steered_layer import SteeredLayer

FEATURES, K = 512, 16


def layers_of(run: Run, given: argparse.Namespace) -> list[SteeredLayer]:
    """The run's layer, or layers of another model with SAEs that are trained here."""
    if not given.model:
        return [steered_layer(run, given.source, "cpu")]
    plm, proteins = load_plm(given.model, "cpu"), run.proteins().select(run.accessions("train"))
    configs = [SAEConfig.recipe("topk", FEATURES, k=K, layer=layer) for layer in given.layers]
    saes = train(plm, proteins, configs, given.folder / given.model, steps=given.steps)
    return measured_layers(plm, list(saes.values()), proteins)


def surveyed(run: Run, given: argparse.Namespace) -> dict[str, ExperimentResult]:
    """Each survey by its name."""
    layers = layers_of(run, given)
    own = run.proteins().select(run.accessions("test"))
    of_all = dict(zip(own.accessions, own.sequences, strict=True))
    take = SurveySettings(n_proteins=given.proteins, after=60)
    sequences = of_run(of_all, layers[0].plm, take)
    metric = "log-likelihood" if given.likelihood else "log probability"
    if given.command == "layer":
        each = AttributionSettings(where=given.where, method=given.method, metric=metric)
        settings = AttributionSurveySettings(n_positions=given.positions, each=each)
        return {f"layer_{at.layer}": attribution_survey(at, sequences, settings) for at in layers}
    n, unit = (32, "feature") if given.likelihood else (8, "residue")
    circuits = CircuitSettings(metric=metric, n_nodes=n, unit=unit, n_random=10)
    settings = CircuitSurveySettings(n_positions=1, each=circuits)
    return {"circuits": circuit_survey(layers, sequences, settings)}


def parser() -> argparse.ArgumentParser:
    """Arguments of both commands."""
    found = argparse.ArgumentParser(description=__doc__)
    commands = found.add_subparsers(dest="command", required=True)
    for one in (commands.add_parser(name) for name in ("layer", "circuits")):
        one.add_argument("run", type=Path)
        one.add_argument("folder", type=Path)
        one.add_argument("--source", default="sae")
        one.add_argument("--model", default="")
        one.add_argument("--layers", type=int, nargs="+", default=[2, 3])
        one.add_argument("--steps", type=int, default=200)
        one.add_argument("--proteins", type=int, default=20)
        one.add_argument("--positions", type=int, default=2)
        one.add_argument("--where", choices=["output", "recurrence"], default="output")
        one.add_argument("--method", choices=["gradient", "integrated"], default="integrated")
        one.add_argument("--likelihood", action="store_true", help="of the whole sequence")
    return found


if __name__ == "__main__":
    given = parser().parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name, result in surveyed(Run.open(given.run), given).items():
        print(f"{name}: {result.sentence}")
        for table, values in result.tables().items():
            values.write_parquet(given.folder / f"{name}_{table}.parquet")
