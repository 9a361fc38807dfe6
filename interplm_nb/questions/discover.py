"""Missing annotations of a run: the curator's table, and how well such candidates are found again when known labels are hidden."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from interplm_nb.concepts.calibration import Reliability
from interplm_nb.concepts.discovery.discover import PER_CONCEPT, among_unlabelled, discover
from interplm_nb.concepts.discovery.evaluation import Refound, hide_and_refind
from interplm_nb.concepts.links import linked
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.lock import locked
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SAE_CONTROLS, SAES, SOURCES
from interplm_nb.pipeline.text import text_table
from interplm_nb.proteins import Proteins
from interplm_nb.questions.lookup import of_concepts, sparse_of
from interplm_nb.readers import demo

SHARE = 0.2
"""Share of the labels that an evaluation hides."""

LINK_F1 = 0.2
"""From this F1 on validation on, a control's feature speaks for a concept, its best one always; as stage 'concepts' links the SAE's."""

ON_TEST = {
    "precision": "test_precision",
    "f1_per_domain": "test_f1_per_domain",
    "n_instances": "test_instances",
}
"""Of the links, the figures of a pair on test proteins, and their names in the table of candidates."""

METHOD_NAMES = {
    **{source: SOURCES[source].name for source in SAES},
    "mmseqs2": "MMseqs2",
    "both": "both",
    "random": "chance",
}
"""Of the methods of an evaluation, for people."""

_NEEDLESS = {
    "random_sae": "what these candidates rest on is in the embeddings, and training the SAE has added nothing",
    "shuffled_sae": "what these candidates rest on is in the sequence, and needs no trained PLM",
}


@dataclass(frozen=True)
class Missing:
    """Candidates, and what they were looked for with."""

    table: pl.DataFrame
    """Columns as of `concepts.discovery.discover.discover`, the most believable first; then those of `ON_TEST`, what the pair is worth there."""
    min_confidence: float
    n_concepts: int
    """Concepts that a feature speaks for and that were looked for."""
    n_pairs: int
    left_out: list[str]
    """Linked concepts without an instance in the run's annotations, as where a run was cut down to fewer proteins."""

    @property
    def caption(self) -> str:
        """How many candidates there are, and what their confidence is worth."""
        n, elsewhere = self.table.height, int((self.table["n_annotated"] > 0).sum())
        counted = (
            f"{n:,} candidates of confidence {self.min_confidence:g} or more in {self.table['accession'].n_unique():,} proteins, for "
            f"{self.table['concept'].n_unique()} of the {self.n_concepts} concepts that a feature speaks for ({self.n_pairs} pairs of concept and "
            f"feature)"
        )
        more = (
            f"; {elsewhere:,} of them have the concept at another place of the protein"
            if elsewhere
            else ""
        )
        lacking = (
            f". {len(self.left_out)} linked concepts have no instance in these annotations and are left out"
            if self.left_out
            else ""
        )
        return f"{counted}{more}{lacking}."


def confidence_meaning(min_confidence: float) -> str:
    """What a confidence says and what it does not, in two sentences."""
    c = min(max(min_confidence, 0.01), 0.99)
    worth = float(among_unlabelled(np.array([c]), 0.1)[0])
    return (
        "confidence: of the sites on train proteins where the feature fires as strongly, the share that carries the label. Labels are incomplete, "
        "so more of such sites are truly of the concept. But the surest of several features is shown, and a candidate is a site that lacks the "
        "label: if a share m of the true sites lacks it, the chance of a candidate is m / (1 - m) x confidence / (1 - confidence): "
        f"{worth:.2f} at confidence {c:g} and m = 0.1."
    )


def missing(
    run: Run,
    concepts: Sequence[str] = (),
    min_confidence: float = 0.5,
    per_concept: int = PER_CONCEPT,
    source: str = "sae",
    among: Collection[str] | None = None,
    structures: Mapping[str, Path] | None = None,
) -> Missing:
    """Sites that lack an annotation where a linked feature fires as on annotated ones; `strict`, calibrated on the run's train proteins.

    concepts: these alone (all that are linked, where none is named). per_concept: so many of a concept's features. source: an SAE of the run; one
    without links of its own, such as random_sae, speaks for the SAE's concepts by the same rule. among: the proteins that are looked through (None:
    all). structures: the structure file of an accession (None: the embedded ones, `demo_structures`).
    PipelineError for a concept that no feature speaks for, values out of range, or a source that is not an SAE.
    """
    _check(min_confidence, per_concept)
    proteins = run.proteins()
    values, annotations = sparse_of(run, source), run.annotations()
    pairs = of_concepts(_pairs(run, source), concepts)
    known = set(annotations.concepts)
    left_out = sorted(set(pairs["concept"]) - known)
    pairs = (
        pairs.filter(pl.col("concept").is_in(known))
        .group_by("concept", maintain_order=True)
        .head(per_concept)
    )
    if pairs.is_empty():
        raise PipelineError(
            f"no feature of {source!r} speaks for a concept of the {len(known)} in {run.folder}; run stage 'concepts' on more proteins"
        )
    files = demo_structures(proteins) if structures is None else structures
    table = discover(
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
    ).rename(ON_TEST)
    return Missing(table, min_confidence, pairs["concept"].n_unique(), pairs.height, left_out)


def demo_structures(proteins: Proteins) -> dict[str, Path]:
    """Files of the embedded structures, by accession, of these proteins."""
    return {
        a: demo.folder() / "structures" / f"{a}.pdb.gz" for a in demo.structures() if a in proteins
    }


def refound(
    run: Run,
    source: str = "sae",
    by: Literal["protein", "cluster"] = "protein",
    per_concept: int = PER_CONCEPT,
    min_instances: int = 10,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Refound:
    """Hide a fifth (`SHARE`) of the run's labels and look for them again: `hide_and_refind` beside MMseqs2 and the `SAE_CONTROLS` that the run has.

    ValueError where no concept has `min_instances` instances left on validation, PipelineError where none of the hidden labels can be looked for,
    FileNotFoundError without MMseqs2. About 10 s on 1,200 proteins.
    """
    controls = {
        name: sparse_of(run, name)
        for name in SAE_CONTROLS
        if name != source and name in run.with_activations()
    }
    settings: dict[str, Any] = {
        "per_concept": per_concept,
        "min_instances": min_instances,
        "n_resamples": n_resamples,
        "seed": seed,
    }
    annotations = run.annotations()
    found = hide_and_refind(
        sparse_of(run, source),
        annotations,
        run.splits(),
        controls,
        share=SHARE,
        by=by,
        **settings,
    )
    if not found.n_hidden:
        raise PipelineError(
            f"none of the hidden labels of {run.folder} is on a test protein ({found.n_cases} pairs of protein and concept were looked at): there "
            "are too few proteins to say how well labels are found again"
        )
    return found


def refound_or_reason(run: Run, source: str = "sae", **settings: Any) -> Refound | str:
    """`refound`, or the sentence that says why there is none: too few proteins, no MMseqs2. For lessons, which go on without it."""
    try:
        return refound(run, source, **settings)
    except (ValueError, PipelineError, FileNotFoundError) as error:
        return f"Not evaluated: {error}."


def store_refound(run: Run, found: Refound, source: str = "sae") -> None:
    """Keep an evaluation in the run, as tables `refound_*` of stage 'concepts'; the stage removes them when it is made anew."""
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
        # Written last: what a kill leaves half-written has no `about`, or the old one with tables of the same shape.
        for name, table in {
            **tables,
            "calibration": pl.DataFrame(bins),
            "about": pl.DataFrame([about]),
        }.items():
            run.write_table("concepts", f"refound_{name}", table)


def stored_refound(run: Run, source: str = "sae") -> Refound | None:
    """The evaluation that `store_refound` kept of this source; None where there is none."""
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
    """One row per method: its name, precision among the first k as "0.34 [0.18, 0.52]" (95 %, clusters resampled), and average precision."""
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
    """An evaluation in words and a table: what was hidden, how well each method finds it, how true the confidences are, and a verdict."""
    hidden = (
        f"Control: of the annotations {SHARE:.0%} were hidden, and looked for among the {found.n_cases:,} pairs of a test protein and a concept that "
        f"it then lacked; {found.n_hidden:,} of these had been hidden ({found.n_pairs} pairs of concept and feature, chosen without them). Share of "
        "them among the first k [95 %, homology clusters resampled]; where a method ranks fewer than k, the rest counts as wrong:"
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
    """How far the confidences are from what was found, in a sentence."""
    n = int(found.calibration.n.sum())
    return (
        f"Calibration: over the {n:,} pairs that the features rank, the chance that follows from a confidence (with m = {SHARE:g}) and the share "
        f"truly found at the site differ by {found.calibration.error:.3f} on average (expected calibration error); most of these chances are near 0."
    )


def verdict(found: Refound, source: str = "sae") -> str:
    """What the controls leave of the claim, by average precision, in a sentence or two."""
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
        lacking = " or ".join(f"the {SOURCES[name].words}" for name in SAE_CONTROLS)
        return (
            f"{text} The run has no activations of {lacking}: nothing says what an untrained one "
            "finds."
        )
    best = max(controls, key=lambda name: controls[name])
    if controls[best] >= own:
        return f"{text} A control ({METHOD_NAMES[best]}) finds hidden labels at least as well: {_NEEDLESS[best]}."
    low, high = whole.filter(pl.col("method") == "sae").select("low", "high").row(0)
    inside = low <= controls[best] <= high
    return f"{text} That is above every control" + (
        f", though the best control lies within its interval, {low:.3f} to {high:.3f}."
        if inside
        else "."
    )


def not_evaluated(run: Run, source: str = "sae") -> str:
    """The sentence for a run whose candidates have no control yet."""
    chosen = "" if source == "sae" else f" --source {source}"
    return (
        "No control yet: how often such candidates are right has not been measured on this run. To hide a fifth of its labels and look for them "
        f"again, beside MMseqs2 and the controls: interplm-nb discover {run.folder}{chosen} --evaluate"
    )


def aligned_text(candidate: Mapping[str, Any]) -> str:
    """The aligned site of a row of the table above the annotated one, equal letters marked; a sentence where nothing is aligned."""
    if not candidate["alike"]:
        return f"no annotated site aligns with {candidate['accession']} {candidate['start']}-{candidate['end']}"
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
        raise PipelineError(f"a confidence is from 0 to 1, not {min_confidence:g}")
    if per_concept < 1:
        raise PipelineError(f"one feature of a concept or more is used, not {per_concept}")


def _pairs(run: Run, source: str) -> pl.DataFrame:
    """The pairs that stage 'concepts' linked; of a source that it did not link, those of the same concepts."""
    linked_before = run.links().table
    if source == "sae":
        return linked_before
    scores = run.scores(source, "validation"), run.scores(source, "test")
    table = linked(*scores, linked_before["concept"].unique().to_list(), min_f1=0.0)
    return table.filter(
        (pl.int_range(pl.len()).over("concept") == 0)
        | (pl.col("validation_f1_per_domain") >= LINK_F1)
    )


def _source_name(source: str) -> str:
    return f"the {METHOD_NAMES[source]}" if source in METHOD_NAMES else source
