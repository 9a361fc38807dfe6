"""The conditions of a generation: steered, unsteered, and what steering is compared with."""

from collections.abc import Iterator
from dataclasses import dataclass

from interplm_nb.steering import controls
from interplm_nb.steering.experiments.generation.judging import Judging
from interplm_nb.steering.experiments.generation.kinds import Kind
from interplm_nb.steering.experiments.generation.settings import GenerationSettings
from interplm_nb.steering.generate import Lane
from interplm_nb.steering.intervene import Change
from interplm_nb.steering.steered_layer import SteeredLayer


@dataclass(frozen=True)
class Condition:
    """Sequences drawn under the same changes."""

    kind: Kind
    strength: float | None
    """In the feature's maximum; None: unsteered."""
    which: int | None
    """The feature, or a random direction's number."""
    lane: Lane

    @property
    def name(self) -> str:
        """The condition in words."""
        if self.kind == "unsteered":
            return self.kind
        word = "direction" if self.kind == "random directions" else "feature"
        return f"{self.kind}, {word} {self.which}, {self.strength:g} x maximum"


def conditions(
    at: SteeredLayer, feature: int, settings: GenerationSettings, judging: Judging
) -> list[Condition]:
    """All conditions of a generation, the unsteered one last."""
    at.check_feature(feature)
    matched = controls.matched_features(
        at, feature, settings.n_features, settings.seed, judging.related
    )
    found = []
    for strength in dict.fromkeys((*settings.strengths, *settings.controls_at)):
        own = [Change(feature, "clamp", strength)]
        for kind, which, changes in _changes(own, feature, strength, matched, settings):
            inside = at.plm.recurrent and kind != "output only"
            lane = Lane(tuple(changes), "recurrence" if inside else "output")
            if kind != "output only" or at.plm.recurrent:
                found.append(Condition(kind, strength, which, lane))
    return [*found, Condition("unsteered", None, None, Lane())]


def _changes(
    own: list[Change],
    feature: int,
    strength: float,
    matched: list[int],
    settings: GenerationSettings,
) -> Iterator[tuple[Kind, int, list[Change]]]:
    if strength in settings.strengths:
        yield "steered", feature, own
        yield "output only", feature, own
    if strength in settings.controls_at:
        yield "atom alone", feature, controls.atom_alone(own)
        for one in matched:
            yield "matched features", one, controls.as_feature(own, one)
        for number in range(settings.n_directions):
            yield "random directions", number, controls.along_random(own, settings.seed + number)
