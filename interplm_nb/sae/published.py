"""SAEs of protein language models that others published on the Hugging Face Hub: where they are,
and what their files do not say."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Published:
    """One repository of SAEs, a file per layer."""

    repository: str
    format: str
    """Name of the reader, of `importers.FORMATS`."""
    plm: str
    layers: tuple[int, ...]
    weights: str
    """The file of a layer, with {layer} in it."""
    config: str | None = None
    """The JSON next to it, if it has one."""
    k: Mapping[int, int] = field(default_factory=dict)
    """k by layer, where the file does not say it but its authors do elsewhere."""
    revision: str | None = None
    """A commit known to hold these files; where None, the newest is resolved and reported."""

    def files(self, layer: int, weights: str | None = None) -> list[str]:
        """The weights of a layer (or the file `weights`), and the JSON next to them."""
        if layer not in self.layers and weights is None:
            raise ValueError(
                f"{self.repository} has the layers {', '.join(map(str, self.layers))}, not "
                f"{layer}; "
                "take one of these, or name a file of it (--file)"
            )
        names = [weights or self.weights.format(layer=layer)]
        return [*names, self.config.format(layer=layer)] if self.config else names


_NORMALISED, _BESIDE = "layer_{layer}/ae_normalized.pt", "layer_{layer}/config.json"
_SHARD = "layer_{layer}.safetensors"

PUBLISHED = (
    Published(
        "Elana/InterPLM-esm2-8m",
        "interplm",
        "esm2_t6_8M_UR50D",
        (1, 2, 3, 4, 5, 6),
        _NORMALISED,
        _BESIDE,
    ),
    Published(
        "Elana/InterPLM-esm2-650m",
        "interplm",
        "esm2_t33_650M_UR50D",
        (1, 9, 18, 24, 30, 33),
        _NORMALISED,
        _BESIDE,
        revision="5121c4c7f3ad0b5fbe0f3b9a457969192bb9912f",
    ),
    Published(
        "liambai/InterProt-ESM2-SAEs",
        "interprot",
        "esm2_t33_650M_UR50D",
        (4, 8, 12, 16, 20, 24, 28, 32, 33),
        "esm2_plm1280_l{layer}_sae4096.safetensors",
        k=dict.fromkeys((4, 8, 12, 16, 20, 28, 32, 33), 64),
        revision="3ded2e51641df84d6b89f25430874e3a8eb42c24",
    ),
    Published(
        "biohub/ESMC-300M-sae-layer23-k64-codebook16384",
        "esmc",
        "ESMC-300M",
        (23,),
        _SHARD,
        "config.json",
    ),
    Published(
        "biohub/ESMC-600M-sae-layer27-k64-codebook16384",
        "esmc",
        "ESMC-600M",
        (27,),
        _SHARD,
        "config.json",
    ),
    Published(
        "biohub/ESMC-6B-sae-layer60-k64-codebook16384",
        "esmc",
        "ESMC-6B",
        (60,),
        _SHARD,
        "config.json",
    ),
)
"""InterProt's k is in the names under which its authors' site stores the results of a layer. For
layer 24 it is not: k must be given."""

BY_REPOSITORY = {entry.repository.lower(): entry for entry in PUBLISHED}
"""By lower-case name: the Hub ignores case."""
