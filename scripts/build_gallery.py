"""Make notebooks/09_gallery.ipynb: fourteen features of the shipped run, chosen by a rule.

    python scripts/build_gallery.py

Every word of the notebook comes from the run, and tests/notebooks/test_gallery.py compares them:
after a new shipped run (make demo-run) the gallery must be made again.
"""

import base64
import hashlib
import io
import re
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from interplm_nb.features.examples import proteins_of
from interplm_nb.features.logos import AMINO_ACIDS, BACKGROUND, position_weights, windows
from interplm_nb.figures.steering.generation import shares_table
from interplm_nb.pipeline.kernel import RunKernelManager, kernel_settings
from interplm_nb.pipeline.model_note import model_note
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.notebooks import clean
from interplm_nb.pipeline.parameters import SteerParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.saving import atomic_path, file_hash
from interplm_nb.stages.steer import steer
from interplm_nb.widgets.concept_rows import concept_rows
from interplm_nb.widgets.feature_page import FeaturePages
from interplm_nb.widgets.feature_words import feature_words

GALLERY = Path(__file__).resolve().parents[1] / "notebooks" / "09_gallery.ipynb"
N_NAMED, N_UNNAMED, N_DESCRIBED = 10, 2, 2
UNNAMED_BELOW = 0.1
"""A feature has no concept if none reaches this F1 on validation."""
DESCRIBED_BELOW = 0.2
"""A feature is shown for its description if no concept reaches this F1 on validation."""
MIN_PROTEINS = 10
"""A feature without a concept is shown if it fires in at least this many of the run's proteins."""
FLANK = 7
"""Residues on either side of a maximum whose information counts."""
KEPT = 0.7
"""A choice made on validation holds if test keeps this share of its F1."""
WIDTH, COLOURS = 1320, 256
"""Width of a stored picture in pixels, and colours of its palette: small enough for the web."""

NEARLY_GREY = 0.04
"""Difference between a colour's largest and smallest part, 0 to 1, below which it is a grey."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""What red, green and blue light add to luminance (WCAG)."""
EQUALLY_FAR = (1.05 * 0.0556) ** 0.5 - 0.05
"""Luminance with equal contrast (WCAG), 4.3, to white and to #111111, JupyterLab's dark ground."""

Pick = tuple[int, dict[str, Any] | None]
"""A feature and its pair, a row of `concept_rows`; None for a feature without a concept."""

TITLE = """# A gallery of features

Fourteen features of the finished demo run that comes with the package, with their pictures. \
Nothing needs to be run to read this page; `00_explore`
shows every other feature, linked and alive.

> {note}

**Chosen by a rule, not by eye.** Of these {named} stand for the {named} categories of UniProtKB \
annotations that features match best: of each
category the concept and the feature with the highest F1 on *validation*, among concepts with at \
least 10 instances on validation and on test.
What counts is the F1 on *test*, whose proteins have no relative among the others, and beside it \
what the best feature of a random dictionary
reaches, and the best of the model's own neurons. Then come {unnamed} features that no concept \
matches (F1 below {below:g} on validation), though they fire in at least {proteins}
proteins: those whose maxima have the most alike surroundings, by the information of the {window} \
columns around them. The last {described} match no concept well either (F1 below {less:g}). Of \
the features that lesson 7 described, theirs are the descriptions
that predict best how strong the feature is on other proteins, by the lower end of the 95 % \
interval of r.

So the page shows failures too, where there are any: matches that were luck, and concepts that \
need no trained SAE."""
READING = """**How to read a sheet.** Residues by activation, those that carry the feature's best \
concept in blue; one structure, coloured by activation; proteins, a row each, the darker the \
nearer to the feature's maximum on training proteins, with annotations below. Residues and \
proteins are those of the {n_proteins} proteins whose activations ship; scores are of the whole \
run."""
SETUP = """from interplm_nb.figures.chart import Chart
from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.workbench import Workbench

bench = Workbench(Run.shipped())"""
STEERED = """## A feature that writes: zinc finger

Most features detect, and few cause. Here a zinc-finger feature is held while UniRep writes \
proteins, one residue after the other. Shown is the share of sequences with a C2H2 finger (95 %, \
over sequences), the share after shuffling their letters, what a probe on another model calls a \
zinc finger, and the share in which one letter exceeds 30 %.

{table}

{writes}

Two SAEs of another seed do not repeat it. Lesson [08_steer](08_steer.ipynb) has the controls in \
full."""
END = """---

Made by `python scripts/build_gallery.py` from the shipped run `{fingerprint}`."""


def main() -> None:
    notebook = new_notebook(cells=cells(Run.shipped()))
    execute(notebook)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {"name": "python"}
    with atomic_path(GALLERY) as draft:
        nbformat.write(notebook, draft)
    print(f"{GALLERY}: {len(notebook.cells)} cells, {GALLERY.stat().st_size / 1e6:.1f} MB")


def cells(run: Run) -> list[nbformat.NotebookNode]:
    """The cells without outputs: prose, and for each feature its words and its drawing cell."""
    pages = FeaturePages(run)
    picks: list[Pick] = named(pages)
    picks += [(feature, None) for feature in unnamed(pages)]
    picks += [(feature, None) for feature in described(pages, {feature for feature, _ in picks})]
    note = model_note(str(run.about("sae")["plm"]))
    sizes = {
        "named": N_NAMED,
        "unnamed": N_UNNAMED,
        "described": N_DESCRIBED,
        "below": UNNAMED_BELOW,
        "less": DESCRIBED_BELOW,
        "proteins": MIN_PROTEINS,
        "window": 2 * FLANK + 1,
    }
    made = [_prose("title", TITLE.format(note=note, **sizes)), _prose("overview", overview(picks))]
    made += [
        _prose("reading", READING.format(n_proteins=len(pages.proteins))),
        _code("setup", SETUP),
    ]
    for feature, scores in picks:
        made += [
            _prose(f"words-{feature}", words(pages, feature, scores)),
            _code(f"sheet-{feature}", sheet(feature)),
        ]
    made.append(_prose("steered", STEERED.format(**steered(run))))
    return [*made, _prose("end", END.format(fingerprint=fingerprint(run)))]


def steered(run: Run) -> dict[str, str]:
    """What stage `steer` made: its table, and two sequences with the finger in brackets."""
    found = steer(RunToRead.open(run.folder), SteerParameters.checked({}, "here")).generation
    assert found is not None
    head, rows = shares_table(found)
    lines = [
        f"{s[: start - 1]}[{s[start - 1 : end]}]{s[end:]}"
        for s, start, end in found.examples(2).select("sequence", "start", "end").iter_rows()
    ]
    return {
        "table": "\n".join(
            "| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)
        ),
        "writes": f"Feature {found.feature} at {found.strongest['strength']:g} of its maximum "
        "wrote, for instance (the finger in brackets):\n\n"
        + "\n".join(f"    {line}" for line in lines),
    }


def named(pages: FeaturePages) -> list[Pick]:
    """Each category's best pair on validation, best first, no feature twice."""
    found: list[dict[str, Any]] = []
    for row in pages.ranked.iter_rows(named=True):
        if all(row[name] != other[name] for other in found for name in ("category", "feature")):
            found.append(row)
    return [
        (row["feature"], scores_of(pages, row["feature"], row["concept"]))
        for row in found[:N_NAMED]
    ]


def scores_of(pages: FeaturePages, feature: int, concept: str) -> dict[str, Any]:
    return next(
        row for row in concept_rows(pages, feature, len(pages.ranked)) if row["concept"] == concept
    )


def unnamed(pages: FeaturePages) -> list[int]:
    """Features without a concept; most information around the maxima first."""
    bits = {}
    for feature in pages.alive.tolist():
        top = proteins_of(pages.activations, feature)
        if (
            top.height >= MIN_PROTEINS
            and pages.best.get(feature, {"validation_f1_per_domain": 0})["validation_f1_per_domain"]
            < UNNAMED_BELOW
        ):
            around = windows(pages.proteins, top.select("accession", "position").iter_rows(), FLANK)
            bits[feature] = float(position_weights(around).information.sum())
    return sorted(bits, key=lambda feature: (-bits[feature], feature))[:N_UNNAMED]


def described(pages: FeaturePages, shown: set[int]) -> list[int]:
    """Features without a concept whose description predicts best; see `TITLE`."""
    judged = pages.tables.judged
    assert judged is not None  # the shipped run has stage `interpret`
    best = judged.filter(given="description").sort(
        "pearson_low", "feature", descending=[True, False], nulls_last=True
    )
    without = [
        feature
        for feature in best["feature"].to_list()
        if feature not in shown
        and proteins_of(pages.activations, feature).height >= MIN_PROTEINS
        and pages.best.get(feature, {"validation_f1_per_domain": 0})["validation_f1_per_domain"]
        < DESCRIBED_BELOW
    ]
    return without[:N_DESCRIBED]


def overview(picks: list[Pick]) -> str:
    """A table of all, each linked to its sheet."""
    rows = [
        "| feature | concept | F1, validation | F1, test | 95 % | random SAE, test "
        "| neurons, test |",
        "|---|---|---|---|---|---|---|",
    ]
    for feature, scores in picks:
        link = f"[{feature}](#{anchor(feature, scores)})"
        rows.append(
            f"| {link} | {scores['concept']} | {figures(scores)} |"
            if scores
            else f"| {link} | none | | | | | |"
        )
    return "\n".join(rows)


def figures(scores: dict[str, Any]) -> str:
    interval = "" if scores["low"] is None else f"{scores['low']:.2f} to {scores['high']:.2f}"
    own = (
        f"{scores['validation_f1_per_domain']:.2f} | **{scores['f1_per_domain']:.2f}** | {interval}"
    )
    return " | ".join([own, *(f"{value:.2f}" for value in untrained(scores))])


def untrained(scores: dict[str, Any]) -> tuple[float, float]:
    """F1 on test of a random dictionary's best feature and of the best neuron, or 0."""
    return scores["controls"].get("random_sae", 0), scores["controls"].get("neurons", 0)


def heading(feature: int, scores: dict[str, Any] | None) -> str:
    return f"Feature {feature}: {scores['concept'] if scores else 'no concept'}"


def anchor(feature: int, scores: dict[str, Any] | None) -> str:
    """The link that Jupyter and GitHub make from the heading."""
    return heading(feature, scores).replace(" ", "-")


def words(pages: FeaturePages, feature: int, scores: dict[str, Any] | None) -> str:
    """What the run says about one feature: its figures, whether they hold, where it fires."""
    parts = (
        [verdict(scores), own_best(pages, feature, scores)]
        if scores
        else ["UniProtKB has no name for it."]
    )
    parts += [description(pages, feature), firing(pages, feature)]
    said = " ".join(part for part in parts if part)
    return f"## {heading(feature, scores)}\n\n{said}"


def description(pages: FeaturePages, feature: int) -> str:
    """What the run's describer says of it, and how well that predicts; "": nothing."""
    found = feature_words(pages.tables, feature)["descriptions"]
    if not found or not found[0]["summary"] or not found[0]["score"]:
        return ""
    score, null = found[0]["score"], found[0]["nulls"]["another description"]
    summary = found[0]["summary"].removesuffix(".")
    return (
        f"Described by statistics: *{escaped(summary)}*. On other proteins it predicts the "
        f"feature's maximum with r {score['pearson']:.2f} "
        f"({score['pearson_low']:.2f} to {score['pearson_high']:.2f}); descriptions of other "
        f"features reach {null['pearson']:.2f}."
    )


def escaped(text: str) -> str:
    """Text without Markdown's marks."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", text)


def verdict(scores: dict[str, Any]) -> str:
    """The pair's F1 on both splits, beside controls that need no trained SAE."""
    validation, test = scores["validation_f1_per_domain"], scores["f1_per_domain"]
    random, neurons = untrained(scores)
    text = (
        f"F1 {validation:.2f} on validation, **{test:.2f} on test** "
        f"({scores['n_instances']} instances, threshold {scores['threshold']:g})."
    )
    if test == 0:
        return f"{text} On test it finds nothing: the match on validation was luck."
    held = (
        "The choice holds on test."
        if test >= KEPT * validation
        else "Little of the choice holds on test."
    )
    worth = ": the match needs no trained SAE." if max(random, neurons) >= test else "."
    beside = (
        f"The best feature of a random dictionary reaches {random:.2f}, "
        f"the best neuron {neurons:.2f}"
    )
    return f"{text} {held} {beside}{worth}"


def own_best(pages: FeaturePages, feature: int, scores: dict[str, Any]) -> str:
    """The concept in blue, if it is another one: many features match a broad concept."""
    best = pages.best[feature]
    if best["concept"] == scores["concept"]:
        return ""
    share = pages.carried(best["concept"]).mean()
    return (
        f"Its own best concept, in blue, is {best['concept']} "
        f"(F1 {best['f1_per_domain']:.2f} on test), which {share:.0%} of all residues carry."
    )


def firing(pages: FeaturePages, feature: int) -> str:
    """On how many residues and proteins it is active, and the usual letter at maxima."""
    top = proteins_of(pages.activations, feature)
    n_active, n_residues = int(top["n_active"].sum()), pages.proteins.n_residues
    letters = [
        pages.proteins.sequence(accession)[position - 1]
        for accession, position in top.select("accession", "position").iter_rows()
    ]
    (letter, count) = Counter(sorted(letters)).most_common(1)[0]
    usual = (
        f" (in Swiss-Prot {BACKGROUND[AMINO_ACIDS.index(letter)]:.0%} of residues)"
        if letter in AMINO_ACIDS
        else ""
    )
    return (
        f"It is active on {n_active:,} of {n_residues:,} residues, "
        f"in {top.height} of {len(pages.proteins)} proteins; "
        f"the residue of the maximum is {letter} in {count} of them{usual}."
    )


def sheet(feature: int) -> str:
    """The code that draws one feature, with words for readers who cannot see the picture."""
    said = (
        f"Feature {feature}: histogram of activations, a structure, tracks of the strongest "
        "proteins."
    )
    return f'bench.selection.feature = {feature}\nChart(bench.figure(), "{said}")'


def fingerprint(run: Run) -> str:
    """The first 12 digits of a sha256 over the run's files."""
    files = sorted(
        path for path in run.folder.rglob("*") if path.is_file() and path.suffix != ".md"
    )
    lines = [f"{path.relative_to(run.folder).as_posix()} {file_hash(path)}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:12]


def execute(notebook: nbformat.NotebookNode) -> None:
    """Run all cells and shrink their pictures for the web."""
    from nbclient import NotebookClient

    with kernel_settings(lock_descriptor=-1) as settings:
        NotebookClient(
            notebook,
            kernel_manager_class=RunKernelManager,
            config=settings,
            timeout=600,
            store_widget_state=False,
        ).execute()
    clean(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":  # the words under each picture would be a dozen times the same
            cell.outputs = [o for o in cell.outputs if "image/png" in o.get("data", {})]
            for output in cell.outputs:
                output.data["image/png"] = smaller(output.data["image/png"])
                output.metadata = {}


def smaller(png: str, width: int = WIDTH) -> str:
    """A picture in base64, `width` pixels wide, with a palette, on no ground of its own."""
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    height = round(picture.height * width / picture.width)
    small = picture.resize((width, height), Image.Resampling.LANCZOS).quantize(
        COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
    ink, alpha = on_any_ground(np.array(small.getpalette("RGB")).reshape(-1, 3))
    small.putpalette(ink.tobytes())
    buffer = io.BytesIO()
    small.save(buffer, "PNG", optimize=True, transparency=alpha.tobytes())
    return base64.b64encode(buffer.getvalue()).decode()


def on_any_ground(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inks and their opacity, uint8 [n, 3] and [n], for colours [n, 3] that stood on white.

    The page is the ground: what was white shows it, a tint is a thin ink. On white all is as it
    was, but that no ink is darker than the grey that stands out equally from white and from a dark
    page, because a saved picture does not know which it will be on: untrusted notebooks keep no
    rules of style.
    """
    over_white = colours / 255
    grey = np.ptp(over_white, axis=1) < NEARLY_GREY  # a thin ink would show its tint
    over_white = np.where(grey[:, None], over_white.mean(axis=1, keepdims=True), over_white)
    light = _light(over_white)
    luminance = light @ LUMINANCE
    lifted = np.minimum(
        EQUALLY_FAR / np.maximum(luminance, 1e-9), 1 / np.maximum(light.max(axis=1), 1e-9)
    )
    light = light * np.maximum(lifted, 1)[:, None]
    luminance = light @ LUMINANCE
    white = np.maximum(EQUALLY_FAR - luminance, 0) / np.maximum(1 - luminance, 1e-9)
    light = light + white[:, None] * (1 - light)
    ink = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    thin, opaque = np.maximum(1 - ink.min(axis=1), 1e-9), np.ones(len(ink))
    for _ in range(20):  # as thin as it can be without being darker
        opacity = (thin + opaque) / 2
        enough = _light(_ink(ink, opacity)) @ LUMINANCE >= EQUALLY_FAR
        opaque = np.where(enough, opacity, opaque)
        thin = np.where(enough, thin, opacity)
    inked = np.rint(255 * _ink(ink, opaque)).astype(np.uint8)
    return inked, np.rint(255 * opaque).astype(np.uint8)


def _ink(over_white: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """The ink that, with some opacity, gives a colour on white; sRGB, 0 to 1."""
    return np.clip(1 - (1 - over_white) / opacity[:, None], 0, 1)


def _light(colours: np.ndarray) -> np.ndarray:
    """Linear light of sRGB colours, 0 to 1."""
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def _prose(name: str, text: str) -> nbformat.NotebookNode:
    return new_markdown_cell(text, id=name)


def _code(name: str, text: str) -> nbformat.NotebookNode:
    return new_code_cell(text, id=name)


if __name__ == "__main__":
    main()
