"""A small classifier: a logistic regression per class on a few pooled features."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from interplm_nb.activations import ORIGIN
from interplm_nb.concepts.by_protein.pool import PooledFeatures
from interplm_nb.concepts.probes.examples import Examples
from interplm_nb.concepts.probes.fitting import Probe, k_sparse_probe
from interplm_nb.readers.protein_labels import ProteinLabels
from interplm_nb.saving import read_json, write_json

KS = (1, 5, 20, 80, 320)
"""Numbers of features that validation chooses from."""

PREDICTED: dict[str, Any] = {
    "accession": pl.String,
    "label": pl.String,
    "probability": pl.Float64,
    "called": pl.Boolean,
}
"""Columns of `LabelClassifier.predict`."""


class ClassRule(NamedTuple):
    """The regression of one class."""

    features: list[int]
    """The k features, most associated with the class first."""
    weights: list[float]
    """Change in log odds per unit of each feature's value."""
    intercept: float
    threshold: float
    """A protein is called strictly above these log odds: the best F1 on validation."""
    test: dict[str, float]
    """Figures on the test proteins that it was read on: n, n_positive, f1, auprc, ..."""


def best_probe(examples: Examples, carried: np.ndarray, ks: Sequence[int] = KS) -> Probe:
    """The sparse probe with the best average precision on validation; ties to the fewest features.

    `ks` beyond the number of features are left out. See `probes.fitting.k_sparse_probe`.
    """
    possible = sorted({min(k, examples.n_features) for k in ks})
    probes = [k_sparse_probe(examples, carried, k) for k in possible]
    return max(probes, key=lambda probe: probe.validation.auprc)


@dataclass(frozen=True, eq=False)
class LabelClassifier:
    """Which classes a protein has, from a few pooled features of one SAE.

    Weights are fitted on train; the number of features, the penalty and the threshold are chosen
    on validation.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> run = ipn.Run.open("runs/demo")
    >>> pooled = ipn.pool(run.scored("sae", "strict"))
    >>> proteins = run.proteins()
    >>> size = np.where(proteins.lengths > np.median(proteins.lengths), "long", "none")
    >>> table = pl.DataFrame({"accession": proteins.accessions, "label": size})
    >>> labels = ipn.read_protein_labels(table).labels
    >>> ipn.LabelClassifier.fit(pooled, labels, run.splits()).save(Path("classifier.json"))
    >>> ipn.LabelClassifier.load(Path("classifier.json")).predict(pooled).columns
    ['accession', 'label', 'probability', 'called']
    """

    rules: Mapping[str, ClassRule]
    """By class."""
    origin: Mapping[str, Any]
    """plm, plm_revision, layer, sae, scale, how, unit, above: what the features must come from."""
    left_out: Mapping[str, str]
    """Class -> why it has no rule."""

    @classmethod
    def fit(
        cls,
        pooled: PooledFeatures,
        labels: ProteinLabels,
        splits: pl.DataFrame,
        ks: Sequence[int] = KS,
    ) -> "LabelClassifier":
        """Fit a regression per class.

        Parameters
        ----------
        pooled
            Features of the labelled proteins, from `pool`.
        labels
            Classes.
        splits
            accession, cluster, split (train, validation, test), such as `Run.splits`.
        ks
            Numbers of features to choose from.

        Raises
        ------
        ValueError
            For numbers instead of classes, or where every class lacks an example, or a
            counterexample, in a split.
        """
        if labels.kind == "number":
            raise ValueError(f"a classifier takes classes, and {labels!r} has numbers")
        pooled, splits = labelled(pooled, labels, splits)
        examples = Examples.proteins(pooled, splits)
        probes, left_out = {}, {}
        for label in labels.classes:
            try:
                probes[label] = best_probe(examples, labels.carries(label, pooled.accessions), ks)
            except ValueError as error:
                left_out[label] = str(error)
        return cls.of_probes(pooled, probes, left_out)

    @classmethod
    def of_probes(
        cls, pooled: PooledFeatures, probes: Mapping[str, Probe], left_out: Mapping[str, str]
    ) -> "LabelClassifier":
        """From fitted probes by class. ValueError without one."""
        if not probes:
            raise ValueError(
                f"no class can be fitted: {next(iter(left_out.values()), 'none there')}"
            )
        rules = {label: _rule(probe, pooled) for label, probe in probes.items()}
        return cls(rules, origin_of(pooled), left_out)

    def predict(self, pooled: PooledFeatures) -> pl.DataFrame:
        """A row per protein and class: columns of `PREDICTED`.

        ValueError for features of another SAE, PLM or layer, or pooled in another way.
        """
        self._check(pooled)
        place = {feature: i for i, feature in enumerate(pooled.features.tolist())}
        parts = []
        for label, rule in self.rules.items():
            values = pooled.values[:, [place[feature] for feature in rule.features]]
            log_odds = np.asarray(values @ np.array(rule.weights)) + rule.intercept
            columns = {
                "accession": pooled.accessions,
                "label": [label] * len(pooled.accessions),
                "probability": 1 / (1 + np.exp(-log_odds)),
                "called": log_odds > rule.threshold,
            }
            parts.append(pl.DataFrame(columns, schema=PREDICTED))
        return pl.concat(parts)

    def save(self, path: Path) -> None:
        """Write everything to one JSON file.

        ValueError where the features do not say which SAE they come from.
        """
        unsaid = [name for name in ORIGIN if self.origin[name] is None]
        if unsaid:
            raise ValueError(
                f"these features do not say their {', '.join(unsaid)}, so a saved classifier could "
                "not refuse others; pool the activations of a run"
            )
        rules = {label: rule._asdict() for label, rule in self.rules.items()}
        about = {"type": "LabelClassifier", "version": 1, "left_out": dict(self.left_out)}
        write_json({**about, "origin": dict(self.origin), "rules": rules}, Path(path))

    @classmethod
    def load(cls, path: Path) -> "LabelClassifier":
        """Read what `save` wrote. ValueError for another kind of file."""
        found = read_json(Path(path), "LabelClassifier", 1)
        rules = {label: ClassRule(**rule) for label, rule in found["rules"].items()}
        return cls(rules, found["origin"], found["left_out"])

    def __repr__(self) -> str:
        rules = ", ".join(f"{name} ({len(rule.features)})" for name, rule in self.rules.items())
        return f"LabelClassifier({rules}; {_named(self.origin)})"

    def _check(self, pooled: PooledFeatures) -> None:
        theirs = origin_of(pooled)
        other = [name for name, value in self.origin.items() if theirs[name] != value]
        if other:
            raise ValueError(
                f"this classifier takes features of {_named(self.origin)}; these are of "
                f"{_named(theirs)} (they differ in {', '.join(other)}). Pool the same SAE in the "
                "same way, or fit a classifier on these"
            )


def labelled(
    pooled: PooledFeatures, labels: ProteinLabels, splits: pl.DataFrame
) -> tuple[PooledFeatures, pl.DataFrame]:
    """The labelled proteins of the splits alone. ValueError for one that is not pooled."""
    known = splits.filter(pl.col("accession").is_in(labels.accessions))
    return pooled.select(known["accession"].to_list()), known


def origin_of(pooled: PooledFeatures) -> dict[str, Any]:
    """What identifies the features, None where unknown, and how they were pooled."""
    said = {name: pooled.about.get(name) for name in (*ORIGIN, "scale")}
    return said | {"how": pooled.how, "unit": pooled.unit, "above": pooled.above}


def _named(origin: Mapping[str, Any]) -> str:
    sae = str(origin["sae"] or "not named")[:19]
    return (
        f"SAE {sae} on {origin['plm'] or 'a PLM that is not named'} "
        f"({str(origin['plm_revision'] or 'revision not named')[:19]}) layer {origin['layer']}, "
        f"{origin['how']} of unit {origin['unit']}"
    )


def _rule(probe: Probe, pooled: PooledFeatures) -> ClassRule:
    # JSON has no infinity; a threshold of -inf calls every protein, as the lowest number does.
    threshold = max(probe.threshold, -sys.float_info.max)
    return ClassRule(
        pooled.features[probe.features].tolist(),
        probe.weights.tolist(),
        probe.intercept,
        threshold,
        probe.test._asdict(),
    )
