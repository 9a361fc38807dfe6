"""How a training runs, and what is done besides its steps. None of it is a setting of an SAE."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from interplm_nb.sae.model import SAE

Log = Callable[[Mapping[str, Any]], None]
Evaluate = Callable[[SAE], Mapping[str, float]]
Precision = Literal["auto", "float32", "bfloat16", "float64"]
_PRECISIONS = ("auto", "float32", "bfloat16", "float64")
_LOWEST_IS_BEST = ("loss", "reconstruction", "fvu", "silent_in_window", "ce", "kl")
_HIGHEST_IS_BEST = ("loss_recovered", "loss_recovered_published")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How a training runs, and what is done besides its steps. ValueError for what makes no sense.

    Examples
    --------
    >>> TrainingOptions(best="fvu", log_every=10).highest_is_best
    False
    """

    device: str = "auto"
    """"auto", "cpu", "cuda", "cuda:1", "mps"."""
    precision: Precision = "auto"
    """"auto" is bfloat16 autocast on a CUDA device that supports it, otherwise float32. "bfloat16"
    is for a processor that multiplies it, too: products of the encoder and dense ones of the
    gradients are in bfloat16, and so is the decoding of JumpReLU and Gated; all else is in
    float32."""
    spread: Literal["residues", "layers"] = "residues"
    """Under `torchrun`: every process trains all SAEs on its share of the residues, with averaged
    gradients, or each trains its own SAEs (`train` deals them out by layer)."""
    restart: bool = False
    """Discard what the folders hold of earlier trainings."""
    log: Log | None = None
    """Gets each line of metrics with the SAE's label: step, loss and its parts, fvu, l0,
    silent_in_window (share of the features that were active on none of the last `window` residues),
    moved, density, lr, tokens_per_second, and what `evaluate` measures."""
    log_every: int = 100
    """Steps between lines of metrics."""
    checkpoint_every: int = 1000
    """Steps between checkpoints."""
    keep: int = 2
    """Newest checkpoints kept of each SAE."""
    evaluate: Evaluate | None = None
    """Measures an SAE at the end and every `evaluate_every` steps; `fidelity.probe` makes one."""
    evaluate_every: int = 0
    """Steps between evaluations; 0 evaluates only at the end."""
    best: str | None = None
    """A metric: the weights with its best value so far are kept in `<folder>/best`."""
    best_is: Literal["lowest", "highest"] | None = None
    """Which value of `best` is the best; needed for metrics that this package does not know."""
    progress: bool = True
    """Show a progress bar."""

    def __post_init__(self) -> None:
        for name in ("log_every", "checkpoint_every", "keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.precision not in _PRECISIONS:
            raise ValueError(
                f"precision must be one of {', '.join(map(repr, _PRECISIONS))}; got "
                f"{self.precision!r}"
            )
        known = self._known_direction()
        if self.best is not None and (known is None or self.best_is not in (None, known)):
            raise ValueError(
                f"best={self.best!r}: is the lowest or the highest value the best? Give "
                f"best_is='lowest' or 'highest'; got {self.best_is!r}"
            )

    @property
    def highest_is_best(self) -> bool:
        """Is the best value of `best` the highest?"""
        return self._known_direction() == "highest"

    def _known_direction(self) -> str | None:
        if self.best in _LOWEST_IS_BEST:
            return "lowest"
        return "highest" if self.best in _HIGHEST_IS_BEST else self.best_is
