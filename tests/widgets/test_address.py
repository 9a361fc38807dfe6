"""What a page's address holds of a workbench, as its JavaScript half is told."""

from interplm_nb.widgets.address import Address
from interplm_nb.widgets.selection import FIELDS, OF_VIEWS
from interplm_nb.widgets.workbench import Workbench


def test_it_names_whose_each_trait_is_and_what_it_may_be(tiny_run):
    bench = Workbench(tiny_run)
    address = Address(bench)
    assert (address.selection, address.data) == (bench.selection, bench.data)
    assert address.fields == list(FIELDS)
    assert set(address.views) == set(OF_VIEWS)
    assert address.views["threshold"] == {"model": bench.structure.model_id, "values": None}
    for name in ("list_tab", "feature_tab"):
        values = Workbench.class_traits()[name].values
        assert address.views[name] == {"model": bench.model_id, "values": values}
