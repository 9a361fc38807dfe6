"""Pictures of the workshop, drawn to be read from 3 metres."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.text import Text

from interplm_nb.figures.chart import Chart, panels

LETTERS, LINE, MARK = 22, 4, 15
"""Size of all letters, width of lines, and size of marks, in points, on a page `WIDTH` inches
wide: projected one metre wide, capitals are 17 mm high. A person who sees 20/40, enough to drive
a car, reads 9 mm at 3 metres."""
WIDTH = 13.0
BLUE, ORANGE, GREY, GREEN = "#0072B2", "#D55E00", "#6F6F6F", "#009E73"


def bars(
    names: Sequence[str],
    values: Sequence[float],
    xlabel: str,
    intervals: Sequence[tuple[float, float]] | None = None,
    told: Sequence[str] = (),
) -> Chart:
    """One bar per name, with its number; those named in `told` in blue, the others grey.

    `intervals` gives each bar's low and high end.

    Examples
    --------
    >>> bars(["SAE", "letters"], [0.23, 0.06], "mean F1", told=["SAE"])
    mean F1: SAE 0.23; letters 0.06
    """
    figure, (axis,) = panels(1, WIDTH, 0.75 * len(names) + 1.6)
    colours = [BLUE if name in told else GREY for name in names]
    places = np.arange(len(names))
    axis.barh(places, values, color=colours, height=0.7)
    ends = list(values)
    if intervals is not None:
        low, high = np.transpose(intervals)
        axis.hlines(places, low, high, color="#000000")
        ends = list(np.maximum(values, high))
    for place, end, value in zip(places, ends, values, strict=True):
        axis.annotate(f" {_number(value)}", (end, place), va="center")
    axis.set_yticks(places, [str(name) for name in names], parse_math=False)
    axis.invert_yaxis()
    axis.set(xlabel=xlabel, xlim=(0, 1.15 * max([*ends, 1e-9])))
    words = "; ".join(f"{name} {_number(value)}" for name, value in zip(names, values, strict=True))
    return _chart(figure, f"{xlabel}: {words}")


def track(
    title: str, values: np.ndarray, carried: np.ndarray, ylabel: str, label: str, first: int = 1
) -> Chart:
    """A line along a protein, on a ground of colour where the residues carry a label.

    values: float [n]; carried: bool [n]; `first` is the position of the first of them.

    Examples
    --------
    >>> track("P00044", np.zeros(3), np.array([True, False, False]), "activation", "zinc finger")
    P00044: activation by position, largest 0.00 at 1; 1 of 3 positions carry zinc finger
    """
    figure, (axis,) = panels(1, WIDTH, 4.6)
    positions = np.arange(first, first + len(values))
    axis.fill_between(
        positions, 0, 1, where=carried, step="mid", color=GREEN, alpha=0.3, linewidth=0,
        transform=axis.get_xaxis_transform(), label=label,
    )  # fmt: skip
    axis.plot(positions, values, color=BLUE, drawstyle="steps-mid")
    axis.set(xlabel="position", ylabel=ylabel, title=title, xlim=(positions[0], positions[-1]))
    axis.set_ylim(bottom=min(0.0, float(values.min())))
    if carried.any():
        axis.legend(frameon=False)
    top = int(np.argmax(values))
    return _chart(
        figure,
        f"{title}: {ylabel} by position, largest {values[top]:.2f} at {positions[top]}; "
        f"{int(carried.sum())} of {len(values)} positions carry {label}",
    )


def drawn(values: Sequence[float], real: float, xlabel: str) -> Chart:
    """How often each value comes by chance, and the real one as a line.

    Examples
    --------
    >>> drawn([0.0, 0.1, 0.0], 0.6, "precision")
    precision in 3 draws: largest 0.10; real 0.60
    """
    figure, (axis,) = panels(1, WIDTH, 4.8)
    axis.hist(values, bins=20, color=GREY, label="by chance")
    axis.axvline(real, color=ORANGE, label="real")
    axis.set(xlabel=xlabel, ylabel="draws")
    axis.legend(frameon=False)
    return _chart(
        figure, f"{xlabel} in {len(values)} draws: largest {max(values):.2f}; real {real:.2f}"
    )


def against(table: pl.DataFrame, x: str, y: str, named: Sequence[str] = ()) -> Chart:
    """One dot per concept: one source's F1 over another's. On the line both are equal.

    table: concept and the two columns. `named` concepts are written beside their dots.

    Examples
    --------
    >>> table = pl.DataFrame({"concept": ["a", "b"], "sae": [0.5, 0.1], "random_sae": [0.4, 0.2]})
    >>> against(table, "random_sae", "sae")
    sae over random_sae, 2 concepts: above in 1
    """
    figure, (axis,) = panels(1, WIDTH, 7.5)
    axis.plot([0, 1], [0, 1], color=GREY, linestyle="--")
    axis.plot(table[x], table[y], "o", color=BLUE)
    for row in table.filter(pl.col("concept").is_in(list(named))).iter_rows(named=True):
        axis.annotate(row["concept"], (row[x] + 0.02, row[y]), va="center", parse_math=False)
    axis.set(xlabel=f"best F1: {x}", ylabel=f"best F1: {y}", xlim=(-0.03, 1), ylim=(-0.03, 1))
    above = int((table[y] > table[x]).sum())
    return _chart(figure, f"{y} over {x}, {table.height} concepts: above in {above}")


def similarities(matrix: np.ndarray, rows: str, columns: str, title: str) -> Chart:
    """A map of cosine similarities between the residues of two proteins.

    matrix: float [residues of the one, residues of the other].

    Examples
    --------
    >>> similarities(np.eye(2), "P00044", "P00045", "cosine")
    cosine: 2 residues of P00044 by 2 of P00045, from 0.00 to 1.00
    """
    figure, (axis,) = panels(1, WIDTH, 9.0)
    shape = (0.5, matrix.shape[1] + 0.5, matrix.shape[0] + 0.5, 0.5)
    image = axis.imshow(matrix, cmap="cividis", extent=shape, aspect="equal")
    axis.set(xlabel=f"position in {columns}", ylabel=f"position in {rows}", title=title)
    figure.colorbar(image, ax=axis)
    return _chart(
        figure,
        f"{title}: {matrix.shape[0]} residues of {rows} by {matrix.shape[1]} of {columns}, from "
        f"{matrix.min():.2f} to {matrix.max():.2f}",
    )


def _number(value: float) -> str:
    """A count as it is, anything else with two decimals."""
    return f"{value}" if isinstance(value, int) else f"{value:.2f}"


def _chart(figure: Figure, words: str) -> Chart:
    """The one place that makes a picture of the workshop large."""
    for axis in figure.axes:
        axis.tick_params(labelsize=LETTERS, width=LINE / 2, length=8)
        for line in axis.get_lines():
            line.set(linewidth=LINE, markersize=MARK)
        for collection in axis.collections:
            collection.set_linewidth(LINE)
        for spine in axis.spines.values():
            spine.set_linewidth(LINE / 2)
    for text in figure.findobj(Text):
        text.set_fontsize(LETTERS)
    return Chart(figure, words)
