"""The lists of a source that do not depend on what is selected, which travel once."""

import hashlib
from typing import Self
from weakref import WeakValueDictionary

import anywidget
import polars as pl
import traitlets as t

from interplm_nb.proteins import Proteins
from interplm_nb.widgets import assets
from interplm_nb.widgets.feature_list import packed_list
from interplm_nb.widgets.listing import packed_pairs
from interplm_nb.widgets.packing import WAITED_FOR, pack
from interplm_nb.widgets.protein_list import protein_list


class Lists(anywidget.AnyWidget):
    """All features, scored pairs and proteins of a source, packed.

    `FeatureData` of equal content share one: those of a workbench and of a comparison with it, say.
    """

    _esm = assets.esm("lists")

    features = t.Bytes(help="`feature_list`, packed").tag(sync=True)
    pairs = t.Bytes(help="`concept_pairs`, packed").tag(sync=True)
    proteins = t.Bytes(help="`protein_list`, packed").tag(sync=True)

    @classmethod
    def shared(cls, features: pl.DataFrame, pairs: pl.DataFrame, proteins: Proteins) -> Self:
        """The lists of this kernel with a `feature_list`, `concept_pairs` and proteins."""
        packed = {
            "features": pack(*packed_list(features), WAITED_FOR),
            "pairs": pack(*packed_pairs(pairs), WAITED_FOR),
            "proteins": pack(*protein_list(proteins), WAITED_FOR),
        }
        content = "".join(hashlib.sha256(part).hexdigest() for part in packed.values())
        found = _KNOWN.get(content)
        if found is None or found.comm is None:  # closed, by `Widget.close_all`
            found = _KNOWN[content] = cls(**packed)
        return found  # type: ignore[return-value]


_KNOWN: WeakValueDictionary[str, Lists] = WeakValueDictionary()
