"""Missing annotations of a run: the candidates, and how well hidden labels are recovered."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Literal

import numpy as np
import polars as pl

from interplm_nb.concepts.calibration import MIN_CONFIDENCE, Reliability
from interplm_nb.concepts.discovery import discover as discovery
from interplm_nb.concepts.discovery.evaluation import Hiding, Refound, hide_and_refind
from interplm_nb.concepts.links import linked, strongest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.lock import locked
from interplm_nb.pipeline.parameters import ConceptsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SAE_CONTROLS, SAES, SOURCES
from interplm_nb.pipeline.text import text_table
from interplm_nb.proteins import Proteins
from interplm_nb.questions.lookup import of_concepts, sparse_of
from interplm_nb.readers import demo

SHARE = Hiding.share
"""Share of the labels that an evaluation hides."""

ON_TEST = ("precision", "f1_per_domain", "n_instances")
"""Figures of a pair on test proteins, as in the run's links."""

METHOD_NAMES = {
    **{source: SOURCES[source].name for source in SAES},
    "mmseqs2": "MMseqs2",
    "both": "both",
    "random": "chance",
}
"""Names of the methods of an evaluation, for people."""

_NEEDLESS = {
    "random_sae": "the embeddings alone explain these candidates; training the SAE added nothing",
    "shuffled_sae": "the sequences alone explain these candidates; no trained PLM is needed",
}


@dataclass(frozen=True)
class Discovered:
    """Candidates for missing annotations, and how they were found."""

    table: pl.DataFrame
    """Columns as of `concepts.discovery.discover.discover`, the most believable first; then those
    of `ON_TEST`."""
    min_confidence: float
    n_concepts: int
    """Linked concepts that were searched for."""
    n_pairs: int
    left_out: list[str]
    """Linked concepts without an instance in the run's annotations, as in a run that was cut down
    to fewer proteins."""

    @property
    def caption(self) -> str:
        """The number of candidates, and what they cover."""
        n, elsewhere = self.table.height, int((self.table["n_annotated"] > 0).sum())
        text = (
            f"{n:,} candidates with confidence >= {self.min_confidence:g} in "
            f"{self.table['accession'].n_unique():,} proteins, for "
            f"{self.table['concept'].n_unique()} of {self.n_concepts} linked concepts "
            f"({self.n_pairs} pairs of concept and feature)"
        )
        if elsewhere:
            text += f"; {elsewhere:,} have the concept at another place of the protein"
        if self.left_out:
            text += (
                f". {len(self.left_out)} linked concepts have no instance in these annotations "
                "and are left out"
            )
        return f"{text}."


def confidence_meaning(min_confidence: float) -> str:
    """What a confidence says and what it does not."""
    c = min(max(min_confidence, 0.01), 0.99)
    worth = float(discovery.among_unlabelled(np.array([c]), 0.1)[0])
    return (
        "confidence: the share of sites on train proteins with the same activation that carry the "
        "label. Labels are incomplete, so the true share is higher. But only the most confident of "
        "several features is shown, and a candidate is a site without the label: if a share m of "
        "true sites lacks the label, the probability of a candidate is "
        "m / (1 - m) x confidence / (1 - confidence): "
        f"{worth:.2f} at confidence {c:g} and m = 0.1."
    )


def discover(
    run: Run,
    concepts: Sequence[str] = (),
    min_confidence: float = MIN_CONFIDENCE,
    per_concept: int = discovery.PER_CONCEPT,
    source: str = "sae",
    among: Collection[str] | None = None,
    structures: Mapping[str, Path] | None = None,
) -> Discovered:
    """Find sites without an annotation where a linked feature is active as on annotated ones.

    The convention is `strict`; confidences are calibrated on the run's train proteins.

    Parameters
    ----------
    run
        A run with its stage 'concepts'.
    concepts
        Concepts to search for; empty: all that are linked.
    min_confidence
        Minimum confidence of a candidate, 0 to 1.
    per_concept
        Number of a concept's best features to use.
    source
        An SAE of the run. One without its own links, such as random_sae, is linked to the
        SAE's concepts by the same rule.
    among
        Accessions to search; None: all proteins.
    structures
        Structure files by accession; None: the embedded ones (`demo_structures`).

    Returns
    -------
    Discovered
        `table` has one row per candidate, the most believable first.

    Raises
    ------
    PipelineError
        For a concept that is linked to no feature, a value out of range, or a source that is not
        an SAE.

    Examples
    --------
    >>> found = discover(Run.shipped(), min_confidence=0.9)
    >>> found.table.select("accession", "concept", "start", "end", "confidence").width
    5
    >>> bool((found.table["confidence"] >= 0.9).all())
    True
    """
    _check(min_confidence, per_concept)
    proteins = run.proteins()
    values, annotations = sparse_of(run, source), run.annotations()
    known = set(annotations.concepts)
    pairs, left_out = _searched_with(run, source, concepts, known, per_concept)
    files = demo_structures(proteins) if structures is None else structures
    table = discovery.discover(
        values,
        annotations,
        pairs,
        run.accessions("train"),
        among,
        min_confidence,
        per_concept,
        files,
    )
    table = table.join(
        pairs.select("concept", "feature", *ON_TEST),
        on=("concept", "feature"),
        how="left",
        maintain_order="left",
    )
    return Discovered(table, min_confidence, pairs["concept"].n_unique(), pairs.height, left_out)


def _searched_with(
    run: Run, source: str, concepts: Sequence[str], known: set[str], per_concept: int
) -> tuple[pl.DataFrame, list[str]]:
    """The best pairs of each linked concept that is known, and the linked ones that are not."""
    pairs = of_concepts(_pairs(run, source), concepts)
    left_out = sorted(set(pairs["concept"]) - known)
    pairs = (
        pairs.filter(pl.col("concept").is_in(known))
        .group_by("concept", maintain_order=True)
        .head(per_concept)
    )
    if pairs.is_empty():
        raise PipelineError(
            f"no feature of {source!r} is linked to any of the {len(known)} concepts in "
            f"{run.folder}; run stage 'concepts' on more proteins"
        )
    return pairs, left_out


def demo_structures(proteins: Proteins) -> dict[str, Path]:
    """Files of the embedded structures of these proteins, by accession."""
    return {
        a: demo.folder() / "structures" / f"{a}.pdb.gz" for a in demo.structures() if a in proteins
    }


def refound(
    run: Run,
    source: str = "sae",
    by: Literal["protein", "cluster"] = Hiding.by,
    per_concept: int = Hiding.per_concept,
    min_instances: int = Hiding.min_instances,
    n_resamples: int = Hiding.n_resamples,
    seed: int = Hiding.seed,
) -> Refound:
    """Hide a fifth (`SHARE`) of the run's labels and search for them: `hide_and_refind`.

    It compares the SAE with MMseqs2 and the run's `SAE_CONTROLS`. Takes about 10 s on
    1,200 proteins.

    Raises
    ------
    ValueError
        If no concept has `min_instances` instances left on validation.
    PipelineError
        If no hidden label is on a test protein.
    FileNotFoundError
        If MMseqs2 is not installed.
    """
    controls = {
        name: sparse_of(run, name)
        for name in SAE_CONTROLS
        if name != source and name in run.with_activations()
    }
    hiding = Hiding(
        by=by,
        per_concept=per_concept,
        min_instances=min_instances,
        n_resamples=n_resamples,
        seed=seed,
    )
    found = hide_and_refind(
        sparse_of(run, source), run.annotations(), run.splits(), controls, hiding
    )
    if not found.n_hidden:
        raise PipelineError(
            f"no hidden label of {run.folder} is on a test protein ({found.n_cases} pairs of "
            "protein and concept searched): too few proteins to measure how well labels are "
            "recovered"
        )
    return found


def refound_or_reason(run: Run, source: str = "sae", **settings: Any) -> Refound | str:
    """`refound`, or a sentence that says why it failed: too few proteins, no MMseqs2.

    For lessons, which continue without it.
    """
    try:
        return refound(run, source, **settings)
    except (ValueError, PipelineError, FileNotFoundError) as error:
        return f"Not evaluated: {error}."


def store_refound(run: Run, found: Refound, source: str = "sae") -> None:
    """Store an evaluation in the run, as tables `refound_*` of stage 'concepts'.

    The stage removes them when it runs again. PipelineError for a run of an object store.
    """
    if run.mirror:
        raise PipelineError(run.mirror.to_be_read)
    about = {
        "source": source,
        "share": SHARE,
        "n_pairs": found.n_pairs,
        "n_cases": found.n_cases,
        "n_hidden": found.n_hidden,
    }
    bins = {name: getattr(found.calibration, name) for name in ("confidence", "observed", "n")}
    tables = {
        name: getattr(found, name) for name in ("ranking", "precision", "overlap", "concepts")
    }
    with locked(run.lock):
        # `about` is written last: a half-written evaluation has none, or the old one with tables
        # of the same shape.
        for name, table in {
            **tables,
            "calibration": pl.DataFrame(bins),
            "about": pl.DataFrame([about]),
        }.items():
            run.write_table("concepts", f"refound_{name}", table)


def stored_refound(run: Run, source: str = "sae") -> Refound | None:
    """The evaluation that `store_refound` stored for this source, if any."""
    if not (run.stage_folder("concepts") / "refound_about.parquet").is_file():
        return None
    about = run.table("concepts", "refound_about").row(0, named=True)
    if about["source"] != source:
        return None
    ranking, precision, overlap, concepts, bins = (
        run.table("concepts", f"refound_{name}")
        for name in ("ranking", "precision", "overlap", "concepts", "calibration")
    )
    calibration = Reliability(*(bins[name].to_numpy() for name in ("confidence", "observed", "n")))
    return Refound(
        ranking,
        precision,
        overlap,
        concepts,
        calibration,
        about["n_pairs"],
        about["n_cases"],
        about["n_hidden"],
    )


def refound_table(found: Refound, source: str = "sae") -> pl.DataFrame:
    """One row per method: precision among the first k, and average precision.

    Cells read "0.34 [0.18, 0.52]": the estimate and its 95 % interval over resampled clusters.
    """
    names = {**METHOD_NAMES, "sae": METHOD_NAMES.get(source, source)}
    shown = found.precision.filter(pl.col("method") != "sae - mmseqs2")
    rows = []
    for (method,), part in shown.group_by("method", maintain_order=True):
        cells = {
            f"first {k}" if k else "average precision": f"{p:.2f} [{low:.2f}, {high:.2f}]"
            for k, p, low, high in part.select("k", "precision", "low", "high").iter_rows()
        }
        rows.append({"method": names.get(str(method), str(method)), **cells})
    return pl.DataFrame(rows)


def refound_text(found: Refound, source: str = "sae") -> str:
    """An evaluation in words: what was hidden, the methods compared, calibration, a verdict."""
    hidden = (
        f"Control: {SHARE:.0%} of the annotations were hidden and searched for among the "
        f"{found.n_cases:,} pairs of a test protein and a concept that it then lacked; "
        f"{found.n_hidden:,} of these had been hidden ({found.n_pairs} pairs of concept and "
        "feature, chosen without them). Share of hidden labels among the first k [95 %, homology "
        "clusters resampled]; if a method ranks fewer than k, the rest count as wrong:"
    )
    return "\n\n".join(
        [
            hidden,
            text_table(refound_table(found, source)),
            calibration_text(found),
            verdict(found, source),
        ]
    )


def calibration_text(found: Refound) -> str:
    """How far the confidences are from what was found."""
    n = int(found.calibration.n.sum())
    return (
        f"Calibration: over the {n:,} pairs that the features rank, the probability that follows "
        f"from a confidence (with m = {SHARE:g}) and the share found at the site differ by "
        f"{found.calibration.error:.3f} on average (expected calibration error); most of these "
        "probabilities are near 0."
    )


def verdict(found: Refound, source: str = "sae") -> str:
    """The SAE against its controls, by average precision, in a sentence or two."""
    whole = found.precision.filter(pl.col("k").is_null())
    average = dict(whole.select("method", "precision").iter_rows())
    own, controls = (
        average["sae"],
        {name: average[name] for name in SAE_CONTROLS if name in average},
    )
    said = ", ".join(
        f"{METHOD_NAMES.get(name, name)} {average[name]:.3f}"
        for name in ("mmseqs2", *controls, "random")
        if name in average
    )
    text = f"Average precision of {_source_name(source)} {own:.3f}; {said}."
    if not controls:
        return (
            f"{text} The run has no activations of {' or '.join(SAE_CONTROLS)}: "
            "what an untrained dictionary finds is unknown."
        )
    best = max(controls, key=lambda name: controls[name])
    if controls[best] >= own:
        return (
            f"{text} A control ({METHOD_NAMES[best]}) finds hidden labels at least as well: "
            f"{_NEEDLESS[best]}."
        )
    low, high = whole.filter(pl.col("method") == "sae").select("low", "high").row(0)
    inside = low <= controls[best] <= high
    return f"{text} That is above every control" + (
        f", though the best control lies within its interval, {low:.3f} to {high:.3f}."
        if inside
        else "."
    )


def not_evaluated(run: Run, source: str = "sae") -> str:
    """How to evaluate a run whose candidates have no control yet."""
    chosen = "" if source == "sae" else f" --source {source}"
    return (
        "No control yet: how often such candidates are right has not been measured on this run. "
        "To hide a fifth of its labels and search for them, with MMseqs2 and the controls: "
        f"interplm-nb discover {quote(str(run.folder))}{chosen} --evaluate"
    )


def aligned_text(candidate: Mapping[str, Any]) -> str:
    """The site of a candidate aligned above the annotated one, identical residues marked.

    A sentence if nothing aligns.
    """
    if not candidate["alike"]:
        site = f"{candidate['accession']} {candidate['start']}-{candidate['end']}"
        return f"no annotated site aligns with {site}"
    above, below = candidate["aligned_site"], candidate["aligned_alike"]
    marks = "".join("|" if a == b else " " for a, b in zip(above, below, strict=True))
    names = [
        f"{candidate['accession']} {candidate['aligned_start']}",
        f"{candidate['alike']} {candidate['alike_start']}",
    ]
    width = max(map(len, names))
    return "\n".join(
        f"{name:>{width}}  {letters}"
        for name, letters in zip((names[0], "", names[1]), (above, marks, below), strict=True)
    )


def _check(min_confidence: float, per_concept: int) -> None:
    if not 0 <= min_confidence <= 1:
        raise PipelineError(f"min_confidence must be from 0 to 1; got {min_confidence:g}")
    if per_concept < 1:
        raise PipelineError(f"per_concept must be 1 or more; got {per_concept}")


def _pairs(run: Run, source: str) -> pl.DataFrame:
    """The pairs that stage 'concepts' linked; for other sources, pairs of the same concepts by the
    stage's rule and its default settings."""
    linked_before = run.links().table
    if source == "sae":
        return linked_before
    scores = run.scores(source, "validation"), run.scores(source, "test")
    pairs = linked(*scores, linked_before["concept"].unique().to_list(), min_f1=0.0)
    usual = ConceptsParameters.model_fields
    return strongest(pairs, usual["link_f1"].default, usual["links_per_concept"].default)


def _source_name(source: str) -> str:
    return f"the {METHOD_NAMES[source]}" if source in METHOD_NAMES else source
