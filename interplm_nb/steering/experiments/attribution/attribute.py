"""Which features of a layer carry a prediction, the SAE's error included, and a check of it by
removing them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field
from scipy.stats import rankdata
from torch import Tensor

from interplm_nb.steering.experiments.attribution import ablations, gradients
from interplm_nb.steering.experiments.attribution.ablations import Node, Removals
from interplm_nb.steering.experiments.attribution.gradients import Attributed
from interplm_nb.steering.experiments.attribution.parts import Background, Baseline, background
from interplm_nb.steering.experiments.attribution.prediction import Prediction, PredictionSettings
from interplm_nb.steering.experiments.attribution.top import largest
from interplm_nb.steering.intervene import Where
from interplm_nb.steering.steered_layer import SteeredLayer

TOP, RANDOM, MATCHED, ERROR = "top", "random", "random like-mass", "errors"
"""Kinds of sets in the table `removals`."""


class NodeSettings(PredictionSettings):
    """How nodes get their attribution."""

    method: Literal["gradient", "integrated"] = Field(
        default="integrated",
        description="The gradient at the model's own state, or integrated gradients.",
    )
    steps: int = Field(
        default=16, ge=1, le=1024, description="Equal steps that integrated gradients begin with."
    )
    most_steps: int = Field(
        default=64,
        ge=1,
        le=100_000,
        description="Gradients taken at most, where the metric changes too fast for equal steps.",
    )
    tolerance: float = Field(
        default=0.02,
        gt=0,
        le=1,
        description="Largest gap between the attributions' sum and the metric's difference, as a "
        "share of the difference.",
    )
    baseline: Baseline = Field(
        default="zero",
        description="What a removed node is set to: 0, or its mean over the background.",
    )
    unit: Literal["residue", "feature"] = Field(
        default="residue",
        description="A node is a feature at one residue, or at all of its residues.",
    )

    @property
    def integration(self) -> gradients.Steps | None:
        """How gradients are integrated; None for the gradient alone."""
        if self.method == "gradient":
            return None
        return gradients.Steps(self.steps, self.most_steps, self.tolerance)


class AttributionSettings(NodeSettings):
    """Settings of one attribution.

    >>> AttributionSettings(position=12, residue="C").steps
    16
    """

    kind: ClassVar[str] = "attribution"

    where: Where = Field(
        default="output",
        description="Change the layer's output, or the state inside its recurrence.",
    )
    k: int = Field(default=5, ge=1, le=1000, description="Nodes that are removed together.")
    n_sets: int = Field(default=40, ge=1, le=10_000, description="Random sets of each kind.")
    n_singles: int = Field(
        default=30,
        ge=0,
        le=100_000,
        description="Nodes outside the top, at random, removed one by one.",
    )


@dataclass(frozen=True)
class Attribution:
    """Attributions of one prediction, and what removals do."""

    settings: AttributionSettings
    words: str
    """The metric in words."""
    unit: str
    """Of the metric: "nats" or "logits"."""
    nodes: pl.DataFrame
    """Active nodes, the largest |attribution| first: residue (null where a node is a feature at all
    residues), letter, feature, n_residues, activation (largest, as a share of the feature's
    maximum), mass, attribution."""
    residues: pl.DataFrame
    """residue, letter, features (sum of their attributions), error."""
    removals: pl.DataFrame
    """set, n_sets, n_nodes, effect (mean over sets), low, high (2.5 and 97.5 % of the sets),
    attribution, mass (means over sets), at_least_top (share of sets with at least the top's
    effect)."""
    singles: pl.DataFrame
    """feature, residue, top, attribution, effect of removing the node alone."""
    summary: pl.DataFrame
    """One row: whole, removed (metrics), difference, total (sum of attributions), gap, complete,
    gradients (how many were taken), features (sum over active nodes), inactive (over all others),
    error (sum), error_share (|error| of all |attribution|), n_active, pearson and spearman (of
    singles; null where not defined)."""

    @property
    def sentence(self) -> str:
        """What carries the prediction, how much the errors carry, and what removal shows."""
        row = self.summary.row(0, named=True)
        by_set = {r["set"]: r for r in self.removals.iter_rows(named=True)}
        top, error = by_set[TOP], by_set[ERROR]
        words = (
            f"{self.words}: {row['whole']:.2f} {self.unit}, {row['removed']:.2f} without this "
            f"layer's features and errors. The SAE's errors have {row['error_share']:.0%} of all "
            f"attribution, and removing them alone {_moves(error['effect'])}. "
            f"Removing the top {top['n_nodes']} of {row['n_active']} active nodes "
            f"{_moves(top['effect'])} (by attribution, {top['attribution']:.2f})"
        )
        for name in (RANDOM, MATCHED):
            s = by_set[name]
            interval = f"[{s['low']:.2f}, {s['high']:.2f}]"
            words += f", {s['n_nodes']} {name} nodes by {s['effect']:.2f} {interval}"
        words += "."
        if row["spearman"] is not None:
            words += f" Attribution and the effects of single removals: r_s {row['spearman']:.2f}."
        if not row["complete"]:
            words += f" The attributions miss the metric's difference by {row['gap']:.1%}" + (
                "; take more steps."
                if self.settings.method == "integrated"
                else ", as a gradient may; integrated ones do not."
            )
        return words

    def tables(self) -> Mapping[str, pl.DataFrame]:
        """summary, removals, nodes, residues, singles."""
        return {
            "summary": self.summary,
            "removals": self.removals,
            "nodes": self.nodes,
            "residues": self.residues,
            "singles": self.singles,
        }


def attribution(
    at: SteeredLayer,
    sequence: str,
    settings: AttributionSettings,
    background_sequences: Sequence[str] = (),
    h: Tensor | None = None,
) -> Attribution:
    """Attribute one prediction to the features of a layer, and check it by removals.

    Parameters
    ----------
    at
        The layer, its PLM and SAE.
    sequence
        Residue letters; a masked model reads the predicted position as `<mask>`.
    background_sequences
        For baseline "mean", such as training proteins.
    h
        The layer's output for this sequence, if it was computed before.

    Raises
    ------
    ValueError
        For a prediction that does not exist (`Prediction`), a baseline without sequences, the
        recurrence of a model without any, and a prediction that fewer than two active nodes reach.
    """
    prediction = Prediction(at.plm, sequence, settings)
    removed = background(at, settings.baseline, background_sequences)
    h = gradients.state(at, prediction) if h is None else h
    found = gradients.attributed(at, prediction, h, removed, settings.where, settings.integration)
    nodes, own = active_nodes(at, prediction, h, removed, found, settings.unit)
    removals = Removals(at, prediction, h, removed, settings.where)
    sets, singles = _checked(nodes, own, removals, found.whole, settings)
    return Attribution(
        settings,
        prediction.words,
        "logits" if settings.metric == "logit" else "nats",
        nodes,
        _residues(prediction, found),
        sets,
        singles,
        _summary(nodes, found, singles, settings),
    )


def active_nodes(
    at: SteeredLayer,
    prediction: Prediction,
    h: Tensor,
    removed: Background,
    found: Attributed,
    unit: str,
) -> tuple[pl.DataFrame, list[Node]]:
    """The table `Attribution.nodes`, and each row as a node.

    A feature that never fires on training proteins has no maximum, and is left out.
    """
    f = at.sae.encode(h[0, prediction.residues].to(at.sae.W_dec.dtype)).detach()
    lengths = at.sae.W_dec.detach().norm(dim=1)
    mass = ((f - removed.features).abs() * lengths).cpu().numpy()
    values, carried = f.cpu().numpy(), found.features.cpu().numpy()
    rows, features = np.nonzero((values > 0) & (at.maxima > 0))
    table = pl.DataFrame(
        {
            "residue": rows + 1,
            "letter": [prediction.letters[row] for row in rows],
            "feature": features,
            "n_residues": np.ones(len(rows), np.int64),
            "activation": values[rows, features] / at.maxima[features],
            "mass": mass[rows, features],
            "attribution": carried[rows, features],
        },
        schema=_NODES,
    )
    if unit == "feature":
        table = _by_feature(table)
    order = largest(np.abs(table["attribution"].to_numpy()), max(table.height, 1))
    table = table[order]
    if unit == "residue":
        own = [Node(row[2], (row[0],)) for row in table.iter_rows()]
        return table, own
    where = {int(k): tuple(rows[features == k] + 1) for k in np.unique(features)}
    return table, [Node(k, tuple(int(p) for p in where[k])) for k in table["feature"].to_list()]


_NODES = {
    "residue": pl.Int64,
    "letter": pl.String,
    "feature": pl.Int64,
    "n_residues": pl.Int64,
    "activation": pl.Float64,
    "mass": pl.Float64,
    "attribution": pl.Float64,
}


def _by_feature(table: pl.DataFrame) -> pl.DataFrame:
    grouped = table.group_by("feature", maintain_order=True).agg(
        pl.lit(None, pl.Int64).alias("residue"),
        pl.lit(None, pl.String).alias("letter"),
        pl.len().cast(pl.Int64).alias("n_residues"),
        pl.col("activation").max(),
        pl.col("mass").sum(),
        pl.col("attribution").sum(),
    )
    return grouped.select(list(_NODES))


def _checked(
    nodes: pl.DataFrame,
    own: list[Node],
    removals: Removals,
    whole: float,
    settings: AttributionSettings,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables `removals` and `singles`, on the nodes that reach the prediction."""
    carried, mass = nodes["attribution"].to_numpy(), nodes["mass"].to_numpy()
    reach = np.flatnonzero(carried != 0)
    if len(reach) < 2:
        raise ValueError(
            f"{len(reach)} active features of this layer reach the {removals.prediction.words}, so "
            "there is nothing to compare; take another position or layer"
        )
    k = min(settings.k, len(reach) // 2)
    top = largest(carried[reach], k)
    random = ablations.random_sets(len(reach), k, settings.n_sets, settings.seed)
    matched = ablations.matched_sets(mass[reach], top, settings.n_sets, settings.seed)
    rest = np.setdiff1d(np.arange(len(reach)), top)
    rng = np.random.default_rng([settings.seed, 3])
    others = rng.choice(rest, min(settings.n_singles, len(rest)), replace=False)
    alone = [*top.tolist(), *others.tolist()]
    places = [top, *random, *matched, *([one] for one in alone)]
    effects = whole - removals.metric([[own[reach[i]] for i in one] for one in places])
    sizes = {TOP: [top], RANDOM: random, MATCHED: matched}
    rows, first = [], 0
    for name, sets in sizes.items():
        effect = effects[first : first + len(sets)]
        first += len(sets)
        rows.append(
            _set_row(name, effect, float(effects[0]), k)
            | {
                "attribution": float(np.mean([carried[reach[s]].sum() for s in sets])),
                "mass": float(np.mean([mass[reach[s]].sum() for s in sets])),
            }
        )
    rows.append(_set_row(ERROR, np.array([whole - removals.without_error()]), None, None))
    at = reach[np.array(alone, np.int64)]
    singles = nodes[at].select(
        "feature",
        "residue",
        pl.Series("top", [True] * k + [False] * len(others)),
        "attribution",
        pl.Series("effect", effects[first:]),
    )
    return pl.DataFrame(rows, schema=_REMOVALS), singles


_REMOVALS = {
    "set": pl.String,
    "n_sets": pl.Int64,
    "n_nodes": pl.Int64,
    "effect": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "attribution": pl.Float64,
    "mass": pl.Float64,
    "at_least_top": pl.Float64,
}


def _set_row(name: str, effect: np.ndarray, top: float | None, k: int | None) -> dict[str, object]:
    several = name in (RANDOM, MATCHED)
    low, high = np.quantile(effect, [0.025, 0.975]) if several else (None, None)
    return {
        "set": name,
        "n_sets": len(effect),
        "n_nodes": k,
        "effect": float(effect.mean()),
        "low": low,
        "high": high,
        "attribution": None,
        "mass": None,
        "at_least_top": float((effect >= top).mean()) if several and top is not None else None,
    }


def _moves(effect: float) -> str:
    """What a removal does to the metric, in words."""
    return f"{'lowers' if effect >= 0 else 'raises'} it by {abs(effect):.2f}"


def _residues(prediction: Prediction, found: Attributed) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "residue": np.arange(1, prediction.n_residues + 1),
            "letter": prediction.letters,
            "features": found.features.sum(1).cpu().numpy(),
            "error": found.error.cpu().numpy(),
        }
    )


def _summary(
    nodes: pl.DataFrame, found: Attributed, singles: pl.DataFrame, settings: AttributionSettings
) -> pl.DataFrame:
    active = float(nodes["attribution"].sum())
    error = float(found.error.sum())
    absolute = float(found.error.abs().sum())
    everything = absolute + float(found.features.abs().sum())
    pearson, spearman = _correlations(singles)
    return pl.DataFrame(
        {
            "whole": [found.whole],
            "removed": [found.removed],
            "difference": [found.whole - found.removed],
            "total": [found.total],
            "gap": [found.gap],
            "complete": [found.gap <= settings.tolerance],
            "gradients": [found.gradients],
            "features": [active],
            "inactive": [found.total - active - error],
            "error": [error],
            "error_share": [absolute / everything if everything else 0.0],
            "n_active": [nodes.height],
            "pearson": pl.Series([pearson], dtype=pl.Float64),
            "spearman": pl.Series([spearman], dtype=pl.Float64),
        }
    )


def _correlations(singles: pl.DataFrame) -> tuple[float | None, float | None]:
    """Pearson's and Spearman's, None where one of both does not vary."""
    a, e = singles["attribution"].to_numpy(), singles["effect"].to_numpy()
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(e) == 0:
        return None, None
    return float(np.corrcoef(a, e)[0, 1]), float(np.corrcoef(rankdata(a), rankdata(e))[0, 1])
