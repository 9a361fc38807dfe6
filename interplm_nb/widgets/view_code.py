"""The JavaScript of views, which travels once for all views of a kind."""

from typing import ClassVar, Self

import anywidget

from interplm_nb.widgets import assets


class ViewCode(anywidget.AnyWidget):
    """What draws one kind of view: `widgets/<name>.js`, one per kernel.

    A view has its module as `code`, and `widgets/view.js` as its own: else a saved notebook would
    hold the module again for each view.
    """

    _shared: ClassVar[dict[str, "ViewCode"]] = {}

    @classmethod
    def shared(cls, name: str) -> Self:
        """The code of this kernel; AssetError where there is no such view."""
        found = cls._shared.get(name)
        if found is None or found.comm is None:  # closed, by `Widget.close_all`
            found = cls._shared[name] = cls(_esm=assets.esm(name))
        return found  # type: ignore[return-value]
