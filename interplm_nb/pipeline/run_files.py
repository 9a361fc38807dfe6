"""The names of a run's files; `Run` opens them, and the records of the stages list them."""

import re
from typing import Literal

from interplm_nb.pipeline.scored_sources import CONVENTIONS

RECORD = "run.json"
PROTEINS = "proteins.parquet"
SPLITS = "splits.parquet"
EMBEDDINGS = "embeddings"
COMPARISON = "comparison"
LOOKED = "looked"
INTERPRETED = "interpreted"
NOTES = "notes"
STEERED = "steered"
STEERED_TEXT = "08_steer/recipe.toml"
BESIDE_STAGES = (
    RECORD,
    ".lock",
    ".hashes.json",
    "rescored",
    LOOKED,
    INTERPRETED,
    NOTES,
    STEERED,
    "00_explore.ipynb",
)
"""What a run holds besides the outputs of its stages."""

Content = Literal[
    "about",
    "sae",
    "config",
    "metrics",
    "fidelity",
    "checkpoints",
    "projection",
    "vectors",
    "activations",
    "maxima",
    "atlas",
    "scores",
    "active",
    "concepts",
    "links",
    "calibration",
    "evaluation",
    "statistics",
    "motifs",
    "known",
    "neighbours",
    "matches",
    "clusters",
    "hierarchy",
]
"""What a file of a source holds."""

_FILES: dict[Content, str] = {
    "about": "about.json",
    "sae": "sae.safetensors",
    "config": "config.json",
    "metrics": "metrics.jsonl",
    "fidelity": "fidelity.json",
    "checkpoints": "checkpoints",
    "projection": "projection.json",
    "vectors": "projection.safetensors",
    "activations": "activations",
    "maxima": "maxima.parquet",
    "atlas": "atlas.parquet",
    "scores": "scores.parquet",
    "active": "active.parquet",
    "concepts": "concepts.parquet",
    "links": "links.parquet",
    "calibration": "calibration.parquet",
    "evaluation": "evaluation.json",
    "statistics": "statistics.parquet",
    "motifs": "motifs.parquet",
    "known": "known_motifs.parquet",
    "neighbours": "neighbours.parquet",
    "matches": "matches.parquet",
    "clusters": "clusters.parquet",
    "hierarchy": "hierarchy.parquet",
}


FeatureTable = Literal[
    "statistics", "motifs", "known", "neighbours", "matches", "clusters", "hierarchy"
]
"""What stage `features` says of a source's features, in a table each."""


def annotations_file(convention: str) -> str:
    """The file of the annotations as parsed by a convention."""
    if convention not in CONVENTIONS:
        raise ValueError(f"a convention is one of {CONVENTIONS}, not {convention!r}")
    return "annotations.parquet" if convention == "strict" else "annotations_published.parquet"


def source_file(source: str, content: Content) -> str:
    """A file of a scored source, relative to the run.

    >>> source_file("sae", "maxima")
    'sources/sae/maxima.parquet'
    """
    return f"sources/{source}/{_FILES[content]}"


Interpretation = Literal["descriptions", "judged", "recognised"]
"""What is kept of features in words: the words, how they were judged, and what they tell."""

STATISTICAL = "statistical"
"""Whose descriptions of a sample stage `interpret` makes, as `interpreted_folder` takes it."""
STATISTICAL_FOUND = "statistical-found"
"""The same of features that match a concept, outside the sample: figures of the sample leave them
out because they lie elsewhere."""


def interpreted_folder(provider: str, source: str) -> str:
    """Where a source's features in words lie, relative to the run.

    >>> interpreted_folder("openai:gpt-5-mini", "sae")
    'interpreted/openai_gpt-5-mini/sae'
    """
    return f"{INTERPRETED}/{re.sub(r'[^A-Za-z0-9.-]+', '_', provider).lstrip('.')}/{source}"


def notes_file(source: str) -> str:
    """What people wrote of a source's features, relative to the run."""
    return f"{NOTES}/{source}.json"


def compared_file(label: str, content: Content) -> str:
    """A file of an SAE or a control of stage `compare`, relative to the run."""
    return f"{COMPARISON}/{label}/{_FILES[content]}"
