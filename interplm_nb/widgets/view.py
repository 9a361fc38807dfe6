"""The Python half that all views share.

Traits that link a view, a figure for print, and a picture for where no widget can be drawn.
"""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import anywidget

from interplm_nb.widgets import assets
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.kit import Kit
from interplm_nb.widgets.page import write_page
from interplm_nb.widgets.selection import Selection
from interplm_nb.widgets.view_code import ViewCode

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FALLBACK_DPI = 80


class View(anywidget.AnyWidget):
    """One view of a `FeatureData`. Views of the same data are linked through its selection.

    A subclass names its JavaScript half in `code_name`, draws itself with matplotlib in `figure`,
    and may add traits, all of which are keyword arguments.
    """

    _esm = assets.esm("view")

    code_name: ClassVar[str]
    """Of `widgets/<code_name>.js`."""

    linked: ClassVar[tuple[str, ...]] = ()
    """Traits that the address of an exported page carries besides the selection."""

    code = anywidget.WidgetTrait().tag(sync=True)
    kit = anywidget.WidgetTrait().tag(sync=True)
    selection = anywidget.WidgetTrait().tag(sync=True)
    data = anywidget.WidgetTrait().tag(sync=True)

    def __init__(self, data: FeatureData, **settings: Any) -> None:
        if not isinstance(data, FeatureData):
            raise TypeError(
                f"{type(self).__name__} shows a FeatureData, such as FeatureData(run) or "
                f"workbench.data, not {type(data).__name__}"
            )
        own = {name for name, trait in self.traits(sync=True).items() if not trait.read_only} - set(
            View.class_trait_names()
        )
        strange = set(settings) - own - {"layout"}
        if strange:
            known = ", ".join(sorted(own)) or "none"
            raise TypeError(
                f"{type(self).__name__} has no setting {', '.join(sorted(strange))}; "
                f"its settings are: {known}"
            )
        super().__init__(
            code=ViewCode.shared(self.code_name),
            kit=Kit.shared(),
            selection=data.selection,
            data=data,
            **settings,
        )

    def figure(self) -> "Figure":
        """The view as a matplotlib figure for print, in the same colours.

        `view.figure().savefig("figure.pdf")` saves it.
        """
        raise NotImplementedError

    def signed(self, figure: "Figure") -> "Figure":
        """A figure of this view with a small line that says what it is of, wherever it ends up."""
        about, chosen = self.data.about, self.selection
        words = (
            f"Run {about['run']}: feature {chosen.feature} of {about['source']} on {about['plm']}, "
            f"layer {about['layer']}"
        )
        figure.suptitle(words, x=0.99, ha="right", fontsize=5, color="#6f6f6f", parse_math=False)
        return figure

    def to_html(self, path: Path | str, title: str = "") -> Path:
        """Write the view as one HTML file that needs no kernel and no network.

        It shows what is selected now, and what `data.keep` has stored.
        """
        chosen: Selection = self.selection
        return write_page([self], Path(path), title or f"Feature {chosen.feature}")

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget, and a picture for GitHub, untrusted notebooks and readers of mail."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**(data or {}), "image/png": base64.b64encode(self._picture()).decode()}, metadata

    def _picture(self) -> bytes:
        """`figure` as PNG."""
        file = io.BytesIO()
        self.figure().savefig(file, format="png", dpi=FALLBACK_DPI, bbox_inches="tight")
        return file.getvalue()
