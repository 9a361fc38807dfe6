"""Rules of thumb for whether the data suffice for the settings, before hours are spent."""

from collections.abc import Iterator, Mapping
from typing import cast

import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.scored_concepts import scored_concepts
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import (
    CompareParameters,
    ConceptsParameters,
    StageParameters,
    TrainParameters,
)
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.proteins import Proteins
from interplm_nb.sae.evaluation.measures import why_absent

FEW = "few data"
"""How a line with one of the sentences starts on a terminal."""

MOST_PASSES = 100
"""Passes over the train residues; more teach an SAE little."""

RESIDUES_PER_FEATURE = 20
"""Train residues per feature; with fewer, features memorize single residues."""

FEWEST_CONCEPTS = 10
"""Scored concepts; a mean over fewer says little about an SAE."""

_LOWER = ((5, 3), (3, 2), (2, 1), (1, 1))
"""Lower limits of instances and clusters to try, highest first."""


def too_few(
    proteins: Proteins,
    annotations: Annotations,
    splits: pl.DataFrame,
    stages: Mapping[str, StageParameters],
    model: RunModel | None = None,
) -> list[str]:
    """One sentence for each setting that the data are too few for, with the setting that fits.

    Parameters
    ----------
    proteins
        The residue axis.
    annotations
        Their labels, as convention `strict` reads them.
    splits
        accession, split and cluster, as of `Run.splits`.
    stages
        Parameters by stage; stages that are not there are not judged.
    model
        The run's model. Proteins for fidelity are judged only where it has one.

    Returns
    -------
    list[str]
        Empty where the data suffice.

    Examples
    --------
    >>> proteins = Proteins.from_sequences({f"P{i}": "MKVLAAGH" * 50 for i in range(5)})
    >>> splits = pl.DataFrame(
    ...     {"accession": proteins.accessions, "split": ["train"] * 3 + ["validation", "test"]}
    ... )
    >>> asked = {"train": TrainParameters(steps=300, d_sae=32, k=4)}
    >>> too_few(proteins, Annotations.empty(proteins), splits, asked)
    ['train: 300 steps of 2,048 residues are 512 passes over the 1,200 train residues; as a rule \
of thumb, more than 100 teach little; use -p train.steps=58, or more proteins']
    """
    of = {split: own["accession"].to_list() for (split,), own in splits.group_by("split")}
    n_train = proteins.select(of.get("train", [])).n_residues
    found: list[str] = []
    for stage in ("train", "compare"):
        params = cast(TrainParameters | CompareParameters | None, stages.get(stage))
        if params:
            found += _training(stage, params, n_train)
            if model and model.record and not why_absent(model.record):
                found += _fidelity(stage, params, len(of.get("validation", [])))
    concepts = cast(ConceptsParameters | None, stages.get("concepts"))
    return found + (list(_concepts(concepts, annotations, splits)) if concepts else [])


def judged(run: Run, stages: Mapping[str, StageParameters]) -> str:
    """`too_few` of a run in words, for a lesson; a run that is only read needs no judging."""
    if isinstance(run, RunToRead):
        return "This run is finished, so nothing is checked against these settings."
    found = too_few(run.proteins(), run.annotations(), run.splits(), stages, run.model())
    return "\n".join(found) or "enough data for these settings"


def _training(stage: str, params: TrainParameters | CompareParameters, n_train: int) -> list[str]:
    found = []
    passes = params.steps * params.batch_size / max(n_train, 1)
    if passes > MOST_PASSES:
        fits = max(1, MOST_PASSES * n_train // params.batch_size)
        found.append(
            f"{stage}: {params.steps:,} steps of {params.batch_size:,} residues are {passes:,.0f} "
            f"passes over the {n_train:,} train residues; as a rule of thumb, more than "
            f"{MOST_PASSES} teach little; use -p {stage}.steps={fits}, or more proteins"
        )
    if n_train < RESIDUES_PER_FEATURE * params.d_sae:
        fits = n_train // RESIDUES_PER_FEATURE
        found.append(
            f"{stage}: {params.d_sae:,} features share {n_train:,} train residues, "
            f"{n_train / params.d_sae:.1f} each; as a rule of thumb, features with fewer than "
            f"{RESIDUES_PER_FEATURE} each memorize single residues; use "
            + (f"-p {stage}.d_sae={1 << fits.bit_length() - 1}, or " if fits else "")
            + "more proteins"
        )
    return found


def _fidelity(stage: str, params: TrainParameters | CompareParameters, n: int) -> list[str]:
    if params.fidelity_proteins <= n:
        return []
    return [
        f"{stage}: fidelity_proteins is {params.fidelity_proteins}, but validation holds only "
        f"{n}; fidelity is measured on these, so its interval is wider; use more proteins, or "
        f"-p {stage}.fidelity_proteins={max(n, 1)}"
    ]


def _concepts(
    params: ConceptsParameters, annotations: Annotations, splits: pl.DataFrame
) -> Iterator[str]:
    if not len(annotations):
        yield (
            "concepts: the proteins have no annotations, so no feature can be matched with a "
            "concept; give labels with -p proteins.labels=FILE, or use a UniProt download"
        )
        return
    scored = scored_concepts(annotations, splits, params.min_instances, params.min_clusters)
    n = len(scored.names)
    if n >= FEWEST_CONCEPTS:
        return
    yield (
        f"concepts: {n} {'concept has' if n == 1 else 'concepts have'} {scored.words}; as a "
        f"rule of thumb, a mean over fewer than {FEWEST_CONCEPTS} concepts says little; "
        f"{_way_out(params, annotations, splits)}"
    )


def _way_out(params: ConceptsParameters, annotations: Annotations, splits: pl.DataFrame) -> str:
    """The highest of the lower limits with which enough concepts are scored, if there are any."""
    for instances, clusters in _LOWER:
        lower = min(instances, params.min_instances), min(clusters, params.min_clusters)
        n = len(scored_concepts(annotations, splits, *lower).names)
        if n >= FEWEST_CONCEPTS:
            return (
                f"use more proteins, or -p concepts.min_instances={lower[0]} "
                f"-p concepts.min_clusters={lower[1]}, which scores {n}, each on fewer instances"
            )
    return "use more proteins, or more labels"
