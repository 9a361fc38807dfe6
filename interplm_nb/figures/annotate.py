"""Picture of one annotated sequence: named features and the strongest others, by residue."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interplm_nb.figures.chart import Chart
from interplm_nb.questions.annotate import AnnotatedSequences

_LETTERS = 100
"""Maximum length of a sequence that is written out."""


def along(found: AnnotatedSequences, accession: str, n: int = 8) -> Chart:
    """Activations along one sequence: the n most confident pairs and n strongest other features.

    Features without a name that are strongest at residue 1 are drawn where there are no others:
    they mark that a sequence begins, whatever it is.

    KeyError for a sequence that was not annotated.
    """
    sequence = found.proteins.sequence(accession)
    own = pl.col("accession") == accession
    pairs = (
        found.concepts.filter(own)
        .unique(["concept", "feature"], keep="first", maintain_order=True)
        .head(n)
    )
    unnamed = found.features.filter(own, ~pl.col("named"))
    inside = unnamed.filter(pl.col("position") > 1)
    drawn = inside if inside.height or pairs.height else unnamed
    others = drawn["feature"].head(n).to_list()
    labels = [
        f"{r['concept']} ({r['confidence']:.2f}; test F1 {r['f1_per_domain']:.2f}) f/{r['feature']}"
        for r in pairs.iter_rows(named=True)
    ]
    labels += [f"f/{feature}" for feature in others]
    values = found.activations.of(accession)[:, [*pairs["feature"], *others]].toarray().T
    figure = Figure(
        figsize=(min(16.0, max(8.0, 0.1 * len(sequence) + 3)), 0.26 * max(len(labels), 3) + 1.0),
        layout="constrained",
    )
    axis = figure.subplots()
    image = axis.imshow(
        values.reshape(-1, len(sequence)),
        aspect="auto",
        cmap="Blues",
        vmin=0,
        vmax=max(1.0, float(values.max(initial=0))),
        interpolation="nearest",
    )
    figure.colorbar(image, ax=axis, label="share of maximum", fraction=0.03, pad=0.01)
    axis.set_yticks(range(len(labels)), labels, fontsize=8, parse_math=False)
    if 0 < len(pairs) < len(labels):
        axis.axhline(len(pairs) - 0.5, color="#000000", linewidth=0.8)
    _mark_positions(axis, sequence)
    axis.set_xlabel(
        "position in " + "".join(c if c.isprintable() else " " for c in accession), parse_math=False
    )
    named = (
        "; ".join(labels[: len(pairs)])
        or f"none with confidence >= {found.about['min_confidence']:g}"
    )
    n_first = unnamed.height - drawn.height
    first = f" Not drawn: {n_first} without a name, strongest at residue 1." if n_first else ""
    return Chart(
        figure,
        f"Activation of features along {accession} ({len(sequence)} residues). "
        f"Named: {named}.{first}",
    )


def _mark_positions(axis: Axes, sequence: str) -> None:
    """The letters of a short sequence; round positions of a longer one."""
    n = len(sequence)
    if n <= _LETTERS:
        axis.set_xticks(range(n), list(sequence), fontsize=7, fontfamily="monospace")
        return
    every = -(-n // 200) * 10
    places = np.arange(every - 1, n, every)
    axis.set_xticks(places, [str(place + 1) for place in places], fontsize=8)
