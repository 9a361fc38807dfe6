"""How another process loads the PLM that this one holds."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM


class PLMAddress(NamedTuple):
    """A model by name or path; weights never travel, their hash does.

    Attributes
    ----------
    name, device, dtype
        Arguments of `plm.load`.
    revision
        Of the weights that must be found; of the model before its weights were shuffled.
    shuffled
        Seed of the control with shuffled weights; None for the model itself.
    """

    name: str
    device: str
    dtype: str
    revision: str
    shuffled: int | None = None

    def load(self) -> "PLM":
        """The model. ValueError where the name gives other weights here."""
        from interplm_nb import plm

        model = plm.load(self.name, self.device, self.dtype)
        if model.revision != self.revision:
            raise ValueError(
                f"{self.name} has other weights on this machine ({model.revision}) than where the "
                f"work was started ({self.revision}); give both the same files"
            )
        return model if self.shuffled is None else model.shuffled(self.shuffled)


_ADDRESSES: dict[str, PLMAddress] = {}
"""Of the models that this process has loaded, by revision, which identifies the weights."""


def remember(model: "PLM", name_or_path: str | Path, device: str) -> None:
    """Called for every model that is loaded. What "auto" chose of the arithmetic stays: another
    machine would choose otherwise."""
    path = Path(name_or_path).expanduser()
    name = str(path.resolve() if path.exists() else name_or_path)
    dtype = str(model.dtype).removeprefix("torch.")
    _ADDRESSES[model.revision] = PLMAddress(name, device, dtype, model.revision)


def remember_shuffled(of: str, revision: str, seed: int) -> None:
    """Called when the weights of revision `of` are shuffled, which gives them another revision."""
    if of in _ADDRESSES:
        _ADDRESSES[revision] = _ADDRESSES[of]._replace(shuffled=seed)


def address_of(plm: "PLM") -> PLMAddress:
    """ValueError for a model that was made in this process, from no file."""
    if plm.revision not in _ADDRESSES:
        raise ValueError(
            f"other processes cannot load {plm.name}, which was made in this one: save it, load "
            "it with plm.load, or compute without a cluster"
        )
    return _ADDRESSES[plm.revision]
