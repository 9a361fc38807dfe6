"""Sources whose features are scored against concepts, one record each: the SAE and its controls.

The record gives a source its files, its place in tables and its look in figures.
"""

from dataclasses import dataclass
from typing import Literal

CONVENTIONS = ("strict", "published")


@dataclass(frozen=True)
class ScoredSource:
    """What a run and its readers know of a source.

    >>> SOURCES["shuffled_sae"].words
    'SAE on the shuffled model'
    >>> SAES
    ('sae', 'shuffled_sae', 'random_sae')
    """

    id: str
    """Folder under `sources/`, and value of `source` in tables."""
    name: str
    """In legends and on axes."""
    words: str
    """In sentences, after "the"."""
    colour: str
    marker: str
    """A marker of matplotlib."""
    kind: Literal["sae", "neurons", "projection", "probe"]
    """An SAE, the PLM's own dimensions, directions found without labels, or with them."""
    made_by: str
    """Stage that writes its `about.json`."""
    published: bool = False
    """Whether the InterPLM paper scores it, and so the `published` convention."""
    shuffled: bool = False
    """Whether it reads the PLM with shuffled weights."""


SOURCES = {
    source.id: source
    for source in (
        ScoredSource("sae", "SAE", "SAE", "#0072B2", "o", "sae", "train", published=True),
        ScoredSource(
            "neurons",
            "neurons",
            "model's neurons",
            "#E69F00",
            "s",
            "neurons",
            "activations",
            published=True,
        ),
        ScoredSource(
            "pca", "PCA", "principal components", "#009E73", "D", "projection", "activations"
        ),
        ScoredSource(
            "ica", "ICA", "independent components", "#56B4E9", "P", "projection", "activations"
        ),
        ScoredSource(
            "shuffled_sae",
            "shuffled PLM",
            "SAE on the shuffled model",
            "#6F6F6F",
            "^",
            "sae",
            "train",
            published=True,
            shuffled=True,
        ),
        ScoredSource(
            "random_sae",
            "random SAE",
            "random SAE",
            "#CC79A7",
            "v",
            "sae",
            "train",
            published=True,
        ),
        ScoredSource(
            "linear_probe",
            "linear probe",
            "linear probe (trained with the labels)",
            "#D55E00",
            "|",
            "probe",
            "concepts",
        ),
    )
}
"""By id, in the order of tables; figures draw in reverse, so that the SAE lies on top. Colours are
Okabe and Ito's, which readers of every colour vision tell apart."""

SAES = tuple(s.id for s in SOURCES.values() if s.kind == "sae")
"""The trained SAE, the same recipe on the PLM with shuffled weights, and a random SAE."""

SAE_CONTROLS = tuple(s for s in reversed(SAES) if s != "sae")

PROJECTIONS = tuple(s.id for s in SOURCES.values() if s.kind == "projection")

MATCHED = tuple(s.id for s in SOURCES.values() if s.kind != "probe")
"""Sources whose features are matched to concepts."""

PROBE = "linear_probe"
"""The upper bound: one direction of the embeddings per concept, found with its labels."""


def scored_source(source: str) -> ScoredSource:
    """The record of a source; an unknown one, such as a rescored SAE, is a grey star by its id.

    >>> scored_source("pca").name, scored_source("mine").name
    ('PCA', 'mine')
    """
    return SOURCES.get(source) or ScoredSource(
        source, source, source, "#6F6F6F", "*", "sae", "train"
    )
