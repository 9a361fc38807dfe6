"""A small circuit: the nodes of two or more layers that carry a prediction most, the edges between
them, and how much of the prediction the circuit keeps when all else is removed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
import polars as pl
from pydantic import Field
from torch import Tensor

from interplm_nb.steering.experiments.attribution import gradients
from interplm_nb.steering.experiments.attribution.ablations import (
    Node,
    matched_sets,
    random_sets,
)
from interplm_nb.steering.experiments.attribution.attribute import (
    MATCHED,
    RANDOM,
    NodeSettings,
    active_nodes,
)
from interplm_nb.steering.experiments.attribution.gradients import LEAST, Attributed
from interplm_nb.steering.experiments.attribution.parts import Background, background
from interplm_nb.steering.experiments.attribution.parts import parts as parts_of
from interplm_nb.steering.experiments.attribution.prediction import Prediction
from interplm_nb.steering.experiments.attribution.top import largest
from interplm_nb.steering.experiments.circuits import edges
from interplm_nb.steering.experiments.circuits.gated_layers import GatedLayers, Kept
from interplm_nb.steering.steered_layer import SteeredLayer

CIRCUIT, WITHOUT, NOTHING, FEATURES = (
    "circuit",
    "all but the circuit",
    "nothing",
    "all features",
)
"""Kinds of sets in the table `faithfulness`."""


class CircuitSettings(NodeSettings):
    """Settings of one circuit.

    >>> CircuitSettings(position=12, n_nodes=4).kept_sizes
    (4, 32, 128)
    """

    kind: ClassVar[str] = "circuit"

    n_nodes: int = Field(
        default=8, ge=1, le=1000, description="Nodes of each layer in the circuit."
    )
    n_edges: int = Field(default=40, ge=1, le=100_000, description="Edges that are kept.")
    sizes: tuple[int, ...] = Field(
        default=(32, 128),
        description="Other numbers of nodes per layer whose faithfulness is measured.",
    )
    n_random: int = Field(default=20, ge=1, le=1000, description="Random circuits of each size.")

    @property
    def kept_sizes(self) -> tuple[int, ...]:
        """Nodes per layer whose faithfulness is measured, ascending."""
        return tuple(sorted({self.n_nodes, *self.sizes}))


@dataclass(frozen=True)
class Circuit:
    """A circuit of one prediction."""

    settings: CircuitSettings
    words: str
    """The metric in words."""
    unit: str
    """Of the metric: "nats" or "logits"."""
    layers: pl.DataFrame
    """A row per layer: layer, n_active, total (sum of attributions), gap, complete, error (sum),
    error_share (|error| of all |attribution|)."""
    nodes: pl.DataFrame
    """The circuit: layer, residue, letter, feature, n_residues, activation, mass, attribution, to
    the metric, the largest |attribution| of each layer first."""
    edges: pl.DataFrame
    """The largest |weight| first: layer, residue, feature, next_layer, next_residue, next_feature,
    value, weight, removed.

    A feature that is null stands for the layer's errors at all residues and, as a target, its
    special tokens, which no SAE describes; a next_layer that is null is the prediction. value: in
    the target's maxima; removed: what the target loses when the source is removed (null for errors
    and the prediction)."""
    inputs: pl.DataFrame
    """Where the value of each node above the lowest layer comes from, to first order: layer,
    residue, feature, value, from_circuit, from_others, from_errors, in its maxima."""
    faithfulness: pl.DataFrame
    """set (random ones among the active nodes that reach the prediction), per_layer, errors (kept
    or not), n_sets, n_nodes (null for all features, active or not),
    metric, faithfulness, low, high (2.5 and 97.5 % of the random sets)."""
    summary: pl.DataFrame
    """One row: whole, removed (metrics), pearson (value and removed of all edges between features
    of the circuit), n_pairs."""

    @property
    def sentence(self) -> str:
        """What the circuit keeps, with errors and without, beside random ones."""
        row = self.summary.row(0, named=True)
        own = {
            (r["set"], r["errors"]): r
            for r in self.faithfulness.iter_rows(named=True)
            if r["per_layer"] in (self.settings.n_nodes, None)
        }
        names = [str(layer) for layer in self.layers["layer"]]
        where = f"layers {', '.join(names[:-1])} and {names[-1]}"
        shares = " and ".join(f"{share:.0%}" for share in self.layers["error_share"])
        words = (
            f"{self.words}: {row['whole']:.2f} {self.unit}, {row['removed']:.2f} with {where} "
            f"removed. Errors have {shares} of the layers' attribution. "
        )
        if own[CIRCUIT, False]["faithfulness"] is None:
            return words + f"The two are within {LEAST} of each other: no circuit can be measured."

        def share(name: str, errors: bool) -> str:
            """The faithfulness of a set, with the range of random ones."""
            r = own[name, errors]
            words = f"{r['faithfulness']:.2f}"
            return words if r["low"] is None else f"{words} [{r['low']:.2f}, {r['high']:.2f}]"

        return words + (
            f"The circuit of {self.nodes.height} nodes keeps {share(CIRCUIT, False)} of the "
            f"difference without errors, random ones {share(RANDOM, False)}, random ones of like "
            f"mass {share(MATCHED, False)}; with all errors kept {share(CIRCUIT, True)}, random "
            f"ones {share(RANDOM, True)}, of like mass {share(MATCHED, True)}, errors alone "
            f"{share(NOTHING, True)}."
        )

    def tables(self) -> Mapping[str, pl.DataFrame]:
        """summary, layers, nodes, edges, inputs, faithfulness."""
        names = ("summary", "layers", "nodes", "edges", "inputs", "faithfulness")
        return {name: getattr(self, name) for name in names}


class _Layer(NamedTuple):
    """A layer of a circuit."""

    at: SteeredLayer
    h: Tensor
    removed: Background
    found: Attributed
    table: pl.DataFrame
    """`Attribution.nodes` of the layer: all active nodes, the largest |attribution| first."""
    nodes: list[Node]
    """Each row's."""
    gradient: Tensor
    """[T, width] of the metric."""


def circuit(
    layers: Sequence[SteeredLayer],
    sequence: str,
    settings: CircuitSettings,
    background_sequences: Sequence[str] = (),
) -> Circuit:
    """Find a circuit of one prediction, and measure how faithful it is.

    The nodes of a layer are those with the largest |attribution|, the layers above running as they
    are. Nodes are gated on the layers' outputs.

    Parameters
    ----------
    layers
        Two or more layers of one PLM, each with its SAE.
    sequence, background_sequences
        As for `attribution`.

    Raises
    ------
    ValueError
        For fewer than two layers, two of one layer or of different PLMs, and as `attribution`.
    """
    layers = _in_order(layers)
    prediction = Prediction(layers[0].plm, sequence, settings)
    parts = [_layer(at, prediction, settings, background_sequences) for at in layers]
    run = GatedLayers(
        layers, prediction, [part.h for part in parts], [part.removed for part in parts]
    )
    n = settings.n_nodes
    nodes = [
        part.table.head(n).select(pl.lit(part.at.layer).alias("layer"), pl.all()) for part in parts
    ]
    every, into = _edges(parts, prediction, n)
    pairs = every.drop_nulls("removed")
    kept = _faithfulness(parts, run, settings)
    return Circuit(
        settings,
        prediction.words,
        "logits" if settings.metric == "logit" else "nats",
        pl.DataFrame([_layer_row(part, settings) for part in parts]),
        pl.concat(nodes),
        every[largest(np.abs(every["weight"].to_numpy()), settings.n_edges)],
        into,
        kept,
        pl.DataFrame(
            {
                "whole": [parts[0].found.whole],
                "removed": [kept["metric"][0]],
                "pearson": pl.Series([_pearson(pairs)], dtype=pl.Float64),
                "n_pairs": [pairs.height],
            }
        ),
    )


def _in_order(layers: Sequence[SteeredLayer]) -> list[SteeredLayer]:
    numbers = [at.layer for at in layers]
    if len(set(numbers)) < 2 or len(set(numbers)) < len(numbers):
        raise ValueError(
            f"a circuit needs two or more different layers, each with its SAE; got {numbers}"
        )
    if len({at.plm.revision for at in layers}) > 1:
        names = ", ".join(sorted({at.plm.name for at in layers}))
        raise ValueError(f"layers of different PLMs ({names}) make no circuit; take one PLM")
    return sorted(layers, key=lambda at: at.layer)


def _layer(
    at: SteeredLayer,
    prediction: Prediction,
    settings: CircuitSettings,
    background_sequences: Sequence[str],
) -> _Layer:
    removed = background(at, settings.baseline, background_sequences)
    h = gradients.state(at, prediction)
    found = gradients.attributed(at, prediction, h, removed, steps=settings.integration)
    table, nodes = active_nodes(at, prediction, h, removed, found, settings.unit)
    if not nodes:
        raise ValueError(
            f"no feature of layer {at.layer} is active on this sequence, so it has no nodes; take "
            "another SAE or sequence"
        )
    slope = gradients.slope(at, prediction, h)
    return _Layer(at, h, removed, found, table, nodes, slope)


def _layer_row(part: _Layer, settings: CircuitSettings) -> dict[str, Any]:
    found = part.found
    absolute = float(found.error.abs().sum())
    return {
        "layer": part.at.layer,
        "n_active": len(part.nodes),
        "total": found.total,
        "gap": found.gap,
        "complete": found.gap <= settings.tolerance,
        "error": float(found.error.sum()),
        "error_share": absolute / max(absolute + float(found.features.abs().sum()), 1e-12),
    }


_EDGES = {
    "layer": pl.Int64,
    "residue": pl.Int64,
    "feature": pl.Int64,
    "next_layer": pl.Int64,
    "next_residue": pl.Int64,
    "next_feature": pl.Int64,
    "value": pl.Float64,
    "weight": pl.Float64,
    "removed": pl.Float64,
}
_INPUTS = {
    "layer": pl.Int64,
    "residue": pl.Int64,
    "feature": pl.Int64,
    **dict.fromkeys(("value", "from_circuit", "from_others", "from_errors"), pl.Float64),
}


def _edges(
    parts: Sequence[_Layer], prediction: Prediction, n: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All edges between nodes and errors of neighbouring layers, and to the prediction; and the
    table `Circuit.inputs`."""
    rows: list[dict[str, Any]] = []
    into: list[dict[str, Any]] = []
    for low, high in pairwise(parts):
        step = edges.Step(low.at, high.at, prediction, low.h, (low.removed, high.removed))
        found, of_errors = edges.inputs(step, high.nodes[:n], high.gradient)
        values = edges.values(step, high.nodes[:n], low.nodes[:n])
        sources = [*_ends(low, n), _error(low)]
        for j, (target, own) in enumerate(zip(_ends(high, n, "next_"), found, strict=True)):
            given = [own.value.of(node) for node in low.nodes[:n]]
            lost = (values[0, j] - values[1:, j]).tolist()
            weights = [own.weight.of(node) for node in low.nodes[:n]]
            for source, value, weight, removed in zip(
                sources,
                [*given, own.value.error],
                [*weights, own.weight.error],
                [*lost, None],
                strict=True,
            ):
                rows.append(
                    source | target | {"value": value, "weight": weight, "removed": removed}
                )
            into.append(
                _ends(high, n)[j]
                | {
                    "value": float(values[0, j]),
                    "from_circuit": sum(given),
                    "from_others": float(own.value.features.sum()) - sum(given),
                    "from_errors": own.value.error,
                }
            )
        weights = [*(of_errors.of(node) for node in low.nodes[:n]), of_errors.error]
        rows += [
            source | _error(high, "next_") | {"weight": weight}
            for source, weight in zip(sources, weights, strict=True)
        ]
    rows += _to_the_prediction(parts[-1], prediction, n)
    filled = [{name: row.get(name) for name in _EDGES} for row in rows]
    return pl.DataFrame(filled, schema=_EDGES), pl.DataFrame(into, schema=_INPUTS)


def _to_the_prediction(top: _Layer, prediction: Prediction, n: int) -> list[dict[str, Any]]:
    own = parts_of(top.at, top.h[0, prediction.residues], top.removed)
    carried = gradients.carried(top.at, top.gradient[prediction.residues], own)
    features, error = (part.detach().cpu().numpy() for part in carried)
    weights = [
        float(features[np.array(node.positions) - 1, node.feature].sum()) for node in top.nodes[:n]
    ]
    ends = [*_ends(top, n), _error(top)]
    return [
        end | {"weight": weight}
        for end, weight in zip(ends, [*weights, float(error.sum())], strict=True)
    ]


def _ends(part: _Layer, n: int, to: str = "") -> list[dict[str, Any]]:
    """layer, residue and feature of the circuit's nodes of a layer."""
    return [
        {f"{to}layer": part.at.layer, f"{to}residue": residue, f"{to}feature": feature}
        for residue, feature in part.table.head(n).select("residue", "feature").iter_rows()
    ]


def _error(part: _Layer, to: str = "") -> dict[str, Any]:
    return {f"{to}layer": part.at.layer, f"{to}residue": None, f"{to}feature": None}


def _pearson(pairs: pl.DataFrame) -> float | None:
    a, b = pairs["value"].to_numpy(), pairs["removed"].to_numpy()
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def _faithfulness(
    parts: Sequence[_Layer], run: GatedLayers, settings: CircuitSettings
) -> pl.DataFrame:
    """The table `Circuit.faithfulness`: "nothing" without errors is 0, the model as it is 1."""
    sets: list[tuple[str, int | None, list[Kept]]] = [
        (NOTHING, None, [[[] for _ in parts]]),
        (FEATURES, None, [[None for _ in parts]]),
    ]
    # Nodes that cannot reach the prediction would make the controls weaker than they are.
    reach = [int((part.table["attribution"] != 0).sum()) for part in parts]
    for size in settings.kept_sizes:
        random, matched = [], []
        for part, n in zip(parts, reach, strict=True):
            k, mass = min(size, n), part.table["mass"].to_numpy()[:n]
            seed = settings.seed + part.at.layer
            random.append(random_sets(n, k, settings.n_random, seed))
            matched.append(matched_sets(mass, np.arange(k), settings.n_random, seed))
        sets += [
            (CIRCUIT, size, [[part.nodes[:size] for part in parts]]),
            (WITHOUT, size, [[part.nodes[size:] for part in parts]]),
            (RANDOM, size, _kept(parts, random)),
            (MATCHED, size, _kept(parts, matched)),
        ]
    flat = [kept for _, _, several in sets for kept in several]
    whole, removed = parts[0].found.whole, float(run.metric(flat[:1], errors=False)[0])
    rows = []
    for errors in (False, True):
        metric, first = run.metric(flat, errors), 0
        for name, size, several in sets:
            own = metric[first : first + len(several)]
            first += len(several)
            count = None if name == FEATURES else sum(len(nodes or ()) for nodes in several[0])
            rows.append(
                {"set": name, "per_layer": size, "errors": errors, "n_sets": len(several)}
                | {"n_nodes": count, "metric": float(own.mean())}
                | _share(own, whole, removed)
            )
    return pl.DataFrame(rows, schema=_FAITHFULNESS)


_FAITHFULNESS = {
    "set": pl.String,
    "per_layer": pl.Int64,
    "errors": pl.Boolean,
    "n_sets": pl.Int64,
    "n_nodes": pl.Int64,
    **dict.fromkeys(("metric", "faithfulness", "low", "high"), pl.Float64),
}


def _kept(parts: Sequence[_Layer], drawn: Sequence[Sequence[np.ndarray]]) -> list[Kept]:
    """Circuits of the places that were drawn in each layer."""
    return [
        [[part.nodes[k] for k in places] for part, places in zip(parts, circuit, strict=True)]
        for circuit in zip(*drawn, strict=True)
    ]


def _share(metric: np.ndarray, whole: float, removed: float) -> dict[str, float | None]:
    if abs(whole - removed) < LEAST:
        return dict.fromkeys(("faithfulness", "low", "high"))
    shares = (metric - removed) / (whole - removed)
    low, high = np.quantile(shares, [0.025, 0.975]) if len(shares) > 1 else (None, None)
    return {"faithfulness": float(shares.mean()), "low": low, "high": high}
