"""The shipped run as a static site: pages that work from a file and from any web host.

    python -m scripts.build_site build/site

`index.html` finds a concept, `concepts/` has a page for each, `gallery.html` is notebook
`09_gallery`, `workbench.html` the linked views. No page asks for anything from elsewhere.
"""

import argparse
import base64
import hashlib
import re
import shutil
from collections.abc import Iterable
from functools import cached_property
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import polars as pl
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from interplm_nb.pipeline.model_note import model_note
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SOURCES
from interplm_nb.widgets.concept_names import concept_name
from interplm_nb.widgets.selection import Selection
from interplm_nb.widgets.workbench import Workbench
from scripts.build_gallery import GALLERY, scores_of, smaller, words

HERE = Path(__file__).resolve().parent
STYLE = (HERE / "site" / "style.css").read_text(encoding="utf-8")
SEARCH = (HERE / "site" / "search.js").read_text(encoding="utf-8")
N_FEATURES = 3
"""Features of each concept that its page lists and the workbench's page can show."""
N_PROTEINS = 3
"""Proteins on a concept's page."""

INTRODUCTION = """<p>A protein language model read {n_residues} residues of proteins; a sparse
autoencoder (SAE) took their embeddings apart into {n_features} features. This site shows the best
feature of each of {n_concepts} UniProtKB concepts, with controls. Nothing needs to be installed,
and these pages ask for nothing from elsewhere.</p>
<blockquote>{note}</blockquote>
<p>Features and thresholds are chosen on validation proteins; F1 is that of test proteins, which
have no relative among the others.</p>"""

CONTROLS = (
    "Each source's best feature for this concept, chosen on validation; F1 on test, with 95 % over "
    "homology clusters. The probes are trained with the labels."
)

LINKS = {"index.html": "All concepts", "gallery.html": "Gallery", "workbench.html": "Workbench"}
"""Pages that every page leads to."""

PICTURES = {
    "histogram": ("how strong it is on how many residues; blue: its own best concept", 900),
    "logo": ("the letters around its maxima, in bits", 900),
    "structure": ("one structure, coloured by activation", 900),
    "tracks": ("the strongest proteins, a row each, with annotations below", 1320),
}
"""Views of a concept's page: what each shows, and its pixels in width."""


class Site:
    """The pages of one run, written below a folder."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run = run
        self.folder = folder
        self.bench = Workbench(run)
        self.pages = self.bench.data.pages
        self.concepts = self.pages.ranked.unique("concept", keep="first", maintain_order=True)

    def write(self) -> None:
        """All pages, over what another build left."""
        for part in ("concepts", "pictures"):
            shutil.rmtree(self.folder / part, ignore_errors=True)
            (self.folder / part).mkdir(parents=True)
        shutil.copy(self.run.folder / "LICENSE.md", self.folder / "LICENSE.md")
        (self.folder / ".nojekyll").touch()  # GitHub Pages: serve the files as they are
        self._write("index.html", "Features of a protein language model", self.index(), SEARCH)
        for row in self.concepts.iter_rows(named=True):
            name = concept_name(row["concept"], row["category"])
            self._write(f"concepts/{slug(row['concept'])}.html", name, self.concept(row))
        self._write("gallery.html", "A gallery of features", self.gallery())
        bench = self.bench.to_html(self.folder / "workbench.html", features=self.shown)
        bench.write_text(with_navigation(bench.read_text(encoding="utf-8")), encoding="utf-8")

    @cached_property
    def shown(self) -> list[int]:
        """Features that the pages link to: of each concept the best, and the gallery's."""
        best = self.pages.ranked.group_by("concept", maintain_order=True).head(N_FEATURES)
        named = re.findall(r"^bench\.selection\.feature = (\d+)", self._gallery_code, re.M)
        return list(dict.fromkeys([*best["feature"].to_list(), *map(int, named)]))

    def index(self) -> str:
        """What the site is, and the concepts, best first."""
        about = self.run.about("sae")
        introduction = INTRODUCTION.format(
            n_residues=f"{self.run.summary('activations')['residues']:,}",
            n_features=f"{len(self.run.maxima('sae').train):,}",
            n_concepts=len(self.concepts),
            note=escape(model_note(str(about["plm"]))),
        )
        rows = "".join(map(self._row, self.concepts.iter_rows(named=True)))
        return (
            f"<h1>Features of a protein language model</h1>{introduction}"
            '<h2>Find a concept</h2><form role="search" hidden><label for="search">Search</label>'
            '<input id="search" type="search" placeholder="zinc, helix, binding ..." '
            'autocomplete="off"> <p class="note"><output></output></p></form>'
            f'<div class="wide" tabindex="0" role="region" aria-label="Concepts"><table>'
            "<caption>Concepts by the F1 of their best feature on validation</caption>"
            '<thead><tr><th>Concept</th><th class="number">Feature</th>'
            '<th class="number">F1, test</th><th class="number">95 %</th>'
            '<th class="number">Random SAE</th><th class="number">Neurons</th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>"
        )

    def _row(self, pair: dict[str, Any]) -> str:
        scores = scores_of(self.pages, pair["feature"], pair["concept"])
        name = concept_name(pair["concept"], pair["category"])
        controls = (scores["controls"].get(source) for source in ("random_sae", "neurons"))
        cells = [
            f"{scores['f1_per_domain']:.2f}",
            interval(scores),
            *("" if value is None else f"{value:.2f}" for value in controls),
        ]
        said = f"{name} {pair['concept']} {pair['category']} {pair['feature']}".lower()
        link = self.link(pair["feature"], pair["concept"])
        return (
            f'<tr data-words="{escape(said)}">'
            f'<td><a href="concepts/{slug(pair["concept"])}.html">{escape(name)}</a></td>'
            f'<td class="number"><a href="{link}" aria-label="Feature {pair["feature"]} in the '
            f'workbench">{pair["feature"]}</a></td>'
            + "".join(f'<td class="number">{cell}</td>' for cell in cells)
            + "</tr>"
        )

    def concept(self, pair: dict[str, Any]) -> str:
        """One concept: its best feature in words, controls, a picture, proteins, other features."""
        feature, concept = pair["feature"], pair["concept"]
        scores = scores_of(self.pages, feature, concept)
        said = words(self.pages, feature, scores).partition("\n\n")[2]
        top = self.pages.top(feature, 1).row(0, named=True)
        place = {"accession": top["accession"], "position": top["position"]}
        name = escape(concept_name(concept, pair["category"]))
        return (
            f"<h1>{name}</h1>"
            f"<h2>Its best feature: {feature}</h2>{markdown2html_mistune(said)}"
            f'<p><a class="go" href="../{self.link(feature, concept)}">Open feature {feature} in '
            "the workbench</a></p>"
            f"<h2>With controls</h2>{self._controls(concept)}"
            f"<h2>The feature in pictures</h2>{self._pictures(feature)}"
            f'<h2>Where it is strongest</h2><p><a class="go" '
            f'href="../{self.link(feature, concept, **place)}">'
            f"{escape(top['accession'])} at {top['position']}, in the workbench</a></p>"
            f"{self._examples(feature)}"
            f"<h2>Other features</h2>{self._others(concept)}"
        )

    def link(self, feature: int, concept: str, **place: Any) -> str:
        """The workbench's page at a feature, among those that match the concept."""
        chosen = Selection(feature=feature, listed={"search": concept}, **place)
        return f"workbench.html#{escape(chosen.fragment())}"

    def _controls(self, concept: str) -> str:
        best = self.pages.best_of_sources.filter(concept=concept)
        found = {row["source"]: row for row in best.iter_rows(named=True)}
        rows = "".join(
            f'<tr{" class=own" if source == "sae" else ""}><th scope="row">'
            f"{escape(words_of(source))}</th>"
            f'<td class="number">{row["f1_per_domain"]:.2f}</td>'
            f'<td class="number">{interval(row)}</td><td class="bar">'
            f'<span style="width:{100 * row["f1_per_domain"]:.0f}%"></span></td></tr>'
            for source in SOURCES
            if (row := found.get(source)) and row["f1_per_domain"] is not None
        )
        return (
            '<div class="wide" tabindex="0" role="region" aria-label="Controls"><table>'
            f"<caption>{CONTROLS}</caption><thead><tr><th>Source</th>"
            '<th class="number">F1, test</th><th class="number">95 %</th>'
            f'<th class="bar">0 to 1</th></tr></thead><tbody>{rows}</tbody></table></div>'
        )

    def _pictures(self, feature: int) -> str:
        self.bench.selection.feature = feature
        shown = ""
        for view, (said, width) in PICTURES.items():
            name = f"pictures/{view}-{feature}.png"
            if not (self.folder / name).exists():
                drawn = BytesIO()
                getattr(self.bench, view).figure().savefig(
                    drawn, format="png", dpi=200, bbox_inches="tight"
                )
                png = base64.b64encode(drawn.getvalue()).decode()
                (self.folder / name).write_bytes(base64.b64decode(smaller(png, width)))
            shown += picture(f"../{name}", f"Feature {feature}: {said}.", view)
        return f'<div class="pictures">{shown}</div>'

    def _examples(self, feature: int) -> str:
        html = self.pages.top_html(feature, N_PROTEINS)
        return html.replace('<div class="iplm-seq">', '<div class="iplm-seq" tabindex="0">')

    def _others(self, concept: str) -> str:
        rows = self.pages.ranked.filter(pl.col("concept") == concept)[1:N_FEATURES]
        items = "".join(
            f'<li><a href="../{self.link(row["feature"], concept)}">Feature {row["feature"]}</a>: '
            f"F1 {row['validation_f1_per_domain']:.2f} on validation, "
            f"{row['f1_per_domain']:.2f} on test</li>"
            for row in rows.iter_rows(named=True)
        )
        return f"<p>The next by F1 on validation:</p><ul>{items}</ul>"

    @cached_property
    def _gallery_cells(self) -> list[nbformat.NotebookNode]:
        return nbformat.read(GALLERY, as_version=4).cells

    @property
    def _gallery_code(self) -> str:
        return "\n".join(c.source for c in self._gallery_cells if c.cell_type == "code")

    def gallery(self) -> str:
        """Notebook 09: its words and its pictures, each with its way into the workbench."""
        parts = []
        for cell in self._gallery_cells:
            if cell.cell_type == "markdown":  # lessons are not part of the site
                text = re.sub(r"\[([^\]]+)\]\(\w+\.ipynb\)", r"\1", cell.source)
                parts.append(markdown2html_mistune(text))
            for output in cell.get("outputs", []):
                feature = int(cell.id.removeprefix("sheet-"))
                name = f"pictures/gallery-{feature}.png"
                (self.folder / name).write_bytes(base64.b64decode(output.data["image/png"]))
                address = f"workbench.html#{Selection(feature=feature).fragment()}"
                parts.append(
                    picture(name, output.data["text/plain"])
                    + f'<p><a class="go" href="{address}">Open feature {feature} in the '
                    "workbench</a></p>"
                )
        wide = '<div class="wide" tabindex="0" role="region" aria-label="Table"><table>'
        html = "".join(parts).replace("<table>", wide)
        return html.replace("</table>", "</table></div>").replace("<pre>", '<pre tabindex="0">')

    def _write(self, name: str, title: str, body: str, script: str = "") -> None:
        up = "../" * name.count("/")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        runs = f"sha256-{digest}" if script else "none"
        policy = (
            "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' file:; "
            f"base-uri 'none'; form-action 'none'; script-src '{runs}'"
        )
        html = (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
            f"{navigation(up)}\n<main>{body}</main>\n"
            "<footer><p>Made by interplm-nb from the demo run that comes with it. The figures and "
            f'scores of this run are licensed CC BY-NC 4.0: <a href="{up}LICENSE.md">licence and '
            "attribution</a>.</p></footer>\n"
            + (f'<script type="module">{script}</script>\n' if script else "")
            + "</body>\n</html>\n"
        )
        (self.folder / name).write_text(html, encoding="utf-8")


def slug(concept: str) -> str:
    """A concept as the name of a file.

    >>> slug("Metal binding_Zinc (N-term)")
    'metal-binding-zinc-n-term'
    """
    return quote(re.sub(r"[^a-z0-9]+", "-", concept.lower()).strip("-"))


def navigation(up: str = "") -> str:
    """Links to the other pages; `up` leads to the site's top."""
    links = " ".join(f'<a href="{up}{to}">{text}</a>' for to, text in LINKS.items())
    return f'<nav aria-label="Site">{links}</nav>'


def with_navigation(workbench: str) -> str:
    """The workbench's page with the links, in its own colours."""
    look = "<style>nav a { color: inherit; margin-right: 1em; }</style>"
    return workbench.replace("<main>", f"{look}{navigation()}\n<main>", 1)


def words_of(source: str) -> str:
    """A source as a row's heading."""
    said = SOURCES[source].words
    return said[0].upper() + said[1:]


def interval(row: dict[str, Any]) -> str:
    """The 95 % interval of a row; "": it has none."""
    low, high = row["low"], row["high"]
    return "" if low is None or low != low else f"{low:.2f} to {high:.2f}"


def picture(address: str, said: str, view: str = "") -> str:
    """A picture with its words; it is fetched when it comes near the window."""
    caption = f"<figcaption>{escape(said)}</figcaption>" if view else ""
    return (
        f'<figure class="{view}"><img src="{address}" loading="lazy" alt="{escape(said)}">'
        f"{caption}</figure>"
    )


def sizes(files: Iterable[Path]) -> str:
    """How many files, and their megabytes together."""
    found = [path.stat().st_size for path in files if path.is_file()]
    return f"{len(found)} files, {sum(found) / 1e6:.1f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description="The shipped run as a static site.")
    parser.add_argument("folder", type=Path, help="where the pages are written")
    folder: Path = parser.parse_args().folder
    Site(Run.shipped(), folder).write()
    print(f"{folder}: {sizes(folder.rglob('*'))}; open {folder / 'index.html'}")


if __name__ == "__main__":
    main()
