"""Probes of a run's features, the residual view, activation patterns and family specificity.

Everything is `strict`: fitted on train, chosen on validation, read on test, in splits that share no
homology cluster.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.controls.dense import DenseSource
from interplm_nb.concepts.probes.examples import Examples
from interplm_nb.concepts.probes.fitting import PROBES, k_sparse_probe, probe_row, probe_table
from interplm_nb.concepts.probes.residual import residual_view
from interplm_nb.concepts.probes.specificity import family_specificity
from interplm_nb.features.patterns import activation_patterns
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SAE_CONTROLS, scored_source
from interplm_nb.proteins import Proteins
from interplm_nb.questions.lookup import sparse_of

MOST = 200_000
"""Maximum number of residues per split."""


class Probed(NamedTuple):
    """Probes, and the concepts that could not be probed."""

    table: pl.DataFrame
    """Columns of `concepts.probes.fitting.PROBES`; controls read like "random SAE, k = 5"."""
    left_out: dict[str, str]
    """Concept -> why it could not be probed."""


def probes(
    run: Run,
    concepts: Sequence[str] | Annotations,
    ks: Sequence[int] = (1, 5, 20),
    source: str = "sae",
    controls: Sequence[str] | None = None,
    among: Collection[str] | None = None,
    most: int = MOST,
    seed: int = 0,
) -> Probed:
    """Sparse probes of each concept; each residue is an example.

    They are compared with a probe of the dense embedding, constant answers, and sparse probes of
    `controls`. Takes about 2 s per concept with 20,000 residues per split.

    Parameters
    ----------
    run
        A run with its embeddings.
    concepts
        Names of the run's annotations, or your own labels on the run's proteins
        (`readers.label_files` reads DSSP strings, tables, GFF3 and BED).
    ks
        Numbers of features per probe.
    source
        Source whose features are probed.
    controls
        Sources to compare with; None: those of `SAE_CONTROLS` whose activations the run has.
    among
        Accessions that were examined for the label; None: all. For helices, use proteins with a
        known structure: elsewhere a residue without the label is not known to lack it.
    most
        Maximum number of residues per split, drawn as whole proteins.
    seed
        Seed of that draw.

    Returns
    -------
    Probed
        A row per probe, and the concepts that a split lacks.

    Raises
    ------
    PipelineError
        For an unknown concept, labels on other proteins, or a run without embeddings.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> probed = ipn.probe(ipn.Run.open("runs/demo"), ["Signal peptide"])
    >>> probed.table.filter(n_features=1).select("task", "probe", "features").columns
    ['task', 'probe', 'features']
    """
    proteins = run.proteins()
    tasks, splits = _tasks(run, proteins, concepts), _splits(run, among)
    examples = Examples.residues(run.scored(source, "strict"), splits, most, seed)
    tasks, left_out = _possible(examples, tasks)
    if not tasks:
        return Probed(pl.DataFrame(schema=PROBES), left_out)
    table = probe_table(
        examples, Examples.residues(_embedding(run, proteins), splits, most, seed), tasks, ks
    )
    del examples
    parts = [table]
    for control in _controls(run, source) if controls is None else controls:
        other = Examples.residues(run.scored(control, "strict"), splits, most, seed)
        parts.append(_sparse_probes(other, tasks, ks, scored_source(control).name))
    return Probed(
        pl.concat(parts).sort(
            pl.col("task").replace_strict(list(tasks), range(len(tasks))), maintain_order=True
        ),
        left_out,
    )


def residual(
    run: Run,
    concept: str | Annotations,
    source: str = "sae",
    among: Collection[str] | None = None,
    most: int = MOST,
    seed: int = 0,
) -> pl.DataFrame:
    """How much of a label is in features linked to *other* concepts, and how much in the rest.

    See `residual_view`; columns of `RESIDUAL`. Linked features are those that the run links to
    concepts of other categories: links of the label's own category would make the answer circular.
    (A feature that is also linked to its own category stays among them.) Other arguments as of
    `probes`. PipelineError for labels of more than one concept, ValueError if a split lacks the
    label.
    """
    proteins = run.proteins()
    tasks = _tasks(run, proteins, [concept] if isinstance(concept, str) else concept)
    if len(tasks) != 1:
        raise PipelineError(
            f"a residual view takes one label; got {len(tasks)} "
            f"({', '.join(list(tasks)[:3])}, ...). Use annotations.only([name])"
        )
    labels = run.annotations() if isinstance(concept, str) else concept
    ((task, carried),) = tasks.items()
    own = labels.only([task]).table["category"].unique().to_list()
    linked = (
        run.links(source).table.filter(~pl.col("category").is_in(own))["feature"].unique().to_list()
    )
    splits = _splits(run, among)
    examples, embedding = (
        Examples.residues(s, splits, most, seed)
        for s in (run.scored(source, "strict"), _embedding(run, proteins))
    )
    return residual_view(examples, embedding, task, carried, linked, seed)


def patterns(
    run: Run, source: str = "sae", accessions: Collection[str] | None = None
) -> pl.DataFrame:
    """The shape of every feature's activations along proteins (None: all).

    See `activation_patterns`; columns of `features.patterns.PATTERNS`. PipelineError for a source
    that is not an SAE.
    """
    return activation_patterns(sparse_of(run, source), accessions)


def specificity(
    run: Run,
    category: str = "Domain",
    source: str = "sae",
    families: pl.DataFrame | None = None,
    by_cluster: bool = True,
) -> pl.DataFrame:
    """For each feature, the family on whose proteins it is most specifically active.

    See `family_specificity`; columns of `SPECIFICITY`. PipelineError for a category that the
    annotations lack, or a source that is not an SAE.

    Parameters
    ----------
    run
        A run with its stage 'activations'.
    category
        Its concepts are the families, except the one for any of them.
    source
        One of the run's SAEs.
    families
        Families instead of a category: columns accession and family, such as from Pfam.
    by_cluster
        Count homology clusters, not proteins. Proteins of a cluster are not independent, so only
        then is q an error rate.
    """
    proteins = run.proteins()
    table = _families(run, proteins, category) if families is None else families
    clusters = run.splits().select("accession", "cluster") if by_cluster else None
    return family_specificity(sparse_of(run, source), table, proteins.accessions, clusters=clusters)


def _tasks(
    run: Run, proteins: Proteins, concepts: Sequence[str] | Annotations
) -> dict[str, np.ndarray]:
    """bool [n_residues] of each label."""
    labels = concepts if isinstance(concepts, Annotations) else run.annotations()
    if labels.proteins.sequence_hash != proteins.sequence_hash:
        raise PipelineError(
            f"the labels are of {labels.proteins}, the run of {proteins}; "
            "read them with proteins=run.proteins()"
        )
    known = labels.concepts
    names = (
        list(known)
        if isinstance(concepts, Annotations)
        else list(dict.fromkeys([concepts] if isinstance(concepts, str) else concepts))
    )
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3, 0.4)
            hint = f"did you mean {', '.join(near)}" if near else f"it has {len(known)}"
            raise PipelineError(f"no concept {name!r} in {run.folder}; {hint}")
    return {name: labels.mask(name) for name in names}


def _possible(
    examples: Examples, tasks: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The labels that every split has, and why the others are left out."""
    possible, left_out = {}, {}
    for name, carried in tasks.items():
        try:
            examples.labels(carried)
        except ValueError as error:
            left_out[name] = str(error)
        else:
            possible[name] = carried
    return possible, left_out


def _sparse_probes(
    examples: Examples, tasks: Mapping[str, np.ndarray], ks: Sequence[int], name: str
) -> pl.DataFrame:
    rows = []
    for task, carried in tasks.items():
        for k in ks:
            probe = k_sparse_probe(examples, carried, k)
            about = {"task": task, "examples": examples.kind, "features": probe.features.tolist()}
            rows.append(about | probe_row(f"{name}, k = {k}", probe))
    return pl.DataFrame(rows, schema=PROBES)


def _controls(run: Run, source: str) -> list[str]:
    return [name for name in SAE_CONTROLS if name != source and name in run.with_activations()]


def _splits(run: Run, among: Collection[str] | None) -> pl.DataFrame:
    splits = run.splits()
    return splits if among is None else splits.filter(pl.col("accession").is_in(list(among)))


def _embedding(run: Run, proteins: Proteins) -> DenseSource:
    """The PLM's dimensions, not scaled."""
    embeddings = run.embeddings()
    return DenseSource(
        embeddings,
        proteins,
        np.zeros(embeddings.d_in, np.float32),
        np.ones(embeddings.d_in, np.float32),
    )


def _families(run: Run, proteins: Proteins, category: str) -> pl.DataFrame:
    table = run.annotations().table
    own = table.filter(pl.col("category") == category, ~pl.col("concept").str.ends_with("_any"))
    if own.is_empty():
        raise PipelineError(
            f"no concept of category {category!r} in {run.folder}; "
            f"there are {', '.join(sorted(table['category'].unique()))}"
        )
    return own.select("accession", pl.col("concept").alias("family")).unique()
