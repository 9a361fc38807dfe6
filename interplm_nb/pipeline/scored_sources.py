"""Sources whose features are scored against concepts, one record each: the SAE and its controls.

The record gives a source its files, its place in tables and its look in figures.
"""

from dataclasses import dataclass
from typing import Literal

CONVENTIONS = ("strict", "published")

MOST_SEEDS = 3
"""Seeds of the trained SAE at most, and of the random one always."""


@dataclass(frozen=True)
class ScoredSource:
    """What a run and its readers know of a source.

    >>> SOURCES["shuffled_sae"].words
    'SAE on the shuffled model'
    >>> SAES
    ('sae', 'shuffled_sae', 'random_sae')
    >>> SOURCES["random_sae"].members
    ('random_sae', 'random_sae/2', 'random_sae/3')
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
    kind: Literal["sae", "dense", "projection", "probe"]
    """An SAE, values as they are, directions found without labels, or with them."""
    made_by: str
    """Stage that writes its `about.json`."""
    published: bool = False
    """Whether the InterPLM paper scores it, and so the `published` convention."""
    shuffled: bool = False
    """Whether it reads the PLM with shuffled weights."""
    seeds: int = 1
    """How many of its kind are scored at most; tables show their mean. Views show the first."""
    reach: int | None = None
    """It reads the letters within this many residues, and no model; None: the embeddings."""

    @property
    def members(self) -> tuple[str, ...]:
        """Ids of all seeds: the source's own, then folders in its folder."""
        return (self.id, *(f"{self.id}/{n}" for n in range(2, self.seeds + 1)))


SOURCES = {
    source.id: source
    for source in (
        ScoredSource(
            "sae",
            name="SAE",
            words="SAE",
            colour="#0072B2",
            marker="o",
            kind="sae",
            made_by="train",
            published=True,
            seeds=MOST_SEEDS,
        ),
        ScoredSource(
            "neurons",
            name="neurons",
            words="model's neurons",
            colour="#E69F00",
            marker="s",
            kind="dense",
            made_by="activations",
            published=True,
        ),
        ScoredSource(
            "pca",
            name="PCA",
            words="principal components",
            colour="#009E73",
            marker="D",
            kind="projection",
            made_by="activations",
        ),
        ScoredSource(
            "ica",
            name="ICA",
            words="independent components",
            colour="#56B4E9",
            marker="P",
            kind="projection",
            made_by="activations",
        ),
        ScoredSource(
            "shuffled_sae",
            name="shuffled PLM",
            words="SAE on the shuffled model",
            colour="#6F6F6F",
            marker="^",
            kind="sae",
            made_by="train",
            published=True,
            shuffled=True,
        ),
        ScoredSource(
            "random_sae",
            name="random SAE",
            words="random SAE",
            colour="#CC79A7",
            marker="v",
            kind="sae",
            made_by="train",
            published=True,
            seeds=MOST_SEEDS,
        ),
        ScoredSource(
            "letters",
            name="letters",
            words="20 amino acids",
            colour="#000000",
            marker="X",
            kind="dense",
            made_by="activations",
            reach=0,
        ),
        ScoredSource(
            "window_3",
            name="window ±3",
            words="probe of the letters within 3 residues",
            colour="#882255",
            marker="<",
            kind="probe",
            made_by="concepts",
            reach=3,
        ),
        ScoredSource(
            "window_7",
            name="window ±7",
            words="probe of the letters within 7 residues",
            colour="#332288",
            marker=">",
            kind="probe",
            made_by="concepts",
            reach=7,
        ),
        ScoredSource(
            "linear_probe",
            name="linear probe",
            words="linear probe",
            colour="#D55E00",
            marker="|",
            kind="probe",
            made_by="concepts",
        ),
    )
}
"""By id, in the order of tables; figures draw in reverse, so that the SAE is on top. Colours are
Okabe and Ito's, and for the windows Tol's, which readers of every colour vision can distinguish."""

SAES = tuple(s.id for s in SOURCES.values() if s.kind == "sae")
"""The trained SAE, the same recipe on the PLM with shuffled weights, and a random SAE."""

SAE_CONTROLS = tuple(s for s in reversed(SAES) if s != "sae")

SEEDS = tuple(member for s in SAES for member in SOURCES[s].members)
"""`SAES`, each with all its seeds."""

DENSE = tuple(s.id for s in SOURCES.values() if s.kind == "dense")

PROJECTIONS = tuple(s.id for s in SOURCES.values() if s.kind == "projection")

MATCHED = tuple(s.id for s in SOURCES.values() if s.kind != "probe")
"""Sources whose features are matched to concepts."""

COUNTED = tuple(member for s in MATCHED for member in SOURCES[s].members)
"""`MATCHED`, each with all its seeds."""

PROBES = tuple(s.id for s in SOURCES.values() if s.kind == "probe")
"""References, not controls: one direction per concept, found with its labels."""


def scored_source(source: str) -> ScoredSource:
    """The record of a source; an unknown one, such as a rescored SAE, is a grey star by its id.

    A further seed has the record of its source.

    >>> scored_source("pca").name, scored_source("mine").name
    ('PCA', 'mine')
    """
    return SOURCES.get(source.split("/")[0]) or ScoredSource(
        source, source, source, "#6F6F6F", "*", "sae", "train"
    )
