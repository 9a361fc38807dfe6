"""What a run is made of: its stages, what is scored, and which files each stage makes."""

from collections.abc import Iterable

from interplm_nb.pipeline.errors import PipelineError

STAGES = ("proteins", "embed", "train", "activations", "concepts")
"""The stages of every run, in order."""

ALL_STAGES = ("proteins", "embed", "train", "compare", "activations", "concepts")
"""The same with the optional one, which runs where a profile asks for it."""

STAGE_NAMES = {stage: f"{number:02d}_{stage}" for number, stage in enumerate(STAGES, 1)} | {
    "compare": "03b_compare"
}

SAES = ("sae", "shuffled_sae", "random_sae")
"""Sources with an SAE: the trained one, the same recipe on the PLM with shuffled weights, and the random one."""

PROJECTIONS = ("pca", "ica")
"""Sources that are directions of the embeddings, found without labels."""

SOURCES = ("sae", "neurons", *PROJECTIONS, "shuffled_sae", "random_sae")
"""Everything whose features are matched to concepts, in the order of tables."""

PROBE = "linear_probe"
"""The upper bound: one direction of the embeddings per concept, found with its labels."""

CONVENTIONS = ("strict", "published")

IN_PUBLISHED = ("sae", "neurons", "shuffled_sae", "random_sae")
"""Sources that the paper has, so that `published` has them."""

_PROJECTION = ("projection.safetensors", "projection.json", "about.json")
_TRAINED = (
    "sae.safetensors",
    "config.json",
    "about.json",
    "metrics.jsonl",
    "fidelity.json",
    "checkpoints",
)

OUTPUTS = {
    "proteins": (
        "proteins.parquet",
        "annotations.parquet",
        "annotations_published.parquet",
        "splits.parquet",
    ),
    "embed": ("embeddings",),
    "train": tuple(f"sources/{s}/{f}" for s in SAES for f in _TRAINED),
    "compare": ("comparison",),
    "activations": (
        *(f"sources/{s}/activations" for s in SAES),
        *(f"sources/{s}/maxima.parquet" for s in (*SAES, "neurons")),
        *(f"sources/{s}/{f}" for s in PROJECTIONS for f in _PROJECTION),
        "sources/neurons/about.json",
        "sources/sae/atlas.parquet",
    ),
    "concepts": (
        *(f"sources/{s}/{f}.parquet" for s in SOURCES for f in ("scores", "active", "concepts")),
        *(f"sources/{PROBE}/{f}" for f in _PROJECTION),
        *(f"sources/sae/{f}.parquet" for f in ("links", "calibration")),
    ),
}


def annotations_name(convention: str) -> str:
    """File of the annotations parsed by a convention."""
    if convention not in CONVENTIONS:
        raise ValueError(f"a convention is one of {CONVENTIONS}, not {convention!r}")
    return "annotations.parquet" if convention == "strict" else "annotations_published.parquet"


def check_stages(stages: Iterable[str]) -> None:
    """Refuse a stage that is not one."""
    for stage in stages:
        if stage not in ALL_STAGES:
            raise PipelineError(f"no stage {stage!r}; stages are {', '.join(ALL_STAGES)}")
