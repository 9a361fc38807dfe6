"""Put the figures of a finished run into pages: of the demo into README.md, docs/results.md and
docs/interpretation.md.

    python scripts/build_results.py runs/demo
    python scripts/build_results.py runs/proteomes docs/proteomes.md

Each table is between two comments that name it; the text around them is written by hand.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from interplm_nb.figures.steering.generation import shares_table
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import InterpretParameters, SteerParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import scored_source
from interplm_nb.pipeline.stage_table import REQUIRED, STAGES
from interplm_nb.questions.explained import explained
from interplm_nb.stages.concept_summary import verdict
from interplm_nb.stages.interpret import InterpretStage, interpret
from interplm_nb.stages.steer import steer
from interplm_nb.stages.train import FAITHFUL

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *(ROOT / "docs" / f"{p}.md" for p in ("results", "interpretation")))


def sources(run: Run) -> str:
    """Each source's mean best F1 and what it finds."""
    table = run.table("concepts", "comparison").filter(convention="strict")
    return _table(
        (
            "source",
            "mean best F1",
            "without partial relatives",
            "features / concepts found",
            "by F1 > 0.5 alone",
            "mean AUPRC",
            "concepts above chance",
        ),
        (
            (
                _named(row["source"]),
                _interval(row["mean_f1_per_domain"], row["low"], row["high"]) + _range(row),
                f"{row['mean_f1_per_domain_no_partial_relatives']:.3f}",
                f"{row['features_found']} / {row['concepts_found']}",
                f"{row['features_found_by_f1_alone']} / {row['concepts_found_by_f1_alone']}",
                f"{row['mean_auprc']:.3f}",
                f"{row['concepts_above_chance']} of {row['n_concepts']}",
            )
            for row in table.iter_rows(named=True)
        ),
    )


def published(run: Run) -> str:
    """The paper's convention, for the sources that it scores."""
    table = run.table("concepts", "comparison").filter(convention="published")
    return _table(
        ("source", "mean best F1", "concepts averaged", "left out", "features / concepts F1 > 0.5"),
        (
            (
                _named(row["source"]),
                f"{row['mean_f1_per_domain']:.3f}",
                str(row["n_concepts"]),
                str(row["n_dropped"]),
                f"{row['features_found_by_f1_alone']} / {row['concepts_found_by_f1_alone']}",
            )
            for row in table.iter_rows(named=True)
        ),
    )


def unlabelled(run: Run) -> str:
    """The share of the features that fire on validation without any concept, by lowest F1."""
    table = run.table("concepts", "unlabelled")
    limits = table["limit"].unique().sort()
    return _table(
        ("source", "features", *(f"F1 > {limit:g}" for limit in limits)),
        (
            (
                _named(source),
                f"{part['alive'][0]:,}",
                *map(_percent, part["unlabelled"]),
            )
            for (source,), part in table.sort("limit").group_by("source", maintain_order=True)
        ),
    )


def refound(run: Run) -> str:
    """The share of hidden labels among the first k that each method ranks."""
    table = run.table("concepts", "refound_precision").sort("k", nulls_last=True)
    ks = table["k"].unique().sort(nulls_last=True)
    return _table(
        ("method", *(f"first {k}" if k else "average precision" for k in ks)),
        (
            (
                _METHODS[method] if method in _METHODS else _named(method),
                *(_interval(r["precision"], r["low"], r["high"], 2) for r in part.to_dicts()),
            )
            for (method,), part in table.group_by("method", maintain_order=True)
        ),
    )


def in_words(run: Run) -> str:
    """What the intervals of the differences amount to."""
    comparison = run.table("concepts", "comparison").filter(source="sae", convention="strict")
    return verdict(run.table("concepts", "differences"), comparison["seeds"].item())


def differences(run: Run) -> str:
    """How far the SAE lies above each other source."""
    rows = run.table("concepts", "differences").iter_rows()
    return _table(
        ("source", "SAE's mean best F1 minus its", "95 % over test clusters, not seeds"),
        ((_named(s), f"{d:+.3f}", f"{low:+.3f} to {high:+.3f}") for s, d, low, high in rows),
    )


def best(run: Run) -> str:
    """The twelve best-matched concepts of the SAE."""
    table = run.table("concepts", "best").filter(source="sae", convention="strict")
    top = table.sort("f1_per_domain", "concept", descending=[True, False]).head(12)
    return _table(
        ("concept", "feature", "threshold", "precision", "recall of instances", "F1 (95 %)"),
        (
            (
                row["concept"],
                str(row["feature"]),
                f"{row['threshold']:g}",
                f"{row['precision']:.2f}",
                f"{row['recall_per_domain']:.2f}",
                _interval(row["f1_per_domain"], row["low"], row["high"], 2),
            )
            for row in top.iter_rows(named=True)
        ),
    )


def fidelity(run: Run) -> str:
    """Loss recovered, quality and use of the SAE and of a random one."""
    measured, use = run.table("train", "fidelity"), run.table("train", "use")
    quality = run.table("train", "quality")
    rows = []
    for (measure,), part in measured.group_by("measure", maintain_order=True):
        by = {row["source"]: row for row in part.iter_rows(named=True)}
        cells = [by.get(source) for source in FAITHFUL]
        shown = [
            _interval(
                cell["loss_recovered"], cell["loss_recovered_low"], cell["loss_recovered_high"]
            )
            if cell
            else ""
            for cell in cells
        ]
        rows.append((f"loss recovered, {measure}", *shown))
    for name, words in (("fvu", "FVU, residues of validation"), ("l0", "L0")):
        rows.append((words, *(f"{_of(quality, s, name):.3g}" for s in FAITHFUL)))
    for name, words in (
        ("silent", "features silent on train"),
        ("rare", "rare: on fewer than 1 in 10,000 residues"),
        ("effective", "effective number of features"),
    ):
        rows.append((words, *(f"{_of(use, s, name):,.0f}" for s in FAITHFUL)))
    return _table(("", *map(_named, FAITHFUL)), rows)


def time(run: Run) -> str:
    """Seconds and peak memory of each stage."""
    rows: list[tuple[str, str, str]] = []
    seconds, memory = 0.0, 0
    for stage in (*REQUIRED, "steer"):
        record = run.manifest(stage)
        seconds += record["seconds"]
        memory = max(memory, record["peak_memory_bytes"])
        mebibytes = f"{record['peak_memory_bytes'] / 2**20:,.0f}"
        rows.append((STAGES[stage].folder, f"{record['seconds']:.0f}", mebibytes))
    rows.append(("all", f"{seconds:.0f}", f"{memory / 2**20:,.0f}"))
    return _table(("stage", "seconds", "peak memory (MiB)"), rows)


def steered(run: Run) -> str:
    """The generation of stage `steer`: a row for each condition."""
    found = steer(RunToRead.open(run.folder), SteerParameters.checked({}, "here")).generation
    assert found is not None
    return _table(*shares_table(found))


def judged(run: Run) -> str:
    """The median r of descriptions and of their nulls, and the mean errors, by source."""
    made = _interpreted(run)
    cell = {(row["source"], row["given"]): row for row in made.medians.to_dicts()}
    sources = made.counts["source"].to_list()
    rows = [
        (words, *(_median(cell[source, given]) for source in sources))
        for given, words in _GIVEN.items()
    ]
    errors = [
        f"{cell[s, 'description']['mean_error']:.3f}; {cell[s, 'the mean']['mean_error']:.3f}"
        for s in sources
    ]
    rows.append(("mean absolute error; of the mean", *errors))
    enough = [f"{row['n_enough']} of {row['n_alive']}" for row in made.counts.to_dicts()]
    rows.append(("features with enough examples, of those active", *enough))
    return _table(("the judge is given", *map(_named, sources)), rows)


def states(run: Run) -> str:
    """The share of features whose description states each kind of thing, by source."""
    made = _interpreted(run)
    parts = {s: made.descriptions.filter(source=s)["states"] for s in made.counts["source"]}
    said = {s: part.str.split(", ") for s, part in parts.items()}
    rows = [
        (words, *(_percent(part.list.contains(kind).mean()) for part in said.values()))
        for kind, words in _STATED.items()
    ]
    rows.append(("nothing", *(_percent((part == "").mean()) for part in parts.values())))
    return _table(("share of features whose description states", *map(_named, parts)), rows)


def told(run: Run) -> str:
    """Detection, fuzzing and intruder, by source."""
    made = _interpreted(run)
    rows = [
        (
            f"{score}, {part['measure'][0]} ({part['chance'][0]:g})",
            *(f"{mean:.3f}" for mean in part["mean"]),
        )
        for (score,), part in made.scores.group_by("score", maintain_order=True)
    ]
    return _table(("mean over features (chance)", *map(_named, made.counts["source"])), rows)


def explanations(run: Run) -> str:
    """The share of active features that each kind of explanation covers, by source."""
    table = explained(run)
    sources = table["source"].unique(maintain_order=True).to_list()
    rows = [
        (by, *(_share(row) for row in part.to_dicts()))
        for (by,), part in table.group_by("by", maintain_order=True)
    ]
    n = [f"{table.filter(source=s)['features'][0]:,}" for s in sources]
    return _table(("explained by", *map(_named, sources)), [("(features that fire)", *n), *rows])


def _interpreted(run: Run) -> InterpretStage:
    return interpret(RunToRead.open(run.folder), InterpretParameters.checked({}, "build_results"))


def _median(row: dict[str, Any]) -> str:
    return _interval(row["median_pearson"], row["median_low"], row["median_high"])


def _share(row: dict[str, Any]) -> str:
    return f"{_percent(row['share'])} ({row['explained']} of {row['tested']})"


def _percent(share: Any) -> str:
    return f"{share:.0%}".replace("%", " %")


_GIVEN = {
    "description": "the description",
    "another description": "another feature's",
    "no description": "the length alone",
    "composition": "length and composition",
}
_STATED = {
    "concept": "a concept",
    "word": "a word of names",
    "pattern": "a motif",
    "letters": "amino acids",
    "position": "a position",
    "period": "a period",
}
_METHODS = {
    "mmseqs2": "MMseqs2 to annotated proteins",
    "sae - mmseqs2": "SAE minus MMseqs2",
    "both": "SAE and MMseqs2 (rank fusion)",
    "random": "random order",
}

BLOCKS: dict[str, Callable[[Run], str]] = {
    "steered": steered,
    "sources": sources,
    "published": published,
    "unlabelled": unlabelled,
    "refound": refound,
    "verdict": in_words,
    "differences": differences,
    "best": best,
    "fidelity": fidelity,
    "judged": judged,
    "states": states,
    "told": told,
    "explanations": explanations,
    "time": time,
}


def filled(text: str, run: Run, names: Sequence[str] = tuple(BLOCKS)) -> str:
    """The text with each block that these names mark remade from the run.

    >>> print(filled("<!-- run: verdict -->\\n<!-- end -->", Run.shipped()).splitlines()[1][:20])
    The SAE's mean best
    """

    def block(match: re.Match[str]) -> str:
        name = match[1]
        if name not in names:
            return match[0]
        return f"<!-- run: {name} -->\n{BLOCKS[name](run)}\n<!-- end -->"

    return re.sub(r"<!-- run: (\w+) -->\n.*?<!-- end -->", block, text, flags=re.DOTALL)


def _named(source: str) -> str:
    words = scored_source(source).words
    return words[0].upper() + words[1:]


def _of(table: pl.DataFrame, source: str, column: str) -> float:
    return table.row(by_predicate=pl.col("source") == source, named=True)[column]


def _interval(value: float | None, low: float | None, high: float | None, digits: int = 3) -> str:
    if value is None:
        return "not defined"
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _range(row: dict[str, Any]) -> str:
    if row["lowest_seed"] is None:
        return ""
    return f"; {row['seeds']} seeds: {row['lowest_seed']:.3f} to {row['highest_seed']:.3f}"


def _table(head: Sequence[str], rows: Any) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("pages", nargs="*", type=Path, help="default: the pages of the demo")
    given = parser.parse_args()
    run = Run.open(given.run)
    for page in given.pages or PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8"), run), encoding="utf-8")
        print(page)


if __name__ == "__main__":
    main()
