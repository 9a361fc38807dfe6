"""What a workbench shows, in the address of the page that it is on."""

import anywidget
import traitlets as t

from interplm_nb.widgets import assets
from interplm_nb.widgets.page import linked_traits, with_references
from interplm_nb.widgets.selection import FIELDS
from interplm_nb.widgets.workbench import Workbench


class Address(anywidget.AnyWidget):
    """Keeps what a workbench shows in the address of its page, and restores it from there.

    A copy of the address, opened elsewhere or later, shows the same. Display it next to a workbench
    on its own page, as the app does; in JupyterLab the address is JupyterLab's. It is not seen
    itself.

    Parameters
    ----------
    bench
        The workbench.

    Examples
    --------
    >>> from interplm_nb.pipeline.run import Run
    >>> address = Address(Workbench(Run.shipped()))
    >>> sorted(address.views)
    ['feature_tab', 'list_tab', 'threshold']
    """

    _esm = assets.esm("address")

    selection = anywidget.WidgetTrait().tag(sync=True)
    data = anywidget.WidgetTrait().tag(sync=True)
    fields = t.List(t.Unicode(), list(FIELDS), help="of the selection").tag(sync=True)
    views = t.Dict(help="traits of views: whose, and the values that they may have").tag(sync=True)

    def __init__(self, bench: Workbench) -> None:
        views = linked_traits(with_references([bench]))
        super().__init__(selection=bench.selection, data=bench.data, views=views)
