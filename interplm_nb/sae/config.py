"""Settings of one SAE's training, and the recipes: settings that belong together, by name."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from interplm_nb.sae.architectures import (
    Architecture,
    BatchTopK,
    Gated,
    JumpReLU,
    Matryoshka,
    ReLU,
    TopK,
)

_CHOICES = {
    "reconstruction": ("squared", "norm"),
    "encoder_init": ("tied", "linear", "linear, b_enc 0"),
    "b_dec_init": ("zero", "mean", "geometric median"),
    "scaling": ("none", "scalar", "dimension"),
    "dead": ("none", "auxk", "resample by error", "resample at random"),
}


@dataclass(frozen=True)
class SAEConfig:
    """One SAE and how it is trained. The same settings on the same batches give the same weights
    (on a CPU, bit for bit).

    `SAEConfig.recipe` gives the settings of a published recipe; each of them can be changed.

    Examples
    --------
    >>> SAEConfig(TopK(32), d_sae=2048, layer=3).label
    'layer_03-topk-k32-d2048-s0'
    """

    architecture: Architecture
    d_sae: int
    """Features; InterPLM has 32 times (8M) or 8 times (650M) d_in."""
    layer: int | None = None
    """Layer of the PLM; None where the batches are of one layer."""
    target: int | None = None
    """Layer whose representation a transcoder writes; None: what is read is reconstructed."""
    name: str = ""
    """Names its folder; where empty, `label` is made of layer, architecture and seed."""
    recipe_name: str = "custom"
    reconstruction: Literal["squared", "norm"] = "squared"
    """Mean over residues of ||x - x_hat||^2, or of ||x - x_hat||."""
    sparsity: float = 0.0
    """Weight of the sparsity term: the L1 norm (ReLU, Gated) or (L0 / target_l0 - 1)^2
    (JumpReLU)."""
    sparsity_warmup: float = 0.05
    """Share of the steps over which that weight rises linearly from 0."""
    target_l0: float = 32
    """Active features per residue that JumpReLU is driven to."""
    bandwidth: float = 0.001
    """Width of the kernel through which JumpReLU's thresholds get a gradient."""
    lr: float = 2e-4
    lr_warmup: float = 0.05
    """Share of the steps over which lr rises linearly from 0."""
    lr_decay_from: float = 1.0
    """Share of the steps after which lr falls linearly to 0; at 1 it stays."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's decay rates."""
    clip_norm: float | None = 1.0
    """Largest norm of the gradient; None does not clip."""
    clip_before_projection: bool = False
    """Clip before the part of the gradient along each atom is removed, not after."""
    unit_norm: bool = True
    """Keep atoms at norm 1, and remove from their gradients the part along them."""
    encoder_init: Literal["tied", "linear", "linear, b_enc 0"] = "tied"
    """The decoder's transpose with b_enc 0, or torch's Linear default: uniform within
    1 / sqrt(d_in), with b_enc alike or 0."""
    b_dec_init: Literal["zero", "mean", "geometric median"] = "mean"
    """Start of b_dec: 0, or a centre of the first batches."""
    scaling: Literal["none", "scalar", "dimension"] = "none"
    """Scale inputs to mean squared distance 1 from their mean, by one factor or per dimension; the
    scale is folded into the weights when they are saved."""
    dead: Literal["none", "auxk", "resample by error", "resample at random"] = "auxk"
    """How features that do not fire are revived."""
    dead_after_tokens: int | None = None
    """Residues without an activation after which AuxK revives a feature; None: a share of the
    training (`revived_after`)."""
    auxk_alpha: float = 1 / 32
    """Weight of AuxK."""
    resample_every: int = 0
    """Steps between resamplings of features that were silent for half of these steps; lr warms up
    again after each."""
    seed: int = 0
    """Seed of the first weights and of resampling."""

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(map(repr, choices))}; got "
                    f"{getattr(self, name)!r}"
                )
        if self.d_sae < 1:
            raise ValueError(f"d_sae must be at least 1; got {self.d_sae}")
        if self.sparsity > 0 and not self.architecture.has_sparsity_term:
            raise ValueError(
                f"{self.architecture.name} is sparse by its k and has no sparsity term; leave "
                "sparsity at 0"
            )
        if self.dead_after_tokens is not None and self.dead_after_tokens < 1:
            raise ValueError(f"dead_after_tokens must be at least 1; got {self.dead_after_tokens}")
        if self.target is not None and self.target == self.layer:
            raise ValueError(
                f"layer {self.layer} is read and is the target; a transcoder writes another layer, "
                "an SAE needs no target"
            )
        if self.lr <= 0:
            raise ValueError(f"lr must be above 0; got {self.lr}")
        if self.dead.startswith("resample") and self.resample_every < 1:
            raise ValueError(
                f"dead={self.dead!r} needs resample_every, the steps between resamplings"
            )
        if self.name and not re.fullmatch(r"[\w.+-]+", self.name):
            raise ValueError(
                "an SAE's name must be letters, digits, '.', '_', '+' and '-', as it names a "
                "folder; "
                f"got {self.name!r}"
            )
        object.__setattr__(self, "betas", tuple(self.betas))

    @classmethod
    def recipe(
        cls,
        recipe: str,
        d_sae: int,
        /,
        *,
        k: int | None = None,
        prefixes: tuple[int, ...] | None = None,
        **changes: Any,
    ) -> Self:
        """The settings of a published recipe, with changes.

        Parameters
        ----------
        recipe
            One of `RECIPES`.
        d_sae
            Features.
        k
            Active features per residue of TopK, BatchTopK and Matryoshka, and JumpReLU's target_l0;
            32 unless given.
        prefixes
            Of Matryoshka; d_sae / 16, / 8, / 4, / 2 and d_sae unless given.
        **changes
            Other fields.

        Examples
        --------
        >>> SAEConfig.recipe("topk", 2048, k=16, layer=3, seed=1).label
        'layer_03-topk-k16-d2048-s1'
        """
        if recipe not in RECIPES:
            raise ValueError(f"unknown recipe {recipe!r}; take one of {', '.join(RECIPES)}")
        config = cls(**RECIPES[recipe](d_sae, 32 if k is None else k), recipe_name=recipe)
        if prefixes is not None:
            if not isinstance(config.architecture, Matryoshka):
                raise ValueError(f"prefixes are for the recipe 'matryoshka', not {recipe!r}")
            changes["architecture"] = Matryoshka(config.architecture.k, prefixes)
        return replace(config, **changes)

    @property
    def label(self) -> str:
        """`name`, or one made of layer, architecture, sparsity and seed, such as
        "layer_03-topk-k32-d2048-s0"."""
        if self.name:
            return self.name
        layer = [] if self.layer is None else [f"layer_{self.layer:02d}"]
        layer += [] if self.target is None else [f"to_{self.target:02d}"]
        return "-".join(
            [*layer, self.architecture.name, self.sparsity_label, f"d{self.d_sae}", f"s{self.seed}"]
        )

    @property
    def sparsity_label(self) -> str:
        """The setting that decides how sparse it is: "k32", "l0.1" or "t32"."""
        return self.architecture.sparsity_label(self)

    def lr_at(self, step: int, steps: int) -> float:
        """Learning rate of a step (from 0) of `steps`; the first warm-up step has lr 0, as in
        InterPLM's code."""
        since = step % self.resample_every if self.dead.startswith("resample") else step
        lr = self.lr * _rise(since, self.lr_warmup, steps)
        decay_from = int(self.lr_decay_from * steps)
        if step >= decay_from and self.lr_decay_from < 1:
            return lr * (steps - step) / (steps - decay_from)
        return lr

    def revived_after(self, residues: int) -> int:
        """Residues without an activation after which AuxK revives a feature, in a training on
        `residues` residues.

        Unless `dead_after_tokens` says otherwise, a sixth of the training, at most the 10 million
        of Gao et al. 2024: a fixed number that suits billions of tokens is never reached in a
        short training.

        Examples
        --------
        >>> SAEConfig.recipe("topk", 1024).revived_after(300 * 2048)
        102400
        """
        if self.dead_after_tokens is not None:
            return self.dead_after_tokens
        return min(max(1, residues // 6), 10_000_000)

    def sparsity_at(self, step: int, steps: int) -> float:
        """Weight of the sparsity term at a step."""
        return self.sparsity * _rise(step, self.sparsity_warmup, steps)

    def record(self) -> dict[str, Any]:
        """A JSON record."""
        return {
            **asdict(self),
            "architecture": self.architecture.record(),
            "betas": list(self.betas),
        }


def _rise(step: int, share: float, steps: int) -> float:
    rising = int(share * steps)
    return min(step / rising, 1.0) if rising else 1.0


def _gao(d_sae: int, architecture: Architecture) -> dict[str, Any]:
    return {"architecture": architecture, "d_sae": d_sae, "lr": 2e-4 / (d_sae / 2**14) ** 0.5}


def _interplm_paper(d_sae: int, _: int) -> dict[str, Any]:
    return {
        "architecture": ReLU(),
        "d_sae": d_sae,
        "reconstruction": "norm",
        "sparsity": 0.1,
        "lr": 1e-4,
        "clip_norm": None,
        "encoder_init": "linear",
        "b_dec_init": "zero",
        "dead": "none",
    }


def _interplm_v1(d_sae: int, k: int) -> dict[str, Any]:
    changes = {
        "lr": 2e-4,
        "sparsity": 0.06,
        "lr_decay_from": 0.5,
        "clip_norm": 1.0,
        "clip_before_projection": True,
        "encoder_init": "linear, b_enc 0",
    }
    return _interplm_paper(d_sae, k) | changes


def _topk(d_sae: int, k: int) -> dict[str, Any]:
    return _gao(d_sae, TopK(k))


def _batchtopk(d_sae: int, k: int) -> dict[str, Any]:
    return _gao(d_sae, BatchTopK(k))


def _matryoshka(d_sae: int, k: int) -> dict[str, Any]:
    prefixes = sorted({max(1, d_sae // share) for share in (16, 8, 4, 2, 1)})
    return _gao(d_sae, Matryoshka(k, tuple(prefixes)))


def _jumprelu(d_sae: int, k: int) -> dict[str, Any]:
    own = {
        "sparsity": 1.0,
        "sparsity_warmup": 0.2,
        "target_l0": float(k),
        "betas": (0.0, 0.999),
        "scaling": "scalar",
    }
    return _gao(d_sae, JumpReLU()) | own


def _gated(d_sae: int, _: int) -> dict[str, Any]:
    return _gao(d_sae, Gated()) | {
        "sparsity": 0.02,
        "betas": (0.0, 0.999),
        "scaling": "scalar",
        "b_dec_init": "geometric median",
    }


RECIPES: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "interplm-paper": _interplm_paper,
    "interplm-v1": _interplm_v1,
    "topk": _topk,
    "batchtopk": _batchtopk,
    "jumprelu": _jumprelu,
    "gated": _gated,
    "matryoshka": _matryoshka,
}
"""Settings by recipe, from (d_sae, k).

"interplm-paper": as InterPLM's first release: ReLU with mean L2 norm + 0.1 * mean L1 norm, no
clipping, constant lr (Simon & Zou 2025).
"interplm-v1": the same loss as its later release trains it: lr falls to 0 over the second half,
gradients are clipped before they are projected.
"topk": Gao et al. 2024, with AuxK / 32 and lr 2e-4 / sqrt(d_sae / 16384); "batchtopk" and
"matryoshka" (Bussmann et al. 2024, 2025) likewise.
"jumprelu": (L0 / target - 1)^2 on the straight-through L0 (Rajamanoharan et al. 2024b, with the
target of Anthropic's and InterPLM's variants).
"gated": Rajamanoharan et al. 2024a: squared error, L1 of the gate, and the gate's own
reconstruction through the frozen decoder.
"""
