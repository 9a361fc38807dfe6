"""What all views share in the browser: drawing, colours, exports, style, and NGL.

One per kernel, so that it travels once.
"""

from typing import ClassVar, Self

import anywidget
import traitlets as t

from interplm_nb.widgets import assets
from interplm_nb.widgets.colours import NOT_IN_STRUCTURE, SCALE, SCALE_ON_DARK


class Kit(anywidget.AnyWidget):
    """The JavaScript that views share; they get its exports through `kit` (`widgets/kit.js`)."""

    _esm = assets.esm("kit")

    style = t.Unicode(assets.css()).tag(sync=True)
    scale = t.List(t.Unicode(), list(SCALE)).tag(sync=True)
    scale_on_dark = t.List(t.Unicode(), list(SCALE_ON_DARK)).tag(sync=True)
    unmapped = t.Unicode(NOT_IN_STRUCTURE).tag(sync=True)
    ngl = t.Bytes(
        b"", help="NGL's script, gzipped; empty where the package was built without it"
    ).tag(sync=True)
    ngl_missing = t.Unicode("", help="why NGL is missing, and what to do").tag(sync=True)

    _shared: ClassVar["Kit | None"] = None

    @classmethod
    def shared(cls) -> Self:
        """The kit of this kernel."""
        if cls._shared is None or cls._shared.comm is None:  # closed, by `Widget.close_all`
            ngl = assets.ngl()
            cls._shared = cls(ngl=ngl or b"", ngl_missing="" if ngl else assets.NGL_MISSING)
        return cls._shared  # type: ignore[return-value]
