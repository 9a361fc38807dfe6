"""Look at one feature of a run: controls over the pages of `feature_page`."""

import random
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w
from IPython.display import display

from interplm_nb.pipeline.model_note import model_note
from interplm_nb.pipeline.run import Run
from interplm_nb.sources import demo
from interplm_nb.sources.structures import Structure
from interplm_nb.widgets.feature_page import FeaturePages
from interplm_nb.widgets.structure import show_nglview

ANY = "(any concept)"
LISTED = 200
"""Features offered in the list; every other one is reached by its number."""


class FeatureExplorer:
    """Choose a feature by concept, by F1, by number or at random; see its concepts, distribution, proteins and a structure.

    `structures` maps accessions to functions that load a `Structure`; by default the embedded ones.
    """

    def __init__(self, run: Run | Path | str, source: str = "sae", structures: Mapping[str, Callable[[], Structure]] | None = None) -> None:
        self.pages = FeaturePages(run if isinstance(run, Run) else Run.open(run), source)
        self.structures = structures if structures is not None else {a: lambda a=a: demo.structure(a) for a in demo.structures()}
        self._random = random.Random(0)
        self._busy = False
        self._build()
        self.select(int(self.features.options[0][1]) if self.features.options else 0)

    def _ipython_display_(self) -> None:
        display(self.widget)

    def _build(self) -> None:
        wide = w.Layout(width="420px")
        narrow = {"description_width": "70px"}
        concepts = [(ANY, "")] + [(f"{c}  (best F1 {f:.2f})", c) for c, f in self._best_per_concept()]
        self.concept = w.Dropdown(options=concepts, description="Concept", layout=wide, style=narrow)
        self.features = w.Dropdown(options=self._listed(""), description="Feature", layout=wide, style=narrow)
        last = self.pages.activations.n_features - 1
        self.number = w.BoundedIntText(0, min=0, max=last, description="Number", layout=w.Layout(width="190px"), style=narrow)
        self.random = w.Button(description="Random feature", icon="random", tooltip="Any feature that fires")
        self.protein = w.Dropdown(options=[], description="Protein", layout=wide, style=narrow)
        self.title, self.concepts, self.top = w.HTML(), w.HTML(), w.HTML()
        self.whole = w.HTML(layout=w.Layout(max_width="650px"))
        self.histogram, self.structure = w.Output(), w.VBox()
        for control, react in ((self.concept, self._concept_chosen), (self.features, self._feature_chosen), (self.number, self._feature_chosen)):
            control.observe(react, "value")
        self.protein.observe(self._protein_chosen, "value")
        self.random.on_click(lambda _: self.select(int(self._random.choice(self.pages.alive))))
        choose = w.VBox([w.HBox([self.concept, self.features]), w.HBox([self.number, self.random])])
        first = w.HBox([w.VBox([self.concepts]), self.histogram], layout=w.Layout(flex_flow="row wrap", gap="24px"))
        second = w.HBox([w.VBox([self.protein, self.structure]), self.whole], layout=w.Layout(flex_flow="row wrap", gap="24px"))
        about = w.HTML(_STYLE + f'<p class="iplm-note">{escape(model_note(self.pages.run.about(self.pages.source)["plm"]))}</p>')
        strongest, one = w.HTML("<h4>Strongest proteins, around their maxima</h4>"), w.HTML("<h4>One protein</h4>")
        self.widget = w.VBox([about, choose, self.title, first, strongest, self.top, one, second])

    def _best_per_concept(self) -> list[tuple[str, float]]:
        best = self.pages.ranked.group_by("concept", maintain_order=True).first()
        return list(best.select("concept", "f1_validation").iter_rows())

    def _listed(self, concept: str) -> list[tuple[str, int]]:
        """Features by falling F1 on validation, each with its best concept or the chosen one."""
        ranked = self.pages.ranked
        rows = ranked.filter(concept=concept) if concept else ranked.unique("feature", keep="first", maintain_order=True)
        return [(f"{f}: {c}, F1 {v:.2f} (test {t:.2f})", f) for c, _, f, _, v, t, _ in rows.head(LISTED).iter_rows()]

    def select(self, feature: int) -> None:
        """Show a feature."""
        self.pages.check(feature)
        self._quietly(lambda: setattr(self.number, "value", feature))
        listed = {f for _, f in self.features.options}
        self._quietly(lambda: setattr(self.features, "value", feature if feature in listed else None))
        self.title.value = f"<h3>Feature {feature}</h3>"
        self.concepts.value = self.pages.concepts_html(feature)
        self.top.value = self.pages.top_html(feature)
        _show(self.histogram, self.pages.histogram_figure(feature))
        self._offer_proteins(feature)

    def _offer_proteins(self, feature: int) -> None:
        """The strongest proteins and those with a structure, the latter first where they fire."""
        table = self.pages.top(feature, self.pages.proteins.n_proteins)
        rows = list(table.select("accession", "maximum").iter_rows())
        seen = [r for r in rows if r[0] in self.structures][:20]
        rest = [r for r in rows[:20] if r not in seen]
        options = [(f"{a}: {m:.2f}{', structure' if a in self.structures else ''}", a) for a, m in seen + rest]
        self._quietly(lambda: setattr(self.protein, "options", options))
        self._quietly(lambda: setattr(self.protein, "index", 0 if options else None))
        self._show_protein(self.protein.value)

    def _show_protein(self, accession: str | None) -> None:
        for view in self.structure.children:
            view.close()
        self.structure.children = ()
        if accession is None:
            self.whole.value = "<p>No protein carries this feature.</p>"
            return
        feature = int(self.number.value)
        self.whole.value = self.pages.protein_html(accession, feature)
        load = self.structures.get(accession)
        if load:
            self.structure.children = (show_nglview(load(), self.pages.activations.along(accession, feature)),)

    def _concept_chosen(self, change: dict[str, Any]) -> None:
        self._quietly(lambda: setattr(self.features, "options", self._listed(change["new"])))
        if self.features.options:
            self.select(int(self.features.options[0][1]))

    def _feature_chosen(self, change: dict[str, Any]) -> None:
        if not self._busy and change["new"] is not None:
            self.select(int(change["new"]))

    def _protein_chosen(self, change: dict[str, Any]) -> None:
        if not self._busy:
            self._show_protein(change["new"])

    def _quietly(self, set_value: Callable[[], None]) -> None:
        """Set a control without reacting to it."""
        busy, self._busy = self._busy, True
        try:
            set_value()
        finally:
            self._busy = busy


def _show(output: w.Output, value: Any) -> None:
    output.clear_output(wait=True)
    with output:
        display(value)


_STYLE = """<style>
.iplm-table{border-collapse:collapse;font-size:12.5px;line-height:1.35;margin:4px 0}
.iplm-table th,.iplm-table td{padding:2px 8px;border-bottom:1px solid var(--jp-border-color2,#ccc);text-align:right}
.iplm-table th:first-child,.iplm-table td:first-child{text-align:left}
.iplm-note{border-left:4px solid #e69f00;padding:4px 10px;margin:4px 0;max-width:900px;line-height:1.4}
</style>"""
