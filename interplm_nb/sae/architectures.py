"""The kinds of SAE: what each does with its pre-activations.

With z = (x - b_dec) @ W_enc + b_enc, every kind gives activations f of 0 or more and x_hat = f @ W_dec + b_dec. Each is a record of what its equation
needs beside the weights; `sae.training.losses` says what each is trained with.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class ReLU:
    """f = max(z, 0), kept sparse by an L1 term in the loss (Bricken et al. 2023; InterPLM)."""

    name: ClassVar[str] = "relu"


@dataclass(frozen=True)
class TopK:
    """f = max(z, 0) on the `k` largest z of a residue, 0 elsewhere (Gao et al. 2024, arXiv 2406.04093)."""

    name: ClassVar[str] = "topk"
    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"TopK keeps at least 1 feature per residue, not k={self.k}")


@dataclass(frozen=True)
class BatchTopK:
    """f = z where z > theta, 0 elsewhere, with one theta of 0 or more for all features (Bussmann et al. 2024, arXiv 2412.06410).

    In training, f = max(z, 0) on the k * B largest z of a batch of B residues. theta, in the weight `threshold` [d_sae], is calibrated afterwards so
    that a residue has k active features on average: what a residue's features are never depends on the batch that it comes in.
    """

    name: ClassVar[str] = "batchtopk"
    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(
                f"BatchTopK keeps at least 1 feature per residue on average, not k={self.k}"
            )


@dataclass(frozen=True)
class Matryoshka(BatchTopK):
    """BatchTopK whose first features alone must reconstruct too (Bussmann et al. 2025, arXiv 2503.17547).

    `prefixes` are the numbers of features, ascending, that the loss decodes from; the last is d_sae.
    """

    name: ClassVar[str] = "matryoshka"
    prefixes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(
            self, "prefixes", tuple(int(m) for m in self.prefixes)
        )  # JSON gives a list
        if (
            not self.prefixes
            or self.prefixes[0] < 1
            or any(a >= b for a, b in zip(self.prefixes, self.prefixes[1:], strict=False))
        ):
            raise ValueError(
                f"Matryoshka's prefixes are numbers of features, ascending, the last of them d_sae; not {list(self.prefixes)}"
            )


@dataclass(frozen=True)
class JumpReLU:
    """f = z where z > theta, 0 elsewhere, with one theta of 0 or more per feature, the weight `threshold` [d_sae] (Rajamanoharan et al. 2024, arXiv
    2407.14435)."""

    name: ClassVar[str] = "jumprelu"


@dataclass(frozen=True)
class Gated:
    """f = max(exp(r_mag) * u + b_enc, 0) where u + b_gate > 0, 0 elsewhere, with u = (x - b_dec) @ W_enc (Rajamanoharan et al. 2024, arXiv
    2404.16014).

    `r_mag` and `b_gate` are weights [d_sae]; b_enc is the paper's b_mag.
    """

    name: ClassVar[str] = "gated"


Architecture = ReLU | TopK | BatchTopK | Matryoshka | JumpReLU | Gated
ARCHITECTURES: dict[str, type[Architecture]] = {
    kind.name: kind for kind in (ReLU, TopK, BatchTopK, Matryoshka, JumpReLU, Gated)
}
"""Each kind by its name."""


def record(architecture: Architecture) -> dict[str, Any]:
    """A JSON record, such as {"name": "topk", "k": 32}."""
    return {
        "name": architecture.name,
        **{key: list(v) if isinstance(v, tuple) else v for key, v in asdict(architecture).items()},
    }


def from_record(values: Mapping[str, Any], where: object) -> Architecture:
    """The kind that a record says; `where` (a file) is named when it says none."""
    try:
        return ARCHITECTURES[values["name"]](
            **{key: value for key, value in values.items() if key != "name"}
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{where}: no architecture {dict(values)!r} ({error}); there are {', '.join(ARCHITECTURES)}"
        ) from None
