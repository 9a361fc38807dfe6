"""What a generation under steering found. Read without a model, as a finished run is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from interplm_nb.steering.experiments.generation.kinds import CONTROLS
from interplm_nb.steering.experiments.generation.settings import GenerationSettings
from interplm_nb.steering.experiments.rates import ALPHA, more_often


@dataclass(frozen=True)
class GenerationResult:
    """Sequences of every condition, judged."""

    settings: GenerationSettings
    feature: int
    model: str
    rule: str
    """The rule's name."""
    rule_words: str
    """The rule and its source."""
    probe: str | None
    """The probe, with its test figures."""
    conditions: pl.DataFrame
    """One row per condition: kind, condition, strength, which, then `tables.RATES`."""
    kinds: pl.DataFrame
    """One row per kind and strength, with the controls of a kind together: kind, strength, then
    `tables.RATES`."""
    natural: pl.DataFrame
    """Base rates of natural proteins: kind, then `tables.RATES`; empty without any."""
    sequences: pl.DataFrame
    """One row per sequence: `tables.SEQUENCES`."""
    pilot: pl.DataFrame = field(default_factory=pl.DataFrame)
    """The features among which one was chosen, with other random numbers: `scan.SCAN`; empty where
    the feature was given."""

    def tables(self) -> Mapping[str, pl.DataFrame]:
        """conditions, kinds, natural, sequences, pilot."""
        return {
            "conditions": self.conditions,
            "kinds": self.kinds,
            "natural": self.natural,
            "sequences": self.sequences,
            "pilot": self.pilot,
        }

    @property
    def strongest(self) -> dict:
        """The steered row, among strengths that have controls, with the highest rate."""
        steered = self.kinds.filter(
            pl.col("kind") == "steered", pl.col("strength").is_in(self.settings.controls_at)
        )
        if not steered.height:
            raise ValueError(
                f"no strength of {self.settings.strengths} has controls (controls_at: "
                f"{self.settings.controls_at}); give one to both"
            )
        return steered.sort("rate", descending=True, maintain_order=True).row(0, named=True)

    def control(self, kind: str, strength: float) -> dict | None:
        """The row of a kind at a strength, if it was drawn."""
        at = pl.col("strength").is_null() if kind == "unsteered" else pl.col("strength") == strength
        found = self.kinds.filter(pl.col("kind") == kind, at)
        return found.row(0, named=True) if found.height else None

    @property
    def works(self) -> bool:
        """Whether steering exceeds every control, its own letters shuffled among them.

        p under 0.05 by Fisher's exact test, one-sided, beside matched features, random directions
        and unsteered, and by `beyond_letters`. The best of several strengths is not corrected for.
        """
        best = self.strongest
        above = best["p_letters"] < ALPHA
        rows = [self.control(kind, best["strength"]) for kind in CONTROLS]
        return above and all(
            more_often(best["found"], best["n"], row["found"], row["n"]) < ALPHA
            for row in rows
            if row is not None
        )

    @property
    def sentence(self) -> str:
        """The result with its controls."""
        best = self.strongest
        others = [
            f"{row['rate']:.0%} {words}"
            for kind, words in (
                ("output only", "with the output alone changed"),
                ("matched features", "with matched features"),
                ("random directions", "along random directions"),
                ("unsteered", "unsteered"),
            )
            if (row := self.control(kind, best["strength"])) is not None
        ]
        verdict = "causes" if self.works else "does not cause"
        return (
            f"With feature {self.feature} of {self.model}{self._chosen} clamped to "
            f"{best['strength']:g} times its maximum, {best['rate']:.0%} of {best['n']} sequences "
            f"hold a {self.rule} (95 % interval over sequences {best['low']:.0%} to "
            f"{best['high']:.0%}); "
            f"{best['shuffled']:.0%} with their letters shuffled, {', '.join(others)}: by these "
            f"controls the feature {verdict} it."
        )

    @property
    def _chosen(self) -> str:
        n = self.pilot["feature"].n_unique() if self.pilot.height else 0
        return f" (of the concept's {n} best, the one that a pilot draw favours)" if n > 1 else ""

    def examples(self, n: int = 5) -> pl.DataFrame:
        """The first n sequences of the strongest steering in which the rule finds something.

        Columns: sequence, start, end, perplexity, relative, identity.
        """
        best = self.strongest["strength"]
        chosen = self.sequences.filter(
            pl.col("kind") == "steered", pl.col("strength") == best, pl.col("start").is_not_null()
        )
        return chosen.head(n).select(
            "sequence",
            "start",
            "end",
            pl.col("surprise").exp().alias("perplexity"),
            "relative",
            "identity",
        )
