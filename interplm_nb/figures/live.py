"""Learning curves that grow in a notebook while SAEs are trained."""

import time
from collections.abc import Mapping
from typing import Any

from interplm_nb.figures.chart import Chart, below, panels
from interplm_nb.figures.styles import line_styles, logarithmic
from interplm_nb.progress import in_notebook
from interplm_nb.sae.feature_use import WINDOW

_PANELS = (
    ("fvu", 1.0, "variance not explained (share)"),
    ("silent_in_window", 100.0, f"silent in the last {WINDOW:,} residues (%)"),
    ("l0", 1.0, "active features per residue (L0)"),
)
_DRAWING_SHARE = 20
"""Minimum ratio of the time between two pictures to the time to draw one: training goes first."""


class LiveLearning:
    """Pass it as `log=` to a training: a picture below the cell, redrawn as metrics come.

    It shows FVU, silent features and L0 against the step, and is redrawn at most every
    `every_seconds`, and when all SAEs so far have reached `steps`. The last picture stays in the
    saved notebook. It begins with the first metrics of this call, so after a kill it shows only
    what came since. Outside a notebook it collects metrics and shows nothing.

    Examples
    --------
    >>> live = LiveLearning(steps=2)
    >>> for step, fvu in ((1, 0.9), (2, 0.5)):
    ...     live({"sae": "sae", "step": step, "fvu": fvu, "silent_in_window": 0.0, "l0": 16.0})
    >>> live.lines["sae"][2]["fvu"]
    0.5
    """

    def __init__(self, steps: int, every_seconds: float = 2.0) -> None:
        self.steps, self.every_seconds = steps, every_seconds
        self.lines: dict[str, dict[int, Mapping[str, Any]]] = {}
        self._display_id: str | None = None
        self._next = 0.0

    def __call__(self, line: Mapping[str, Any]) -> None:
        """Take one line of metrics: "sae", "step", and numbers."""
        own = self.lines.setdefault(str(line["sae"]), {})
        own[int(line["step"])] = {**own.get(int(line["step"]), {}), **line}
        ended = all(max(steps) >= self.steps for steps in self.lines.values())
        if in_notebook() and (ended or time.monotonic() >= self._next):
            self._show()

    def chart(self) -> Chart:
        """The current picture."""
        figure, axes = panels(3, width=10.0)
        styles = line_styles(self.lines)
        for axis, (name, factor, label) in zip(axes, _PANELS, strict=True):
            for sae, lines in self.lines.items():
                points = [
                    (step, factor * line[name])
                    for step, line in sorted(lines.items())
                    if name in line
                ]
                axis.plot(
                    *zip(*points, strict=True), **styles[sae], marker="." if len(points) < 3 else ""
                ) if points else None
            axis.set(xlabel="step", ylabel=label, xlim=(0, self.steps))
        for axis in (axes[0], axes[2]):
            logarithmic(axis, "y")
        axes[1].set_ylim(-2, 102)
        _legend(figure, axes[0])
        step = max((max(lines) for lines in self.lines.values()), default=0)
        return Chart(
            figure,
            f"Three panels of lines, one per SAE ({', '.join(self.lines)}), to step {step:,} of "
            f"{self.steps:,}: variance not explained, silent features, active features per "
            "residue.",
        )

    def _show(self) -> None:
        from IPython.display import HTML, display, update_display

        began = time.monotonic()
        data, metadata = self.chart()._repr_mimebundle_()
        if self._display_id is None:
            handle = display(data, metadata=metadata, raw=True, display_id=True)
            self._display_id = handle.display_id if handle else None
            display(HTML(below("")))
        else:
            update_display(data, metadata=metadata, raw=True, display_id=self._display_id)
        self._showed(began, time.monotonic())

    def _showed(self, began: float, ended: float) -> None:
        self._next = ended + max(self.every_seconds, _DRAWING_SHARE * (ended - began))


def _legend(figure: Any, axis: Any) -> None:
    """One entry per label, below the panels."""
    found = dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))
    if found:
        figure.legend(
            list(found.values()),
            list(found),
            loc="outside lower center",
            ncols=min(len(found), 6),
            frameon=False,
            fontsize=9,
        )
