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

from interplm_nb.figures.run_tables import (
    fidelity,
    in_words,
    interval,
    markdown,
    named,
    published,
    sources,
)
from interplm_nb.figures.steering.generation import shares_table
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import InterpretParameters, SteerParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import REQUIRED, STAGES
from interplm_nb.questions.explained import explained
from interplm_nb.stages.interpret import InterpretStage, interpret
from interplm_nb.stages.steer import steer

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *(ROOT / "docs" / f"{p}.md" for p in ("results", "interpretation")))


def unlabelled(run: Run) -> str:
    """The share of the features that fire on validation without any concept, by lowest F1."""
    table = run.table("concepts", "unlabelled")
    limits = table["limit"].unique().sort()
    return markdown(
        ("source", "features", *(f"F1 > {limit:g}" for limit in limits)),
        (
            (
                named(source),
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
    return markdown(
        ("method", *(f"first {k}" if k else "average precision" for k in ks)),
        (
            (
                _METHODS[method] if method in _METHODS else named(method),
                *(interval(r["precision"], r["low"], r["high"], 2) for r in part.to_dicts()),
            )
            for (method,), part in table.group_by("method", maintain_order=True)
        ),
    )


def differences(run: Run) -> str:
    """How far the SAE lies above each other source."""
    rows = run.table("concepts", "differences").iter_rows()
    return markdown(
        ("source", "SAE's mean best F1 minus its", "95 % over test clusters, not seeds"),
        ((named(s), f"{d:+.3f}", f"{low:+.3f} to {high:+.3f}") for s, d, low, high in rows),
    )


def best(run: Run) -> str:
    """The twelve best-matched concepts of the SAE."""
    table = run.table("concepts", "best").filter(source="sae", convention="strict")
    top = table.sort("f1_per_domain", "concept", descending=[True, False]).head(12)
    return markdown(
        ("concept", "feature", "threshold", "precision", "recall of instances", "F1 (95 %)"),
        (
            (
                row["concept"],
                str(row["feature"]),
                f"{row['threshold']:g}",
                f"{row['precision']:.2f}",
                f"{row['recall_per_domain']:.2f}",
                interval(row["f1_per_domain"], row["low"], row["high"], 2),
            )
            for row in top.iter_rows(named=True)
        ),
    )


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
    return markdown(("stage", "seconds", "peak memory (MiB)"), rows)


def steered(run: Run) -> str:
    """The generation of stage `steer`: a row for each condition."""
    found = steer(RunToRead.open(run.folder), SteerParameters.checked({}, "here")).generation
    assert found is not None
    return markdown(*shares_table(found))


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
    return markdown(("the judge is given", *map(named, sources)), rows)


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
    return markdown(("share of features whose description states", *map(named, parts)), rows)


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
    return markdown(("mean over features (chance)", *map(named, made.counts["source"])), rows)


def explanations(run: Run) -> str:
    """The share of active features that each kind of explanation covers, by source."""
    table = explained(run)
    sources = table["source"].unique(maintain_order=True).to_list()
    rows = [
        (by, *(_share(row) for row in part.to_dicts()))
        for (by,), part in table.group_by("by", maintain_order=True)
    ]
    n = [f"{table.filter(source=s)['features'][0]:,}" for s in sources]
    return markdown(("explained by", *map(named, sources)), [("(features that fire)", *n), *rows])


def _interpreted(run: Run) -> InterpretStage:
    return interpret(RunToRead.open(run.folder), InterpretParameters.checked({}, "build_results"))


def _median(row: dict[str, Any]) -> str:
    return interval(row["median_pearson"], row["median_low"], row["median_high"])


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
