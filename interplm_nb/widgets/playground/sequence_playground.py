"""Type or paste a sequence, see its features and concepts, change a residue, see the effect."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl
import traitlets as t
from scipy.sparse import csr_array

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.calibration import MIN_CONFIDENCE
from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.pipeline.encoder import Encoder
from interplm_nb.proteins import Proteins
from interplm_nb.questions.annotate import AnnotatedSequences
from interplm_nb.readers.report import InputError
from interplm_nb.readers.variants import Mutation, mutated
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.logo_figure import CHEMISTRY
from interplm_nb.widgets.model_view import ModelView
from interplm_nb.widgets.packing import pack
from interplm_nb.widgets.playground.consequences import likelihood, lost_and_gained
from interplm_nb.widgets.playground.direction import direction_words
from interplm_nb.widgets.playground.figure import (
    CHANGE_SCALE,
    CHANGE_SCALE_ON_DARK,
    playground_figure,
)
from interplm_nb.widgets.playground.mutations import read_mutations, read_one
from interplm_nb.widgets.playground.result import CHANGED, EFFECTS, Reading, effects, packed_result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REMEMBERED = 32
"""Sequences whose reading is kept."""

SCANNED_FEATURES = 12
"""Features of a scan that are shown: those that change most under any substitution."""


class Asked(Protocol):
    """What reads sequences: `questions.annotate.Annotator`, or anything like it."""

    def activations(self, proteins: Proteins) -> FeatureActivations:
        """Every feature on every residue, unit `max`."""
        ...

    def __call__(self, sequences: Proteins, min_confidence: float) -> AnnotatedSequences:
        """The same with the named stretches."""
        ...


class SequencePlayground(ModelView):
    """Your own sequence: which features fire where, what they name, what a mutation changes.

    Substitutions are made residue by residue, and every feature is compared on every residue. It
    needs the model and a running kernel. Where the model's weights are missing nothing is read: a
    button asks first, and `fetch` does the same. If the run's SAE was trained on the embedded
    model, the answers come from it too: `data.about["note"]`.

    Parameters
    ----------
    data
        The features of a run; `workbench.data`, for one linked with a workbench.
    annotator
        Reads sequences; default: the run's own, loaded with torch at the first sequence.
    **settings
        Traits: sequence, mutations, min_confidence.

    Examples
    --------
    >>> from interplm_nb.pipeline.run import Run
    >>> play = SequencePlayground(FeatureData(Run.shipped()))
    >>> play.about["limit"] > 0, play.sequence
    (True, '')
    """

    code_name = "sequence_playground"
    needs = "Reading a sequence"
    failed = "This sequence could not be read"

    sequence = t.Unicode(
        "", help="the reference, plain or FASTA, of at most about['limit'] residues; empty: none"
    ).tag(sync=True)
    mutations = t.List(
        t.Unicode(),
        help='substitutions in the reference, such as "A12V"; a new sequence takes them away',
    ).tag(sync=True)
    min_confidence = t.Float(
        MIN_CONFIDENCE, min=0, max=1, help="least confidence of a named stretch"
    ).tag(sync=True)
    result = t.Bytes(help="what was read last, packed").tag(sync=True)
    scanned = t.Bytes(
        help="what all substitutions of one residue do, packed; empty: none requested"
    ).tag(sync=True)
    likelihood = t.Dict(
        help="sequence, mutations, and words: how likely the mutant is; empty: no mutation"
    ).tag(sync=True)
    nulls = t.Dict(
        help="features that one mutation takes and gives, beside two nulls; empty: not requested"
    ).tag(sync=True)
    about = t.Dict(
        read_only=True,
        help="limits, groups of amino acids, colours of changes: what both halves share",
    ).tag(sync=True)

    def __init__(self, data: FeatureData, annotator: Asked | None = None, **settings: Any) -> None:
        self._annotator = annotator
        self._name = ""
        self._readings: OrderedDict[str, Reading] = OrderedDict()
        first = {name: settings.pop(name) for name in ("sequence", "mutations") if name in settings}
        super().__init__(data, **settings)
        self.on_msg(self._told)
        data.selection.observe(self._feature_selected, "feature")
        for name, value in first.items():
            setattr(self, name, value)

    def close(self) -> None:
        """Close the widget: it follows the selection no more."""
        if self.comm is not None:
            self.selection.unobserve(self._feature_selected, "feature")
        super().close()

    @t.default("about")
    def _about(self) -> dict[str, Any]:
        return {
            "limit": self.data.pages.run.max_residues(),
            "direction": direction_words(self.data.pages.run),
            "changed": CHANGED,
            "groups": [{"name": name, "letters": letters} for name, letters, *_ in CHEMISTRY],
            "scale": list(CHANGE_SCALE),
            "scale_on_dark": list(CHANGE_SCALE_ON_DARK),
        }

    def _asks_run(self) -> bool:
        return self._annotator is None

    @t.validate("sequence")
    def _clean(self, proposal: Any) -> str:
        if not proposal["value"].strip():
            return ""
        try:
            self._name, sequence = read_one(proposal["value"], self.about["limit"])
        except InputError as error:
            raise t.TraitError(str(error)) from None
        return sequence

    @t.validate("mutations")
    def _fitting(self, proposal: Any) -> list[str]:
        try:
            return [str(mutation) for mutation in read_mutations(proposal["value"], self.sequence)]
        except ValueError as error:
            raise t.TraitError(str(error)) from None

    @t.observe("sequence", "mutations", "min_confidence")
    def _changed(self, change: Any) -> None:
        if change["name"] == "min_confidence":
            self._readings.clear()
        if change["name"] == "sequence":
            self.scanned = b""
            if self.mutations:
                self.mutations = []  # comes back here
                return
        self._answer()

    def _feature_selected(self, _: Any) -> None:
        if self.result:
            self._answer()

    def _told(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """What the browser asks for: `fetch`, a `text`, `mutations`, `nulls`, a `position`."""
        self.problem = ""
        try:
            if "fetch" in message:
                self._fetch_and_show(message.get("text", ""))
            elif "text" in message:
                self._show(message["text"])
            elif "mutations" in message:
                self.mutations = message["mutations"]
            elif "nulls" in message:
                self._trying(self._show_nulls)
            elif "position" in message:
                self._show_scan(int(message["position"]))
        except t.TraitError as error:
            self.problem = f"This cannot be read: {error}."
        self._tell_done()

    def _show(self, text: str) -> None:
        """Read a new text: without mutations, under its own name."""
        before = self.sequence, self.mutations
        self.sequence = text
        self.mutations = []
        if (self.sequence, self.mutations) == before:  # nobody was notified of a change
            self._answer()

    def _fetch_and_show(self, text: str) -> None:
        self._trying(self._fetch_weights, "The weights could not be fetched")
        if self.missing:
            return
        if text.strip():
            self._show(text)
        else:
            self._answer()

    def effects(self) -> pl.DataFrame:
        """What the mutations change, on all features, the largest change first.

        Empty without a mutation. Raises what the annotator raises, and PipelineError where the
        weights are missing.

        Returns
        -------
        polars.DataFrame
            feature (u32); label, its best concept on validation (null: none); reference and mutant
            (f32, activations in shares of the maximum on training proteins) and change, their
            difference, at `position` (i64, from 1), where it is largest.
        """
        readings = self._current()
        return (
            effects(readings[0].values, readings[1].values, self._labels())
            if len(readings) == 2
            else pl.DataFrame(schema=EFFECTS)
        )

    def scan(self, position: int) -> pl.DataFrame:
        """Every substitution of one residue of the reference, each on its own.

        The features that change by more than 0.05 of their maximum, anywhere. Columns: mutation,
        letter, and those of `effects`; by letter, then the largest change first. ValueError for a
        position outside the sequence.
        """
        return self._scan(position).filter(pl.col("change").abs() > CHANGED)

    def figure(self) -> "Figure":
        """The features along the sequence, and what mutations change: see `View.figure`."""
        if not self.result:
            why = self.problem or self.missing.get("text", "")
            return playground_figure(
                None, why or "No sequence has been read. Run the notebook and type one."
            )
        readings = self._current()
        return playground_figure(self._packed(readings), f"{self._title()}", len(self.sequence))

    def _title(self) -> str:
        mutations = f", {', '.join(self.mutations)}" if self.mutations else ""
        model = f"{self.data.about['plm']}, layer {self.data.about['layer']}"
        return f"{self._name or 'Sequence'}, {len(self.sequence):,} residues{mutations}; {model}"

    def _answer(self) -> None:
        """Send what the model says of the sequence and its mutant, or why it cannot."""
        if not self.sequence:
            self.result, self.problem = b"", ""
            return
        if not self._look_again():
            self._trying(self._show_reading)

    def _show_reading(self) -> None:
        """Send the features, then the likelihood, which takes a pass of its own."""
        self.result = pack(*self._packed(self._current()))
        now = {"sequence": self.sequence, "mutations": self.mutations}
        if not self.mutations or not isinstance(encoder := self._reader(), Encoder):
            self.likelihood = {}
        elif any(self.likelihood.get(name) != value for name, value in now.items()):
            self.progress = "Likelihood of the mutant"
            words = likelihood(encoder, self.sequence, self._mutations())
            self.likelihood = {**now, "words": words}

    def _show_nulls(self) -> None:
        """Send what the mutation takes and gives, beside its nulls."""
        (mutation,), encoder = self._mutations(), self._reader()
        assert isinstance(encoder, Encoder)  # the button is there for the run's own model
        self.progress = f"Reading {mutation}, other substitutions there, and the same elsewhere"
        self.nulls = lost_and_gained(encoder, self.sequence, mutation)

    def _reader(self) -> Asked:
        return self._annotator or self._loaded()

    def _packed(self, readings: list[Reading]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        pages, chosen = self.data.pages, self.selection.feature
        changes = (
            effects(readings[0].values, readings[1].values, self._labels())
            if len(readings) == 2
            else pl.DataFrame(schema=EFFECTS)
        )
        record, arrays = packed_result(readings, pages.best, chosen, changes)
        mutations = self._mutations()
        own = {"name": self._name, "accession": self._accession(), "sequence": self.sequence}
        own |= {
            "mutant": mutated(self.sequence, mutations) if mutations else None,
            "mutations": [m._asdict() for m in mutations],
        }
        return own | record, arrays

    def _accession(self) -> str:
        """The run's protein of that name, where it has this very sequence; else empty."""
        proteins = self.data.pages.proteins
        return (
            self._name
            if self._name in proteins and proteins.sequence(self._name) == self.sequence
            else ""
        )

    def _mutations(self) -> list[Mutation]:
        return read_mutations(self.mutations, self.sequence)

    def _labels(self) -> dict[int, str]:
        return {feature: best["concept"] for feature, best in self.data.pages.best.items()}

    def _current(self) -> list[Reading]:
        """The readings of the reference, and of the mutant where there is one."""
        mutations = self._mutations()
        return self._read(
            [self.sequence, *([mutated(self.sequence, mutations)] if mutations else [])]
        )

    def _read(self, sequences: list[str]) -> list[Reading]:
        """Those that are not remembered go through the model together, once."""
        missing = [s for s in dict.fromkeys(sequences) if s not in self._readings]
        if missing:
            annotator = self._reader()
            self.progress = f"Reading {len(missing[0]):,} residues"
            found = annotator(
                Proteins.from_sequences({str(i): s for i, s in enumerate(missing)}),
                self.min_confidence,
            )
            self._check(found.activations)
            for i, sequence in enumerate(missing):
                own = found.concepts.filter(pl.col("accession") == str(i))
                self._readings[sequence] = Reading(found.activations.of(str(i)), own)
        for sequence in sequences:
            self._readings.move_to_end(sequence)
        while len(self._readings) > max(REMEMBERED, len(sequences)):
            self._readings.popitem(last=False)
        return [self._readings[sequence] for sequence in sequences]

    def _check(self, activations: FeatureActivations) -> None:
        own, wanted = activations.n_features, self.data.pages.activations.n_features
        if own != wanted:
            raise ValueError(
                f"the annotator has {own:,} features, source {self.data.pages.source} has "
                f"{wanted:,}; give the annotator of this source"
            )

    def _scan(self, position: int) -> pl.DataFrame:
        if not 1 <= position <= len(self.sequence):
            raise ValueError(
                f"positions are 1 to {len(self.sequence):,}, not {position}"
                if self.sequence
                else "there is no sequence to scan yet"
            )
        before = self.sequence[position - 1]
        mutations = [
            Mutation(before, position, letter) for letter in AMINO_ACIDS if letter != before
        ]
        reference = self._read([self.sequence])[0].values
        annotator = self._reader()
        self.progress = f"Reading {len(mutations)} substitutions"
        found = annotator.activations(
            Proteins.from_sequences({str(m): mutated(self.sequence, [m]) for m in mutations})
        )
        tables = [_of_mutation(m, reference, found.of(str(m)), self._labels()) for m in mutations]
        self.progress = ""
        return pl.concat(tables)

    def _show_scan(self, position: int) -> None:
        def act() -> None:
            """Scan the position and send what was found to the page."""
            self.scanned = pack(*packed_scan(self._scan(position), position, self.sequence))

        self._trying(act)


def _of_mutation(
    mutation: Mutation, reference: csr_array, values: csr_array, labels: dict[int, str]
) -> pl.DataFrame:
    table = effects(reference, values, labels)
    return table.select(
        pl.lit(str(mutation)).alias("mutation"), pl.lit(mutation.after).alias("letter"), pl.all()
    )


def packed_scan(
    table: pl.DataFrame, position: int, sequence: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Record and arrays of `packing.pack`: the change (f4) of each amino acid x feature.

    In the order of `AMINO_ACIDS`, the residue's own 0. Features are the `SCANNED_FEATURES` that
    change most under any substitution; n_changed counts per amino acid all that change by over
    0.05.
    """
    top = (
        table.group_by("feature")
        .agg(pl.col("change").abs().max(), pl.col("label").first())
        .sort("change", "feature", descending=[True, False])
    )
    features = top["feature"].head(SCANNED_FEATURES).to_list()
    change = np.zeros((len(AMINO_ACIDS), len(features)), np.float32)
    for letter, feature, value in (
        table.filter(pl.col("feature").is_in(features))
        .select("letter", "feature", "change")
        .iter_rows()
    ):
        change[AMINO_ACIDS.index(letter), features.index(feature)] = value
    counts = dict(
        table.filter(pl.col("change").abs() > CHANGED).group_by("letter").len().iter_rows()
    )
    record = {
        "sequence": sequence,
        "position": position,
        "before": sequence[position - 1],
        "letters": AMINO_ACIDS,
        "features": features,
        "labels": top["label"].head(SCANNED_FEATURES).to_list(),
        "n_changed": [counts.get(letter, 0) for letter in AMINO_ACIDS],
    }
    return record, {"change": change.ravel()}
