"""The exercises of all lessons, by name."""

from interplm_nb.workshop import controls
from interplm_nb.workshop.exercise import Exercise

EXERCISES: dict[str, Exercise] = {**controls.EXERCISES}
