"""The model of a run."""

from typing import NamedTuple

from interplm_nb.plm.record import ModelRecord


class RunModel(NamedTuple):
    """The model that a run was made with, as `run.json` keeps it."""

    asked: str
    """What the profile or the person requested, such as "auto"."""
    weights: str
    """What `plm.load` takes; the name of the file where embeddings came from arrays."""
    record: ModelRecord | None
    """What the model declares; None where embeddings came from arrays without a model."""

    @property
    def name(self) -> str:
        """The model's name, or that of the arrays."""
        return self.record.name if self.record else self.weights
