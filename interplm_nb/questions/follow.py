"""Features followed from run to run: layers of one model, or models, on the proteins of all."""

from dataclasses import dataclass

import polars as pl
from scipy import sparse

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.coactivation import sampled
from interplm_nb.features.fates import RESIDUES, across_layers
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.text import text_table
from interplm_nb.proteins import Proteins
from interplm_nb.questions.compare_runs import labels_of


@dataclass(frozen=True)
class Followed:
    """What `follow_runs` finds: the tables of `features.fates.Across`, with the folder of the run
    (run, and in steps next_run) for the layer, and a sentence on what they rest on."""

    features: pl.DataFrame
    steps: pl.DataFrame
    words: str

    def __str__(self) -> str:
        return f"{self.words}\n\n{text_table(self.steps)}"


def follow_runs(*runs: Run) -> Followed:
    """What happens to the features of each run's trained SAE in the next run.

    Runs may differ in layer, model and seed, for only activations are compared
    (`features.fates.across_layers`), on up to `RESIDUES` residues of the proteins that all runs
    have, drawn by a seed. The nulls are the next run's random SAE and a shift.

    Parameters
    ----------
    runs
        Two or more runs with stage 'activations', in the order in which features are followed.

    Raises
    ------
    PipelineError
        For fewer than two runs, and for runs without a common protein.

    Examples
    --------
    >>> run = Run.shipped()
    >>> followed = follow_runs(run, run)
    >>> followed.steps.select("next", "kept").row(0)
    ('SAE', 1.0)
    """
    if len(runs) < 2:
        raise PipelineError(
            f"features are followed from run to run; give two runs or more, not {len(runs)}"
        )
    proteins = _common(runs)
    some = proteins.select(sampled(proteins, RESIDUES))
    own = {i: _on(run, "sae", some) for i, run in enumerate(runs)}
    controls = {
        i: _on(run, "random_sae", some)
        for i, run in enumerate(runs)
        if "random_sae" in run.with_activations()
    }
    found = across_layers(own, controls)
    names = labels_of(runs)
    words = (
        f"{len(proteins):,} proteins are in all {len(runs)} runs; features are compared on "
        f"{some.n_residues:,} residues of {len(some):,} of them: "
        + "; ".join(f"{name}, {_of(run)}" for name, run in zip(names, runs, strict=True))
    )
    return Followed(_named(found.features, names), _named(found.steps, names), words)


def _of(run: Run) -> str:
    about = run.about("sae")
    return f"{about['plm']}, layer {about['layer']}"


def _named(table: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """The table with names of runs for their places."""
    known = dict(enumerate(names))
    columns = {"layer": "run", "next_layer": "next_run"}
    return table.with_columns(
        pl.col(name).replace_strict(known, return_dtype=pl.String)
        for name in columns
        if name in table.columns
    ).rename({old: new for old, new in columns.items() if old in table.columns})


def _common(runs: tuple[Run, ...]) -> Proteins:
    """The proteins that every run has, by accession and sequence."""
    first, *others = [run.proteins() for run in runs]
    kept = set(zip(first.accessions, first.sequences, strict=True))
    for other in others:
        kept &= set(zip(other.accessions, other.sequences, strict=True))
    if not kept:
        names = ", ".join(str(run.folder) for run in runs)
        raise PipelineError(
            f"{names} have no common protein (same accession and sequence), so their features "
            "cannot be compared; run them on the same file"
        )
    return first.select(accession for accession, _ in kept)


def _on(run: Run, source: str, proteins: Proteins) -> FeatureActivations:
    """A source's activations on these of the run's proteins, in their order."""
    activations = run.activations(source)
    values = sparse.vstack([activations.of(a) for a in proteins.accessions], format="csr")
    return FeatureActivations.from_csr(sparse.csr_array(values), proteins)
