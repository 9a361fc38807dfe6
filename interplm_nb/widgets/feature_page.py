"""What a run says about one feature: its concepts, its distribution, its proteins.

Tables and HTML, no controls; needs no torch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.features.examples import proteins_of
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.looked import Looked, looked
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.questions.feature_tables import FeatureTables
from interplm_nb.widgets.colours import category_colours
from interplm_nb.widgets.sequence import STYLE, colour_bar, sequence_html

WINDOW = 25
"""Residues shown on either side of a feature's maximum."""


@dataclass(frozen=True)
class FeaturePages:
    """One source of a run, in unit `max` of the training maxima (convention `strict`)."""

    run: Run
    source: str = "sae"

    @cached_property
    def looked(self) -> Looked | None:
        """Whose features these are, where the run is of proteins that were looked at."""
        return looked(self.run)

    @cached_property
    def named_by(self) -> Run:
        """The run that names and scores the features: of looked-at proteins, the SAE's own."""
        return (self.looked and self.looked.names) or self.run

    @cached_property
    def tables(self) -> FeatureTables:
        """What stages `features` and `interpret` say of the features, where the run has it."""
        return FeatureTables.of(self.run, self.source, self.looked)

    @cached_property
    def proteins(self) -> Proteins:
        """The run's residue axis."""
        return self.run.proteins()

    @cached_property
    def annotations(self) -> Annotations:
        """The run's `strict` annotations, on `proteins`."""
        return self.run.annotations()

    @cached_property
    def activations(self) -> FeatureActivations:
        """The source's activations as fractions of the training maxima (unit `max`)."""
        return self.run.activations(self.source).relative_to(self.run.maxima(self.source).train)

    @cached_property
    def colours(self) -> dict[str, str]:
        """A colour for each annotation category, the most frequent first."""
        by_size = (
            self.annotations.table["category"]
            .value_counts()
            .sort(["count", "category"], descending=[True, False])
        )
        named = self.ranked["category"].unique(maintain_order=True)
        return category_colours(
            list(dict.fromkeys([*by_size["category"].to_list(), *named.to_list()]))
        )

    @cached_property
    def alive(self) -> np.ndarray:
        """int64: features that fire on a training protein."""
        return np.flatnonzero(self.run.maxima(self.source).alive)

    @cached_property
    def map_words(self) -> str:
        """What the source's map of features keeps; PipelineError where it has none."""
        return self.named_by.atlas_quality(self.source).words

    @cached_property
    def why_no_clusters(self) -> str:
        """Why clusters of the map are not shown; empty: they recur. PipelineError without a map."""
        quality = self.named_by.atlas_quality(self.source)
        return quality.why_no_clusters(self.named_by.atlas(self.source))

    @cached_property
    def cluster_names(self) -> dict[int, str]:
        """The names that stage `features` gave to clusters of the map; others have none."""
        try:
            table = self.named_by.feature_table("clusters", self.source)
        except PipelineError:  # the stage has not run, or this source has no map
            return {}
        named = table.filter(pl.col("name") != "").select("cluster", "name").unique()
        return dict(named.sort("cluster").iter_rows())

    @cached_property
    def ranked(self) -> pl.DataFrame:
        """Every pair of a scored concept and a feature, best on validation first.

        Each feature is taken at its best threshold on validation; test figures are of that pair.
        Columns: concept, category, feature, threshold (share of the maximum),
        validation_f1_per_domain, f1_per_domain (0 without a true positive), n_instances (on test).
        The first row of a concept is its row in `best_of_sources`.
        """
        sizes = self.best_of_sources.select("concept", "n_instances").unique()
        chosen = (
            self._scores("validation")
            .sort("f1_per_domain", "f1", "threshold", descending=[True, True, False])
            .unique(["concept", "feature"], keep="first", maintain_order=True)
            .rename({"f1_per_domain": "validation_f1_per_domain"})
            .drop("n_instances")
            .join(sizes, on="concept", maintain_order="left")
        )
        pair = ["concept", "feature", "threshold"]
        test = self._scores("test").select(*pair, "f1_per_domain")
        return (
            chosen.join(test, on=pair, how="left", maintain_order="left")
            .with_columns(pl.col("f1_per_domain").fill_null(0))
            .sort(
                "validation_f1_per_domain",
                "f1",
                "feature",
                descending=[True, True, False],
                maintain_order=True,
            )
            .select(
                "concept",
                "category",
                *pair[1:],
                "validation_f1_per_domain",
                "f1_per_domain",
                "n_instances",
            )
        )

    @cached_property
    def best(self) -> dict[int, dict[str, Any]]:
        """Each feature's best pair on validation: concept, category, and its F1 on both splits.

        Features that match no concept are left out.
        """
        first = self.ranked.unique("feature", keep="first", maintain_order=True)
        rows = first.select(
            "feature", "concept", "category", "validation_f1_per_domain", "f1_per_domain"
        ).to_dicts()
        return {row.pop("feature"): row for row in rows}

    @cached_property
    def best_of_sources(self) -> pl.DataFrame:
        """The best feature of each source for each scored concept: the `strict` rows of `best`.

        PipelineError before stage `concepts`.
        """
        return self.named_by.table("concepts", "best").filter(pl.col("convention") == "strict")

    @cached_property
    def found(self) -> pl.DataFrame:
        """concept, feature of the source's found pairs (`support.with_support`).

        None where the run was made without that table.
        """
        try:
            table = self.named_by.table("concepts", "found")
        except PipelineError:
            return self.ranked.select("concept", "feature").clear()
        return table.filter(source=self.source, convention="strict").select("concept", "feature")

    @cached_property
    def concepts_scored(self) -> str:
        """Which concepts the stage scored: "at least 10 instances in validation and in test"."""
        table = self.named_by.table("concepts", "comparison").filter(convention="strict")
        return str(table["concepts_scored"][0])

    def carried(self, concept: str) -> np.ndarray:
        """bool [n_residues]: the residues that carry a concept; kept for other features."""
        if concept not in self._carried:
            self._carried[concept] = self.annotations.mask(concept)
        return self._carried[concept]

    @cached_property
    def _carried(self) -> dict[str, np.ndarray]:
        return {}

    def spans(self, accessions: list[str]) -> dict[str, list[dict[str, Any]]]:
        """The segments of each of these proteins, by start, the longest first.

        start, end, concept, category, instance.
        """
        table = self.annotations.table.filter(pl.col("accession").is_in(accessions))
        ordered = table.sort("start", "end", descending=[False, True])
        parts = ordered.select(
            "accession", "start", "end", "concept", "category", "instance"
        ).partition_by("accession", as_dict=True, include_key=False)
        return {accession: rows.to_dicts() for (accession,), rows in parts.items()}

    def _scores(self, split: str) -> pl.DataFrame:
        return self.named_by.scores(self.source, split, "strict").table()

    def top(self, feature: int, n: int = 20) -> pl.DataFrame:
        """The proteins with the highest activation: see `proteins_of`."""
        return proteins_of(self.activations, feature).head(n)

    def top_html(self, feature: int, n: int = 5) -> str:
        """Windows around the maxima of the strongest proteins, one below the other."""
        parts = [self._window(row, feature) for row in self.top(feature, n).iter_rows(named=True)]
        return STYLE + (
            f"<p>Activation: {colour_bar()}</p>" + "".join(parts)
            if parts
            else "<p>This feature never fires on these proteins.</p>"
        )

    def gallery_html(self, features: Iterable[int], n: int = 2) -> str:
        """Features one below the other, each with its `n` strongest proteins.

        Tables link to their anchors, `feature-N`.
        """
        return "".join(
            f'<h4 id="feature-{feature}">Feature {feature}</h4>{self.top_html(feature, n)}'
            for feature in dict.fromkeys(features)
        )

    def _window(self, row: dict, feature: int) -> str:
        accession, position = row["accession"], row["position"]
        name = f"<b>{escape(accession)}</b> {escape(self.name(accession))}"
        where = f"maximum {row['maximum']:.2f} at {position} of {row['length']} residues"
        return f"<p>{name}: {where}</p>" + self._shaded(
            accession, feature, (position - WINDOW, position + WINDOW)
        )

    def protein_html(self, accession: str, feature: int) -> str:
        """One protein whole."""
        heading = f"<p><b>{escape(accession)}</b> {escape(self.name(accession))}</p>"
        return STYLE + heading + self._shaded(accession, feature, None)

    def _shaded(self, accession: str, feature: int, window: tuple[int, int] | None) -> str:
        segments = self.annotations.table.filter(pl.col("accession") == accession)
        values = self.activations.along(accession, feature)
        return sequence_html(
            accession, self.proteins.sequence(accession), values, segments, window, self.colours
        )

    def name(self, accession: str) -> str:
        """The protein's name where the metadata has one."""
        return self._metadata(accession, ("name", "protein_name", "description"))

    def organism(self, accession: str) -> str:
        """The protein's organism where the metadata has it."""
        return self._metadata(accession, ("organism",))

    def _metadata(self, accession: str, columns: tuple[str, ...]) -> str:
        table = self.proteins.table
        column = next((c for c in columns if c in table.columns), None)
        return str(table[column][self.proteins.index(accession)] or "") if column else ""
