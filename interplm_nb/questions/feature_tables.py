"""What stages `features` and `interpret` say of a source's features, where a run has it."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Self

import polars as pl

from interplm_nb.features.statistics import DENSITY_CLASSES
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.looked import Looked
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_files import FeatureTable, Interpretation, interpreted_folder

CLASSES = pl.Enum(["silent", *(name for name, _ in DENSITY_CLASSES)])
"""Classes of density, in their order."""

OF_STATISTICS = (
    *("density_class", "protein_frequency", "share_when_present", "quantile_50", "quantile_95"),
    *("protein_entropy", "amino_acid_entropy", "amino_acid_information", "top_amino_acid"),
    *("position_bias", "shape", "mean_run", "longest_run", "period"),
)
"""The statistics that lists and exports of features have."""
_FILES: tuple[FeatureTable, ...] = (
    *("statistics", "motifs", "known", "neighbours", "matches", "hierarchy"),
)
_WORDS: tuple[Interpretation, ...] = ("descriptions", "judged", "recognised")


class FeatureTables(NamedTuple):
    """Tables of the stages; None where the run lacks one."""

    statistics: pl.DataFrame | None
    """`features.statistics` and shapes, as `stages.features` writes them."""
    motifs: pl.DataFrame | None
    known: pl.DataFrame | None
    neighbours: pl.DataFrame | None
    matches: pl.DataFrame | None
    hierarchy: pl.DataFrame | None
    """Empty for an SAE without prefixes."""
    descriptions: pl.DataFrame | None
    """`interpret.explain.DESCRIPTIONS` of every describer, language models first, with `kept`, its
    folder."""
    judged: pl.DataFrame | None
    recognised: pl.DataFrame | None
    threshold: float | None
    """Above which share of a feature's maximum the statistics count; None: the run does not say."""
    missing: str
    """What the run lacks and which command makes it, in sentences."""

    @classmethod
    def of(cls, run: Run, source: str, looked: Looked | None) -> Self:
        """Those of a source; a table that cannot be read is named in `missing`."""
        why: list[str] = []
        found = {name: _feature_table(run, source, name, why) for name in _FILES}
        words = {name: _interpretation(run, source, name, why) for name in _WORDS}
        if found["statistics"] is None and not why:
            why.append(_without_statistics(looked))
        if words["descriptions"] is None and not run.describers(source):
            why.append(_without_descriptions(source))
        return cls(**found, **words, threshold=_threshold(run), missing=" ".join(why))

    @property
    def columns(self) -> pl.DataFrame:
        """What the list of features has of them: a row per feature that a table knows.

        Of statistics `OF_STATISTICS`, with density_class as `CLASSES`, and period null unless the
        shape is periodic; motif_information (bits) and motif_pattern, null without one;
        description, described_by and description_r, the judged Pearson r.
        """
        parts = []
        if self.statistics is not None:
            parts.append(
                self.statistics.select("feature", *OF_STATISTICS).with_columns(
                    pl.col("density_class").cast(CLASSES),
                    pl.col("top_amino_acid").replace("", None),
                    pl.when(shape="periodic").then("period").alias("period"),
                )
            )
        if self.motifs is not None:
            parts.append(
                self.motifs.select(
                    "feature",
                    motif_information="information",
                    motif_pattern=pl.col("pattern").replace("", None),
                )
            )
        if self.descriptions is not None:
            parts.append(self._described())
        table = pl.DataFrame(schema={"feature": pl.UInt32})
        for part in parts:
            table = table.join(part, on="feature", how="full", coalesce=True)
        return table

    def _described(self) -> pl.DataFrame:
        """Each feature's description, of the first describer that has one."""
        assert self.descriptions is not None
        said = self.descriptions.filter(pl.col("summary").is_not_null())
        first = said.unique("feature", keep="first", maintain_order=True)
        table = first.select("feature", "kept", description="summary", described_by="describer")
        if self.judged is None:
            return table.drop("kept").with_columns(description_r=pl.lit(None, pl.Float64))
        scores = self.judged.filter(given="description").select(
            "feature", "kept", described_by="describer", description_r="pearson"
        )
        # A language model judges the statistical description too: that is its own table's.
        return table.join(scores, on=["feature", "described_by", "kept"], how="left").drop("kept")


def _feature_table(
    run: Run, source: str, name: FeatureTable, why: list[str]
) -> pl.DataFrame | None:
    if not run.of_source(source, name).is_file():
        return None
    return _read(partial(run.feature_table, name, source), why)


def _interpretation(
    run: Run, source: str, name: Interpretation, why: list[str]
) -> pl.DataFrame | None:
    """A table of every describer, one below the other, with `kept`."""
    parts = []
    for describer in run.describers(source):
        path = run.folder / interpreted_folder(describer, source) / f"{name}.parquet"
        if path.is_file():
            found = _read(partial(run.interpretation, name, source, describer), why)
            parts.append((describer, found))
    whole = [t.with_columns(kept=pl.lit(d)) for d, t in parts if t is not None]
    return pl.concat(whole) if whole else None


def _read(load: Callable[[], pl.DataFrame], why: list[str]) -> pl.DataFrame | None:
    try:
        return load()
    except PipelineError as error:
        why.append(f"{error}.")
        return None


def _threshold(run: Run) -> float | None:
    try:
        return run.summary("features").get("threshold")
    except PipelineError:
        return None


def _without_statistics(looked: Looked | None) -> str:
    what = "Statistics, motifs and nearest features are"
    if looked:
        name = looked.about["run"]
        return f"{what} in {f'run {name}' if name else 'a run of the SAE'}, not here."
    return f"{what} not there: stage `features` makes them (interplm-nb run PROFILE --out RUN)."


def _without_descriptions(source: str) -> str:
    which = "" if source == "sae" else f" --source {source}"
    return (
        f"Descriptions are not there: interplm-nb interpret --run RUN{which} makes them, without a "
        "language model or with one."
    )
