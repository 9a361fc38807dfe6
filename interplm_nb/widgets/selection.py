"""What a person looks at: the one object that all views read and write."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import parse_qs, urlencode

import anywidget
import traitlets as t

from interplm_nb.widgets import assets

if TYPE_CHECKING:
    import polars as pl

    from interplm_nb.widgets.feature_page import FeaturePages

FIELDS = (
    *("source", "feature", "accession", "position", "brush", "accessions", "pinned"),
    "listed",
)

LISTED: dict[str, type] = {
    "search": str,
    "category": str,
    "least_f1": float,
    "silent": bool,
    "among": list,
    "why": str,
}
"""Keys of `Selection.listed`, each of them its own field in a link."""

OF_VIEWS = ("threshold", "list_tab", "feature_tab")
"""What a link carries besides them, for the views: a selection leaves it to these."""


class Selectable(Protocol):
    """What a selection asks of the data that it belongs to: a `FeatureData`."""

    pages: "FeaturePages"

    def check(self, feature: int) -> None:
        """Raise TraitError for a feature that the source does not have."""

    def check_category(self, category: str) -> None:
        """Raise TraitError for a category without a scored concept."""

    def residues(self, selection: "Selection") -> "pl.DataFrame":
        """Every residue that a selection covers."""
        ...

    def listed(self, selection: "Selection") -> "pl.DataFrame":
        """The features that a selection lists."""
        ...


class Selection(anywidget.AnyWidget):
    """The feature, protein, residue, range of activations and proteins that a person looks at.

    Views share one `Selection` and know nothing about one another; they are linked in the browser,
    with or without a kernel. Python reads and writes the same fields and may `observe` them. What
    the pointer hovers over stays in the browser.

    Examples
    --------
    >>> selection = Selection(feature=12)
    >>> selection.update({"brush": [0.5, 1.0], "pinned": [3, 7]})
    >>> selection.fragment()
    'source=sae&feature=12&brush=0.5,1.0&pinned=3,7'
    >>> Selection.from_fragment("#feature=12").feature
    12
    >>> selection.listed = {"search": "zinc", "least_f1": 0.5}
    >>> selection.fragment().partition("pinned=3,7&")[2]
    'search=zinc&least_f1=0.5'
    """

    _esm = assets.esm("selection")

    source = t.Unicode("sae", help="what is scored: sae, random_sae, ...").tag(sync=True)
    feature = t.Int(0, help="number of the feature, from 0").tag(sync=True)
    accession = t.Unicode("", help="the protein in focus").tag(sync=True)
    position = t.Int(
        None, allow_none=True, help="residue of that protein, from 1 as in UniProt"
    ).tag(sync=True)
    brush = t.List(
        t.Float(),
        help="[lo, hi] of activations, in shares of the feature's maximum (unit `max`), "
        "both included; empty: all",
    ).tag(sync=True)
    accessions = t.List(
        t.Unicode(),
        help="the proteins that are shown, whose common features are listed; empty: all",
    ).tag(sync=True)
    pinned = t.List(t.Int(), help="other features drawn next to this one").tag(sync=True)
    listed = t.Dict(
        help="which features are listed: those with a scored pair that has every word of `search` "
        "in its concept, category, or the feature's number, description, motif or note, the "
        "`category`, and `least_f1` on test; "
        "`among` (numbers) these alone, and `why`, in words; `silent`: also features that never "
        "fire on training proteins. Empty: all that fire",
    ).tag(sync=True)

    data: Selectable | None = None

    @t.validate("position")
    def _from_one(self, proposal: Any) -> int | None:
        position = proposal["value"]
        if position is not None and position < 1:
            raise t.TraitError(f"positions start at 1, as in UniProt; got {position}")
        return position

    @t.validate("brush")
    def _range(self, proposal: Any) -> list[float]:
        brush = list(proposal["value"])
        if brush and not (len(brush) == 2 and 0 <= brush[0] <= brush[1] < float("inf")):
            raise t.TraitError(
                "a brush is [lo, hi] with 0 <= lo <= hi, in shares of the feature's maximum, "
                f"or [] for all; got {brush}"
            )
        return brush

    @t.validate("source")
    def _of_data(self, proposal: Any) -> str:
        if self.data is not None and proposal["value"] != self.data.pages.source:
            raise t.TraitError(
                f"this selection is of source {self.data.pages.source!r}, "
                f"not {proposal['value']!r}; open that one with Workbench(run, source)"
            )
        return proposal["value"]

    @t.validate("feature", "pinned")
    def _existing(self, proposal: Any) -> Any:
        value = proposal["value"]
        if self.data is not None:
            for feature in value if isinstance(value, list) else [value]:
                self.data.check(feature)
        return value

    @t.validate("listed")
    def _criteria(self, proposal: Any) -> dict[str, Any]:
        given = dict(proposal["value"])
        if strange := set(given) - set(LISTED):
            raise t.TraitError(
                f"features are listed by {', '.join(LISTED)}, not by {', '.join(sorted(strange))}"
            )
        listed = {name: _criterion(name, given[name]) for name in LISTED if given.get(name)}
        if self.data is not None:
            for feature in listed.get("among", ()):
                self.data.check(feature)
            if "category" in listed:
                self.data.check_category(listed["category"])
        return listed

    def residues(self) -> "pl.DataFrame":
        """Every residue of the whole store that it covers: see `FeatureData.residues`."""
        return self._own_data().residues(self)

    def features(self) -> "pl.DataFrame":
        """Every feature that it lists: see `FeatureData.listed`."""
        return self._own_data().listed(self)

    def _own_data(self) -> Selectable:
        if self.data is None:
            raise RuntimeError(
                "this selection has no data; use the selection of a FeatureData or a Workbench"
            )
        return self.data

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON, for `from_dict` and `update`."""
        return {name: getattr(self, name) for name in FIELDS}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """A selection with these fields; ValueError for an unknown name."""
        selection = cls()
        selection.update(fields)
        return selection

    def update(self, fields: Mapping[str, Any]) -> None:
        """Set several fields at once; ValueError for an unknown name."""
        strange = set(fields) - set(FIELDS)
        if strange:
            raise ValueError(
                f"a selection has the fields {', '.join(FIELDS)}, not {', '.join(sorted(strange))}"
            )
        with self.hold_trait_notifications():
            for name, value in fields.items():
                setattr(self, name, value)

    def fragment(self) -> str:
        """The part of a link after `#` that restores this selection in an exported page.

        Lists are joined by commas.
        """
        fields = self.to_dict()
        fields |= fields.pop("listed")
        parts = {name: value for name, value in fields.items() if value not in ("", None, [])}
        return urlencode(
            {
                name: ",".join(map(str, value))
                if isinstance(value, list)
                else str(value).lower()
                if isinstance(value, bool)
                else value
                for name, value in parts.items()
            },
            safe=",",
        )

    @classmethod
    def from_fragment(cls, fragment: str) -> Self:
        """A selection from `fragment`'s text, also with the browser's leading `#`.

        What a page adds of its views (`OF_VIEWS`) is left out.
        """
        parts = {
            name: values[0]
            for name, values in parse_qs(fragment.removeprefix("#"), strict_parsing=True).items()
            if name not in OF_VIEWS
        }
        read = {
            "feature": int,
            "position": int,
            "brush": _list_of(float),
            "accessions": _list_of(str),
            "pinned": _list_of(int),
            "least_f1": float,
            "silent": lambda text: text == "true",
            "among": _list_of(int),
        }
        fields = {name: read.get(name, str)(value) for name, value in parts.items()}
        listed = {name: fields.pop(name) for name in LISTED if name in fields}
        return cls.from_dict(fields | ({"listed": listed} if listed else {}))


def _list_of(kind: type) -> Any:
    return lambda text: [kind(part) for part in text.split(",")]


def _criterion(name: str, value: Any) -> Any:
    """One value of `Selection.listed`; TraitError where it cannot be."""
    kind = LISTED[name]
    if kind is float and isinstance(value, int | float) and 0 <= value <= 1:
        return float(value)
    is_known = kind is not float and isinstance(value, kind)
    if kind is list and isinstance(value, list):
        is_known = all(type(number) is int and number >= 0 for number in value)
    if not is_known:
        what = {
            "least_f1": "a number from 0 to 1",
            "silent": "True or False",
            "among": "a list of features' numbers",
        }.get(name, "text")
        raise t.TraitError(f"{name} of listed features is {what}; got {value!r}")
    return value
