"""New sequences through a finished run.

Which features are active where, which concepts they are linked to, and with what confidence.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.calibration import MIN_CONFIDENCE
from interplm_nb.features.spans import Spans, spans
from interplm_nb.pipeline.encoder import Encoder
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.questions.lookup import of_concepts
from interplm_nb.readers.fasta import read_fasta
from interplm_nb.readers.report import InputError, ReadReport
from interplm_nb.readers.sequences import clean_sequence, reject_nucleotides

if TYPE_CHECKING:
    from interplm_nb.scale.address import Scale

FIRES = 0.15
"""A feature without a concept is active on a residue above this share of its maximum on train."""

Asked = str | Path | Mapping[str, str] | Proteins
"""One sequence, the `Path` of a FASTA file, `{name: sequence}`, or proteins. A string is a
sequence, never a path."""

MAX_Q = 0.05
"""False discovery rate above which a pair gives no name."""

NAMED: dict[str, Any] = {
    "accession": pl.String,
    "concept": pl.String,
    "category": pl.String,
    "feature": pl.UInt32,
    "threshold": pl.Float64,
    "start": pl.Int64,
    "end": pl.Int64,
    "position": pl.Int64,
    "maximum": pl.Float64,
    "confidence": pl.Float64,
    "mean_confidence": pl.Float64,
    "precision": pl.Float64,
    "recall_per_domain": pl.Float64,
    "f1": pl.Float64,
    "f1_per_domain": pl.Float64,
    "n_instances": pl.Int64,
}
"""Columns of `AnnotatedSequences.concepts`; q_value follows if the run's links have it."""

_SPAN = pl.Struct({"start": pl.Int64, "end": pl.Int64, "position": pl.Int64, "maximum": pl.Float64})

FOUND: dict[str, Any] = {
    "accession": pl.String,
    "feature": pl.UInt32,
    "named": pl.Boolean,
    "threshold": pl.Float64,
    "maximum": pl.Float64,
    "position": pl.Int64,
    "n_residues": pl.Int64,
    "spans": pl.List(_SPAN),
}
"""Columns of `AnnotatedSequences.features`."""


HIDDEN: dict[str, Any] = {
    **{name: NAMED[name] for name in ("accession", "concept", "feature", "start", "end")},
    "confidence": pl.Float64,
    "limit": pl.String,
}
"""Columns of `AnnotatedSequences.hidden`; limit says which it was, and its value."""


def hidden_words(row: Mapping[str, Any]) -> str:
    """A row of `HIDDEN` in words.

    >>> hidden_words({"accession": "P1", "concept": "Helix", "feature": 3, "start": 2, "end": 9,
    ...     "confidence": 0.31, "limit": "min_confidence 0.5"})
    'Helix at 2 to 9 of P1 (feature 3), confidence 0.31, hidden by min_confidence 0.5'
    >>> hidden_words({"accession": "P1", "concept": "Helix", "feature": 3, "start": 2, "end": 2,
    ...     "confidence": 0.4996, "limit": "min_confidence 0.5"})
    'Helix at 2 of P1 (feature 3), confidence 0.49, hidden by min_confidence 0.5'
    """
    start, end = row["start"], row["end"]
    where = f"{start}" if start == end else f"{start} to {end}"
    # Rounded down: what a limit hid is not shown as the limit.
    confidence = math.floor(100 * row["confidence"] + 1e-9) / 100
    return (
        f"{row['concept']} at {where} of {row['accession']} (feature {row['feature']}), "
        f"confidence {confidence:.2f}, hidden by {row['limit']}"
    )


@dataclass(frozen=True)
class AnnotatedSequences:
    """What a run says about sequences.

    Positions start at 1, ends included. Maxima and thresholds are in unit "max", a share of the
    maximum on train.

    concepts: columns of `NAMED`; a row per stretch on which a feature is above the threshold
    chosen for the concept on validation, by sequence, the most confident first. confidence is the
    calibrated probability, fitted on train, that the stretch's strongest residue carries the
    concept; mean_confidence is the mean over the stretch. precision, recall_per_domain, f1,
    f1_per_domain and n_instances describe the pair on test proteins.
    hidden: columns of `HIDDEN`; of each sequence without a name, the most confident stretch that a
    limit hid, and the limit.
    features: columns of `FOUND`; a row per sequence and active feature (above its lowest threshold
    for a concept, or above `FIRES` without one), the strongest first; `named` if it is in
    `concepts`.
    """

    proteins: Proteins
    activations: FeatureActivations
    concepts: pl.DataFrame
    hidden: pl.DataFrame
    features: pl.DataFrame
    report: ReadReport
    """What was left out, and why."""
    about: dict[str, Any]
    """Run, PLM, layer, SAE, package version and the settings of the question."""

    def __repr__(self) -> str:
        silent = len(self.proteins) - self.concepts["accession"].n_unique()
        least = self.about["min_confidence"]
        text = (
            f"{self.proteins}: {self.concepts.height} named stretches; {silent} without a named "
            f"concept with confidence >= {least:g}"
        )
        n = sum(self.report.counts().values())
        notes = [self.best_hidden, f"{n} notes from reading" if n else ""]
        return f"AnnotatedSequences({'; '.join([text, *filter(None, notes)])})"

    @property
    def best_hidden(self) -> str:
        """The most confident name that a limit hid from a sequence without names; "" for none."""
        if self.hidden.is_empty():
            return ""
        best = self.hidden.sort("confidence", descending=True).row(0, named=True)
        return f"the most confident of those that were hidden: {hidden_words(best)}"

    def top(self, n: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Per sequence, the n most confident `concepts` and the n strongest unnamed features."""
        return self.concepts.group_by("accession", maintain_order=True).head(n).select(
            self.concepts.columns
        ), (
            self.features.filter(~pl.col("named"))
            .group_by("accession", maintain_order=True)
            .head(n)
            .select(self.features.columns)
        )


class Annotator(Encoder):
    """A run's PLM, SAE, maxima and links, loaded once to annotate many sequences.

    See `Encoder` for what is loaded.

    Parameters
    ----------
    run
        A run with its stage 'concepts'.
    source
        Which of the run's SAEs to use.
    device
        "auto", "cpu", "cuda", "cuda:1" or "mps".

    Raises
    ------
    PipelineError
        For a run without links (stage 'concepts'), without a PLM (embeddings from arrays), or
        whose PLM is not the one that the source was trained on.

    Examples
    --------
    >>> annotate = Annotator(Run.open("runs/demo"))
    >>> found = annotate("MKTAYIAKQRQISFVKSHFSRQ", min_confidence=0.8)
    >>> found.concepts.select("concept", "start", "end", "confidence").columns
    ['concept', 'start', 'end', 'confidence']
    """

    def __init__(self, run: Run, source: str = "sae", device: str = "auto") -> None:
        self.links = run.links(source)
        super().__init__(run, source, device)

    def __call__(
        self,
        sequences: Asked,
        min_confidence: float = MIN_CONFIDENCE,
        concepts: Sequence[str] = (),
        *,
        max_q: float = MAX_Q,
        strict: bool = False,
        progress: bool = False,
        scale: "Scale" = "",
    ) -> AnnotatedSequences:
        """Annotate sequences.

        Sequences that cannot be read or are longer than `max_residues` are skipped and reported.
        A pair of concept and feature gives no name if its concept has no instance on test, and so
        no control.

        Parameters
        ----------
        sequences
            A sequence, the `Path` of a FASTA file, `{name: sequence}`, or `Proteins`.
        min_confidence
            Minimum confidence of a name, 0 to 1.
        concepts
            Only these concepts; empty: all.
        max_q
            Largest false discovery rate on test of a pair that gives a name; 1: any. Ignored by
            runs without q values.
        strict
            Stop at the first sequence that cannot be used.
        progress
            Show a progress bar.
        scale
            Who reads the sequences, as in `plm.store.embed_to`: empty for this process, "local:2"
            for two, or a cluster, for shards of 50,000 residues. The result is the same. Shards are
            kept in the folder `.annotate` of the working directory, which all workers must see,
            until all are read, so that another call resumes.

        Raises
        ------
        PipelineError
            For a concept that is linked to no feature, or where `min_confidence` or `max_q` is
            outside [0, 1].
        InputError
            If no sequence is left.
        """
        for name, value in (("min_confidence", min_confidence), ("max_q", max_q)):
            if not 0 <= value <= 1:
                raise PipelineError(f"{name} must be from 0 to 1; got {value:g}")
        links = of_concepts(self.links.table, concepts)
        proteins, report = read_sequences(sequences, self.max_residues, strict)
        found = self.activations(proteins, progress, scale)
        every = self._named(found, links)
        named = above_chance(every, max_q).filter(pl.col("confidence") >= min_confidence)
        about = {
            **self.about,
            "min_confidence": min_confidence,
            "max_q": max_q,
            "concepts": sorted(concepts),
        }
        hidden = _hidden(every, named, min_confidence, max_q)
        return AnnotatedSequences(
            proteins, found, named, hidden, self._features(found, named), report, about
        )

    def _named(self, found: FeatureActivations, links: pl.DataFrame) -> pl.DataFrame:
        """Every stretch on which a feature is above the threshold of one of its links."""
        columns = _columns(found)
        links = links.filter(
            pl.col("feature").is_in(np.flatnonzero(np.diff(columns.indptr)).tolist())
        )
        s = spans(
            columns,
            links["feature"].to_numpy().astype(np.int64),
            links["threshold"].to_numpy(),
            found.proteins.offsets,
        )
        each = self._confidences(s, links)
        where = {
            "accession": _accessions(found.proteins, s.protein),
            "start": s.start,
            "end": s.end,
            "position": s.position,
            "maximum": s.maximum,
        }
        where |= {
            "confidence": s.largest(each),
            "mean_confidence": s.mean(each),
            "order": s.protein,
        }
        kinds = NAMED | ({"q_value": pl.Float64} if "q_value" in links.columns else {})
        table = pl.concat(
            [
                pl.DataFrame(where),
                links.select(name for name in kinds if name in links.columns)[s.item],
            ],
            how="horizontal",
        )
        table = table.sort(
            "order",
            "confidence",
            "f1_per_domain",
            "concept",
            "feature",
            "start",
            descending=[False, True, True, False, False, False],
        )
        return table.select(pl.col(name).cast(kind) for name, kind in kinds.items())

    def _confidences(self, s: Spans, links: pl.DataFrame) -> np.ndarray:
        """Of each residue of the spans, whose items are the pairs in `links`."""
        lengths = s.end - s.start + 1
        bounds = np.searchsorted(np.repeat(s.item, lengths), np.arange(links.height + 1)).tolist()
        confidences = [
            self.links.confidence(concept, feature, s.values[bounds[i] : bounds[i + 1]])
            for i, (concept, feature) in enumerate(links.select("concept", "feature").iter_rows())
        ]
        return np.concatenate(confidences or [np.empty(0)])

    def _features(self, found: FeatureActivations, named: pl.DataFrame) -> pl.DataFrame:
        columns = _columns(found)
        alive = np.flatnonzero(np.diff(columns.indptr))
        thresholds = np.full(found.n_features, FIRES)
        for feature, threshold in (
            self.links.table.group_by("feature").agg(pl.col("threshold").min()).iter_rows()
        ):
            thresholds[feature] = threshold
        s = spans(columns, alive, thresholds[alive], found.proteins.offsets)
        parts = {
            "accession": _accessions(found.proteins, s.protein),
            "feature": alive[s.item],
            "order": s.protein,
        }
        parts |= {
            "start": s.start,
            "end": s.end,
            "position": s.position,
            "maximum": s.maximum.astype(np.float64),
        }
        each = pl.DataFrame(parts).with_columns(
            pl.col("feature").cast(pl.UInt32), threshold=thresholds[alive[s.item]]
        )
        grouped = each.group_by(
            "order", "accession", "feature", "threshold", maintain_order=True
        ).agg(
            pl.struct("start", "end", "position", "maximum").alias("spans"),
            (pl.col("end") - pl.col("start") + 1).sum().alias("n_residues"),
            pl.col("position").get(pl.col("maximum").arg_max()),
            pl.col("maximum").max(),
        )
        pairs = named.select("accession", "feature").unique().with_columns(named=True)
        table = grouped.join(pairs, on=["accession", "feature"], how="left").with_columns(
            pl.col("named").fill_null(False)
        )
        table = table.sort("order", "maximum", "feature", descending=[False, True, False])
        return table.select(pl.col(name).cast(kind) for name, kind in FOUND.items())


def _hidden(
    every: pl.DataFrame, named: pl.DataFrame, min_confidence: float, max_q: float
) -> pl.DataFrame:
    """The most confident stretch of each sequence without a name, with the limit that hid it."""
    q = pl.col("q_value") > max_q if "q_value" in every.columns else pl.lit(False)
    limit = (
        pl.when(pl.col("n_instances") == 0)
        .then(pl.lit("its concept, which test lacks: nothing controls the pair"))
        .when(q)
        .then(pl.lit(f"max_q {max_q:g}"))
        .otherwise(pl.lit(f"min_confidence {min_confidence:g}"))
    )
    lacking = every.filter(~pl.col("accession").is_in(named["accession"].unique().to_list()))
    first = lacking.unique("accession", keep="first", maintain_order=True)
    return first.with_columns(limit=limit).select(pl.col(n).cast(t) for n, t in HIDDEN.items())


def annotate(
    run: Run,
    sequences: Asked,
    min_confidence: float = MIN_CONFIDENCE,
    concepts: Sequence[str] = (),
    source: str = "sae",
    scale: "Scale" = "",
) -> AnnotatedSequences:
    """Annotate once; `Annotator(run)` keeps the models in memory. Arguments and errors as there.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> found = ipn.annotate(ipn.Run.open("runs/demo"), {"mine": "MKTAYIAKQR"}, min_confidence=0.15)
    >>> found.proteins
    Proteins(1 proteins, 10 residues)

    The same in a process of its own; "local:4" reads many sequences in four:

    >>> again = ipn.annotate(
    ...     ipn.Run.open("runs/demo"), {"mine": "MKTAYIAKQR"}, min_confidence=0.15, scale="local:1"
    ... )
    >>> again.features["feature"].equals(found.features["feature"])
    True
    """
    return Annotator(run, source)(sequences, min_confidence, concepts, scale=scale)


def read_sequences(
    sequences: Asked, longest: int, strict: bool = False
) -> tuple[Proteins, ReadReport]:
    """Proteins of at most `longest` residues, and a report of what was skipped.

    `InputError` if none is left, or with `strict` at the first that cannot be used.

    Examples
    --------
    >>> proteins, report = read_sequences({"good": "ACDE", "long": "A" * 30}, longest=20)
    >>> proteins.accessions, report.counts()
    (['good'], {'over 20 residues': 1})
    """
    if isinstance(sequences, Path):
        proteins, report = read_fasta(sequences, strict)
    elif isinstance(sequences, Proteins):
        report = ReadReport("the proteins", strict)
        asked = zip(sequences.accessions, sequences.sequences, strict=True)
        proteins = sequences.select([a for a, s in asked if not reject_nucleotides(s, report, a)])
    else:
        proteins, report = read_texts(
            {"query": sequences} if isinstance(sequences, str) else sequences,
            ReadReport("the sequences", strict),
        )
    return within_limit(proteins, report, longest), report


def within_limit(proteins: Proteins, report: ReadReport, longest: int) -> Proteins:
    """The proteins of at most `longest` residues.

    The others are noted in `report`, which raises if it is strict. `InputError` if none is left.
    """
    for accession, length in zip(proteins.accessions, proteins.lengths.tolist(), strict=True):
        if length > longest:
            report.reject(
                f"over {longest:,} residues",
                accession,
                f"{length:,} residues",
                "cut it into domains",
            )
    kept, _ = proteins.up_to(longest)
    report.kept = len(kept)
    if not len(kept):
        raise InputError(f"no sequence can be used; each needs 1 to {longest:,} residues. {report}")
    return kept


def read_texts(sequences: Mapping[str, str], report: ReadReport) -> tuple[Proteins, ReadReport]:
    """Proteins of `{name: sequence}`; what is not a sequence is noted in `report`."""
    cleaned = {
        name: clean_sequence("".join(text.split()), report, name)
        for name, text in sequences.items()
    }
    return Proteins.from_sequences({name: text for name, text in cleaned.items() if text}), report


def above_chance(links: pl.DataFrame, max_q: float = MAX_Q) -> pl.DataFrame:
    """The pairs with instances on test, and a q value of at most `max_q` if they have one.

    Examples
    --------
    >>> columns = {"feature": [1, 2, 3], "n_instances": [9, 0, 9], "q_value": [0.01, 0.01, 0.5]}
    >>> links = pl.DataFrame(columns)
    >>> above_chance(links)["feature"].to_list()
    [1]
    """
    controlled = links.filter(pl.col("n_instances") > 0)
    return (
        controlled.filter(pl.col("q_value").is_null() | (pl.col("q_value") <= max_q))
        if "q_value" in links.columns
        else controlled
    )


def _columns(found: FeatureActivations) -> Any:
    """csc_array float32 [n_residues, n_features], in unit "max", rows ascending."""
    from scipy.sparse import vstack

    return vstack([block.values for block in found.blocks()], format="csc")


def _accessions(proteins: Proteins, places: np.ndarray) -> pl.Series:
    return proteins.table["accession"].gather(places)
