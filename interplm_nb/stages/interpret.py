"""Stage `interpret`: what features respond to, in words, and how well the words predict it.

The stage describes without a language model, for the trained SAE and its controls. Figures are of
a sample; features that match a concept are described apart from it, as people look at them first.
`interpret_with` does the same with one, for `interplm-nb interpret`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.interpret.choose import Chosen, choose
from interplm_nb.interpret.explain import (
    Explained,
    Subject,
    Terms,
    explain,
    explain_statistically,
    explained_of,
    planned,
    subjects,
)
from interplm_nb.interpret.judge import medians
from interplm_nb.interpret.known import Known
from interplm_nb.interpret.recognition import average_scores
from interplm_nb.interpret.recorded import Recorded
from interplm_nb.interpret.sampling import Sizes
from interplm_nb.interpret.spending import Metered, Price, estimated_tokens
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import InterpretParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_files import (
    STATISTICAL,
    STATISTICAL_FOUND,
    Interpretation,
    interpreted_folder,
)
from interplm_nb.pipeline.scored_sources import SAES
from interplm_nb.readers.structure_labels import structure_labels
from interplm_nb.readers.structure_list import structures_in
from interplm_nb.saving import write_parquet

TABLES: tuple[Interpretation, ...] = ("descriptions", "judged", "recognised")
"""Tables of `Explained`, as files."""


@dataclass(frozen=True)
class InterpretStage:
    """What stage `interpret` made; every table has a column `source`.

    `descriptions`, `judged`, `recognised`: as in `interpret.explain.Explained`. `counts`: n_alive,
    features that fire; n_enough, of these, with enough examples; n_drawn, of these, chosen;
    n_described, of these, with enough examples in either half. `medians`: of `judged`
    (`interpret.judge.medians`). `scores`: of `recognised` (`interpret.recognition.average_scores`).
    `found`: what was said of the trained SAE's features that match a concept and are not among
    these, without a column `source`; no other table holds or counts them.
    """

    descriptions: pl.DataFrame
    judged: pl.DataFrame
    recognised: pl.DataFrame
    counts: pl.DataFrame
    medians: pl.DataFrame
    scores: pl.DataFrame
    found: Explained


class Prepared(NamedTuple):
    """One source's features with their examples, and what is known of the proteins."""

    subjects: list[Subject]
    activations: FeatureActivations
    known: Known
    clusters: np.ndarray
    chosen: Chosen
    n_drawn: int
    """Features that were chosen, those left out for too few examples in a half included."""


class Calls(NamedTuple):
    """How a language model is called."""

    provider: str
    """ "PROVIDER:MODEL"."""
    base_url: str | None = None
    replay: bool = False
    """Whether only recorded calls answer."""
    price: Price | None = None
    dollars: float | None = None
    tokens: float | None = None
    at_once: int = 4
    per_minute: float | None = None


def interpret(run: Run, params: InterpretParameters) -> InterpretStage:
    """Describe features of each SAE by statistics of half of the proteins; judge the descriptions
    on the other half, with nulls. Features that match a concept (`found` of stage `concepts`) are
    described apart, against the others' statements."""
    if isinstance(run, RunToRead):
        return _made(run)
    manifest.begin(run, params)
    known, terms = _known(run, params), terms_of(params)
    counts = []
    for source in (s for s in SAES if s in run.with_activations()):
        # As many features of a control as of the trained SAE, which has the concepts.
        wanted = f"random:{counts[0]['n_described']}" if counts else params.features
        ready = _prepared(run, source, wanted, terms, known)
        write_explained(run, explain_statistically(*ready[:4], terms), place(run, source))
        if source == "sae" and params.found:
            out = place(run, source, STATISTICAL_FOUND)
            write_explained(run, _of_found(run, ready, terms), out)
        chosen = ready.chosen
        row = {"source": source, "n_alive": chosen.n_alive, "n_enough": chosen.n_enough}
        counts.append(row | {"n_drawn": ready.n_drawn, "n_described": len(ready.subjects)})
    run.write_table("interpret", "counts", pl.DataFrame(counts))
    run.write_summary("interpret", device="cpu", n_described=counts[0]["n_described"])
    return _made(run)


def prepared(run: Run, source: str, params: InterpretParameters) -> Prepared:
    """The features of one source that `params` choose, with their examples and statistics."""
    return _prepared(run, source, params.features, terms_of(params), _known(run, params))


def interpret_with(
    run: Run, ready: Prepared, params: InterpretParameters, calls: Calls, out: Path
) -> Explained:
    """Describe and judge features with a language model; write tables and every call to `out`.

    A call that `out` holds already is not repeated. Tables are written even if a budget or a
    model's failure ends the work early (`Explained.stopped`).

    Raises
    ------
    interplm_nb.interpret.asking.ModelError
        Where the model cannot be used at all: no key, no such provider.
    """
    from interplm_nb.interpret.provider import Provider

    model = None
    if not calls.replay:
        asked = Provider(calls.provider, calls.base_url)
        model = Metered(asked, calls.price, calls.dollars, calls.tokens, calls.per_minute)
    recorded = Recorded(out / "calls", calls.provider, model)
    found = explain(*ready[:4], recorded, terms_of(params), calls.at_once)
    write_explained(run, found, out)
    return found


def write_explained(run: Run, found: Explained, out: Path) -> None:
    """Write the tables of `found` to a folder."""
    about = {"version": 1, "sequences": run.proteins().sequence_hash}
    for name, table in zip(TABLES, found[:3], strict=True):
        write_parquet(table, out / f"{name}.parquet", {"type": "Interpretation", **about})


def place(run: Run, source: str, provider: str = STATISTICAL) -> Path:
    """Where a source's descriptions are in a run, whether or not they are there."""
    return run.folder / interpreted_folder(provider, source)


class Plan(NamedTuple):
    """What calls will take, before one is made."""

    calls: int
    input_tokens: int
    output_tokens: int

    def text(self, price: Price | None) -> str:
        """In a sentence."""
        cost = (
            f"about ${price.of(self.input_tokens, self.output_tokens):.2f}"
            if price
            else "no price is known for this model: give --price INPUT,OUTPUT"
        )
        return (
            f"{self.calls:,} calls, about {self.input_tokens:,} tokens in and "
            f"{self.output_tokens:,} out, {cost}; answers that must be requested again come on top"
        )


def plan(ready: Prepared, params: InterpretParameters) -> Plan:
    """Count what `interpret_with` would ask, calls on record included."""
    of, activations, known = ready[:3]
    calls = planned(of, activations, known, terms_of(params))
    return Plan(
        len(calls),
        sum(estimated_tokens(call.messages) for call in calls),
        sum(call.expected_output for call in calls),
    )


def terms_of(params: InterpretParameters) -> Terms:
    """What describers and judges see, and what is drawn."""
    return Terms(
        params.sees,
        params.judge_sees,
        Sizes(per_bin=params.per_bin),
        close=params.close,
        twice=params.twice,
        seed=params.seed,
    )


def _known(run: Run, params: InterpretParameters) -> Known:
    proteins, labels = run.proteins(), None
    for path in params.paths().values():
        labels = structure_labels(proteins, structures_in(path, proteins))
        if not labels.accessions:
            why = labels.read["why_not"].drop_nulls()
            raise PipelineError(
                f"interpret.structures: none of {path} labels a protein of {run.folder} ("
                + (why[0] if len(why) else "it has no structure of these proteins")
                + "); give others, or leave it out"
            )
    return Known(proteins, run.annotations(), labels)


def _prepared(run: Run, source: str, features: str, terms: Terms, known: Known) -> Prepared:
    run.source(source)  # refuses a name that is not there
    raw = run.activations(source)
    activations = raw.relative_to(raw.largest())
    cluster_of = dict(run.splits().select("accession", "cluster").iter_rows())
    clusters = np.array([cluster_of[accession] for accession in activations.proteins.accessions])
    try:
        best = _best_f1(run, source) if "f1:" in features else {}
        chosen = choose(features, activations, best, terms.sizes, terms.seed)
    except ValueError as error:
        raise PipelineError(f"features: {error}") from error
    found, few = subjects(activations, chosen.features, known, clusters, terms)
    n_drawn = len(chosen.features)
    chosen = chosen._replace(
        features=tuple(subject.found.feature for subject in found),
        left_out=(*chosen.left_out, *few),
    )
    return Prepared(found, activations, known, clusters, chosen, n_drawn)


def _of_found(run: Run, ready: Prepared, terms: Terms) -> Explained:
    """What is said of the features that match a concept with support and are not in `ready`."""
    matching = run.table("concepts", "found").filter(source="sae", convention="strict")
    sample = {subject.found.feature for subject in ready.subjects}
    apart = [f for f in matching["feature"].unique().sort().to_list() if f not in sample]
    _, activations, known, clusters = ready[:4]
    of, _ = subjects(activations, apart, known, clusters, terms)
    return explain_statistically(of, activations, known, clusters, terms, ready.subjects)


def _best_f1(run: Run, source: str) -> Mapping[int, float]:
    """F1 of each feature's best concept on test, among pairs that are linked."""
    if source != "sae":
        raise PipelineError(
            f"features: f1 is of concepts that are linked to the trained SAE ('sae'), not to "
            f"{source!r}; choose by random, ids or all"
        )
    best = run.links().table.group_by("feature").agg(pl.col("f1_per_domain").max())
    return dict(best.sort("feature").iter_rows())


def _made(run: Run) -> InterpretStage:
    """Read what the stage has made."""
    counts = run.table("interpret", "counts")
    tables = {
        name: pl.concat(
            run.interpretation(name, source).select(pl.lit(source).alias("source"), pl.all())
            for source in counts["source"]
        )
        for name in TABLES
    }
    return InterpretStage(
        **tables,
        counts=counts,
        medians=_by_source(tables["judged"], medians),
        scores=_by_source(tables["recognised"], average_scores),
        found=_found(run),
    )


def _found(run: Run) -> Explained:
    """What `_of_found` wrote; empty tables where it was not asked for."""
    if not place(run, "sae", STATISTICAL_FOUND).is_dir():
        return explained_of([], [], [], STATISTICAL)
    said, judged, told = (run.interpretation(t, "sae", STATISTICAL_FOUND) for t in TABLES)
    return Explained(said, judged, told, "")


def _by_source(
    table: pl.DataFrame, summarised: Callable[[pl.DataFrame], pl.DataFrame]
) -> pl.DataFrame:
    parts = [
        summarised(part.drop("source")).select(pl.lit(source).alias("source"), pl.all())
        for (source,), part in table.group_by("source", maintain_order=True)
    ]
    return pl.concat(parts) if parts else pl.DataFrame()
