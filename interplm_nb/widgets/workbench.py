"""All views of one feature together, linked; and two such workbenches side by side."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets as t

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets import assets
from interplm_nb.widgets.concept_panel import ConceptPanel
from interplm_nb.widgets.feature_atlas import FeatureAtlas
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.feature_table import FeatureTable
from interplm_nb.widgets.histogram import ActivationHistogram
from interplm_nb.widgets.kit import Kit
from interplm_nb.widgets.page import static_html, write_page
from interplm_nb.widgets.residue_tracks import ResidueTracks
from interplm_nb.widgets.selection import Selection
from interplm_nb.widgets.sequence_logo import SequenceLogo
from interplm_nb.widgets.sheet import figure_of, sheet_of
from interplm_nb.widgets.steering.steering_panel import SteeringPanel
from interplm_nb.widgets.structure.loaders import Structures
from interplm_nb.widgets.structure.structure_view import StructureView
from interplm_nb.widgets.view import View

if TYPE_CHECKING:
    from IPython.display import HTML
    from matplotlib.figure import Figure

PAGE_PROTEINS = 20
"""Proteins of each feature in an exported page, unless more are requested."""

SHEET = (("histogram", "structure"), ("tracks",))
"""Views of the picture by row and column; few, since the first paint waits for it."""

TABLE_HEIGHT = 260
"""Pixels, where the page is too narrow for views next to each other."""

PAGE_HEIGHT = 800
"""Height in pixels of a page in a cell's output."""


class Workbench(View):
    """Every view of a run's features in one cell, linked by one `Selection`.

    The views are attributes: table, atlas, concepts, histogram, logo, steering, tracks, structure.
    They fill the height that the page gives; where there is no room for all, `list_tab` and
    `feature_tab` are the views in front of their tabs.

    Parameters
    ----------
    run
        A `Run` or its folder.
    source
        What to look at: sae, random_sae, ...
    feature
        The first feature shown; default: that of the best pair on validation.
    structures
        A folder of structure files, or another of `loaders.Structures`; default: the embedded
        and the cached ones.
    n_proteins
        Proteins whose residues are sent per feature, at most.

    Examples
    --------
    >>> from interplm_nb.pipeline.run import Run
    >>> bench = Workbench(Run.shipped())
    >>> bench.selection.feature = 12
    >>> bench.selection.listed = {"least_f1": 0.5}
    >>> bench.table.rows()["f1_per_domain"].min() >= 0.5
    True
    """

    code_name = "workbench"
    linked = ("list_tab", "feature_tab")

    table = anywidget.WidgetTrait().tag(sync=True)
    atlas = anywidget.WidgetTrait().tag(sync=True)
    concepts = anywidget.WidgetTrait().tag(sync=True)
    histogram = anywidget.WidgetTrait().tag(sync=True)
    logo = anywidget.WidgetTrait().tag(sync=True)
    steering = anywidget.WidgetTrait().tag(sync=True)
    tracks = anywidget.WidgetTrait().tag(sync=True)
    structure = anywidget.WidgetTrait().tag(sync=True)

    list_tab = t.Enum(
        ("table", "atlas"), "table", help="the view in front, of those of all features"
    ).tag(sync=True)
    feature_tab = t.Enum(
        ("histogram", "logo", "concepts", "steering"),
        "histogram",
        help="the view in front, of those of the selected feature",
    ).tag(sync=True)

    def __init__(
        self,
        run: Run | Path | str,
        source: str = "sae",
        feature: int | None = None,
        structures: Structures = None,
        n_proteins: int = 200,
    ) -> None:
        data = FeatureData(run, source, None, structures, n_proteins, feature)
        views = {
            "table": FeatureTable(data, height=TABLE_HEIGHT),
            "atlas": FeatureAtlas(data),
            "concepts": ConceptPanel(data),
            "histogram": ActivationHistogram(data),
            "logo": SequenceLogo(data),
            "steering": SteeringPanel(data),
            "tracks": ResidueTracks(data),
            "structure": StructureView(data),
        }
        super().__init__(data, **views)

    def to_html(
        self,
        path: Path | str,
        title: str = "",
        features: Iterable[int] = (),
        n_proteins: int = PAGE_PROTEINS,
    ) -> Path:
        """Write the workbench as one HTML file that needs no kernel and no network.

        Parameters
        ----------
        path
            Of the file.
        title
            Of the page; default: run, source, model and layer.
        features
            Those the page can show, besides the list and map of all; default: the selected and the
            pinned ones.
        n_proteins
            Proteins of each feature, with their structures, at most.

        Returns
        -------
        Path
            The file. Its address holds the selection: a link with `#feature=...` opens it there.
        """
        return write_page(
            [self], Path(path), title or self._title(), self._kept(features, n_proteins)
        )

    def static(
        self,
        features: Iterable[int] = (),
        n_proteins: int = PAGE_PROTEINS,
        height: int = PAGE_HEIGHT,
    ) -> "HTML":
        """The same page as a cell's output, with `height` in pixels.

        It stays live in a notebook that nobody runs again and in `nbconvert --to html`, with no
        network.
        """
        from IPython.display import HTML

        inner = static_html([self], self._title(), height, self._kept(features, n_proteins))
        return HTML(f"<div>{inner}</div>")  # IPython warns of a bare <iframe>

    def figure(self) -> "Figure":
        """Histogram, structure and tracks of the selected feature: see `View.figure`."""
        return figure_of(self._figures())

    def _figures(self) -> "list[list[Figure]]":
        return [[getattr(self, name).figure() for name in row] for row in SHEET]

    def _picture(self) -> bytes:
        from matplotlib.image import imsave

        file = io.BytesIO()
        imsave(file, sheet_of(self._figures()), format="png")
        return file.getvalue()

    def _kept(self, features: Iterable[int], n_proteins: int) -> dict[str, dict[str, Any]]:
        """The state of the data in a page: what is kept, instead of what was sent last."""
        chosen: Selection = self.selection
        wanted = list(features) or [chosen.feature, *chosen.pinned]
        if chosen.feature not in wanted:
            wanted.insert(0, chosen.feature)
        data: FeatureData = self.data
        return {
            data.model_id: {**data.to_keep(wanted, n_proteins), "bundle": b"", "structure": b""}
        }

    def _title(self) -> str:
        about = self.data.about
        return (
            f"Features of {about['run']}: {about['source']}, {about['plm']}, layer {about['layer']}"
        )


class Comparison(anywidget.AnyWidget):
    """Two workbenches side by side, made by `compare`.

    They share protein, residue and brush; each has its own feature.
    """

    _esm = assets.esm("comparison")

    kit = anywidget.WidgetTrait().tag(sync=True)
    left = anywidget.WidgetTrait().tag(sync=True)
    right = anywidget.WidgetTrait().tag(sync=True)

    def __init__(self, left: Workbench, right: Workbench) -> None:
        super().__init__(kit=Kit.shared(), left=left, right=right)


def compare(
    run_a: Run | Path | str, run_b: Run | Path | str, source_a: str = "sae", source_b: str = "sae"
) -> Comparison:
    """Two runs, or two sources of one run, side by side.

    A residue or a brush chosen in one is chosen in the other.

    Parameters
    ----------
    run_a, run_b
        Runs or their folders.
    source_a, source_b
        What to look at in each: sae, random_sae, ...

    Returns
    -------
    Comparison
        With the workbenches `left` and `right`.

    Examples
    --------
    >>> from interplm_nb.pipeline.run import Run
    >>> shipped = Run.shipped()
    >>> both = compare(shipped, shipped, source_b="random_sae")
    >>> both.left.selection.source, both.right.selection.source
    ('sae', 'random_sae')
    """
    return Comparison(Workbench(run_a, source_a), Workbench(run_b, source_b))
