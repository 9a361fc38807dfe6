"""The card of a run's SAE: its scores beside those of its controls, and what they rest on."""

import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from interplm_nb.concepts.scored_concepts import FEW_CLUSTERS
from interplm_nb.figures.run_tables import fidelity, in_words, markdown, published, sources
from interplm_nb.pipeline.model_note import model_note
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.export import HOW, grounds
from interplm_nb.saving import read_json

LIMITS = """\
- A match means that a feature and a concept coincide on proteins of test. It does not show
  that the PLM uses the feature: steering asks that.
- A residue without an annotation counts as one without the concept. Where annotations are
  incomplete, precision is too low.
- The figures are of these proteins, of this PLM and layer. Other proteins were not tested.
- Intervals are over homology clusters of test, not over trainings: another seed finds other
  features.
- A feature that matches no concept may still be of something that nobody annotated."""

_OF_REPOSITORY = """`features.tsv` has a row for every pair of a feature and a concept that reaches
its `min_f1` on validation, with the figures on test and the feature's statistics. Its header
explains each column and names the weights that it belongs to: it is refused with another SAE's:

    import interplm_nb as ipn
    from interplm_nb.concepts.exported import read_exported
    read_exported("sae/features.tsv", ipn.load_sae("sae").weight_hash).table"""

_OF_RUN = """`run.links()` has them. As a table to hand on, which names the weights that it
belongs to and is refused with another SAE's:

    from interplm_nb.questions.export import export_links
    export_links(run, "sae", "strict", "features.tsv")"""


def sae_card(run: Run, repository: str | None = None) -> str:
    """README.md for a run's trained SAE: `model_card` with scores, controls, data and limits.

    repository: owner/name on the Hub where the SAE lies, its table of features and concepts beside
    it; None: the SAE is in the run that ships. PipelineError for a run that was not scored.

    Examples
    --------
    >>> sae_card(Run.shipped(), "someone/my-sae").count("\\n## ")
    6
    """
    from interplm_nb.sae.model_card import model_card

    sae, model = run.sae(), run.model()
    assert sae.about is not None, "a saved SAE has about"
    licence = model.record.licence if model and model.record else ""
    stored = read_json(run.of_source("sae", "config"), "SAE", 3)["stored"]
    read_by = (
        "from interplm_nb import Run; run = Run.shipped(); sae = run.sae()"
        if repository is None
        else f"interplm-nb models get {repository} --out sae"
    )
    sections = {
        "Scores, with controls": _scores(run, stored),
        "What it keeps of the layer": fidelity(run),
        "Features and concepts": _OF_RUN if repository is None else _OF_REPOSITORY,
        "Data": _data(run, sae.about.training, licence),
        "Limits": "\n\n".join(filter(None, (LIMITS, model_note(sae.about.plm)))),
        "Licence": _licence(sae.about.plm, licence),
    }
    known = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    return model_card(sae, read_by, known)


def _scores(run: Run, stored: str) -> str:
    row = run.table("concepts", "comparison").row(
        by_predicate=(pl.col("source") == "sae") & (pl.col("convention") == "strict"), named=True
    )
    rounded = (
        ""
        if stored == "float32"
        else f"The weights here are rounded to {stored}; the figures are of those before rounding."
    )
    parts = [
        f"{row['n_concepts']} concepts are scored, with {row['concepts_scored']}; "
        f"{row['n_few_clusters']} rest on fewer than {FEW_CLUSTERS} homology clusters. The mean is "
        "over all of them: one that is not found counts as 0. In brackets: 95 % over homology "
        "clusters of test.",
        rounded,
        f"Convention `strict`: {HOW['strict']}.",
        sources(run),
        in_words(run),
        f"Convention `published`, {HOW['published']}.",
        published(run),
    ]
    return "\n\n".join(filter(None, parts))


def _data(run: Run, training: Mapping[str, Any], licence: str) -> str:
    counted = grounds(run, "sae", "strict")
    parts = run.splits()["split"].value_counts().sort("count", "split", descending=[True, False])
    splits = ", ".join(f"{n:,} {split}" for split, n in parts.iter_rows())
    whole = counted["annotations"] is not None
    rows = {
        "proteins that were scored": counted["sequences"],
        "annotations": counted["annotations"] or "not kept: this run was cut down to ship",
        "split by homology" if whole else "of these proteins, in this run": splits,
        "training": f"{training['steps']:,} steps of {training['batch_size']:,} residues",
        "PLM's licence": licence or "not stated",
    }
    return markdown(("", ""), [(name, str(value)) for name, value in rows.items()])


def _licence(plm: str, licence: str) -> str:
    if not licence:
        return (
            "The run does not state the licence of the PLM's weights: look it up before you use or "
            "share this SAE."
        )
    own = f"The weights of {plm} are licensed {licence} by their makers."
    if not re.search(r"\bNC\b|non-?commercial", licence, re.IGNORECASE):
        return own
    return (
        f"{own} They are not for commercial use. It is not settled whether what is computed with a "
        "model is a work derived from its weights: out of caution, treat this SAE, its scores and "
        "its table of features as under the same licence."
    )
